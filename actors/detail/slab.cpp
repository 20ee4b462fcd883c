// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/pool.hpp>
#include <coppice/actors/detail/slab.hpp>

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>

namespace coppice::detail {

namespace {

constexpr std::size_t slab_bytes = std::size_t{2'048} * 1'024;  // of a huge page
constexpr std::size_t step = 16;

std::atomic<std::size_t> slabs{0};

struct size_class;

/// Stands at the beginning of its memory, which is aligned to its size.
struct slab {
  size_class* of;
  slab* next = nullptr;  ///< among those of its class that have room
  slab* previous = nullptr;
  free_block* free = nullptr;
  std::uint32_t fresh = 0;  ///< blocks from here on were never given out
  std::uint32_t used = 0;
};
constexpr std::size_t first_block = 64;
static_assert(sizeof(slab) <= first_block);

struct size_class {
  std::mutex guard;
  slab* open = nullptr;  ///< those with room
  std::size_t block = 0;
  std::uint32_t blocks = 0;  ///< in one slab
  std::uint32_t slabs = 0;

  void enter(slab& s) noexcept {
    s.previous = nullptr;
    s.next = open;
    if (open) open->previous = &s;
    open = &s;
  }
  void leave(slab& s) noexcept {
    (s.previous ? s.previous->next : open) = s.next;
    if (s.next) s.next->previous = s.previous;
  }
};

std::array<size_class, largest_slab_block / step> classes;

/// Twice as much is mapped, and what lies beside the aligned part is given back.
void* map_slab(bool huge) {
  void* whole = ::mmap(nullptr, 2 * slab_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (whole == MAP_FAILED) throw std::bad_alloc{};
  auto* from = static_cast<std::byte*>(whole);
  const std::size_t before =
      (slab_bytes - reinterpret_cast<std::uintptr_t>(from) % slab_bytes) % slab_bytes;
  if (before) ::munmap(from, before);
  ::munmap(from + before + slab_bytes, slab_bytes - before);
  if (huge) ::madvise(from + before, slab_bytes, MADV_HUGEPAGE);
  slabs.fetch_add(1, std::memory_order_relaxed);
  return from + before;
}

}  // namespace

void* allocate_in_slab(std::size_t size) {
  if (!COPPICE_POOL) return ::operator new(size);
  size_class& c = classes[(size - 1) / step];
  std::lock_guard lock{c.guard};
  if (!c.block) {
    c.block = ((size - 1) / step + 1) * step;
    c.blocks = static_cast<std::uint32_t>((slab_bytes - first_block) / c.block);
  }
  if (!c.open) {
    c.enter(*::new (map_slab(c.slabs > 0)) slab{&c});
    ++c.slabs;
  }
  slab& s = *c.open;
  void* block = s.free;
  if (block) s.free = s.free->next;
  else block = reinterpret_cast<std::byte*>(&s) + first_block + s.fresh++ * c.block;
  if (++s.used == c.blocks) c.leave(s);
  return block;
}

void free_in_slab(void* block) noexcept {
  if (!COPPICE_POOL) {
    ::operator delete(block);
    return;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  auto& s = *reinterpret_cast<slab*>(address - address % slab_bytes);
  size_class& c = *s.of;
  bool empty = false;
  {
    std::lock_guard lock{c.guard};
    s.free = ::new (block) free_block{s.free};
    if (s.used-- == c.blocks) c.enter(s);
    empty = s.used == 0 && (s.next || s.previous);
    if (empty) {
      c.leave(s);
      --c.slabs;
    }
  }
  if (!empty) return;
  ::munmap(&s, slab_bytes);
  slabs.fetch_sub(1, std::memory_order_relaxed);
}

std::size_t slabs_in_use() noexcept { return slabs.load(std::memory_order_relaxed); }

}  // namespace coppice::detail
