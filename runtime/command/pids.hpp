// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

/// Which processes run a cluster on this machine. `coppice up` writes it down, for `coppice kill`.
/// A process is known by its number and the time of its start, so that another one which has got
/// the number of a dead one is not taken for it.
namespace coppice::command {

struct process_id {
  pid_t number = 0;
  std::uint64_t started = 0;  ///< in clock ticks since the machine's start

  bool operator==(const process_id&) const = default;
};

/// Nothing: there is no such process.
std::optional<process_id> identify(pid_t number);
/// Sends a signal to exactly this process. `not_found`: it has ended.
result<void> send_signal(const process_id& to, int signal);

/// Where this user's clusters are written down: below $XDG_RUNTIME_DIR, or /tmp. Made if need be;
/// refused if it belongs to somebody else.
result<std::string> runtime_folder();

/// The file of one cluster: named after it and its config file.
class pid_file {
 public:
  pid_file(const std::string& folder, const std::string& cluster, const std::string& config_path);
  ~pid_file();
  pid_file(const pid_file&) = delete;
  pid_file& operator=(const pid_file&) = delete;

  /// For `up`: refused (`already_started`) while another one has it.
  result<void> take();
  /// Once taken: which node is which process now. The file is replaced as a whole.
  result<void> write(const std::map<std::string, process_id>& nodes);
  /// For everyone else. A node that has no process is left out; no file: none have.
  std::map<std::string, process_id> read() const;

 private:
  std::string path_;
  int lock_ = -1;
};

}  // namespace coppice::command
