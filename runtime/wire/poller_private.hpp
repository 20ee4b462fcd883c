// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/detail/delivery.hpp>

#include <boost/asio/io_context.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace coppice::wire {

/// Whether a thread that waits looks for a while before it sleeps: to be woken takes longer than a
/// short message does, and on another core several times as long. It looks where what came last
/// came within that while, so each wait in vain costs one while, and a link that is quiet, or
/// slower than that, none. (Competitive spinning: Karlin, Li, Manasse, Owicki 1991.)
class busy_wait {
 public:
  using duration = std::chrono::steady_clock::duration;

  /// Zero: it always sleeps.
  explicit busy_wait(duration longest) noexcept : longest_(longest) {}

  /// How long to look this time.
  duration now() const noexcept { return pays_ ? longest_ : duration::zero(); }
  /// What was waited for came so long after the wait had begun.
  void came_after(duration waited) noexcept { pays_ = waited < longest_; }

 private:
  duration longest_;
  bool pays_ = false;
};

/// Runs an I/O context: one thread at a time, so that its handlers never overlap.
///
/// Without actors that is one thread. With them there are two. The one that polls runs an actor
/// that it has just woken itself, when no worker is awake to do it, which saves the change of
/// threads that most of a short message's time goes into. It lets go of the context meanwhile. If
/// the actor does not return, the other thread takes the context within 20 ms, and for a second
/// nothing is run here, nor while that actor has not returned: one that blocks delays a heartbeat,
/// and does not stop them.
/// (Leader and followers: Schmidt, O'Ryan, Kircher, Pyarali 2000.)
class poller {
 public:
  explicit poller(boost::asio::io_context& io);
  ~poller() { join(); }

  /// `longest`: see `busy_wait`; only with actors.
  void start(detail::core* actors, busy_wait::duration longest);
  /// Waits for the context's end. A thread that is in an actor and does not return soon is left
  /// behind: it touches nothing of this any more.
  void join() noexcept;
  bool is_one_of_us() const noexcept;

  /// On a thread that polls: who has been woken until now goes to the workers.
  static void hand_over() noexcept;

 private:
  struct shared;

  static void serve(const std::shared_ptr<shared>& with, std::size_t mine);
  static bool stand_by(shared& with, std::size_t mine);

  const std::shared_ptr<shared> shared_;
  std::array<std::thread, 2> threads_;
};

}  // namespace coppice::wire
