// SPDX-License-Identifier: BSD-3-Clause
// How children and whole trees stop: asked, late, killed, and in the middle of something else.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

TEST_CASE("a child that does not start in time is killed and its start has failed") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a");
    a->start_takes = 1h;
    w.open([&](children& s) { s.add<worker>({.id = "a", .start_deadline = 100ms}, a); });
    w.run.advance(99ms);
    CHECK(w.log.take() == "a1 starts");
    w.run.advance(2ms);
    CHECK(w.log.take() == "a1 ends");
    CHECK(w.ended() ==
          "start_failed: failed to start child a, because start_failed (at /shop/a#1), because "
          "it had not started within 100 ms");
    CHECK(w.told.brief.take() == "start_error a#1 start_failed");
  }
}

TEST_CASE("a restart that does not come to its end in time is tried again") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a");
    address at;
    w.open([&](children& s) { at = s.add<worker>({.id = "a", .start_deadline = 100ms}, a); });
    a->start_takes = 1h;
    w.tell(at, crash());
    w.log.take();
    w.run.advance(101ms);
    a->start_takes = 0ms;
    w.run.advance(100ms);
    CHECK(w.log.take() == "a2 ends, a3 starts, a3 ends, a4 starts, a4 runs");
  }
}

TEST_CASE("a stop lets the turn in hand end, then runs stopping, then destroys") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto h = w.habits("a");
    h->stop_takes = 100ms;
    address a;
    w.open([&](children& s) { a = s.add<worker>({.id = "a", .shutdown = 2s}, h); });
    w.tell(a, linger{1s});
    w.run.send(a, linger{1s});  // behind the one in hand: no longer handled
    w.log.take();
    w.stop();
    w.run.advance(999ms);
    CHECK(w.log.take().empty());
    w.run.advance(200ms);
    CHECK(w.log.take() == "a1 lingered, a1 stops, a1 stopped, a1 ends");
    CHECK(w.ended() == "shutdown");
    CHECK(w.told.brief.take().empty());
    CHECK(w.dead(dead_letter_reason::gone) == 1);
  }
}

TEST_CASE("a child that does not stop within its deadline is killed without its stopping") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open(
        [&, h = w.habits("a")](children& s) { a = s.add<worker>({.id = "a", .shutdown = 2s}, h); });
    w.tell(a, linger{1h});
    w.log.take();
    w.stop();
    w.run.advance(1'999ms);
    CHECK(w.log.take().empty());
    w.run.advance(2ms);
    CHECK(w.log.take() == "a1 ends");
    CHECK(w.told.brief.take() == "shutdown_error a#1 killed");
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("a stopping that outlasts the deadline is not finished") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto h = w.habits("a");
    h->stop_takes = 1h;
    w.open([&](children& s) { s.add<worker>({.id = "a", .shutdown = 2s}, h); });
    w.log.take();
    w.stop();
    w.run.advance(1'999ms);
    CHECK(w.log.take() == "a1 stops");
    w.run.advance(2ms);
    CHECK(w.log.take() == "a1 ends");
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("a child that is killed without being asked runs no stopping, and that is no error") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open([&, h = w.habits("a")](children& s) {
      a = s.add<worker>({.id = "a", .shutdown = brutal_kill}, h);
    });
    w.tell(a, linger{1h});
    w.log.take();
    w.stop();
    CHECK(w.log.take() == "a1 ends");
    CHECK(w.told.brief.take().empty());
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("under infinity a child is waited for beyond the stuck limit, which is told") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open([&, h = w.habits("a")](children& s) {
      s.spec().stuck_limit = 10s;
      a = s.add<worker>({.id = "a", .shutdown = infinity}, h);
    });
    w.tell(a, linger{1min});
    w.log.take();
    w.stop();
    w.run.advance(9'999ms);
    CHECK(w.told.stuck.take().empty());
    w.run.advance(2ms);
    CHECK(w.told.stuck.take() == "/shop/a");
    w.run.advance(50s);
    CHECK(w.log.take() == "a1 lingered, a1 stops, a1 ends");
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("children stop in exact reverse order, one at a time, each within its deadline") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a"), b = w.habits("b"), c = w.habits("c");
    for (const auto& h : {a, b, c}) h->stop_takes = 100ms;
    b->stop_takes = 1h;
    w.open([&](children& s) {
      s.add<worker>("a", a);
      s.add<worker>({.id = "b", .shutdown = 200ms}, b);
      s.add<worker>("c", c);
    });
    w.log.take();
    w.stop();
    w.run.advance(150ms);
    CHECK(w.log.take() == "c1 stops, c1 stopped, c1 ends, b1 stops");
    w.run.advance(200ms);
    CHECK(w.log.take() == "b1 ends, a1 stops");
    w.run.advance(150ms);
    CHECK(w.log.take() == "a1 stopped, a1 ends");
    CHECK(w.ended() == "shutdown");
    CHECK(w.told.brief.take() == "shutdown_error b#1 killed");
  }
}

TEST_CASE("a child that crashes in stopping is reported and holds nobody up") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto b = w.habits("b");
    b->at_stop = [](worker&) { throw std::runtime_error("ink spilt"); };
    w.open([&, a = w.habits("a"), c = w.habits("c")](children& s) {
      s.add<worker>("a", a);
      s.add<worker>("b", b);
      s.add<worker>("c", c);
    });
    w.log.take();
    w.stop();
    CHECK(w.log.take() == "c1 stops, c1 ends, b1 stops, b1 ends, a1 stops, a1 ends");
    const auto lines = w.told.all.lines();
    REQUIRE_FALSE(lines.empty());
    CHECK(lines.back() ==
          "shutdown_error /shop /shop/b#1 crashed: std::runtime_error: ink spilt "
          "(at /shop/b#1)");
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("a child that crashes, and crashes again in stopping, is restarted for the first") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto h = w.habits("a");
    h->at_stop = [](worker&) { throw std::runtime_error("ink spilt"); };
    address a;
    w.open([&](children& s) { a = s.add<worker>("a", h); });
    w.tell(a, crash("no paper"));
    const auto rows = w.rows(supervisor_of(a));
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].state == child_state::running);
    CHECK(rows[0].last_reason == "crashed: std::runtime_error: no paper (at /shop/a#1)");
  }
}

