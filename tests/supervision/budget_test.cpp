// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/budget.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

using coppice::budget;
using coppice::intensity;
using coppice::window;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

bool spend(budget& b, milliseconds now, intensity limit = {3, 5s},
           window rule = window::sliding_ms) {
  return b.spend(now, limit, rule);
}

}  // namespace

TEST_CASE("the restarts allowed within a period are granted and the next one is too many") {
  budget b;
  CHECK(spend(b, 0ms));
  CHECK(spend(b, 0ms));
  CHECK(spend(b, 4999ms));
  CHECK_FALSE(spend(b, 5000ms));
}

TEST_CASE("a restart that is exactly one period old still counts, a millisecond later no more") {
  budget b;
  for (int i = 0; i < 3; ++i) REQUIRE(spend(b, 0ms));
  CHECK_FALSE(spend(b, 5000ms));
  CHECK(spend(b, 5001ms));
}

TEST_CASE("with an intensity of zero the first crash is too many") {
  budget b;
  CHECK_FALSE(spend(b, 0ms, {0, 5s}));
}

TEST_CASE("under OTP's rule the window is counted in whole seconds and so up to one longer") {
  const intensity limit{1, 5s};
  budget b;
  REQUIRE(spend(b, 100ms, limit, window::otp_seconds));
  CHECK_FALSE(spend(b, 5999ms, limit, window::otp_seconds));
  CHECK(spend(b, 6000ms, limit, window::otp_seconds));

  budget late;
  REQUIRE(spend(late, 999ms, limit, window::otp_seconds));
  CHECK(spend(late, 6000ms, limit, window::otp_seconds));
}

TEST_CASE("time may have its origin in the future") {
  const intensity limit{1, 1s};
  budget b;
  REQUIRE(spend(b, -500ms, limit, window::otp_seconds));
  CHECK_FALSE(spend(b, 999ms, limit, window::otp_seconds));
  CHECK(spend(b, 1000ms, limit, window::otp_seconds));
}

TEST_CASE("a budget remembers no more restarts than it allows") {
  budget b;
  for (int i = 0; i < 100'000; ++i) (void)spend(b, milliseconds{i}, {7, 5s});
  CHECK(b.size() == 7);
}

TEST_CASE("a budget agrees with counting all restarts of the last period") {
  std::mt19937 random{1};
  for (int round = 0; round < 300; ++round) {
    const intensity limit{static_cast<unsigned>(random() % 12), milliseconds{1 + random() % 60}};
    budget b;
    std::vector<milliseconds> granted;
    milliseconds now{0};
    for (int i = 0; i < 200; ++i) {
      now += milliseconds{random() % 15};
      const auto recent = std::count_if(granted.begin(), granted.end(),
                                        [&](milliseconds at) { return at >= now - limit.period; });
      const bool expected = recent < limit.restarts;
      REQUIRE(spend(b, now, limit) == expected);
      if (expected) granted.push_back(now);
    }
  }
}
