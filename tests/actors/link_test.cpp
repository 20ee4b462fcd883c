// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include "scripted_actor.hpp"

using coppice::exit_reason;
using scripted::actor;
using scripted::address;
using scripted::drive;
using scripted::executor;
using scripted::kind;
using scripted::spawn;
using scripted::spawned;
using scripted::tell;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t seeds = 100;

bool lives(executor& run, const spawned& x) {
  const auto before = x.seen->notes().size();
  run.send(x.at, scripted::note{});
  run.run_until_idle();
  return x.seen->notes().size() == before + 1;
}

void link(executor& run, const spawned& from, const spawned& to) {
  tell(run, from, [at = to.at](actor& a) { a.link(at); });
  run.run_until_idle();
}

void trap(executor& run, const spawned& x) {
  tell(run, x, [](actor& a) { a.trap_exits(); });
  run.run_until_idle();
}

/// Watches `x` and gives the reason of its end, after `run` is idle.
struct end_of {
  spawned watcher;
  end_of(executor& run, const spawned& x) : watcher(spawn(run.system(), "end_of")) {
    tell(run, watcher, [at = x.at](actor& a) { a.watch(at); });
    run.run_until_idle();
  }
  std::string text() const {
    const auto ends = watcher.seen->ends();
    return ends.size() == 1 ? ends[0].reason.text() : "no end";
  }
};

}  // namespace

TEST_CASE("a crash ends the linked actor with the same reason, whichever side made the link") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto one = spawn(run.system(), "one");
    const auto other = spawn(run.system(), "other");
    link(run, seed % 2 ? one : other, seed % 2 ? other : one);
    const end_of one_end{run, one}, other_end{run, other};
    tell(run, one, scripted::crash);
    run.run_until_idle();
    CHECK(one_end.text().find("out of paper") != std::string::npos);
    CHECK(other_end.text() == one_end.text());
    CHECK(one.seen->stopping == 1);
    CHECK(other.seen->stopping == 0);
  });
}

TEST_CASE("a signal ends a whole set of linked actors") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    std::vector<spawned> all;
    for (int i = 0; i < 6; ++i) all.push_back(spawn(run.system(), "one"));
    for (int i = 0; i < 6; ++i) link(run, all[i], all[(i + 1) % 6]);
    tell(run, all[seed % 6], [](actor& a) { a.stop(exit_reason::shutdown("done")); });
    run.run_until_idle();
    for (const auto& x : all) CHECK_FALSE(run.offer(x.at, scripted::note{}));
  });
}

TEST_CASE("a normal end leaves the linked actor alone and unlinks it") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto other = spawn(run.system(), "other");
  link(run, one, other);
  tell(run, one, [](actor& a) { a.stop(); });
  run.run_until_idle();
  CHECK(lives(run, other));
  CHECK(other.seen->signals().empty());
}

TEST_CASE("a shutdown is not a normal end: it goes through the link") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto other = spawn(run.system(), "other");
  link(run, one, other);
  const end_of other_end{run, other};
  run.system().stop(one.at);
  run.run_until_idle();
  CHECK(other_end.text() == "shutdown");
}

TEST_CASE("an actor that traps exits sees the signal behind all that the other has sent") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto one = spawn(run.system(), "one");
    const auto other = spawn(run.system(), "other");
    trap(run, other);
    link(run, one, other);
    const bool normally = seed % 2;
    tell(run, one, [to = other.at, normally](actor& a) {
      for (int i = 0; i < 5; ++i) a.tell(to, i);
      if (!normally) scripted::crash(a);
      a.stop();
    });
    run.run_until_idle();
    REQUIRE(other.seen->lines.size() == 6);
    CHECK(other.seen->notes() == std::vector<int>{0, 1, 2, 3, 4});
    const auto last = other.seen->lines.back();
    REQUIRE(last.what == scripted::line::a_signal);
    CHECK(last.signal.linked);
    CHECK(last.signal.path == "/one");
    CHECK(last.signal.number == one.at.number());
    CHECK(last.signal.reason.what() == (normally ? kind::normal : kind::crashed));
    CHECK(lives(run, other));
  });
}

