// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/lane.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

using coppice::detail::lane;
using coppice::detail::node;
using coppice::detail::system_list;

namespace {

constexpr std::uint32_t limit = 4;

struct alignas(64) item : node {
  int from = 0;
  int number = 0;
};

std::vector<node*> all_of(node* first) {
  std::vector<node*> found;
  for (; first; first = first->next) found.push_back(first);
  return found;
}

/// Where a scheduled lane waits for a thread to run it; only who is told to schedule puts it in.
class run_list {
 public:
  void schedule() {
    std::lock_guard lock{guard_};
    ++scheduled_;
    wanted_.notify_one();
  }
  bool wait() {
    std::unique_lock lock{guard_};
    if (!wanted_.wait_for(lock, std::chrono::seconds{60}, [&] { return scheduled_ > 0; }))
      return false;
    --scheduled_;
    return true;
  }

 private:
  std::mutex guard_;
  std::condition_variable wanted_;
  int scheduled_ = 0;
};

}  // namespace

TEST_CASE("a new lane is suspended: only a signal schedules its actor") {
  lane l;
  item a;
  CHECK_FALSE(l.is_parked());
  CHECK(l.push(&a, true, limit) == lane::outcome::put);
  CHECK(l.signal());
  CHECK(l.take_signal());
  CHECK_FALSE(l.take_signal());
  CHECK(l.take() == &a);
  l.consumed(1);
  CHECK(l.park());
  CHECK(l.is_parked());
}

TEST_CASE("who pushes to a parked lane, and nobody after, is told to schedule its actor") {
  lane l;
  item a, b;
  l.signal();
  l.take_signal();
  REQUIRE(l.park());
  CHECK(l.push(&a, true, limit) == lane::outcome::wake);
  CHECK(l.push(&b, true, limit) == lane::outcome::put);
  CHECK_FALSE(l.signal());
  CHECK(all_of(l.take()) == std::vector<node*>{&a, &b});
}

TEST_CASE("a push to a lane whose actor runs schedules nobody, and the lane does not park") {
  lane l;
  item a;
  l.signal();
  l.take_signal();
  CHECK(l.push(&a, true, limit) == lane::outcome::put);
  CHECK_FALSE(l.park());
  l.take();
  CHECK(l.park());
}

TEST_CASE("a signal keeps a lane from parking and from suspending until it is taken") {
  lane l;
  l.signal();
  CHECK_FALSE(l.park());
  CHECK_FALSE(l.suspend());
  CHECK(l.take_signal());
  CHECK(l.suspend());
}

TEST_CASE("a second signal tells nobody to schedule again") {
  lane l;
  CHECK(l.signal());
  CHECK_FALSE(l.signal());
  CHECK(l.take_signal());
  REQUIRE(l.park());
  CHECK(l.signal());
  CHECK_FALSE(l.signal());
}

TEST_CASE("a lane suspends with events waiting, and keeps them and their count") {
  lane l;
  item a, b;
  l.signal();
  l.take_signal();
  l.push(&a, true, limit);
  REQUIRE(l.suspend());
  CHECK(l.push(&b, true, limit) == lane::outcome::put);
  CHECK(l.depth() == 2);
  CHECK(l.signal());
  CHECK(all_of(l.take()) == std::vector<node*>{&a, &b});
}

TEST_CASE("a lane refuses counted nodes at its limit until held ones have been consumed") {
  lane l;
  item x[6];
  for (int i = 0; i < 4; ++i) CHECK(l.push(&x[i], true, limit) == lane::outcome::put);
  CHECK(l.push(&x[4], true, limit) == lane::outcome::full);
  CHECK(l.depth() == 4);
  CHECK(all_of(l.take()).size() == 4);
  CHECK(l.depth() == 4);
  CHECK(l.push(&x[4], true, limit) == lane::outcome::full);
  l.consumed(1);
  CHECK(l.depth() == 3);
  CHECK(l.push(&x[4], true, limit) == lane::outcome::put);
  CHECK(l.push(&x[5], true, limit) == lane::outcome::full);
}

