// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/address_private.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace coppice::wire {

/// Connects to any number of addresses at once, each within the same deadline, on the thread that
/// runs `io`. A host whose name is not found in time holds up no other.
class dialler {
 public:
  using clock = std::chrono::steady_clock;
  struct events {
    /// Owns the socket from then on.
    std::function<void(int socket, std::string peer, std::string address)> connected;
    /// `refused`: nobody listens there, at none of the addresses of the host.
    std::function<void(const std::string& peer, bool refused, const std::string& why)> failed;
  };

  dialler(boost::asio::io_context& io, std::chrono::milliseconds deadline, events to);
  dialler(const dialler&) = delete;
  dialler& operator=(const dialler&) = delete;
  ~dialler();

  void dial(std::string peer, std::string address);
  /// To be called often while not idle.
  void time(clock::time_point now);
  bool idle() const noexcept { return dials_.empty(); }
  /// Fails what is under way.
  void stop(const std::string& why);

 private:
  struct look_ups;
  struct attempt;
  using attempt_ptr = std::shared_ptr<attempt>;

  void found(const std::string& host, const result<std::vector<socket_address>>& addresses);
  void connect_next(const attempt_ptr& a);
  bool begin_connect(const attempt_ptr& a);
  void connectable(const attempt_ptr& a);
  void missed(attempt& a, int code);
  void connected(const attempt_ptr& a);
  void failed(const attempt_ptr& a, bool refused, const std::string& why);

  boost::asio::io_context& io_;
  const std::chrono::milliseconds deadline_;
  events to_;
  std::list<attempt_ptr> dials_;
  std::shared_ptr<look_ups> look_ups_;
};

}  // namespace coppice::wire
