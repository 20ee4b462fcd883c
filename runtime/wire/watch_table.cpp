// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/watch_table_private.hpp>

#include <utility>

namespace coppice::wire {

watch_table::added watch_table::add(std::uint64_t watcher, const detail::cell_ptr& proxy,
                                    const detail::cell_ptr& watched, std::uint32_t incarnation,
                                    bool pinned) {
  const std::pair key{watcher, watched->number()};
  auto found = all_.find(key);
  const bool fresh = found == all_.end();
  if (fresh) {
    if (all_.size() >= most_) return added::too_many;
    found = all_.emplace(key, watch{proxy, watched, incarnation}).first;
  }
  found->second.incarnation = incarnation;
  found->second.under[pinned] = true;
  return fresh ? added::fresh : added::again;
}

std::optional<watch_table::watch> watch_table::find(std::uint64_t watcher,
                                                    std::uint64_t watched) const {
  const auto found = all_.find({watcher, watched});
  if (found == all_.end()) return std::nullopt;
  return found->second;
}

std::optional<watch_table::watch> watch_table::take(std::uint64_t watcher, std::uint64_t watched) {
  auto last = all_.extract({watcher, watched});
  if (last.empty()) return std::nullopt;
  return std::move(last.mapped());
}

detail::cell_ptr watch_table::give_up(std::uint64_t watcher, std::uint64_t watched, bool pinned) {
  const auto found = all_.find({watcher, watched});
  if (found == all_.end()) return {};
  found->second.under[pinned] = false;
  if (found->second.under[!pinned]) return {};
  detail::cell_ptr last = std::move(found->second.watcher);
  all_.erase(found);
  return last;
}

}  // namespace coppice::wire
