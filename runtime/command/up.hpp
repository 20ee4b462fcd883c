// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/command/launcher.hpp>

#include <string>
#include <vector>

/// Runs processes until all have ended or somebody interrupts: the shell around `launcher`.
namespace coppice::command {

class pid_file;

struct up_process {
  std::string name;
  std::string program;  ///< a path, or a name to be looked for in PATH
  std::vector<std::string> arguments{};
  std::string folder{};  ///< that it is started in, made if need be; empty: the caller's
};

/// Prints what the processes print, each line with the process's name in front, to standard output.
/// SIGINT, SIGTERM and SIGHUP are the interrupts. The processes die with the calling thread,
/// however it ends. Meanwhile every child of this process is waited for here, and so is what the
/// processes leave behind. Returns the exit code. `pids` may be null.
int run_processes(const std::vector<up_process>& processes, const launch_options& options,
                  pid_file* pids);

}  // namespace coppice::command
