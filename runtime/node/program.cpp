// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/node_private.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <CLI/CLI.hpp>

namespace coppice {

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr int exit_killed = 130;

/// A file descriptor, closed with its owner.
struct descriptor {
  explicit descriptor(int n) noexcept : number(n) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { ::close(number); }
  const int number;
};

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGUSR1);
  return set;
}

std::string name_of(const char* file) {
  std::string name = file;
  const auto slash = name.rfind('/');
  if (slash != std::string::npos) name.erase(0, slash + 1);
  return name.empty() ? std::string{"node"} : name.substr(0, 64);
}

}  // namespace

// ---- ending it --------------------------------------------------------------------------------

struct stopper::state {
  descriptor wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::mutex guard;
  std::optional<int> code;  ///< nothing: the program goes on

  std::optional<int> wanted() {
    std::lock_guard lock{guard};
    return code;
  }

  void ring() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake.number, &one, sizeof one);
  }
};

stopper::stopper() : state_(std::make_shared<state>()) {}

void stopper::stop(int code) const noexcept {
  {
    std::lock_guard lock{state_->guard};
    if (!state_->code) state_->code = code;
  }
  state_->ring();
}

// ---- options ----------------------------------------------------------------------------------

struct program::implementation {
  struct number_option {
    std::string flag;
    std::string text;
    std::uint64_t* value;
  };

  implementation(std::string named, std::string described)
      : name(std::move(named)), app(std::move(described), name) {
    options.name = name;
    app.add_option("--config", config, "file that describes the cluster; needs --node");
    app.add_option("--node", options.node, "which node this is: its name in logs and the cluster");
    number("--workers", workers, "worker threads; 0 is one per hardware thread");
    number("--stop-deadline-ms", stop_deadline_ms, "milliseconds that the tree has to stop");
    app.add_option("--log-level", level, "trace, debug, info, warning, error or off")
        ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}));
    app.add_option("--log-file", options.log.file, "log to this file instead of standard error");
    app.add_flag("--tree", print_tree, "print the tree before it is stopped, and on SIGUSR1");
    app.add_flag("--json", print_json, "the same as JSON");
  }

  /// CLI11 takes -1, 010 and too large numbers for an unsigned option without a word.
  void number(std::string flag, std::uint64_t& value, std::string help, std::uint64_t least = 0,
              std::uint64_t most = UINT64_MAX) {
    auto& kept = numbers.emplace_back(
        std::make_unique<number_option>(number_option{flag, std::to_string(value), &value}));
    number_option* n = kept.get();
    app.add_option(std::move(flag), n->text, std::move(help))
        ->check(
            [least, most](const std::string& text) {
              std::uint64_t parsed = 0;
              const char* last = text.data() + text.size();
              const auto r = std::from_chars(text.data(), last, parsed);
              const bool octal = text.size() > 1 && text[0] == '0';
              const bool whole = r.ec == std::errc{} && r.ptr == last && !octal;
              if (whole && parsed >= least && parsed <= most) return std::string{};
              return "'" + text + "' is not a whole number from " + std::to_string(least) + " to " +
                     std::to_string(most) + ", written without sign or leading zeros";
            },
            "NUMBER");
  }

  /// Nothing: go on. Else the exit code.
  std::optional<int> parse(int argc, char** argv) {
    try {
      app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      std::fputs(app.help().c_str(), stdout);
      return 0;
    } catch (const CLI::ParseError& e) {
      std::fprintf(stderr, "%s: %s\nTry '%s --help'.\n", name.c_str(), e.what(), name.c_str());
      return exit_usage;
    }
    for (const auto& n : numbers)
      std::from_chars(n->text.data(), n->text.data() + n->text.size(), *n->value);
    if (workers > 56) {
      std::fprintf(stderr, "%s: --workers: %llu is too many; at most 56, 8 more are kept spare\n",
                   name.c_str(), static_cast<unsigned long long>(workers));
      return exit_usage;
    }
    if (const auto code = read_cluster()) return code;
    options.workers = static_cast<unsigned>(workers);
    constexpr std::uint64_t day_ms = 86'400'000;
    options.stop_deadline =
        std::chrono::milliseconds{static_cast<std::int64_t>(std::min(stop_deadline_ms, day_ms))};
    constexpr const char* levels[] = {"trace", "debug", "info", "warning", "error", "off"};
    for (std::size_t i = 0; i < std::size(levels); ++i)
      if (level == levels[i]) options.log.level = static_cast<log_level>(i);
    return std::nullopt;
  }

  /// What the file says of logs holds unless the command line says otherwise.
  std::optional<int> read_cluster() {
    if (config.empty()) return std::nullopt;
    const auto wrong = [this](const std::string& text) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), text.c_str());
      return exit_usage;
    };
    if (options.node.empty())
      return wrong("--config needs --node: which of the nodes in " + config + " this is");
    auto read = read_config(config);
    if (!read) return wrong("wrong config:\n" + read.error().why()->what);
    if (const auto me = node_named(*read, options.node); !me) return wrong(me.error().why()->what);
    const log_config& log = read->log;
    if (app.count("--log-level") == 0) {
      constexpr const char* levels[] = {"trace", "debug", "info", "warning", "error", "off"};
      level = levels[static_cast<std::size_t>(log.level)];
    }
    if (options.log.file.empty()) options.log.file = for_node(log.file, options.node);
    options.log.json = log.format == log_format::json;
    options.log.records_per_second = log.records_per_second;
    options.config = std::make_shared<const cluster_config>(std::move(*read));
    return std::nullopt;
  }

  void print(coppice::node& home) const {
    if (!print_tree && !print_json) return;
    const tree_node snapshot = home.tree();
    const std::string text = print_json ? to_json(snapshot) + '\n' : to_text(snapshot);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

  std::string name;
  CLI::App app;
  node_options options;
  std::vector<std::unique_ptr<number_option>> numbers;
  std::uint64_t workers = 0;
  std::uint64_t stop_deadline_ms = 30'000;
  std::string level = "info";
  std::string config;
  coppice::node* running = nullptr;
  bool print_tree = false;
  bool print_json = false;
  stopper end;
  std::function<void(coppice::node&)> when_up;
  std::function<int(coppice::node&)> before_stop;
};

