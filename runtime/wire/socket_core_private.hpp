// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/dialler_private.hpp>
#include <coppice/runtime/wire/listener_private.hpp>
#include <coppice/runtime/wire/poller_private.hpp>
#include <coppice/runtime/wire/socket_link_private.hpp>
#include <coppice/runtime/wire/sockets.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace coppice::wire {

/// A carrier from within: the I/O thread, its links in their stages, and time.
class socket_core {
 public:
  using clock = std::chrono::steady_clock;
  using link = std::shared_ptr<socket_link>;

  explicit socket_core(socket_options options);
  ~socket_core();

  // Any thread, as in `carrier`.
  result<void> start(const std::string& listen, link_events& events);
  std::string listens_at() const { return listener_.address(); }
  void dial(std::string peer, std::string address);
  void wake_at(clock::time_point when);
  void stop() noexcept;

  // For its links, on the I/O thread.
  link_events& events() noexcept { return *events_; }
  std::span<std::byte> received_bytes() noexcept { return received_; }
  std::span<std::byte> unsealed_bytes() noexcept { return unsealed_; }
  void opened(const link& one);
  /// It has ended and stays until the peer has ended it too, for a while.
  void linger(const link& one);
  void gone(const link& one);

  // For its links, any thread, while they are not retired.
  boost::asio::io_context& io() noexcept { return io_; }

 private:
  static constexpr clock::time_point never = clock::time_point::max();

  void accepted(int socket, std::string address);
  void connected(int socket, std::string peer, std::string address);
  void begin(int socket, link_info info);
  void report(const std::vector<std::string>& lines);
  void put(const link& one, socket_link::stage stage);
  std::list<link>& in(socket_link::stage stage);

  bool busy() const noexcept;
  void schedule();
  void tick();
  void sweep(clock::time_point now);
  void begin_stop();
  void end_if_idle();

  const socket_options options_;
  boost::asio::io_context io_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  boost::asio::steady_timer timer_;
  link_events* events_ = nullptr;
  tls_files files_;
  listener listener_;
  dialler dialler_;
  std::vector<std::byte> received_, unsealed_;

  std::list<link> handshaking_, open_, lingering_;  // oldest first
  std::size_t accepted_handshakes_ = 0, accepted_open_ = 0;

  clock::time_point armed_ = never, next_tick_{};
  bool stopping_ = false;
  clock::time_point stop_until_ = never;
  std::mutex wake_guard_;
  clock::time_point wake_ = never;
  poller poller_{io_};
  bool started_ = false;
};

}  // namespace coppice::wire
