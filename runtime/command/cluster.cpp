// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/cluster.hpp>
#include <coppice/runtime/config/formats.hpp>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include <boost/json.hpp>

namespace coppice::command {

std::string sentence(const error& e) {
  return e.why() ? to_string(e.why()) : std::string{name(e.code())};
}

target target_of(std::string_view text) {
  const auto slash = text.find('/');
  const std::string_view before = text.substr(0, slash);
  const std::string_view path = slash == std::string_view::npos ? "" : text.substr(slash);
  const auto colon = before.rfind(':');
  return {std::string{colon == std::string_view::npos ? before : before.substr(0, colon)},
          std::string{path}};
}

result<std::vector<node_config>> chosen(const cluster_config& config,
                                        const std::vector<std::string>& names) {
  if (names.empty()) return config.nodes;
  std::vector<node_config> nodes;
  for (const std::string& name : names) {
    const auto found = node_named(config, name);
    if (!found) return found.error();
    nodes.push_back(*found);
  }
  return nodes;
}

namespace {

/// Whoever may run this command as a node's user may do what that node may.
result<http::certificates> own_certificates(const cluster_config& config) {
  std::vector<node_config> nodes = config.nodes;
  std::stable_partition(nodes.begin(), nodes.end(), [](const node_config& n) {
    return std::find(n.roles.begin(), n.roles.end(), "admin") != n.roles.end();
  });
  for (const node_config& n : nodes) {
    http::certificates own{config.cluster.name, for_node(config.tls.ca, n.name),
                           for_node(config.tls.certificate, n.name),
                           for_node(config.tls.key, n.name)};
    // One file for all, as when it was chosen: what is wrong with it is told when it is read.
    const bool one_for_all = own.certificate == config.tls.certificate;
    if (one_for_all ||
        (::access(own.certificate.c_str(), R_OK) == 0 && ::access(own.key.c_str(), R_OK) == 0))
      return own;
  }
  return error{errc::invalid,
               "wants a certificate, and no node's certificate and key can be read here: name "
               "others with --certificate and --key"};
}

}  // namespace

result<http::call> reach(const cluster_config& config, const node_config& node, std::string path) {
  if (node.http.empty())
    return error{errc::invalid,
                 "has no HTTP: give it a line http = \"127.0.0.1:8101\" in the "
                 "cluster file"};
  http::call c{.address = node.http, .path = std::move(path)};
  // Who listens everywhere is called where the other nodes call it.
  const auto at = detail::endpoint_of(node.http);
  if (at && at->wildcard()) {
    const auto peer = detail::endpoint_of(node.address);
    const std::string host =
        peer && peer->unix_path.empty() && !peer->wildcard() ? peer->host : "127.0.0.1";
    const bool six = host.find(':') != std::string::npos;
    c.address = (six ? '[' + host + ']' : host) + ':' + std::to_string(at->port);
  }
  if (node.http_token.from != secret::source::none) {
    auto token = resolve(node.http_token);
    if (token) c.token = std::move(*token);
    else if (!node.http_tls) return token.error();  // else a certificate may do
  }
  if (node.http_tls) {
    auto own = own_certificates(config);
    if (!own) return own.error();
    c.tls = std::move(*own);
    c.node = node.name;
  }
  return c;
}

std::string refusal_in(const http::response& answer) {
  boost::json::error_code failed;
  const auto body = boost::json::parse(answer.body, failed);
  if (!failed && body.is_object()) {
    const auto text = [&](const char* key) {
      const auto* value = body.get_object().if_contains(key);
      return value && value->is_string() ? std::string{value->get_string()} : std::string{};
    };
    const std::string what = text("error"), hint = text("hint");
    if (!what.empty()) return hint.empty() ? what : what + "; " + hint;
  }
  return "answered with status " + std::to_string(answer.status);
}

/// Only an address of this machine can be bound to.
bool is_here(const node_config& node) {
  const auto at = detail::endpoint_of(node.address);
  if (!at || at->loopback() || at->wildcard()) return true;
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(at->host.c_str(), nullptr, &wanted, &found) != 0) return false;
  bool here = false;
  for (const addrinfo* a = found; a && !here; a = a->ai_next) {
    const int socket = ::socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    here = socket >= 0 && ::bind(socket, a->ai_addr, a->ai_addrlen) == 0;
    if (socket >= 0) ::close(socket);
  }
  ::freeaddrinfo(found);
  return here;
}

}  // namespace coppice::command
