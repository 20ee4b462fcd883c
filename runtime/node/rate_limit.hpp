// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace coppice::detail {

/// So many a second; the others are counted. Pure: time is passed in.
class rate_limit {
 public:
  explicit rate_limit(std::uint32_t per_second) noexcept : per_second_(per_second) {}

  /// Nothing: this one is left out. Else how many were left out before it.
  std::optional<std::uint64_t> admit(std::chrono::milliseconds now) noexcept {
    if (now - window_ >= std::chrono::seconds{1}) {
      window_ = now;
      in_window_ = 0;
    }
    if (in_window_ == per_second_) {
      ++left_out_;
      return std::nullopt;
    }
    ++in_window_;
    const std::uint64_t before = left_out_;
    left_out_ = 0;
    return before;
  }

 private:
  std::uint32_t per_second_;
  std::uint32_t in_window_ = 0;
  std::uint64_t left_out_ = 0;
  std::chrono::milliseconds window_{-1'000};
};

}  // namespace coppice::detail