TEST_CASE("an uncounted node is taken by a full lane, in its place, and not counted") {
  lane l;
  item x[5];
  for (int i = 0; i < 4; ++i) l.push(&x[i], true, limit);
  CHECK(l.push(&x[4], false, limit) == lane::outcome::put);
  CHECK(l.depth() == 4);
  const auto taken = all_of(l.take());
  REQUIRE(taken.size() == 5);
  CHECK(taken.back() == &x[4]);
}

TEST_CASE("a lane that refuses says why, keeps what it has, and accepts again") {
  lane l;
  item a, b;
  l.signal();
  l.take_signal();
  l.push(&a, true, limit);
  l.refuse_stopped();
  CHECK(l.push(&b, true, limit) == lane::outcome::stopped);
  CHECK(l.push(&b, false, limit) == lane::outcome::stopped);
  l.refuse_restarting();
  CHECK(l.push(&b, true, limit) == lane::outcome::restarting);
  l.accept();
  CHECK(l.push(&b, true, limit) == lane::outcome::put);
  CHECK(all_of(l.take()) == std::vector<node*>{&a, &b});
}

TEST_CASE("a refusal does not lose a wake-up: a parked lane stays parked") {
  lane l;
  item a;
  l.signal();
  l.take_signal();
  l.refuse_stopped();
  REQUIRE(l.park());
  CHECK(l.push(&a, true, limit) == lane::outcome::stopped);
  CHECK(l.signal());
}

TEST_CASE("a closed lane answers `gone` for ever and ignores signals") {
  lane l;
  item a;
  l.refuse_stopped();
  l.close();
  CHECK(l.push(&a, true, limit) == lane::outcome::gone);
  CHECK_FALSE(l.signal());
  l.accept();
  CHECK(l.push(&a, true, limit) == lane::outcome::gone);
}

TEST_CASE("a lane counts up to its greatest capacity without touching its nodes' addresses") {
  lane l;
  const auto x = std::make_unique<item[]>(lane::max_capacity + 1);
  for (std::uint32_t i = 0; i < lane::max_capacity; ++i)
    if (l.push(&x[i], true, lane::max_capacity) != lane::outcome::put) FAIL("refused at ", i);
  CHECK(l.push(&x[lane::max_capacity], true, lane::max_capacity) == lane::outcome::full);
  CHECK(l.depth() == lane::max_capacity);
  std::uint32_t i = 0;
  for (const node* n = l.take(); n; n = n->next)
    if (n != &x[i++]) FAIL("out of order at ", i - 1);
  CHECK(i == lane::max_capacity);
}

TEST_CASE("a system list gives what was pushed in order, and refuses once it has ended") {
  system_list l;
  item a, b, c;
  CHECK(l.take() == nullptr);
  CHECK(l.push(&a));
  CHECK(l.push(&b));
  CHECK(all_of(l.take()) == std::vector<node*>{&a, &b});
  CHECK(l.push(&c));
  CHECK(l.take_and_end() == &c);
  CHECK_FALSE(l.push(&a));
  CHECK(l.take_and_end() == nullptr);
}

