// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/pids.hpp>
#include <coppice/runtime/command/steer.hpp>

#include <signal.h>

#include <optional>
#include <ostream>

#include <boost/json.hpp>

namespace coppice::command {

namespace {

std::optional<process_id> process_here(const cluster_config& config, const std::string& config_path,
                                       const std::string& node) {
  const auto folder = runtime_folder();
  if (!folder) return std::nullopt;
  const auto running = pid_file{*folder, config.cluster.name, config_path}.read();
  const auto found = running.find(node);
  return found == running.end() ? std::nullopt : std::optional{found->second};
}

int failed(const terminal& to, const std::string& node, const std::string& why) {
  to.err << node << ": " << why << '\n';
  return exit_failed;
}

int post(const cluster_config& config, const node_config& node, const std::string& path,
         const char* key, const std::string& value, const std::string& done, const terminal& to) {
  const auto call = reach(config, node, path);
  if (!call) return failed(to, node.name, sentence(call.error()));
  const auto got = http::post(*call, boost::json::serialize(boost::json::object{{key, value}}));
  if (!got) return failed(to, node.name, sentence(got.error()));
  if (got->status >= 300) return failed(to, node.name, refusal_in(*got));
  to.out << node.name << ": " << done << '\n';
  return 0;
}

int signal_process(const process_id& process, int number, const std::string& node,
                   const std::string& done, const terminal& to) {
  if (const auto sent = send_signal(process, number); !sent)
    return failed(to, node, sentence(sent.error()));
  to.out << node << ": " << done << '\n';
  return 0;
}

}  // namespace

int kill(const cluster_config& config, const std::string& config_path, const std::string& what,
         const terminal& to) {
  target whom = target_of(what);
  if (whom.node.empty()) {
    if (config.nodes.size() != 1) {
      to.err << "which node? " << config.nodes.front().name << ':' << whom.path
             << ", for example\n";
      return exit_usage;
    }
    whom.node = config.nodes.front().name;
  }
  const auto node = node_named(config, whom.node);
  if (!node) {
    to.err << sentence(node.error()) << '\n';
    return exit_usage;
  }
  if (!whom.path.empty())
    return post(config, *node, "/api/kill", "path", whom.path, whom.path + " has been killed", to);
  if (const auto process = process_here(config, config_path, whom.node))
    return signal_process(*process, SIGKILL, whom.node,
                          "process " + std::to_string(process->number) + " has been killed", to);
  return post(config, *node, "/api/kill", "node", whom.node, "has been killed", to);
}

int stop(const cluster_config& config, const std::string& config_path, const std::string& name,
         const terminal& to) {
  const auto node = node_named(config, name);
  if (!node) {
    to.err << sentence(node.error()) << '\n';
    return exit_usage;
  }
  if (node->http.empty())
    if (const auto process = process_here(config, config_path, name))
      return signal_process(*process, SIGTERM, name, "is stopping", to);
  return post(config, *node, "/api/stop", "node", name, "is stopping", to);
}

}  // namespace coppice::command
