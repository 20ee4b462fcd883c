// SPDX-License-Identifier: BSD-3-Clause
// Three to seven minds on one virtual clock, whose links are slow, cut one way or both, whose
// processes are stopped, killed and restarted. What each of them says is compared with what really
// happened, which only the simulation knows.
#include <coppice/runtime/cluster/liveness.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

using coppice::liveness_options;
using coppice::loopback_liveness;
using coppice::node_incarnation;
using coppice::opinion;
using coppice::opinion_change;
using std::chrono::milliseconds;
using namespace std::chrono_literals;
using namespace coppice::detail;

namespace {

/// Virtual time, in a resolution in which jitter is not always a whole millisecond.
using time_point = liveness::time_point;
using span = std::chrono::microseconds;

constexpr time_point origin{1h};
/// How late a process that runs gets to its timers, at most.
constexpr span tardiness = 10ms;

const std::vector<std::string> all_names{"alpha",   "beta", "gamma", "delta",
                                         "epsilon", "zeta", "eta"};

struct heartbeat {};
struct goodbye {};
struct refusal {};
using content = std::variant<heartbeat, liveness_question, liveness_answer, goodbye, refusal>;

struct message {
  std::size_t from, to;
  std::uint64_t from_life, to_life;  ///< of the two processes that the connection was between
  content what;
};

struct failure {
  std::string what;
};

class world {
 public:
  /// What may happen to the nodes besides delay and jitter.
  enum class weather {
    calm,     ///< nothing
    one_way,  ///< one node does not hear one other for a while
    rough,    ///< anything
  };

  world(std::uint64_t seed, weather kind, bool aloud) : random_(seed), aloud_(aloud), kind_(kind) {
    choose_options();
    const std::size_t count = 3 + any(5);
    // What is asked after a cut has to be answered before the verdict.
    const span beat = kind == weather::one_way ? options_.heartbeat / 6 : options_.heartbeat;
    for (std::size_t i = 0; i < count; ++i) nodes_.push_back(node{.name = all_names[i]});
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t j = 0; j < count; ++j) {
        links_.push_back({.least = any(beat / 4), .jitter = any(beat * 3 / 4)});
        truths_.emplace_back();
      }
  }

  void run() {
    say("options: heartbeat " + ms(options_.heartbeat) + ", suspect " + ms(options_.suspect_after) +
        ", unreachable " + ms(options_.unreachable_after));
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      at(any(span{options_.heartbeat}), [this, i] { start(i); });
    const span trouble =
        kind_ == weather::one_way
            ? 2 * (options_.indirect_limit + options_.unreachable_after) + 8 * options_.heartbeat
            : 12 * options_.unreachable_after;
    if (kind_ == weather::rough) after(3 * options_.heartbeat, [=, this] { misfortune(trouble); });
    if (kind_ == weather::one_way) after(any(trouble / 2), [this] { part(); });
    at(trouble, [this] { heal(); });
    look();
    play(trouble + settling());
    everybody_up();
    const auto before = told_;
    play(trouble + settling() + 3 * options_.unreachable_after);
    everybody_up();
    if (told_ != before) throw failure{"opinions changed although all was well again"};
  }

  std::uint64_t told() const { return told_; }

 private:
  struct node {
    std::string name;
    std::uint64_t life = 0;
    std::unique_ptr<liveness> mind{};
    bool stopped = false;
    bool ticking = false;
    time_point stopped_at{};
    /// All the time for which it was stopped for so long that it must have noticed, and how often.
    span stalled{0};
    std::uint64_t stalls = 0;
    time_point starved_at{};  ///< when the last stop of any length ended
    std::vector<std::uint64_t> known{};  ///< the life of each peer that it has been connected to
    std::vector<message> held{};  ///< what waits to be read
  };
  struct link {
    span least, jitter;
    bool open = true;
    time_point last{};  ///< when the last message on it arrives: what follows comes later
  };
  /// What one node could know of another.
  struct truth {
    time_point delivered = origin;  ///< the last message to it
    time_point known_to_any = origin;  ///< or to another that could have told it
    span judge_stalled{0};  ///< node::stalled of the judge at the last delivery
    std::uint64_t judge_stalls = 0;
    opinion said = opinion::unknown;  ///< the last opinion it was told
    node_incarnation of{};
  };
  struct event {
    time_point at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  // ---- chance -------------------------------------------------------------------------------

