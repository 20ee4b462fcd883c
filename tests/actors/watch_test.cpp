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
using scripted::tell;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t seeds = 200;

}  // namespace

TEST_CASE("a watched actor's end notice comes after its events") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto watcher = spawn(run.system(), "watcher");
    const auto worker = spawn(run.system(), "worker");
    tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    run.run_until_idle();
    for (int i = 0; i < 10; ++i)
      tell(run, worker, [to = watcher.at, i](actor& a) { a.tell(to, i); });
    tell(run, worker, [to = watcher.at](actor& a) {
      a.tell(to, 10);
      scripted::crash(a);
    });
    run.run_until_idle();
    REQUIRE(watcher.seen->lines.size() == 12);
    for (int i = 0; i <= 10; ++i) {
      CHECK(watcher.seen->lines[i].what == scripted::line::a_note);
      CHECK(watcher.seen->lines[i].noted.number == i);
    }
    const auto end = watcher.seen->lines[11];
    REQUIRE(end.what == scripted::line::an_end);
    CHECK(end.end.of(worker.at));
    CHECK(end.end.path == "/worker");
    CHECK(end.end.incarnation == 1);
    CHECK(end.end.gone);
    CHECK(end.end.reason.what() == kind::crashed);
    CHECK(end.end.reason.text().find("out of paper") != std::string::npos);
  });
}

TEST_CASE("an actor that ends with its address gives one notice, with its reason and gone") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto watcher = spawn(run.system(), "watcher");
    const auto worker = spawn(run.system(), "worker");
    tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    run.run_until_idle();
    exit_reason expected;
    switch (seed % 4) {
      case 0:
        expected = exit_reason::normal();
        tell(run, worker, [](actor& a) { a.stop(); });
        break;
      case 1:
        expected = exit_reason::shutdown("closing time");
        run.system().stop(worker.at, expected);
        break;
      case 2:
        expected = exit_reason::failed("no order");
        tell(run, worker, [expected](actor& a) { a.stop(expected); });
        break;
      case 3:
        expected = exit_reason::killed();
        tell(run, watcher, [at = worker.at](actor& a) { a.exit(at, exit_reason::kill()); });
        break;
    }
    run.run_until_idle();
    const auto ends = watcher.seen->ends();
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].gone);
    CHECK(ends[0].reason.text() == expected.text());
  });
}

TEST_CASE("on seeing the last notice the address is gone") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto worker = spawn(run.system(), "worker");
    const auto watcher = spawn(run.system(), "watcher");
    tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    run.run_until_idle();
    tell(run, worker, scripted::crash);
    while (watcher.seen->ends().empty()) REQUIRE(run.step());
    const auto sent = run.offer(worker.at, scripted::note{});
    REQUIRE_FALSE(sent);
    CHECK(sent.error().code() == coppice::errc::gone);
  });
}

TEST_CASE("an end notice finds room in a full mailbox") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher", 2);
  const auto worker = spawn(run.system(), "worker");
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  // From inside a handler of the watcher itself, so that it takes nothing meanwhile.
  auto* run_ptr = &run;
  tell(run, watcher, [run_ptr, worker, to = watcher.at](actor&) {
    for (int i = 0; i < 4; ++i) run_ptr->send(to, scripted::note{0, 0, i});
    tell(*run_ptr, worker, [](actor& a) { a.stop(); });
    while (run_ptr->step()) {
    }
    CHECK_FALSE(run_ptr->offer(to, scripted::note{0, 0, 9}));
  });
  run.run_until_idle();
  CHECK(watcher.seen->notes() == std::vector<int>{0, 1});
  REQUIRE(watcher.seen->ends().size() == 1);
  CHECK(watcher.seen->lines.back().what == scripted::line::an_end);
  const auto overflow = static_cast<std::size_t>(coppice::dead_letter_reason::overflow);
  CHECK(run.system().dead_letters()[overflow] == 2);
}

TEST_CASE("watching an address that has ended gives noproc and gone at once") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  const auto worker = spawn(run.system(), "worker");
  tell(run, worker, scripted::crash);
  run.run_until_idle();
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  const auto ends = watcher.seen->ends();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].of(worker.at));
  CHECK(ends[0].gone);
  CHECK(ends[0].reason.what() == kind::noproc);
}

