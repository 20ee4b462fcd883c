// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/link.hpp>
#include <coppice/runtime/wire/tls_private.hpp>

#include <boost/asio/posix/stream_descriptor.hpp>

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/uio.h>

namespace coppice::wire {

class socket_core;

/// One connected socket, with or without TLS, from the connection to its end.
///
/// Workers write and close under `guard_`, and never touch the descriptor once it is closed, which
/// only the I/O thread does. Everything else is done by the I/O thread; it calls events without
/// holding the lock.
class socket_link final : public link, public std::enable_shared_from_this<socket_link> {
 public:
  using position = std::list<std::shared_ptr<socket_link>>::iterator;
  enum class stage : std::uint8_t { handshaking, open, lingering };

  /// Owns the socket. Without `tls` plain.
  socket_link(socket_core& core, int socket, link_info info, std::unique_ptr<tls_stream> tls);

  std::size_t write(std::span<const std::span<const std::byte>> pieces) noexcept override;
  void close(std::string_view why) noexcept override;
  const link_info& info() const noexcept override { return info_; }

  // The rest belongs to the carrier's I/O thread.

  /// Opens, or begins the handshake.
  void begin();
  /// Ends it and tells so, at once. `orderly`: what was written may still be read.
  void shut(const std::string& why, bool orderly);
  /// Closes the socket and lets go of the carrier.
  void retire() noexcept;

  struct {
    stage at = stage::handshaking;
    position where;
    std::chrono::steady_clock::time_point until;
  } kept;  ///< by the carrier

 private:
  enum class phase : std::uint8_t { handshake, open, closed };

  // Under the lock.
  std::size_t write_plain(std::span<const std::span<const std::byte>> pieces);
  std::size_t write_sealed(std::span<const std::span<const std::byte>> pieces);
  std::size_t send_some(iovec* begin, std::size_t count);
  bool flush();
  void want_writable();
  void end(std::string why, bool orderly);
  void say_end();

  void wait_readable();
  void wait_writable();
  void readable();
  void writable();
  bool received(std::span<const std::byte> bytes);
  bool received_plain(std::span<const std::byte> bytes);
  bool received_sealed(std::span<const std::byte> bytes);
  enum class step : std::uint8_t { more, open, just_opened, over };
  step advance(std::span<const std::byte> bytes);
  std::size_t unseal(std::span<std::byte> into, bool& more);
  void discard();
  void finish();
  bool open() const noexcept;

  mutable std::mutex guard_;
  socket_core* core_;  // null once retired
  std::optional<boost::asio::posix::stream_descriptor> descriptor_;
  const int socket_;
  std::unique_ptr<tls_stream> tls_;
  phase phase_ = phase::handshake;
  bool owed_ = false;      // a write took less than it was offered
  bool wanted_ = false;    // waiting until the socket is writable, or about to
  bool orderly_ = false;   // closed by this side: what was taken is still to reach the peer
  bool all_said_ = false;  // and has been handed to the kernel
  std::string why_;

  // I/O thread only.
  link_info info_;  // constant once it is open
  bool was_open_ = false, finished_ = false, reading_ = false, heard_ = false;
};

}  // namespace coppice::wire
