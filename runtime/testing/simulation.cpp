// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/testing/simulation.hpp>

#include <coppice/actors/detail/core.hpp>
#include <coppice/runtime/cluster/cluster_private.hpp>
#include <coppice/runtime/testing/network_private.hpp>
#include <coppice/runtime/testing/timeline_private.hpp>

#include <cstdio>
#include <deque>
#include <utility>

namespace coppice::testing {

using namespace std::chrono_literals;
using time_point = timeline::time_point;
using span = timeline::span;

namespace {

/// As a real carrier has it, while there are links or dials.
constexpr span carrier_period = 10ms;
/// How often a process that says goodbye is looked at.
constexpr span parting_period = 5ms;

std::string in_milliseconds(span time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) +
         " ms";
}

/// The node of `the session with node beta has ended (...)`; empty: it is another line.
std::string_view ended_session(std::string_view line) {
  constexpr std::string_view before = "the session with node ", after = " has ended";
  if (!line.starts_with(before)) return {};
  line.remove_prefix(before.size());
  const auto end = line.find(' ');
  if (end == std::string_view::npos || !line.substr(end).starts_with(after)) return {};
  return line.substr(0, end);
}

}  // namespace

// ---- a node -----------------------------------------------------------------------------------

struct simulated_node::implementation {
  /// What the cluster shell has of the network.
  class carrier final : public wire::carrier {
   public:
    carrier(implementation& node, network& net) : node_(node), net_(net), life_(node.life) {}

    result<void> start(const std::string&, wire::link_events& to) override {
      node_.events = &to;
      net_.listen(node_.index, life_);
      return {};
    }
    std::string listens_at() const override { return node_.name + ":7000"; }
    void dial(std::string peer, std::string) override {
      if (node_.events) net_.dial(node_.index, life_, peer);
    }
    void wake_at(time_point when) override {
      if (node_.events) node_.wake_at(when);
    }
    void stop() noexcept override {
      if (wire::link_events* to = node_.events) net_.closed(node_.index, *to);
      node_.events = nullptr;
    }

   private:
    implementation& node_;
    network& net_;
    const std::uint64_t life_;
  };

  implementation(timeline& t, std::size_t i, std::string n, std::size_t nodes)
      : time(t), index(i), name(std::move(n)), sessions_ended(nodes) {}

  void wake_at(time_point when) {
    when = std::max(when, time.now());
    if (wake && *wake <= when) return;
    wake = when;
    time.at(when + time.any(tardiness), [this, l = life, when] {
      if (l != life || !wake || *wake > when) return;
      deliver([this](wire::link_events& e) { tick(e); });
    });
  }
  void tick(wire::link_events& e) {
    wake.reset();
    e.on_time();
  }
  /// An event of the carrier. Now, or when the process goes on.
  void deliver(std::function<void(wire::link_events&)> what) {
    if (!executor || !events) return;
    if (stalled_since) {
      deferred.push_back(std::move(what));
      return;
    }
    catch_up();
    what(*events);
    work();
  }
  /// Moves the actors' clock to the present; what falls due on the way happens.
  void catch_up() {
    const auto ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(time.now() - born) - advanced;
    if (ms <= 0ms) return;
    advanced += ms;
    executor->advance(ms);
  }
  /// Lets actors run: often until nothing is ready, or some steps now and the others later, so
  /// that what the carrier does falls between them.
  void work() {
    if (!executor || stalled_since) return;
    if (time.one_in(2)) {
      executor->run_until_idle();
    } else {
      for (std::uint64_t steps = 1 + time.any(8); steps > 0; --steps)
        if (!executor->step()) break;
      time.after(time.any(span{200}), [this, l = life] {
        if (l == life && executor && !stalled_since) executor->run_until_idle(), look();
      });
    }
    look();
  }
  /// When its actors want to be woken.
  void look() {
    due.reset();
    if (const auto next = coppice::detail::core_of(executor->system()).clock.next())
      due = born + std::max(std::chrono::milliseconds{*next - 1}, advanced + 1ms);
  }

  timeline& time;
  const std::size_t index;
  const std::string name;
  span tardiness{0};

  std::uint64_t life = 0;
  std::unique_ptr<testing::executor> executor;
  std::unique_ptr<coppice::cluster> cluster;
  wire::link_events* events = nullptr;
  time_point born{};
  std::chrono::milliseconds advanced{0};
  std::optional<time_point> wake;  ///< of the carrier
  std::optional<time_point> due;   ///< of the actors
  bool parting = false;
  time_point parts_by{};

