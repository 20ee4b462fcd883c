// SPDX-License-Identifier: BSD-3-Clause
// What supervisors answer when they are asked, and dynamic supervisors.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

namespace {

/// Starts a worker whose behaviour is in the event.
struct hire {
  habit_ptr habits;
  using reply = address;
};

class hired : public worker {
 public:
  explicit hired(hire h) : worker(h.habits) {}
};

}  // namespace

TEST_CASE("a child that is added by a call runs when the call is answered") {
  world w;
  supervisor_ref shop;
  w.open([&, a = w.habits("a")](children& s) {
    shop = s.self();
    s.add<worker>("a", a);
  });
  auto added = w.run.ask(shop, start_child<worker>({.id = "b"}, w.habits("b")));
  REQUIRE(added);
  CHECK(added->running);
  CHECK(added->id == "b");
  CHECK(w.run.ask(added->as<worker>(), question{7})->number == 7);
  CHECK(w.states(shop) == "a running#1, b running#1");
  CHECK(w.run.ask(shop, terminate_child{"b"}));
  CHECK(w.states(shop) == "a running#1, b stopped#1");
  CHECK(w.run.ask(shop, restart_child{"b"})->incarnation == 2);
  CHECK(w.run.ask(shop, terminate_child{"b"}));
  CHECK(w.run.ask(shop, delete_child{"b"}));
  CHECK(w.states(shop) == "a running#1");
  w.stop();
  CHECK(w.alive == 0);
}

TEST_CASE("a dynamic supervisor starts a child for each event it is asked with") {
  world w;
  dynamic_ref<hire> staff;
  w.open([&](children& s) { staff = s.dynamic<hired, hire>("staff"); });
  std::vector<address> all;
  for (int i = 0; i < 3; ++i) {
    auto started = w.run.ask(staff, hire{w.habits("x")});
    REQUIRE(started);
    all.push_back(*started);
  }
  CHECK(w.states(staff) == "1 running#1, 2 running#1, 3 running#1");
  w.tell(all[1], crash());
  CHECK(w.states(staff) == "1 running#1, 2 running#2, 3 running#1");
  CHECK(w.run.ask(staff, terminate_child{.child = all[0]}));
  CHECK(w.states(staff) == "2 running#2, 3 running#1");
  CHECK(w.run.ask(staff, terminate_child{"1"}));
  w.stop();
  CHECK(w.alive == 0);
}