TEST_CASE("watching nobody gives noproc and gone at once") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  tell(run, watcher, [](actor& a) { a.watch(address{}); });
  run.run_until_idle();
  const auto ends = watcher.seen->ends();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].gone);
  CHECK(ends[0].path.empty());
  CHECK(ends[0].reason.what() == kind::noproc);
}

TEST_CASE("whoever watches in a race with the end gets exactly one last notice") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto watcher = spawn(run.system(), "watcher");
    const auto worker = spawn(run.system(), "worker");
    tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    tell(run, worker, scripted::crash);
    run.run_until_idle();
    const auto ends = watcher.seen->ends();
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].gone);
    CHECK((ends[0].reason.what() == kind::crashed || ends[0].reason.what() == kind::noproc));
  });
}

TEST_CASE("watching again after the last notice gives noproc again") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  const auto worker = spawn(run.system(), "worker");
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  tell(run, worker, [](actor& a) { a.stop(); });
  run.run_until_idle();
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  const auto ends = watcher.seen->ends();
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].reason.what() == kind::normal);
  CHECK(ends[1].reason.what() == kind::noproc);
}

TEST_CASE("watches whose address has ended do not count against the limit of watches") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  for (int i = 0; i < 10'010; ++i) {
    const auto worker = spawn(run.system(), "worker");
    tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    run.run_until_idle();
    tell(run, worker, [](actor& a) { a.stop(); });
    run.run_until_idle();
  }
  CHECK(watcher.seen->ends().size() == 10'010);
  CHECK(watcher.seen->stopping == 0);
}

TEST_CASE("an actor watches ten thousand others and no more") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  std::vector<address> workers;
  for (int i = 0; i <= 10'000; ++i) workers.push_back(spawn(run.system(), "worker").at);
  tell(run, watcher, [&workers](actor& a) {
    for (int i = 0; i < 10'000; ++i) a.watch(workers[i]);
  });
  run.run_until_idle();
  CHECK(watcher.seen->stopping == 0);
  tell(run, watcher, [&workers](actor& a) { a.watch(workers.back()); });
  run.run_until_idle();
  CHECK(watcher.seen->stopping == 1);
}

TEST_CASE("watching twice gives each notice once") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  const auto worker = spawn(run.system(), "worker");
  tell(run, watcher, [at = worker.at](actor& a) {
    a.watch(at);
    a.watch(at);
  });
  run.run_until_idle();
  tell(run, worker, [](actor& a) { a.stop(); });
  run.run_until_idle();
  CHECK(watcher.seen->ends().size() == 1);
}

TEST_CASE("after unwatch there is no notice, after watching again there is one") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    const auto watcher = spawn(run.system(), "watcher");
    const auto worker = spawn(run.system(), "worker");
    const bool again = seed % 2;
    tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    tell(run, watcher, [at = worker.at](actor& a) { a.unwatch(at); });
    if (again) tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    run.run_until_idle();
    tell(run, worker, [](actor& a) { a.stop(); });
    run.run_until_idle();
    CHECK(watcher.seen->ends().size() == (again ? 1 : 0));
  });
}

TEST_CASE("a notice that already waits when its watcher calls unwatch is not delivered") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  const auto worker = spawn(run.system(), "worker");
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  auto* run_ptr = &run;
  tell(run, watcher, [run_ptr, worker](actor& a) {
    tell(*run_ptr, worker, [](actor& x) { x.stop(); });
    while (run_ptr->step()) {
    }
    a.unwatch(worker.at);
  });
  run.run_until_idle();
  CHECK(watcher.seen->ends().empty());
}

TEST_CASE("a watch goes one way: the watcher's end does not touch the watched") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  const auto worker = spawn(run.system(), "worker");
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  tell(run, watcher, scripted::crash);
  run.run_until_idle();
  CHECK(run.offer(worker.at, scripted::note{0, 0, 7}));
  run.run_until_idle();
  CHECK(worker.seen->notes() == std::vector<int>{7});
  CHECK(worker.seen->ends().empty());
}