  std::optional<time_point> stalled_since;
  std::vector<std::pair<time_point, time_point>> stalls;
  span stalled{0};
  std::deque<std::function<void(wire::link_events&)>> deferred;

  std::vector<std::uint64_t> sessions_ended;
};

simulated_node::simulated_node(std::unique_ptr<implementation> impl) : impl_(std::move(impl)) {}
simulated_node::~simulated_node() = default;

std::size_t simulated_node::index() const noexcept { return impl_->index; }
const std::string& simulated_node::name() const noexcept { return impl_->name; }
bool simulated_node::running() const noexcept { return impl_->executor != nullptr; }
bool simulated_node::stalled() const noexcept { return impl_->stalled_since.has_value(); }
std::uint64_t simulated_node::life() const noexcept { return impl_->life; }
executor& simulated_node::run() noexcept { return *impl_->executor; }
coppice::system& simulated_node::system() noexcept { return impl_->executor->system(); }
coppice::cluster& simulated_node::cluster() noexcept { return *impl_->cluster; }

void simulated_node::plant(const supervisor_ref& top) {
  cluster_shell_access::of(*impl_->cluster).directory().plant(top);
}

opinion simulated_node::opinion_of(std::size_t other) const {
  return impl_->cluster->members()[other].opinion;
}

bool simulated_node::in_session_with(std::size_t other) const {
  return impl_->cluster->members()[other].session;
}

std::uint64_t simulated_node::sessions_ended_with(std::size_t other) const noexcept {
  return impl_->sessions_ended[other];
}

span simulated_node::stalled_for() const noexcept {
  return impl_->stalled +
         (impl_->stalled_since
              ? std::chrono::duration_cast<span>(impl_->time.now() - *impl_->stalled_since)
              : span{0});
}

span simulated_node::ran_within(span time, span unnoticed) const {
  const time_point since = impl_->time.now() - time;
  for (const auto& [from, to] : impl_->stalls) {
    const auto within = std::chrono::duration_cast<span>(to - std::max(from, since));
    if (within > unnoticed) time -= within - unnoticed;
  }
  return time;
}

// ---- all of them ------------------------------------------------------------------------------

struct simulation::implementation {
  explicit implementation(simulation_options given)
      : options(std::move(given)), time(options.seed) {
    for (std::size_t i = 0; i < options.nodes.size(); ++i) {
      auto node = std::make_unique<simulated_node::implementation>(time, i, options.nodes[i],
                                                                   options.nodes.size());
      node->tardiness = options.network.tardiness;
      nodes.emplace_back(new simulated_node{std::move(node)});
    }
    network::ports ports;
    ports.run = [this](std::size_t n, std::uint64_t life,
                       std::function<void(wire::link_events&)> what) {
      if (at(n).life == life) at(n).deliver(std::move(what));
    };
    ports.tell = [this](std::size_t n, const std::string& what) { say(at(n).name, what); };
    net.emplace(time, options.nodes, options.network, options.limits.connect_deadline,
                std::move(ports));
  }

  simulated_node::implementation& at(std::size_t i) { return *nodes[i]->impl_; }

  void say(std::string_view who, std::string_view what) {
    for (const char c : what) time.happened(static_cast<unsigned char>(c));
    time.happened(static_cast<std::uint64_t>(time.since_origin().count()));
    if (!options.tell) return;
    char stamp[32];
    std::snprintf(stamp, sizeof stamp, "%12.6f ",
                  std::chrono::duration<double>(time.now() - timeline::origin).count());
    std::string line{stamp};
    line += who;
    line.append(who.size() < 8 ? 8 - who.size() : 1, ' ');
    line += what;
    options.tell(line);
  }

