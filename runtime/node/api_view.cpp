// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/api_view_private.hpp>

#include <csignal>
#include <future>
#include <utility>

namespace coppice {

using namespace std::chrono_literals;
using http::metric;
using http::metric_type;

namespace {

/// For a snapshot, or a look for an actor. Others wait meanwhile.
constexpr auto patience = 2s;
/// A stall that ended longer ago is no reason any more not to be ready.
constexpr auto stall_memory = 5s;

const tree_node* find(const tree_node& at, const std::string& path) {
  if (at.path == path) return &at;
  for (const tree_node& child : at.children)
    if (path == child.path || path.starts_with(child.path + '/')) return find(child, path);
  return nullptr;
}

std::uint64_t count(const tree_node& at) {
  std::uint64_t n = 1;
  for (const tree_node& child : at.children) n += count(child);
  return n;
}

}  // namespace

http::health_report api_view::health() {
  http::health_report h;
  if (of_.stopping.load()) h.reasons.emplace_back("the node is stopping");
  if (!of_.tree_now()) h.reasons.emplace_back("the tree has not been started");
  else if (const auto why = of_.tree->ended())
    h.reasons.push_back("the tree has ended: " + why->text());
  else if (!of_.tree->up()) h.reasons.emplace_back("the tree is starting");
  if (const auto stalled = of_.log.last_stall(); stalled && stalled->first < stall_memory)
    h.reasons.push_back("a handler does not return: " + stalled->second);
  h.ready = h.reasons.empty();
  return h;
}

http::node_status api_view::status() {
  http::node_status s;
  const cluster_shell& shell = cluster_shell_access::of(*of_.nodes);
  s.name = shell.options().node;
  s.cluster = shell.options().cluster;
  s.incarnation = to_string(shell.incarnation());
  s.up = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               of_.since);
  const node_metrics m = of_.metrics();
  s.restarts = m.restarts;
  for (const std::uint64_t n : m.dead_letters) s.dead_letters += n;
  if (of_.tree_now() && of_.tree->up()) s.actors = count(of_.tree->snapshot(patience));
  return s;
}

std::vector<http::member> api_view::members() {
  std::vector<http::member> all;
  for (const coppice::member& m : of_.nodes->members())
    all.push_back({m.name, m.address, m.zone, m.roles, std::string{name(m.opinion)}, m.reason,
                   m.incarnation, m.silent_for});
  return all;
}

