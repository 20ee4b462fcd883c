// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/liveness.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
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

constexpr peer_index beta = 0, delta = 1, zeta = 2, theta = 3;
const std::vector<std::string> greek{"beta", "delta", "zeta", "theta", "kappa", "eta"};

node_incarnation life(std::uint64_t n) { return {n << 32, n}; }

/// The mind of a node called alpha, its clock, and what it wanted done.
struct bench {
  explicit bench(peer_index peers, const liveness_options& chosen = {})
      : options(chosen),
        mind(options, "alpha", life(0xa1), {greek.begin(), greek.begin() + peers}, now) {}

  /// Lets time pass, keeping every appointment. `talkative` peers are heard every heartbeat.
  void run(milliseconds time, const std::vector<peer_index>& talkative = {}) {
    const auto until = now + time;
    auto next_word = now;
    while (true) {
      const auto next = std::min(mind.next(), talkative.empty() ? until : next_word);
      if (next > until) break;
      now = std::max(now, next);
      if (now >= next_word) {
        for (const peer_index peer : talkative) mind.heard(peer, now, todo);
        next_word += options.heartbeat;
      }
      if (now >= mind.next()) mind.time(now, todo);
      if (now == until) break;
    }
    now = until;
  }
  /// The process is stopped.
  void stall(milliseconds time) { now += time; }

  void connect(peer_index peer, std::uint64_t n = 0xb1) {
    mind.connected(peer, life(n), now, todo);
  }
  void connect_all(peer_index count) {
    for (peer_index i = 0; i < count; ++i) connect(i);
    todo.clear();
  }
  void hear(peer_index peer) { mind.heard(peer, now, todo); }

  opinion of(peer_index peer) const { return mind.view(peer).what; }

  template <class Action>
  std::vector<Action> take() const {
    std::vector<Action> found;
    for (const liveness_action& a : todo)
      if (const auto* one = std::get_if<Action>(&a)) found.push_back(*one);
    return found;
  }
  std::vector<opinion_change> changes() const {
    std::vector<opinion_change> found;
    for (const tell_opinion& t : take<tell_opinion>()) found.push_back(t.what);
    return found;
  }
  /// The reasons of all changes, and of doubts, in order, one a line.
  std::string told() const {
    std::string found;
    for (const liveness_action& a : todo) {
      if (const auto* o = std::get_if<tell_opinion>(&a)) found += o->what.reason + '\n';
      if (const auto* d = std::get_if<tell_doubt>(&a)) found += d->reason + '\n';
    }
    return found;
  }

  /// Answers all questions since the last call: heard so long ago.
  void answer_all(std::optional<std::uint32_t> heard_ms_ago, bool doubting = false,
                  std::optional<node_incarnation> of = {}) {
    const auto questions = take<send_question>();
    todo.clear();
    for (const send_question& q : questions) {
      hear(q.to);
      mind.answered(
          q.to,
          {q.what.number, q.what.about, of.value_or(q.what.incarnation), heard_ms_ago, doubting},
          now, todo);
    }
  }

  liveness_options options;
  liveness::time_point now{1h};
  liveness mind;
  liveness_actions todo;
};

}  // namespace

// ---- opinions ---------------------------------------------------------------------------------

TEST_CASE("a peer that was never met is unknown, whatever is read or refused and however long") {
  bench b{1};
  b.hear(beta);
  b.mind.refused(beta, b.now, b.todo);
  b.mind.left(beta, b.now, b.todo);
  b.run(1min);
  CHECK(b.of(beta) == opinion::unknown);
  CHECK(b.changes().empty());
}

TEST_CASE("a peer that is connected is up, and stays so for as long as anything of it is read") {
  bench b{1};
  b.connect(beta);
  b.run(10min, {beta});
  CHECK(b.of(beta) == opinion::up);
  REQUIRE(b.changes().size() == 1);
  const opinion_change met = b.changes().front();
  CHECK(met.peer == "beta");
  CHECK(met.incarnation == life(0xb1));
  CHECK(met.from == opinion::unknown);
  CHECK(met.to == opinion::up);
  CHECK(met.reason == "alpha#000000a1 has met beta#000000b1");
}

