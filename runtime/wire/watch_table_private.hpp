// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/detail/cell.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace coppice::wire {

/// Which actors of this node are watched by ones of one peer, in one session. A watcher may know
/// the watched by two addresses, by path and pinned to the one actor: it is told once, and watches
/// until it has given up both. Plain: whoever has it guards it.
class watch_table {
 public:
  struct watch {
    detail::cell_ptr watcher;   ///< its proxy
    detail::cell_ptr watched;
    std::uint32_t incarnation;  ///< as the watcher calls its own
    std::array<bool, 2> under{};  ///< which addresses it is watched: by path, pinned
  };
  enum class added : std::uint8_t { fresh, again, too_many };

  explicit watch_table(std::size_t most) noexcept : most_(most) {}

  /// `watcher`: its number on its own node, of which there may be several proxies here.
  added add(std::uint64_t watcher, const detail::cell_ptr& proxy, const detail::cell_ptr& watched,
            std::uint32_t incarnation, bool pinned);
  std::optional<watch> find(std::uint64_t watcher, std::uint64_t watched) const;
  std::optional<watch> take(std::uint64_t watcher, std::uint64_t watched);
  /// Under one of its addresses. The watcher's proxy, if that was the last of them.
  detail::cell_ptr give_up(std::uint64_t watcher, std::uint64_t watched, bool pinned);

  template <class F>
  void each(F&& f) const {
    for (const auto& [key, w] : all_) f(w);
  }

 private:
  std::size_t most_;
  /// By the numbers of both on their nodes, whose order is the same in each run of a simulation.
  std::map<std::pair<std::uint64_t, std::uint64_t>, watch> all_;
};

}  // namespace coppice::wire
