// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace shop {

/// The lines that have been read and have not ended. Kept apart from those who read and lead them,
/// so that these may crash and begin afresh: a line is entered before it is handed on, and struck
/// out when the ledger says how it has ended. Thread-safe.
class open_lines {
 public:
  void enter(const line& l) {
    std::lock_guard lock{guard_};
    lines_.emplace(l.number, l);
  }
  void strike_out(std::uint64_t number) {
    std::lock_guard lock{guard_};
    lines_.erase(number);
  }
  std::vector<line> all() const {
    std::lock_guard lock{guard_};
    std::vector<line> found;
    for (const auto& [number, l] : lines_) found.push_back(l);
    return found;
  }

 private:
  mutable std::mutex guard_;
  std::map<std::uint64_t, line> lines_;  ///< by number
};

}  // namespace shop
