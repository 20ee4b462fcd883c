// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

/// Memory for cells: many of a few sizes, made by one thread and given back by any.
///
/// malloc grows the heap of a thread that is not the first page by page, with a system call each:
/// a supervisor that starts 100,000 children spent a sixth of its time there. Here blocks of one
/// size lie in slabs of 2 MiB, without a header each; a slab that has become empty goes back to the
/// system, but for one of each size. The first slab of a size takes memory page by page, as it
/// fills; those after it are huge pages where the system grants them: 100,000 children lie in 20
/// of these instead of 10,000 small ones, which made starting and stopping them a third cheaper.
/// With AddressSanitizer every block is an allocation of its own.
namespace coppice::detail {

/// Larger blocks are malloc's business.
inline constexpr std::size_t largest_slab_block = 1'024;

/// At most `largest_slab_block` bytes, aligned to 16. Throws std::bad_alloc.
void* allocate_in_slab(std::size_t size);
void free_in_slab(void* block) noexcept;

/// How many slabs there are now.
std::size_t slabs_in_use() noexcept;

}  // namespace coppice::detail
