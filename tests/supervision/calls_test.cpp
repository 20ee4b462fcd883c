// SPDX-License-Identifier: BSD-3-Clause
// What a supervisor answers when it is asked for a change, and what becomes of its children then.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

namespace {

/// Asks its own supervisor to terminate it, and waits for the answer.
struct give_notice {
  supervisor_ref to;
};
class quitter : public actor<give_notice> {
 public:
  task<> on(const give_notice& n) {
    supervisor_ref to = n.to;
    auto asked = ask(to, terminate_child{.child = self()}, 1min);
    const auto answer = co_await asked;
  }
};

}  // namespace

// ---- start_child --------------------------------------------------------------------------------

TEST_CASE("start_child adds a child behind all others, and is answered when it runs") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}}};
    w.of("b")->start_takes = 100ms;
    auto started = w.run.begin_ask(w.self, w.hiring({.id = "b"}));
    w.run.advance(99ms);
    CHECK_FALSE(started.answered());
    w.run.advance(2ms);
    REQUIRE(started.answered());
    const auto b = started.take();
    CHECK(said(b) == "b#1 runs");
    CHECK(w.run.ask(b->as<worker>(), question{7})->number == 7);
    w.log.take();
    w.stop();
    CHECK(w.log.take() == "b1 stops, b1 ends, a1 stops, a1 ends");
  }
}

TEST_CASE("start_child of an id that is known is refused, according to whether it runs") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}, {.id = "b", .restart = transient}}};
    CHECK(w.call(w.hiring({.id = "a"})) == "already_started");
    w.tell(w.at["b"], halt());
    CHECK(w.call(w.hiring({.id = "b"})) == "already_present");
    CHECK(w.call(terminate_child{"a"}) == "done");
    CHECK(w.call(w.hiring({.id = "a"})) == "already_present");
  }
}

TEST_CASE("start_child with a spec that cannot be meant is refused with what to change") {
  family w{1, {}, {}};
  const auto refused = [&](child_spec spec) {
    return w.run.ask(w.self, w.hiring(std::move(spec))).error().message();
  };
  CHECK(refused({.id = ""}) ==
        "invalid: a child has no id: give it one, as in {.id = \"checkout\"}");
  CHECK(refused({.id = "a/b"}) ==
        "invalid: child \"a/b\": an id may not contain '/', which separates the ids in a path");
  CHECK(refused({.id = "a", .restart = transient, .significant = true}) ==
        "invalid: child \"a\": it is significant, but its supervisor's auto_shutdown is never: set "
        "that to any_significant or all_significant");
  CHECK(w.states() == "");
  CHECK(w.log.take() == "");
}

TEST_CASE("start_child whose start fails is answered why; nothing is kept, tried or counted") {
  for (auto rules : both_rules()) {
    rules.intensity = {0, 5s};
    family w{1, rules, {{.id = "a"}}};
    fail_starts(*w.of("b"), 1);
    const auto failed = w.run.ask(w.self, w.hiring({.id = "b"}));
    CHECK(said(failed) == "failed");
    CHECK(failed.error().message() ==
          "failed: the child could not be started: start_failed (at /shop/b#1), because "
          "std::runtime_error: no start (at /shop/b#1)");
    CHECK(w.states() == "a running#1");
    CHECK(w.told.brief.take() == "");
    CHECK(w.log.take() == "b1 starts, b1 ends");
    CHECK(w.call(w.hiring({.id = "b"})) == "b#1 runs");
  }
}

TEST_CASE("start_child whose start takes too long fails; nothing is kept") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {}};
    w.of("b")->start_takes = 10s;
    const auto failed = w.run.ask(w.self, w.hiring({.id = "b", .start_deadline = 100ms}));
    CHECK(said(failed) == "failed");
    CHECK(failed.error().message().find("it had not started within 100 ms") != std::string::npos);
    CHECK(w.states() == "");
    CHECK(w.alive == 0);
  }
}

