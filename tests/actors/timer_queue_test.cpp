// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/timer_queue.hpp>

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>

using coppice::detail::event_node;
using coppice::detail::node;
using coppice::detail::tick;
using coppice::detail::timer_key;
using coppice::detail::timer_queue;

namespace {

/// Tells how many of its kind are alive, so that a lost event shows.
struct ring {
  int number;
  std::shared_ptr<int> alive;
};

struct fixture {
  std::shared_ptr<int> alive = std::make_shared<int>(0);
  timer_queue timers;

  node* event(int number) { return new event_node<ring>({number, alive}); }
  timer_key once(tick at, int number, std::string_view name = {}) {
    return timers.arm(name, at, 0, event(number), nullptr);
  }
  timer_key every(tick at, tick period, int number, std::string_view name = {}) {
    return timers.arm(name, at, period, event(number), &event_node<ring>::copy);
  }
  /// The number of the event that a fired timer delivers; -1: none.
  int deliver(timer_key key) {
    const std::unique_ptr<event_node<ring>> x{static_cast<event_node<ring>*>(timers.deliver(key))};
    return x ? x->value.number : -1;
  }
  /// Pops and delivers at once.
  int fire(tick now) {
    const auto key = timers.pop(now);
    return key ? deliver(*key) : -1;
  }
  long events() const { return alive.use_count() - 1; }
};

}  // namespace

TEST_CASE("timers fire in the order of their deadlines and not before") {
  fixture f;
  f.once(30, 3);
  f.once(10, 1);
  f.once(20, 2);
  CHECK(f.timers.next() == 10);
  CHECK(f.fire(9) == -1);
  CHECK(f.fire(25) == 1);
  CHECK(f.fire(25) == 2);
  CHECK(f.fire(25) == -1);
  CHECK(f.timers.next() == 30);
  CHECK(f.fire(30) == 3);
  CHECK_FALSE(f.timers.next());
  CHECK(f.timers.size() == 0);
  CHECK(f.events() == 0);
}

TEST_CASE("a cancelled timer does not fire, and cancelling it again is harmless") {
  fixture f;
  const auto key = f.once(10, 1);
  CHECK(f.timers.cancel(key));
  CHECK_FALSE(f.timers.cancel(key));
  CHECK(f.fire(100) == -1);
  CHECK(f.events() == 0);
}

TEST_CASE("a timer cancelled between its firing and its delivery delivers nothing") {
  fixture f;
  const auto key = f.once(10, 1);
  REQUIRE(f.timers.pop(10));
  CHECK(f.timers.cancel(key));
  CHECK(f.deliver(key) == -1);
  CHECK(f.events() == 0);
}

TEST_CASE("a key of a past timer does not touch a later one in its place") {
  fixture f;
  const auto old = f.once(10, 1);
  REQUIRE(f.fire(10) == 1);
  const auto young = f.once(20, 2);
  CHECK(young.slot == old.slot);
  CHECK_FALSE(f.timers.cancel(old));
  CHECK(f.deliver(old) == -1);
  CHECK(f.fire(20) == 2);
}

TEST_CASE("a default key names no timer") {
  fixture f;
  f.once(10, 1);
  CHECK_FALSE(f.timers.cancel(timer_key{}));
}

TEST_CASE("a named timer replaces the old one of that name, even one that has fired") {
  fixture f;
  f.once(10, 1, "tea");
  f.once(20, 2, "tea");
  CHECK(f.timers.size() == 1);
  const auto fired = f.timers.pop(20);
  REQUIRE(fired);
  f.once(40, 3, "tea");
  CHECK(f.deliver(*fired) == -1);
  CHECK(f.fire(40) == 3);
  CHECK_FALSE(f.timers.cancel("tea"));
}

TEST_CASE("a name is free again after its timer has fired or was cancelled by key") {
  fixture f;
  f.once(10, 1, "tea");
  CHECK(f.fire(10) == 1);
  CHECK_FALSE(f.timers.cancel("tea"));
  const auto key = f.once(20, 2, "tea");
  CHECK(f.timers.cancel(key));
  CHECK_FALSE(f.timers.cancel("tea"));
  const auto other = f.once(30, 3);
  CHECK_FALSE(f.timers.cancel("tea"));
  CHECK(f.timers.cancel(other));
}

