// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/output.hpp>
#include <coppice/runtime/command/pids.hpp>
#include <coppice/runtime/command/up.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <system_error>
#include <utility>

namespace coppice::command {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Owns a file descriptor.
class descriptor {
 public:
  explicit descriptor(int number = -1) noexcept : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor() { reset(); }
  void reset() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }
  int get() const noexcept { return number_; }

 private:
  int number_;
};

struct pipe_ends {
  descriptor read, write;
};
std::optional<pipe_ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  return pipe_ends{descriptor{ends[0]}, descriptor{ends[1]}};
}

/// Trying again would fail the same way.
bool for_good(int why) {
  switch (why) {
    case ENOENT:
    case EACCES:
    case EPERM:
    case ENOTDIR:
    case EISDIR:
    case ENOEXEC:
    case ELOOP:
    case E2BIG:
    case ENAMETOOLONG: return true;
    default: return false;
  }
}

/// In the child, between fork and exec: nothing here allocates.
[[noreturn]] void become(char* const* arguments, const char* folder, int output, int failure,
                         pid_t parent) {
  // A terminal's Ctrl-C goes to its whole group: it is ours to pass on.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it has died before it could be said
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, STDIN_FILENO);
  if (input > STDERR_FILENO) ::close(input);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (*folder == '\0' || ::chdir(folder) == 0) ::execvp(arguments[0], arguments);
  const int why = errno;
  [[maybe_unused]] const auto told = ::write(failure, &why, sizeof why);
  ::_exit(127);
}

struct child {
  explicit child(output_lines with) : lines(std::move(with)) {}

  pid_t number = 0;  ///< 0: does not run
  descriptor output;
  output_lines lines;
};

class shell {
 public:
  shell(const std::vector<up_process>& processes, const launch_options& options, pid_file* pids);
  int run();

 private:
  void carry_out();
  void start(std::size_t at);
  void reap();
  void take_signals();
  bool read_output(std::size_t at);
  void say_the_last();
  void write_pids();
  int wait_at_most() const;

  const std::vector<up_process>& processes_;
  pid_file* pids_;
  std::mt19937_64 random_{std::random_device{}()};
  launcher launcher_;
  console out_{STDOUT_FILENO};
  std::vector<child> children_;
  output_lines about_all_;
  descriptor signals_;
};

std::vector<std::string> names_of(const std::vector<up_process>& processes) {
  std::vector<std::string> names;
  names.reserve(processes.size());
  for (const auto& p : processes) names.push_back(p.name);
  return names;
}

shell::shell(const std::vector<up_process>& processes, const launch_options& options,
             pid_file* pids)
    : processes_(processes),
      pids_(pids),
      launcher_(names_of(processes), options,
                [this] {
                  return std::uniform_real_distribution<double>{0, 1}(random_);
                }),
      about_all_("", 0, -1) {
  std::size_t width = 2;
  for (const auto& p : processes) width = std::max(width, p.name.size());
  const bool colours = wants_colours(STDOUT_FILENO);
  about_all_ = output_lines{"up", width, -1};
  for (std::size_t i = 0; i < processes.size(); ++i)
    children_.emplace_back(
        output_lines{processes[i].name, width, colours ? static_cast<int>(i) : -1});
}

int shell::run() {
  sigset_t ours, before;
  sigemptyset(&ours);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&ours, number);
  ::pthread_sigmask(SIG_BLOCK, &ours, &before);
  const auto old_pipe = ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);  // whoever ignores it hears of no end
  // What a node leaves behind, its memory's keeper to begin with, is waited for here.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  signals_ = descriptor{::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK)};

  launcher_.begin(clock::now());
  carry_out();
  while (!launcher_.finished()) {
    std::vector<pollfd> watched{{signals_.get(), POLLIN, 0},
                                {out_.waiting() ? out_.descriptor() : -1, POLLOUT, 0}};
    for (const child& c : children_) watched.push_back({c.output.get(), POLLIN, 0});
    ::poll(watched.data(), watched.size(), wait_at_most());

    // Output goes before the end of who has said it.
    for (std::size_t i = 0; i < children_.size(); ++i)
      if (watched[i + 2].revents != 0) read_output(i);
    if (watched[0].revents != 0) take_signals();
    launcher_.time(clock::now());
    carry_out();
    out_.flush();
  }
  say_the_last();
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  ::signal(SIGPIPE, old_pipe);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return launcher_.exit_code();
}

