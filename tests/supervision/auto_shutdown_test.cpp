// SPDX-License-Identifier: BSD-3-Clause
// Supervisors that shut themselves down when their significant children have ended.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

namespace {

constexpr auto any = auto_shutdown::any_significant;
constexpr auto all = auto_shutdown::all_significant;

supervisor_spec when(auto_shutdown which, supervisor_spec rules = patient({})) {
  rules.auto_shutdown = which;
  return rules;
}
std::vector<supervisor_spec> both_rules_when(auto_shutdown which, coppice::strategy how = {}) {
  return {when(which, patient({}, how)), when(which, patient(otp, how))};
}

/// A significant child.
child_spec key(std::string id, coppice::restart type = transient) {
  child_spec spec;
  spec.id = std::move(id);
  spec.restart = type;
  spec.significant = true;
  return spec;
}

}  // namespace

TEST_CASE("which ends of which children shut their supervisor down") {
  struct row {
    child_spec child;
    act how;
    bool shuts_down;
  };
  const row table[] = {
      {key("a", transient), halt(), true},
      {key("a", transient), halt(exit_reason::shutdown()), true},
      {key("a", transient), halt(exit_reason::shutdown("x")), true},
      {key("a", transient), halt(exit_reason::failed("x")), false},
      {key("a", transient), crash(), false},
      {key("a", temporary), halt(), true},
      {key("a", temporary), halt(exit_reason::shutdown("x")), true},
      {key("a", temporary), crash(), true},
      {{.id = "a", .restart = transient}, halt(), false},
      {{.id = "a", .restart = temporary}, crash(), false},
      {{.id = "a"}, halt(), false},
  };
  for (const row& r : table)
    for (const auto which : {any, all})
      for (const auto seed : seeds)
        for (const auto& rules : both_rules_when(which)) {
          CAPTURE(seed);
          family w{seed, rules, {{.id = "x"}, r.child, {.id = "y"}}};
          w.tell(w.at["a"], r.how);
          CHECK(w.tree->ended().has_value() == r.shuts_down);
          if (r.shuts_down) CHECK(w.alive == 0);
        }
}

TEST_CASE("auto-shutdown stops the others in reverse order and ends with a clean shutdown") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules_when(any)) {
      family w{seed, rules, {{.id = "x"}, key("a"), {.id = "y"}, {.id = "z"}}};
      w.of("y")->stop_takes = 100ms;
      w.tell(w.at["a"], halt());
      CHECK(w.log.take() == "a1 stops, a1 ends, z1 stops, z1 ends, y1 stops");
      w.run.advance(101ms);
      CHECK(w.log.take() == "y1 stopped, y1 ends, x1 stops, x1 ends");
      CHECK(w.tree->ended()->clean());
      CHECK(w.ended() == (rules.serial
                              ? "shutdown"
                              : "shutdown: a significant child has ended, because normal (at "
                                "/shop/a#1)"));
      CHECK(w.told.brief.take() == "");
    }
  }
}

TEST_CASE("any: the first significant child ends its supervisor; all: only the last") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules_when(all)) {
      family w{seed, rules, {key("a"), key("b", temporary), {.id = "c"}}};
      w.tell(w.at["a"], halt());
      CHECK(w.tree->up());
      w.tell(w.at["b"], crash());
      CHECK(w.ended() == (rules.serial
                              ? "shutdown"
                              : "shutdown: the last significant child has ended, because crashed, "
                                "because std::runtime_error: boom (at /shop/b#1)"));
    }
    for (const auto& rules : both_rules_when(any)) {
      family w{seed, rules, {key("a"), key("b")}};
      w.tell(w.at["b"], halt());
      CHECK(w.tree->ended());
    }
  }
}

TEST_CASE("a significant child that is terminated by a call shuts nothing down, nor counts") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto which : {any, all})
      for (const auto& rules : both_rules_when(which)) {
        family w{seed, rules, {key("a"), key("b", temporary), key("c")}};
        CHECK(w.call(terminate_child{"a"}) == "done");
        CHECK(w.call(terminate_child{"b"}) == "done");
        CHECK(w.call(delete_child{"a"}) == "done");
        CHECK(w.tree->up());
        w.tell(w.at["c"], halt());
        CHECK(w.tree->ended());  // under `all` as well: it was the last one there
      }
  }
}

