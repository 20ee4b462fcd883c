// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/socket_core_private.hpp>
#include <coppice/runtime/wire/socket_link_private.hpp>

#include <boost/asio/post.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace coppice::wire {

namespace {

using pieces_of = std::span<const std::span<const std::byte>>;

/// Then the other links get their turn.
constexpr int reads_at_once = 4;
constexpr std::size_t pieces_at_once = 64;
/// So much is sealed before it is sent: several records in one call of the system.
constexpr std::size_t sealed_at_once = 4 * tls_stream::record_bytes;

/// Cuts pieces into what goes into one record each: small ones are joined, of large ones nothing
/// is copied.
class record_cutter {
 public:
  explicit record_cutter(pieces_of pieces) : pieces_(pieces) { skip_empty(); }

  /// Empty at the end. Valid until the next call.
  std::span<const std::byte> next() {
    if (pieces_.empty()) return {};
    if (rest().size() >= joined_.size() || pieces_.size() == 1)
      return take(std::min(rest().size(), joined_.size()));
    std::size_t used = 0;
    while (used < joined_.size() && !pieces_.empty()) {
      const auto part = take(std::min(rest().size(), joined_.size() - used));
      std::copy(part.begin(), part.end(), joined_.begin() + static_cast<std::ptrdiff_t>(used));
      used += part.size();
    }
    return std::span{joined_}.first(used);
  }

 private:
  std::span<const std::byte> rest() const { return pieces_.front().subspan(offset_); }
  std::span<const std::byte> take(std::size_t bytes) {
    const auto part = rest().first(bytes);
    offset_ += bytes;
    skip_empty();
    return part;
  }
  void skip_empty() {
    while (!pieces_.empty() && offset_ == pieces_.front().size()) {
      pieces_ = pieces_.subspan(1);
      offset_ = 0;
    }
  }

  pieces_of pieces_;
  std::size_t offset_ = 0;
  std::array<std::byte, tls_stream::record_bytes> joined_;
};

std::string lost(int code) {
  if (code == ECONNRESET || code == EPIPE) return "it reset the connection";
  return "the connection was lost: " + std::generic_category().message(code);
}

}  // namespace

socket_link::socket_link(socket_core& core, int socket, link_info info,
                         std::unique_ptr<tls_stream> tls)
    : core_(&core),
      descriptor_(std::in_place, core.io(), socket),
      socket_(socket),
      tls_(std::move(tls)),
      info_(std::move(info)) {}

// ---- any thread -------------------------------------------------------------------------------

std::size_t socket_link::write(pieces_of pieces) noexcept {
  std::size_t offered = 0;
  for (const auto& piece : pieces) offered += piece.size();
  std::lock_guard lock{guard_};
  if (phase_ != phase::open) return 0;
  const std::size_t taken = tls_ ? write_sealed(pieces) : write_plain(pieces);
  if (taken < offered && phase_ == phase::open) {
    owed_ = true;
    want_writable();
  }
  return taken;
}

void socket_link::close(std::string_view why) noexcept {
  std::lock_guard lock{guard_};
  end(std::string{why}, true);
}

// ---- under the lock ---------------------------------------------------------------------------

std::size_t socket_link::write_plain(pieces_of pieces) {
  std::size_t taken = 0;
  while (!pieces.empty()) {
    std::array<iovec, pieces_at_once> some;
    std::size_t count = 0, offered = 0;
    for (; count < some.size() && count < pieces.size(); ++count) {
      some[count] = {const_cast<std::byte*>(pieces[count].data()), pieces[count].size()};
      offered += pieces[count].size();
    }
    const std::size_t sent = send_some(some.data(), count);
    taken += sent;
    if (sent < offered) break;
    pieces = pieces.subspan(count);
  }
  return taken;
}

