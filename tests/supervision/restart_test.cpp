// SPDX-License-Identifier: BSD-3-Clause
// What a restart does to addresses, mailboxes, siblings and those who watch.
#include "stage.hpp"

#include <doctest/doctest.h>

#include <coppice/actors/testing/probe.hpp>

#include <deque>
#include <map>
#include <random>

using namespace coppice;
using namespace stage;

TEST_CASE("a child restarted alone keeps its address, its mailbox and its siblings") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a"), b = w.habits("b");
    address at_a, at_b;
    w.open([&](children& s) {
      at_a = s.add<worker>("a", a);
      at_b = s.add<worker>("b", b);
    });
    const auto number = at_a.number();
    w.log.take();
    w.run.send(at_a, crash());
    auto waited = w.run.begin_ask(at_a, question{7});
    w.run.run_until_idle();
    REQUIRE(waited.answered());
    const auto told = waited.take();
    REQUIRE(told);
    CHECK(told->number == 7);
    CHECK(told->incarnation == 2);
    CHECK(at_a.number() == number);
    CHECK(w.log.take() == "a1 stops, a1 ends, a2 starts, a2 runs");
    CHECK(w.states(supervisor_of(at_a)) == "a running#2, b running#1");
    CHECK(w.dead(dead_letter_reason::restarting) == 0);
    CHECK(w.dead(dead_letter_reason::crashed) == 1);
  }
}

TEST_CASE("a spec may drop the mailbox over a restart: what waited is counted and answered") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open([&, h = w.habits("a")](children& s) {
      a = s.add<worker>({.id = "a", .keep_mailbox = false}, h);
    });
    w.run.send(a, linger{1s});
    w.run.run_until_idle();
    w.run.send(a, linger{1s});
    auto waited = w.run.begin_ask(a, question{});
    kill(a);
    w.run.run_until_idle();
    REQUIRE(waited.answered());
    const auto told = waited.take();
    REQUIRE_FALSE(told);
    CHECK(told.error().code() == errc::restarting);
    CHECK(told.error().not_executed());
    CHECK(w.dead(dead_letter_reason::restarting) == 1);
    CHECK(w.run.ask(a, question{})->incarnation == 2);
  }
}

TEST_CASE("a group's restart drops the siblings' mailboxes: counted, asks answered restarting") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b;
    w.open([&, ha = w.habits("a"), hb = w.habits("b")](children& s) {
      s.strategy(one_for_all);
      a = s.add<worker>("a", ha);
      b = s.add<worker>("b", hb);
    });
    const auto number = b.number();
    w.run.send(b, linger{1s});
    w.run.run_until_idle();
    w.run.send(b, linger{1s});
    w.run.send(b, linger{1s});
    auto waited = w.run.begin_ask(b, question{});
    w.tell(a, crash());
    CHECK_FALSE(waited.answered());  // b's turn in hand may end first
    w.run.advance(2s);
    REQUIRE(waited.answered());
    const auto told = waited.take();
    REQUIRE_FALSE(told);
    CHECK(told.error().code() == errc::restarting);
    CHECK(w.dead(dead_letter_reason::restarting) == 2);
    CHECK(b.number() == number);
    CHECK(w.states(supervisor_of(a)) == "a running#2, b running#2");
  }
}

TEST_CASE("a supervisor's restart keeps its children's addresses and drops their mailboxes") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b;
    w.open([&, ha = w.habits("a"), hb = w.habits("b")](children& s) {
      s.supervise("desk", [&, ha, hb](children& d) {
        d.intensity(0, 1s);
        a = d.add<worker>("a", ha);
        b = d.add<worker>("b", hb);
      });
    });
    const address first_a = a, first_b = b;
    w.run.send(b, linger{1s});
    w.run.run_until_idle();
    w.run.send(b, linger{1s});
    auto waited = w.run.begin_ask(b, question{});
    w.tell(a, crash());
    w.run.advance(2s);
    REQUIRE(waited.answered());
    const auto told = waited.take();
    REQUIRE_FALSE(told);
    CHECK(told.error().code() == errc::restarting);
    CHECK(w.dead(dead_letter_reason::restarting) == 1);
    CHECK(a == first_a);
    CHECK(b == first_b);
    CHECK(w.run.ask(first_b, question{})->incarnation == 2);
    CHECK(w.states(supervisor_of(a)) == "a running#2, b running#2");
  }
}

