// SPDX-License-Identifier: BSD-3-Clause
// When a node doubts itself rather than others.
#include "alone.hpp"

#include <doctest/doctest.h>

using namespace alone;

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
