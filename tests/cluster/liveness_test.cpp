// SPDX-License-Identifier: BSD-3-Clause
#include "alone.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace alone;

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
