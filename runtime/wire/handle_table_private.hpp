// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/detail/cell.hpp>
#include <coppice/runtime/wire/frame.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace coppice::wire {

/// By which small numbers one peer knows actors of this node, in one session. A handle belongs to
/// its actor until the peer has given it back as often as it was told of it; then it may become
/// another's. Plain: whoever has it guards it.
class handle_table {
 public:
  struct entry {
    detail::cell_ptr who;
    /// By lane: times the peer was told of it, less those it has given back over that lane. A ref
    /// may be on its way home over one while the handle is given back over the other.
    std::array<std::uint64_t, 2> uses{};
    std::vector<bool> allowed{};  ///< by the index of the event in the actor's table
  };

  explicit handle_table(std::size_t most) noexcept : most_(most) {}

  /// The handle of `x`, of which the peer is told once more. Zero: too many have one. `allowed`:
  /// which events of its table the peer may send to it from now on; null: the same as before.
  std::uint32_t tell_of(detail::cell* x, const std::vector<bool>* allowed = nullptr);
  /// Null: nobody has it. Valid until the peer is told of an actor again.
  const entry* find(std::uint32_t handle) const noexcept;
  /// The peer gives it back over one lane, so many times. Whose it was, if those were the last.
  detail::cell_ptr give_back(std::uint32_t handle, lane on, std::uint64_t times);

 private:
  std::size_t most_;
  std::vector<entry> entries_;  ///< by handle, less one
  std::vector<std::uint32_t> free_;
  std::unordered_map<const detail::cell*, std::uint32_t> handles_;
};

}  // namespace coppice::wire