TEST_CASE("asks made while a child restarts queue and are answered by the next incarnation") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto h = w.habits("a");
    address a;
    w.open([&](children& s) { a = s.add<worker>("a", h); });
    h->start_takes = 100ms;
    w.tell(a, crash());
    auto first = w.run.begin_ask(a, question{1});
    auto second = w.run.begin_ask(a, question{2}, 50ms);
    w.run.advance(99ms);
    CHECK_FALSE(first.answered());
    w.run.advance(2ms);
    REQUIRE(first.answered());
    CHECK(first.take()->incarnation == 2);
    REQUIRE(second.answered());
    CHECK(second.take().error().code() == errc::expired);
  }
}

TEST_CASE("a child whose spec says so rejects until its next start is complete") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto h = w.habits("a");
    address a;
    w.open(
        [&](children& s) { a = s.add<worker>({.id = "a", .reject_while_restarting = true}, h); });
    h->start_takes = 100ms;
    w.tell(a, crash());
    auto refused = w.run.begin_ask(a, question{1});
    REQUIRE(refused.answered());
    const auto told = refused.take();
    CHECK(told.error().code() == errc::restarting);
    const auto offered = w.run.offer(a, linger{1ms});
    REQUIRE_FALSE(offered);
    CHECK(offered.error().code() == errc::restarting);
    w.run.send(a, linger{1ms});
    CHECK(w.dead(dead_letter_reason::restarting) == 1);
    w.run.advance(101ms);
    CHECK(w.run.ask(a, question{1})->incarnation == 2);
  }
}

TEST_CASE("a child that is not running refuses with stopped, and a later start accepts again") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b;
    w.open([&, ha = w.habits("a"), hb = w.habits("b")](children& s) {
      s.strategy(one_for_all);
      a = s.add<worker>({.id = "a", .restart = transient}, ha);
      b = s.add<worker>("b", hb);
    });
    w.run.send(a, halt());
    w.run.send(a, linger{1s});  // waits behind the stop: never handled
    w.run.run_until_idle();
    CHECK(w.dead(dead_letter_reason::stopped) == 1);
    const auto refused = w.run.ask(a, question{});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == errc::stopped);
    CHECK(refused.error().message() == "stopped: the actor is not running (at /shop/a)");
    CHECK(w.states(supervisor_of(b)) == "a stopped#1, b running#1");
    w.tell(b, crash());
    CHECK(w.states(supervisor_of(b)) == "a running#2, b running#2");
    CHECK(w.run.ask(a, question{})->incarnation == 2);
  }
}

TEST_CASE("below a supervisor that stays stopped everybody answers stopped") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b;
    w.open([&, ha = w.habits("a"), hb = w.habits("b")](children& s) {
      s.supervise({.id = "desk", .restart = transient}, [&, ha, hb](children& d) {
        d.intensity(0, 1s);
        d.spec().exhausted_is_shutdown = true;
        a = d.add<worker>("a", ha);
        d.supervise("back", [&, hb](children& back) { b = back.add<worker>("b", hb); });
      });
    });
    w.tell(a, crash());
    CHECK(w.alive == 0);
    CHECK(w.ended() == "has not ended");
    for (const address& x : {a, b}) {
      const auto refused = w.run.ask(x, question{}, 10ms);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code() == errc::stopped);
    }
  }
}

TEST_CASE("one_for_all stops the others in reverse order and starts all in order") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address b, t;
    w.open([&, ha = w.habits("a"), hb = w.habits("b"), ht = w.habits("t"),
            hc = w.habits("c")](children& s) {
      s.strategy(one_for_all);
      s.add<worker>("a", ha);
      b = s.add<worker>("b", hb);
      t = s.add<worker>({.id = "t", .restart = temporary}, ht);
      s.add<worker>("c", hc);
    });
    w.log.take();
    w.tell(b, crash());
    CHECK(w.log.take() ==
          "b1 stops, b1 ends, c1 stops, c1 ends, t1 stops, t1 ends, a1 stops, a1 ends, "
          "a2 starts, a2 runs, b2 starts, b2 runs, c2 starts, c2 runs");
    CHECK(w.told.brief.take() == "child_terminated b#1 crashed");
    CHECK(w.run.ask(t, question{}).error().code() == errc::gone);
  }
}

