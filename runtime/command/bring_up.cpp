// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/bring_up.hpp>
#include <coppice/runtime/command/pids.hpp>

#include <filesystem>
#include <optional>
#include <ostream>

namespace coppice::command {

namespace {

/// From the working folder; a name without a slash is looked for in PATH and stays.
std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace

result<std::vector<up_process>> processes_of(const std::vector<node_config>& nodes,
                                             const up_request& request) {
  std::vector<up_process> all;
  for (const node_config& node : nodes) {
    if (node.program.empty())
      return error{errc::invalid, "node '" + node.name +
                                      "' has no program: give it a line program = \"./...\", or "
                                      "choose others with --node"};
    const bool searched = node.program.find('/') == std::string::npos;
    up_process p{.name = node.name,
                 .program = searched ? node.program : absolute(node.program),
                 .arguments = node.arguments,
                 .folder = node.directory.empty() ? "" : absolute(node.directory)};
    for (const std::string& text :
         {std::string{"--config"}, absolute(request.config_path), std::string{"--node"}, node.name})
      p.arguments.push_back(text);
    if (!request.profile.empty()) {
      p.arguments.emplace_back("--profile");
      p.arguments.push_back(request.profile);
    }
    all.push_back(std::move(p));
  }
  return all;
}

int bring_up(const cluster_config& config, const up_request& request, const terminal& to) {
  const auto wrong = [&](const error& e) {
    to.err << sentence(e) << '\n';
    return exit_usage;
  };
  auto nodes = chosen(config, request.nodes);
  if (!nodes) return wrong(nodes.error());
  if (request.nodes.empty()) {
    std::erase_if(*nodes, [&](const node_config& node) {
      const bool elsewhere = !is_here(node);
      if (elsewhere)
        to.err << node.name << ": " << node.address << " is not on this machine: left out\n";
      return elsewhere;
    });
    if (nodes->empty())
      return wrong(error{errc::invalid,
                         "no node of this cluster is on this machine; --node NAME "
                         "starts one all the same"});
  }
  const auto processes = processes_of(*nodes, request);
  if (!processes) return wrong(processes.error());

  std::optional<pid_file> pids;
  if (const auto folder = runtime_folder()) {
    pids.emplace(*folder, config.cluster.name, request.config_path);
    if (const auto taken = pids->take(); !taken) {
      to.err << config.cluster.name << ": " << sentence(taken.error()) << '\n';
      return exit_failed;
    }
  } else {
    to.err << sentence(folder.error()) << ": `coppice kill` will not find the processes\n";
  }
  to.out << std::flush;
  return run_processes(*processes, {.stop_deadline = request.stop_deadline},
                       pids ? &*pids : nullptr);
}

}  // namespace coppice::command
