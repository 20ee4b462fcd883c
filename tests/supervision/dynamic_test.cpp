// SPDX-License-Identifier: BSD-3-Clause
// Dynamic supervisors, OTP's simple_one_for_one.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

namespace {

dynamic_spec with(child_spec child, supervisor_spec rules = patient({})) {
  return {.child = std::move(child), .supervisor = rules};
}
std::vector<dynamic_spec> under_both_rules(const child_spec& child = {}) {
  return {with(child, patient({})), with(child, patient(otp))};
}

/// Is made of something that all share, and of the event that asked for it.
struct order {
  std::string what;
  using reply = ref<question>;
};
class clerk : public actor<question, act> {
 public:
  clerk(diary* log, order o) : log_(log), order_(std::move(o)) {
    log_->add(order_.what + std::to_string(incarnation()));
  }
  answer on(const question& q) { return {q.number, incarnation()}; }
  void on(const act&) { throw std::runtime_error("boom"); }

 private:
  diary* log_;
  order order_;
};

}  // namespace

// ---- how they start -----------------------------------------------------------------------------

TEST_CASE("a dynamic supervisor has no children at first and starts one for each event") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& spec : under_both_rules()) {
      crew w{seed, spec};
      CHECK(w.states() == "");
      w.of("a")->start_takes = 100ms;
      auto started = w.run.begin_ask(w.staff, hire{w.of("a")});
      w.run.advance(99ms);
      CHECK_FALSE(started.answered());
      w.run.advance(2ms);
      CHECK(said(started) == "/shop/staff/1");
      CHECK(w.run.ask(w.add("b"), question{7})->number == 7);
      CHECK(w.call(which_child{"2"}) == "2 running#1");
      CHECK(w.log.take() == "a1 starts, a1 runs, b1 starts, b1 runs");
    }
  }
}

TEST_CASE("a dynamic child is made of what all share and its event, the same after a crash") {
  world w;
  dynamic_ref<order> desk;
  w.open([&](children& s) { desk = s.dynamic<clerk, order>("desk", &w.log); });
  const auto one = w.run.ask(desk, order{"tea"});
  const auto two = w.run.ask(desk, order{"ale"});
  REQUIRE(one);
  REQUIRE(two);
  kill(*one);
  w.run.run_until_idle();
  CHECK(w.log.take() == "tea1, ale1, tea2");
  CHECK(w.run.ask(*one, question{})->incarnation == 2);
}

TEST_CASE("a dynamic child that is restarted keeps its number and its address") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& spec : under_both_rules()) {
      crew w{seed, spec};
      w.add("a");
      const address b = w.add("b");
      w.tell(b, crash());
      CHECK(w.run.ask(b, question{})->incarnation == 2);
      CHECK(w.call(which_child{.child = b}) == "2 running#2");
      CHECK(w.call(which_child{"1"}) == "1 running#1");
      CHECK(w.told.brief.take() == "child_terminated 2#1 crashed");
    }
  }
}

TEST_CASE("a dynamic child whose start fails is answered why, and nothing is kept or tried") {
  for (auto spec : under_both_rules()) {
    spec.supervisor.intensity.restarts = 0;
    crew w{1, spec};
    fail_starts(*w.of("a"), 1);
    const auto failed = w.run.ask(w.staff, hire{w.of("a")});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message() ==
          "failed: the child could not be started: start_failed (at /shop/staff/1#1), because "
          "std::runtime_error: no start (at /shop/staff/1#1)");
    CHECK(w.states() == "");
    CHECK(w.told.brief.take() == "");
    CHECK(w.add("b").path() == "/shop/staff/2");
  }
}

TEST_CASE(
    "a dynamic child whose start takes too long fails; one that is restarted is tried again") {
  for (const auto& spec : under_both_rules({.start_deadline = 100ms})) {
    crew w{1, spec};
    w.of("a")->start_takes = 1s;
    CHECK(w.ask(w.staff, hire{w.of("a")}) == "failed");
    CHECK(w.states() == "");
    const address b = w.add("b");
    w.of("b")->start_takes = 1s;
    w.tell(b, crash());
    w.of("b")->start_takes = 0ms;
    w.run.advance(200ms);
    CHECK(w.run.ask(b, question{})->incarnation == 3);
    CHECK(w.told.brief.take() == "child_terminated 2#1 crashed, start_error 2#2 start_failed");
  }
}

TEST_CASE("a dynamic supervisor takes no more children than it may have") {
  dynamic_spec spec;
  spec.most = 2;
  crew w{1, spec};
  const address a = w.add("a");
  w.add("b");
  const auto refused = w.run.ask(w.staff, hire{w.of("c")});
  CHECK(refused.error().message() ==
        "limit: it has 2 children, and may not have more (at /shop/staff)");
  CHECK(w.call(terminate_child{.child = a}) == "done");
  CHECK(w.add("c").path() == "/shop/staff/3");
}