TEST_CASE("siblings that die before the group's stop reaches them count as one restart") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b, c;
    w.open([&, ha = w.habits("a"), hb = w.habits("b"), hc = w.habits("c")](children& s) {
      s.strategy(one_for_all).intensity(1, 1s);
      a = s.add<worker>("a", ha);
      b = s.add<worker>("b", hb);
      c = s.add<worker>("c", hc);
    });
    w.run.send(a, crash());
    w.run.send(b, crash());
    w.run.send(c, crash());
    w.run.run_until_idle();
    // A crash that was only dropped with the mailbox is no death at all.
    CHECK(w.states(supervisor_of(a)) == "a running#2, b running#2, c running#2");
    CHECK(w.tree->up());
  }
}

TEST_CASE("a restart whose start fails counts again and is retried behind what waits") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto h = w.habits("a");
    address a;
    w.open([&](children& s) { a = s.add<worker>("a", h); });
    fail_starts(*h, 2);
    w.log.take();
    w.tell(a, crash());
    CHECK(w.log.take() ==
          "a1 stops, a1 ends, a2 starts, a2 ends, a3 starts, a3 ends, a4 starts, a4 runs");
    CHECK(w.told.brief.take() ==
          "child_terminated a#1 crashed, start_error a#2 start_failed, "
          "start_error a#3 start_failed");
    const auto rows = w.rows(supervisor_of(a));
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].restarts == 3);
    CHECK(rows[0].last_reason == "start_failed: std::runtime_error: no start (at /shop/a#3)");
    fail_starts(*h, 1);
    w.tell(a, crash());  // one failure more than is left
    CHECK(w.ended() ==
          "exhausted: the children needed more than 3 restarts in 5000 ms, the supervisor's "
          "limit, because crashed, because std::runtime_error: boom (at /shop/a#4)");
  }
}

TEST_CASE("while a failed restart waits for its retry the supervisor answers and says so") {
  world w;
  const auto h = w.habits("a");
  address a;
  w.open([&](children& s) {
    s.intensity(1'000, 1s);
    a = s.add<worker>("a", h);
  });
  fail_starts(*h, 100);
  w.run.send(a, crash());
  std::string seen;
  const auto boss = supervisor_of(a);
  for (int i = 0; i < 200 && seen.find("restarting") == std::string::npos; ++i) {
    auto asked = w.run.begin_ask(boss, which_children{});
    while (!asked.answered() && w.run.step()) {
    }
    REQUIRE(asked.answered());
    seen += std::string{name(asked.take()->children.front().state)} + ' ';
  }
  CHECK(seen.find("restarting") != std::string::npos);
  w.run.run_until_idle();
  CHECK(w.states(boss) == "a running#102");
}

TEST_CASE("in a group the sibling that fails to start is retried and the group starts over") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto hb = w.habits("b");
    address a;
    w.open([&, ha = w.habits("a"), hc = w.habits("c")](children& s) {
      s.strategy(one_for_all);
      a = s.add<worker>("a", ha);
      s.add<worker>("b", hb);
      s.add<worker>("c", hc);
    });
    fail_starts(*hb, 1);
    w.log.take();
    w.tell(a, crash());
    CHECK(w.log.take() ==
          "a1 stops, a1 ends, c1 stops, c1 ends, b1 stops, b1 ends, a2 starts, a2 runs, "
          "b2 starts, b2 ends, a2 stops, a2 ends, a3 starts, a3 runs, b3 starts, b3 runs, "
          "c2 starts, c2 runs");
    CHECK(w.states(supervisor_of(a)) == "a running#3, b running#3, c running#2");
  }
}

TEST_CASE("rest_for_one stops those behind in reverse order and starts from the dead one on") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules(rest_for_one)) {
      family w{seed, rules, {{.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d"}}};
      w.tell(w.at["b"], crash());
      CHECK(w.log.take() ==
            "b1 stops, b1 ends, d1 stops, d1 ends, c1 stops, c1 ends, b2 starts, b2 runs, "
            "c2 starts, c2 runs, d2 starts, d2 runs");
      w.tell(w.at["d"], crash());
      CHECK(w.log.take() == "d2 stops, d2 ends, d3 starts, d3 runs");
      CHECK(w.call(which_child{"a"}) == "a running#1");
      CHECK(w.call(which_child{"c"}) == "c running#2");
    }
  }
}

TEST_CASE(
    "rest_for_one brings back what was stopped behind the dead one, and ends what is temporary") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules(rest_for_one)) {
      family w{seed,
               rules,
               {{.id = "a", .restart = transient},
                {.id = "b"},
                {.id = "c", .restart = transient},
                {.id = "d"},
                {.id = "t", .restart = temporary}}};
      w.tell(w.at["a"], halt());
      w.tell(w.at["c"], halt());
      REQUIRE(w.call(terminate_child{"d"}) == "done");
      w.tell(w.at["b"], crash());
      CHECK(w.call(which_child{"a"}) == "a stopped#1");
      CHECK(w.call(which_child{"c"}) == "c running#2");
      CHECK(w.call(which_child{"d"}) == "d running#2");
      CHECK(w.call(which_child{"t"}) == "not_found");
    }
  }
}

