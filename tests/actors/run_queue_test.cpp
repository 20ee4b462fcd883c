// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/run_queue.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using coppice::detail::run_queue;

namespace {

struct job {
  std::atomic<int> ran{0};
};

using queue = run_queue<job>;
using loot = std::array<job*, queue::capacity / 2>;

}  // namespace

TEST_CASE("the newcomer takes the slot and hands back the job it displaces") {
  queue q;
  job a, b;
  CHECK(q.empty());
  CHECK(q.put_next(&a) == nullptr);
  CHECK_FALSE(q.empty());
  CHECK(q.put_next(&b) == &a);
  CHECK(q.take_next() == &b);
  CHECK(q.take_next() == nullptr);
  CHECK(q.empty());
}

TEST_CASE("the ring gives jobs in their order and refuses one that does not fit") {
  queue q;
  std::vector<job> jobs(queue::capacity + 1);
  for (std::size_t i = 0; i < queue::capacity; ++i) REQUIRE(q.push(&jobs[i]));
  CHECK_FALSE(q.push(&jobs.back()));
  for (std::size_t i = 0; i < queue::capacity; ++i) CHECK(q.pop() == &jobs[i]);
  CHECK(q.pop() == nullptr);
  CHECK(q.ring_empty());
}

TEST_CASE("a thief takes the older half of the ring, rounded up, and never the slot") {
  queue q;
  std::vector<job> jobs(5);
  job next;
  loot into{};
  q.put_next(&next);
  CHECK(q.steal(into) == 0);
  for (job& j : jobs) q.push(&j);
  REQUIRE(q.steal(into) == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(into[i] == &jobs[i]);
  CHECK(q.pop() == &jobs[3]);
  CHECK(q.steal(into) == 1);
  CHECK(q.steal(into) == 0);
  CHECK(q.take_next() == &next);
}

TEST_CASE("the ring goes round for ever") {
  queue q;
  job a, b;
  for (std::size_t i = 0; i < 3 * queue::capacity + 7; ++i) {
    REQUIRE(q.push(&a));
    REQUIRE(q.push(&b));
    REQUIRE(q.pop() == &a);
    REQUIRE(q.pop() == &b);
  }
  CHECK(q.empty());
}

TEST_CASE("no job is lost or run twice by its owner, thieves and one that empties the slot") {
  constexpr std::size_t total = 60'000, thieves = 2;
  queue q;
  std::vector<job> jobs(total);
  std::atomic<bool> owner_done{false};
  std::atomic<std::size_t> stolen{0};
  const auto run = [](job* j) { j->ran.fetch_add(1, std::memory_order_relaxed); };
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < thieves; ++t)
    threads.emplace_back([&] {
      loot into{};
      do {
        const std::size_t n = q.steal(into);
        for (std::size_t i = 0; i < n; ++i) run(into[i]);
        stolen.fetch_add(n, std::memory_order_relaxed);
        if (!n) std::this_thread::yield();
      } while (!owner_done.load() || !q.ring_empty());
    });
  threads.emplace_back([&] {
    do {
      if (job* j = q.take_next()) run(j);
      std::this_thread::yield();
    } while (!owner_done.load());
  });
  // Whatever the owner puts goes through the slot; what is displaced into the ring.
  std::size_t made = 0;
  while (made < total) {
    for (std::size_t i = 0; i < 100 && made < total; ++i) {
      job* displaced = q.put_next(&jobs[made++]);
      if (displaced && !q.push(displaced)) run(displaced);
    }
    for (std::size_t i = 0; i < 30; ++i)
      if (job* j = q.pop()) run(j);
    if (job* j = q.take_next()) run(j);
  }
  while (job* j = q.pop()) run(j);
  if (job* j = q.take_next()) run(j);
  owner_done.store(true);
  for (auto& t : threads) t.join();
  std::size_t lost = 0, doubled = 0;
  for (const job& j : jobs) {
    lost += j.ran.load() == 0;
    doubled += j.ran.load() > 1;
  }
  CHECK(lost == 0);
  CHECK(doubled == 0);
  CHECK(q.empty());
}

TEST_CASE("a job in the slot of an owner that does not return is run by another thread") {
  queue q;
  job waiting;
  q.put_next(&waiting);
  job* found = nullptr;
  std::thread other{[&] { found = q.take_next(); }};
  other.join();
  CHECK(found == &waiting);
  CHECK(q.take_next() == nullptr);
}

TEST_CASE("a job in the slot is taken once by its owner and by one that empties it all the time") {
  constexpr std::size_t total = 20'000, enough = 5'000;
  queue q;
  std::atomic<bool> owner_done{false};
  std::atomic<std::size_t> taken_by_other{0};
  // Released to whoever sees that it ran and frees the job.
  const auto run = [](job* j) { j->ran.fetch_add(1, std::memory_order_release); };
  std::thread other{[&] {
    while (!owner_done.load())
      if (job* j = q.take_next()) {
        run(j);
        taken_by_other.fetch_add(1);
      }
  }};
  std::size_t wrong = 0;
  // Until the two have met often, however the machine schedules them.
  for (int round = 0; round < 2'000 && taken_by_other.load() < enough; ++round) {
    std::vector<job> jobs(total);
    for (job& j : jobs) {
      if (job* displaced = q.put_next(&j)) run(displaced);
      if (job* mine = q.take_next()) run(mine);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    const auto left = [&] {
      std::size_t n = 0;
      for (const job& j : jobs) n += j.ran.load() == 0;
      return n;
    };
    // One that the other has taken may still be about to run.
    while (left() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    for (const job& j : jobs) wrong += j.ran.load() != 1;
    if (wrong) break;
  }
  owner_done.store(true);
  other.join();
  CHECK(wrong == 0);
}