TEST_CASE("a stop while children start stops those that have, and the one that is starting") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto b = w.habits("b");
    b->start_takes = 1s;
    w.open([&, a = w.habits("a"), c = w.habits("c")](children& s) {
      s.add<worker>("a", a);
      s.add<worker>("b", b);
      s.add<worker>("c", c);
    });
    CHECK(w.log.take() == "a1 starts, a1 runs, b1 starts");
    w.stop(exit_reason::shutdown("closing time"));
    CHECK(w.log.take() == "b1 ends, a1 stops, a1 ends");
    CHECK(w.ended() == "shutdown: closing time");
    w.run.advance(2s);
    CHECK(w.log.take().empty());
  }
}

TEST_CASE("a stop during a group's restart replaces it") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const int when : {50, 150, 250}) {  // b stops; a starts; b starts
      CAPTURE(when);
      world w{seed};
      const auto a = w.habits("a"), b = w.habits("b");
      address at_a;
      w.open([&](children& s) {
        s.strategy(one_for_all);
        at_a = s.add<worker>("a", a);
        s.add<worker>("b", b);
      });
      a->start_takes = b->start_takes = b->stop_takes = 100ms;
      w.tell(at_a, crash());
      w.run.advance(milliseconds{when});
      w.stop();
      w.run.advance(200ms);
      CHECK(w.ended() == "shutdown");
      CHECK(w.alive == 0);
      w.log.take();
      w.run.advance(1s);
      CHECK(w.log.take().empty());
    }
  }
}

TEST_CASE("a stop during a rollback ends with the parent's reason") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a"), b = w.habits("b");
    a->stop_takes = 100ms;
    fail_starts(*b, 1);
    w.open([&](children& s) {
      s.add<worker>("a", a);
      s.add<worker>("b", b);
    });
    w.run.advance(50ms);
    CHECK(w.ended() == "has not ended");
    w.stop();
    w.run.advance(100ms);
    CHECK(w.log.take() == "a1 starts, a1 runs, b1 starts, b1 ends, a1 stops, a1 stopped, a1 ends");
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("a stop while a supervisor gives up ends it all the same") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a");
    a->stop_takes = 100ms;
    address b;
    w.open([&, hb = w.habits("b")](children& s) {
      s.intensity(0, 1s);
      s.add<worker>("a", a);
      b = s.add<worker>("b", hb);
    });
    w.tell(b, crash());
    w.run.advance(50ms);
    w.stop();
    w.run.advance(100ms);
    CHECK(w.alive == 0);
    REQUIRE(w.tree->ended());
  }
}

namespace {

/// A shop with a desk below it; at the desk `a`, `b` and `c`.
struct desk_world : world {
  explicit desk_world(std::uint64_t seed) : world(seed) {
    for (const auto& h : {a, b, c}) h->start_takes = h->stop_takes = 100ms;
    open([this](children& s) {
      s.supervise("desk", [this](children& d) {
        at_a = d.add<worker>("a", a);
        d.add<worker>("b", b);
        d.add<worker>("c", c);
      });
    });
  }
  ~desk_world() { at_a = {}; }

