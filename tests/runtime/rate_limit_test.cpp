// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/rate_limit.hpp>

#include <doctest/doctest.h>

using coppice::detail::rate_limit;
using namespace std::chrono_literals;

TEST_CASE("so many a second are let through, the others are counted and told with the next one") {
  rate_limit limit{3};
  for (int i = 0; i < 3; ++i) CHECK(limit.admit(5'000ms) == 0u);
  for (int i = 0; i < 7; ++i) CHECK_FALSE(limit.admit(5'999ms));
  CHECK(limit.admit(6'000ms) == 7u);
  CHECK(limit.admit(6'000ms) == 0u);
}

TEST_CASE("the first one is let through whatever the clock says") {
  rate_limit limit{1};
  CHECK(limit.admit(0ms) == 0u);
  CHECK_FALSE(limit.admit(999ms));
  CHECK(limit.admit(1'000ms) == 1u);
}

TEST_CASE("a limit of none lets nothing through and still counts") {
  rate_limit limit{0};
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limit.admit(i * 2'000ms));
  CHECK(limit.take_left_out() == 5);
}

TEST_CASE("what went missing before it came to the limit is told as well") {
  rate_limit limit{1};
  CHECK(limit.admit(0ms, 4) == 4u);
  CHECK_FALSE(limit.admit(1ms, 2));
  CHECK(limit.admit(2'000ms, 1) == 4u);
}

TEST_CASE("admitted and left out add up to what came, also at the end") {
  rate_limit limit{20};
  std::uint64_t records = 0, told = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (const auto before = limit.admit(std::chrono::milliseconds{i / 7})) {
      ++records;
      told += *before;
    }
  }
  CHECK(records == 20 * 15);
  CHECK(records + told + limit.take_left_out() == 100'000);
  CHECK(limit.take_left_out() == 0);
}