TEST_CASE("an actor killed outright passes on `killed`, which its links can trap") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto trapping = spawn(run.system(), "trapping");
  const auto other = spawn(run.system(), "other");
  const auto behind = spawn(run.system(), "behind");
  trap(run, trapping);
  trap(run, one);
  link(run, one, trapping);
  link(run, one, other);
  link(run, other, behind);
  trap(run, behind);
  const end_of one_end{run, one}, other_end{run, other};
  tell(run, behind, [at = one.at](actor& a) { a.exit(at, exit_reason::kill()); });
  run.run_until_idle();
  CHECK(one_end.text() == "killed");
  CHECK(one.seen->signals().empty());
  CHECK(one.seen->stopping == 0);
  CHECK(other_end.text() == "killed");
  REQUIRE(trapping.seen->signals().size() == 1);
  CHECK(trapping.seen->signals()[0].reason.what() == kind::killed);
  REQUIRE(behind.seen->signals().size() == 1);
  CHECK(behind.seen->signals()[0].reason.what() == kind::killed);
}

TEST_CASE("`kill` through a link is an ordinary reason, passed on as it is") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto trapping = spawn(run.system(), "trapping");
  const auto other = spawn(run.system(), "other");
  trap(run, trapping);
  link(run, one, trapping);
  link(run, one, other);
  const end_of other_end{run, other};
  tell(run, one, [](actor& a) { a.stop(exit_reason::kill()); });
  run.run_until_idle();
  REQUIRE(trapping.seen->signals().size() == 1);
  CHECK(trapping.seen->signals()[0].reason.what() == kind::kill);
  CHECK(lives(run, trapping));
  CHECK(other_end.text() == "kill");
}

TEST_CASE("exit with kill ends an actor as killed, trapping or not") {
  for (const bool trapping : {false, true}) {
    executor run;
    const auto one = spawn(run.system(), "one");
    const auto other = spawn(run.system(), "other");
    if (trapping) trap(run, other);
    const end_of other_end{run, other};
    tell(run, one, [at = other.at](actor& a) { a.exit(at, exit_reason::kill()); });
    run.run_until_idle();
    CHECK(other_end.text() == "killed");
    CHECK(other.seen->signals().empty());
  }
}

TEST_CASE("exit with `killed` is an ordinary signal: only `kill` cannot be trapped") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto trapping = spawn(run.system(), "trapping");
  const auto other = spawn(run.system(), "other");
  trap(run, trapping);
  const end_of other_end{run, other};
  tell(run, one, [a_ref = trapping.at, b_ref = other.at](actor& a) {
    a.exit(a_ref, exit_reason::killed());
    a.exit(b_ref, exit_reason::killed());
  });
  run.run_until_idle();
  REQUIRE(trapping.seen->signals().size() == 1);
  CHECK(trapping.seen->signals()[0].reason.what() == kind::killed);
  CHECK(other_end.text() == "killed");
}

TEST_CASE("exit with another reason ends an actor that does not trap, and is an event otherwise") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto one = spawn(run.system(), "one");
    const auto trapping = spawn(run.system(), "trapping");
    const auto other = spawn(run.system(), "other");
    trap(run, trapping);
    const end_of other_end{run, other};
    tell(run, one, [a_ref = trapping.at, b_ref = other.at](actor& a) {
      a.tell(a_ref, 1);
      a.exit(a_ref, exit_reason::failed("no stock"));
      a.tell(a_ref, 2);
      a.exit(b_ref, exit_reason::failed("no stock"));
    });
    run.run_until_idle();
    CHECK(other_end.text() == "failed: no stock");
    CHECK(other.seen->stopping == 0);
    REQUIRE(trapping.seen->lines.size() == 3);
    REQUIRE(trapping.seen->lines[1].what == scripted::line::a_signal);
    CHECK_FALSE(trapping.seen->lines[1].signal.linked);
    CHECK(trapping.seen->lines[1].signal.reason.text() == "failed: no stock");
    CHECK(trapping.seen->lines[1].signal.path == "/one");
  });
}

