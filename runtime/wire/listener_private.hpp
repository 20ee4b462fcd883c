// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>
#include <coppice/runtime/wire/address_private.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <optional>
#include <string>

namespace coppice::wire {

/// Accepts connections at one address, on the thread that runs `io`.
class listener {
 public:
  struct events {
    /// Owns the socket from then on. `address` is of the other end.
    std::function<void(int socket, std::string address)> accepted;
    std::function<void(std::string what)> report;
  };

  listener(boost::asio::io_context& io, events to);
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;
  ~listener() { close(); }

  /// May wait for a look-up of the host. A file left by a Unix socket that nobody listens at any
  /// more is replaced; the new one is its owner's alone.
  result<void> open(const std::string& address);
  /// Begins to accept.
  void run();
  void close() noexcept;

  /// With the port that was found.
  const std::string& address() const noexcept { return address_; }

 private:
  result<void> bind_to(const socket_address& where);
  void wait();
  void accept_some();
  void back_off(int code);

  boost::asio::io_context& io_;
  events to_;
  std::optional<boost::asio::posix::stream_descriptor> socket_;
  boost::asio::steady_timer rest_;
  std::string address_, path_;
  unsigned long inode_ = 0;
  bool reported_ = false;
};

}  // namespace coppice::wire
