// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/formats.hpp>
#include <coppice/runtime/config/keys.hpp>
#include <coppice/runtime/config/reading_private.hpp>
#include <coppice/runtime/config/text_private.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace coppice::detail {

namespace {

/// The role of those who may address the runtime's own actors; there without being given.
constexpr std::string_view admin = "admin";

std::string line_of(const std::optional<place>& at) {
  return at ? "line " + std::to_string(at->line) : std::string{"another one"};
}

// ---- nodes
// ----------------------------------------------------------------------------------------

void check_names(reading& of) {
  std::map<std::string_view, std::size_t> seen;
  const auto& nodes = of.config.nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].name.empty()) continue;
    const auto [first, fresh] = seen.emplace(nodes[i].name, i);
    if (!fresh)
      of.wrong.add(of.nearest_place("node.name", i),
                   "node.name is " + quoted(nodes[i].name) + ", as that of the node on " +
                       line_of(of.where("node", first->second)) + "; expected a name of its own");
  }
}

/// Everything that some node listens on. Nodes are on one machine if their addresses name the
/// same host, or are all loopback or Unix sockets.
struct listener {
  std::size_t node;
  std::string key;
  std::string machine;
  endpoint at;
};

std::vector<listener> listeners(const reading& of) {
  std::vector<listener> out;
  const auto& nodes = of.config.nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto address = endpoint_of(nodes[i].address);
    if (!address) continue;
    const std::string machine = address->loopback() ? std::string{} : address->host;
    out.push_back({i, "node.address", machine, *address});
    if (const auto http = endpoint_of(nodes[i].http))
      out.push_back({i, "node.http", machine, *http});
  }
  return out;
}

bool clash(const listener& a, const listener& b) {
  if (a.at.port != b.at.port || a.at.unix_path != b.at.unix_path) return false;
  // Peers tell nodes apart by their addresses, on whatever machine they are.
  const bool both_addresses = a.key == b.key && a.key == "node.address";
  if (both_addresses || a.machine == b.machine)
    return a.at.host == b.at.host || a.at.wildcard() || b.at.wildcard();
  return false;
}

void check_listeners(reading& of) {
  // Only what has the same port or path can clash; that keeps it cheap for many nodes.
  std::map<std::pair<std::uint16_t, std::string>, std::vector<listener>> by_port;
  for (listener& now : listeners(of)) {
    auto& others = by_port[{now.at.port, now.at.unix_path}];
    const auto first = std::find_if(others.begin(), others.end(),
                                    [&now](const listener& other) { return clash(now, other); });
    if (first != others.end())
      of.wrong.add(of.nearest_place(now.key, now.node),
                   now.key + " is where " + first->key + " on " +
                       line_of(of.where(first->key, first->node)) +
                       " listens already; expected a port or path of its own");
    others.push_back(std::move(now));
  }
}

void check_http(reading& of) {
  const auto& nodes = of.config.nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto http = endpoint_of(nodes[i].http);
    const bool guarded = nodes[i].http_tls || nodes[i].http_token.from != secret::source::none ||
                         of.bad("node.http_tls", i) || of.bad("node.http_token", i);
    if (!http || http->loopback() || guarded) continue;
    of.wrong.add(of.nearest_place("node.http", i),
                 "node.http is " + quoted(nodes[i].http) +
                     ", open to other machines, with nothing that a caller must know; expected "
                     "http_token or http_tls beside it, or a loopback address");
  }
}

/// Two processes that rotate one file lose records.
void check_log_file(reading& of) {
  if (of.config.log.file.empty() || of.config.log.file.find("{node}") != std::string::npos) return;
  std::set<std::string> machines;
  for (const listener& l : listeners(of))
    if (l.key == "node.address" && !machines.insert(l.machine).second)
      return of.wrong.add(of.nearest_place("log.file"),
                          "log.file is one file for several nodes on one machine; expected {node} "
                          "in its name");
}

// ---- roles
// ----------------------------------------------------------------------------------------