TEST_CASE("a supervisor is started by a call like any other child, with all that is in it") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {}};
    supervisor_ref desk;
    const auto build = [&desk, a = w.of("a")](children& d) {
      desk = d.self();
      d.add<worker>("a", a);
    };
    CHECK(w.call(start_supervisor({.id = "desk"}, build)) == "desk#1 runs");
    CHECK(w.world::states(desk) == "a running#1");
    CHECK(w.call(count_children{}) == "1 specs, 1 active, 1 supervisors, 0 workers");
    CHECK(w.run.ask(w.self, get_childspec{"desk"})->shutdown == infinity);
    CHECK(w.call(terminate_child{"desk"}) == "done");
    CHECK(w.alive == 0);
    CHECK(w.call(restart_child{"desk"}) == "desk#2 runs");
    CHECK(w.world::states(desk) == "a running#2");
    CHECK(w.call(terminate_child{"desk"}) == "done");
    CHECK(w.call(delete_child{"desk"}) == "done");
    CHECK(w.states() == "");
    CHECK(w.ask(desk, count_children{}) == "gone");
  }
}

TEST_CASE("a started child's ref converts to the one of its class and to no other") {
  family w{1, {}, {}};
  const auto started = w.run.ask(w.self, w.hiring({.id = "a"}));
  REQUIRE(started);
  CHECK(started->as<worker>().path() == "/shop/a");
  CHECK_THROWS_WITH_AS(started->as<quitter>(), doctest::Contains("not a"), bad_result);
}

// ---- terminate_child ----------------------------------------------------------------------------

TEST_CASE("terminate_child stops a child that is not restarted, and is answered when it is down") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto how : {one_for_one, one_for_all, rest_for_one})
      for (const auto& rules : both_rules(how)) {
        family w{seed, rules, {{.id = "a"}, {.id = "b"}, {.id = "c", .restart = transient}}};
        w.of("a")->stop_takes = 100ms;
        auto done = w.run.begin_ask(w.self, terminate_child{"a"});
        w.run.advance(99ms);
        CHECK_FALSE(done.answered());
        w.run.advance(2ms);
        CHECK(said(done) == "done");
        CHECK(w.log.take() == "a1 stops, a1 stopped, a1 ends");
        CHECK(said(w.run.ask(w.self, which_child{"a"})) == "a stopped#1");
        CHECK(said(w.run.ask(w.self, which_child{"b"})) == "b running#1");
        CHECK(w.told.brief.take() == "");
      }
  }
}

TEST_CASE("terminate_child of one that does not run is done; of an unknown one not_found") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a", .restart = transient}, {.id = "b"}}};
    w.tell(w.at["a"], halt());
    CHECK(w.call(terminate_child{"a"}) == "done");
    CHECK(w.call(terminate_child{"b"}) == "done");
    CHECK(w.call(terminate_child{"b"}) == "done");
    CHECK(w.call(terminate_child{"c"}) == "not_found");
    CHECK(w.call(terminate_child{}) == "not_found");
    CHECK(w.told.brief.take() == "");
  }
}

TEST_CASE("terminate_child removes a temporary child, and its address ends") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a", .restart = temporary}}};
    CHECK(w.call(terminate_child{"a"}) == "done");
    CHECK(w.states() == "");
    CHECK(w.run.ask(w.at["a"], question{}).error().code() == errc::gone);
    CHECK(w.call(terminate_child{"a"}) == "not_found");
    CHECK(w.call(restart_child{"a"}) == "not_found");
  }
}

TEST_CASE("terminate_child goes by the child's shutdown rule and reports what is unexpected") {
  struct row {
    coppice::shutdown how;
    milliseconds takes;
    bool throws;
    std::string log, reports;
  };
  const row table[] = {
      {1s, 100ms, false, "a1 stops, a1 stopped, a1 ends", ""},
      {1s, 2s, false, "a1 stops, a1 ends", "shutdown_error a#1 killed"},
      {infinity, 9s, false, "a1 stops, a1 stopped, a1 ends", ""},
      {brutal_kill, 100ms, false, "a1 ends", ""},
      {1s, 0ms, true, "a1 stops, a1 ends", "shutdown_error a#1 crashed"},
  };
  for (const auto& rules : both_rules())
    for (const row& r : table) {
      CAPTURE(r.log);
      family w{1, rules, {{.id = "a", .shutdown = r.how}}};
      w.of("a")->stop_takes = r.takes;
      if (r.throws) w.of("a")->at_stop = [](worker&) { throw std::runtime_error("boom"); };
      CHECK(w.call(terminate_child{"a"}) == "done");
      CHECK(w.log.take() == r.log);
      CHECK(w.told.brief.take() == r.reports);
      CHECK(w.states() == "a stopped#1");
    }
}

