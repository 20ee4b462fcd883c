// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/pool.hpp>

#include <mutex>
#include <utility>
#include <vector>

namespace coppice::detail {

namespace {

/// Batches on their way from threads that free to threads that allocate. A dying thread's may be
/// shorter than the others; to count one would bring all of it into the cache.
struct depot {
  struct batch {
    free_block* first;
    unsigned count;
  };
  std::mutex guard;
  std::vector<batch> batches;
};

std::array<depot, block_classes>& depots() {
  // Never destroyed: threads give blocks back until the very end of the process.
  static auto* all = new std::array<depot, block_classes>;
  return *all;
}

/// Hands a dying thread's blocks on, so that short-lived threads leak nothing.
struct cache_guard {
  cache_guard() = default;
  cache_guard(const cache_guard&) = delete;
  cache_guard& operator=(const cache_guard&) = delete;
  ~cache_guard() {
    for (std::size_t c = 0; c < block_classes; ++c) {
      block_cache& cache = block_caches[c];
      std::lock_guard lock{depots()[c].guard};
      if (cache.first) depots()[c].batches.push_back({cache.first, cache.count});
      if (cache.spare) depots()[c].batches.push_back({cache.spare, block_batch});
      cache = {};
    }
  }
};

void watch_this_thread() { static thread_local cache_guard guard; }

}  // namespace

void* refill_blocks(std::size_t size_class) {
  watch_this_thread();
  block_cache& cache = block_caches[size_class];
  if (cache.spare) {
    cache.first = std::exchange(cache.spare, nullptr);
    cache.count = block_batch;
  } else {
    depot& shared = depots()[size_class];
    std::lock_guard lock{shared.guard};
    if (!shared.batches.empty()) {
      cache.first = shared.batches.back().first;
      cache.count = shared.batches.back().count;
      shared.batches.pop_back();
    }
  }
  if (!cache.first) {
    const std::size_t size = (size_class + 1) * block_step;
    auto* chunk =
        static_cast<std::byte*>(::operator new(size* block_batch, std::align_val_t{block_step}));
    for (unsigned i = 0; i < block_batch; ++i)
      cache.first = ::new (chunk + i * size) free_block{cache.first};
    cache.count = block_batch;
  }
  free_block* block = cache.first;
  cache.first = block->next;
  --cache.count;
  return block;
}

void spill_blocks(std::size_t size_class) noexcept {
  watch_this_thread();
  block_cache& cache = block_caches[size_class];
  if (cache.spare) {
    depot& shared = depots()[size_class];
    std::lock_guard lock{shared.guard};
    shared.batches.push_back({cache.spare, block_batch});
  }
  cache.spare = std::exchange(cache.first, nullptr);
  cache.count = 0;
}

}  // namespace coppice::detail