TEST_CASE("deaths behind and before the dead one: the former are absorbed, the latter judged") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules(rest_for_one)) {
      family w{seed, rules, {{.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d"}}};
      w.of("d")->stop_takes = 100ms;
      w.tell(w.at["b"], crash());
      w.tell(w.at["c"], crash());  // d stops
      w.run.advance(101ms);
      CHECK(w.call(which_child{"c"}) == "c running#2");
      CHECK(w.run.ask(w.self, which_child{"c"})->restarts == 0);
      w.tell(w.at["b"], crash());
      w.tell(w.at["a"], crash());  // d stops; a is none of the group's
      w.run.advance(300ms);
      CHECK(w.run.ask(w.self, which_child{"a"})->restarts == 1);
      CHECK(w.call(which_child{"a"}) == "a running#2");
      CHECK(w.call(which_child{"d"}) == "d running#4");
    }
  }
}

TEST_CASE("in rest_for_one the sibling that fails to start is retried from there") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules(rest_for_one)) {
      family w{seed, rules, {{.id = "a"}, {.id = "b"}, {.id = "c"}}};
      later<which_children> seen;
      fail_start_and(*w.of("b"), [&] { seen = w.run.begin_ask(w.self, which_children{}); });
      w.tell(w.at["a"], crash());
      CHECK(said(seen) == (rules.serial ? "c stopped#1, b restarting#2, a running#2"
                                        : "a running#2, b restarting#2, c stopped#1"));
      CHECK(w.log.take() ==
            "a1 stops, a1 ends, c1 stops, c1 ends, b1 stops, b1 ends, a2 starts, a2 runs, "
            "b2 starts, b2 ends, b3 starts, b3 runs, c2 starts, c2 runs");
      CHECK(w.run.ask(w.self, which_child{"a"})->restarts == 1);
      CHECK(w.run.ask(w.self, which_child{"b"})->restarts == 1);
    }
  }
}

TEST_CASE(
    "one whose retry is cancelled leaves those behind it stopped until somebody starts them") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto how : {one_for_all, rest_for_one})
      for (const auto& rules : both_rules(how)) {
        family w{seed, rules, {{.id = "a"}, {.id = "b"}, {.id = "c"}}};
        later<terminate_child> cancelled;
        fail_start_and(*w.of("b"),
                       [&] { cancelled = w.run.begin_ask(w.self, terminate_child{"b"}); });
        w.tell(w.at["a"], crash());
        CHECK(said(cancelled) == "done");
        CHECK(w.call(which_child{"a"}) == "a running#2");
        CHECK(w.call(which_child{"b"}) == "b stopped#2");
        CHECK(w.call(which_child{"c"}) == "c stopped#1");
        CHECK(w.run.ask(w.at["c"], question{}).error().code() == errc::stopped);
        CHECK(w.call(restart_child{"c"}) == "c#2 runs");
        CHECK(w.call(which_child{"b"}) == "b stopped#2");
      }
  }
}

