// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace coppice::detail {

/// Finds children by id: an open-addressed table of indices and hashes, 11 to 26 bytes a child,
/// that asks its owner for an id only to confirm a hash. The ids lie in the children, all over
/// the memory: a table that had to look at them to grow spent most of its time on that.
///
/// The owner chooses the hash: for ids that are numbers given in turn, the number itself keeps
/// neighbours together.
class id_index {
 public:
  static constexpr std::uint32_t none = 0xffff'ffff;

  static std::uint32_t hash_of(std::string_view id) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>{}(id));
  }

  /// `IsIt`: whether the child of that index has the id.
  template <class IsIt>
  std::uint32_t find(std::uint32_t hash, const IsIt& is_it) const {
    if (slots_.empty()) return none;
    for (std::size_t i = start(hash);; i = next(i)) {
      const slot& s = slots_[i];
      if (s.index == none) return none;
      if (s.hash == hash && s.index != erased && is_it(s.index)) return s.index;
    }
  }

  /// The id must not be there yet.
  void insert(std::uint32_t index, std::uint32_t hash) {
    if ((used_ + 1) * 8 > slots_.size() * 6) grow();
    put({hash, index});
    ++used_;
    ++size_;
  }

  void erase(std::uint32_t index, std::uint32_t hash) {
    if (slots_.empty()) return;
    for (std::size_t i = start(hash); slots_[i].index != none; i = next(i)) {
      if (slots_[i].index != index) continue;
      slots_[i].index = erased;
      --size_;
      return;
    }
  }

 private:
  static constexpr std::uint32_t erased = none - 1;

  struct slot {
    std::uint32_t hash = 0;
    std::uint32_t index = none;
  };

  std::size_t start(std::uint32_t hash) const { return hash & (slots_.size() - 1); }
  std::size_t next(std::size_t i) const { return (i + 1) & (slots_.size() - 1); }

  void put(slot s) {
    std::size_t i = start(s.hash);
    while (slots_[i].index != none) i = next(i);
    slots_[i] = s;
  }
  void grow() {
    std::size_t size = 8;
    while ((size_ + 1) * 8 > size * 5) size *= 2;
    std::vector<slot> old(size);
    old.swap(slots_);
    used_ = size_;
    for (const slot& s : old)
      if (s.index < erased) put(s);
  }

  std::vector<slot> slots_;
  std::size_t used_ = 0;  ///< erased ones among them
  std::size_t size_ = 0;
};

}  // namespace coppice::detail