TEST_CASE("two calls to terminate one child are both answered when it is down") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      family w{seed, rules, {{.id = "a"}}};
      w.of("a")->stop_takes = 100ms;
      auto one = w.run.begin_ask(w.self, terminate_child{"a"});
      auto two = w.run.begin_ask(w.self, terminate_child{.child = w.at["a"]});
      w.run.advance(50ms);
      CHECK_FALSE(one.answered());
      CHECK_FALSE(two.answered());
      w.run.advance(51ms);
      CHECK(said(one) == "done");
      CHECK(said(two) == "done");
      CHECK(w.log.take() == "a1 stops, a1 stopped, a1 ends");
    }
  }
}

TEST_CASE("by default a child may be terminated while a call starts it: that call fails") {
  family w{1, {}, {}};
  w.of("a")->start_takes = 1s;
  auto started = w.run.begin_ask(w.self, w.hiring({.id = "a"}));
  w.run.advance(100ms);
  auto done = w.run.begin_ask(w.self, terminate_child{"a"});
  w.run.run_until_idle();
  CHECK(said(done) == "done");
  REQUIRE(started.answered());
  CHECK(started.take().error().message() ==
        "failed: the child could not be started: shutdown (at /shop/a#1), because it was stopped "
        "while it started");
  CHECK(w.states() == "a stopped#1");
  CHECK(w.alive == 0);
}

TEST_CASE("a child that waits for its own termination is killed when its deadline is over") {
  for (const auto& rules : both_rules()) {
    world w;
    quitter::address a;
    w.open([&](children& s) {
      s.spec() = rules;
      a = s.add<quitter>({.id = "a", .shutdown = 1s});
    });
    w.tell(a, give_notice{supervisor_of(a)});
    w.run.advance(999ms);
    CHECK(w.told.brief.take() == "");
    w.run.advance(2ms);
    CHECK(w.states(supervisor_of(a)) == "a stopped#1");
    CHECK(w.told.brief.take() == "shutdown_error a#1 killed");
  }
}

TEST_CASE("a child that asks its supervisor for something before it has started is told: cycle") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}}};
    std::string told;
    w.of("b")->at_start = [&](worker& b) {
      b.ask(w.self, terminate_child{"a"}, 10s).then([&](const result<done>& r) { told = said(r); });
    };
    CHECK(w.call(w.hiring({.id = "b"})) == "b#1 runs");
    CHECK(told == "cycle");
    CHECK(said(w.run.ask(w.self, which_child{"a"})) == "a running#1");
  }
}

// ---- restart_child and delete_child -------------------------------------------------------------

TEST_CASE("restart_child starts one that does not run, in its place, and refuses others") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}, {.id = "b", .restart = transient}, {.id = "c"}}};
    CHECK(w.call(restart_child{"a"}) == "running");
    CHECK(w.call(restart_child{"d"}) == "not_found");
    w.tell(w.at["b"], halt());
    CHECK(w.call(terminate_child{"a"}) == "done");
    CHECK(w.call(restart_child{"b"}) == "b#2 runs");
    CHECK(w.call(restart_child{.child = w.at["a"]}) == "a#2 runs");
    CHECK(w.run.ask(w.at["a"], question{7})->incarnation == 2);
    w.log.take();
    w.stop();
    CHECK(w.log.take() == "c1 stops, c1 ends, b2 stops, b2 ends, a2 stops, a2 ends");
  }
}

