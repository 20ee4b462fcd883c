// SPDX-License-Identifier: BSD-3-Clause
// An actor or a builder that declines to run: OTP's `ignore`.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

TEST_CASE("a child that declines its supervisor's start is kept stopped, a temporary one is not") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      family w{seed};
      for (const char* id : {"p", "r", "t"}) decline_starts(*w.of(id));
      w.open_with(rules, {{.id = "p"},
                          {.id = "r", .restart = transient},
                          {.id = "t", .restart = temporary},
                          {.id = "z"}});
      CHECK(w.tree->up());
      CHECK(w.call(count_children{}) == "3 specs, 1 active, 0 supervisors, 3 workers");
      CHECK(w.call(which_child{"p"}) == "p stopped#1");
      CHECK(w.call(which_child{"r"}) == "r stopped#1");
      CHECK(w.call(which_child{"t"}) == "not_found");
      CHECK(w.run.ask(w.at["p"], question{}).error().code() == errc::stopped);
      CHECK(w.run.ask(w.at["t"], question{}).error().code() == errc::gone);
      CHECK(w.alive == 1);
      CHECK(w.told.all.take() == "progress /shop /shop/z#1 normal");
    }
  }
}

TEST_CASE("a child that has declined runs when it is started again, and is restarted then") {
  for (const auto& rules : both_rules()) {
    family w;
    decline_starts(*w.of("a"));
    w.open_with(rules, {{.id = "a"}});
    allow_starts(*w.of("a"));
    CHECK(w.call(restart_child{"a"}) == "a#2 runs");
    w.tell(w.at["a"], crash());
    CHECK(w.states() == "a running#3");
  }
}

TEST_CASE("start_child of one that declines succeeds, and says that it does not run") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {}};
    for (const char* id : {"p", "t"}) decline_starts(*w.of(id));
    CHECK(w.call(w.hiring({.id = "p"})) == "p#1 declines");
    CHECK(w.call(w.hiring({.id = "t", .restart = temporary})) == "t#1 declines");
    CHECK(w.states() == "p stopped#1");
    CHECK(w.call(w.hiring({.id = "p"})) == "already_present");
    CHECK(w.call(w.hiring({.id = "t", .restart = temporary})) == "t#1 declines");
    CHECK(w.told.all.take() == "");
  }
}

TEST_CASE("restart_child of one that declines succeeds, and it stays stopped") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}}};
    CHECK(w.call(terminate_child{"a"}) == "done");
    decline_starts(*w.of("a"));
    CHECK(w.call(restart_child{"a"}) == "a#2 declines");
    CHECK(w.states() == "a stopped#2");
    CHECK(w.call(delete_child{"a"}) == "done");
  }
}

TEST_CASE("a restart that is declined has succeeded: the child stays stopped, its end counted") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (auto rules : both_rules()) {
      rules.intensity.restarts = 1;
      family w{seed, rules, {{.id = "a"}, {.id = "b"}}};
      decline_starts(*w.of("a"));
      auto waits = w.run.begin_ask(w.at["b"], question{});
      w.tell(w.at["a"], crash());
      CHECK(w.call(which_child{"a"}) == "a stopped#2");
      CHECK(w.told.brief.take() == "child_terminated a#1 crashed");
      CHECK(w.run.ask(w.at["a"], question{}).error().code() == errc::stopped);
      w.tell(w.at["b"], crash());
      CHECK(w.tree->ended());
    }
  }
}

TEST_CASE("what waits for a child over a restart that it declines is answered stopped") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    family w{seed, {}, {{.id = "a"}}};
    later<question> waits;
    decline_starts(*w.of("a"));
    w.tell(w.at["a"], act{[&](worker&) {
             waits = w.run.begin_ask(w.at["a"], question{});
             w.run.send(w.at["a"], linger{0ms});
             throw std::runtime_error("boom");
           }});
    REQUIRE(waits);
    CHECK(waits->take().error().code() == errc::stopped);
    CHECK(w.dead(dead_letter_reason::stopped) == 1);
  }
}

TEST_CASE("a retry that is declined ends the retries") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}}};
    w.of("a")->at_start = [left = 2](worker& a) mutable {
      if (--left > 0) throw std::runtime_error("no start");
      a.decline();
    };
    w.tell(w.at["a"], crash());
    CHECK(w.states() == "a stopped#3");
    CHECK(w.told.brief.take() == "child_terminated a#1 crashed, start_error a#2 start_failed");
  }
}

