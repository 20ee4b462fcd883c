// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/handle_table_private.hpp>

#include <algorithm>
#include <utility>

namespace coppice::wire {

std::uint32_t handle_table::tell_of(detail::cell* x, const std::vector<bool>* allowed) {
  std::uint32_t handle;
  if (const auto known = handles_.find(x); known != handles_.end()) {
    handle = known->second;
  } else {
    if (!free_.empty()) {
      handle = free_.back();
      free_.pop_back();
    } else {
      if (entries_.size() >= most_) return 0;
      entries_.emplace_back();
      handle = static_cast<std::uint32_t>(entries_.size());
    }
    entries_[handle - 1].who = detail::cell_ptr{x};
    handles_.emplace(x, handle);
  }
  entry& e = entries_[handle - 1];
  for (std::uint64_t& uses : e.uses) ++uses;
  if (allowed) e.allowed = *allowed;
  return handle;
}

const handle_table::entry* handle_table::find(std::uint32_t handle) const noexcept {
  if (handle == 0 || handle > entries_.size()) return nullptr;
  const entry& e = entries_[handle - 1];
  return e.who ? &e : nullptr;
}

detail::cell_ptr handle_table::give_back(std::uint32_t handle, lane on, std::uint64_t times) {
  if (!find(handle)) return {};
  entry& e = entries_[handle - 1];
  std::uint64_t& left = e.uses[static_cast<std::size_t>(on)];
  left -= std::min(times, left);
  if (e.uses[0] > 0 || e.uses[1] > 0) return {};
  handles_.erase(e.who.get());
  free_.push_back(handle);
  return std::exchange(e, {}).who;
}

}  // namespace coppice::wire
