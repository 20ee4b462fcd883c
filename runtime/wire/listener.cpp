// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/listener_private.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace coppice::wire {

namespace {

/// Then the other descriptors get their turn.
constexpr int accepted_at_once = 16;
/// Out of descriptors or memory: the connection stays in the queue, so waiting for it to become
/// acceptable would not wait at all.
constexpr std::chrono::milliseconds out_of_descriptors{100};

std::string words(int code) { return std::generic_category().message(code); }

/// True if `where` was left by a process that has ended.
bool abandoned(const std::string& path, const socket_address& where) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) return false;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool refused = ::connect(probe, where.get(), where.length) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

}  // namespace

listener::listener(boost::asio::io_context& io, events to)
    : io_(io), to_(std::move(to)), rest_(io) {}

result<void> listener::open(const std::string& address) {
  const auto where = parse_place(address);
  if (!where) return where.error();
  path_ = where->path;
  const auto found = look_up(*where, false);
  if (!found) return found.error();
  if (auto bound = bind_to(found->front()); !bound)
    return error{errc::failed, "Cannot listen at " + address, {}, bound.error().why()};
  const int descriptor = socket_->native_handle();
  struct stat about {};
  if (!path_.empty() && ::stat(path_.c_str(), &about) == 0) inode_ = about.st_ino;
  address_ = path_.empty() ? to_string(own_address(descriptor)) : address;
  return {};
}

result<void> listener::bind_to(const socket_address& where) {
  const int descriptor = ::socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return error{errc::failed, words(errno)};
  socket_.emplace(io_, descriptor);
  if (where.family() == AF_UNIX) {
    // Before it is bound, this is the mode that the file will have.
    ::fchmod(descriptor, 0600);
    if (abandoned(path_, where)) ::unlink(path_.c_str());
  } else {
    const int yes = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  }
  if (::bind(descriptor, where.get(), where.length) == 0 && ::listen(descriptor, SOMAXCONN) == 0)
    return {};
  const int code = errno;
  socket_.reset();
  return error{errc::failed, words(code)};
}

void listener::run() { wait(); }

void listener::close() noexcept {
  if (!socket_) return;
  socket_.reset();
  rest_.cancel();
  // Another process may have taken the place meanwhile.
  struct stat about {};
  if (!path_.empty() && ::stat(path_.c_str(), &about) == 0 && about.st_ino == inode_)
    ::unlink(path_.c_str());
}

void listener::wait() {
  socket_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& failed) {
                        if (!failed && socket_) accept_some();
                      });
}

void listener::accept_some() {
  for (int i = 0; i < accepted_at_once; ++i) {
    socket_address from;
    from.length = sizeof from.bytes;
    const int descriptor =
        ::accept4(socket_->native_handle(), from.get(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0) {
      reported_ = false;
      to_.accepted(descriptor, path_.empty() ? to_string(from) : address_);
      if (!socket_) return;
      continue;
    }
    const int code = errno;
    if (code == EAGAIN || code == EWOULDBLOCK) break;
    if (code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM)
      return back_off(code);
    // Anything else is about one connection, which has ended before it was taken.
  }
  wait();
}

void listener::back_off(int code) {
  if (!std::exchange(reported_, true))
    to_.report("No connections can be accepted at " + address_ + ": " + words(code) +
               "; trying again every 100 ms");
  rest_.expires_after(out_of_descriptors);
  rest_.async_wait([this](const boost::system::error_code& failed) {
    if (!failed && socket_) accept_some();
  });
}

}  // namespace coppice::wire