TEST_CASE("one end is one counted restart, however many siblings it involves") {
  for (const auto how : {one_for_all, rest_for_one})
    for (auto rules : both_rules(how)) {
      rules.intensity.restarts = 1;
      family w{1, rules, {{.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d"}}};
      w.tell(w.at["a"], crash());
      CHECK(w.tree->up());
      CHECK(w.alive == 4);
      w.tell(w.at["b"], crash());
      CHECK(w.tree->ended());
    }
}

TEST_CASE("a child killed from outside is restarted like after a crash unless temporary") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address p, t, x;
    w.open([&, hp = w.habits("p"), ht = w.habits("t"), hx = w.habits("x")](children& s) {
      p = s.add<worker>({.id = "p", .restart = permanent}, hp);
      t = s.add<worker>({.id = "t", .restart = transient}, ht);
      x = s.add<worker>({.id = "x", .restart = temporary}, hx);
    });
    w.log.take();
    for (const address& each : {p, t, x}) {
      kill(each);
      w.run.run_until_idle();
    }
    CHECK(w.log.take() == "p1 ends, p2 starts, p2 runs, t1 ends, t2 starts, t2 runs, x1 ends");
    CHECK(w.told.brief.take() ==
          "child_terminated p#1 killed, child_terminated t#1 killed, child_terminated x#1 killed");
    CHECK(w.states(supervisor_of(p)) == "p running#2, t running#2");
  }
}

TEST_CASE("a late or second notice of an old incarnation changes nothing") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a;
    w.open([&, h = w.habits("a")](children& s) { a = s.add<worker>("a", h); });
    w.tell(a, crash());
    const auto forged = [&](std::uint32_t incarnation, detail::report_kind what) {
      auto* c = new detail::control_node{detail::control::report};
      c->report = what;
      c->incarnation = incarnation;
      c->from = detail::cell_ptr{detail_ref::get(a)};
      c->reason = exit_reason::failed("late");
      REQUIRE(detail_ref::get(a)->parent()->push_system(c));
      w.run.run_until_idle();
    };
    w.told.brief.take();
    forged(1, detail::report_kind::ended);
    forged(1, detail::report_kind::start_failed);
    forged(1, detail::report_kind::started);
    forged(2, detail::report_kind::started);
    CHECK(w.told.brief.take().empty());
    CHECK(w.states(supervisor_of(a)) == "a running#2");
  }
}

TEST_CASE("who watches sees each incarnation end, in order, and gone with the last") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    testing::probe<ended> seen{w.run.system()};
    address a, t;
    w.open([&, h = w.habits("a"), ht = w.habits("t")](children& s) {
      a = s.add<worker>("a", h);
      t = s.add<worker>({.id = "t", .restart = temporary}, ht);
    });
    seen.watch(a);
    w.run.run_until_idle();
    for (int i = 0; i < 3; ++i) w.tell(a, crash());
    for (std::uint32_t i = 1; i <= 3; ++i) {
      const auto e = seen.next<ended>();
      REQUIRE(e);
      CHECK(e->of(a));
      CHECK(e->path == "/shop/a");
      CHECK(e->incarnation == i);
      CHECK(e->reason.what() == exit_reason::kind::crashed);
      CHECK_FALSE(e->gone);
    }
    CHECK_FALSE(seen.next<ended>());

    seen.watch(t);
    w.run.run_until_idle();
    w.tell(t, crash());
    const auto removed = seen.next<ended>();
    REQUIRE(removed);
    CHECK(removed->of(t));
    CHECK(removed->incarnation == 1);
    CHECK(removed->gone);
    // Those who come later, and CAF's monitors, learn no more than this one.
    CHECK(removed->reason.what() == exit_reason::kind::crashed);

    w.stop();
    const auto stopped = seen.next<ended>(), gone = seen.next<ended>();
    REQUIRE(stopped);
    CHECK(stopped->incarnation == 4);
    CHECK(stopped->reason.what() == exit_reason::kind::shutdown);
    CHECK_FALSE(stopped->gone);
    REQUIRE(gone);
    CHECK(gone->incarnation == 4);
    CHECK(gone->gone);
    CHECK_FALSE(seen.next<ended>());
  }
}

namespace {

/// One line of what a watcher saw: an event or an end notice.
struct line {
  std::uint64_t child;
  std::uint32_t incarnation;
  bool end;
  bool gone;
};
struct numbered {
  std::uint64_t child;
  std::uint32_t incarnation;
};
struct add_watch {
  ref<struct chat> other;
};
struct chat {
  std::uint32_t dice;
};

class watcher : public actor<numbered, add_watch, ended> {
 public:
  explicit watcher(std::shared_ptr<std::vector<line>> to, diary* gone = nullptr)
      : to_(std::move(to)), gone_(gone) {}
  void on(const numbered& n) { to_->push_back({n.child, n.incarnation, false, false}); }
  void on(const add_watch& w) { watch(w.other); }
  void on(const ended& e) {
    to_->push_back({e.number, e.incarnation, true, e.gone});
    if (e.gone && gone_) gone_->add(e.path);
  }

