// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/feed_private.hpp>

#include <iterator>
#include <limits>
#include <utility>

namespace coppice {

// ---- the feed -----------------------------------------------------------------------------------

tree_feed::tree_feed(std::shared_ptr<detail::feed_queue> queue) noexcept
    : queue_(std::move(queue)) {}
tree_feed::~tree_feed() = default;
tree_feed::tree_feed(tree_feed&&) noexcept = default;
tree_feed& tree_feed::operator=(tree_feed&&) noexcept = default;

tree_feed::news tree_feed::take(std::chrono::milliseconds deadline) {
  std::unique_lock lock{queue_->guard};
  queue_->arrived.wait_for(lock, deadline, [this] { return !queue_->waiting.empty(); });
  news n{std::exchange(queue_->lost, 0), {}};
  n.changes.assign(std::make_move_iterator(queue_->waiting.begin()),
                   std::make_move_iterator(queue_->waiting.end()));
  queue_->waiting.clear();
  return n;
}

// ---- the view -----------------------------------------------------------------------------------

void tree_view::reset(tree_node root) {
  rows_.clear();
  below_.clear();
  root_ = root.path;
  enter(std::move(root), {});
}

void tree_view::enter(tree_node node, const std::string& parent) {
  const std::vector<tree_node> children = std::exchange(node.children, {});
  const std::string path = node.path;
  const auto [at, is_new] = rows_.try_emplace(path);
  if (is_new) {
    at->second.place = next_place_++;
    if (!parent.empty()) below_[parent].emplace(at->second.place, path);
  }
  at->second.node = std::move(node);
  for (const tree_node& child : children) enter(child, path);
}

/// Nothing below a supervisor that does not run is there; but what a snapshot has shown later is.
void tree_view::forget_below(const std::string& path, std::uint64_t before) {
  const auto found = below_.find(path);
  if (found == below_.end()) return;
  std::erase_if(found->second, [&](const auto& entry) {
    const auto at = rows_.find(entry.second);
    const bool old = at->second.node.version < before;
    forget_below(entry.second, old ? std::numeric_limits<std::uint64_t>::max() : before);
    if (old) rows_.erase(at);
    return old;
  });
  if (found->second.empty()) below_.erase(found);
}

void tree_view::apply(const tree_change& change) {
  const std::string path = change.parent + '/' + change.child.id;
  const auto known = rows_.find(path);
  if (!change.parent.empty() && !rows_.contains(change.parent)) return;
  const child_state state = change.child.state;
  const bool has_children = change.child.kind == child_kind::supervisor &&
                            (state == child_state::running || state == child_state::stopping ||
                             state == child_state::killing);
  // Also of a change that the row shows already: changes of its children may have come before.
  if (!has_children) forget_below(path, change.version);
  if (known != rows_.end() && known->second.node.version >= change.version) return;
  if (state == child_state::removed) {
    if (known == rows_.end()) return;
    below_[change.parent].erase(known->second.place);
    rows_.erase(known);
    return;
  }
  enter(as_tree_node(change.child, change.parent), change.parent);
}

tree_node tree_view::tree() const {
  const auto build = [this](const std::string& path, const auto& self) -> tree_node {
    const auto found = rows_.find(path);
    if (found == rows_.end()) return {};
    tree_node node = found->second.node;
    if (const auto children = below_.find(path); children != below_.end())
      for (const auto& [place, child] : children->second)
        node.children.push_back(self(child, self));
    return node;
  };
  return build(root_, build);
}

}  // namespace coppice
