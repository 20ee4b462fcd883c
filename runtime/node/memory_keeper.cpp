// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/memory_keeper_private.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <mutex>
#include <string>
#include <system_error>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

namespace coppice {

namespace {

/// It calls the system and nothing else.
constexpr std::size_t stack_bytes = 16 * 1024;
/// Of which it needs microseconds.
constexpr int birth_time_ms = 1'000;

struct birth {
  int owner;   ///< pidfd of whom it keeps the memory for, above the standard streams
  int failed;  ///< end of a pipe: a byte says that it failed
};

/// The keeper's life. It runs on a stack of its own, but with the thread-local data of the thread
/// that made it: so nothing but calls of the system, and none that fails, which would be written
/// there, once that thread goes on.
__attribute__((no_sanitize("address", "undefined", "thread"))) int keep(void* watched) {
  const birth by = *static_cast<const birth*>(watched);
  ::syscall(SYS_setsid);  // a terminal's signals are not for it
  ::syscall(SYS_chdir, "/");
  ::syscall(SYS_prctl, PR_SET_NAME, "coppice-memory", 0, 0, 0);
  // Which also closes the pipe: whoever made it may go on.
  if (::syscall(SYS_close_range, 0u, by.owner - 1u, 0u) != 0 ||
      ::syscall(SYS_close_range, by.owner + 1u, ~0u, 0u) != 0) {
    ::syscall(SYS_write, by.failed, "!", 1);
    ::syscall(SYS_exit_group, 1);
  }
  pollfd gone{by.owner, POLLIN, 0};
  ::syscall(SYS_ppoll, &gone, 1, nullptr, nullptr, 0);
  ::syscall(SYS_exit_group, 0);
  return 0;
}

/// Closes what it holds.
struct descriptor {
  explicit descriptor(int n) noexcept : number(n) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { close(); }
  void close() noexcept {
    if (number >= 0) ::close(number);
    number = -1;
  }
  int number;
};

error cannot(const char* what) {
  return error{errc::failed, std::string{"no process to keep the memory: "} + what + ": " +
                                 std::generic_category().message(errno)};
}

void wait_for(pid_t number) noexcept {
  while (::waitpid(number, nullptr, __WCLONE) < 0 && errno == EINTR) continue;
}

/// Its number.
result<pid_t> give_birth(char* stack) {
  const descriptor low{static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0))};
  if (low.number < 0) return cannot("pidfd_open");
  const descriptor me{::fcntl(low.number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)};
  if (me.number < 0) return cannot("pidfd_open");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return cannot("pipe");
  descriptor born{ends[0]}, unborn{ends[1]};
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // No signal at its end: whoever waits for any child of this process does not meet it.
  birth by{me.number, unborn.number};
  const pid_t number = ::clone(&keep, stack + stack_bytes, CLONE_VM, &by);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);  // which leaves errno as it is
  if (number < 0) return cannot("clone");
  unborn.close();
  pollfd closed{born.number, POLLIN, 0};
  int any = 0;
  while ((any = ::poll(&closed, 1, birth_time_ms)) < 0 && errno == EINTR) continue;
  char said = 0;
  if (any > 0 && ::read(born.number, &said, 1) == 0) return number;
  ::kill(number, SIGKILL);
  wait_for(number);
  errno = any > 0 ? ENOSYS : ETIMEDOUT;
  return cannot("close_range");
}

std::mutex only_one;
std::weak_ptr<const memory_keeper> the_one;

}  // namespace

memory_keeper::memory_keeper(pid_t owner, pid_t number, std::unique_ptr<char[]> stack) noexcept
    : owner_(owner), number_(number), stack_(std::move(stack)) {}

memory_keeper::~memory_keeper() {
  if (::getpid() != owner_) return;  // a fork's copy
  if (::kill(number_, SIGKILL) == 0) wait_for(number_);
  // This process has given up the rights that the keeper still has: that stays, and its stack.
  else static_cast<void>(stack_.release());
}

result<std::shared_ptr<const memory_keeper>> memory_keeper::of_this_process() {
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
  return error{errc::failed, "no process to keep the memory: ThreadSanitizer allows none"};
#endif
  std::lock_guard lock{only_one};
  if (auto there = the_one.lock(); there && there->owner_ == ::getpid()) return there;
  std::unique_ptr<char[]> stack{new char[stack_bytes]};
  const auto number = give_birth(stack.get());
  if (!number) return number.error();
  auto made = std::make_shared<const memory_keeper>(::getpid(), *number, std::move(stack));
  the_one = made;
  return made;
}

}  // namespace coppice