TEST_CASE("a peer falls silent: suspect after 1 s and unreachable after 5 s, to the millisecond") {
  bench b{1};
  b.connect(beta);
  b.run(10s, {beta});
  b.todo.clear();
  b.run(999ms);
  CHECK(b.of(beta) == opinion::up);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(3'999ms);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::unreachable);
  b.run(1h);

  const auto all = b.changes();
  REQUIRE(all.size() == 2);
  CHECK(all[0].from == opinion::up);
  CHECK(all[0].silent_for == 1'000ms);
  CHECK(all[0].phi > 8);
  CHECK(all[1].from == opinion::suspect);
  CHECK(all[1].silent_for == 5'000ms);
  CHECK(all[1].phi == phi_detector::most);
  CHECK(b.told() ==
        "alpha#000000a1 suspects beta#000000b1: silent for 1000 ms, phi 57.1; there is nobody to "
        "ask\n"
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 5000 ms; nobody else could "
        "tell\n");
}

TEST_CASE("in the loopback profile it is suspect after 300 ms and unreachable after 600 ms") {
  bench b{1, loopback_liveness};
  b.connect(beta);
  b.run(10s, {beta});
  b.run(299ms);
  CHECK(b.of(beta) == opinion::up);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(299ms);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("a peer that falls silent right after the first handshake is noticed as soon") {
  for (const auto& options : {liveness_options{}, loopback_liveness}) {
    bench b{1, options};
    b.connect(beta);
    b.run(options.suspect_after);
    CHECK(b.of(beta) == opinion::suspect);
    b.run(options.unreachable_after - options.suspect_after);
    CHECK(b.of(beta) == opinion::unreachable);
  }
}

TEST_CASE("a node that was stopped for 20 s and goes on is up with its first byte") {
  bench b{1};
  b.connect(beta);
  b.run(1s, {beta});
  b.run(20s);
  REQUIRE(b.of(beta) == opinion::unreachable);
  b.todo.clear();
  b.hear(beta);
  CHECK(b.of(beta) == opinion::up);
  REQUIRE(b.changes().size() == 1);
  CHECK(b.changes()[0].from == opinion::unreachable);
  CHECK(b.changes()[0].reason == "alpha#000000a1 hears beta#000000b1 again, after 20000 ms");
  b.run(10s, {beta});
  CHECK(b.changes().size() == 1);
}

TEST_CASE("a suspect that is heard is up again") {
  bench b{1};
  b.connect(beta);
  b.run(1'500ms);
  REQUIRE(b.of(beta) == opinion::suspect);
  b.hear(beta);
  CHECK(b.of(beta) == opinion::up);
  CHECK(b.changes().back().silent_for == 1'500ms);
  b.run(900ms);
  CHECK(b.of(beta) == opinion::up);
}

TEST_CASE("a peer whose machine says that nobody listens is unreachable at once") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {beta, delta});
  b.mind.refused(beta, b.now, b.todo);
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.changes().back().from == opinion::up);
  CHECK(b.changes().back().reason ==
        "alpha#000000a1 finds beta#000000b1 unreachable: nobody listens at its address");
  b.run(1'500ms, {beta});
  REQUIRE(b.of(delta) == opinion::suspect);
  b.mind.refused(delta, b.now, b.todo);
  CHECK(b.of(delta) == opinion::unreachable);
  // And not over and over again while it is dialled.
  b.todo.clear();
  b.mind.refused(delta, b.now, b.todo);
  CHECK(b.todo.empty());
}

TEST_CASE("a peer that says goodbye has left, which is no failure, and its silence is none") {
  bench b{1};
  b.connect(beta);
  b.run(1s, {beta});
  b.todo.clear();
  b.mind.left(beta, b.now, b.todo);
  b.hear(beta);
  b.mind.refused(beta, b.now, b.todo);
  b.mind.left(beta, b.now, b.todo);
  b.run(1min);
  CHECK(b.of(beta) == opinion::left);
  CHECK(b.told() == "beta#000000b1 has left: it said goodbye to alpha#000000a1\n");
  b.connect(beta, 0xb2);
  CHECK(b.of(beta) == opinion::up);
  CHECK(b.changes().back().from == opinion::unknown);
}

TEST_CASE("a goodbye that is taken back leaves no silence behind") {
  bench b{1};
  b.connect(beta);
  b.run(1s, {beta});
  b.mind.left(beta, b.now, b.todo);
  b.run(2s);
  b.todo.clear();
  b.connect(beta);
  REQUIRE(b.changes().size() == 1);
  CHECK(b.changes()[0].silent_for == 0ms);
  CHECK(b.told() == "alpha#000000a1 is connected to beta#000000b1 again\n");
  b.run(1s);
  CHECK(b.of(beta) == opinion::suspect);
}

TEST_CASE("a peer that is killed and restarted within one heartbeat is its next life at once") {
  bench b{1};
  b.connect(beta);
  b.run(10s, {beta});
  b.todo.clear();
  b.run(50ms);
  b.connect(beta, 0xb2);
  const auto all = b.changes();
  REQUIRE(all.size() == 2);
  CHECK(all[0].incarnation == life(0xb1));
  CHECK(all[0].from == opinion::up);
  CHECK(all[0].to == opinion::unreachable);
  CHECK(all[0].reason == "beta#000000b1 is over: alpha#000000a1 has met its next life, 000000b2");
  CHECK(all[1].incarnation == life(0xb2));
  CHECK(all[1].from == opinion::unknown);
  CHECK(all[1].to == opinion::up);
  b.run(1min, {beta});
  CHECK(b.changes().size() == 2);
  CHECK(b.mind.view(beta).incarnation == life(0xb2));
}

TEST_CASE("a next life of a peer that was found unreachable just begins") {
  bench b{1};
  b.connect(beta);
  b.mind.refused(beta, b.now, b.todo);
  b.todo.clear();
  b.connect(beta, 0xb2);
  CHECK(b.told() == "alpha#000000a1 has met beta#000000b2\n");
}

TEST_CASE("a new link of the same life changes nothing of a peer that is up") {
  bench b{1};
  b.connect(beta);
  b.run(500ms);
  b.todo.clear();
  b.connect(beta);
  CHECK(b.changes().empty());
  b.run(999ms);
  CHECK(b.of(beta) == opinion::up);
}

// ---- uneven links -----------------------------------------------------------------------------

TEST_CASE("a link that is known to be uneven is suspected later, and a next life starts afresh") {
  bench b{1};
  b.connect(beta);
  // The mean is 600 ms, the deviation 300, and phi is 8 at 5.612 deviations.
  for (int i = 0; i < 200; ++i) {
    b.run(i % 2 == 0 ? 300ms : 900ms);
    b.hear(beta);
  }
  b.todo.clear();
  b.run(2'283ms);
  CHECK(b.of(beta) == opinion::up);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(2'716ms);
  CHECK(b.of(beta) == opinion::unreachable);

  b.connect(beta, 0xb2);
  b.run(1'000ms);
  CHECK(b.of(beta) == opinion::suspect);
}

TEST_CASE("however uneven a link, suspicion comes half-way to unreachable") {
  bench b{1};
  b.connect(beta);
  for (int i = 0; i < 200; ++i) {
    b.run(i % 2 == 0 ? 200ms : 2'800ms);
    b.hear(beta);
  }
  b.run(2'999ms);
  CHECK(b.of(beta) == opinion::up);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::suspect);
}

TEST_CASE(
    "a link that is silent for longer than the limit now and then is soon suspected no more") {
  bench b{1};
  b.connect(beta);
  b.todo.clear();
  for (int i = 0; i < 20; ++i) {
    b.run(2s, {beta});
    b.run(1'200ms);
    b.hear(beta);
  }
  CHECK(b.changes().size() <= 4);  // twice: suspect and up again
  b.todo.clear();
  for (int i = 0; i < 20; ++i) {
    b.run(2s, {beta});
    b.run(1'200ms);
    b.hear(beta);
  }
  CHECK(b.changes().empty());
}

TEST_CASE("thousands of reads in a burst do not wipe out what is known of the pauses between") {
  bench b{1};
  b.connect(beta);
  for (int round = 0; round < 20; ++round) {
    if (round == 5) b.todo.clear();
    for (int i = 0; i < 2'000; ++i) {
      b.run(1ms);
      b.hear(beta);
    }
    b.run(1'499ms);
    b.hear(beta);
  }
  CHECK(b.changes().empty());
}

TEST_CASE("a silence that was judged unreachable teaches nothing about the link") {
  bench b{1};
  b.connect(beta);
  b.run(10s, {beta});
  b.run(20s);
  b.hear(beta);
  b.run(999ms);
  CHECK(b.of(beta) == opinion::up);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::suspect);
}

TEST_CASE(
    "a node that suspects late, for it was late without noticing, still waits for an answer") {
  liveness_options options = loopback_liveness;
  options.unreachable_after = 500ms;
  bench b{2, options};
  b.connect_all(2);
  for (int i = 0; i < 100; ++i) {  // so uneven that it is suspect at 400 ms
    b.run(i % 2 == 0 ? 100ms : 390ms, {delta});
    b.hear(beta);
  }
  b.run(310ms, {delta});
  b.now = b.mind.next() + options.late_after;
  b.mind.time(b.now, b.todo);
  REQUIRE_FALSE(b.mind.doubting());
  REQUIRE(b.of(beta) == opinion::suspect);
  b.run(options.ask_again - 1ms);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("a peer with a jitter below the heartbeat never flaps") {
  for (const auto& options : {liveness_options{}, loopback_liveness}) {
    std::mt19937 random{7};
    bench b{1, options};
    b.connect(beta);
    b.todo.clear();
    milliseconds sent{0}, arrived{0};
    for (int i = 0; i < 20'000; ++i) {
      sent += options.heartbeat;
      const milliseconds arrives =
          std::max(arrived, sent + milliseconds{random() % options.heartbeat.count()});
      b.run(arrives - arrived);
      arrived = arrives;
      b.hear(beta);
    }
    CHECK(b.changes().empty());
  }
}

// ---- questions --------------------------------------------------------------------------------

TEST_CASE("a suspicion is told to as many as the options say of those that are up, in turn") {
  bench b{6};
  b.connect_all(6);
  b.mind.refused(theta, b.now, b.todo);
  b.todo.clear();
  b.run(1s, {delta, zeta, 4, 5});
  REQUIRE(b.of(beta) == opinion::suspect);
  auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 3);
  CHECK(questions[0].to == delta);
  CHECK(questions[1].to == zeta);
  CHECK(questions[2].to == 4);
  for (const send_question& q : questions) {
    CHECK(q.what.about == "beta");
    CHECK(q.what.incarnation == life(0xb1));
  }
  CHECK(b.told() ==
        "alpha#000000a1 suspects beta#000000b1: silent for 1000 ms, phi 57.1; "
        "asked delta, zeta and kappa\n");
  b.todo.clear();
  b.run(499ms, {delta, zeta, 4, 5});
  CHECK(b.take<send_question>().empty());
  b.run(1ms);
  questions = b.take<send_question>();
  REQUIRE(questions.size() == 3);
  CHECK(questions[0].to == 5);
  CHECK(questions[1].to == delta);
  CHECK(questions[2].to == zeta);
  CHECK(questions[0].what.number == 4);
}

TEST_CASE("a suspect that another node hears is partly reachable, and not unreachable yet") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  REQUIRE(b.of(beta) == opinion::suspect);
  b.run(20ms, {delta});
  b.answer_all(120);
  const auto told = b.changes();
  REQUIRE(told.size() == 1);
  CHECK(told[0].from == opinion::suspect);
  CHECK(told[0].to == opinion::suspect);
  CHECK(told[0].partly_reachable);
  CHECK(told[0].reason ==
        "alpha#000000a1 still suspects beta#000000b1, silent for 1020 ms, but it is partly "
        "reachable: delta heard it 140 ms ago");
  CHECK(b.mind.view(beta).partly_reachable);

  b.run(4'859ms, {delta});
  CHECK(b.of(beta) == opinion::suspect);
  CHECK_FALSE(b.mind.view(beta).partly_reachable);  // delta has said nothing of it since
  b.run(1ms, {delta});
  CHECK(b.of(beta) == opinion::unreachable);

  // The next time it is told again.
  b.hear(beta);
  CHECK_FALSE(b.mind.view(beta).partly_reachable);
  b.run(1s, {delta});
  REQUIRE(b.of(beta) == opinion::suspect);
  b.answer_all(0);
  REQUIRE(b.changes().size() == 1);
  CHECK(b.changes()[0].partly_reachable);
}

TEST_CASE("what others hear delays unreachable, but not beyond the limit") {
  bench b{2};
  b.connect_all(2);
  std::vector<opinion_change> all;
  const auto until = b.now + 14'990ms;
  while (b.now < until) {
    b.run(10ms, {delta});
    for (const opinion_change& c : b.changes()) all.push_back(c);
    b.answer_all(50);
    for (const opinion_change& c : b.changes()) all.push_back(c);
    b.todo.clear();
  }
  CHECK(b.of(beta) == opinion::suspect);
  CHECK(all.size() == 2);  // suspect, and once that it is partly reachable
  b.run(10ms, {delta});
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.changes().back().partly_reachable);
  CHECK(b.changes().back().reason ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 15000 ms; delta heard it 550 "
        "ms ago");
}

TEST_CASE("a peer that has fallen silent to all is unreachable when the last has not heard it") {
  bench b{3};
  b.connect_all(3);
  b.run(1s, {delta, zeta});
  b.answer_all(900);  // a heartbeat or less after it was heard here
  CHECK(b.changes().empty());
  const auto until = b.now + 4'090ms;
  std::uint32_t ago = 900;
  while (b.now < until) {
    b.run(10ms, {delta, zeta});
    ago += 10;
    b.answer_all(ago);
  }
  CHECK(b.of(beta) == opinion::suspect);
  b.run(10ms, {delta, zeta});
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.changes().back().reason ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 5100 ms; delta and zeta do "
        "not hear it either");
}

TEST_CASE("of several answers the one that heard it last counts, whichever comes last") {
  bench b{3};
  b.connect_all(3);
  b.run(1s, {delta, zeta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 2);
  for (const send_question& q : questions)
    b.mind.answered(q.to, {q.what.number, "beta", life(0xb1), q.to == delta ? 100u : 700u, false},
                    b.now, b.todo);
  b.todo.clear();
  b.run(4'899ms, {delta, zeta});
  CHECK(b.of(beta) == opinion::suspect);
  b.run(1ms);
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.told() ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 5900 ms; zeta does not hear it "
        "either\n");

  // What was answered then is not told of the next silence.
  b.hear(beta);
  b.run(1s, {delta, zeta});
  b.todo.clear();
  b.run(4s, {delta, zeta});
  CHECK(b.told() ==
        "alpha#000000a1 finds beta#000000b1 unreachable: silent for 5000 ms; nobody else could "
        "tell\n");
}

TEST_CASE("a node that hears another life of the suspect does not vouch for this one") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  const auto until = b.now + 4s;
  while (b.now < until) {
    b.run(10ms, {delta});
    b.answer_all(0, false, life(0xb2));
  }
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("the word of a node that doubts itself counts for nothing") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  const auto until = b.now + 4s;
  while (b.now < until) {
    b.run(10ms, {delta});
    b.answer_all(0, true);
  }
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("an answer that took long is no younger than its question") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 1);
  b.run(2'400ms, {delta});
  b.mind.answered(delta, {questions[0].what.number, "beta", life(0xb1), 0, false}, b.now, b.todo);
  CHECK_FALSE(b.mind.view(beta).partly_reachable);
  // It was heard elsewhere 1 s later than here.
  b.run(2'599ms, {delta});
  CHECK(b.of(beta) == opinion::suspect);
  b.run(1ms, {delta});
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("an answer about a peer that is heard again comes too late to matter") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {delta});
  REQUIRE(b.take<send_question>().size() == 1);
  b.hear(beta);
  b.answer_all(0);
  CHECK(b.changes().empty());
  CHECK(b.of(beta) == opinion::up);
}

TEST_CASE("what was not asked, or not of that node, is no answer") {
  bench b{3};
  b.connect_all(3);
  b.run(1s, {delta, zeta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() == 2);
  const auto number = questions[0].what.number;
  REQUIRE(questions[0].to == delta);
  b.todo.clear();
  b.mind.answered(zeta, {number, "beta", life(0xb1), 0, false}, b.now, b.todo);
  b.mind.answered(delta, {number + 77, "beta", life(0xb1), 0, false}, b.now, b.todo);
  b.mind.answered(delta, {number, "zeta", life(0xb1), 0, false}, b.now, b.todo);
  b.mind.answered(delta, {number, "omega", life(0xb1), 0, false}, b.now, b.todo);
  CHECK(b.todo.empty());
  CHECK_FALSE(b.mind.view(beta).partly_reachable);
  b.mind.answered(delta, {number, "beta", life(0xb1), 0, false}, b.now, b.todo);
  CHECK(b.mind.view(beta).partly_reachable);
}

TEST_CASE("questions that nobody answers do not pile up: of many the last are still open") {
  liveness_options options;
  options.unreachable_after = options.indirect_limit = 1h;
  options.ask_again = 200ms;
  options.indirect_probes = 1;
  bench b{2, options};
  b.connect_all(2);
  b.run(10s, {delta});
  const auto questions = b.take<send_question>();
  REQUIRE(questions.size() > 40);
  b.todo.clear();
  const auto answer = [&](std::size_t back) {
    const auto& q = questions[questions.size() - back];
    b.mind.answered(delta, {q.what.number, "beta", life(0xb1), 0, false}, b.now, b.todo);
    return b.mind.view(beta).partly_reachable;
  };
  CHECK_FALSE(answer(3));
  CHECK(answer(1));
}

TEST_CASE("a question is answered with how long ago the peer was heard, in which life") {
  bench b{3};
  b.connect(beta, 0xb7);
  b.connect(delta);
  b.run(150ms);
  b.todo.clear();
  b.mind.asked(delta, {41, "beta", life(0xb7)}, b.now, b.todo);
  b.mind.asked(delta, {42, "zeta", life(0xb1)}, b.now, b.todo);
  const auto answers = b.take<send_answer>();
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].to == delta);
  CHECK(answers[0].what.number == 41);
  CHECK(answers[0].what.about == "beta");
  CHECK(answers[0].what.incarnation == life(0xb7));
  CHECK(answers[0].what.heard_ms_ago == 150u);
  CHECK_FALSE(answers[0].what.doubting);
  CHECK_FALSE(answers[1].what.heard_ms_ago);  // zeta was never met
}

TEST_CASE("strangers are not answered, nor questions about nodes that there are not") {
  bench b{3};
  b.connect(beta);
  b.connect(delta);
  b.todo.clear();
  b.mind.asked(zeta, {1, "beta", life(0xb1)}, b.now, b.todo);
  b.mind.asked(beta, {1, "omega", life(0xb1)}, b.now, b.todo);
  b.mind.asked(beta, {1, "alpha", life(0xa1)}, b.now, b.todo);
  b.mind.asked(beta, {1, std::string(100'000, 'x'), life(0xb1)}, b.now, b.todo);
  CHECK(b.todo.empty());
  b.mind.left(delta, b.now, b.todo);
  b.todo.clear();
  b.mind.asked(delta, {1, "beta", life(0xb1)}, b.now, b.todo);
  CHECK(b.todo.empty());
}

TEST_CASE("a flood of questions is answered in part, and others are answered all the same") {
  bench b{3};
  b.connect_all(3);
  for (int i = 0; i < 10'000; ++i) b.mind.asked(beta, {1, "delta", life(0xb1)}, b.now, b.todo);
  CHECK(b.take<send_answer>().size() == 6);
  b.mind.asked(zeta, {1, "delta", life(0xb1)}, b.now, b.todo);
  CHECK(b.take<send_answer>().size() == 7);
  b.run(200ms);
  b.mind.asked(beta, {1, "delta", life(0xb1)}, b.now, b.todo);
  CHECK(b.take<send_answer>().size() == 8);
}

TEST_CASE("with no probes nobody is asked") {
  bench b{2, {.indirect_probes = 0}};
  b.connect_all(2);
  b.run(5s, {delta});
  CHECK(b.of(beta) == opinion::unreachable);
  CHECK(b.take<send_question>().empty());
}

// ---- self-doubt -------------------------------------------------------------------------------

TEST_CASE("a node that did not run judges nobody by that time") {
  bench b{2};
  b.connect_all(2);
  b.run(10s, {beta, delta});
  b.todo.clear();
  b.stall(20s);
  b.mind.time(b.now, b.todo);
  CHECK(b.changes().empty());
  CHECK(b.mind.doubting());
  const auto doubts = b.take<tell_doubt>();
  REQUIRE(doubts.size() == 1);
  CHECK(doubts[0].late == 19'800ms);  // it was to come after a heartbeat
  CHECK(doubts[0].reason ==
        "alpha#000000a1 did not run for 19800 ms: it judges nobody by that time, and for 2000 ms "
        "accuses nobody");
  b.run(1'999ms, {beta});
  CHECK(b.changes().empty());
  CHECK(b.mind.doubting());
  b.todo.clear();
  b.run(1ms);
  CHECK_FALSE(b.mind.doubting());
  CHECK(b.told() ==
        "alpha#000000a1 has run in time again for 2000 ms and trusts its own judgement\n");
}

TEST_CASE(
    "a peer that has died meanwhile is found so when the doubt is over, and not for ever up") {
  bench b{1};
  b.connect(beta);
  b.run(10s, {beta});
  b.stall(20s);
  b.mind.time(b.now, b.todo);
  b.run(2s + 1s);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(4s);
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("a node notices that it starved by whatever it does first") {
  const auto starved = [](const auto& input) {
    bench b{2};
    b.connect_all(2);
    b.run(1s, {beta, delta});
    b.stall(20s);
    input(b);
    const bool noticed = b.mind.doubting();
    b.mind.time(b.now, b.todo);
    b.run(2'700ms);
    return noticed && b.of(delta) != opinion::suspect;
  };
  CHECK(starved([](bench& b) { b.hear(beta); }));
  CHECK(starved([](bench& b) { b.connect(beta); }));
  CHECK(starved([](bench& b) { b.mind.refused(beta, b.now, b.todo); }));
  CHECK(starved([](bench& b) { b.mind.left(beta, b.now, b.todo); }));
  CHECK(starved([](bench& b) { b.mind.asked(beta, {}, b.now, b.todo); }));
  CHECK(starved([](bench& b) { b.mind.answered(beta, {}, b.now, b.todo); }));
}

TEST_CASE("time that does not come while bytes do is starvation too") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {beta, delta});
  for (int i = 0; i < 1'000; ++i) {
    b.now += 10ms;
    b.hear(beta);
  }
  b.todo.clear();
  b.mind.time(b.now, b.todo);
  b.run(2'300ms, {beta});
  CHECK(b.of(delta) == opinion::up);
  CHECK(b.changes().empty());
}

TEST_CASE("coming a little late is no starvation") {
  bench b{1};
  b.connect(beta);
  b.run(1s, {beta});
  b.now = b.mind.next() + 400ms;
  b.mind.time(b.now, b.todo);
  CHECK_FALSE(b.mind.doubting());
  b.now = b.mind.next() + 401ms;
  b.mind.time(b.now, b.todo);
  CHECK(b.mind.doubting());
}

TEST_CASE("a node that doubts itself says so in its answers, and what it reads is no news") {
  bench b{2};
  b.connect_all(2);
  b.run(1s, {beta, delta});
  b.stall(20s);
  b.hear(beta);  // may have been sent 20 s ago
  b.todo.clear();
  b.mind.asked(delta, {1, "beta", life(0xb1)}, b.now, b.todo);
  b.run(2s);
  b.mind.asked(delta, {2, "beta", life(0xb1)}, b.now, b.todo);
  b.hear(beta);
  b.mind.asked(delta, {3, "beta", life(0xb1)}, b.now, b.todo);
  const auto answers = b.take<send_answer>();
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].what.doubting);
  CHECK_FALSE(answers[1].what.doubting);
  CHECK(answers[1].what.heard_ms_ago >= 22'000u);
  CHECK(answers[2].what.heard_ms_ago == 0u);
}

TEST_CASE("a refusal counts also for a node that doubts itself") {
  bench b{1};
  b.connect(beta);
  b.stall(20s);
  b.mind.refused(beta, b.now, b.todo);
  CHECK(b.mind.doubting());
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("a suspicion from before the stall waits until the doubt is over") {
  bench b{1};
  b.connect(beta);
  b.run(4'900ms);
  REQUIRE(b.of(beta) == opinion::suspect);
  b.stall(20s);
  b.mind.time(b.now, b.todo);
  b.run(1'900ms);
  CHECK(b.of(beta) == opinion::suspect);
  b.run(300ms);
  CHECK(b.of(beta) == opinion::unreachable);
}

TEST_CASE("a node that starves again much later doubts again") {
  bench b{1};
  b.connect(beta);
  for (int i = 0; i < 3; ++i) {
    b.run(1min, {beta});
    b.todo.clear();
    b.stall(20s);
    b.mind.time(b.now, b.todo);
    b.run(2'700ms);
    CHECK(b.take<tell_doubt>().size() == 2);
    CHECK(b.changes().empty());
  }
}

TEST_CASE("the end of a doubt is an appointment of its own") {
  bench b{1, {.doubt_for = 2'050ms}};
  b.stall(20s);
  b.mind.time(b.now, b.todo);
  b.run(2'049ms);
  CHECK(b.mind.doubting());
  b.run(1ms);
  CHECK_FALSE(b.mind.doubting());
}

TEST_CASE("a node that is late all the time loses its voice for a while, not for good") {
  bench b{1};
  b.connect(beta);
  b.run(1s, {beta});
  // It runs for a second and starves for a second.
  milliseconds taken{0};
  while (b.of(beta) != opinion::unreachable && taken < 1min) {
    b.run(1s);
    b.stall(1s);
    b.mind.time(b.now, b.todo);
    taken += 2s;
  }
  CHECK(taken > 5s);
  CHECK(taken < 20s);
}

TEST_CASE("doubt takes at most as much off the silences as there is time without it") {
  bench b{1};
  b.connect(beta);
  b.run(1s, {beta});
  // A stall whenever the doubt has just gone.
  milliseconds taken{0};
  while (b.of(beta) != opinion::unreachable && taken < 2min) {
    b.run(2'200ms);
    b.stall(700ms);
    b.mind.time(b.now, b.todo);
    taken += 2'900ms;
  }
  CHECK(taken < 20s);
}

TEST_CASE("an earlier time than the last one counts as the last one") {
  bench b{1};
  b.connect(beta);
  b.run(500ms, {beta});
  b.mind.time(b.now, b.todo);
  b.mind.heard(beta, b.now - 10s, b.todo);
  b.run(999ms);
  CHECK(b.of(beta) == opinion::up);
  CHECK_FALSE(b.mind.doubting());
  b.run(1ms);
  CHECK(b.of(beta) == opinion::suspect);
}

// ---- being cut off ----------------------------------------------------------------------------

TEST_CASE("when all of three peers fall silent at once, it may be this node that is cut off") {
  bench b{3};
  b.connect_all(3);
  b.run(10s, {beta, delta, zeta});
  b.todo.clear();
  b.run(6s);
  const auto all = b.changes();
  REQUIRE(all.size() == 6);
  for (const opinion_change& c : all) {
    CHECK(c.cut_off);
    CHECK(c.reason.ends_with("; all its peers fell silent at once: I may be cut off"));
  }
  CHECK(b.of(delta) == opinion::unreachable);
}

TEST_CASE("two peers that fall silent may both have failed") {
  bench b{2};
  b.connect_all(2);
  b.run(10s, {beta, delta});
  b.run(6s);
  for (const opinion_change& c : b.changes()) CHECK_FALSE(c.cut_off);
}

TEST_CASE("a peer that is heard, or refused, shows that this node is not cut off") {
  bench heard{4};
  heard.connect_all(4);
  heard.run(6s, {beta});
  CHECK(heard.changes().size() == 6);
  for (const opinion_change& c : heard.changes()) CHECK_FALSE(c.cut_off);

  bench refused{3};
  refused.connect_all(3);
  refused.run(1s, {beta, delta, zeta});
  refused.mind.refused(beta, refused.now, refused.todo);
  refused.todo.clear();
  refused.run(6s);
  CHECK(refused.changes().size() == 4);
  for (const opinion_change& c : refused.changes()) CHECK_FALSE(c.cut_off);
}

TEST_CASE("a peer that has left is no sign of being cut off") {
  bench b{3};
  b.connect_all(3);
  b.run(10s, {beta, delta, zeta});
  b.mind.left(beta, b.now, b.todo);
  b.todo.clear();
  b.run(6s);
  CHECK(b.changes().size() == 4);
  for (const opinion_change& c : b.changes()) CHECK_FALSE(c.cut_off);
}

TEST_CASE("a peer that was refused once and came back counts among those that fall silent") {
  bench b{3};
  b.connect_all(3);
  b.mind.refused(beta, b.now, b.todo);
  b.connect(beta);
  b.run(10s, {beta, delta, zeta});
  b.todo.clear();
  b.run(6s);
  CHECK(b.changes().size() == 6);
  for (const opinion_change& c : b.changes()) CHECK(c.cut_off);
}

TEST_CASE("peers that were silent long before are not counted among those that fall silent now") {
  bench b{3};
  b.connect_all(3);
  b.run(10s, {beta, delta});
  b.todo.clear();
  b.run(6s);
  CHECK(b.changes().size() == 4);
  for (const opinion_change& c : b.changes()) CHECK_FALSE(c.cut_off);
}

// ---- time -------------------------------------------------------------------------------------

TEST_CASE("a heartbeat is sent in every interval, also to peers that are given up") {
  bench b{1};
  b.connect(beta);
  b.run(10s);
  REQUIRE(b.of(beta) == opinion::unreachable);
  CHECK(b.take<send_heartbeats>().size() == 50);
}

TEST_CASE("heartbeats that were missed are not made up for") {
  bench b{1};
  b.connect(beta);
  b.todo.clear();
  b.stall(10s);
  for (int i = 0; i < 10; ++i) b.mind.time(b.now, b.todo);
  CHECK(b.take<send_heartbeats>().size() == 1);
  CHECK(b.mind.next() == b.now + 200ms);
}

TEST_CASE("calling time more often than it asked for changes nothing that is told") {
  const auto story = [](bool often) {
    bench b{2};
    b.connect_all(2);
    std::mt19937 random{3};
    const auto end = b.now + 60s;
    auto word = b.now;
    while (b.now < end) {
      b.now += 1ms;
      if (b.now >= word) {
        b.hear(delta);
        word += milliseconds{100 + random() % 7'000};
      }
      if (often || b.now >= b.mind.next()) b.mind.time(b.now, b.todo);
    }
    return b.told();
  };
  const auto seldom = story(false);
  CHECK(std::count(seldom.begin(), seldom.end(), '\n') > 10);
  CHECK(seldom == story(true));
}

TEST_CASE("the next time is later than the last, by no more than a heartbeat") {
  std::mt19937 random{11};
  bench b{4, loopback_liveness};
  for (int i = 0; i < 50'000; ++i) {
    const auto peer = static_cast<peer_index>(random() % 4);
    b.now += milliseconds{random() % 30};
    switch (random() % 40) {
      case 0: b.connect(peer, 1 + random() % 2); break;
      case 1: b.mind.refused(peer, b.now, b.todo); break;
      case 2: b.mind.left(peer, b.now, b.todo); break;
      case 3: b.now += milliseconds{random() % 1'000}; break;
      case 4:
      case 5:
      case 6: b.hear(peer); break;
      case 7: b.answer_all(random() % 1'000, random() % 2 == 0); break;
      default: break;
    }
    b.mind.time(b.now, b.todo);
    REQUIRE(b.mind.next() > b.now);
    REQUIRE(b.mind.next() <= b.now + 100ms);
    if (b.todo.size() > 1'000) b.todo.clear();
  }
}

TEST_CASE("a look at a peer shows what is thought of it and why") {
  bench b{2};
  CHECK(b.mind.view(beta).what == opinion::unknown);
  CHECK(b.mind.view(beta).reason.empty());
  b.connect(beta);
  b.run(1'200ms);
  const peer_view seen = b.mind.view(beta);
  CHECK(seen.what == opinion::suspect);
  CHECK(seen.incarnation == life(0xb1));
  CHECK(seen.heard_ago == 1'200ms);
  CHECK(seen.phi > 8);
  CHECK(seen.reason.starts_with("alpha#000000a1 suspects beta#000000b1: silent for 1000 ms"));
}

TEST_CASE("lives of a node are told apart by all of their bits and named by the first") {
  const node_incarnation one{0x0123456789abcdef, 0xfedcba9876543210};
  CHECK(coppice::to_string(one) == "0123456789abcdeffedcba9876543210");
  CHECK(coppice::short_form(one) == "01234567");
  CHECK(one != node_incarnation{one.high, one.low + 1});
  CHECK(one != node_incarnation{one.high + 1, one.low});
  for (const opinion o :
       {opinion::unknown, opinion::up, opinion::suspect, opinion::unreachable, opinion::left})
    CHECK_FALSE(coppice::name(o).empty());
}
