// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/address_private.hpp>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace coppice::wire {

namespace {

constexpr std::size_t most_addresses = 4;
constexpr std::string_view unix_prefix = "unix:";

error bad(const std::string& address, const std::string& why) {
  return error{errc::invalid, "'" + address + "' is no address: " + why};
}

bool valid_port(const std::string& port) {
  return !port.empty() && port.size() <= 5 &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
         std::stoul(port) <= 65'535;
}

}  // namespace

result<place> parse_place(const std::string& address) {
  place found;
  if (address.starts_with(unix_prefix)) {
    found.path = address.substr(unix_prefix.size());
    if (found.path.empty() || found.path.front() != '/')
      return bad(address, "unix: is followed by an absolute path");
    if (found.path.size() >= sizeof(sockaddr_un::sun_path))
      return bad(address, "the path of a Unix socket has at most " +
                              std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " characters");
    return found;
  }
  const auto colon = address.rfind(':');
  if (colon == address.npos) return bad(address, "it is written host:port or unix:/path");
  found.host = address.substr(0, colon);
  found.port = address.substr(colon + 1);
  if (found.host.size() > 2 && found.host.front() == '[' && found.host.back() == ']')
    found.host = found.host.substr(1, found.host.size() - 2);
  else if (found.host.find(':') != found.host.npos)
    return bad(address, "an IPv6 address stands in brackets before the port");
  if (found.host.empty()) return bad(address, "the host is missing");
  if (!valid_port(found.port)) return bad(address, "a port is a number up to 65535");
  return found;
}

std::string to_string(const socket_address& address) {
  if (address.family() == AF_UNIX) {
    const auto* const local = reinterpret_cast<const sockaddr_un*>(&address.bytes);
    return std::string{unix_prefix} + local->sun_path;
  }
  char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
  if (::getnameinfo(address.get(), address.length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "an unknown address";
  const bool six = address.family() == AF_INET6;
  return std::string{six ? "[" : ""} + host + (six ? "]:" : ":") + port;
}

socket_address own_address(int socket) noexcept {
  socket_address found;
  found.length = sizeof found.bytes;
  if (::getsockname(socket, found.get(), &found.length) != 0) found.length = 0;
  return found;
}

socket_address peer_address(int socket) noexcept {
  socket_address found;
  found.length = sizeof found.bytes;
  if (::getpeername(socket, found.get(), &found.length) != 0) found.length = 0;
  return found;
}

socket_address unix_address(const std::string& path) {
  socket_address made;
  auto* const local = reinterpret_cast<sockaddr_un*>(&made.bytes);
  local->sun_family = AF_UNIX;
  path.copy(local->sun_path, sizeof local->sun_path - 1);
  made.length = sizeof(sockaddr_un);
  return made;
}

result<std::vector<socket_address>> look_up(const place& where, bool numeric) {
  if (!where.path.empty()) return std::vector{unix_address(where.path)};
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0);
  addrinfo* answers = nullptr;
  if (const int code = ::getaddrinfo(where.host.c_str(), where.port.c_str(), &wanted, &answers);
      code != 0)
    return error{errc::failed,
                 "the host '" + where.host + "' cannot be found: " + ::gai_strerror(code)};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner{answers, ::freeaddrinfo};
  std::vector<socket_address> found;
  for (const addrinfo* a = answers; a && found.size() < most_addresses; a = a->ai_next) {
    socket_address& one = found.emplace_back();
    std::memcpy(&one.bytes, a->ai_addr, a->ai_addrlen);
    one.length = a->ai_addrlen;
  }
  return found;
}

}  // namespace coppice::wire