  bool anybody_twice() {
    for (const auto& said : log.lines())
      if (said.find("ALONE") != std::string::npos) return true;
    return false;
  }

  habit_ptr a = habits("a"), b = habits("b"), c = habits("c");
  address at_a;
};

}  // namespace

TEST_CASE("no child survives a supervisor that is killed, whatever it was doing") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (int when = 0; when < 700; when += 50) {  // starts until 300, is stopped from 350 on
      CAPTURE(when);
      desk_world w{seed};
      w.run.advance(milliseconds{std::min(when, 350)});
      if (when > 350) {
        w.stop();
        w.run.advance(milliseconds{when - 350});
      }
      w.log.take();
      auto* desk = detail_ref::get(w.at_a)->parent();
      auto* shop = desk->parent();
      shop->kill(exit_reason::killed());
      w.run.run_until_idle();
      CHECK(w.alive == 0);
      REQUIRE(w.tree->ended());
      CHECK(w.ended() == "killed");
      CHECK(w.log.take().find("stops") == std::string::npos);
      w.run.advance(1h);
      CHECK(w.log.take().empty());
    }
  }
}

TEST_CASE("a supervisor below that is killed is restarted after the last of its children is gone") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (int when = 350; when < 1'000; when += 50) {
      CAPTURE(when);
      desk_world w{seed};
      w.run.advance(350ms);
      kill(supervisor_of(w.at_a));
      w.run.advance(milliseconds{when - 350});
      kill(supervisor_of(w.at_a));
      w.run.advance(2s);
      CHECK(w.alive == 3);
      CHECK_FALSE(w.anybody_twice());
      CHECK(w.tree->up());
      w.stop();
      w.run.advance(2s);
      CHECK(w.alive == 0);
      CHECK(w.ended() == "shutdown");
    }
  }
}

TEST_CASE("a supervisor with a finite shutdown takes its children along when that is over") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a"), b = w.habits("b");
    a->stop_takes = b->stop_takes = 100ms;
    w.open([&](children& s) {
      s.supervise({.id = "desk", .shutdown = 150ms}, [a, b](children& d) {
        d.add<worker>("a", a);
        d.add<worker>("b", b);
      });
    });
    w.log.take();
    w.stop();
    w.run.advance(1s);
    CHECK(w.log.take() == "b1 stops, b1 stopped, b1 ends, a1 stops, a1 ends");
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("no child survives its system") {
  std::atomic<int> alive{0};
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    auto h = std::make_shared<habit>();
    h->alive = &alive;
    supervised_tree tree{run.system(), "shop", [h](children& s) {
                           for (int i = 0; i < 5; ++i) s.add<worker>("c" + std::to_string(i), h);
                         }};
    run.run_until_idle();
    CHECK(alive == 5);
    CHECK(run.system().stop(1s).empty());
    CHECK(alive == 0);
    CHECK(tree.ended());
  }
}

TEST_CASE("on threads stop(deadline) keeps its deadline with a child that ignores the request") {
  auto h = std::make_shared<habit>();
  coppice::system home{{.workers = 2}};
  address a;
  reports told;
  supervised_tree tree{
      home, "shop", [&](children& s) { a = s.add<worker>({.id = "a", .shutdown = infinity}, h); },
      &told};
  REQUIRE(tree.wait_until_up(hang));
  outside{home}.send(a, linger{24h});
  REQUIRE(outside{home}.offer(a, linger{24h}));
  const auto why = tree.stop(200ms);
  // It is killed within the deadline; a machine under load may need longer for the notice.
  if (!why) CHECK(tree.wait_until_ended(hang));
  REQUIRE(tree.ended());
  CHECK(h->own_alive == 0);
}

TEST_CASE("on threads a tree starts, restarts and stops from several threads at once") {
  std::atomic<int> alive{0};
  const auto h = std::make_shared<habit>();
  h->alive = &alive;
  for (int round = 0; round < 20; ++round) {
    coppice::system home{{.workers = 2}};
    address kids[4];
    supervised_tree tree{home, "shop", [&, h](children& s) {
                           s.strategy(round % 2 ? one_for_one : one_for_all).intensity(1'000, 1s);
                           for (int i = 0; i < 4; ++i) {
                             auto own = std::make_shared<habit>();
                             own->alive = &alive;
                             kids[i] = s.add<worker>("c" + std::to_string(i), own);
                           }
                         }};
    REQUIRE(tree.wait_until_up(hang));
    outside from{home};
    for (int i = 0; i < 40; ++i) from.send(kids[i % 4], crash());
    if (round % 4 < 2) CHECK(tree.snapshot(hang).children.size() == 4);
    tree.request_stop();
    REQUIRE(tree.wait_until_ended(hang));
    CHECK(alive == 0);
    for (auto& kid : kids) kid = {};
  }
}
