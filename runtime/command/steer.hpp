// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/command/cluster.hpp>

#include <string>

/// `coppice kill` and `coppice stop`.
namespace coppice::command {

/// `alpha:/shop/stock`, or a path alone in a cluster of one node: kills an actor by the node's API.
/// `alpha`: kills the node's process, also one that answers nobody: by its number if `coppice up`
/// runs it here, else by its API.
int kill(const cluster_config& config, const std::string& config_path, const std::string& what,
         const terminal& to);

/// Asks a node to stop in order: by its API, or with SIGTERM if it has none and `coppice up` runs
/// it here. Returns when it has been asked.
int stop(const cluster_config& config, const std::string& config_path, const std::string& node,
         const terminal& to);

}  // namespace coppice::command
