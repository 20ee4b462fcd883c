// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/plan.hpp>

#include <algorithm>

namespace coppice {

plan::step_id plan::add(kind what, std::uint32_t child) {
  steps_.push_back({child & 0x7fff'ffffu, what, 0, 0});
  ++left_;
  return size() - 1;
}

plan::step_id plan::then(kind what, std::uint32_t child) {
  const bool first = steps_.empty();
  if (!first) steps_.back().chained = 1;
  const step_id added = add(what, child);
  steps_.back().waits = first ? 0 : 1;
  return added;
}

void plan::order(step_id earlier, step_id later) {
  edges_.push_back({earlier, later});
  steps_[later].waits = steps_[later].waits + 1;
}

void plan::begin(std::vector<step_id>& ready) {
  const auto by_earlier = [](const edge& a, const edge& b) { return a.earlier < b.earlier; };
  std::stable_sort(edges_.begin(), edges_.end(), by_earlier);
  for (step_id i = 0; i < size(); ++i)
    if (steps_[i].waits == 0) ready.push_back(i);
}

void plan::done(step_id id, std::vector<step_id>& ready) {
  --left_;
  if (steps_[id].chained) release(id + 1, ready);
  if (edges_.empty()) return;
  const auto from = [](const edge& e, step_id wanted) { return e.earlier < wanted; };
  auto next = std::lower_bound(edges_.begin(), edges_.end(), id, from);
  for (; next != edges_.end() && next->earlier == id; ++next) release(next->later, ready);
}

void plan::release(step_id id, std::vector<step_id>& ready) {
  steps_[id].waits = steps_[id].waits - 1;
  if (steps_[id].waits == 0) ready.push_back(id);
}

void plan::clear() {
  constexpr std::size_t small = 64;
  if (steps_.capacity() > small) steps_ = {};
  if (edges_.capacity() > small) edges_ = {};
  steps_.clear();
  edges_.clear();
  left_ = 0;
}

}  // namespace coppice
