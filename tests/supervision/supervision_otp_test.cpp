// SPDX-License-Identifier: BSD-3-Clause
// What OTP's supervisor documents or was seen to do, row by row, as far as no other file shows it
// of a feature. docs/otp-statements.md names the test of each statement.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

namespace {

/// As in OTP: whole seconds, mailboxes dropped, exhaustion a plain shutdown.
void as_otp(children& s, unsigned restarts, std::chrono::seconds period) {
  s.intensity(restarts, period);
  s.spec().window = window::otp_seconds;
  s.spec().exhausted_is_shutdown = true;
}

}  // namespace

// ---- start, stop, order -----------------------------------------------------------------------

TEST_CASE("OTP: each child's start is complete before the next begins") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a"), b = w.habits("b"), c = w.habits("c");
    a->start_takes = b->start_takes = c->start_takes = 100ms;
    w.open([&](children& s) {
      s.add<worker>("a", a);
      s.add<worker>("b", b);
      s.add<worker>("c", c);
    });
    w.run.advance(250ms);
    CHECK(w.log.take() == "a1 starts, a1 runs, b1 starts, b1 runs, c1 starts");
    CHECK_FALSE(w.tree->up());
    w.run.advance(60ms);
    CHECK(w.log.take() == "c1 runs");
    CHECK(w.tree->up());
  }
}

TEST_CASE(
    "OTP: when a child's start fails, later ones never start and earlier ones stop in "
    "reverse") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto c = w.habits("c");
    fail_starts(*c, 1);
    w.open([&, a = w.habits("a"), b = w.habits("b"), d = w.habits("d")](children& s) {
      s.add<worker>("a", a);
      s.add<worker>("b", b);
      s.add<worker>("c", c);
      s.add<worker>("d", d);
    });
    CHECK(w.log.take() ==
          "a1 starts, a1 runs, b1 starts, b1 runs, c1 starts, c1 ends, "
          "b1 stops, b1 ends, a1 stops, a1 ends");
    CHECK(w.ended() ==
          "start_failed: failed to start child c, because start_failed, because "
          "std::runtime_error: no start (at /shop/c#1)");
    CHECK(w.told.brief.take() == "start_error c#1 start_failed");
  }
}

TEST_CASE("OTP: three children that take 100 ms each to stop take 300 ms") {
  world w;
  const auto h = w.habits("x");
  h->own_alive = -2;  // three children share these habits
  h->stop_takes = 100ms;
  w.open([&](children& s) {
    for (const char* id : {"a", "b", "c"}) s.add<worker>(id, h);
  });
  w.stop();
  w.run.advance(299ms);
  CHECK(w.ended() == "has not ended");
  w.run.advance(4ms);  // each deadline begins with the next whole millisecond
  CHECK(w.ended() == "shutdown");
}

// ---- what follows from an exit ------------------------------------------------------------------

TEST_CASE("OTP: the table of restart types and exit reasons") {
  struct row {
    coppice::restart type;
    exit_reason why;
    std::string reports, states;
  };
  const exit_reason bad = exit_reason::failed("x"), killed = exit_reason::killed(),
                    noproc{exit_reason::kind::noproc}, unreachable{exit_reason::kind::unreachable};
  const row table[] = {
      {permanent, exit_reason::normal(), "child_terminated a#1 normal", "a running#2"},
      {permanent, exit_reason::shutdown(), "child_terminated a#1 shutdown", "a running#2"},
      {permanent, exit_reason::shutdown("x"), "child_terminated a#1 shutdown", "a running#2"},
      {permanent, bad, "child_terminated a#1 failed", "a running#2"},
      {permanent, killed, "child_terminated a#1 killed", "a running#2"},
      {transient, exit_reason::normal(), "", "a stopped#1"},
      {transient, exit_reason::shutdown(), "", "a stopped#1"},
      {transient, exit_reason::shutdown("x"), "", "a stopped#1"},
      {transient, bad, "child_terminated a#1 failed", "a running#2"},
      {transient, noproc, "child_terminated a#1 noproc", "a running#2"},
      {transient, unreachable, "child_terminated a#1 unreachable", "a running#2"},
      {temporary, exit_reason::normal(), "", ""},
      {temporary, exit_reason::shutdown(), "", ""},
      {temporary, bad, "child_terminated a#1 failed", ""},
      {temporary, killed, "child_terminated a#1 killed", ""},
  };
  for (const row& r : table) {
    for (const auto seed : seeds) {
      CAPTURE(seed);
      CAPTURE(r.why.text());
      world w{seed};
      address a;
      w.open([&, h = w.habits("a")](children& s) {
        a = s.add<worker>({.id = "a", .restart = r.type}, h);
      });
      w.tell(a, halt(r.why));
      CHECK(w.told.brief.take() == r.reports);
      CHECK(w.states(supervisor_of(a)) == r.states);
    }
  }
}