TEST_CASE("a group's restart goes on without those that decline, and asks them at the next") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto how : {one_for_all, rest_for_one})
      for (const auto& rules : both_rules(how)) {
        family w{seed, rules, {{.id = "a"}, {.id = "b"}, {.id = "c"}}};
        decline_starts(*w.of("b"));
        w.tell(w.at["a"], crash());
        CHECK(w.call(which_child{"b"}) == "b stopped#2");
        CHECK(w.call(which_child{"c"}) == "c running#2");
        allow_starts(*w.of("b"));
        w.tell(w.at["a"], crash());
        CHECK(w.call(which_child{"b"}) == "b running#3");
        CHECK(w.call(which_child{"c"}) == "c running#3");
      }
  }
}

TEST_CASE("a dynamic child that declines is nobody, and nothing of it is kept") {
  for (const auto& rules : both_rules()) {
    crew w{1, {.supervisor = rules}};
    decline_starts(*w.of("a"));
    CHECK(w.ask(w.staff, hire{w.of("a")}) == "nobody");
    CHECK(w.states() == "");
    CHECK(w.call(count_children{}) == "1 specs, 0 active, 0 supervisors, 0 workers");
    CHECK(w.told.all.take().find("/shop/staff/1") == std::string::npos);
  }
}

TEST_CASE("a dynamic child that declines a restart is gone") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      crew w{seed, {.supervisor = rules}};
      const address a = w.add("a");
      decline_starts(*w.of("a"));
      w.tell(a, crash());
      CHECK(w.states() == "");
      CHECK(w.run.ask(a, question{}).error().code() == errc::gone);
    }
  }
}

TEST_CASE("a supervisor whose builder declines is kept stopped; what it added is gone") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      world w{seed};
      supervisor_ref shop;
      address a;
      bool wanted = false;
      w.open([&, h = w.habits("a")](children& s) {
        shop = s.self();
        s.spec() = rules;
        s.supervise("desk", [&, h](children& d) {
          a = d.add<worker>("a", h);
          if (!wanted) d.ignore();
        });
      });
      CHECK(w.states(shop) == "desk stopped#1");
      CHECK(w.run.ask(a, question{}).error().code() == errc::gone);
      CHECK(w.log.take() == "");
      wanted = true;
      CHECK(w.ask(shop, restart_child{"desk"}) == "desk#2 runs");
      CHECK(w.run.ask(a, question{})->incarnation == 1);
    }
  }
}

TEST_CASE("a supervisor that is restarted may decline; the addresses of its children end then") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    bool wanted = true;
    w.open([&, h = w.habits("a")](children& s) {
      s.supervise("desk", [&, h](children& d) {
        a = d.add<worker>("a", h);
        if (!wanted) d.ignore();
      });
    });
    const auto desk = supervisor_of(a);
    wanted = false;
    kill(desk);
    w.run.run_until_idle();
    CHECK(w.states(supervisor_of(desk)) == "desk stopped#2");
    CHECK(w.run.ask(a, question{}).error().code() == errc::gone);
    CHECK(w.alive == 0);
  }
}

TEST_CASE("a tree whose builder declines ends normally before it was up") {
  world w;
  w.open([&](children& s) {
    s.add<worker>("a", w.habits("a"));
    s.ignore();
  });
  CHECK(w.ended() == "normal");
  CHECK_FALSE(w.tree->up());
  CHECK(w.log.take() == "");
}

TEST_CASE("an actor may decline after it has waited, but not once it has started") {
  family w;
  w.of("a")->start_takes = 100ms;
  decline_starts(*w.of("a"));
  w.open_with({}, {{.id = "a"}, {.id = "b"}});
  w.run.advance(200ms);
  CHECK(w.states() == "a stopped#1, b running#1");
  w.tell(w.at["b"], act{[](worker& b) { b.decline(); }});
  CHECK(w.states() == "a stopped#1, b running#1");
  w.tell(w.at["b"], halt());
  CHECK(w.states() == "a stopped#1, b running#2");
}

TEST_CASE("to decline and to throw is a start that failed") {
  for (const auto& rules : both_rules()) {
    family w;
    w.of("a")->at_start = [](worker& a) {
      a.decline();
      throw std::runtime_error("no start");
    };
    w.open_with(rules, {{.id = "a"}});
    CHECK(w.ended().find("start_failed") == 0);
  }
}
