// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/system.hpp>
#include <coppice/runtime/wire/link.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace coppice::wire {

class socket_core;

/// How the links of a cluster are protected: by TLS 1.3 on both sides, or not at all and then
/// explicitly. Paths of PEM files.
struct tls_options {
  std::string ca;           ///< certificates of the authorities whose nodes are let in
  std::string certificate;  ///< this node's, then those between it and the authority if any
  std::string key;          ///< its private key, without a passphrase
  bool insecure = false;    ///< no TLS: whoever reaches the port is believed whatever it says
};

struct socket_options {
  std::string cluster;  ///< certificates name their node as `<node>.<cluster>`
  std::string node;     ///< this node; if not empty its own certificate has to name it
  tls_options tls;

  /// Whose actors the events reach. Null: they reach none, and the carrier has one thread; else it
  /// has two and may run an actor itself, see `poller`. Outlives the carrier.
  system* actors = nullptr;
  /// With actors: how long the thread that reads looks for the next bytes before it sleeps, where
  /// the last ones came as quickly. Zero: it sleeps at once.
  std::chrono::microseconds busy_wait{50};

  /// For looking up the host and connecting, together.
  std::chrono::milliseconds connect_deadline{5'000};
  /// From a connection to the end of the TLS handshake, however slowly the bytes come.
  std::chrono::milliseconds handshake_deadline{5'000};
  /// Accepted connections in the middle of a handshake; one more, and the oldest is refused.
  std::size_t pending_handshakes = 64;
  /// Accepted links that are open; one more is refused.
  std::size_t accepted_links = 1'024;
};

/// Links over TCP and Unix sockets. One thread at a time accepts, connects, reads and calls the
/// events; a
/// `write` goes to the socket from the thread that calls it.
///
/// With TLS both sides show a certificate of a common authority, whose only DNS name of this
/// cluster is the node's, and which may be used by servers and clients. A refusal has its own
/// sentence for each reason, and the refused side learns as much of it as TLS can tell. A dialled
/// link opens when the acceptor has said, by one byte, that it accepts: in TLS 1.3 the handshake of
/// the one who dials ends before the other has looked at its certificate.
///
/// New files are taken into use by the next connection; ones that cannot be used are reported once,
/// and the certificate that was in use stays so. Only `start` fails for the lack of usable ones.
/// A link lives on when its certificates expire. There are no revocation lists.
///
/// Without TLS a stream that begins like a TLS record (byte 21 or 22, then 3) is closed with a
/// sentence that says so, so the first two bytes sent on a link must not be these.
class socket_carrier final : public carrier {
 public:
  explicit socket_carrier(socket_options options);
  /// Stops it.
  ~socket_carrier() override;

  result<void> start(const std::string& listen, link_events& events) override;
  std::string listens_at() const override;
  void dial(std::string peer, std::string address) override;
  void wake_at(std::chrono::steady_clock::time_point when) override;
  void stop() noexcept override;

 private:
  const std::unique_ptr<socket_core> core_;
};

}  // namespace coppice::wire