TEST_CASE("no wake-up is lost and no node is doubled between many pushers and one consumer") {
  constexpr int pushers = 3, each = 20'000;
  constexpr std::uint32_t room = 64;
  lane l;
  run_list ready;
  l.signal();
  l.take_signal();
  REQUIRE(l.park());
  std::vector<std::thread> threads;
  std::atomic<int> fulls{0};
  const auto storage = std::make_unique<item[]>(pushers * each);
  for (int p = 0; p < pushers; ++p)
    threads.emplace_back([&, p] {
      for (int i = 0; i < each; ++i) {
        item& x = storage[static_cast<std::size_t>(p * each + i)];
        x.from = p;
        x.number = i;
        lane::outcome outcome;
        while ((outcome = l.push(&x, true, room)) == lane::outcome::full) {
          fulls.fetch_add(1, std::memory_order_relaxed);
          std::this_thread::yield();
        }
        if (outcome == lane::outcome::wake) ready.schedule();
      }
    });
  std::vector<int> next(pushers, 0);
  int taken = 0;
  bool in_order = true, woken = true, within_limit = true;
  while (taken < pushers * each && (woken = ready.wait())) {
    do {
      for (node* x = l.take(); x;) {
        auto* it = static_cast<item*>(std::exchange(x, x->next));
        in_order = in_order && it->number == next[static_cast<std::size_t>(it->from)]++;
        // While the consumer takes, what it takes counts neither as waiting nor as held.
        within_limit = within_limit && l.depth() <= 2 * room + pushers;
        l.consumed(1);
        ++taken;
      }
    } while (!l.park());
  }
  for (auto& t : threads) t.join();
  CHECK(woken);
  CHECK(taken == pushers * each);
  CHECK(in_order);
  CHECK(within_limit);
  CHECK(l.depth() == 0);
}

TEST_CASE("of events, signals and suspensions from many threads each signal is seen, none lost") {
  constexpr int senders = 2, each = 10'000;
  lane l;
  system_list commands;
  run_list ready;
  const auto storage = std::make_unique<item[]>(2 * senders * each);
  std::vector<std::thread> threads;
  std::atomic<int> running{0};
  std::atomic<bool> alone{true};
  for (int s = 0; s < senders; ++s)
    threads.emplace_back([&, s] {
      for (int i = 0; i < each; ++i) {
        const auto at = static_cast<std::size_t>(2 * (s * each + i));
        if (l.push(&storage[at], false, 0) == lane::outcome::wake) ready.schedule();
        commands.push(&storage[at + 1]);
        if (l.signal()) ready.schedule();
      }
    });
  // Two consumers take turns: whoever is scheduled runs, and no two ever run together.
  int events = 0, signals = 0;
  std::atomic<bool> done{false};
  const auto consume = [&] {
    while (!done.load()) {
      if (!ready.wait() || done.load()) break;
      if (running.fetch_add(1) != 0) alone.store(false);
      for (;;) {
        if (l.take_signal())
          for (const node* x = commands.take(); x; x = x->next) ++signals;
        // Every other time it goes idle as an actor does whose turn waits.
        if (signals % 2 && signals < senders * each) {
          running.fetch_sub(1);
          if (l.suspend()) break;
          if (running.fetch_add(1) != 0) alone.store(false);
          continue;
        }
        for (const node* x = l.take(); x; x = x->next) ++events;
        if (events + signals == 2 * senders * each) {
          done.store(true);
          ready.schedule();
          return;
        }
        running.fetch_sub(1);
        if (l.park()) break;
        if (running.fetch_add(1) != 0) alone.store(false);
      }
    }
  };
  std::thread other{consume};
  consume();
  other.join();
  for (auto& t : threads) t.join();
  CHECK(alone.load());
  CHECK(events == senders * each);
  CHECK(signals == senders * each);
}

TEST_CASE("pushers that race with the end of an actor keep what was refused: nothing is lost") {
  constexpr int pushers = 3, each = 200;
  for (int round = 0; round < 50; ++round) {
    lane l;
    run_list ready;
    l.signal();
    l.take_signal();
    const auto storage = std::make_unique<item[]>(pushers * each);
    std::atomic<int> put{0}, refused{0};
    std::vector<std::thread> threads;
    for (int p = 0; p < pushers; ++p)
      threads.emplace_back([&, p] {
        for (int i = 0; i < each; ++i) {
          const auto at = static_cast<std::size_t>(p * each + i);
          (l.push(&storage[at], true, 10'000) == lane::outcome::gone ? refused : put).fetch_add(1);
        }
      });
    int taken = 0;
    while (put.load() < each / 4) std::this_thread::yield();
    l.close();
    for (const node* x = l.take(); x; x = x->next) ++taken;
    for (auto& t : threads) t.join();
    CHECK(l.empty());
    CHECK(taken == put.load());
    CHECK(taken + refused.load() == pushers * each);
  }
}