std::size_t socket_link::write_sealed(pieces_of pieces) {
  // Only what is not waiting for the socket is sealed, so that what is waiting stays bounded; what
  // is sealed counts as taken, because a record cannot be taken back.
  std::size_t taken = 0;
  record_cutter cut{pieces};
  while (flush()) {
    while (tls_->output().size() < sealed_at_once) {
      const auto record = cut.next();
      if (record.empty()) break;
      if (!tls_->write(record)) {
        end(tls_->why(), false);
        return taken;
      }
      taken += record.size();
    }
    if (tls_->output().empty()) break;
  }
  return taken;
}

/// How many bytes the kernel took: fewer than there are if its buffer is full.
std::size_t socket_link::send_some(iovec* begin, std::size_t count) {
  msghdr message{};
  message.msg_iov = begin;
  message.msg_iovlen = count;
  for (;;) {
    const ssize_t sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) end(lost(errno), false);
    return 0;
  }
}

/// True: all that TLS has made is with the kernel. False: later, or the link has ended.
bool socket_link::flush() {
  for (;;) {
    const auto output = tls_->output();
    if (output.empty()) return true;
    iovec all{const_cast<std::byte*>(output.data()), output.size()};
    const std::size_t sent = send_some(&all, 1);
    tls_->sent(sent);
    if (sent == output.size()) return true;
    want_writable();
    return false;
  }
}

void socket_link::want_writable() {
  if (wanted_ || !core_) return;
  wanted_ = true;
  boost::asio::post(core_->io(), [self = shared_from_this()] { self->wait_writable(); });
}

void socket_link::end(std::string why, bool orderly) {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  why_ = std::move(why);
  orderly_ = orderly;
  if (orderly) say_end();
  boost::asio::post(core_->io(), [self = shared_from_this()] { self->finish(); });
}

/// The peer reads to the end what was written, and then learns that this is the end. A socket
/// that is closed with bytes in it that were not read would be reset, and with it what the peer
/// has not read: hence the lingering.
void socket_link::say_end() {
  if (all_said_) return;
  if (tls_) {
    tls_->finish();
    if (!flush()) return;
  }
  all_said_ = true;
  ::shutdown(socket_, SHUT_WR);
}

// ---- I/O thread -------------------------------------------------------------------------------

bool socket_link::open() const noexcept {
  std::lock_guard lock{guard_};
  return phase_ == phase::open;
}

void socket_link::begin() {
  if (tls_) {
    if (advance({}) == step::over) return finish();
  } else {
    {
      std::lock_guard lock{guard_};
      phase_ = phase::open;
    }
    was_open_ = true;
    core_->opened(shared_from_this());
  }
  wait_readable();
}

void socket_link::wait_readable() {
  reading_ = true;
  descriptor_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& called_off) {
                            if (!called_off && self->descriptor_) self->readable();
                          });
}

void socket_link::wait_writable() {
  if (!descriptor_) return;
  descriptor_->async_wait(boost::asio::posix::stream_descriptor::wait_write,
                          [self = shared_from_this()](const boost::system::error_code& called_off) {
                            if (!called_off && self->descriptor_) self->writable();
                          });
}

void socket_link::readable() {
  reading_ = false;
  if (finished_) return discard();
  for (int round = 0; round < reads_at_once; ++round) {
    if (round > 0) poller::hand_over();
    const auto buffer = core_->received_bytes();
    const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got <= 0) {
      const int code = errno;
      {
        std::lock_guard lock{guard_};
        std::string why = got < 0 ? lost(code) : "it closed the connection";
        if (phase_ == phase::handshake) why += " before the TLS handshake was done";
        end(std::move(why), false);
      }
      return finish();
    }
    if (!received(buffer.first(static_cast<std::size_t>(got)))) return finish();
    if (static_cast<std::size_t>(got) < buffer.size()) break;
  }
  wait_readable();
}

bool socket_link::received(std::span<const std::byte> bytes) {
  return tls_ ? received_sealed(bytes) : received_plain(bytes);
}

