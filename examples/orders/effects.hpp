// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_set>
#include <vector>

namespace shop {

/// The lines for which a stage has had its effect and which have not ended: who asks again is
/// answered, and nothing is done twice. Kept apart from the worker, so that it may crash and begin
/// afresh; it ends with the process all the same, see README.md. Thread-safe.
class effects {
 public:
  /// True if the effect has not been had. From now on it has.
  bool begin(std::uint64_t line) {
    std::lock_guard lock{guard_};
    const bool first = lines_.insert(line).second;
    ++(first ? had_ : again_);
    return first;
  }
  void forget(const std::vector<std::uint64_t>& ended) {
    std::lock_guard lock{guard_};
    for (const std::uint64_t line : ended) lines_.erase(line);
  }

  struct counts {
    std::uint64_t had;    ///< effects
    std::uint64_t again;  ///< times that one had been had before
    std::uint64_t kept;   ///< lines that have not ended, as far as is known
  };
  counts count() const {
    std::lock_guard lock{guard_};
    return {had_, again_, lines_.size()};
  }

 private:
  mutable std::mutex guard_;
  std::unordered_set<std::uint64_t> lines_;
  std::uint64_t had_ = 0, again_ = 0;
};

}  // namespace shop