  void start(std::size_t i) {
    auto& n = at(i);
    if (n.executor) return;
    ++n.life;
    n.born = time.now();
    n.advanced = 0ms;
    n.wake.reset();
    n.parting = false;
    n.stalled = span{0};
    n.stalls.clear();
    n.stalled_since.reset();
    n.deferred.clear();
    say(n.name, "starts its life " + std::to_string(n.life));
    n.executor = std::make_unique<executor>(time.draw());

    cluster_options o;
    o.cluster = "simulated";
    o.node = n.name;
    for (const std::string& each : options.nodes)
      o.nodes.push_back({each, {}, {}, each + ":7000", {}});
    o.limits = options.limits;
    o.bulk = options.bulk;
    o.liveness = options.liveness;
    o.now = [this] { return time.now(); };
    o.random = [this] { return time.draw(); };
    o.log = [this, i](cluster_options::weight, const std::string& line) { logged(i, line); };
    n.cluster = cluster_shell_access::make(
        n.executor->system(), std::move(o),
        std::make_unique<simulated_node::implementation::carrier>(n, *net));
    if (options.on_start) options.on_start(*nodes[i]);
    n.executor->run_until_idle();
    cluster_shell_access::of(*n.cluster).start().value();
    tick(i, n.life);
    n.work();
  }

  void logged(std::size_t i, const std::string& line) {
    say(at(i).name, line);
    if (const std::string_view of = ended_session(line); !of.empty())
      for (std::size_t other = 0; other < nodes.size(); ++other)
        if (options.nodes[other] == of) ++at(i).sessions_ended[other];
    if (options.on_log) options.on_log(*nodes[i], line);
  }

  /// The carrier's own time.
  void tick(std::size_t i, std::uint64_t life) {
    time.after(carrier_period + time.any(options.network.tardiness), [this, i, life] {
      auto& n = at(i);
      if (n.life != life || !n.events) return;
      if (!n.stalled_since && net->busy(i)) n.deliver([&n](wire::link_events& e) { n.tick(e); });
      tick(i, life);
    });
  }

  /// The process is gone: nothing that its destructors do is seen by anyone.
  void throw_away(std::size_t i) {
    auto& n = at(i);
    n.events = nullptr;
    if (options.on_end) options.on_end(*nodes[i]);
    cluster_shell_access::of(*n.cluster).stop(0ms);
    (void)n.executor->system().stop(0ms);
    n.cluster.reset();
    n.executor.reset();
    n.deferred.clear();
    n.stalled_since.reset();
    n.due.reset();
    n.wake.reset();
  }

  void parting(std::size_t i, std::uint64_t life) {
    auto& n = at(i);
    if (n.life != life || !n.executor) return;
    auto& shell = cluster_shell_access::of(*n.cluster);
    if (!n.stalled_since && (shell.has_left() || time.now() >= n.parts_by)) {
      n.catch_up();
      shell.stop(0ms);
      n.executor->run_until_idle();
      say(n.name, "has stopped");
      throw_away(i);
      return;
    }
    time.after(parting_period, [=, this] { parting(i, life); });
  }

  void go_on(std::size_t i) {
    auto& n = at(i);
    if (!n.stalled_since) return;
    n.stalled += std::chrono::duration_cast<span>(time.now() - *n.stalled_since);
    n.stalls.emplace_back(*n.stalled_since, time.now());
    n.stalled_since.reset();
    say(n.name, "goes on");
    // Its timers are late, and so is what has arrived: any of them may come first.
    const auto on_time = [&n] {
      if (n.events) n.deliver([&n](wire::link_events& e) { n.tick(e); });
    };
    const bool time_first = time.one_in(2);
    if (time_first) on_time();
    auto waiting = std::exchange(n.deferred, {});
    for (auto& what : waiting) n.deliver(std::move(what));
    if (!time_first) on_time();
    n.catch_up();
    n.work();
  }

  /// One thing that happens by `until`. False: there is none.
  bool one(time_point until) {
    simulated_node::implementation* first = nullptr;
    for (const auto& each : nodes) {
      auto& n = *each->impl_;
      if (n.due && !n.stalled_since && (!first || *n.due < *first->due)) first = &n;
    }
    const auto next = time.next();
    if (first && (!next || *first->due < *next)) {
      if (*first->due > until) return false;
      time.move_to(*first->due);
      first->catch_up();
      first->work();
      return true;
    }
    if (!next || *next > until) return false;
    time.run_next();
    return true;
  }

  simulation_options options;
  timeline time;
  std::optional<network> net;
  std::vector<std::unique_ptr<simulated_node>> nodes;
};

simulation::simulation(simulation_options options)
    : impl_(std::make_unique<implementation>(std::move(options))) {}

simulation::~simulation() {
  for (std::size_t i = 0; i < size(); ++i)
    if (impl_->at(i).executor) impl_->throw_away(i);
}

