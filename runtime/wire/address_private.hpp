// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <sys/socket.h>

#include <string>
#include <vector>

namespace coppice::wire {

/// What an address of a link says, before any name is looked up.
struct place {
  std::string host, port;  ///< of TCP
  std::string path;        ///< of a Unix socket; empty for TCP
};

/// "host:port", "[::1]:port" or "unix:/path".
result<place> parse_place(const std::string& address);

/// An address as the operating system takes it.
struct socket_address {
  sockaddr_storage bytes{};
  socklen_t length = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&bytes); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&bytes); }
  int family() const noexcept { return bytes.ss_family; }
};
std::string to_string(const socket_address& address);

/// Of the two ends of a connected or listening socket.
socket_address own_address(int socket) noexcept;
socket_address peer_address(int socket) noexcept;

socket_address unix_address(const std::string& path);

/// All addresses of a host, at most four. `numeric`: without asking anybody, so that it does not
/// wait; finds nothing for a name.
result<std::vector<socket_address>> look_up(const place& where, bool numeric);

}  // namespace coppice::wire
