// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/outside.hpp>
#include <coppice/runtime/cluster/cluster.hpp>
#include <coppice/runtime/config/config.hpp>
#include <coppice/supervision/supervised_tree.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// A node: one process's actors under one supervision tree, with logging and an orderly end; alone,
/// or one of a cluster's.
///
/// A program with a `main` of its own:
///
///     coppice::node shop{{.name = "shop"}, [](coppice::children& shop) { ... }};
///     if (auto up = shop.start(); !up) { std::cerr << up.error().message(); return 1; }
///     ...
///     shop.stop(30s);
///
/// or, with signals, exit codes and options on the command line, just
///
///     int main(int argc, char** argv) {
///       return coppice::run(argc, argv, [](coppice::children& shop) { ... });
///     }
namespace coppice {

enum class log_level : std::uint8_t { trace, debug, info, warning, error, off };

struct log_options {
  /// `info` shows what went wrong and what was done about it; starts of children are `debug`.
  log_level level = log_level::info;
  /// Empty: standard error. A file is rotated at 10 MiB and three old ones are kept.
  std::string file{};
  /// Most records a second of one kind (crashes, start errors, dead letters, ...). What is left
  /// out is counted and told with the next one, so that a crash storm is no log storm.
  std::uint32_t records_per_second = 20;
  /// Each record as one JSON object, for machines.
  bool json = false;
};

struct node_options {
  /// The id of the supervisor at the top, hence the first part of every path.
  std::string name = "node";
  /// The cluster, and which of its nodes this is; see `read_config`. Without one the node is
  /// alone, under the name above.
  std::shared_ptr<const cluster_config> config{};
  std::string node{};
  unsigned workers = 0;  ///< see `system_options`
  unsigned spare_workers = 8;
  std::chrono::milliseconds stall_limit{100};
  log_options log{};
  /// How long `start` waits for the whole tree.
  std::chrono::milliseconds start_deadline{60'000};
  /// How long the destructor gives the tree to stop.
  std::chrono::milliseconds stop_deadline{30'000};
  /// Leaves the process with code 70 when a killed child is still in a handler at the stuck
  /// limit: nothing can replace it. False: it is logged only.
  bool exit_when_stuck = true;
};

/// Counted since the node's start.
struct node_metrics {
  std::uint64_t crashes = 0;  ///< children that ended by themselves and not cleanly
  std::uint64_t start_errors = 0;
  std::uint64_t shutdown_errors = 0;
  std::uint64_t exhausted = 0;  ///< supervisors that gave up
  std::uint64_t stalls = 0;  ///< slices beyond the stall limit
  std::uint64_t log_left_out = 0;  ///< records
  std::uint64_t restarts = 0;  ///< of children, after failures
  dead_letter_counts dead_letters{};
};

/// Owns an actor system and one tree in it. All members may be called from any thread that is
/// none of the system's workers.
class node {
 public:
  node(node_options options, children::builder build);
  /// Stops within `stop_deadline`. If an actor does not return from a handler even then, its
  /// path is logged and the process left with code 70: a C++ thread cannot be killed. So it is at
  /// once if one of the node's own handlers destroys it.
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  /// Starts the tree and waits until it is up. The error tells which child could not start.
  result<void> start();
  /// Stops the tree, then the threads. The error names the actors that did not return from a
  /// handler by the deadline; then the process can only be left by `_exit`. Once only. In a handler
  /// of the node's own actors it would wait for itself: `cycle`, and the node goes on; a handler
  /// ends a program by its `stopper`.
  result<void> stop(std::chrono::milliseconds deadline);

  /// Why the tree has ended, if it has.
  std::optional<exit_reason> ended() const;
  std::optional<exit_reason> wait_until_ended(std::chrono::milliseconds deadline);

  tree_node tree(std::chrono::milliseconds deadline = std::chrono::seconds{1});
  /// A supervisor by its path, e.g. `/shop/delivery`, to be asked by `outside()` or by actors.
  result<supervisor_ref> find(std::string_view path,
                              std::chrono::milliseconds deadline = std::chrono::seconds{1});
  /// An actor of this or another node, `node:/path`, that is there and accepts these events; see
  /// `cluster::find`.
  template <class E, class... Es>
  result<ref<E, Es...>> find(std::string_view place,
                             std::chrono::milliseconds deadline = std::chrono::seconds{5}) {
    return cluster().template find<E, Es...>(place, deadline);
  }
  /// The nodes that this one knows.
  coppice::cluster& cluster() noexcept;
  /// What changes in the tree from now on. Once the node has started.
  tree_feed follow(std::size_t capacity = 10'000);
  node_metrics metrics() const;
  /// For sends and asks from this thread.
  coppice::outside outside() noexcept;
  coppice::system& system() noexcept;

 private:
  friend class program;
  friend class api_view;
  struct implementation;
  std::unique_ptr<implementation> impl_;
};

/// Ends a running `program` from anywhere: a worker that has done the last of its work, a thread.
/// Copies refer to the same program.
class stopper {
 public:
  stopper();
  /// Asks the program to stop its node and to exit with `code`. The first call counts.
  void stop(int code = 0) const noexcept;

 private:
  friend class program;
  struct state;
  std::shared_ptr<state> state_;
};

/// A program around a node: its own options beside ours, signals, exit codes.
///
///     coppice::program shop{"orders", "Sells nails."};
///     std::string input = "-";
///     shop.option("--input", input, "file of orders, - for standard input");
///     return shop.run(argc, argv, [&, end = shop.end()](coppice::children& c) { ... });
///
/// With `--config FILE --node NAME` the node is one of a cluster's, see runtime/config/config.hpp.
///
/// Exit codes: 0 stopped as asked (by `end`, SIGINT, SIGTERM), 1 the tree could not start or gave
/// up, 2 wrong command line or config, 70 an actor did not return from its handler. A second signal
/// while stopping kills: 130.
class program {
 public:
  program(std::string name, std::string description);
  ~program();
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  /// Options of the program's own. The variable's value is the default; it must live until `run`
  /// has returned.
  void option(std::string flag, std::string& value, std::string help);
  void option(std::string flag, std::uint64_t& value, std::string help, std::uint64_t least = 0,
              std::uint64_t most = UINT64_MAX);
  /// May be given several times, or with several values separated by commas.
  void option(std::string flag, std::vector<std::string>& values, std::string help);
  void flag(std::string flag, bool& value, std::string help);
  /// The node's options, as defaults for what the command line can set.
  node_options& node() noexcept;
  /// The cluster that the node is one of. Only while `run` runs: in the builder, in actors.
  coppice::cluster& cluster() const;
  /// Ends the program.
  stopper end() const noexcept;
  /// Is called with the node when its tree is up, on the thread that called `run`.
  void when_up(std::function<void(coppice::node&)> f);
  /// Is called after the work, before the tree is stopped. Its result replaces a zero exit code.
  void before_stop(std::function<int(coppice::node&)> f);

  int run(int argc, char** argv, children::builder build);

 private:
  struct implementation;
  std::unique_ptr<implementation> impl_;
};

/// A program without options of its own, named after its file.
int run(int argc, char** argv, children::builder build);

}  // namespace coppice
