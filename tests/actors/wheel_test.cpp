// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/wheel.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

using coppice::detail::tick;
using coppice::detail::timing_wheel;

namespace {

constexpr tick second = 1'000, hour = 3'600 * second, day = 24 * hour, week = 7 * day;

std::vector<int> due_at(timing_wheel<int>& w, tick now) {
  std::vector<int> due;
  w.advance(now, due);
  return due;
}

/// What the wheel is, without its speed.
class model {
 public:
  void add(tick now, tick at, int entry) { entries_.emplace(std::max(at, now + 1), entry); }
  std::multimap<tick, int> due(tick now) {
    const auto end = entries_.upper_bound(now);
    std::multimap<tick, int> found{entries_.begin(), end};
    entries_.erase(entries_.begin(), end);
    return found;
  }
  bool empty() const { return entries_.empty(); }
  tick first() const { return entries_.begin()->first; }
  std::size_t size() const { return entries_.size(); }

 private:
  std::multimap<tick, int> entries_;
};

/// Random deadlines of every order of magnitude, random steps of time, both to the very tick
/// that the wheel asks for and past it.
void compare(std::uint64_t seed, tick start, tick furthest, int steps) {
  std::mt19937_64 random{seed};
  const auto below = [&](tick n) {
    return static_cast<tick>(random() % static_cast<std::uint64_t>(n));
  };
  const auto of_any_size = [&](tick most) {
    return below(tick{1} << (below(std::bit_width(static_cast<std::uint64_t>(most))) + 1)) % most;
  };
  timing_wheel<int> wheel{start};
  model expected;
  tick now = start;
  int next_entry = 0;
  std::map<int, tick> deadline;
  for (int step = 0; step < steps; ++step) {
    for (tick n = below(4); n > 0; --n) {
      const tick at = now - 5 + of_any_size(furthest);
      wheel.add(at, next_entry);
      expected.add(now, at, next_entry);
      deadline[next_entry++] = std::max(at, now + 1);
    }
    const auto next = wheel.next();
    REQUIRE(next.has_value() == !expected.empty());
    if (next) {
      REQUIRE(*next <= expected.first());
      REQUIRE(*next > now);
      if (expected.first() - now < 256 && *next != expected.first())
        REQUIRE(*next % 256 == 0);  // only the end of the lowest level makes it look earlier
    }
    now = next && below(2) ? *next : now + of_any_size(furthest / 4);
    std::vector<int> due;
    wheel.advance(now, due);
    const auto want = expected.due(now);
    REQUIRE(due.size() == want.size());
    tick before = 0;
    for (const int entry : due) {
      const auto found = deadline.find(entry);
      REQUIRE(found != deadline.end());
      REQUIRE(found->second <= now);
      REQUIRE(found->second >= before);
      before = found->second;
      deadline.erase(found);
    }
    REQUIRE(wheel.size() == expected.size());
  }
}

}  // namespace

TEST_CASE("an entry falls due at its tick, not before") {
  timing_wheel<int> w{100};
  w.add(105, 1);
  CHECK(w.next() == 105);
  CHECK(due_at(w, 104).empty());
  CHECK(due_at(w, 105) == std::vector{1});
  CHECK_FALSE(w.next());
  CHECK(w.size() == 0);
}

TEST_CASE("an entry that is late already falls due at the next tick") {
  timing_wheel<int> w{100};
  w.add(100, 1);
  w.add(-7, 2);
  CHECK(w.next() == 101);
  CHECK(due_at(w, 100).empty());
  CHECK(due_at(w, 101) == std::vector{1, 2});
}

TEST_CASE("what falls due in one step comes in the order of its ticks") {
  timing_wheel<int> w;
  w.add(70'000, 5);
  w.add(300, 3);
  w.add(2, 1);
  w.add(255, 2);
  w.add(65'536, 4);
  CHECK(due_at(w, 100'000) == std::vector{1, 2, 3, 4, 5});
}

TEST_CASE("an empty wheel is moved on at no cost") {
  timing_wheel<int> w;
  w.catch_up(10 * week);
  w.add(10 * week + 3, 1);
  CHECK(w.next() == 10 * week + 3);
  CHECK(due_at(w, 10 * week + 3) == std::vector{1});
  CHECK(due_at(w, 1'000 * week).empty());
}

TEST_CASE("an entry past the end of the lowest level is not hidden by a later one above it") {
  timing_wheel<int> w{200};
  w.add(300, 1);
  w.add(10'000, 2);
  REQUIRE(w.next());
  CHECK(*w.next() <= 300);
  CHECK(due_at(w, 300) == std::vector{1});
}

TEST_CASE("an entry in a high level is not hidden by a later one in a lower level") {
  timing_wheel<int> w;
  w.add(66'000, 1);
  due_at(w, 65'000);
  w.add(70'000, 2);
  REQUIRE(w.next());
  CHECK(*w.next() <= 66'000);
}

TEST_CASE("a wheel asked only at the ticks it names fires entries hours and weeks ahead in time") {
  timing_wheel<int> w{12'345};
  const std::vector<tick> at{12'345 + hour, 12'345 + day, 12'345 + week, 12'345 + 8 * week};
  for (std::size_t i = 0; i < at.size(); ++i) w.add(at[i], static_cast<int>(i));
  for (std::size_t i = 0; i < at.size(); ++i) {
    int looks = 0;
    for (;;) {
      REQUIRE(++looks < 1'000);
      const auto next = w.next();
      REQUIRE(next);
      const auto due = due_at(w, *next);
      if (due.empty()) continue;
      CHECK(*next == at[i]);
      CHECK(due == std::vector{static_cast<int>(i)});
      break;
    }
  }
}

TEST_CASE("over random deadlines and steps a wheel does what a sorted list does") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    compare(seed, 0, 2'000, 1'500);
    compare(seed, 250, 3 * hour, 400);
  }
}

TEST_CASE("over random deadlines of weeks a wheel does what a sorted list does") {
  for (std::uint64_t seed = 11; seed <= 12; ++seed) {
    CAPTURE(seed);
    compare(seed, 65'530, 9 * week, 40);
  }
}

TEST_CASE("entries that nobody wants any more can be taken out of every level") {
  timing_wheel<int> w;
  for (int i = 0; i < 1'000; ++i) w.add(1 + (i % 4) * hour + i, i);
  std::vector<int> out;
  w.take_out([](int entry) { return entry % 2 == 1; }, out);
  CHECK(out.size() == 500);
  CHECK(w.size() == 500);
  const auto due = due_at(w, day);
  CHECK(due.size() == 500);
  CHECK(std::all_of(due.begin(), due.end(), [](int entry) { return entry % 2 == 0; }));
  CHECK_FALSE(w.next());
}
