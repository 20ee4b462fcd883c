// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/api.hpp>
#include <coppice/runtime/http/followers_private.hpp>
#include <coppice/runtime/http/text_private.hpp>

#include <mutex>
#include <optional>
#include <utility>

#include <boost/json.hpp>

namespace coppice::http {

namespace json = boost::json;

namespace {

constexpr std::string_view all_paths =
    "/health/live, /health/ready, /metrics, /api/tree, /api/tree/follow, /api/members, /api/kill "
    "and /api/stop";

response as_json(const json::value& body, unsigned status = 200) {
  return {.status = status, .body = json::serialize(body) + '\n'};
}

unsigned status_of(errc code) {
  switch (code) {
    case errc::not_found:
    case errc::gone: return 404;
    case errc::invalid: return 400;
    case errc::denied: return 403;
    case errc::stopped:
    case errc::running: return 409;
    case errc::overloaded:
    case errc::restarting:
    case errc::parked:
    case errc::limit: return 503;
    case errc::timeout:
    case errc::expired: return 504;
    default: return 500;
  }
}

response refusal_of(const error& e) {
  return refusal(status_of(e.code()), e.why() ? to_string(e.why()) : std::string{name(e.code())});
}

std::string value_of(const std::map<std::string, std::string>& query, const std::string& key) {
  const auto found = query.find(key);
  return found == query.end() ? std::string{} : found->second;
}

json::array as_array(const std::vector<std::string>& texts) {
  json::array all;
  for (const std::string& text : texts) all.emplace_back(to_utf8(text));
  return all;
}

json::object as_object(const health_report& health) {
  return {{"ready", health.ready}, {"reasons", as_array(health.reasons)}};
}

/// For the audit: where a request comes from, and by whose certificate.
std::string who(const request& asked) {
  return asked.certificate.empty() ? asked.peer
                                   : asked.peer + " with the certificate of " + asked.certificate;
}

response not_allowed(const request& asked) {
  if (!asked.certificate.empty())
    return refusal(403, "the certificate of '" + asked.certificate + "' is that of no admin",
                   "show that of a node with the role admin, or this node's HTTP token besides");
  response no =
      refusal(401, "this needs the node's HTTP token", "send Authorization: Bearer <token>");
  no.headers.emplace_back("WWW-Authenticate", "Bearer");
  return no;
}

/// A POST's body as an object of texts. Nothing: it is none, and `why` has a sentence.
std::optional<std::map<std::string, std::string>> texts_in(const std::string& body,
                                                           std::string& why) {
  std::map<std::string, std::string> texts;
  if (body.empty()) return texts;
  json::error_code failed;
  json::parse_options strict;
  strict.max_depth = 4;
  const json::value parsed = json::parse(body, failed, {}, strict);
  if (failed || !parsed.is_object()) {
    why = failed ? "the body is no JSON: " + failed.message() : "the body is no JSON object";
    return std::nullopt;
  }
  for (const auto& [key, value] : parsed.get_object()) {
    if (!value.is_string()) {
      why = "'" + std::string{key} + "' is no text";
      return std::nullopt;
    }
    texts.emplace(std::string{key}, std::string{value.get_string()});
  }
  return texts;
}

}  // namespace

struct api::implementation {
  implementation(node_view& asked, audit to_tell, const api_options& options)
      : node(asked), tell(std::move(to_tell)), streams(node, guard, options) {}

  response health(bool live);
  response metrics();
  response tree(const request& asked);
  response follow(const request& asked);
  response members();
  response kill(const request& asked);
  response stop(const request& asked);