TEST_CASE("the strategy simple_one_for_one is not chosen by hand") {
  world w;
  w.open([](children& s) { s.strategy(strategy::simple_one_for_one); });
  CHECK(w.ended() ==
        "start_failed: the children could not be built (at /shop#1), because invalid, because the "
        "strategy simple_one_for_one is for children made from a template: add them with "
        "children::dynamic (at /shop)");
}

// ---- how they end -------------------------------------------------------------------------------

TEST_CASE("a dynamic child that ends for good is forgotten, whatever its restart type") {
  struct row {
    coppice::restart type;
    act how;
    std::string states, reports;
  };
  const row table[] = {
      {permanent, halt(), "1 running#2", "child_terminated 1#1 normal"},
      {permanent, crash(), "1 running#2", "child_terminated 1#1 crashed"},
      {transient, halt(), "", ""},
      {transient, halt(exit_reason::shutdown("x")), "", ""},
      {transient, crash(), "1 running#2", "child_terminated 1#1 crashed"},
      {temporary, halt(), "", ""},
      {temporary, crash(), "", "child_terminated 1#1 crashed"},
  };
  for (const row& r : table)
    for (const auto seed : seeds)
      for (const auto& spec : under_both_rules({.restart = r.type})) {
        CAPTURE(seed);
        crew w{seed, spec};
        const address a = w.add("a");
        w.tell(a, r.how);
        CHECK(w.states() == r.states);
        CHECK(w.told.brief.take() == r.reports);
        if (r.states.empty()) CHECK(w.run.ask(a, question{}).error().code() == errc::gone);
      }
}

TEST_CASE("numbers of dynamic children are never used again") {
  for (const auto& spec : under_both_rules({.restart = temporary})) {
    crew w{1, spec};
    for (int i = 1; i <= 5; ++i) {
      const address a = w.add("a");
      CHECK(a.path() == "/shop/staff/" + std::to_string(i));
      w.tell(a, i % 2 ? halt() : crash());
    }
    CHECK(w.states() == "");
    kill(w.staff);
    w.run.run_until_idle();
    CHECK(w.add("b").path() == "/shop/staff/6");
  }
}

TEST_CASE("dynamic children stop side by side: twenty that take 100 ms each take 100 ms") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    crew w{seed};
    for (int i = 0; i < 20; ++i) {
      const std::string name = "x" + std::to_string(i);
      w.of(name)->stop_takes = 100ms;
      w.add(name);
    }
    w.stop();
    w.run.advance(99ms);
    CHECK(w.alive == 20);
    w.run.advance(2ms);
    CHECK(w.alive == 0);
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("dynamic children that do not stop in time are killed at one and the same time") {
  crew w{1, with({.shutdown = 500ms})};
  for (int i = 0; i < 10; ++i) {
    const std::string name = "x" + std::to_string(i);
    w.of(name)->stop_takes = i < 5 ? 100ms : 1h;
    w.add(name);
  }
  w.stop();
  w.run.advance(101ms);
  CHECK(w.alive == 5);
  w.run.advance(398ms);
  CHECK(w.alive == 5);
  w.run.advance(2ms);
  CHECK(w.alive == 0);
  CHECK(w.ended() == "shutdown");
}

TEST_CASE("a dynamic supervisor that gives up stops all children side by side") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (auto spec : under_both_rules()) {
      spec.supervisor.intensity.restarts = 1;
      crew w{seed, spec};
      const address a = w.add("a");
      for (const char* name : {"b", "c"}) {
        w.of(name)->stop_takes = 100ms;
        w.add(name);
      }
      w.tell(a, crash());
      w.tell(a, crash());
      CHECK(w.alive == 2);
      w.run.advance(101ms);
      CHECK(w.alive == 0);
      CHECK(w.world::states(w.shop) == "staff running#2");
      CHECK(w.told.brief.take() ==
            (spec.supervisor.serial
                 ? "child_terminated 1#1 crashed, child_terminated 1#2 crashed, shutdown 1#2 "
                   "exhausted, child_terminated staff#1 shutdown"
                 : "child_terminated 1#1 crashed, child_terminated 1#2 crashed, shutdown 1#2 "
                   "exhausted, child_terminated staff#1 exhausted"));
    }
  }
}

TEST_CASE("dynamic children end with their supervisor's incarnation") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    crew w{seed};
    const address a = w.add("a");
    kill(w.staff);
    w.run.run_until_idle();
    CHECK(w.world::states(w.shop) == "staff running#2");
    CHECK(w.states() == "");
    CHECK(w.run.ask(a, question{}).error().code() == errc::gone);
    CHECK(w.alive == 0);
    CHECK(w.add("b").path() == "/shop/staff/2");
  }
}

// ---- calls --------------------------------------------------------------------------------------

TEST_CASE("a dynamic child is terminated by its number or a ref, and is gone then") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto type : {permanent, transient, temporary})
      for (const auto& spec : under_both_rules({.restart = type})) {
        crew w{seed, spec};
        const address a = w.add("a"), b = w.add("b");
        CHECK(w.call(terminate_child{"1"}) == "done");
        CHECK(w.call(terminate_child{.child = b}) == "done");
        CHECK(w.states() == "");
        CHECK(w.run.ask(a, question{}).error().code() == errc::gone);
        CHECK(w.run.ask(b, question{}).error().code() == errc::gone);
        CHECK(w.told.brief.take() == "");
      }
  }
}

