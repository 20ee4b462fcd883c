// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

/// A client that says what no proper client would, byte by byte. Waits at most 10 s.
namespace tools {

using std::chrono::steady_clock;

class peer {
 public:
  /// Not connected yet.
  peer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  explicit peer(const std::string& address) : peer() { connect(address); }
  void connect(const std::string& address) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port =
        htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1)));
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  }
  peer(peer&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        connected_(other.connected_),
        closed_(other.closed_),
        received_(std::move(other.received_)) {}
  peer(const peer&) = delete;
  ~peer() { close(); }

  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  /// Sends RST instead of FIN.
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  bool connected() const { return connected_; }
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Until `enough` of what has come, or its end, or 10 s.
  bool until(const std::function<bool(const std::string&)>& enough) {
    while (!enough(received_))
      if (!receive()) return enough(received_);
    return true;
  }
  bool received(std::string_view text) {
    return until([&](const std::string& all) { return all.find(text) != std::string::npos; });
  }
  /// Whether the other side closes; what it has sent until then is in `text`.
  bool ended() {
    while (receive()) {
    }
    return closed_;
  }
  /// It was no orderly end.
  bool was_reset() const { return was_reset_; }
  const std::string& text() const { return received_; }
  void forget() { received_.clear(); }

  /// Reads some. False: the end, or nothing within what is left of 10 s.
  bool receive() {
    return receive(
        std::chrono::duration_cast<std::chrono::milliseconds>(until_ - steady_clock::now()));
  }
  bool receive(std::chrono::milliseconds left) {
    pollfd readable{socket_, POLLIN, 0};
    if (closed_ || left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) <= 0)
      return false;
    char some[16384];
    const ssize_t got = ::recv(socket_, some, sizeof some, 0);
    if (got <= 0) {
      closed_ = true;
      was_reset_ = got < 0;
      return false;
    }
    received_.append(some, static_cast<std::size_t>(got));
    return true;
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
  bool closed_ = false;
  bool was_reset_ = false;
  std::string received_;
  steady_clock::time_point until_ = steady_clock::now() + std::chrono::seconds{10};
};

/// Whether `condition` comes true within 10 s.
inline bool eventually(const std::function<bool()>& condition) {
  const auto until = steady_clock::now() + std::chrono::seconds{10};
  while (!condition()) {
    if (steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

inline std::size_t count_of(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++n;
  return n;
}

}  // namespace tools