TEST_CASE("exit with normal is ignored by others, trapped by those that trap") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto trapping = spawn(run.system(), "trapping");
  const auto other = spawn(run.system(), "other");
  trap(run, trapping);
  tell(run, one, [a_ref = trapping.at, b_ref = other.at](actor& a) {
    a.exit(a_ref, exit_reason::normal());
    a.exit(b_ref, exit_reason::normal());
  });
  run.run_until_idle();
  CHECK(lives(run, other));
  REQUIRE(trapping.seen->signals().size() == 1);
  CHECK(trapping.seen->signals()[0].reason.what() == kind::normal);
}

TEST_CASE("an actor that sends itself an exit ends with it, normal too, unless it traps") {
  for (const auto& why : {exit_reason::normal(), exit_reason::failed("tired")}) {
    executor run;
    const auto one = spawn(run.system(), "one");
    const auto trapping = spawn(run.system(), "trapping");
    trap(run, trapping);
    const end_of one_end{run, one};
    for (const auto& x : {one, trapping}) tell(run, x, [why](actor& a) { a.exit(a.self(), why); });
    run.run_until_idle();
    CHECK(one_end.text() == why.text());
    REQUIRE(trapping.seen->signals().size() == 1);
    CHECK(trapping.seen->signals()[0].reason.text() == why.text());
  }
}

TEST_CASE("linking to an address that has ended is an exit signal noproc") {
  for (const bool trapping : {false, true}) {
    executor run;
    const auto one = spawn(run.system(), "one");
    const auto other = spawn(run.system(), "other");
    tell(run, other, [](actor& a) { a.stop(); });
    run.run_until_idle();
    if (trapping) trap(run, one);
    const end_of one_end{run, one};
    link(run, one, other);
    if (trapping) {
      REQUIRE(one.seen->signals().size() == 1);
      CHECK(one.seen->signals()[0].reason.what() == kind::noproc);
      CHECK(one.seen->signals()[0].number == other.at.number());
      CHECK(lives(run, one));
    } else {
      CHECK(one_end.text().rfind("noproc", 0) == 0);
    }
  }
}

TEST_CASE("linking to an actor that is not running is an exit signal noproc") {
  executor run;
  const auto one = spawn(run.system(), "one");
  auto other = drive(run.system(), "other");
  trap(run, one);
  tell(run, one, [at = other.at](actor& a) { a.link(at); });
  run.run_until_idle();
  REQUIRE(one.seen->signals().size() == 1);
  CHECK(one.seen->signals()[0].reason.what() == kind::noproc);
  other.end();
  run.run_until_idle();
}

TEST_CASE("a link made in a race with the other's end gives exactly one signal") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto one = spawn(run.system(), "one");
    const auto other = spawn(run.system(), "other");
    trap(run, one);
    tell(run, one, [at = other.at](actor& a) { a.link(at); });
    tell(run, other, scripted::crash);
    run.run_until_idle();
    CHECK(one.seen->signals().size() == 1);
  });
}

TEST_CASE("linking twice, or from both sides, is one link") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto one = spawn(run.system(), "one");
    const auto other = spawn(run.system(), "other");
    trap(run, one);
    for (int i = 0; i < 2; ++i) {
      tell(run, one, [at = other.at](actor& a) { a.link(at); });
      tell(run, other, [at = one.at](actor& a) { a.link(at); });
    }
    run.run_until_idle();
    tell(run, other, scripted::crash);
    run.run_until_idle();
    CHECK(one.seen->signals().size() == 1);
  });
}