bool socket_link::received_plain(std::span<const std::byte> bytes) {
  {
    std::lock_guard lock{guard_};
    if (phase_ != phase::open) return false;
    const bool first = !std::exchange(heard_, true);
    if (first && bytes.size() > 1 && (bytes[0] == std::byte{21} || bytes[0] == std::byte{22}) &&
        bytes[1] == std::byte{3}) {
      end("it speaks TLS, and this side does not", false);
      return false;
    }
  }
  core_->events().on_bytes(*this, bytes);
  return open();
}

bool socket_link::received_sealed(std::span<const std::byte> bytes) {
  switch (advance(bytes)) {
    case step::more: return true;
    case step::over: return false;
    case step::just_opened:
      was_open_ = true;
      core_->opened(shared_from_this());
      break;
    case step::open: break;
  }
  const auto buffer = core_->unsealed_bytes();
  for (bool more = true; more;) {
    std::size_t used = 0;
    while (more && used < buffer.size()) used += unseal(buffer.subspan(used), more);
    if (used > 0) core_->events().on_bytes(*this, buffer.first(used));
  }
  return open();
}

/// Feeds what was received, and goes on with the handshake if that is not done.
socket_link::step socket_link::advance(std::span<const std::byte> bytes) {
  std::lock_guard lock{guard_};
  if (phase_ == phase::closed) return step::over;
  tls_->feed(bytes);
  if (phase_ == phase::open) return step::open;
  const auto progress = tls_->handshake();
  flush();
  // The end is an orderly one, so that the peer learns the reason.
  if (progress == tls_stream::progress::failed) end(tls_->why(), true);
  if (phase_ == phase::closed) return step::over;
  if (progress == tls_stream::progress::more) return step::more;
  info_.certificate_name = tls_->peer();
  phase_ = phase::open;
  return step::just_opened;
}

/// Takes the bytes of one record, and returns how many. Unless there may be `more` all that was
/// received is used up, or the stream has ended.
std::size_t socket_link::unseal(std::span<std::byte> into, bool& more) {
  std::lock_guard lock{guard_};
  more = false;
  if (phase_ != phase::open) return 0;
  const std::ptrdiff_t got = tls_->read(into);
  if (got > 0 && !tls_->used_up()) {
    more = true;
    return static_cast<std::size_t>(got);
  }
  flush();
  if (got >= 0) return static_cast<std::size_t>(got);
  end(tls_->why(), true);
  return 0;
}

void socket_link::writable() {
  bool tell = false;
  {
    std::lock_guard lock{guard_};
    wanted_ = false;
    if (tls_ && !flush()) return;
    if (phase_ == phase::closed && orderly_) say_end();
    tell = phase_ == phase::open && std::exchange(owed_, false);
  }
  if (tell) core_->events().on_writable(*this);
}

/// After its end: waits for that of the peer.
void socket_link::discard() {
  const auto buffer = core_->received_bytes();
  for (int round = 0; round < reads_at_once; ++round) {
    const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    return core_->gone(shared_from_this());
  }
  wait_readable();
}

void socket_link::shut(const std::string& why, bool orderly) {
  {
    std::lock_guard lock{guard_};
    end(why, orderly);
  }
  finish();
}

void socket_link::finish() {
  if (std::exchange(finished_, true)) return;
  const auto self = shared_from_this();
  std::string why;
  bool orderly = false;
  {
    std::lock_guard lock{guard_};
    why = why_;
    orderly = orderly_;
  }
  if (was_open_) core_->events().on_closed(*this, false, why);
  else if (info_.outgoing) core_->events().on_dial_failed(info_.dialled, false, why);
  else core_->events().on_refused(info_.address, why);
  if (!orderly) return core_->gone(self);
  core_->linger(self);
  if (!reading_ && descriptor_) wait_readable();
}

void socket_link::retire() noexcept {
  std::lock_guard lock{guard_};
  descriptor_.reset();
  tls_.reset();
  core_ = nullptr;
}

}  // namespace coppice::wire
