// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/tls_private.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace coppice::http {

/// A connection's bytes, in the open or through TLS. One reader and one writer at a time, all on
/// one thread. What is begun keeps the channel alive and is called back once, never from within the
/// call that began it; after `close` with an error.
class channel : public std::enable_shared_from_this<channel> {
 public:
  using error_code = boost::system::error_code;
  using done = std::function<void(error_code, std::size_t)>;
  using pieces = std::array<boost::asio::const_buffer, 2>;

  explicit channel(boost::asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}

  /// For connecting, and for bytes that need not be understood.
  boost::asio::ip::tcp::socket& socket() noexcept { return socket_; }

  /// Speaks TLS from now on. `expected`: the node that has to be there, empty for any of the
  /// cluster. Fails with `protocol_error` and `why`; or with `wrong_protocol_type`: who connected
  /// does not speak TLS, and from now on may be answered in the open.
  void secure(std::shared_ptr<const wire::tls_context> with, bool outgoing, std::string expected,
              std::function<void(error_code)> then);

  void read(boost::asio::mutable_buffer into, done then);
  /// All of it. The bytes stay where they are until `then`.
  void write(const pieces& what, done then);
  /// Nothing more will be written: the peer is told, behind what is on its way.
  void finish();
  void close();

  /// The node in the peer's certificate; empty without TLS.
  std::string peer() const { return tls_ ? tls_->peer() : std::string{}; }
  /// Of a `protocol_error`, said of the peer: "it showed no certificate".
  std::string why() const { return tls_ ? tls_->why() : std::string{}; }

 private:
  void shake_hands(std::function<void(error_code)> then);
  void receive(std::function<void(error_code)> then);
  void flush();
  bool seal();
  void written(error_code how);

  boost::asio::ip::tcp::socket socket_;
  bool outgoing_ = false, finishing_ = false;
  std::unique_ptr<wire::tls_stream> tls_;
  std::vector<std::byte> received_;  ///< as it came; read by `tls_` until that asks for more
  std::vector<std::byte> sealed_;  ///< on its way to the peer if `sending_`
  bool sending_ = false;
  error_code broken_;  ///< what was on its way has not arrived
  pieces plain_{};  ///< of a write, not sealed yet
  std::size_t plain_bytes_ = 0;
  done then_;  ///< of that write
};

}  // namespace coppice::http