TEST_CASE("OTP: a temporary child's crash touches neither siblings nor the count") {
  for (const auto how : {one_for_one, one_for_all, rest_for_one}) {
    world w;
    address t, a;
    w.open([&, ht = w.habits("t"), ha = w.habits("a")](children& s) {
      s.strategy(how).intensity(0, 1s);
      t = s.add<worker>({.id = "t", .restart = temporary}, ht);
      a = s.add<worker>("a", ha);
    });
    w.tell(t, crash());
    CHECK(w.tree->up());
    CHECK(w.states(supervisor_of(a)) == "a running#1");
  }
}

TEST_CASE("OTP: a transient supervisor that gives up with shutdown is not restarted; ours is") {
  for (const bool clean : {true, false}) {
    world w;
    address a;
    w.open([&, h = w.habits("a")](children& s) {
      s.supervise({.id = "desk", .restart = transient}, [&, h](children& d) {
        d.intensity(0, 1s);
        d.spec().exhausted_is_shutdown = clean;
        a = d.add<worker>("a", h);
      });
    });
    const auto shop = supervisor_of(detail_ref::get(a)->parent());
    w.tell(a, crash());
    CHECK(w.states(shop) == (clean ? "desk stopped#1" : "desk running#2"));
  }
}

TEST_CASE("OTP: a group's restart counts once and brings back what had been stopped") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b;
    w.open([&, ha = w.habits("a"), hb = w.habits("b"), hc = w.habits("c")](children& s) {
      s.strategy(one_for_all).intensity(1, 1s);
      a = s.add<worker>({.id = "a", .restart = transient}, ha);
      b = s.add<worker>("b", hb);
      s.add<worker>("c", hc);
    });
    w.tell(a, halt());
    CHECK(w.states(supervisor_of(b)) == "a stopped#1, b running#1, c running#1");
    w.tell(b, crash());
    CHECK(w.states(supervisor_of(b)) == "a running#2, b running#2, c running#2");
    CHECK(w.tree->up());
  }
}

// ---- restart intensity ------------------------------------------------------------------------

TEST_CASE("OTP: the first crash is too many at intensity 0, the (n+1)th at intensity n") {
  for (const unsigned n : {0u, 1u, 3u}) {
    world w;
    address a;
    w.open([&, h = w.habits("a")](children& s) {
      as_otp(s, n, 5s);
      a = s.add<worker>("a", h);
    });
    for (unsigned i = 0; i < n; ++i) {
      w.tell(a, crash());
      REQUIRE(w.tree->up());
    }
    w.tell(a, crash());
    CHECK(w.ended() == "shutdown");
    CHECK(w.told.brief.take().find("shutdown a#" + std::to_string(n + 1) + " exhausted") !=
          std::string::npos);
  }
}