TEST_CASE("restart_child whose start fails is answered why: the child stays, without a retry") {
  for (auto rules : both_rules()) {
    rules.intensity = {0, 5s};
    family w{1, rules, {{.id = "a"}}};
    CHECK(w.call(terminate_child{"a"}) == "done");
    fail_starts(*w.of("a"), 1);
    const auto failed = w.run.ask(w.self, restart_child{"a"});
    CHECK(failed.error().message() ==
          "failed: the child could not be started: start_failed (at /shop/a#2), because "
          "std::runtime_error: no start (at /shop/a#2)");
    CHECK(w.states() == "a stopped#2");
    CHECK(w.run.ask(w.at["a"], question{}).error().code() == errc::stopped);
    CHECK(w.told.brief.take() == "");
    CHECK(w.call(restart_child{"a"}) == "a#3 runs");
  }
}

TEST_CASE("delete_child removes one that does not run, its address ends; others are refused") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}, {.id = "b"}}};
    CHECK(w.call(delete_child{"a"}) == "running");
    CHECK(w.call(delete_child{"c"}) == "not_found");
    CHECK(w.call(terminate_child{"a"}) == "done");
    CHECK(w.run.ask(w.at["a"], question{}).error().code() == errc::stopped);
    CHECK(w.call(delete_child{"a"}) == "done");
    CHECK(w.run.ask(w.at["a"], question{}).error().code() == errc::gone);
    CHECK(w.call(delete_child{"a"}) == "not_found");
    CHECK(w.states() == "b running#1");
  }
}

TEST_CASE("restarts by a call keep the place, delete and start move to the end") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}, {.id = "b"}, {.id = "c"}}};
    CHECK(w.call(terminate_child{"a"}) == "done");
    CHECK(w.call(restart_child{"a"}) == "a#2 runs");
    CHECK(w.call(terminate_child{"b"}) == "done");
    CHECK(w.call(delete_child{"b"}) == "done");
    CHECK(w.call(w.hiring({.id = "b"})) == "b#1 runs");
    CHECK(w.states() == (rules.serial ? "b running#1, c running#1, a running#2"
                                      : "a running#2, c running#1, b running#1"));
    w.log.take();
    w.stop();
    CHECK(w.log.take() == "b1 stops, b1 ends, c1 stops, c1 ends, a2 stops, a2 ends");
  }
}

TEST_CASE("starts and restarts by a call never count") {
  for (auto rules : both_rules()) {
    rules.intensity = {0, 5s};
    family w{1, rules, {{.id = "a"}}};
    for (int i = 0; i < 10; ++i) {
      REQUIRE(w.call(terminate_child{"a"}) == "done");
      REQUIRE(w.call(restart_child{"a"}) != "running");
      REQUIRE(w.call(w.hiring({.id = "b"})) == "b#1 runs");
      REQUIRE(w.call(terminate_child{"b"}) == "done");
      REQUIRE(w.call(delete_child{"b"}) == "done");
    }
    CHECK(w.states() == "a running#11");
    CHECK(w.rows(w.self).at(0).restarts == 0);
    w.tell(w.at["a"], crash());
    CHECK(w.tree->ended());
  }
}

// ---- calls that only look -----------------------------------------------------------------------

TEST_CASE("which_children lists in the order of start, newest first under otp") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "a"}, {.id = "b"}}};
    CHECK(w.call(w.hiring({.id = "c"})) == "c#1 runs");
    CHECK(w.call(which_children{}) == (rules.serial ? "c running#1, b running#1, a running#1"
                                                    : "a running#1, b running#1, c running#1"));
  }
}

TEST_CASE("which_child tells of one child, by its id or a ref") {
  family w{1, {}, {{.id = "a"}, {.id = "b"}}};
  w.run.advance(100ms);
  w.tell(w.at["b"], crash());
  w.run.advance(50ms);
  const auto b = w.run.ask(w.self, which_child{.child = w.at["b"]});
  REQUIRE(b);
  CHECK(in_words(*b) == "b running#2");
  CHECK(b->type == "stage::worker");
  CHECK(b->kind == child_kind::worker);
  CHECK(b->restarts == 1);
  CHECK(b->last_reason == "crashed: std::runtime_error: boom (at /shop/b#1)");
  CHECK(b->last_ended == 50ms);
  CHECK(b->last_up == 100ms);
  CHECK(b->up == 50ms);
  CHECK(b->address == w.at["b"]);
  CHECK(w.call(which_child{"a"}) == "a running#1");
  CHECK(w.call(which_child{"c"}) == "not_found");
}