program::program(std::string name, std::string description)
    : impl_(std::make_unique<implementation>(std::move(name), std::move(description))) {}
program::~program() = default;

void program::option(std::string flag, std::string& value, std::string help) {
  impl_->app.add_option(std::move(flag), value, std::move(help))->capture_default_str();
}
void program::option(std::string flag, std::uint64_t& value, std::string help, std::uint64_t least,
                     std::uint64_t most) {
  impl_->number(std::move(flag), value, std::move(help), least, most);
}
void program::option(std::string flag, std::vector<std::string>& values, std::string help) {
  impl_->app.add_option(std::move(flag), values, std::move(help))->delimiter(',');
}
void program::flag(std::string flag, bool& value, std::string help) {
  impl_->app.add_flag(std::move(flag), value, std::move(help));
}
node_options& program::node() noexcept { return impl_->options; }
coppice::cluster& program::cluster() const {
  detail::require(impl_->running, "a program has a cluster while it runs");
  return impl_->running->cluster();
}
stopper program::end() const noexcept { return impl_->end; }
void program::when_up(std::function<void(coppice::node&)> f) { impl_->when_up = std::move(f); }
void program::before_stop(std::function<int(coppice::node&)> f) {
  impl_->before_stop = std::move(f);
}

// ---- running it -------------------------------------------------------------------------------

int program::run(int argc, char** argv, children::builder build) {
  implementation& me = *impl_;
  if (const auto code = me.parse(argc, argv)) return *code;

  // Blocked before any thread starts, so that they arrive at the descriptor only.
  const sigset_t signals = our_signals();
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &signals, &before);
  const descriptor arriving{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};

  int code = 0;
  try {
    coppice::node home{me.options, std::move(build)};
    me.running = &home;
    home.impl_->log.when_ended = [end = me.end.state_] { end->ring(); };
    home.impl_->when_asked_to_stop = [end = me.end] { end.stop(0); };
    if (const auto up = home.start(); !up) {
      std::fprintf(stderr, "%s: could not start: %s\n", me.name.c_str(),
                   to_string(up.error().why()).c_str());
      return exit_failed;
    }
    if (me.when_up) me.when_up(home);

    pollfd watched[] = {{arriving.number, POLLIN, 0}, {me.end.state_->wake.number, POLLIN, 0}};
    for (bool going = true; going;) {
      if (::poll(watched, 2, -1) < 0) continue;
      signalfd_siginfo info;
      while (::read(arriving.number, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
          const bool asked = me.print_tree || me.print_json;
          if (!asked) me.print_tree = true;
          me.print(home);
          if (!asked) me.print_tree = false;
        } else {
          going = false;
        }
      }
      if (me.end.state_->wanted() || home.ended()) going = false;
    }

    code = me.end.state_->wanted().value_or(0);
    if (const auto why = home.ended(); why && !why->clean()) {
      std::fprintf(stderr, "%s: the tree has ended: %s\n", me.name.c_str(), why->text().c_str());
      code = exit_failed;
    }
    if (!home.ended()) me.print(home);
    if (me.before_stop) {
      const int verdict = me.before_stop(home);
      if (code == 0) code = verdict;
    }
    // A second signal means it: the default action is back.
    std::signal(SIGINT, [](int) { std::_Exit(exit_killed); });
    std::signal(SIGTERM, [](int) { std::_Exit(exit_killed); });
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    if (const auto stopped = home.stop(me.options.stop_deadline); !stopped) {
      std::fprintf(stderr, "%s: %s\n", me.name.c_str(), stopped.error().message().c_str());
      std::fflush(nullptr);
      std::_Exit(exit_stuck);
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", me.name.c_str(), e.what());
    code = exit_failed;
  }
  me.running = nullptr;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return code;
}

int run(int argc, char** argv, children::builder build) {
  program p{name_of(argc > 0 ? argv[0] : "node"), "A Coppice node."};
  return p.run(argc, argv, std::move(build));
}

}  // namespace coppice
