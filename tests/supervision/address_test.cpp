// SPDX-License-Identifier: BSD-3-Clause
// When an address stays, and when it ends.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

namespace {

/// Accepts the same events as `worker` and is another class.
class other_worker : public actor<act, question, linger> {
 public:
  other_worker() = default;
  explicit other_worker(int) {}
  void on(const act& a) { (void)a; }
  answer on(const question& q) { return {q.number, incarnation()}; }
  void on(const linger&) {}
};

errc code_of(const result<answer>& r) { return r ? errc{} : r.error().code(); }

}  // namespace

TEST_CASE("a temporary child's address ends with it, and the same id later is another address") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address t, boom;
    w.open([&, ht = w.habits("t"), hb = w.habits("boom")](children& s) {
      s.supervise("desk", [&, ht, hb](children& d) {
        d.intensity(0, 1s);
        t = d.add<worker>({.id = "t", .restart = temporary}, ht);
        boom = d.add<worker>("boom", hb);
      });
    });
    const address first = t;
    w.tell(first, halt());
    CHECK(code_of(w.run.ask(first, question{})) == errc::gone);
    CHECK_FALSE(w.run.offer(first, linger{1ms}));
    w.tell(boom, crash());
    CHECK(t.path() == first.path());
    CHECK(t.number() != first.number());
    CHECK(code_of(w.run.ask(first, question{})) == errc::gone);
    CHECK(w.run.ask(t, question{})->incarnation == 1);
  }
}

TEST_CASE(
    "a restarted supervisor's children keep their addresses where id, class and signature "
    "agree") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    int builds = 0;
    address same, other_class, other_signature, dropped, boom;
    w.open([&, h = w.habits("h"), hs = w.habits("s"), hd = w.habits("d"),
            hb = w.habits("boom")](children& s) {
      s.supervise("desk", [&, h, hs, hd, hb](children& d) {
        d.intensity(0, 1s);
        const bool first = ++builds == 1;
        same = d.add<worker>("same", hs);
        other_class = first ? d.add<worker>("class", h) : d.add<other_worker>("class");
        other_signature =
            first ? d.add<other_worker>("signature") : d.add<other_worker>("signature", 1);
        if (first) dropped = d.add<worker>("dropped", hd);
        boom = d.add<worker>("boom", hb);
      });
    });
    const address was[] = {same, other_class, other_signature};
    w.tell(boom, crash());
    REQUIRE(builds == 2);
    CHECK(same.number() == was[0].number());
    CHECK(w.run.ask(was[0], question{})->incarnation == 2);

    CHECK(other_class.number() != was[1].number());
    CHECK(code_of(w.run.ask(was[1], question{})) == errc::gone);
    CHECK(w.run.ask(other_class, question{})->incarnation == 1);

    CHECK(other_signature.number() != was[2].number());
    CHECK(code_of(w.run.ask(was[2], question{})) == errc::gone);
    CHECK(w.run.ask(other_signature, question{})->incarnation == 1);

    CHECK(code_of(w.run.ask(dropped, question{})) == errc::gone);
  }
}

TEST_CASE("a restarted supervisor hands its children the arguments of the new building") {
  world w;
  int builds = 0;
  address a;
  const habit_ptr habits[] = {w.habits("old"), w.habits("new")};
  w.open([&](children& s) {
    s.supervise("desk", [&](children& d) {
      d.intensity(0, 1s);
      a = d.add<worker>("a", habits[builds++]);
    });
  });
  w.log.take();
  w.tell(a, crash());
  CHECK(w.log.take() == "old1 stops, old1 ends, new2 starts, new2 runs");
}

TEST_CASE("addresses stay over the restart of a supervisor two levels above, and end with it") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address leaf, boom;
    int desks = 0;
    w.open([&, hl = w.habits("leaf"), hb = w.habits("boom")](children& s) {
      s.intensity(1, 1s);
      s.supervise("floor", [&, hl, hb](children& f) {
        f.intensity(0, 1s);
        boom = f.add<worker>("boom", hb);
        f.supervise("desk", [&, hl](children& d) {
          ++desks;
          leaf = d.add<worker>("leaf", hl);
        });
      });
    });
    const address first = leaf;
    w.tell(boom, crash());
    CHECK(desks == 2);
    CHECK(leaf == first);
    CHECK(w.run.ask(first, question{})->incarnation == 2);
    w.tell(boom, crash());
    REQUIRE(w.tree->ended());
    CHECK(code_of(w.run.ask(first, question{})) == errc::gone);
    CHECK(code_of(w.run.ask(boom, question{})) == errc::gone);
  }
}