TEST_CASE("an address that is restarted gives a notice per incarnation and a last one with gone") {
  executor run;
  const auto watcher = spawn(run.system(), "watcher");
  auto worker = drive(run.system(), "worker");
  worker.cell->start(false);
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  tell(run, worker, scripted::crash);
  run.run_until_idle();
  worker.cell->start(false);
  tell(run, worker, [](actor& a) { a.stop(); });
  run.run_until_idle();
  worker.end();
  run.run_until_idle();
  const auto ends = watcher.seen->ends();
  REQUIRE(ends.size() == 3);
  CHECK(ends[0].incarnation == 1);
  CHECK(ends[0].reason.what() == kind::crashed);
  CHECK_FALSE(ends[0].gone);
  CHECK(ends[1].incarnation == 2);
  CHECK(ends[1].reason.what() == kind::normal);
  CHECK_FALSE(ends[1].gone);
  CHECK(ends[2].incarnation == 2);
  CHECK(ends[2].reason.what() == kind::shutdown);
  CHECK(ends[2].gone);
}

TEST_CASE("a watcher's next incarnation sees none of the notices meant for the one before") {
  scripted::under_seeds(seeds, [](executor& run, std::uint64_t seed) {
    CAPTURE(seed);
    auto watcher = drive(run.system(), "watcher");
    watcher.cell->start(false);
    const auto worker = spawn(run.system(), "worker");
    tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
    run.run_until_idle();
    tell(run, watcher, scripted::crash);
    tell(run, worker, [to = watcher.at](actor& a) {
      a.tell(to, 1);
      a.stop();
    });
    while (watcher.cell->state() != coppice::detail::cell_state::down) REQUIRE(run.step());
    watcher.cell->start(false);
    run.run_until_idle();
    CHECK(watcher.seen->started == 2);
    CHECK(watcher.seen->notes() == std::vector<int>{1});
    CHECK(watcher.seen->ends().empty());
    watcher.end();
    run.run_until_idle();
  });
}

TEST_CASE("a watcher's next incarnation may watch anew") {
  executor run;
  auto watcher = drive(run.system(), "watcher");
  watcher.cell->start(false);
  const auto worker = spawn(run.system(), "worker");
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  tell(run, watcher, scripted::crash);
  run.run_until_idle();
  watcher.cell->start(false);
  tell(run, watcher, [at = worker.at](actor& a) { a.watch(at); });
  run.run_until_idle();
  tell(run, worker, [](actor& a) { a.stop(); });
  run.run_until_idle();
  CHECK(watcher.seen->ends().size() == 1);
  watcher.end();
  run.run_until_idle();
}

TEST_CASE("an incarnation's timers end with it") {
  executor run;
  auto worker = drive(run.system(), "worker");
  worker.cell->start(false);
  tell(run, worker, [](actor& a) { a.send_after(10ms, scripted::note{0, 1, 1}); });
  run.run_until_idle();
  tell(run, worker, scripted::crash);
  run.run_until_idle();
  worker.cell->start(false);
  tell(run, worker, [](actor& a) { a.send_after(30ms, scripted::note{0, 2, 2}); });
  run.advance(20ms);
  CHECK(worker.seen->notes().empty());
  run.advance(20ms);
  CHECK(worker.seen->notes() == std::vector<int>{2});
  worker.end();
  run.run_until_idle();
}

TEST_CASE("a timer that has fired when its incarnation ends is not delivered to the next one") {
  executor run;
  auto worker = drive(run.system(), "worker");
  worker.cell->start(false);
  auto* run_ptr = &run;
  tell(run, worker, [run_ptr](actor& a) {
    a.send_after(10ms, scripted::note{0, 1, 1});
    a.send(a.self(), scripted::order{[run_ptr](actor& x) {
             run_ptr->advance(20ms);
             scripted::crash(x);
           }});
  });
  run.run_until_idle();
  worker.cell->start(false);
  run.advance(20ms);
  CHECK(worker.seen->started == 2);
  CHECK(worker.seen->notes().empty());
  worker.end();
  run.run_until_idle();
}