void check_roles(reading& of) {
  std::set<std::string_view> known{admin};
  bool all_good = true;
  const auto& nodes = of.config.nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    std::set<std::string_view> own;
    for (const std::string& role : nodes[i].roles)
      if (known.insert(role), !own.insert(role).second)
        of.wrong.add(of.nearest_place("node.roles", i),
                     "node.roles has " + quoted(role) + " twice; expected once");
    all_good = all_good && !of.bad("node.roles", i);
  }
  if (!all_good) return;
  for (std::size_t i = 0; i < of.config.allow.size(); ++i)
    for (const std::string& role : of.config.allow[i].roles) {
      if (known.contains(role)) continue;
      const auto near = nearest(role, {known.begin(), known.end()});
      of.wrong.add(of.nearest_place("allow.roles", i),
                   "allow.roles has " + quoted(role) + ", a role that no node has" +
                       (near ? "; did you mean " + quoted(*near) + '?'
                             : "; expected one of the nodes' roles, or " + quoted(admin)));
    }
}

// ---- TLS
// ------------------------------------------------------------------------------------------

void check_tls(reading& of) {
  const tls_config& tls = of.config.tls;
  if (of.bad("tls") || of.bad("tls.insecure")) return;
  std::vector<std::string> given, missing;
  for (const char* path : {"tls.ca", "tls.certificate", "tls.key"}) {
    if (of.bad(path)) return;
    const key& k = key_at(path);
    const bool there = !is_none(k.field.get(of.config, 0));
    (there ? given : missing).emplace_back(k.name);
  }
  if (tls.insecure) {
    for (std::size_t i = 0; i < of.config.nodes.size(); ++i)
      if (of.config.nodes[i].http_tls)
        of.wrong.add(of.nearest_place("node.http_tls", i),
                     "node.http_tls is true although tls.insecure leaves no certificates to show; "
                     "expected [tls] with ca, certificate and key");
    if (!given.empty())
      of.wrong.add(of.nearest_place("tls.insecure"), "tls.insecure is true although there is " +
                                                         listed(given, "and") +
                                                         "; expected either, not both");
    return;
  }
  if (missing.empty()) return;
  if (!given.empty())
    return of.wrong.add(of.nearest_place("tls"), "tls has " + listed(given, "and") + " but not " +
                                                     listed(missing, "and") +
                                                     "; expected all three");
  std::vector<std::string> examples;
  for (const char* path : {"tls.ca", "tls.certificate", "tls.key"}) {
    const key& k = key_at(path);
    examples.push_back(std::string{k.name} + " = " + std::string{k.example});
  }
  of.wrong.add(of.nearest_place("tls"),
               "nothing says how nodes prove who they are; expected [tls] with " +
                   listed(examples, "and") +
                   ", or, to let everybody in who can reach a node, [tls] with insecure = true");
}

// ---- orders
// ---------------------------------------------------------------------------------------

/// `larger` must be `more` than `smaller`: so many times as much, and so many heartbeats besides.
struct order {
  const char* smaller;
  const char* larger;
  const char* more;
  std::int64_t times = 1;
  std::int64_t heartbeats = 0;
};
constexpr const char* heartbeat = "liveness.heartbeat_ms";
constexpr order orders[] = {
    {heartbeat, "liveness.suspect_after_ms", "at least 3 times", 3},
    {"liveness.suspect_after_ms", "liveness.unreachable_after_ms",
     "at least 2 heartbeats more than", 1, 2},
    {"liveness.unreachable_after_ms", "liveness.indirect_most_ms", "at least"},
    {"limits.reconnect_first_ms", "limits.reconnect_most_ms", "at least"},
    {"limits.ack_every_bytes", "limits.send_buffer_bytes", "at least 2 times", 2},
};

void check_orders(reading& of) {
  const auto number = [&of](const char* path) {
    return std::get<std::int64_t>(key_at(path).field.get(of.config, 0));
  };
  for (const order& o : orders) {
    if (of.bad(o.smaller) || of.bad(o.larger) || (o.heartbeats > 0 && of.bad(heartbeat))) continue;
    const std::int64_t small = number(o.smaller), large = number(o.larger);
    if (large >= o.times * small + o.heartbeats * number(heartbeat)) continue;
    const auto told = [&of](const char* path, std::int64_t n) {
      return std::to_string(n) + (of.where(path) ? "" : " by default");
    };
    // Point at what the file says: the other one may be a default.
    of.wrong.add(of.where(o.larger) ? *of.where(o.larger) : of.nearest_place(o.smaller),
                 std::string{o.larger} + " is " + told(o.larger, large) + "; expected " + o.more +
                     ' ' + o.smaller + ", which is " + told(o.smaller, small));
  }
}

}  // namespace

void check_rules(reading& of) {
  check_names(of);
  check_listeners(of);
  check_http(of);
  check_log_file(of);
  check_roles(of);
  check_tls(of);
  check_orders(of);
}

}  // namespace coppice::detail
