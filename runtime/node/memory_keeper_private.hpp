// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <sys/types.h>

#include <memory>

namespace coppice {

/// A process beside this one that shares its memory, has nothing else of it, and sleeps until it is
/// gone.
///
/// The system frees the memory of a process that has been killed before it closes the files, some
/// 70 us for each MiB: peers hear of a node with 10 GiB two thirds of a second late. Memory that
/// somebody else has as well is not freed, so the connections end at once, and it is freed when the
/// keeper wakes and ends. No signal but SIGKILL and SIGSTOP reaches it, and without it all is as it
/// was: also where both are killed at once, as by the OOM killer.
///
/// It has the rights that the process had when it was made, on a stack in memory that the process
/// can write: one that gives up rights does so before.
class memory_keeper {
 public:
  /// The one of this process; it stays as long as somebody has it. Any thread. An error where the
  /// system has no `pidfd_open` or `close_range` (Linux before 5.9, or a sandbox), or no process is
  /// left to be had.
  static result<std::shared_ptr<const memory_keeper>> of_this_process();

  memory_keeper(pid_t owner, pid_t number, std::unique_ptr<char[]> stack) noexcept;
  memory_keeper(const memory_keeper&) = delete;
  memory_keeper& operator=(const memory_keeper&) = delete;
  ~memory_keeper();

  pid_t number() const noexcept { return number_; }

 private:
  const pid_t owner_, number_;
  std::unique_ptr<char[]> stack_;
};

}  // namespace coppice
