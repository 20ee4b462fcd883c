// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/dialler_private.hpp>

#include <boost/asio/post.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

namespace coppice::wire {

namespace {

/// Names that are being looked up at a time. More than a cluster has hosts with names that are not
/// answered for.
constexpr std::size_t most_look_ups = 16;

/// A port in the range from which the system takes ports for the ones who connect can, when nobody
/// listens there, be connected to itself.
bool connected_to_itself(int socket) {
  const socket_address own = own_address(socket), peer = peer_address(socket);
  return own.family() != AF_UNIX && own.length == peer.length &&
         std::memcmp(&own.bytes, &peer.bytes, own.length) == 0;
}

}  // namespace

/// One thread for each host, because a look-up can neither be made to not wait nor be called off.
/// It may outlive the dialler.
struct dialler::look_ups {
  std::mutex guard;
  dialler* of;
  std::set<std::string> hosts;  // I/O thread only

  explicit look_ups(dialler* owner) : of(owner) {}

  static void run(const std::shared_ptr<look_ups>& self, const place& where) {
    std::thread{[self, where] {
      auto addresses = look_up(where, false);
      std::lock_guard lock{self->guard};
      if (!self->of) return;
      boost::asio::post(self->of->io_, [self, host = where.host, addresses] {
        self->hosts.erase(host);
        if (self->of) self->of->found(host, addresses);
      });
    }}.detach();
  }
};

struct dialler::attempt {
  std::string peer, address;
  place where;
  clock::time_point until;       // of all
  clock::time_point this_until;  // of the present candidate
  std::vector<socket_address> candidates;
  std::size_t next = 0;
  std::optional<boost::asio::posix::stream_descriptor> socket;
  bool again = false;  // the listener's queue was full
  bool over = false, refused = true;
  std::string why;
};

dialler::dialler(boost::asio::io_context& io, std::chrono::milliseconds deadline, events to)
    : io_(io),
      deadline_(deadline),
      to_(std::move(to)),
      look_ups_(std::make_shared<look_ups>(this)) {}

dialler::~dialler() {
  std::lock_guard lock{look_ups_->guard};
  look_ups_->of = nullptr;
}

void dialler::dial(std::string peer, std::string address) {
  auto a = std::make_shared<attempt>();
  a->peer = std::move(peer);
  a->address = std::move(address);
  a->until = clock::now() + deadline_;
  dials_.push_back(a);
  const auto where = parse_place(a->address);
  if (!where) return failed(a, false, where.error().why()->what);
  a->where = *where;
  if (auto addresses = look_up(a->where, true)) {
    a->candidates = std::move(*addresses);
    return connect_next(a);
  }
  a->why = "the host '" + a->where.host + "' was not found";
  auto& hosts = look_ups_->hosts;
  if (hosts.contains(a->where.host)) return;
  if (hosts.size() == most_look_ups)
    return failed(a, false, "too many other hosts are being looked up");
  try {
    look_ups::run(look_ups_, a->where);
    hosts.insert(a->where.host);
  } catch (const std::system_error& e) {
    failed(a, false, std::string{"no thread to look up the host: "} + e.what());
  }
}

void dialler::found(const std::string& host, const result<std::vector<socket_address>>& addresses) {
  const std::vector<attempt_ptr> present{dials_.begin(), dials_.end()};
  for (const attempt_ptr& a : present) {
    if (a->over || a->where.host != host || !a->candidates.empty()) continue;
    if (!addresses) {
      failed(a, false, addresses.error().why()->what);
      continue;
    }
    a->candidates = *addresses;
    // Dials to several ports of the host share the look-up.
    const auto port =
        static_cast<in_port_t>(htons(static_cast<std::uint16_t>(std::stoul(a->where.port))));
    for (socket_address& one : a->candidates) {
      if (one.family() == AF_INET) reinterpret_cast<sockaddr_in*>(&one.bytes)->sin_port = port;
      else reinterpret_cast<sockaddr_in6*>(&one.bytes)->sin6_port = port;
    }
    connect_next(a);
  }
}

void dialler::connect_next(const attempt_ptr& a) {
  a->again = false;
  while (a->next < a->candidates.size())
    if (begin_connect(a)) return;
  failed(a, a->refused, a->why);
}

/// True: it is under way, or over. False: on to the next candidate.
bool dialler::begin_connect(const attempt_ptr& a) {
  const socket_address& to = a->candidates[a->next];
  const int socket = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    missed(*a, errno);
    return false;
  }
  a->socket.emplace(io_, socket);
  const auto now = clock::now();
  a->this_until = now + (a->until - now) / static_cast<int>(a->candidates.size() - a->next);
  if (::connect(socket, to.get(), to.length) == 0) {
    connected(a);
    return true;
  }
  const int code = errno;
  if (code == EINPROGRESS) {
    a->socket->async_wait(boost::asio::posix::stream_descriptor::wait_write,
                          [this, a](const boost::system::error_code& called_off) {
                            if (!called_off && !a->over && a->socket) connectable(a);
                          });
    return true;
  }
  if (code == EAGAIN && to.family() == AF_UNIX) {
    a->socket.reset();
    a->again = true;
    return true;
  }
  missed(*a, code);
  return false;
}

void dialler::connectable(const attempt_ptr& a) {
  int code = 0;
  socklen_t length = sizeof code;
  if (::getsockopt(a->socket->native_handle(), SOL_SOCKET, SO_ERROR, &code, &length) != 0)
    code = errno;
  if (code == 0) return connected(a);
  missed(*a, code);
  connect_next(a);
}

void dialler::missed(attempt& a, int code) {
  a.socket.reset();
  const std::string to = to_string(a.candidates[a.next]);
  const bool refused =
      code == ECONNREFUSED || (code == ENOENT && a.candidates[a.next].family() == AF_UNIX);
  a.refused &= refused;
  a.why = refused ? "nobody listens at " + to
                  : "no connection to " + to + ": " + std::generic_category().message(code);
  ++a.next;
}

void dialler::connected(const attempt_ptr& a) {
  if (connected_to_itself(a->socket->native_handle())) {
    missed(*a, ECONNREFUSED);
    return connect_next(a);
  }
  const int socket = a->socket->release();
  a->socket.reset();
  a->over = true;
  std::string address = to_string(a->candidates[a->next]);
  dials_.remove(a);
  to_.connected(socket, std::move(a->peer), std::move(address));
}

void dialler::failed(const attempt_ptr& a, bool refused, const std::string& why) {
  a->over = true;
  a->socket.reset();
  dials_.remove(a);
  to_.failed(a->peer, refused, why);
}

void dialler::time(clock::time_point now) {
  const std::vector<attempt_ptr> present{dials_.begin(), dials_.end()};
  for (const attempt_ptr& a : present) {
    if (a->over) continue;
    if (now >= a->until) {
      const std::string late = " within " + std::to_string(deadline_.count()) + " ms";
      failed(a, false,
             a->candidates.empty() ? a->why + late : "no connection to " + a->address + late);
    } else if (a->again) {
      connect_next(a);
    } else if (a->socket && now >= a->this_until) {
      missed(*a, ETIMEDOUT);
      connect_next(a);
    }
  }
}

void dialler::stop(const std::string& why) {
  const std::vector<attempt_ptr> present{dials_.begin(), dials_.end()};
  for (const attempt_ptr& a : present) failed(a, false, why);
}

}  // namespace coppice::wire