 private:
  std::shared_ptr<std::vector<line>> to_;
  diary* gone_;
};

/// Talks while it starts, handles events, and stops, and crashes as the dice say.
class chatter : public actor<chat> {
 public:
  explicit chatter(ref<numbered> to) : to_(std::move(to)) { say(); }
  void started() { say(); }
  void stopping(const exit_reason&) { say(); }
  void on(const chat& c) {
    for (std::uint32_t i = 0; i < c.dice % 4; ++i) say();
    if (c.dice % 7 == 0) throw std::runtime_error("the dice said so");
    if (c.dice % 7 == 1) stop(exit_reason::failed("the dice said so"));
  }

 private:
  void say() { send(to_, numbered{self().number(), incarnation()}); }
  ref<numbered> to_;
};

void check_order(const std::vector<line>& lines) {
  std::map<std::uint64_t, std::uint32_t> over;  // by child: the last incarnation that has ended
  std::map<std::uint64_t, bool> gone;
  for (const line& l : lines) {
    REQUIRE_FALSE(gone[l.child]);
    if (l.gone) {
      REQUIRE(l.incarnation == over[l.child]);
      gone[l.child] = true;
    } else {
      // Neither anything of an incarnation after its end, nor of the next before that.
      REQUIRE(l.incarnation == over[l.child] + 1);
      if (l.end) over[l.child] = l.incarnation;
    }
  }
  CHECK(gone.size() == 3);
  for (const auto& [child, is_gone] : gone) CHECK(is_gone);
}

}  // namespace

TEST_CASE("nothing of an incarnation arrives after its end notice, over restarts and seeds") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    const auto lines = std::make_shared<std::vector<line>>();
    testing::executor run{seed};
    const auto at = run.system().spawn<watcher>({.id = "watcher"}, lines);
    ref<chat> kids[3];
    supervised_tree tree{run.system(), "shop", [&, to = ref<numbered>{at}](children& s) {
                           s.strategy(seed % 2 ? one_for_one : one_for_all).intensity(100'000, 1s);
                           for (int i = 0; i < 3; ++i)
                             kids[i] = s.add<chatter>("c" + std::to_string(i), to);
                         }};
    run.run_until_idle();
    for (const auto& kid : kids) run.send(at, add_watch{kid});
    run.run_until_idle();
    std::mt19937 random{static_cast<std::uint32_t>(seed)};
    for (int i = 0; i < 400; ++i) {
      run.send(kids[random() % 3], chat{static_cast<std::uint32_t>(random())});
      for (auto steps = random() % 8; steps && run.step(); --steps) {
      }
    }
    run.run_until_idle();
    tree.request_stop();
    run.run_until_idle();
    REQUIRE(tree.ended());
    check_order(*lines);
  }
}