std::size_t simulation::size() const noexcept { return impl_->nodes.size(); }
simulated_node& simulation::operator[](std::size_t node) noexcept { return *impl_->nodes[node]; }
span simulation::now() const noexcept { return impl_->time.since_origin(); }
std::uint64_t simulation::any(std::uint64_t below) { return impl_->time.any(below); }
std::uint64_t simulation::digest() const noexcept { return impl_->time.digest(); }
void simulation::note(std::string_view what) { impl_->say("", what); }

void simulation::advance(span time) {
  const time_point until = impl_->time.now() + time;
  while (impl_->one(until)) {
  }
  impl_->time.move_to(until);
}

bool simulation::advance_until(const std::function<bool()>& holds, span limit) {
  const time_point until = impl_->time.now() + limit;
  while (!holds()) {
    if (impl_->one(until)) continue;
    impl_->time.move_to(until);
    return holds();
  }
  return true;
}

void simulation::after(span time, std::function<void()> what) {
  impl_->time.after(time, std::move(what));
}

void simulation::start() {
  for (std::size_t i = 0; i < size(); ++i) start(i);
}
void simulation::start(std::size_t node) { impl_->start(node); }

void simulation::stop(std::size_t node, std::chrono::milliseconds deadline) {
  auto& n = impl_->at(node);
  if (!n.executor || n.parting) return;
  impl_->say(n.name, "is told to stop within " + in_milliseconds(deadline));
  n.parting = true;
  n.parts_by = impl_->time.now() + deadline;
  cluster_shell_access::of(*n.cluster).leave(deadline);
  impl_->parting(node, n.life);
}

void simulation::end(std::size_t node, crash how) {
  auto& n = impl_->at(node);
  if (!n.executor) return;
  impl_->say(n.name, how == crash::killed ? "is killed" : "loses its power");
  n.events = nullptr;
  impl_->net->lost(node, how);
  impl_->throw_away(node);
}

void simulation::stall(std::size_t node, span time) {
  auto& n = impl_->at(node);
  if (!n.executor || n.stalled_since) return;
  impl_->say(n.name, "is stalled for " + in_milliseconds(time));
  n.stalled_since = impl_->time.now();
  impl_->time.after(time, [this, node, life = n.life, since = *n.stalled_since] {
    auto& later = impl_->at(node);
    if (later.life == life && later.stalled_since == since) impl_->go_on(node);
  });
}

void simulation::go_on(std::size_t node) { impl_->go_on(node); }

void simulation::cut(std::size_t from, std::size_t to) {
  if (from == to || is_cut(from, to)) return;
  impl_->say("",
             "nothing of " + impl_->options.nodes[from] + " reaches " + impl_->options.nodes[to]);
  impl_->net->cut(from, to);
}
bool simulation::is_cut(std::size_t from, std::size_t to) const {
  return impl_->net->is_cut(from, to);
}
void simulation::mend(std::size_t from, std::size_t to) {
  if (from == to || !is_cut(from, to)) return;
  impl_->say("", impl_->options.nodes[from] + " reaches " + impl_->options.nodes[to] + " again");
  impl_->net->mend(from, to);
}
void simulation::mend() {
  for (std::size_t a = 0; a < size(); ++a)
    for (std::size_t b = 0; b < size(); ++b) mend(a, b);
}
void simulation::reset(std::size_t a, std::size_t b) {
  impl_->say("", "links between " + impl_->options.nodes[a] + " and " + impl_->options.nodes[b] +
                     " are reset");
  impl_->net->reset(a, b);
}
void simulation::give_up(std::size_t at, std::size_t other) {
  impl_->say(impl_->options.nodes[at],
             "its kernel gives up its links with " + impl_->options.nodes[other]);
  impl_->net->give_up(at, other);
}
void simulation::dials(std::size_t from, std::size_t to, dial_fate fate) {
  impl_->net->dials(from, to, fate);
}
std::size_t simulation::links(std::size_t a, std::size_t b) const {
  return impl_->net->links(a, b);
}

bool simulation::all_up() {
  std::vector<std::vector<member>> views;
  for (const auto& n : impl_->nodes) {
    if (!n->running() || n->stalled()) return false;
    views.push_back(n->cluster().members());
  }
  for (std::size_t judge = 0; judge < size(); ++judge)
    for (std::size_t of = 0; of < size(); ++of) {
      const member& seen = views[judge][of];
      if (seen.opinion != opinion::up || seen.incarnation != views[of][of].incarnation ||
          (judge != of && !seen.session))
        return false;
    }
  return true;
}

}  // namespace coppice::testing