TEST_CASE("a subtree that is left out by a restarted supervisor's builder ends with all in it") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address leaf, boom;
    int builds = 0;
    w.open([&, hl = w.habits("leaf"), hb = w.habits("boom")](children& s) {
      s.supervise("floor", [&, hl, hb](children& f) {
        f.intensity(0, 1s);
        boom = f.add<worker>("boom", hb);
        if (++builds == 1)
          f.supervise("desk", [&, hl](children& d) { leaf = d.add<worker>("leaf", hl); });
      });
    });
    w.run.send(leaf, linger{1s});
    w.run.run_until_idle();
    auto waited = w.run.begin_ask(leaf, question{});
    w.tell(boom, crash());
    w.run.advance(2s);
    REQUIRE(waited.answered());
    CHECK(code_of(waited.take()) == errc::gone);
    CHECK(code_of(w.run.ask(leaf, question{})) == errc::gone);
  }
}

TEST_CASE("addresses stay when a builder throws at a restart and succeeds at the next") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, b, boom, leaf;
    int builds = 0;
    w.open([&, ha = w.habits("a"), hb = w.habits("b"), hx = w.habits("boom"),
            hl = w.habits("leaf")](children& s) {
      s.supervise("desk", [&, ha, hb, hx, hl](children& d) {
        d.intensity(0, 1s);
        ++builds;
        a = d.add<worker>("a", ha);
        if (builds == 2) throw std::runtime_error("not now");
        if (builds < 4) b = d.add<worker>("b", hb);
        if (builds < 4) d.supervise("sub", [&, hl](children& x) { leaf = x.add<worker>("l", hl); });
        boom = d.add<worker>("boom", hx);
      });
    });
    const address first_a = a, first_b = b, first_leaf = leaf;
    w.tell(boom, crash());
    REQUIRE(builds == 3);
    CHECK(a == first_a);
    CHECK(b == first_b);
    CHECK(leaf == first_leaf);
    CHECK(w.run.ask(b, question{})->incarnation == 2);
    CHECK(w.run.ask(leaf, question{})->incarnation == 2);
    w.tell(boom, crash());
    REQUIRE(builds == 4);
    CHECK(code_of(w.run.ask(first_b, question{}, 10ms)) == errc::gone);
    CHECK(code_of(w.run.ask(first_leaf, question{}, 10ms)) == errc::gone);
  }
}

TEST_CASE("addresses end when a tree could not be started") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, leaf, never;
    const auto bad = w.habits("bad");
    fail_starts(*bad, 1);
    w.open([&, ha = w.habits("a"), hl = w.habits("leaf"), hn = w.habits("never")](children& s) {
      a = s.add<worker>("a", ha);
      s.supervise("desk", [&, hl](children& d) { leaf = d.add<worker>("leaf", hl); });
      s.add<worker>("bad", bad);
      never = s.add<worker>("never", hn);
    });
    REQUIRE(w.tree->ended());
    for (const address& x : {a, leaf, never})
      CHECK(code_of(w.run.ask(x, question{}, 10ms)) == errc::gone);
    CHECK(w.alive == 0);
  }
}

TEST_CASE("a child added in the place of a deleted one ends with its supervisor's incarnation") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    address a, boom;
    w.open([&, ha = w.habits("a"), hb = w.habits("boom")](children& s) {
      s.supervise({.id = "desk", .restart = transient}, [&, ha, hb](children& d) {
        d.intensity(0, 1s);
        a = d.add<worker>("a", ha);
        boom = d.add<worker>("boom", hb);
      });
    });
    const auto desk = supervisor_of(a);
    REQUIRE(w.run.ask(desk, terminate_child{"a"}));
    REQUIRE(w.run.ask(desk, delete_child{"a"}));
    const auto added = w.run.ask(desk, start_child<worker>({.id = "a"}, w.habits("x")));
    REQUIRE(added);
    w.tell(boom, crash());
    CHECK(code_of(w.run.ask(added->as<worker>(), question{})) == errc::gone);
    CHECK(w.states(desk) == "a running#1, boom running#2");
    // Also where nobody builds the supervisor again.
    REQUIRE(w.run.ask(desk, terminate_child{"a"}));
    REQUIRE(w.run.ask(desk, delete_child{"a"}));
    const auto again = w.run.ask(desk, start_child<worker>({.id = "y"}, w.habits("y")));
    REQUIRE(again);
    REQUIRE(w.run.ask(supervisor_of(detail_ref::get(desk)), terminate_child{"desk"}));
    CHECK(code_of(w.run.ask(again->as<worker>(), question{})) == errc::gone);
  }
}

TEST_CASE("a temporary dynamic supervisor that is built again counts its children from 1") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    dynamic_ref<hire> staff;
    w.open([&](children& s) {
      s.supervise("desk", [&](children& d) {
        staff = d.dynamic<hired, hire>({.own = {.id = "staff", .restart = temporary}});
      });
    });
    REQUIRE(w.run.ask(staff, hire{w.habits("x")}));
    const auto first = staff;
    kill(supervisor_of(staff));
    w.run.run_until_idle();
    REQUIRE(staff != first);
    REQUIRE(w.run.ask(staff, hire{w.habits("y")}));
    CHECK(w.states(detail_ref::make<supervisor_ref>(detail_ref::get(staff))) == "1 running#1");
  }
}
