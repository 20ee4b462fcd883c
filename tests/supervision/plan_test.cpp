// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/plan.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <utility>

using coppice::plan;

namespace {

using steps = std::vector<plan::step_id>;

/// Takes every step at once, the oldest ready one first; the order in which they were taken.
steps run(plan& p) {
  steps ready;
  p.begin(ready);
  for (std::size_t i = 0; i < ready.size(); ++i) p.done(ready[i], ready);
  return ready;
}

}  // namespace

TEST_CASE("a plan without steps is finished") {
  plan p;
  CHECK(run(p).empty());
  CHECK(p.finished());
}

TEST_CASE("the steps of a chain become ready one after the other") {
  plan p;
  p.then(plan::stop, 1);
  p.then(plan::start, 1);
  steps ready;
  p.begin(ready);
  CHECK(ready == steps{0});
  CHECK(p[0].what == plan::stop);
  p.done(0, ready);
  CHECK(ready == steps{0, 1});
  CHECK(p[1].what == plan::start);
  CHECK(p[1].child == 1);
  CHECK_FALSE(p.finished());
  p.done(1, ready);
  CHECK(p.finished());
}

TEST_CASE("steps without edges are ready at once in the order they were added") {
  plan p;
  for (std::uint32_t child = 0; child < 4; ++child) p.add(plan::stop, child);
  steps ready;
  p.begin(ready);
  CHECK(ready == steps{0, 1, 2, 3});
}

TEST_CASE("a step waits for everything that was ordered before it") {
  plan p;
  const auto a = p.add(plan::start, 0);
  const auto b = p.add(plan::start, 1);
  const auto c = p.add(plan::start, 2);
  p.order(a, c);
  p.order(b, c);
  steps ready;
  p.begin(ready);
  CHECK(ready == steps{a, b});
  ready.clear();
  p.done(b, ready);
  CHECK(ready.empty());
  p.done(a, ready);
  CHECK(ready == steps{c});
}

TEST_CASE("chains and edges may be mixed") {
  plan p;
  const auto stop0 = p.then(plan::stop, 0);
  const auto stop1 = p.then(plan::stop, 1);
  const auto apart = p.add(plan::stop, 2);
  const auto start = p.add(plan::start, 0);
  p.order(apart, start);
  p.order(stop0, start);
  CHECK(run(p) == steps{stop0, apart, stop1, start});
}

TEST_CASE("a cleared plan can be built anew") {
  plan p;
  p.then(plan::stop, 1);
  p.then(plan::stop, 2);
  steps ready;
  p.begin(ready);
  p.clear();
  CHECK(p.finished());
  p.then(plan::start, 3);
  CHECK(run(p) == steps{0});
  CHECK(p[0].child == 3);
}

TEST_CASE("a chain of 20,000 steps is taken in order") {
  plan p;
  for (std::uint32_t child = 10'000; child-- > 0;) p.then(plan::stop, child);
  for (std::uint32_t child = 0; child < 10'000; ++child) p.then(plan::start, child);
  const steps taken = run(p);
  CHECK(p.finished());
  REQUIRE(taken.size() == 20'000);
  CHECK(std::is_sorted(taken.begin(), taken.end()));
}

TEST_CASE("in random graphs every step is taken once and after all it waits for") {
  std::mt19937 random{7};
  for (int round = 0; round < 200; ++round) {
    plan p;
    const auto size = static_cast<plan::step_id>(1 + random() % 40);
    std::vector<std::pair<plan::step_id, plan::step_id>> edges;
    for (plan::step_id i = 0; i < size; ++i) {
      const bool chained = i > 0 && random() % 2 == 0;
      chained ? p.then(plan::start, i) : p.add(plan::start, i);
      if (chained) edges.emplace_back(i - 1, i);
    }
    for (auto left = random() % 60; left > 0 && size > 1; --left) {
      const auto later = static_cast<plan::step_id>(1 + random() % (size - 1));
      const auto earlier = static_cast<plan::step_id>(random() % later);
      p.order(earlier, later);
      edges.emplace_back(earlier, later);
    }
    const steps taken = run(p);
    REQUIRE(p.finished());
    REQUIRE(taken.size() == size);
    std::vector<std::size_t> place(size);
    for (std::size_t i = 0; i < taken.size(); ++i) place[taken[i]] = i;
    for (const auto& [earlier, later] : edges) REQUIRE(place[earlier] < place[later]);
  }
}
