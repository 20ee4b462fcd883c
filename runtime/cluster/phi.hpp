// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace coppice::detail {

/// How surprising a silence is, by the silences that came before it: the phi-accrual failure
/// detector of N. Hayashibara, X. Défago, R. Yared, T. Katayama, "The phi accrual failure
/// detector", SRDS 2004.
///
/// The last silences (a window of them) are taken for samples of a normal distribution; phi is the
/// negative decimal logarithm of the chance that one still lasts after the time that has passed
/// (there section 4.2). Whoever suspects at phi = 8 is wrong once in 10^8 silences, if they go on
/// as they were.
///
/// Integers throughout, so that sums over millions of samples do not drift. Pure; not thread-safe.
class phi_detector {
 public:
  using microseconds = std::chrono::microseconds;

  /// Beyond it a double cannot tell.
  static constexpr double most = 300;
  /// A longer silence is counted as one of this length.
  static constexpr microseconds longest = std::chrono::seconds{60};

  /// `window`: 2 to 1,000. Until it has seen anything it expects silences of about `expected`. It
  /// never takes their standard deviation to be less than a quarter of that: a link without any
  /// jitter would make a millisecond's delay a surprise.
  phi_detector(std::uint32_t window, microseconds expected);

  /// One silence that has ended.
  void add(microseconds silence);

  /// Of a silence that has lasted so far: 0 to `most`, never falling with its length.
  double phi(microseconds silence) const;

  /// The silence that is `deviations` standard deviations longer than the mean.
  microseconds silence_at(double deviations) const;
  /// How many those are at a given phi (0.5 to 200).
  static double deviations(double phi);

 private:
  double mean() const;
  double deviation() const;

  std::uint32_t window_;
  std::uint32_t next_ = 0;  ///< the oldest, once the window is full
  double least_deviation_;
  std::vector<std::uint32_t> samples_;
  std::uint64_t sum_ = 0;
  std::uint64_t squares_ = 0;  ///< 1,000 samples of 60 s are a fifth of what fits in
};

}  // namespace coppice::detail
