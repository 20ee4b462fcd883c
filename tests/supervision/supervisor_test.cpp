// SPDX-License-Identifier: BSD-3-Clause
// What a supervisor reports, how it gives up, and what that looks like further up.
#include "stage.hpp"

#include <doctest/doctest.h>

#include <malloc.h>

/// Of the sanitizers' allocator, in a program that has one; else null.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes() __attribute__((weak));

using namespace coppice;
using namespace stage;

namespace {

std::size_t bytes_in_use() {
  return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                 : mallinfo2().uordblks;
}

std::string all_of(diary& d) {
  std::string text;
  for (const auto& line : d.lines()) text += line + '\n';
  d.take();
  return text;
}

}  // namespace

TEST_CASE("reports name what happened, where, to which incarnation and why, in order") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto b = w.habits("b");
    address at_b;
    w.open([&, a = w.habits("a")](children& s) {
      s.add<worker>("a", a);
      s.supervise("desk", [&](children& d) { at_b = d.add<worker>("b", b); });
    });
    CHECK(all_of(w.told.all) ==
          "progress /shop /shop/a#1 normal\n"
          "progress /shop/desk /shop/desk/b#1 normal\n"
          "progress /shop /shop/desk#1 normal\n");
    fail_starts(*b, 1);
    w.tell(at_b, crash());
    CHECK(all_of(w.told.all) ==
          "child_terminated /shop/desk /shop/desk/b#1 "
          "crashed: std::runtime_error: boom (at /shop/desk/b#1)\n"
          "start_error /shop/desk /shop/desk/b#2 "
          "start_failed: std::runtime_error: no start (at /shop/desk/b#2)\n"
          "progress /shop/desk /shop/desk/b#3 normal\n");
    b->at_stop = [](worker&) { throw std::runtime_error("ink spilt"); };
    w.stop();
    CHECK(all_of(w.told.all) ==
          "shutdown_error /shop/desk /shop/desk/b#3 "
          "crashed: std::runtime_error: ink spilt (at /shop/desk/b#3)\n");
  }
}

TEST_CASE("a supervisor below that gives up is reported by both, and restarted") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open([&, h = w.habits("a")](children& s) {
      s.supervise("desk", [&, h](children& d) {
        d.intensity(0, 2s);
        a = d.add<worker>("a", h);
      });
    });
    all_of(w.told.all);
    w.tell(a, crash());
    const std::string why =
        "exhausted: the children needed more than 0 restarts in 2000 ms, the supervisor's limit, "
        "because crashed, because std::runtime_error: boom (at /shop/desk/a#1)\n";
    CHECK(all_of(w.told.all) ==
          "child_terminated /shop/desk /shop/desk/a#1 "
          "crashed: std::runtime_error: boom (at /shop/desk/a#1)\n"
          "shutdown /shop/desk /shop/desk/a#1 " +
              why + "child_terminated /shop /shop/desk#1 " + why +
              "progress /shop/desk /shop/desk/a#2 normal\n"
              "progress /shop /shop/desk#2 normal\n");
  }
}

TEST_CASE("giving up passes through three levels with a chain of causes down to the leaf") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    int leaves = 0;
    w.open([&, h = w.habits("a")](children& s) {
      s.intensity(1, 2s);
      s.supervise("floor", [&, h](children& f) {
        f.intensity(1, 2s);
        f.supervise("desk", [&, h](children& d) {
          d.intensity(1, 2s);
          ++leaves;
          a = d.add<worker>("a", h);
        });
      });
    });
    int crashes = 0;
    while (!w.tree->ended() && crashes < 20) {
      ++crashes;
      w.tell(a, crash());
    }
    CHECK(crashes == 8);  // at each level one restart: (1 + 1) x (1 + 1) x (1 + 1)
    CHECK(leaves == 4);
    CHECK(w.ended() ==
          "exhausted: the children needed more than 1 restarts in 2000 ms, the supervisor's "
          "limit, because exhausted (at /shop/floor#2), because the children needed more than 1 "
          "restarts in 2000 ms, the supervisor's limit, because exhausted (at "
          "/shop/floor/desk#4), because the children needed more than 1 restarts in 2000 ms, the "
          "supervisor's limit, because crashed, because std::runtime_error: boom (at "
          "/shop/floor/desk/a#8)");
    CHECK(w.alive == 0);
  }
}

TEST_CASE("a child's own budget is told apart from its supervisor's") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b;
    w.open([&, ha = w.habits("a"), hb = w.habits("b")](children& s) {
      s.intensity(100, 1s).intensity_per_child(1, 1s);
      a = s.add<worker>("a", ha);
      b = s.add<worker>("b", hb);
    });
    w.tell(a, crash());
    w.tell(b, crash());
    CHECK(w.tree->up());
    w.tell(a, crash());
    CHECK(w.ended() ==
          "exhausted: child a needed more than 1 restarts in 1000 ms, the limit of each child, "
          "because crashed, because std::runtime_error: boom (at /shop/a#2)");
  }
}

TEST_CASE("a request in hand at a crash is answered with the chain of causes") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open([&, h = w.habits("a")](children& s) { a = s.add<worker>("a", h); });
    w.run.send(a, crash("no paper"));
    CHECK(w.run.ask(a, question{})->incarnation == 2);
    const auto rows = w.rows(supervisor_of(a));
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].last_reason == "crashed: std::runtime_error: no paper (at /shop/a#1)");
  }
}

TEST_CASE("a storm of 100,000 crashes does not grow the supervisor") {
  world w;
  auto h = std::make_shared<habit>();
  h->name = "a";
  address a;
  supervised_tree tree{w.run.system(), "shop", [&](children& s) {
                         s.intensity(1'000'000, 1ms);
                         a = s.add<worker>("a", h);
                       }};
  w.run.run_until_idle();
  const auto storm = [&](int crashes) {
    for (int i = 0; i < crashes; ++i) {
      w.run.send(a, crash());
      w.run.run_until_idle();
      if (i % 4 == 0) w.run.advance(1ms);
    }
  };
  storm(2'000);  // pools and tables take the size that they will have
  const std::size_t before = bytes_in_use();
  storm(98'000);
  const std::size_t after = bytes_in_use();
  CHECK(w.run.ask(a, question{})->incarnation == 100'001);
  CHECK(after < before + 64 * 1024);
  tree.request_stop();
  w.run.run_until_idle();
}

TEST_CASE("reports of a tree without an observer go nowhere") {
  testing::executor run;
  address a;
  supervised_tree tree{run.system(), "shop",
                       [&](children& s) { a = s.add<worker>("a", std::make_shared<habit>()); }};
  run.run_until_idle();
  run.send(a, crash());
  run.run_until_idle();
  CHECK(run.ask(a, question{})->incarnation == 2);
}
