// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/supervision/calls.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The tree as data.
namespace coppice {

/// One actor or supervisor at the time of the snapshot.
struct tree_node {
  std::string path;
  std::string kind;   ///< the class of a child, `supervisor`, or of a supervisor its strategy
  std::string state;  ///< see `child_state`; `no answer` if it did not tell in time
  std::uint32_t incarnation = 0;
  std::uint32_t restarts = 0;         ///< that this child has caused
  std::string last_reason{};          ///< of its last failure or end by itself; empty: none
  std::chrono::milliseconds last_ended{0};  ///< how long ago that was
  std::chrono::milliseconds last_up{0};     ///< how long that incarnation had run
  std::chrono::milliseconds up{0};    ///< since the last start was complete; zero if not running
  std::uint32_t waiting = 0;          ///< events in the mailbox
  std::uint64_t handled = 0;          ///< events of all its incarnations
  /// While its restart has failed: when it is tried again.
  std::optional<std::chrono::milliseconds> next_attempt{};
  std::uint64_t version = 0;          ///< the last `tree_change` that this shows
  bool supervisor = false;
  std::vector<child_failure> failures{};  ///< of a supervisor's children, the last ones
  std::vector<tree_node> children{};  ///< in the order of their start
};

/// A child of the supervisor with this path as a node without children.
tree_node as_tree_node(const child_info& child, const std::string& parent);

/// For people: one line an actor, indented; restarts with their causes.
std::string to_text(const tree_node& root);

/// One JSON object, nested by `children`, with the fields' names as above.
std::string to_json(const tree_node& root);

}  // namespace coppice
