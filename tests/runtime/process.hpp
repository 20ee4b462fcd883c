// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>

/// What ends a process is tested in a process of its own: a fork of the test, which must have no
/// other threads at that moment.
namespace tools {

class process {
 public:
  /// Runs `body` in a child; its result is the exit code. Standard output and error are kept.
  explicit process(const std::function<int()>& body) {
    int ends[2];
    if (::pipe(ends) != 0) return;
    ::fflush(nullptr);
    id_ = ::fork();
    if (id_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(ends[1], STDERR_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      const int code = body();
      ::fflush(nullptr);
      ::_exit(code);
    }
    ::close(ends[1]);
    out_ = ends[0];
  }
  ~process() {
    if (id_ > 0 && !waited_) {
      ::kill(id_, SIGKILL);
      ::waitpid(id_, nullptr, 0);
    }
    ::close(out_);
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  void signal(int number) const { ::kill(id_, number); }

  /// Waits until the child has printed `text`. False: it has not, within 30 s or before its end.
  bool printed(const std::string& text) {
    while (output_.find(text) == std::string::npos)
      if (!read_some()) return false;
    return true;
  }
  /// Waits for the end, 30 s at most. -1: it did not end, -2: by a signal.
  int exit_code() {
    while (read_some()) {
    }
    if (!at_end_) return -1;
    int status = 0;
    ::waitpid(id_, &status, 0);
    waited_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }
  const std::string& output() const { return output_; }

 private:
  bool read_some() {
    pollfd readable{out_, POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until_ - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) <= 0)
      return false;
    char some[4096];
    const ssize_t got = ::read(out_, some, sizeof some);
    if (got <= 0) {
      at_end_ = true;
      return false;
    }
    output_.append(some, static_cast<std::size_t>(got));
    return true;
  }

  pid_t id_ = -1;
  int out_ = -1;
  bool waited_ = false, at_end_ = false;
  std::string output_;
  std::chrono::steady_clock::time_point until_ =
      std::chrono::steady_clock::now() + std::chrono::seconds{30};
};

}  // namespace tools
