// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

/// Running a program and reading what it prints, with a deadline.
namespace coppice::bench {

using strings = std::vector<std::string>;

/// How a process ended: `failure` is empty if it exited with 0.
struct outcome {
  std::string output;
  std::string failure;
  bool hung = false;  // and was killed at the deadline
};

[[noreturn]] inline void exec_child(const strings& command, int output) {
  // Nobody may go on using the machine after the driver was interrupted.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (int nothing = open("/dev/null", O_RDONLY); nothing >= 0) dup2(nothing, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  std::fprintf(stderr, "cannot run %s: %s\n", arguments[0], std::strerror(errno));
  _exit(127);
}

inline std::string describe(int status) {
  if (WIFSIGNALED(status)) return std::string("ended by signal ") + strsignal(WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return "exit status " + std::to_string(WEXITSTATUS(status));
  return {};
}

/// Runs a command to its end, or kills it at the deadline. The end of the process counts, not the
/// end of its output: a helper process it left behind may hold the pipe open.
inline outcome run(const strings& command, std::chrono::seconds timeout) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    throw std::runtime_error(std::string("cannot create a pipe: ") + std::strerror(errno));
  auto deadline = std::chrono::steady_clock::now() + timeout;
  auto pid = fork();
  if (pid < 0)
    throw std::runtime_error(std::string("cannot start a process: ") + std::strerror(errno));
  if (pid == 0) {
    // The program writes to an ordinary, blocking pipe.
    fcntl(ends[1], F_SETFL, 0);
    exec_child(command, ends[1]);
  }
  close(ends[1]);

  outcome result;
  int status = 0;
  bool readable = true;
  auto drain = [&] {
    char buffer[4096];
    ssize_t got = 0;
    while ((got = read(ends[0], buffer, sizeof buffer)) > 0)
      result.output.append(buffer, static_cast<std::size_t>(got));
    readable = got != 0;
  };
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      result.hung = true;
      result.failure = "no end within " + std::to_string(timeout.count()) + " s, killed";
      close(ends[0]);
      return result;
    }
    // Short, because the end of a process does not wake the poll.
    pollfd waited{readable ? ends[0] : -1, POLLIN, 0};
    if (poll(&waited, 1, 10) > 0) drain();
  }
  drain();
  close(ends[0]);
  result.failure = describe(status);
  return result;
}

/// Whether that program would be found by its bare name.
inline bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((std::filesystem::path(folder) / program).c_str(), X_OK) == 0) return true;
  return false;
}

/// A folder that is gone when its owner is.
class scratch_folder {
 public:
  scratch_folder() {
    auto pattern = (std::filesystem::temp_directory_path() / "coppice_bench_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("cannot create " + pattern + ": " + std::strerror(errno));
    path_ = pattern;
  }
  ~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace coppice::bench