TEST_CASE("OTP: a restart exactly one period old counts; in whole seconds, or to the millisecond") {
  struct row {
    bool otp;
    milliseconds first, second;
    bool up;
  };
  const row table[] = {
      {false, 500ms, 1'500ms, false}, {false, 500ms, 1'501ms, true}, {true, 500ms, 1'999ms, false},
      {true, 500ms, 2'000ms, true},   {true, 999ms, 1'999ms, false}, {true, 999ms, 2'000ms, true},
  };
  for (const row& r : table) {
    CAPTURE(r.otp);
    CAPTURE(r.second.count());
    world w;
    address a;
    const auto origin = w.run.now() % 1s;  // virtual time may begin anywhere
    w.open([&, h = w.habits("a")](children& s) {
      s.intensity(1, 1s);
      s.spec().window = r.otp ? window::otp_seconds : window::sliding_ms;
      a = s.add<worker>("a", h);
    });
    w.run.advance(1s - origin + r.first);
    w.tell(a, crash());
    w.run.advance(r.second - r.first);
    w.tell(a, crash());
    CHECK(w.tree->up() == r.up);
  }
}

TEST_CASE("OTP: all children share the window") {
  world w;
  address a, b;
  w.open([&, ha = w.habits("a"), hb = w.habits("b")](children& s) {
    s.intensity(1, 1s);
    a = s.add<worker>("a", ha);
    b = s.add<worker>("b", hb);
  });
  w.tell(a, crash());
  w.tell(b, crash());
  CHECK(w.tree->ended());
}

TEST_CASE("OTP: starts that fail slowly enough are tried for ever") {
  world w;
  const auto h = w.habits("a");
  address a;
  w.open([&](children& s) {
    s.intensity(1, 1s);
    a = s.add<worker>("a", h);
  });
  h->start_takes = 1'100ms;
  fail_starts(*h, 1'000);
  w.tell(a, crash());
  w.run.advance(60s);
  CHECK(w.tree->up());
  CHECK(w.rows(supervisor_of(a)).at(0).restarts > 50);
}

TEST_CASE("OTP: starts that fail at once use the budget up in no time") {
  world w;
  const auto h = w.habits("a");
  address a;
  w.open([&](children& s) {
    s.intensity(3, 5s);
    a = s.add<worker>("a", h);
  });
  fail_starts(*h, 1'000);
  const auto before = w.run.now();
  w.tell(a, crash());
  CHECK(w.run.now() == before);
  CHECK(w.ended() ==
        "exhausted: the children needed more than 3 restarts in 5000 ms, the supervisor's limit, "
        "because start_failed, because std::runtime_error: no start (at /shop/a#4)");
  CHECK(w.told.brief.take() ==
        "child_terminated a#1 crashed, start_error a#2 start_failed, start_error a#3 "
        "start_failed, start_error a#4 start_failed, shutdown a#4 exhausted");
}

TEST_CASE("OTP: a supervisor that gives up stops its children by the ordinary rules") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a"), c = w.habits("c");
    a->stop_takes = c->stop_takes = 100ms;
    address b;
    w.open([&, hb = w.habits("b")](children& s) {
      s.intensity(0, 1s);
      s.add<worker>("a", a);
      b = s.add<worker>("b", hb);
      s.add<worker>("c", c);
    });
    w.log.take();
    w.tell(b, crash());
    CHECK(w.log.take() == "b1 stops, b1 ends, c1 stops");
    w.run.advance(1s);
    CHECK(w.log.take() == "c1 stopped, c1 ends, a1 stops, a1 stopped, a1 ends");
    CHECK(w.ended().find("exhausted") == 0);
  }
}

// ---- stopping one child, signals to the supervisor ---------------------------------------------

TEST_CASE("OTP: of a stopped child only an unexpected reason is reported") {
  struct row {
    coppice::restart type;
    coppice::shutdown how;
    bool throws;
    std::string reports;
  };
  const row table[] = {
      {permanent, 5s, false, ""},
      {permanent, brutal_kill, false, ""},
      {permanent, 5s, true, "shutdown_error a#1 crashed"},
      {temporary, 5s, false, ""},
      {transient, 5s, true, "shutdown_error a#1 crashed"},
  };
  for (const row& r : table) {
    world w;
    const auto h = w.habits("a");
    if (r.throws) h->at_stop = [](worker&) { throw std::runtime_error("boom"); };
    w.open(
        [&](children& s) { s.add<worker>({.id = "a", .restart = r.type, .shutdown = r.how}, h); });
    w.stop();
    CHECK(w.told.brief.take() == r.reports);
    CHECK(w.ended() == "shutdown");
  }
}

TEST_CASE("OTP: a supervisor stops for any reason its parent gives, normal too") {
  for (const auto& why :
       {exit_reason::normal(), exit_reason::shutdown("x"), exit_reason::failed("moving house")}) {
    world w;
    w.open([&, a = w.habits("a")](children& s) { s.add<worker>("a", a); });
    w.log.take();
    w.stop(why);
    CHECK(w.log.take() == "a1 stops, a1 ends");
    CHECK(w.ended() == why.text());
  }
}

TEST_CASE("OTP: exit signals from others than its parent do not end a supervisor, kill does") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open([&, h = w.habits("a")](children& s) {
      s.supervise("desk", [&, h](children& d) { a = d.add<worker>("a", h); });
    });
    const auto stranger = w.run.system().spawn<worker>({.id = "stranger"}, w.habits("x"));
    const auto desk = supervisor_of(a);
    for (const auto& why :
         {exit_reason::normal(), exit_reason::shutdown(), exit_reason::failed("x")})
      w.tell(stranger, act{[=](worker& x) { x.exit(desk, why); }});
    w.tell(stranger, act{[=](worker& x) { x.link(desk); }});
    w.tell(stranger, crash());
    CHECK(w.states(desk) == "a running#1");
    const auto assassin = w.run.system().spawn<worker>({.id = "assassin"}, w.habits("y"));
    w.log.take();
    w.tell(assassin, act{[=](worker& x) { x.exit(desk, exit_reason::kill()); }});
    CHECK(w.log.take() == "y1 starts, y1 runs, a1 ends, a2 starts, a2 runs");
    CHECK(w.states(desk) == "a running#2");
    CHECK(w.told.brief.take() == "child_terminated desk#1 killed");
  }
}

