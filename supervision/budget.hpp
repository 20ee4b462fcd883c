// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/supervision/spec.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

namespace coppice {

/// How many restarts are left: at most `intensity.restarts` of them within any
/// `intensity.period`. A restart that is exactly one period old still counts, as in OTP.
///
/// Keeps a time stamp for each restart in the window and no more, in a ring that grows with need:
/// a budget that was never touched has allocated nothing.
class budget {
 public:
  budget() = default;

  /// Counts one restart at `now`. False: it is one too many (and is not counted).
  /// `now` must not run backwards.
  bool spend(std::chrono::milliseconds now, const intensity& limit, window rule);

  /// Restarts counted and not yet forgotten.
  std::uint32_t size() const noexcept { return size_; }

 private:
  void grow(std::uint32_t most);

  std::vector<std::int64_t> stamps_;
  std::uint32_t first_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace coppice