TEST_CASE("an actor cannot be linked to itself: that is no link") {
  executor run;
  const auto one = spawn(run.system(), "one");
  link(run, one, one);
  CHECK(lives(run, one));
}

TEST_CASE("after unlink, by either side, the other's end is no signal") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto one = spawn(run.system(), "one");
    const auto other = spawn(run.system(), "other");
    link(run, one, other);
    if (seed % 2) tell(run, one, [at = other.at](actor& a) { a.unlink(at); });
    else tell(run, other, [at = one.at](actor& a) { a.unlink(at); });
    run.run_until_idle();
    tell(run, seed % 4 < 2 ? one : other, scripted::crash);
    run.run_until_idle();
    CHECK(lives(run, seed % 4 < 2 ? other : one));
  });
}

TEST_CASE("a signal that already waits when its receiver unlinks is not delivered") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto other = spawn(run.system(), "other");
  trap(run, one);
  link(run, one, other);
  auto* run_ptr = &run;
  tell(run, one, [run_ptr, other](actor& a) {
    tell(*run_ptr, other, scripted::crash);
    while (run_ptr->step()) {
    }
    a.unlink(other.at);
  });
  run.run_until_idle();
  CHECK(lives(run, one));
  CHECK(one.seen->signals().empty());
}

TEST_CASE("an actor that stops trapping while its links live is ended by the next signal") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto other = spawn(run.system(), "other");
  trap(run, one);
  link(run, one, other);
  tell(run, one, [](actor& a) { a.trap_exits(false); });
  run.run_until_idle();
  tell(run, other, scripted::crash);
  run.run_until_idle();
  CHECK_FALSE(run.offer(one.at, scripted::note{}));
}

TEST_CASE("a link ties incarnations: the next one is free of it") {
  executor run;
  const auto one = spawn(run.system(), "one");
  auto other = drive(run.system(), "other");
  other.cell->start(false);
  trap(run, one);
  tell(run, one, [at = other.at](actor& a) { a.link(at); });
  run.run_until_idle();
  tell(run, other, scripted::crash);
  run.run_until_idle();
  CHECK(one.seen->signals().size() == 1);
  other.cell->start(false);
  run.run_until_idle();
  tell(run, other, scripted::crash);
  run.run_until_idle();
  CHECK(one.seen->signals().size() == 1);
  other.cell->start(false);
  run.run_until_idle();
  tell(run, one, scripted::crash);
  run.run_until_idle();
  CHECK(other.cell->state() == coppice::detail::cell_state::running);
  other.end();
  run.run_until_idle();
}

TEST_CASE("trapping exits ends with the incarnation") {
  executor run;
  const auto one = spawn(run.system(), "one");
  auto other = drive(run.system(), "other");
  other.cell->start(false);
  tell(run, other, [](actor& a) { a.trap_exits(); });
  run.run_until_idle();
  tell(run, other, scripted::crash);
  run.run_until_idle();
  other.cell->start(false);
  run.run_until_idle();
  tell(run, one, [at = other.at](actor& a) { a.exit(at, exit_reason::failed("no stock")); });
  run.run_until_idle();
  CHECK(other.cell->state() == coppice::detail::cell_state::down);
  CHECK(other.seen->signals().empty());
  other.end();
  run.run_until_idle();
}

TEST_CASE("signals to nobody and to ended addresses vanish") {
  executor run;
  const auto one = spawn(run.system(), "one");
  const auto other = spawn(run.system(), "other");
  tell(run, other, [](actor& a) { a.stop(); });
  run.run_until_idle();
  tell(run, one, [at = other.at](actor& a) {
    a.exit(address{}, exit_reason::kill());
    a.exit(at, exit_reason::kill());
    a.link(address{});
    a.unlink(at);
  });
  run.run_until_idle();
  CHECK(lives(run, one));
}