TEST_CASE("a periodic timer fires at each multiple of its period") {
  fixture f;
  f.every(10, 10, 1);
  for (tick now = 10; now <= 50; now += 10) {
    CHECK(f.timers.next() == now);
    CHECK(f.fire(now - 1) == -1);
    CHECK(f.fire(now) == 1);
  }
  CHECK(f.timers.size() == 1);
}

TEST_CASE("a late look at a periodic timer fires it once and keeps its phase") {
  fixture f;
  f.every(10, 10, 1);
  CHECK(f.fire(47) == 1);
  CHECK(f.fire(47) == -1);
  CHECK(f.timers.next() == 50);
}

TEST_CASE("what falls due while a periodic timer's event still waits is left out") {
  fixture f;
  f.every(10, 10, 1);
  const auto waits = f.timers.pop(10);
  REQUIRE(waits);
  CHECK_FALSE(f.timers.pop(20));
  CHECK_FALSE(f.timers.pop(30));
  CHECK(f.deliver(*waits) == 1);
  CHECK(f.fire(40) == 1);
}

TEST_CASE("the timer queue refuses more than 100,000 timers and destroys the event") {
  fixture f;
  for (std::size_t i = 0; i < timer_queue::max_timers; ++i) f.once(1, 0);
  CHECK_THROWS_WITH_AS(f.once(1, 1), doctest::Contains("at most 100000 timers"),
                       coppice::bad_result);
  CHECK(f.events() == static_cast<long>(timer_queue::max_timers));
}

TEST_CASE("a timer queue that ends destroys the events of its timers") {
  const auto alive = std::make_shared<int>(0);
  {
    timer_queue timers;
    timers.arm({}, 1, 0, new event_node<ring>({1, alive}), nullptr);
    timers.arm("b", 1, 5, new event_node<ring>({2, alive}), &event_node<ring>::copy);
    timers.pop(1);
    CHECK(alive.use_count() == 3);
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("over random use a timer queue does what a sorted list does") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random{seed};
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    struct entry {
      timer_key key;
      tick at, period;
      std::string name;
    };
    fixture f;
    std::map<int, entry> live;
    tick now = 0;
    for (int number = 0; number < 3'000; ++number) {
      if (const int what = below(10); what < 5) {
        const std::string name = below(3) ? "" : std::string(1, static_cast<char>('a' + below(6)));
        if (!name.empty()) std::erase_if(live, [&](auto& e) { return e.second.name == name; });
        const tick at = now + 1 + below(500);
        const tick period = below(4) ? 0 : 1 + below(100);
        live[number] = {period ? f.every(at, period, number, name) : f.once(at, number, name), at,
                        period, name};
      } else if (what < 7 && !live.empty()) {
        const auto it = std::next(live.begin(), below(static_cast<int>(live.size())));
        CHECK((it->second.name.empty() || below(2) ? f.timers.cancel(it->second.key)
                                                   : f.timers.cancel(it->second.name)));
        live.erase(it);
      } else {
        now += below(60);
        tick before = 0;
        for (;;) {
          const int fired = f.fire(now);
          if (fired < 0) break;
          const auto it = live.find(fired);
          REQUIRE(it != live.end());
          entry& e = it->second;
          REQUIRE(e.at <= now);
          REQUIRE(e.at >= before);
          before = e.at;
          if (e.period)
            while (e.at <= now) e.at += e.period;
          else live.erase(it);
        }
      }
      REQUIRE(f.timers.size() == live.size());
      tick first = std::numeric_limits<tick>::max();
      for (const auto& [n, e] : live) first = std::min(first, e.at);
      REQUIRE(f.timers.next().value_or(std::numeric_limits<tick>::max()) == first);
      REQUIRE(first > now);
    }
    CHECK(f.events() == static_cast<long>(live.size()));
  }
}
