// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace coppice::detail {

/// So many a second; the others are counted. Pure: time is passed in.
class rate_limit {
 public:
  explicit rate_limit(std::uint32_t per_second) noexcept : per_second_(per_second) {}

  /// Nothing: this one is left out. Else how many were left out before it. `already_left_out`
  /// went missing before they came here, and are counted with it.
  std::optional<std::uint64_t> admit(std::chrono::milliseconds now,
                                     std::uint64_t already_left_out = 0) noexcept {
    left_out_ += already_left_out;
    if (now - window_ >= std::chrono::seconds{1}) {
      window_ = now;
      in_window_ = 0;
    }
    if (in_window_ == per_second_) {
      ++left_out_;
      return std::nullopt;
    }
    ++in_window_;
    return take_left_out();
  }

  /// What was left out since this was last told; from now on it counts as told.
  std::uint64_t take_left_out() noexcept { return std::exchange(left_out_, 0); }

 private:
  std::uint32_t per_second_;
  std::uint32_t in_window_ = 0;
  std::uint64_t left_out_ = 0;
  std::chrono::milliseconds window_{-1'000};
};

}  // namespace coppice::detail