TEST_CASE("nothing of an incarnation arrives after its end notice, on threads") {
  const auto lines = std::make_shared<std::vector<line>>();
  diary gone;
  {
    coppice::system home{{.workers = 2}};
    const auto at = home.spawn<watcher>({.id = "watcher", .capacity = 60'000}, lines, &gone);
    ref<chat> kids[3];
    supervised_tree tree{home, "shop", [&, to = ref<numbered>{at}](children& s) {
                           s.strategy(one_for_one).intensity(100'000, 1s);
                           for (int i = 0; i < 3; ++i)
                             kids[i] = s.add<chatter>("c" + std::to_string(i), to);
                         }};
    outside from{home};
    REQUIRE(tree.wait_until_up(hang));
    for (const auto& kid : kids) from.send(at, add_watch{kid});
    REQUIRE(from.room(at, hang));
    std::mt19937 random{1};
    for (int i = 0; i < 3'000; ++i)
      from.send(kids[random() % 3], chat{static_cast<std::uint32_t>(random())});
    for (const auto& kid : kids) REQUIRE(from.room(kid, hang));
    REQUIRE(tree.stop(hang));
    for (const auto& kid : kids) REQUIRE(gone.wait_for(kid.path()));
    for (auto& kid : kids) kid = {};
    home.stop(10s);
  }
  check_order(*lines);
}

namespace {

/// What should have become of a tree of one supervisor after it has settled.
struct model {
  struct kid {
    coppice::restart type;
    std::string state = "running";
    std::uint32_t incarnation = 1;
  };
  coppice::strategy strategy;
  unsigned intensity;
  milliseconds period;
  std::vector<kid> kids;
  bool up = true;
  std::deque<milliseconds> spent;

  bool spend(milliseconds now) {
    while (!spent.empty() && spent.front() < now - period) spent.pop_front();
    if (spent.size() >= intensity) return up = false;
    spent.push_back(now);
    return true;
  }
  /// `bad_starts` of the child's next starts fail.
  void ends(std::size_t which, bool clean, int bad_starts, milliseconds now) {
    kid& k = kids[which];
    if (!up || k.state != "running") return;
    if (k.type == restart::temporary) {
      k.state = "removed";
      return;
    }
    if (k.type == restart::transient && clean) {
      k.state = "stopped";
      return;
    }
    for (int failed = 0; failed <= bad_starts; ++failed) {
      if (!spend(now)) return;
      const bool last = failed == bad_starts;
      for (std::size_t i = 0; i < kids.size(); ++i) {
        if (strategy == strategy::one_for_one && i != which) continue;
        if (kids[i].type == restart::temporary) {
          kids[i].state = "removed";
          continue;
        }
        if (i > which && !last) continue;  // the round ended before it
        ++kids[i].incarnation;
        kids[i].state = "running";
      }
    }
  }
  std::string states() const {
    std::string text;
    for (std::size_t i = 0; i < kids.size(); ++i)
      if (kids[i].state != "removed")
        text += (text.empty() ? "c" : ", c") + std::to_string(i) + ' ' + kids[i].state + '#' +
                std::to_string(kids[i].incarnation);
    return text;
  }
};

}  // namespace

TEST_CASE("whatever befalls the children, the tree agrees with a small model") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{static_cast<std::uint32_t>(seed)};
    model m;
    m.strategy = random() % 2 ? one_for_one : one_for_all;
    m.intensity = random() % 6;
    m.period = milliseconds{500 + random() % 1'000};
    m.kids.resize(1 + random() % 5);
    for (auto& k : m.kids) k.type = static_cast<restart>(random() % 3);

    world w{seed};
    std::vector<habit_ptr> habits;
    for (std::size_t i = 0; i < m.kids.size(); ++i)
      habits.push_back(w.habits("c" + std::to_string(i) + '_'));
    std::vector<address> kids(m.kids.size());
    supervisor::address boss;
    w.open([&](children& s) {
      s.strategy(m.strategy).intensity(m.intensity, m.period);
      for (std::size_t i = 0; i < kids.size(); ++i)
        kids[i] =
            s.add<worker>({.id = "c" + std::to_string(i), .restart = m.kids[i].type}, habits[i]);
      boss = supervisor_of(kids[0]);
    });
    for (int step = 0; step < 30 && m.up; ++step) {
      CAPTURE(step);
      const std::size_t which = random() % kids.size();
      const int bad_starts = random() % 4 ? 0 : static_cast<int>(random() % 3);
      const auto what = random() % 3;
      if (m.kids[which].state == "running") {
        fail_starts(*habits[which], bad_starts);
        m.ends(which, what == 0, bad_starts, w.run.now());
        if (what == 0) w.run.send(kids[which], halt());
        if (what == 1) w.run.send(kids[which], crash());
        if (what == 2) kill(kids[which]);
        w.run.run_until_idle();
        fail_starts(*habits[which], 0);
      }
      REQUIRE(w.tree->up() == m.up);
      if (!m.up) break;
      REQUIRE(w.states(boss) == m.states());
      w.run.advance(milliseconds{random() % 400});
    }
    if (m.up) w.stop();
    CHECK(w.tree->ended());
    CHECK(w.alive == 0);
    for (const auto& said : w.log.lines()) CHECK(said.find("ALONE") == std::string::npos);
  }
}

TEST_CASE("a child on a thread of its own is restarted on one like any other") {
  diary log;
  reports told;
  auto h = std::make_shared<habit>();
  h->name = "a";
  h->log = &log;
  coppice::system home{{.workers = 1}};
  address a;
  supervised_tree tree{home, "shop",
                       [&](children& s) { a = s.add<worker>({.id = "a", .own_thread = true}, h); },
                       &told};
  REQUIRE(tree.wait_until_up(hang));
  outside from{home};
  for (std::uint32_t i = 1; i <= 3; ++i) {
    const auto answered = from.ask(a, question{}, hang);
    REQUIRE(answered);
    CHECK(answered->incarnation == i);
    from.send(a, crash());
  }
  CHECK(from.ask(a, question{}, hang)->incarnation == 4);
  REQUIRE(tree.stop(hang));
  CHECK(log.lines().back() == "a4 ends");
}
