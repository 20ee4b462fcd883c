// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/pool.hpp>
#include <coppice/actors/detail/slab.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace coppice::detail;

namespace {

bool aligned(const void* block) { return reinterpret_cast<std::uintptr_t>(block) % 16 == 0; }

}  // namespace

TEST_CASE("blocks from a slab are aligned, apart from each other, and wholly one's own") {
  for (const std::size_t size : {1u, 16u, 17u, 500u, 1'024u}) {
    std::set<std::byte*> blocks;
    for (int i = 0; i < 3'000; ++i) {
      auto* block = static_cast<std::byte*>(allocate_in_slab(size));
      REQUIRE(aligned(block));
      std::memset(block, i, size);
      const auto [at, is_new] = blocks.insert(block);
      REQUIRE(is_new);
      if (at != blocks.begin()) REQUIRE(*std::prev(at) + size <= block);
      if (std::next(at) != blocks.end()) REQUIRE(block + size <= *std::next(at));
    }
    for (std::byte* block : blocks) free_in_slab(block);
  }
}

TEST_CASE("slabs that have become empty go back to the system, but for one") {
  const std::size_t before = slabs_in_use();
  std::vector<void*> blocks;
  for (int i = 0; i < 10'000; ++i) blocks.push_back(allocate_in_slab(1'000));
  if (COPPICE_POOL) CHECK(slabs_in_use() >= before + 4);
  std::shuffle(blocks.begin(), blocks.end(), std::mt19937{7});
  for (void* block : blocks) free_in_slab(block);
  CHECK(slabs_in_use() <= before + 1);
}

TEST_CASE("what one thread allocates another may free, and nobody gets a block twice") {
  constexpr std::size_t places = 512;
  std::vector<std::atomic<std::uint64_t*>> shared(places);
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 random{t};
      for (int i = 0; i < 20'000; ++i) {
        auto* mine = static_cast<std::uint64_t*>(allocate_in_slab(480));
        const auto mark = reinterpret_cast<std::uintptr_t>(mine);
        mine[0] = mine[59] = mark;
        std::uint64_t* other = shared[random() % places].exchange(mine);
        if (!other) continue;
        const auto expected = reinterpret_cast<std::uintptr_t>(other);
        if (other[0] != expected || other[59] != expected) wrong = true;
        other[0] = other[59] = 0;
        free_in_slab(other);
      }
    });
  for (auto& t : threads) t.join();
  for (auto& place : shared)
    if (std::uint64_t* left = place.load()) free_in_slab(left);
  CHECK_FALSE(wrong);
}
