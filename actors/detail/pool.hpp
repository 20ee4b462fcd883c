// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <new>

/// Memory for envelopes, coroutine frames and turns: blocks of 64, 128, ... 512 bytes, each
/// aligned to 64 (a lane keeps flags in the low six bits of a block's address). A thread takes
/// from and gives to its own list; whole batches go between threads through a locked depot. What
/// the pool has taken from the system it keeps: its size is the high-water mark of the bounded
/// mailboxes it serves. With AddressSanitizer every block is an allocation of its own.
namespace coppice::detail {

inline constexpr std::size_t block_step = 64;
inline constexpr std::size_t block_classes = 8;
inline constexpr unsigned block_batch = 64;

#if defined(__SANITIZE_ADDRESS__)
#define COPPICE_POOL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COPPICE_POOL 0
#endif
#endif
#ifndef COPPICE_POOL
#define COPPICE_POOL 1
#endif

struct free_block {
  free_block* next;
};

/// One thread's list of one size, and at most one full batch beside it.
struct block_cache {
  free_block* first = nullptr;
  unsigned count = 0;
  free_block* spare = nullptr;
};

inline thread_local constinit std::array<block_cache, block_classes> block_caches{};

void* refill_blocks(std::size_t size_class);
void spill_blocks(std::size_t size_class) noexcept;

/// Storage of at least `size` bytes, aligned to 64. Throws std::bad_alloc.
inline void* allocate(std::size_t size) {
  if (!COPPICE_POOL || size > block_step * block_classes)
    return ::operator new(size, std::align_val_t{block_step});
  const std::size_t size_class = (size - 1) / block_step;
  block_cache& cache = block_caches[size_class];
  if (free_block* block = cache.first) [[likely]] {
    cache.first = block->next;
    --cache.count;
    return block;
  }
  return refill_blocks(size_class);
}

/// Gives back what `allocate(size)` returned, from any thread.
inline void deallocate(void* memory, std::size_t size) noexcept {
  if (!COPPICE_POOL || size > block_step * block_classes) {
    ::operator delete(memory, std::align_val_t{block_step});
    return;
  }
  const std::size_t size_class = (size - 1) / block_step;
  block_cache& cache = block_caches[size_class];
  if (cache.count == block_batch) [[unlikely]]
    spill_blocks(size_class);
  cache.first = ::new (memory) free_block{cache.first};
  ++cache.count;
}

}  // namespace coppice::detail
