// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/supervision/feed.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>

namespace coppice::detail {

/// What one reader has not taken yet. Filled by supervisors, emptied by the reader.
struct feed_queue {
  explicit feed_queue(std::size_t most) noexcept : capacity(most) {}

  void put(const tree_change& change) {
    std::lock_guard lock{guard};
    if (waiting.size() == capacity) {
      waiting.pop_front();
      ++lost;
    }
    waiting.push_back(change);
    arrived.notify_one();
  }

  const std::size_t capacity;
  std::mutex guard;
  std::condition_variable arrived;
  std::deque<tree_change> waiting;
  std::uint64_t lost = 0;
};

}  // namespace coppice::detail