TEST_CASE("count_children counts specs, those that run, supervisors and workers") {
  for (const auto& rules : both_rules()) {
    world w;
    supervisor_ref shop;
    address b, c;
    w.open([&, a = w.habits("a"), hb = w.habits("b"), hc = w.habits("c")](children& s) {
      shop = s.self();
      s.spec() = rules;
      s.add<worker>("a", a);
      b = s.add<worker>({.id = "b", .restart = transient}, hb);
      c = s.add<worker>({.id = "c", .restart = temporary}, hc);
      s.supervise("desk", [](children&) {});
    });
    CHECK(w.ask(shop, count_children{}) == "4 specs, 4 active, 1 supervisors, 3 workers");
    w.tell(b, halt());
    CHECK(w.ask(shop, count_children{}) == "4 specs, 3 active, 1 supervisors, 3 workers");
    w.tell(c, halt());
    CHECK(w.ask(shop, count_children{}) == "3 specs, 2 active, 1 supervisors, 2 workers");
    CHECK(w.ask(shop, terminate_child{"desk"}) == "done");
    CHECK(w.ask(shop, count_children{}) == "3 specs, 1 active, 1 supervisors, 2 workers");
    CHECK(w.ask(shop, delete_child{"desk"}) == "done");
    CHECK(w.ask(shop, count_children{}) == "2 specs, 1 active, 0 supervisors, 2 workers");
  }
}

TEST_CASE("get_childspec answers the spec as it was given, whether the child runs or not") {
  for (const auto& rules : both_rules()) {
    const child_spec given{.id = "a", .restart = transient, .shutdown = 3s, .capacity = 17};
    family w{1, rules, {given, {.id = "b"}}};
    CHECK(*w.run.ask(w.self, get_childspec{"a"}) == given);
    w.tell(w.at["a"], halt());
    CHECK(*w.run.ask(w.self, get_childspec{.child = w.at["a"]}) == given);
    CHECK(w.call(get_childspec{"c"}) == "not_found");
  }
}

TEST_CASE("a ref to somebody else's child, or to nobody any more, is not_found for every call") {
  for (const auto& rules : both_rules()) {
    family w{1, rules, {{.id = "t", .restart = temporary}, {.id = "a"}}};
    const auto stranger = w.run.system().spawn<worker>({.id = "a"}, w.habits("x"));
    w.tell(w.at["t"], halt());
    for (const address& who : {address{stranger}, w.at["t"]}) {
      CHECK(w.call(terminate_child{.child = who}) == "not_found");
      CHECK(w.call(restart_child{.child = who}) == "not_found");
      CHECK(w.call(delete_child{.child = who}) == "not_found");
      CHECK(w.call(which_child{.child = who}) == "not_found");
      CHECK(w.call(get_childspec{.child = who}) == "not_found");
    }
    CHECK(w.states() == "a running#1");
    CHECK(w.run.ask(stranger, question{7})->number == 7);
  }
}

TEST_CASE("what is refused says why and what to do next") {
  family w{1, {}, {{.id = "a"}, {.id = "b"}}};
  CHECK(w.call(terminate_child{"b"}) == "done");
  const auto refusal = [&](auto call) { return w.run.ask(w.self, call).error().message(); };
  CHECK(refusal(terminate_child{"x"}) == "not_found: there is no child 'x' (at /shop)");
  CHECK(refusal(restart_child{"a"}) == "running: child 'a' runs: terminate it first (at /shop)");
  CHECK(refusal(delete_child{"a"}) == "running: child 'a' runs: terminate it first (at /shop)");
  CHECK(refusal(w.hiring({.id = "a"})) ==
        "already_started: child 'a' is there already and runs (at /shop)");
  CHECK(refusal(w.hiring({.id = "b"})) ==
        "already_present: child 'b' is there and does not run: restart or delete it (at /shop)");
}

