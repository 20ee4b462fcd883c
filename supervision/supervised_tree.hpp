// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/system.hpp>
#include <coppice/supervision/children.hpp>
#include <coppice/supervision/feed.hpp>
#include <coppice/supervision/report.hpp>
#include <coppice/supervision/tree.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

/// A whole supervision tree: the supervisor at the top, started, watched and stopped from outside.
///
///     coppice::supervised_tree shop{system, "shop", [](coppice::children& shop) { ... }};
///     if (auto up = shop.wait_until_up(10s); !up) return report(up.error());
///     std::cout << coppice::to_text(shop.snapshot(1s));
///     auto why = shop.stop(30s);
///
/// All members may be called from any thread that is none of the system's workers; those that
/// wait block it.
namespace coppice {

class supervised_tree {
 public:
  /// Starts at once. `watch` receives the reports of all supervisors; it must outlive the tree.
  supervised_tree(system& home, std::string id, children::builder build,
                  supervision_observer* watch = nullptr);
  ~supervised_tree();
  supervised_tree(const supervised_tree&) = delete;
  supervised_tree& operator=(const supervised_tree&) = delete;

  /// Until all children have started. The error tells why they could not.
  result<void> wait_until_up(std::chrono::milliseconds deadline);
  bool up() const;

  /// Why the top supervisor has ended, once it has.
  std::optional<exit_reason> ended() const;
  /// Waits for the end; nothing if the deadline comes first.
  std::optional<exit_reason> wait_until_ended(std::chrono::milliseconds deadline);

  /// Asks the tree to stop: children in reverse order, each within its own deadline.
  void request_stop(exit_reason why = exit_reason::shutdown());
  /// The same, and waits. What has not stopped by the deadline is killed. Nothing: not even that
  /// has ended it, some actor does not return from a handler.
  std::optional<exit_reason> stop(std::chrono::milliseconds deadline);

  /// Asks each supervisor for its children; one that does not answer in time has no children in
  /// the answer and the state `no answer`. Costs the supervisors one event each.
  tree_node snapshot(std::chrono::milliseconds deadline);

  /// What changes from now on, see feed.hpp. At most `capacity` changes wait for their reader.
  tree_feed follow(std::size_t capacity = 10'000);

  /// The supervisor at the top, to be asked for changes. Those below it: by their path.
  supervisor_ref root() const noexcept;
  /// A supervisor by its path, e.g. `/shop/delivery`: asks its way down from the top.
  result<supervisor_ref> find(std::string_view path, std::chrono::milliseconds deadline);

 private:
  struct implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace coppice
