// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace shop {

/// How often drivers have asked in vain and asked again, by why. Thread-safe.
class mishaps {
 public:
  void count(coppice::errc why) noexcept {
    counts_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
  }
  /// `12 disconnected, 40 unreachable`; empty: none.
  std::string text() const {
    std::string all;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      const std::uint64_t n = counts_[i].load(std::memory_order_relaxed);
      if (n == 0) continue;
      if (!all.empty()) all += ", ";
      all += std::to_string(n) + ' ';
      all += coppice::name(static_cast<coppice::errc>(i));
    }
    return all;
  }

 private:
  std::array<std::atomic<std::uint64_t>,
             static_cast<std::size_t>(coppice::errc::simple_one_for_one) + 1>
      counts_{};
};

}  // namespace shop
