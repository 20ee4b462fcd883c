// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/sockets.hpp>

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

/// Real carriers on free ports, what they were told, and plain sockets to be rude with.
namespace tools {

using namespace std::chrono_literals;
using coppice::wire::link;
using coppice::wire::link_ptr;
using coppice::wire::socket_carrier;
using coppice::wire::socket_options;

/// A hang shows as a failure after this.
inline constexpr auto patience = 60s;

inline std::size_t write(link& to, std::string_view text) {
  const auto bytes = std::as_bytes(std::span{text.data(), text.size()});
  return to.write({&bytes, 1});
}

/// Remembers what a carrier tells. The hooks are called first, by the carrier's thread, and are
/// set before it starts.
class ear final : public coppice::wire::link_events {
 public:
  struct heard {
    std::vector<link_ptr> open;
    std::vector<std::string> closed;        ///< why
    std::vector<std::string> dials_failed;  ///< "peer refused: why" or "peer: why"
    std::vector<std::string> refused;       ///< "address: why"
    std::vector<std::string> reports;
    std::vector<std::string> order;         ///< names of peers opened or failed
    std::string bytes;                      ///< of all links
    int writable = 0, times = 0;
  };

  std::function<void(const link_ptr&)> when_open;
  std::function<void(link&, std::span<const std::byte>)> when_bytes;
  std::function<void(link&)> when_writable;

  /// Waits until `holds` of what was heard; false if it has not come about in time.
  bool until(const std::function<bool(const heard&)>& holds) {
    std::unique_lock lock{guard_};
    return changed_.wait_for(lock, patience, [&] { return holds(heard_); });
  }
  /// Waits for so long that `holds` must not come about. True: it has not.
  bool never(std::chrono::milliseconds time, const std::function<bool(const heard&)>& holds) {
    std::unique_lock lock{guard_};
    return !changed_.wait_for(lock, time, [&] { return holds(heard_); });
  }
  link_ptr opened(std::size_t n = 1) {
    REQUIRE(until([&](const heard& h) { return h.open.size() >= n; }));
    return now().open[n - 1];
  }
  heard now() {
    std::lock_guard lock{guard_};
    return heard_;
  }
  void forget() {
    note([](heard& h) { h = {}; });
  }

  void on_open(const link_ptr& opened) override {
    if (when_open) when_open(opened);
    note([&](heard& h) {
      h.open.push_back(opened);
      h.order.push_back(opened->info().dialled);
    });
  }
  void on_bytes(link& from, std::span<const std::byte> bytes) override {
    if (when_bytes) return when_bytes(from, bytes);
    note([&](heard& h) {
      h.bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
  }
  void on_writable(link& to) override {
    if (when_writable) when_writable(to);
    note([](heard& h) { ++h.writable; });
  }
  void on_closed(link&, bool, std::string_view why) override {
    note([&](heard& h) { h.closed.emplace_back(why); });
  }
  void on_dial_failed(std::string_view peer, bool refused, std::string_view why) override {
    note([&](heard& h) {
      h.dials_failed.push_back(std::string{peer} + (refused ? " refused: " : ": ") +
                               std::string{why});
      h.order.emplace_back(peer);
    });
  }
  void on_refused(std::string_view address, std::string_view why) override {
    note([&](heard& h) { h.refused.push_back(std::string{address} + ": " + std::string{why}); });
  }
  void on_report(std::string_view what) override {
    note([&](heard& h) { h.reports.emplace_back(what); });
  }
  void on_time() override {
    note([](heard& h) { ++h.times; });
  }

 private:
  template <class F>
  void note(F change) {
    std::lock_guard lock{guard_};
    change(heard_);
    changed_.notify_all();
  }

  std::mutex guard_;
  std::condition_variable changed_;
  heard heard_;
};

/// A carrier and what it has told.
struct side {
  explicit side(socket_options options) : carrier(std::move(options)) {}
  /// Once the ear's hooks are set.
  std::string start(const std::string& at = "127.0.0.1:0") {
    const auto up = carrier.start(at, ear);
    INFO((up ? std::string{} : to_string(up.error().why())));
    REQUIRE(up);
    return carrier.listens_at();
  }

  tools::ear ear;
  socket_carrier carrier;  // stops before the ear goes
};

inline socket_options plain() {
  socket_options o;
  o.tls.insecure = true;
  return o;
}

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A blocking socket whose calls give up in time.
class raw_socket {
 public:
  raw_socket() : raw_socket(::socket(AF_INET, SOCK_STREAM, 0)) {}
  explicit raw_socket(int descriptor) : descriptor_(descriptor) {
    REQUIRE(descriptor_ >= 0);
    const timeval limit{60, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  raw_socket(raw_socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  raw_socket& operator=(raw_socket&&) = delete;
  ~raw_socket() { close(); }

  static sockaddr_in loopback(const std::string& address) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(
        std::stoi(address.empty() ? "0" : address.substr(address.rfind(':') + 1))));
    return to;
  }
  bool connect(const std::string& address) const {
    const sockaddr_in to = loopback(address);
    return ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  /// Listens at a free port; returns the address.
  std::string listen(int backlog) const {
    sockaddr_in at = loopback({});
    socklen_t length = sizeof at;
    REQUIRE(::bind(descriptor_, reinterpret_cast<sockaddr*>(&at), length) == 0);
    REQUIRE(::listen(descriptor_, backlog) == 0);
    REQUIRE(::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&at), &length) == 0);
    return "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  raw_socket accept() const { return raw_socket{::accept(descriptor_, nullptr, nullptr)}; }
  bool send(std::string_view bytes) const {
    return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  /// What comes until the other side ends it, or `most` bytes. A reset ends it too.
  std::string receive(std::size_t most = std::string::npos) const {
    std::string all;
    char some[64 * 1024];
    while (all.size() < most) {
      const ssize_t got = ::recv(descriptor_, some, std::min(sizeof some, most - all.size()), 0);
      if (got <= 0) break;
      all.append(some, static_cast<std::size_t>(got));
    }
    return all;
  }
  void end_sending() const { ::shutdown(descriptor_, SHUT_WR); }
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

inline raw_socket connected_to(const std::string& address) {
  raw_socket made;
  REQUIRE(made.connect(address));
  return made;
}

/// Raises or lowers the number of file descriptors that this process may have, for a while.
class rlimit_guard {
 public:
  explicit rlimit_guard(rlim_t most) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit wanted = before_;
    wanted.rlim_cur = std::min(most, before_.rlim_max);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &wanted) == 0);
  }
  rlimit_guard(const rlimit_guard&) = delete;
  rlimit_guard& operator=(const rlimit_guard&) = delete;
  ~rlimit_guard() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

/// An address at which nobody listens.
inline std::string deserted() {
  const raw_socket s;
  return s.listen(1);
}

}  // namespace tools
