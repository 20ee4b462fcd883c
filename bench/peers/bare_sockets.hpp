// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

/// What the machine itself can do: two processes with a TCP connection on loopback between them,
/// blocking sockets, TCP_NODELAY, no framing.
namespace coppice::bench {

inline void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

/// One end of a connection.
class bare_socket {
 public:
  explicit bare_socket(int fd) : fd_(fd) {
    const int one = 1;
    require(fd >= 0 && ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0,
            "no bare connection");
  }
  bare_socket(const bare_socket&) = delete;
  bare_socket& operator=(const bare_socket&) = delete;
  ~bare_socket() { ::close(fd_); }

  void write(std::uint64_t number) const {
    require(::write(fd_, &number, sizeof number) == sizeof number, "a bare write failed");
  }
  /// False: the other end is gone.
  bool read(std::uint64_t& number) const {
    return ::recv(fd_, &number, sizeof number, MSG_WAITALL) == sizeof number;
  }

 private:
  int fd_;
};

/// Made before the fork; afterwards one process accepts and the other connects.
class bare_listener {
 public:
  bare_listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    auto* address = reinterpret_cast<sockaddr*>(&address_);
    require(::bind(fd_, address, size) == 0 && ::getsockname(fd_, address, &size) == 0 &&
                ::listen(fd_, 1) == 0,
            "no bare listener");
  }
  bare_listener(const bare_listener&) = delete;
  bare_listener& operator=(const bare_listener&) = delete;
  ~bare_listener() { ::close(fd_); }

  int accept() const { return ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }
  int connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0,
            "cannot connect the bare socket");
    return fd;
  }

 private:
  int fd_;
  sockaddr_in address_{};
};

/// Gives back each number until the other end is gone.
inline void echo_numbers(const bare_socket& s) {
  for (std::uint64_t number = 0; s.read(number);) s.write(number);
}

}  // namespace coppice::bench