TEST_CASE("terminating a dynamic child that has ended is done; one that never was is not_found") {
  for (const auto& spec : under_both_rules({.restart = temporary})) {
    crew w{1, spec};
    const address a = w.add("a");
    const auto stranger = w.run.system().spawn<worker>({.id = "1"}, w.of("x"));
    w.tell(a, halt());
    CHECK(w.call(terminate_child{"1"}) == "done");
    CHECK(w.call(terminate_child{.child = a}) == "done");
    CHECK(w.call(terminate_child{"2"}) == "not_found");
    CHECK(w.call(terminate_child{"0"}) == "not_found");
    CHECK(w.call(terminate_child{"01"}) == "not_found");
    CHECK(w.call(terminate_child{"x"}) == "not_found");
    CHECK(w.call(terminate_child{.child = stranger}) == "not_found");
    CHECK(w.run.ask(stranger, question{7})->number == 7);
  }
}

TEST_CASE("a dynamic child that is restarting is cancelled and forgotten by terminate_child") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& spec : under_both_rules()) {
      crew w{seed, spec};
      const address a = w.add("a");
      later<which_child> seen;
      later<count_children> counted;
      later<terminate_child> terminated;
      fail_start_and(*w.of("a"), [&] {
        seen = w.run.begin_ask(w.staff, which_child{"1"});
        counted = w.run.begin_ask(w.staff, count_children{});
        terminated = w.run.begin_ask(w.staff, terminate_child{.child = a});
      });
      w.tell(a, crash());
      CHECK(said(seen) == "1 restarting#2");
      CHECK(said(counted) == "1 specs, 0 active, 0 supervisors, 1 workers");
      CHECK(said(terminated) == "done");
      CHECK(w.states() == "");
      CHECK(w.run.ask(a, question{}).error().code() == errc::gone);
    }
  }
}

TEST_CASE("restart, delete and start by spec are refused by a dynamic supervisor") {
  for (const auto& spec : under_both_rules()) {
    crew w{1, spec};
    const address a = w.add("a");
    const char* why =
        "simple_one_for_one: a dynamic supervisor's children are started by the event it is asked "
        "with, and go when they end (at /shop/staff)";
    CHECK(w.run.ask(w.staff, restart_child{"1"}).error().message() == why);
    CHECK(w.run.ask(w.staff, delete_child{.child = a}).error().message() == why);
    CHECK(w.run.ask(w.staff, start_child<worker>({.id = "b"}, w.of("b"))).error().message() == why);
    CHECK(w.states() == "1 running#1");
  }
}

TEST_CASE("get_childspec of a dynamic child is its template, also when it has ended") {
  const child_spec like{.restart = transient, .shutdown = 3s, .capacity = 17};
  for (const auto& spec : under_both_rules(like)) {
    crew w{1, spec};
    const address a = w.add("a");
    child_spec expected = like;
    expected.id = "1";
    CHECK(*w.run.ask(w.staff, get_childspec{"1"}) == expected);
    CHECK(*w.run.ask(w.staff, get_childspec{.child = a}) == expected);
    w.tell(a, halt());
    CHECK(w.run.ask(w.staff, get_childspec{"1"})->capacity == 17);
    CHECK(w.run.ask(w.staff, get_childspec{.child = a})->capacity == 17);
    CHECK(w.call(get_childspec{"2"}) == "not_found");
    CHECK(w.call(which_child{.child = a}) == "not_found");
  }
}

TEST_CASE("a dynamic supervisor counts one spec, and its children as workers") {
  for (const auto& spec : under_both_rules({.restart = temporary})) {
    crew w{1, spec};
    CHECK(w.call(count_children{}) == "1 specs, 0 active, 0 supervisors, 0 workers");
    w.add("a");
    const address b = w.add("b");
    CHECK(w.call(count_children{}) == "1 specs, 2 active, 0 supervisors, 2 workers");
    CHECK(w.call(which_children{}) ==
          (spec.supervisor.serial ? "2 running#1, 1 running#1" : "1 running#1, 2 running#1"));
    w.tell(b, crash());
    CHECK(w.call(count_children{}) == "1 specs, 1 active, 0 supervisors, 1 workers");
  }
}

TEST_CASE(
    "under otp a dynamic supervisor starts one child after the other, by default all at once") {
  for (const auto& spec : under_both_rules()) {
    crew w{1, spec};
    for (const char* name : {"a", "b", "c"}) {
      w.of(name)->start_takes = 100ms;
      w.run.begin_ask(w.staff, hire{w.of(name)});
    }
    w.run.advance(101ms);
    w.log.take();
    w.run.advance(250ms);
    CHECK(w.log.take() == (spec.supervisor.serial ? "b1 runs, c1 starts, c1 runs" : ""));
    CHECK(w.rows(w.staff).size() == 3);
  }
}