TEST_CASE("OTP: a child that asks its own supervisor's stop from inside does not hang it") {
  world w;
  address a;
  w.open([&, h = w.habits("a")](children& s) { a = s.add<worker>("a", h); });
  w.tell(a, act{[&](worker&) { w.tree->request_stop(); }});
  CHECK(w.ended() == "shutdown");
  CHECK(w.alive == 0);
}

TEST_CASE("OTP: nobody else's exit message is taken for a child's end") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      family w{seed, rules, {{.id = "a"}, {.id = "b"}}};
      // A child that is linked to its supervisor is no more than any other stranger to it.
      w.tell(w.at["a"], act{[&](worker& a) { a.link(w.self); }});
      w.tell(w.at["b"], act{[&](worker& b) { b.exit(w.self, exit_reason::failed("x")); }});
      w.tell(w.at["a"], crash());
      CHECK(w.run.ask(w.self, which_child{"a"})->restarts == 1);
      CHECK(w.call(which_child{"a"}) == "a running#2");
      CHECK(w.told.brief.take() == "child_terminated a#1 crashed");
    }
  }
}

// ---- what is reported, in which order ----------------------------------------------------------

TEST_CASE("OTP: a report carries who, which child, why and the child's spec") {
  struct keep : supervision_observer {
    void on_report(const supervisor_report& r) noexcept override {
      if (r.about != report_context::child_terminated) return;
      text = r.supervisor() + ' ' + r.child() + ' ' + std::string{r.child_id()} + ' ' +
             std::string{r.child_type()} + " #" + std::to_string(r.incarnation) + ' ' +
             r.reason.text();
      spec = *r.spec;
    }
    std::string text;
    child_spec spec;
  } seen;
  testing::executor run;
  address a;
  auto h = std::make_shared<habit>();
  supervised_tree tree{
      run.system(), "shop",
      [&](children& s) { a = s.add<worker>({.id = "a", .restart = transient, .shutdown = 3s}, h); },
      &seen};
  run.run_until_idle();
  run.send(a, crash());
  run.run_until_idle();
  CHECK(seen.text ==
        "/shop /shop/a a stage::worker #1 crashed: std::runtime_error: boom (at /shop/a#1)");
  CHECK(seen.spec.restart == transient);
  CHECK(seen.spec.shutdown == 3s);
  CHECK_FALSE(seen.spec.significant);
  CHECK(seen.spec.kind == child_kind::worker);
  tree.request_stop();
  run.run_until_idle();
}

TEST_CASE("OTP: of one crash first the actor tells, then its supervisor, then the next start") {
  struct keep : observer, supervision_observer {
    void on_crash(const crash_report& r) noexcept override {
      all.add("crash " + r.path() + ' ' + r.reason.text());
    }
    void on_report(const supervisor_report& r) noexcept override {
      all.add(std::string{name(r.about)} + " #" + std::to_string(r.incarnation));
    }
    diary all;
  } seen;
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      testing::executor run{seed, {.watch = &seen}};
      address a;
      auto h = std::make_shared<habit>();
      supervised_tree tree{run.system(), "shop",
                           [&](children& s) {
                             s.spec() = rules;
                             a = s.add<worker>("a", h);
                           },
                           &seen};
      run.run_until_idle();
      fail_starts(*h, 1);
      run.send(a, crash());
      run.run_until_idle();
      CHECK(seen.all.take() ==
            "progress #1, crash /shop/a crashed: std::runtime_error: boom (at /shop/a#1), "
            "child_terminated "
            "#1, start_error #2, progress #3");
      tree.request_stop();
      run.run_until_idle();
      CHECK(seen.all.take() == "");
    }
  }
}
