// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/assert.hpp>
#include <coppice/runtime/cluster/phi.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace coppice::detail {

namespace {

/// -log10(P), P the chance of a standard normal variable to be larger.
double surprise(double deviations) {
  const double chance = std::erfc(deviations / std::numbers::sqrt2) / 2;
  // A subnormal has lost its digits.
  return chance < 1e-300 ? phi_detector::most : -std::log10(chance);
}

}  // namespace

phi_detector::phi_detector(std::uint32_t window, microseconds expected)
    : window_(window), least_deviation_(static_cast<double>(expected.count()) / 4) {
  require(window >= 2 && window <= 1'000, "a window of phi is outside its bounds");
  samples_.reserve(window);
  add(expected - expected / 4);
  add(expected + expected / 4);
}

void phi_detector::add(microseconds silence) {
  const auto sample = static_cast<std::uint32_t>(
      std::clamp(silence, microseconds{0}, microseconds{longest}).count());
  if (samples_.size() < window_) {
    samples_.push_back(sample);
  } else {
    const std::uint64_t oldest = samples_[next_];
    sum_ -= oldest;
    squares_ -= oldest * oldest;
    samples_[next_] = sample;
    if (++next_ == window_) next_ = 0;
  }
  sum_ += sample;
  squares_ += std::uint64_t{sample} * sample;
}

double phi_detector::mean() const {
  return static_cast<double>(sum_) / static_cast<double>(samples_.size());
}

double phi_detector::deviation() const {
  const double average = mean();
  const double variance =
      static_cast<double>(squares_) / static_cast<double>(samples_.size()) - average * average;
  return std::max(least_deviation_, std::sqrt(std::max(0.0, variance)));
}

double phi_detector::phi(microseconds silence) const {
  return surprise((static_cast<double>(silence.count()) - mean()) / deviation());
}

phi_detector::microseconds phi_detector::silence_at(double deviations) const {
  return microseconds{std::llround(mean() + deviations * deviation())};
}

double phi_detector::deviations(double phi) {
  double low = 0, high = 40;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (surprise(middle) < phi ? low : high) = middle;
  }
  return high;
}

}  // namespace coppice::detail