std::vector<metric> api_view::metrics() {
  const node_metrics m = of_.metrics();
  const auto counter = [](std::string name, std::string help, std::uint64_t value) {
    return metric::of(std::move(name), std::move(help), metric_type::counter,
                      static_cast<double>(value));
  };
  const auto gauge = [](std::string name, std::string help, double value) {
    return metric::of(std::move(name), std::move(help), metric_type::gauge, value);
  };
  std::vector<metric> all{
      counter("coppice_crashes_total", "Children that ended by themselves and not cleanly.",
              m.crashes),
      counter("coppice_start_errors_total", "Starts of children that failed.", m.start_errors),
      counter("coppice_shutdown_errors_total", "Children that did not stop as asked.",
              m.shutdown_errors),
      counter("coppice_exhausted_total", "Supervisors that gave up.", m.exhausted),
      counter("coppice_restarts_total", "Restarts of children after failures.", m.restarts),
      counter("coppice_stalls_total", "Slices beyond the stall limit.", m.stalls),
      counter("coppice_log_records_left_out_total", "Log records over the rate limit.",
              m.log_left_out),
      gauge("coppice_workers", "Worker threads.", of_.home->workers()),
      gauge("coppice_tree_up", "1 once the whole tree runs.",
            of_.tree_now() && of_.tree->up() ? 1 : 0),
      gauge("coppice_uptime_seconds", "Since the node's start.",
            std::chrono::duration<double>(std::chrono::steady_clock::now() - of_.since).count()),
  };
  metric letters{"coppice_dead_letters_total", "Events that nobody handled, by reason."};
  for (std::size_t i = 0; i < m.dead_letters.size(); ++i)
    letters.samples.push_back({{{"reason", std::string{name(static_cast<dead_letter_reason>(i))}}},
                               static_cast<double>(m.dead_letters[i])});
  all.push_back(std::move(letters));

  const coppice::traffic t = of_.nodes->traffic();
  all.push_back(counter("coppice_events_sent_total", "Events sent to other nodes.", t.events_sent));
  all.push_back(
      counter("coppice_events_received_total", "Events from other nodes.", t.events_received));
  all.push_back(counter("coppice_asks_sent_total", "Asks sent to other nodes.", t.asks_sent));
  all.push_back(counter("coppice_asks_received_total", "Asks from other nodes.", t.asks_received));
  all.push_back(counter("coppice_sessions_begun_total", "Sessions with peers.", t.sessions_begun));
  all.push_back(counter("coppice_sessions_ended_total", "Sessions that ended.", t.sessions_ended));
  all.push_back(
      counter("coppice_reconnects_total", "Connections that carried a session on.", t.reconnects));
  all.push_back(counter("coppice_denied_total", "Events a peer may not send.", t.denied));
  all.push_back(
      counter("coppice_malformed_total", "Messages that could not be read.", t.malformed));
  all.push_back(counter("coppice_refused_total", "Connections not let in.", t.refused));
  all.push_back(gauge("coppice_proxies", "Actors elsewhere that this node knows.",
                      static_cast<double>(t.proxies)));
  all.push_back(gauge("coppice_pending_asks", "Asks on their way to other nodes.",
                      static_cast<double>(t.pending_asks)));
  metric opinions{"coppice_member_opinion",
                  "1 for the opinion that this node has of each other node.", metric_type::gauge};
  metric buffered{"coppice_buffered_bytes", "Sent to a peer and not confirmed.",
                  metric_type::gauge};
  metric silent{"coppice_member_silent_seconds", "Since anything was heard of a peer.",
                metric_type::gauge};
  for (const coppice::member& x : of_.nodes->members()) {
    if (x.self) continue;
    for (const opinion o :
         {opinion::unknown, opinion::up, opinion::suspect, opinion::unreachable, opinion::left})
      opinions.samples.push_back(
          {{{"member", x.name}, {"opinion", std::string{name(o)}}}, x.opinion == o ? 1.0 : 0.0});
    buffered.samples.push_back({{{"member", x.name}}, static_cast<double>(x.buffered_bytes)});
    silent.samples.push_back(
        {{{"member", x.name}}, std::chrono::duration<double>(x.silent_for).count()});
  }
  all.push_back(std::move(opinions));
  all.push_back(std::move(buffered));
  all.push_back(std::move(silent));
  return all;
}

result<tree_node> api_view::tree(const std::string& path) {
  if (!of_.tree_now()) return error{errc::stopped, "the tree has not been started"};
  tree_node all = of_.tree->snapshot(patience);
  if (path.empty() || path == all.path) return all;
  if (const tree_node* found = find(all, path)) return *found;
  return error{errc::not_found, "there is no " + path + " in the tree of " + all.path};
}

tree_feed api_view::follow() { return of_.tree->follow(); }

result<void> api_view::kill(const std::string& path) {
  auto answer = std::make_shared<std::promise<detail::cell_ptr>>();
  auto found = answer->get_future();
  cluster_shell_access::of(*of_.nodes).directory().find(path, [answer](detail::cell_ptr x, bool) {
    answer->set_value(std::move(x));
  });
  if (found.wait_for(patience) != std::future_status::ready)
    return error{errc::timeout, "nobody has said in time where " + path + " is"};
  const detail::cell_ptr x = found.get();
  if (!x) return error{errc::not_found, "there is no actor " + path};
  if (!x->parent())
    return error{errc::invalid, path + " has no supervisor: kill the node, or stop it"};
  x->kill(exit_reason::killed());
  return {};
}

void api_view::kill_node() { ::raise(SIGKILL); }

result<void> api_view::stop() {
  if (!of_.when_asked_to_stop)
    return error{errc::invalid, "this node's program does not let itself be stopped from outside"};
  of_.when_asked_to_stop();
  return {};
}

}  // namespace coppice
