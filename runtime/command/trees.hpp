// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/command/cluster.hpp>

#include <string>
#include <string_view>
#include <vector>

/// `coppice tree`: the supervision trees of the nodes, now or as they change.
namespace coppice::command {

struct tree_request {
  std::string what{};  ///< `alpha:/shop/stock`, `/shop/stock`, `alpha:`, or empty: everything
  std::vector<std::string> nodes{};
  bool json = false;
  bool follow = false;
};

/// 0: every node has answered. Following ends when the process does.
int show_trees(const cluster_config& config, const tree_request& request, const terminal& to);

/// One line of what /api/tree/follow sends, for people; empty: nothing that they would miss.
/// E.g. `/shop/stock running #3, 2 restarts, last: crashed: no paper`.
std::string change_text(std::string_view json);

}  // namespace coppice::command
