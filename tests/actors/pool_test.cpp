// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/pool.hpp>

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using coppice::detail::allocate;
using coppice::detail::block_batch;
using coppice::detail::block_classes;
using coppice::detail::block_step;
using coppice::detail::deallocate;

namespace {

constexpr std::size_t largest = block_step * block_classes;

struct block {
  void* memory;
  std::size_t size;
};

std::vector<block> allocate_many(std::size_t count, std::size_t size) {
  std::vector<block> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back({allocate(size), size});
  return all;
}

void free_all(const std::vector<block>& all) {
  for (const block& b : all) deallocate(b.memory, b.size);
}

std::set<void*> places(const std::vector<block>& all) {
  std::set<void*> found;
  for (const block& b : all) found.insert(b.memory);
  return found;
}

}  // namespace

TEST_CASE("blocks of every size are aligned to 64, as large as asked for, and do not overlap") {
  std::vector<block> all;
  for (std::size_t size = 1; size <= 2 * largest; size += 7)
    for (int i = 0; i < 3; ++i) {
      all.push_back({allocate(size), size});
      CHECK(reinterpret_cast<std::uintptr_t>(all.back().memory) % 64 == 0);
      std::memset(all.back().memory, static_cast<int>(all.size() % 251), size);
    }
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto* bytes = static_cast<const unsigned char*>(all[i].memory);
    for (std::size_t k = 0; k < all[i].size; ++k) wrong += bytes[k] != (i + 1) % 251;
  }
  CHECK(wrong == 0);
  free_all(all);
}

TEST_CASE("many blocks at once are distinct, and so are they after they were freed") {
  for (int round = 0; round < 3; ++round) {
    const auto all = allocate_many(5 * block_batch + 3, 100);
    CHECK(places(all).size() == all.size());
    free_all(all);
  }
}

TEST_CASE("blocks that one thread allocates and another frees are never handed out twice") {
  std::mutex guard;
  std::condition_variable changed;
  std::vector<block> on_the_way;
  bool done = false;
  std::size_t wrong = 0;
  std::thread other{[&] {
    for (;;) {
      std::vector<block> mine;
      {
        std::unique_lock lock{guard};
        changed.wait(lock, [&] { return done || !on_the_way.empty(); });
        if (on_the_way.empty()) return;
        mine.swap(on_the_way);
      }
      for (const block& b : mine) {
        std::size_t owner;
        std::memcpy(&owner, b.memory, sizeof owner);
        wrong += owner != reinterpret_cast<std::size_t>(b.memory);
        deallocate(b.memory, b.size);
      }
    }
  }};
  for (int i = 0; i < 300; ++i) {
    auto some = allocate_many(100, 64 * (1 + static_cast<std::size_t>(i) % block_classes));
    for (const block& b : some) {
      const auto owner = reinterpret_cast<std::size_t>(b.memory);
      std::memcpy(b.memory, &owner, sizeof owner);
    }
    std::lock_guard lock{guard};
    on_the_way.insert(on_the_way.end(), some.begin(), some.end());
    changed.notify_one();
  }
  {
    std::lock_guard lock{guard};
    done = true;
    changed.notify_one();
  }
  other.join();
  CHECK(wrong == 0);
}

TEST_CASE("a thread that ends hands its free blocks on" * doctest::skip(COPPICE_POOL == 0)) {
  // A size of its own class that no other test keeps blocks of.
  constexpr std::size_t size = largest - 1;
  std::set<void*> seen;
  std::size_t fresh = 0;
  for (int i = 0; i < 50; ++i) {
    std::thread{[&] {
      const auto all = allocate_many(3 * block_batch, size);
      for (void* p : places(all)) fresh += seen.insert(p).second;
      free_all(all);
    }}.join();
  }
  // The high-water mark of one thread, with some blocks in batches that were not full.
  CHECK(fresh <= 6 * block_batch);
}
