// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/command/cluster.hpp>
#include <coppice/runtime/command/up.hpp>

#include <chrono>
#include <string>
#include <vector>

/// `coppice up`: the processes of the cluster's nodes on this machine.
namespace coppice::command {

struct up_request {
  std::string config_path{};
  std::vector<std::string> nodes{};  ///< none: those whose address is one of this machine
  std::string profile{};             ///< handed on to the nodes; empty: as the file says
  std::chrono::milliseconds stop_deadline{launch_options{}.stop_deadline};
};

/// How each of these nodes is started: `<program> <arguments...> --config FILE --node NAME`. The
/// error names a node without a program.
result<std::vector<up_process>> processes_of(const std::vector<node_config>& nodes,
                                             const up_request& request);

int bring_up(const cluster_config& config, const up_request& request, const terminal& to);

}  // namespace coppice::command
