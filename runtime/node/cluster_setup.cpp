// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/cluster_setup_private.hpp>

#include <algorithm>

namespace coppice {

namespace {

const node_config& named(const cluster_config& config, const std::string& node) {
  const auto found = std::find_if(config.nodes.begin(), config.nodes.end(),
                                  [&](const node_config& n) { return n.name == node; });
  return *found;
}

}  // namespace

cluster_options cluster_part(const cluster_config& config, const std::string& node) {
  cluster_options o;
  o.cluster = config.cluster.name;
  o.node = node;
  for (const node_config& n : config.nodes)
    o.nodes.push_back({n.name, n.zone, n.roles, n.address, n.http});
  o.digest = digest(config);
  o.canonical = canonical(config);
  const limits_config& l = config.limits;
  o.limits.message_bytes = l.message_bytes;
  o.limits.send_buffer_bytes = l.send_buffer_bytes;
  o.limits.ack_every_bytes = l.ack_every_bytes;
  o.limits.ack_every = l.ack_every;
  o.limits.connect_deadline = l.connect_deadline;
  o.limits.handshake_deadline = l.handshake_deadline;
  o.limits.session_limit = l.session_limit;
  o.limits.reconnect_first = l.reconnect_first;
  o.limits.reconnect_most = l.reconnect_most;
  o.limits.pending_handshakes = l.pending_handshakes;
  o.limits.remote_addresses = l.remote_addresses;
  o.limits.pending_asks = l.pending_asks;
  if (config.cluster.profile == cluster_profile::loopback) o.liveness = loopback_liveness;
  o.liveness.heartbeat = config.liveness.heartbeat;
  o.liveness.suspect_after = config.liveness.suspect_after;
  o.liveness.unreachable_after = config.liveness.unreachable_after;
  o.liveness.phi_threshold = config.liveness.phi_threshold;
  o.liveness.indirect_probes = config.liveness.indirect_probes;
  o.liveness.indirect_limit = config.liveness.indirect_most;
  for (const allow_rule& rule : config.allow)
    o.allow.push_back({rule.roles, rule.paths, rule.events});
  o.bulk = config.cluster.bulk;
  return o;
}

wire::socket_options socket_part(const cluster_config& config, const std::string& node) {
  wire::socket_options o;
  o.cluster = config.cluster.name;
  o.node = node;
  o.tls.ca = for_node(config.tls.ca, node);
  o.tls.certificate = for_node(config.tls.certificate, node);
  o.tls.key = for_node(config.tls.key, node);
  o.tls.insecure = config.tls.insecure;
  o.connect_deadline = config.limits.connect_deadline;
  o.handshake_deadline = config.limits.handshake_deadline;
  o.pending_handshakes = config.limits.pending_handshakes;
  o.busy_wait = std::chrono::microseconds{config.limits.busy_wait_us};
  return o;
}

result<std::optional<http::server_options>> http_part(const cluster_config& config,
                                                      const std::string& node) {
  const node_config& me = named(config, node);
  if (me.http.empty()) return std::optional<http::server_options>{};
  http::server_options o;
  o.address = me.http;
  if (me.http_token.from != secret::source::none) {
    auto token = resolve(me.http_token);
    if (!token) return token.error();
    o.token = std::move(*token);
  }
  if (me.http_tls) {
    const wire::tls_options files = socket_part(config, node).tls;
    o.tls = {config.cluster.name, files.ca, files.certificate, files.key};
    for (const node_config& n : config.nodes)
      if (std::find(n.roles.begin(), n.roles.end(), "admin") != n.roles.end())
        o.admins.push_back(n.name);
  }
  o.limits.connections = config.http.connections;
  o.limits.body_bytes = config.http.body_bytes;
  o.limits.request_deadline = config.http.request_deadline;
  o.limits.idle = config.http.idle;
  return std::optional{std::move(o)};
}

}  // namespace coppice
