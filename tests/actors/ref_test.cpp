// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/ref.hpp>

#include <doctest/doctest.h>

#include "tools.hpp"

using namespace coppice;

namespace {

struct opened {};
struct closed {};
struct counted {
  int open;
};
struct count {
  using reply = counted;
};

class door : public actor<opened, interleaved<closed>, count, ended, exit_signal> {
 public:
  void on(const opened&) { ++open_; }
  void on(const closed&) { --open_; }
  counted on(const count&) { return {open_}; }
  void on(const ended&) {}
  void on(const exit_signal&) {}

 private:
  int open_ = 0;
};

}  // namespace

TEST_CASE("an actor's ref lists its events, without those that only the runtime sends") {
  CHECK(std::is_same_v<door::address, ref<opened, closed, count>>);
  CHECK(door::address::accepts<closed>);
  CHECK_FALSE(door::address::accepts<ended>);
}

TEST_CASE("a ref narrows to a part of its events, in any order") {
  testing::executor run{1};
  const auto front = run.system().spawn<door>({.id = "front"});
  const ref<count, opened> narrow = front;
  const ref<opened> narrower = narrow;
  run.send(narrower, opened{});
  run.send(narrow, opened{});
  CHECK(run.ask(narrow, count{}).value().open == 2);
  CHECK_FALSE(std::is_convertible_v<int, ref<opened>>);
}

TEST_CASE("refs are equal when they refer to the same address") {
  testing::executor run{1};
  const auto front = run.system().spawn<door>({.id = "front"});
  const auto back = run.system().spawn<door>({.id = "back"});
  const ref<opened> to_front = front, again = front, to_back = back;
  CHECK(to_front == again);
  CHECK(to_front != to_back);
  CHECK(ref<opened>{} == ref<opened>{});
  CHECK(to_front != ref<opened>{});
}

TEST_CASE("a ref to nobody is false, has no path and the number zero") {
  const ref<opened> nobody;
  CHECK_FALSE(nobody);
  CHECK(nobody.path().empty());
  CHECK(nobody.number() == 0);
}

TEST_CASE("an address knows at run time what it accepts") {
  testing::executor run{1};
  const auto front = run.system().spawn<door>({.id = "front"});
  const detail::cell& x = *detail_ref::get(front);
  CHECK(x.accepts(detail::event_type_of<closed>));
  CHECK_FALSE(x.accepts(detail::event_type_of<counted>));
}

TEST_CASE("a notice says whether it is of a certain ref") {
  testing::executor run{1};
  const auto front = run.system().spawn<door>({.id = "front"});
  const auto back = run.system().spawn<door>({.id = "back"});
  const ended notice{"/front", front.number(), 1, exit_reason::normal(), true};
  CHECK(notice.of(front));
  CHECK_FALSE(notice.of(back));
}