int shell::wait_at_most() const {
  const auto next = launcher_.next();
  if (!next) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*next - clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

void shell::carry_out() {
  for (auto actions = launcher_.take_actions(); !actions.empty();
       actions = launcher_.take_actions()) {
    for (const launch_action& a : actions) {
      switch (a.what) {
        case launch_action::kind::start: start(a.node); break;
        case launch_action::kind::signal:
          // The number is the child's until it has been waited for.
          if (children_[a.node].number > 0) ::kill(children_[a.node].number, a.signal);
          break;
        case launch_action::kind::say:
          out_.put(a.about_all ? about_all_.line(a.text) : children_[a.node].lines.line(a.text));
          break;
      }
    }
  }
}

void shell::start(std::size_t at) {
  const up_process& p = processes_[at];
  const auto failed = [&](const std::string& what, int why) {
    launcher_.could_not_start(at, what + ": " + std::generic_category().message(why), for_good(why),
                              clock::now());
  };
  if (!p.folder.empty()) {
    std::error_code wrong;
    std::filesystem::create_directories(p.folder, wrong);
    if (wrong) return failed(p.folder, wrong.value());
  }
  auto output = make_pipe();
  auto failure = make_pipe();
  if (!output || !failure) return failed("pipe", errno);
  std::vector<std::string> texts{p.program};
  texts.insert(texts.end(), p.arguments.begin(), p.arguments.end());
  std::vector<char*> arguments;
  arguments.reserve(texts.size() + 1);
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t number = ::fork();
  if (number < 0) return failed("fork", errno);
  if (number == 0)
    become(arguments.data(), p.folder.c_str(), output->write.get(), failure->write.get(), parent);
  output->write.reset();
  failure->write.reset();
  int why = 0;
  ssize_t got = 0;
  do got = ::read(failure->read.get(), &why, sizeof why);  // until exec has closed it
  while (got < 0 && errno == EINTR);
  if (got == sizeof why) {
    ::waitpid(number, nullptr, 0);
    return failed(p.program, why);
  }
  child& c = children_[at];
  c.number = number;
  c.output = std::move(output->read);
  ::fcntl(c.output.get(), F_SETFL, O_NONBLOCK);
  write_pids();
  launcher_.started(at, clock::now());
}

void shell::take_signals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) reap();
    else launcher_.interrupt(clock::now());
  }
}

void shell::reap() {
  int status = 0;
  for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::find_if(children_.begin(), children_.end(),
                                    [&](const child& c) { return c.number == ended; });
    if (found == children_.end()) continue;
    const auto i = static_cast<std::size_t>(found - children_.begin());
    child& c = *found;
    // What it said last is there already. What its own children go on saying goes nowhere.
    for (int more = 4; more > 0 && read_output(i);) --more;
    out_.put(c.lines.rest());
    c.output.reset();
    c.number = 0;
    write_pids();
    const process_end how = WIFSIGNALED(status) ? process_end{.signal = WTERMSIG(status)}
                                                : process_end{.code = WEXITSTATUS(status)};
    launcher_.ended(i, how, clock::now());
  }
}

/// False: there is no more now.
bool shell::read_output(std::size_t at) {
  child& c = children_[at];
  std::array<char, 65'536> some;
  const ssize_t got = ::read(c.output.get(), some.data(), some.size());
  if (got > 0) {
    out_.put(c.lines.feed({some.data(), static_cast<std::size_t>(got)}));
    return true;
  }
  if (got == 0) c.output.reset();  // it has closed both ends; it need not have ended
  return false;
}

/// How it ended should be read; but a terminal that stands still does not keep us for ever.
void shell::say_the_last() {
  const auto until = clock::now() + std::chrono::seconds{1};
  for (out_.flush(); out_.waiting() && clock::now() < until; out_.flush()) {
    pollfd writable{out_.descriptor(), POLLOUT, 0};
    ::poll(&writable, 1, 100);
  }
}

void shell::write_pids() {
  if (!pids_) return;
  std::map<std::string, process_id> now;
  for (std::size_t i = 0; i < children_.size(); ++i)
    if (children_[i].number > 0)
      if (const auto id = identify(children_[i].number)) now.emplace(processes_[i].name, *id);
  if (const auto written = pids_->write(now); !written)
    out_.put(about_all_.line(written.error().message()));
}

}  // namespace

int run_processes(const std::vector<up_process>& processes, const launch_options& options,
                  pid_file* pids) {
  shell s{processes, options, pids};
  return s.run();
}

}  // namespace coppice::command
