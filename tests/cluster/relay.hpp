// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace local {

/// Stands between nodes: passes on what comes in at one Unix socket to another. While it is cut it
/// takes connections and bytes no more, and says nothing to either side, as a broken network does.
class relay {
 public:
  struct way {
    std::filesystem::path from, to;
  };

  explicit relay(std::vector<way> ways) {
    for (way& w : ways) {
      const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      const sockaddr_un at = place(w.from);
      if (::bind(listening, as_sockaddr(at), sizeof at) != 0 || ::listen(listening, 64) != 0)
        throw std::runtime_error("relay: " + std::string{std::strerror(errno)});
      entrances_.push_back({listening, w.to});
    }
    works_ = std::thread{[this] {
      while (!stopped_) pass_on();
    }};
  }
  ~relay() {
    stopped_ = true;
    works_.join();
    for (const entrance& e : entrances_) ::close(e.socket);
    for (const pair& p : pairs_) hang_up(p);
  }
  relay(const relay&) = delete;
  relay& operator=(const relay&) = delete;

  void cut() { cut_ = true; }
  void heal() { cut_ = false; }

 private:
  struct entrance {
    int socket;
    std::filesystem::path to;
  };
  using pair = std::array<int, 2>;

  static sockaddr_un place(const std::filesystem::path& path) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    return at;
  }
  static const sockaddr* as_sockaddr(const sockaddr_un& at) {
    return static_cast<const sockaddr*>(static_cast<const void*>(&at));
  }
  static void hang_up(const pair& p) {
    ::close(p[0]);
    ::close(p[1]);
  }

  void pass_on() {
    if (cut_) {
      ::poll(nullptr, 0, 5);
      return;
    }
    std::vector<pollfd> watched;
    for (const entrance& e : entrances_) watched.push_back({e.socket, POLLIN, 0});
    for (const pair& p : pairs_)
      for (const int socket : p) watched.push_back({socket, POLLIN, 0});
    ::poll(watched.data(), watched.size(), 5);
    if (cut_) return;
    for (const entrance& e : entrances_) accept(e);
    std::erase_if(pairs_, [](const pair& p) {
      if (copy(p[0], p[1]) && copy(p[1], p[0])) return false;
      hang_up(p);
      return true;
    });
  }

  void accept(const entrance& e) {
    const int from = ::accept4(e.socket, nullptr, nullptr, SOCK_CLOEXEC);
    if (from < 0) return;
    const int to = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un at = place(e.to);
    const pair made{from, to};
    if (::connect(to, as_sockaddr(at), sizeof at) == 0) pairs_.push_back(made);
    else hang_up(made);
  }

  /// False: one end has closed.
  static bool copy(int from, int to) {
    std::array<char, 65'536> some;
    const ssize_t got = ::recv(from, some.data(), some.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    for (ssize_t sent = 0; sent < got;) {
      const ssize_t n =
          ::send(to, some.data() + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += n;
    }
    return got > 0;
  }

  std::atomic<bool> cut_{false}, stopped_{false};
  std::vector<entrance> entrances_;
  std::list<pair> pairs_;
  std::thread works_;
};

}  // namespace local