TEST_CASE("a significant child that a sibling's restart has stopped shuts nothing down") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto how : {one_for_all, rest_for_one})
      for (const auto which : {any, all})
        for (const auto& rules : both_rules_when(which, how)) {
          family w{seed, rules, {{.id = "x"}, key("a", temporary), key("b")}};
          w.tell(w.at["x"], crash());
          CHECK(w.tree->up());
          CHECK(w.call(which_child{"a"}) == "not_found");
          CHECK(w.call(which_child{"b"}) == "b running#2");
        }
  }
}

TEST_CASE("a significant child that a group's stop finds dead is absorbed: no shutdown") {
  for (const auto& rules : both_rules_when(any, one_for_all)) {
    family w{1, rules, {{.id = "x"}, key("a"), {.id = "y"}}};
    w.of("y")->stop_takes = 100ms;
    w.tell(w.at["x"], crash());
    w.tell(w.at["a"], halt());  // while y stops
    w.run.advance(101ms);
    CHECK(w.tree->up());
    CHECK(w.call(which_child{"a"}) == "a running#2");
  }
}

TEST_CASE("a significant child that is being restarted is still there; one that declined is not") {
  for (const auto& rules : both_rules_when(all)) {
    family w;
    decline_starts(*w.of("c"));
    w.open_with(rules, {key("a"), key("b"), key("c")});
    w.of("a")->start_takes = 100ms;
    w.tell(w.at["a"], crash());
    w.tell(w.at["b"], halt());
    w.run.advance(200ms);
    CHECK(w.tree->up());
    CHECK(w.call(which_child{"a"}) == "a running#2");
    w.tell(w.at["a"], halt());
    CHECK(w.tree->ended());
  }
}

TEST_CASE("a significant child that declines shuts nothing down, at a start or a restart") {
  for (const auto which : {any, all})
    for (const auto& rules : both_rules_when(which)) {
      family w;
      decline_starts(*w.of("a"));
      decline_starts(*w.of("b"));
      w.open_with(rules, {key("a"), key("b", temporary), key("c")});
      CHECK(w.tree->up());
      decline_starts(*w.of("c"));
      w.tell(w.at["c"], crash());
      CHECK(w.tree->up());
      CHECK(w.call(which_child{"c"}) == "c stopped#2");
    }
}

TEST_CASE("significant children may be added by a call, and count then") {
  for (const auto& rules : both_rules_when(all)) {
    family w{1, rules, {key("a")}};
    CHECK(w.call(w.hiring(key("b"))) == "b#1 runs");
    w.tell(w.at["a"], halt());
    CHECK(w.tree->up());
    const auto b = w.run.ask(w.self, which_child{"b"});
    w.tell(detail_ref::make<address>(detail_ref::get(b->address)), halt());
    CHECK(w.tree->ended());
  }
}

TEST_CASE("a significant child that ends while its siblings start shuts down what has started") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules_when(any)) {
      family w{seed};
      w.of("b")->start_takes = 100ms;
      w.open_with(rules, {key("a"), {.id = "b"}});
      w.tell(w.at["a"], halt());
      CHECK_FALSE(w.tree->ended());
      w.run.advance(101ms);
      CHECK(w.tree->ended()->clean());
      CHECK(w.alive == 0);
    }
  }
}

TEST_CASE("auto-shutdown passes upwards through significant transient supervisors") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules_when(any)) {
      world w{seed};
      address leaf;
      w.open([&, a = w.habits("a"), b = w.habits("b")](children& s) {
        s.spec() = rules;
        s.add<worker>("a", a);
        s.supervise(key("desk"), [&, rules, b](children& d) {
          d.spec() = rules;
          leaf = d.add<worker>(key("b"), b);
        });
      });
      w.tell(leaf, halt());
      CHECK(w.tree->ended()->clean());
      CHECK(w.alive == 0);
      CHECK(w.told.brief.take() == "");
    }
  }
}

TEST_CASE("below a permanent supervisor's place auto-shutdown is followed by a restart") {
  for (const auto& rules : both_rules_when(any)) {
    world w;
    address leaf;
    w.open([&, b = w.habits("b")](children& s) {
      s.spec() = patient({});
      s.supervise("desk", [&, rules, b](children& d) {
        d.spec() = rules;
        leaf = d.add<worker>(key("b"), b);
      });
    });
    w.tell(leaf, halt());
    CHECK(w.tree->up());
    CHECK(w.states(supervisor_of(supervisor_of(leaf))) == "desk running#2");
    CHECK(w.told.brief.take() == "child_terminated desk#1 shutdown");
  }
}