  node_view& node;
  const audit tell;
  std::mutex guard;
  followers streams;
};

api::api(node_view& node, audit tell, api_options options)
    : impl_(std::make_unique<implementation>(node, std::move(tell), options)) {}
api::~api() = default;

response api::operator()(const request& asked) {
  struct entry {
    std::string_view method, path;
    bool for_everyone;
    response (*answer)(implementation&, const request&);
  };
  static constexpr entry entries[] = {
      {"GET", "/health/live", true, [](auto& me, const auto&) { return me.health(true); }},
      {"GET", "/health/ready", true, [](auto& me, const auto&) { return me.health(false); }},
      {"GET", "/metrics", false, [](auto& me, const auto&) { return me.metrics(); }},
      {"GET", "/api/tree", false, [](auto& me, const auto& r) { return me.tree(r); }},
      {"GET", "/api/tree/follow", false, [](auto& me, const auto& r) { return me.follow(r); }},
      {"GET", "/api/members", false, [](auto& me, const auto&) { return me.members(); }},
      {"POST", "/api/kill", false, [](auto& me, const auto& r) { return me.kill(r); }},
      {"POST", "/api/stop", false, [](auto& me, const auto& r) { return me.stop(r); }},
  };
  for (const entry& e : entries) {
    if (asked.path != e.path) continue;
    if (asked.method != e.method) {
      response no =
          refusal(405, asked.path + " takes no " + asked.method, "use " + std::string{e.method});
      no.headers.emplace_back("Allow", e.method == "GET" ? "GET, HEAD" : "POST");
      return no;
    }
    if (!e.for_everyone && !asked.authorised) {
      if (e.method == "POST")
        impl_->tell({asked.path.substr(asked.path.rfind('/') + 1),
                     {},
                     who(asked),
                     false,
                     asked.certificate.empty() ? "no right token"
                                               : "no admin's certificate and no right token"});
      return not_allowed(asked);
    }
    std::lock_guard lock{impl_->guard};
    return e.answer(*impl_, asked);
  }
  return refusal(404, "there is no " + asked.path, "there are " + std::string{all_paths});
}

response api::implementation::health(bool live) {
  const health_report h = node.health();
  if (live) return as_json({{"live", h.live}}, h.live ? 200 : 503);
  return as_json(as_object(h), h.ready ? 200 : 503);
}

response api::implementation::metrics() {
  return {.content_type = std::string{prometheus_type}, .body = to_prometheus(node.metrics())};
}

response api::implementation::tree(const request& asked) {
  const std::string format = value_of(asked.query, "format");
  if (!format.empty() && format != "json" && format != "text")
    return refusal(400, "there is no format '" + format + "'", "json or text");
  const auto tree = node.tree(value_of(asked.query, "path"));
  if (!tree) return refusal_of(tree.error());
  if (format == "text")
    return {.content_type = "text/plain; charset=utf-8", .body = to_utf8(to_text(*tree))};
  return {.body = to_json(*tree) + '\n'};
}

response api::implementation::follow(const request& asked) {
  const bool events = asked.accept.find("text/event-stream") != std::string::npos;
  const auto format = events ? stream_format::event_stream : stream_format::json_lines;
  const auto records = streams.add(value_of(asked.query, "path"), format);
  if (!records) return refusal_of(records.error());
  return {.content_type = events ? "text/event-stream" : "application/x-ndjson",
          .records = *records};
}

response api::implementation::members() {
  const node_status me = node.status();
  json::object body = as_object(node.health());
  body["node"] = me.name;
  body["cluster"] = me.cluster;
  body["incarnation"] = me.incarnation;
  body["up_ms"] = me.up.count();
  body["actors"] = me.actors;
  body["restarts"] = me.restarts;
  body["dead_letters"] = me.dead_letters;
  json::array all;
  for (const member& m : node.members())
    all.push_back(json::object{{"name", m.name},
                               {"address", m.address},
                               {"zone", m.zone},
                               {"roles", as_array(m.roles)},
                               {"opinion", m.opinion},
                               {"why", to_utf8(m.why)},
                               {"incarnation", m.incarnation},
                               {"since_ms", m.since.count()}});
  body["members"] = std::move(all);
  return as_json(body);
}

response api::implementation::kill(const request& asked) {
  const auto no = [&](std::string target, unsigned status, const std::string& why,
                      std::string_view hint = {}) {
    tell({"kill", std::move(target), who(asked), true, why});
    return refusal(status, why, hint);
  };
  std::string why;
  const auto texts = texts_in(asked.body, why);
  if (!texts) return no({}, 400, why, R"(e.g. {"path":"/shop/stock"})");
  const std::string path = value_of(*texts, "path"), whom = value_of(*texts, "node");
  if (path.empty() == whom.empty() || texts->size() != 1)
    return no(path, 400, "the body names no actor and no node",
              R"({"path":"/shop/stock"} or {"node":"alpha"})");

  if (!whom.empty()) {
    const std::string me = node.status().name;
    if (whom != me) return no(whom, 409, "this is the node '" + me + "', not '" + whom + "'");
    tell({"kill", whom, who(asked), true, "done"});
    response yes = as_json({{"killed", whom}});
    yes.afterwards = [this] { node.kill_node(); };
    return yes;
  }
  if (const auto killed = node.kill(path); !killed) {
    response refused = refusal_of(killed.error());
    tell({"kill", path, who(asked), true, killed.error().message()});
    return refused;
  }
  tell({"kill", path, who(asked), true, "done"});
  return as_json({{"killed", path}});
}

response api::implementation::stop(const request& asked) {
  const std::string me = node.status().name;
  std::string why;
  const auto texts = texts_in(asked.body, why);
  const std::string whom = texts ? value_of(*texts, "node") : std::string{};
  unsigned status = 0;
  if (!texts) status = 400;
  else if (!whom.empty() && whom != me) {
    status = 409;
    why = "this is the node '" + me + "', not '" + whom + "'";
  }
  if (status) {
    tell({"stop", whom.empty() ? me : whom, who(asked), true, why});
    return refusal(status, why, R"({} or {"node":")" + me + "\"}");
  }
  const auto stopped = node.stop();
  tell({"stop", me, who(asked), true, stopped ? "done" : stopped.error().message()});
  if (!stopped) return refusal_of(stopped.error());
  return as_json({{"stopping", me}}, 202);
}

}  // namespace coppice::http
