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

  void start(detail::core* actors);
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
