// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/command/cluster.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// `coppice status`: one line for each node, asked of all at the same time.
namespace coppice::command {

struct node_row {
  std::string name;
  std::string trouble{};  ///< why there is no answer; then the rest is empty
  bool ready = false;
  std::vector<std::string> reasons{};  ///< why not
  std::string incarnation{};
  std::chrono::milliseconds up{0};
  std::uint64_t actors = 0;
  std::uint64_t restarts = 0;
  std::uint64_t dead_letters = 0;
  std::vector<std::pair<std::string, std::string>> opinions{};  ///< of others: name, opinion
};

/// Reads what /api/members answers. The error: it is something else.
result<node_row> read_members(std::string_view json);

/// For a terminal: as wide as need be, what is wrong below its node's line.
std::string status_table(const std::vector<node_row>& rows);

/// `3 d 4 h`, `12 min`, `1.5 s`: two figures are enough for people.
std::string duration_text(std::chrono::milliseconds time);

/// 0: every node is ready.
int show_status(const cluster_config& config, const std::vector<std::string>& nodes, bool json,
                const terminal& to);

}  // namespace coppice::command
