// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// Keeps the processes of a cluster running. Pure: it is told what happens and what time it is,
/// and answers with what to do; whoever has it forks, signals and waits.
///
/// A node that dies is started again: after a tenth of a second at first, then after twice the
/// time each, at last every ten seconds, for ever. A node that has run for ten seconds begins anew
/// with the tenth. A node that was asked to end (exit code 0, SIGTERM) stays down, and so does one
/// that finds its command line or its config wrong (exit code 2): nothing would be better the next
/// time.
namespace coppice::command {

struct launch_options {
  std::chrono::milliseconds first_pause{100};
  std::chrono::milliseconds longest_pause{10'000};
  /// Up to this part of a pause is added by chance, so that nodes that died together do not keep
  /// step.
  double jitter = 0.25;
  std::chrono::milliseconds steady_after{10'000};
  /// From SIGTERM to SIGKILL. A node itself gives up after 30 s, and names the stuck.
  std::chrono::milliseconds stop_deadline{35'000};
  /// From SIGKILL until a process that does not even end then is left behind.
  std::chrono::milliseconds kill_deadline{5'000};
};

/// How a process ended.
struct process_end {
  int code = 0;    ///< exit code, unless there is a signal
  int signal = 0;  ///< that killed it; 0: it exited by itself
};
/// E.g. `exit code 70: an actor did not return from its handler`, `killed by SIGKILL`.
std::string to_string(const process_end& how);

struct launch_action {
  enum class kind : std::uint8_t { start, signal, say };
  kind what = kind::say;
  std::size_t node = 0;  ///< its place in the list of names
  int signal = 0;
  std::string text{};        ///< `say`: about this node
  bool about_all = false;    ///< `say`: about the cluster
};

class launcher {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `random` gives numbers from 0 to below 1.
  launcher(std::vector<std::string> names, launch_options options, std::function<double()> random);

  /// Starts all, in the order of the names.
  void begin(time_point now);
  /// A `start` has been carried out.
  void started(std::size_t node, time_point now);
  /// A `start` has failed. For good: there is no such program, so that trying again is no use.
  void could_not_start(std::size_t node, const std::string& why, bool for_good, time_point now);
  void ended(std::size_t node, process_end how, time_point now);
  /// The first stops all nodes, the last one first; the second kills them.
  void interrupt(time_point now);
  void time(time_point now);

  /// When to call `time`.
  std::optional<time_point> next() const;
  std::vector<launch_action> take_actions();
  /// Nothing runs and nothing will.
  bool finished() const;
  /// Once finished. 0: every node ended as asked. 1: one had to be killed, or ended badly while it
  /// stopped. 2: one would not run as it was told. 130: killed by a second interrupt.
  int exit_code() const;

 private:
  enum class state : std::uint8_t {
    waiting,  ///< for its next start
    starting,  ///< until `started`
    running,
    down,  ///< for good
    abandoned,  ///< does not end although it was killed
  };
  struct node {
    std::string name;
    launcher::state state = launcher::state::waiting;
    time_point since{};  ///< waiting: until then; running: from then
    int failures = 0;  ///< in a row
  };

  void again(std::size_t at, const std::string& why, time_point now);
  void start(std::size_t at);
  void signal(std::size_t at, int number);
  void say(std::size_t at, std::string text);
  void say_all(std::string text);
  bool alive(const node& n) const;
  std::string names_of_the_alive() const;
  void kill_all(time_point now);

  const launch_options options_;
  const std::function<double()> random_;
  std::vector<node> nodes_;
  std::vector<launch_action> actions_;
  enum class phase : std::uint8_t { up, stopping, killing } phase_ = phase::up;
  time_point deadline_{};  ///< while stopping or killing
  bool interrupted_twice_ = false;
  bool badly_ = false;  ///< one had to be killed, or ended badly while it stopped
  bool refused_ = false;
};

}  // namespace coppice::command
