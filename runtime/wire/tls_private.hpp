// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/tls_context_private.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

/// TLS 1.3 with certificates on both sides, as a transformation of bytes: no sockets in here.
namespace coppice::wire {

/// One side of one connection. Ciphertext from the peer is fed, ciphertext for the peer is taken
/// from `output`. Not thread-safe.
class tls_stream {
 public:
  enum class progress : std::uint8_t { more, done, failed };
  /// Whether the acceptor says by one byte that it accepts, before all else. Protocols that other
  /// programs speak know no such byte: there the dialler learns of a refusal when it reads.
  enum class opening : std::uint8_t { told, silent };
  static constexpr std::uint64_t usual_records_per_key = std::uint64_t{1} << 23;

  /// `expected`: the only node that is accepted, empty for any of the cluster. `records_per_key`:
  /// so many records are written before the key is changed; AES-GCM allows 2^24.5 of full size.
  tls_stream(std::shared_ptr<const tls_context> context, bool outgoing, std::string expected,
             std::uint64_t records_per_key = usual_records_per_key, opening how = opening::told);
  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  /// Bytes from the peer; to be used up by `handshake` and `read` before they go away: these have
  /// done so when they ask for more, or have failed.
  void feed(std::span<const std::byte> ciphertext) noexcept { input_ = ciphertext; }

  /// To be called at once by the one who dials, then after each `feed` until it is done. Done means
  /// that both sides have accepted each other, unless the opening is silent. Failed: `why`, and
  /// there may be output that tells the peer.
  progress handshake();

  /// Puts bytes of at most one record into `into`. 0: all that was fed is used up. Less: the
  /// stream has ended, see `why`.
  std::ptrdiff_t read(std::span<std::byte> into);

  /// Nothing of what was fed is left: to ask `read` once more would only take time.
  bool used_up() const noexcept { return input_.empty() && SSL_has_pending(ssl_.get()) == 0; }

  static constexpr std::size_t record_bytes = std::size_t{16} * 1024;
  /// Makes one record of at most `record_bytes`. False: the stream has broken, see `why`.
  bool write(std::span<const std::byte> plain);
  /// Tells the peer that nothing more will come.
  void finish();

  std::span<const std::byte> output() const noexcept {
    return std::span{output_}.subspan(output_sent_);
  }
  void sent(std::size_t bytes) noexcept;

  /// Node name in the peer's certificate, when the handshake is done.
  const std::string& peer() const noexcept { return peer_; }
  const std::string& why() const noexcept { return why_; }

 private:
  friend struct tls_callbacks;

  progress failed(std::string why);
  progress settle();
  bool looks_like_tls();
  std::string failure(int result);
  /// Notes the node that the certificate names. Empty if that node is welcome.
  std::string judge(const X509* certificate);

  const std::shared_ptr<const tls_context> context_;
  const bool outgoing_;
  const std::string expected_;
  const std::uint64_t records_per_key_;
  const opening how_;
  ssl_ptr ssl_;
  std::span<const std::byte> input_;
  std::vector<std::byte> output_;
  std::size_t output_sent_ = 0;
  std::uint64_t records_ = 0;
  bool heard_ = false, finished_ = false;
  std::string peer_, refusal_, why_;
};

}  // namespace coppice::wire
