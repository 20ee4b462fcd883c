// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace coppice::detail {

/// Finds children by id: an open-addressed table of indices, 4 to 11 bytes a child, that asks
/// its owner for the ids instead of keeping copies. `IdOf`: index -> std::string_view.
class id_index {
 public:
  static constexpr std::uint32_t none = 0xffff'ffff;

  template <class IdOf>
  std::uint32_t find(std::string_view id, const IdOf& id_of) const {
    if (slots_.empty()) return none;
    for (std::size_t i = start(id);; i = next(i)) {
      if (slots_[i] == none) return none;
      if (slots_[i] != erased && id_of(slots_[i]) == id) return slots_[i];
    }
  }

  /// The id must not be there yet.
  template <class IdOf>
  void insert(std::uint32_t index, const IdOf& id_of) {
    if ((used_ + 1) * 8 > slots_.size() * 6) grow(id_of);
    std::size_t i = start(id_of(index));
    while (slots_[i] != none) i = next(i);
    slots_[i] = index;
    ++used_;
    ++size_;
  }

  /// Call it while `id_of(index)` still answers.
  template <class IdOf>
  void erase(std::uint32_t index, const IdOf& id_of) {
    for (std::size_t i = start(id_of(index)); slots_[i] != none; i = next(i)) {
      if (slots_[i] != index) continue;
      slots_[i] = erased;
      --size_;
      return;
    }
  }

 private:
  static constexpr std::uint32_t erased = none - 1;

  std::size_t start(std::string_view id) const {
    return std::hash<std::string_view>{}(id) & (slots_.size() - 1);
  }
  std::size_t next(std::size_t i) const { return (i + 1) & (slots_.size() - 1); }

  template <class IdOf>
  void grow(const IdOf& id_of) {
    std::size_t size = 8;
    while ((size_ + 1) * 8 > size * 5) size *= 2;
    std::vector<std::uint32_t> old(size, none);
    old.swap(slots_);
    used_ = size_;
    for (const std::uint32_t index : old) {
      if (index >= erased) continue;
      std::size_t i = start(id_of(index));
      while (slots_[i] != none) i = next(i);
      slots_[i] = index;
    }
  }

  std::vector<std::uint32_t> slots_;
  std::size_t used_ = 0;  ///< erased ones among them
  std::size_t size_ = 0;
};

}  // namespace coppice::detail