TEST_CASE("a long list is written in slices; what comes and goes meanwhile is no trouble") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      std::vector<child_spec> specs;
      for (int i = 0; i < 1'000; ++i)
        specs.push_back({.id = std::to_string(i), .restart = temporary});
      family w{seed, rules, specs};
      auto list = w.run.begin_ask(w.self, which_children{});
      for (int i = 255; i < 999; i += 3) {
        w.run.send(w.at[std::to_string(i)], halt());
        w.run.step();
      }
      w.run.run_until_idle();
      REQUIRE(list.answered());
      const auto rows = list.take()->children;
      CHECK(rows.size() >= 1'000 - 248);
      CHECK(rows.size() <= 1'000);
      CHECK((rules.serial ? rows.back() : rows.front()).id == "0");
      CHECK((rules.serial ? rows.front() : rows.back()).id == "999");
      CHECK(w.rows(w.self).size() == 1'000 - 248);
    }
  }
}

TEST_CASE("a supervisor writes 64 long lists at a time, and refuses one more") {
  std::vector<child_spec> specs;
  for (int i = 0; i < 300; ++i) specs.push_back({.id = std::to_string(i)});
  family w{1, {}, specs};
  std::vector<testing::executor::question<which_children>> lists;
  for (int i = 0; i < 65; ++i) lists.push_back(w.run.begin_ask(w.self, which_children{}));
  w.run.run_until_idle();
  for (int i = 0; i < 64; ++i) CHECK(lists[i].take()->children.size() == 300);
  CHECK(said(lists[64]) == "limit");
}

// ---- while a restart has failed -----------------------------------------------------------------

TEST_CASE("while a child is restarting each call says so, and terminate_child cancels the retry") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      family w{seed, rules, {{.id = "a"}, {.id = "b"}}};
      later<which_child> seen;
      later<count_children> counted;
      later<restart_child> restarted;
      later<delete_child> deleted;
      later<detail::start_child_call> started;
      later<terminate_child> terminated;
      fail_start_and(*w.of("a"), [&] {
        seen = w.run.begin_ask(w.self, which_child{"a"});
        counted = w.run.begin_ask(w.self, count_children{});
        restarted = w.run.begin_ask(w.self, restart_child{"a"});
        deleted = w.run.begin_ask(w.self, delete_child{"a"});
        started = w.run.begin_ask(w.self, w.hiring({.id = "a"}));
        terminated = w.run.begin_ask(w.self, terminate_child{"a"});
      });
      w.tell(w.at["a"], crash());
      CHECK(said(seen) == "a restarting#2");
      CHECK(said(counted) == "2 specs, 1 active, 0 supervisors, 2 workers");
      CHECK(said(restarted) == "restarting");
      CHECK(said(deleted) == "restarting");
      CHECK(said(started) == "already_present");
      CHECK(said(terminated) == "done");
      CHECK(w.call(which_child{"a"}) == "a stopped#2");
      CHECK(w.told.brief.take() == "child_terminated a#1 crashed, start_error a#2 start_failed");
      CHECK(w.run.ask(w.at["a"], question{}).error().code() == errc::stopped);
      CHECK(w.call(restart_child{"a"}) == "a#3 runs");
    }
  }
}

TEST_CASE("a retry that comes after its child was terminated and started again is dropped") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      family w{seed, rules, {{.id = "a"}}};
      later<terminate_child> terminated;
      later<restart_child> restarted;
      fail_start_and(*w.of("a"), [&] {
        terminated = w.run.begin_ask(w.self, terminate_child{"a"});
        restarted = w.run.begin_ask(w.self, restart_child{"a"});
      });
      w.tell(w.at["a"], crash());
      CHECK(said(terminated) == "done");
      CHECK(said(restarted) == "a#3 runs");
      CHECK(w.states() == "a running#3");
      CHECK(w.rows(w.self).at(0).restarts == 1);
    }
  }
}
