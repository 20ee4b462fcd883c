// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/supervision/calls.hpp>
#include <coppice/supervision/tree.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// A tree as a stream: one snapshot, then what changes.
///
///     auto feed = shop.follow();
///     coppice::tree_view view;
///     view.reset(shop.snapshot(1s));
///     for (;;) {
///       auto news = feed.take(1s);
///       if (news.lost) view.reset(shop.snapshot(1s));   // too slow: told, and mended
///       for (auto& c : news.changes) view.apply(c);
///     }
namespace coppice {

namespace detail {
struct feed_queue;
}

/// What has become of one child.
struct tree_change {
  /// Numbers the changes of one tree without gaps. A row of a snapshot has the number of the last
  /// change that it shows.
  std::uint64_t version = 0;
  std::string parent;  ///< path of the supervisor; empty: the child is the top of the tree
  /// As it is now; state `removed`: there is no such child any more.
  child_info child;
};

/// The changes of one tree, for one reader. Bounded: a reader that is too slow loses the oldest
/// and is told how many.
class tree_feed {
 public:
  struct news {
    std::uint64_t lost = 0;  ///< changes before these that found no room: take a snapshot
    std::vector<tree_change> changes;
  };

  explicit tree_feed(std::shared_ptr<detail::feed_queue> queue) noexcept;
  ~tree_feed();
  tree_feed(tree_feed&&) noexcept;
  tree_feed& operator=(tree_feed&&) noexcept;

  /// All changes that wait; if there are none, blocks until there is one, or the deadline.
  news take(std::chrono::milliseconds deadline);

 private:
  std::shared_ptr<detail::feed_queue> queue_;
};

/// What a reader knows of a tree from snapshots and changes. Plain: no thread, no clock. Changes
/// that a snapshot already shows are left alone, so that the two may overlap.
class tree_view {
 public:
  void reset(tree_node root);
  void apply(const tree_change& change);

  /// The tree as it stands, children in the order of their start. Ages are those of the moment
  /// at which a row was written.
  tree_node tree() const;
  std::size_t size() const noexcept { return rows_.size(); }

 private:
  struct row {
    tree_node node;  ///< without its children
    std::uint64_t place = 0;  ///< among its siblings
  };

  void enter(tree_node node, const std::string& parent);
  void forget_below(const std::string& path, std::uint64_t before);

  std::map<std::string, row> rows_;  ///< by path
  std::map<std::string, std::map<std::uint64_t, std::string>> below_;  ///< paths by place
  std::string root_;
  std::uint64_t next_place_ = 0;
};

}  // namespace coppice
