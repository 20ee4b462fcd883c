// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/testing/executor.hpp>
#include <coppice/runtime/cluster/cluster.hpp>
#include <coppice/runtime/cluster/liveness_options.hpp>
#include <coppice/runtime/wire/limits.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// A whole cluster in one process, on one thread, in virtual time: each node is an actor system
/// under the deterministic executor with all that makes it a node of a cluster, except that the
/// links between them are simulated. Whatever happens follows from the seed; the same seed and the
/// same calls give the same run, to the byte.
///
///     coppice::testing::simulation run{{
///         .seed = 7,
///         .nodes = {"alpha", "beta"},
///         .on_start = [](coppice::testing::simulated_node& n) { n.system().spawn<...>(...); }}};
///     run.start();
///     run.advance_until([&] { return run.all_up(); }, 10s);
///     run.cut(0, 1);                                  // alpha is not heard by beta any more
///     run.advance(30s);
namespace coppice::testing {

class simulation;

/// How the network and the machines behave, besides what is done to them by calls.
struct simulated_network {
  using span = std::chrono::microseconds;
  /// How long bytes are under way: the least, and what chance adds to it, at most.
  span delay{200}, jitter{300};
  /// Bytes per millisecond, of each direction of each link.
  std::size_t bandwidth = 1'000'000;
  /// What a link takes before its reader has read any of it: the two kernels' buffers.
  std::size_t room = std::size_t{256} * 1024;
  /// Bytes arrive cut at arbitrary places.
  bool in_pieces = true;
  /// One write in so many takes fewer bytes than there is room for; 0: none does.
  std::uint32_t short_writes = 20;
  /// How late a process that runs gets to its timers and to what has arrived, at most.
  span tardiness{1'000};
};

/// What becomes of the connections that a node tries to make to another.
enum class dial_fate : std::uint8_t {
  works,    ///< it depends: on whether the other is there, and hears
  refused,  ///< as if nobody listened
  hangs,    ///< until the deadline
  fails,    ///< at once, for a reason that says nothing about the other node
};

/// How a process ends that does not stop of itself.
enum class crash : std::uint8_t {
  killed,      ///< its machine goes on, closes its connections and refuses new ones
  powered_off  ///< its machine is gone with it: nobody is told anything
};

struct simulation_options {
  std::uint64_t seed = 0;
  std::vector<std::string> nodes{"alpha", "beta"};
  wire::limits limits{};
  std::vector<std::string> bulk{};  ///< as `cluster.bulk` of a cluster file
  liveness_options liveness{};
  simulated_network network{};
  /// A node's process has started, and has not dialled anyone: spawn its actors here.
  std::function<void(class simulated_node&)> on_start{};
  /// It is about to be thrown away, in good order or not: let go of what belongs to its system.
  std::function<void(class simulated_node&)> on_end{};
  /// What a node writes into its log.
  std::function<void(class simulated_node&, const std::string&)> on_log{};
  /// The story: one line for each thing that happens, with its time and its node.
  std::function<void(const std::string&)> tell{};
};

/// One node. Its process comes and goes; what is asked of that needs it to be `running`.
class simulated_node {
 public:
  using span = std::chrono::microseconds;

  simulated_node(const simulated_node&) = delete;
  simulated_node& operator=(const simulated_node&) = delete;
  ~simulated_node();

  std::size_t index() const noexcept;
  const std::string& name() const noexcept;
  /// There is a process, stalled or not.
  bool running() const noexcept;
  bool stalled() const noexcept;
  /// Which process it is, counted from 1; 0: there has been none.
  std::uint64_t life() const noexcept;

  executor& run() noexcept;
  coppice::system& system() noexcept;
  coppice::cluster& cluster() noexcept;
  /// The supervisors' part of the node's paths.
  void plant(const supervisor_ref& top);

  /// What it thinks of another node, and whether it has a session with it.
  opinion opinion_of(std::size_t other) const;
  bool in_session_with(std::size_t other) const;
  /// How many sessions with another node all its processes have been told the end of.
  std::uint64_t sessions_ended_with(std::size_t other) const noexcept;
  /// For how much of the last `time` this process has run. Of each stall so much of its end as may
  /// go `unnoticed` counts as if it had.
  span ran_within(span time, span unnoticed) const;
  /// For how long this process has been stalled, altogether.
  span stalled_for() const noexcept;

 private:
  friend class simulation;
  struct implementation;
  explicit simulated_node(std::unique_ptr<implementation> impl);
  std::unique_ptr<implementation> impl_;
};

class simulation {
 public:
  using span = std::chrono::microseconds;

  /// Nothing runs yet.
  explicit simulation(simulation_options options);
  ~simulation();
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;

  std::size_t size() const noexcept;
  simulated_node& operator[](std::size_t node) noexcept;

  // ---- time and chance --------------------------------------------------------------------
  /// Since the beginning.
  span now() const noexcept;
  /// Everything that happens within that time happens.
  void advance(span time);
  /// The same, until the condition holds. False: it did not within `limit`.
  bool advance_until(const std::function<bool()>& holds, span limit);
  /// Does something later, between two events of the simulation.
  void after(span time, std::function<void()> what);
  /// A number below that one, from the simulation's one source.
  std::uint64_t any(std::uint64_t below);
  /// Of all that has happened so far: equal in equal runs, and practically only in those.
  std::uint64_t digest() const noexcept;
  /// Adds a line to the story.
  void note(std::string_view what);

  // ---- processes --------------------------------------------------------------------------
  /// Starts the nodes that do not run.
  void start();
  void start(std::size_t node);
  /// Says goodbye and ends, within the deadline.
  void stop(std::size_t node, std::chrono::milliseconds deadline);
  void end(std::size_t node, crash how);
  /// Nothing of it runs and no time passes for it, but its machine takes connections and, as long
  /// as there is room, bytes. `go_on` ends that before its time.
  void stall(std::size_t node, span time);
  void go_on(std::size_t node);

  // ---- links ------------------------------------------------------------------------------
  /// Bytes from one node to the other do not arrive any more, and nobody is told.
  void cut(std::size_t from, std::size_t to);
  bool is_cut(std::size_t from, std::size_t to) const;
  /// They go on where they had stopped.
  void mend(std::size_t from, std::size_t to);
  void mend();
  /// All links between the two are reset: what was under way is lost, both ends are told.
  void reset(std::size_t a, std::size_t b);
  /// The kernel of `at` gives up the links with `other`; that one is told if it can be.
  void give_up(std::size_t at, std::size_t other);
  void dials(std::size_t from, std::size_t to, dial_fate fate);
  /// Links between the two whose ends are both in use.
  std::size_t links(std::size_t a, std::size_t b) const;

  /// All nodes run and hold all others to be up, in their present lives, and have sessions.
  bool all_up();

 private:
  struct implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace coppice::testing