  std::uint64_t any(std::uint64_t below) { return below == 0 ? 0 : random_() % below; }
  span any(span below) {
    return span{static_cast<span::rep>(any(static_cast<std::uint64_t>(below.count())))};
  }
  bool one_in(std::uint64_t n) { return any(n) == 0; }

  void choose_options() {
    switch (any(3)) {
      case 0: break;
      case 1: options_ = loopback_liveness; break;
      default: {
        const milliseconds beat{20 + static_cast<int>(any(400))};
        options_.heartbeat = beat;
        options_.late_after = std::max(milliseconds{10}, beat * (1 + static_cast<int>(any(3))));
        options_.suspect_after = 2 * beat + std::max(beat, options_.late_after) +
                                 milliseconds{static_cast<int>(any(1'000))};
        options_.unreachable_after =
            options_.suspect_after + 2 * beat + milliseconds{static_cast<int>(any(4'000))};
        options_.indirect_limit =
            options_.unreachable_after + milliseconds{static_cast<int>(any(20'000))};
        options_.ask_again =
            std::max(beat, (options_.unreachable_after - options_.suspect_after) / 4);
        options_.doubt_for = beat * (1 + static_cast<int>(any(20)));
        options_.indirect_probes = static_cast<std::uint32_t>(any(5));
        options_.window = 10 + static_cast<std::uint32_t>(any(200));
      }
    }
    if (!validate(options_)) throw failure{validate(options_).error().message()};
  }

  // ---- the clock ----------------------------------------------------------------------------

  void when(time_point time, std::function<void()> what) {
    events_.push_back({std::max(now_, time), ++order_, std::move(what)});
    std::push_heap(events_.begin(), events_.end());
  }
  void at(span time, std::function<void()> what) { when(origin + time, std::move(what)); }
  void after(span time, std::function<void()> what) { when(now_ + time, std::move(what)); }
  void play(span until) {
    while (!events_.empty() && events_.front().at <= origin + until) {
      std::pop_heap(events_.begin(), events_.end());
      const event next = std::move(events_.back());
      events_.pop_back();
      now_ = next.at;
      next.what();
    }
    now_ = origin + until;
  }
  void say(const std::string& line) const {
    if (aloud_)
      std::printf("%9.3f s  %s\n", std::chrono::duration<double>(now_ - origin).count(),
                  line.c_str());
  }
  static std::string ms(time_point::duration time) {
    return std::to_string(std::chrono::duration_cast<milliseconds>(time).count()) + " ms";
  }

  // ---- nodes --------------------------------------------------------------------------------

  link& from_to(std::size_t from, std::size_t to) { return links_[from * nodes_.size() + to]; }
  truth& truth_of(std::size_t judge, std::size_t peer) {
    return truths_[judge * nodes_.size() + peer];
  }
  /// Peers are numbered in the order of the nodes, with the node itself left out.
  static peer_index index(std::size_t self, std::size_t other) {
    return static_cast<peer_index>(other < self ? other : other - 1);
  }
  static std::size_t number(std::size_t self, peer_index peer) {
    return peer < self ? peer : peer + 1;
  }
  static node_incarnation incarnation(std::size_t who, std::uint64_t life) {
    return {(std::uint64_t{who} + 1) << 60 | life << 32, life};
  }

  void start(std::size_t who) {
    node& n = nodes_[who];
    if (n.mind) return;
    std::vector<std::string> others;
    for (const node& other : nodes_)
      if (&other != &n) others.push_back(other.name);
    ++n.life;
    n.known.assign(nodes_.size(), 0);
    n.held.clear();
    n.starved_at = origin;
    n.mind = std::make_unique<liveness>(options_, n.name, incarnation(who, n.life), others, now_);
    for (std::size_t peer = 0; peer < nodes_.size(); ++peer) truth_of(who, peer) = {};
    say(n.name + " starts its life " + std::to_string(n.life));
    send_heartbeats_of(who);
    tick(who, n.life);
  }
  void die(std::size_t who) {
    node& n = nodes_[who];
    n.mind.reset();
    n.held.clear();
    n.stopped = false;
  }

  void tick(std::size_t who, std::uint64_t life) {
    const span late = one_in(200) ? any(span{options_.late_after} - tardiness) : any(tardiness);
    nodes_[who].ticking = true;
    when(std::max(now_, nodes_[who].mind->next()) + late, [this, who, life] {
      node& n = nodes_[who];
      if (!n.mind || n.life != life) return;
      n.ticking = !n.stopped;
      if (n.stopped) return;
      liveness_actions todo;
      n.mind->time(now_, todo);
      carry_out(who, todo);
      tick(who, life);
    });
  }

  void stop(std::size_t who, span time) {
    node& n = nodes_[who];
    if (!n.mind || n.stopped) return;
    say(n.name + " is stopped for " + ms(time));
    n.stopped = true;
    n.stopped_at = now_;
    after(time, [this, who, life = n.life, since = now_] {
      if (nodes_[who].life == life && nodes_[who].stopped_at == since) go_on(who);
    });
  }
  void go_on(std::size_t who) {
    node& n = nodes_[who];
    if (!n.mind || !n.stopped) return;
    say(n.name + " goes on");
    n.stopped = false;
    n.starved_at = now_;
    const auto time = std::chrono::duration_cast<span>(now_ - n.stopped_at);
    // A shorter stop may go unnoticed, and is then no excuse.
    if (time > span{options_.late_after} + options_.heartbeat + tardiness) {
      n.stalled += time;
      ++n.stalls;
    }
    // What has waited is read before or after its timers have run.
    after(one_in(2) ? span{0} : any(span{5ms}),
          [this, who, life = n.life] { read_held(who, life); });
    if (!n.ticking) tick(who, n.life);
  }
  void read_held(std::size_t who, std::uint64_t life) {
    node& n = nodes_[who];
    if (!n.mind || n.life != life || n.stopped) return;
    std::vector<message> held;
    held.swap(n.held);
    for (const message& m : held) receive(m);
  }

  // ---- messages -----------------------------------------------------------------------------

  void send(std::size_t from, std::size_t to, content what) {
    link& l = from_to(from, to);
    if (!l.open) return;
    l.last = std::max(l.last, now_ + l.least + any(l.jitter));
    when(l.last, [this, m = message{from, to, nodes_[from].life, nodes_[to].life,
                                    std::move(what)}] { arrive(m); });
  }
  void send_heartbeats_of(std::size_t who) {
    for (std::size_t peer = 0; peer < nodes_.size(); ++peer)
      if (peer != who) send(who, peer, heartbeat{});
  }

  void arrive(const message& m) {
    node& n = nodes_[m.to];
    if (!n.mind || n.life != m.to_life) return;  // the connection died with the process
    if (n.stopped || !n.held.empty()) {
      n.held.push_back(m);
    } else {
      receive(m);
    }
  }

  void receive(const message& m) {
    node& n = nodes_[m.to];
    const peer_index peer = index(m.to, m.from);
    if (m.from_life < n.known[m.from]) return;
    liveness_actions todo;
    if (std::holds_alternative<refusal>(m.what)) {
      if (nodes_[m.from].mind) return;  // dialled again meanwhile
      n.mind->refused(peer, now_, todo);
      return carry_out(m.to, todo);
    }
    if (m.from_life > n.known[m.from]) {
      n.known[m.from] = m.from_life;
      n.mind->connected(peer, incarnation(m.from, m.from_life), now_, todo);
    } else {
      n.mind->heard(peer, now_, todo);
    }
    delivered(m.to, m.from);
    if (const auto* q = std::get_if<liveness_question>(&m.what))
      n.mind->asked(peer, *q, now_, todo);
    if (const auto* a = std::get_if<liveness_answer>(&m.what))
      n.mind->answered(peer, *a, now_, todo);
    if (std::holds_alternative<goodbye>(m.what)) n.mind->left(peer, now_, todo);
    carry_out(m.to, todo);
  }

  void carry_out(std::size_t who, const liveness_actions& todo) {
    for (const liveness_action& a : todo) {
      if (std::holds_alternative<send_heartbeats>(a)) send_heartbeats_of(who);
      if (const auto* q = std::get_if<send_question>(&a)) send(who, number(who, q->to), q->what);
      if (const auto* w = std::get_if<send_answer>(&a)) send(who, number(who, w->to), w->what);
      if (const auto* d = std::get_if<tell_doubt>(&a)) say(d->reason);
      if (const auto* o = std::get_if<tell_opinion>(&a)) judged(who, number(who, o->peer), o->what);
    }
    if (const node& n = nodes_[who]; n.mind->next() > now_ + options_.heartbeat)
      throw failure{n.name + " does not want to be called within a heartbeat"};
  }

  // ---- trouble ------------------------------------------------------------------------------

  void misfortune(span until) {
    if (now_ - origin >= until) return;
    const std::size_t who = any(nodes_.size());
    const std::size_t other = any(nodes_.size());
    const span longest = 3 * options_.unreachable_after;
    node& n = nodes_[who];
    switch (any(8)) {
      case 0: stop(who, any(one_in(2) ? longest : span{options_.suspect_after})); break;
      case 1:  // one way
        cut(who, other);
        break;
      case 2:  // both
        cut(who, other);
        cut(other, who);
        break;
      case 3:  // from everybody
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
          cut(who, i);
          if (one_in(2)) cut(i, who);
        }
        break;
      case 4:
        for (link& l : links_) l.open |= one_in(2);
        say("some links are mended");
        break;
      case 5:
        if (!n.mind) break;
        say(n.name + " is killed");
        die(who);
        for (std::size_t i = 0; i < nodes_.size(); ++i)
          if (i != who && from_to(i, who).open && one_in(2)) send(who, i, refusal{});
        break;
      case 6:
        if (!n.mind || n.stopped) break;
        say(n.name + " says goodbye");
        for (std::size_t i = 0; i < nodes_.size(); ++i)
          if (i != who) send(who, i, goodbye{});
        die(who);
        break;
      default: start(who);
    }
    after(any(span{options_.unreachable_after} * 2 / 3), [this, until] { misfortune(until); });
  }
  void part() {
    deaf_ = any(nodes_.size());
    unheard_ = (deaf_ + 1 + any(nodes_.size() - 1)) % nodes_.size();
    cut(unheard_, deaf_);
  }
  void cut(std::size_t from, std::size_t to) {
    if (from == to) return;
    say("nothing of " + nodes_[from].name + " reaches " + nodes_[to].name);
    from_to(from, to).open = false;
  }
  void heal() {
    say("all is well again");
    for (link& l : links_) l.open = true;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      go_on(i);
      start(i);
    }
  }
  /// A heartbeat has to be sent and to arrive, however late in doing both.
  span settling() const { return 3 * options_.heartbeat + options_.late_after; }

  // ---- the truth ----------------------------------------------------------------------------

  void delivered(std::size_t judge, std::size_t peer) {
    truth& t = truth_of(judge, peer);
    t.delivered = now_;
    t.judge_stalled = nodes_[judge].stalled;
    t.judge_stalls = nodes_[judge].stalls;
    t.known_to_any = now_;
    if (nodes_[judge].mind->doubting()) return;
    for (std::size_t i = 0; i < nodes_.size(); ++i) truth_of(i, peer).known_to_any = now_;
  }

  void judged(std::size_t judge, std::size_t peer, const opinion_change& c) {
    ++told_;
    say(c.reason);
    truth& t = truth_of(judge, peer);
    const std::string who = nodes_[judge].name + " about " + nodes_[peer].name + ": ";
    const bool next_life = t.of != c.incarnation;
    if (c.from != (next_life ? opinion::unknown : t.said))
      throw failure{who + "an opinion changes from what it was not: " + c.reason};
    if (next_life && c.to != opinion::up) throw failure{who + "a life does not begin as up"};
    t.of = c.incarnation;
    t.said = c.to;
    const bool by_silence = c.reason.find("silent for") != std::string::npos;
    if (!by_silence) return;
    if (kind_ != weather::rough && (judge != deaf_ || peer != unheard_))
      throw failure{"a peer with mere jitter is suspect: " + c.reason};
    // For how long the judge has really run without hearing it. Of each stop the part until it
    // wanted to be called again counts, for it cannot know when the stop began.
    const span ran = std::chrono::duration_cast<span>(now_ - t.delivered) -
                     (nodes_[judge].stalled - t.judge_stalled) +
                     (nodes_[judge].stalls - t.judge_stalls) * span{options_.heartbeat};
    const bool others_hear_it = kind_ == weather::one_way && options_.indirect_probes > 0;
    const span needed = c.to == opinion::suspect ? options_.suspect_after
                        : others_hear_it         ? options_.indirect_limit
                                                 : options_.unreachable_after;
    if (c.to == opinion::unreachable && others_hear_it && !c.partly_reachable)
      throw failure{who + "nobody has told it that others hear it: " + c.reason};
    if (ran < needed)
      throw failure{who + "judged after a silence of " + ms(ran) +
                    " of its own time, too early: " + c.reason};
  }

  /// What must not remain: opinions that somebody who was awake should have changed.
  void look() {
    for (std::size_t judge = 0; judge < nodes_.size(); ++judge) {
      const node& n = nodes_[judge];
      if (!n.mind || n.stopped) continue;
      for (std::size_t peer = 0; peer < nodes_.size(); ++peer) {
        const truth& t = truth_of(judge, peer);
        if (t.said != opinion::up && t.said != opinion::suspect) continue;
        const auto overdue = [&](time_point since, span limit) {
          // It has been awake and sure of itself since then, or late by less than it notices.
          return n.starved_at + options_.doubt_for < since &&
                 now_ - since > limit + std::max(2 * options_.heartbeat,
                                                 options_.heartbeat + options_.late_after);
        };
        const char* wrong = nullptr;
        if (t.said == opinion::up && overdue(t.delivered, coppice::latest_suspicion(options_)))
          wrong = "still up, though not heard for too long";
        if (overdue(t.known_to_any, options_.unreachable_after))
          wrong = "nobody has heard it, and it is not unreachable";
        if (overdue(t.delivered, options_.indirect_limit))
          wrong = "not heard for longer than the limit, and not unreachable";
        if (wrong) throw failure{n.name + " about " + nodes_[peer].name + ": " + wrong};
      }
    }
    after(span{options_.heartbeat} / 2, [this] { look(); });
  }

  void everybody_up() {
    for (std::size_t judge = 0; judge < nodes_.size(); ++judge)
      for (std::size_t peer = 0; peer < nodes_.size(); ++peer) {
        if (judge == peer) continue;
        const peer_view seen = nodes_[judge].mind->view(index(judge, peer));
        if (seen.what != opinion::up || truth_of(judge, peer).said != opinion::up ||
            seen.incarnation != incarnation(peer, nodes_[peer].life))
          throw failure{nodes_[judge].name + " does not hold " + nodes_[peer].name +
                        " for up although all is well again"};
      }
  }

  static constexpr std::size_t nobody = 99;

  std::mt19937_64 random_;
  bool aloud_;
  weather kind_;
  liveness_options options_;
  std::size_t deaf_ = nobody, unheard_ = nobody;  ///< who does not hear whom in the one-way case
  std::vector<node> nodes_;
  std::vector<link> links_;
  std::vector<truth> truths_;
  std::vector<event> events_;  ///< a heap, the next one in front
  std::uint64_t order_ = 0;
  std::uint64_t told_ = 0;
  time_point now_ = origin;
};

/// Also where the machine has no time to give.
constexpr std::uint64_t fewest_seeds = 10;

/// Worlds until the time is over. `COPPICE_SEED` replays one of them, aloud.
void simulate(world::weather kind, milliseconds budget, const std::string& name) {
  const char* only = std::getenv("COPPICE_SEED");
  const bool soak = std::getenv("COPPICE_SOAK") != nullptr;
  std::uint64_t seed = only ? std::strtoull(only, nullptr, 10) : soak ? std::random_device{}() : 1;
  const auto until = std::chrono::steady_clock::now() + (soak ? 20 * budget : budget);
  std::uint64_t seeds = 0, told = 0;
  do {
    try {
      world w{seed, kind, only != nullptr};
      w.run();
      told += w.told();
    } catch (const failure& f) {
      FAIL(f.what << "\nreplay: COPPICE_SEED=" << seed
                  << " test_cluster --source-file='*liveness_simulation_test.cpp' --test-case='"
                  << name << "'");
    }
    ++seeds;
    ++seed;
  } while (!only && (seeds < fewest_seeds || std::chrono::steady_clock::now() < until));
  std::printf("%s: %llu seeds, %llu opinions\n", name.c_str(),
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(told));
}

}  // namespace

TEST_CASE("opinions follow the truth through cuts, stops, deaths and restarts") {
  simulate(world::weather::rough, 1'200ms,
           "opinions follow the truth through cuts, stops, deaths and restarts");
}

TEST_CASE("a peer that one node alone does not hear is suspect for long, and up for all others") {
  simulate(world::weather::one_way, 400ms,
           "a peer that one node alone does not hear is suspect for long, and up for all others");
}

TEST_CASE("nodes with mere delay and jitter never suspect one another") {
  simulate(world::weather::calm, 400ms,
           "nodes with mere delay and jitter never suspect one another");
}
