// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coppice::wire {

/// What bounds the traffic between two nodes. Each has a default, a unit in its name or type, and
/// a reason; `docs/internals/wire.md` says what happens at each of them.
struct limits {
  /// The longest message, all its pieces together. Bounds what a peer can make us hold for a
  /// message that is not complete, per lane.
  std::size_t message_bytes = std::size_t{16} * 1024 * 1024;

  /// What may wait per peer and lane, unwritten or not acknowledged. Bounds what a slow
  /// or absent peer costs; when it is reached, senders have to wait. Answers, and what keeps
  /// watches, links and addresses true, may use as much again; beyond that the session ends.
  std::size_t send_buffer_bytes = std::size_t{8} * 1024 * 1024;

  /// What has arrived is acknowledged at the latest after so many bytes, well below the send
  /// buffer, so that a stream never waits for a timer ...
  std::size_t ack_every_bytes = std::size_t{256} * 1024;

  /// ... and at the latest after so long, so that a quiet sender's buffer empties too.
  std::chrono::milliseconds ack_every{50};

  /// How long a dial may take, from its name to the end of TLS.
  std::chrono::milliseconds connect_deadline{5'000};

  /// How long an open link may take to agree on a session; then it is closed.
  std::chrono::milliseconds handshake_deadline{5'000};

  /// How long a session outlives its connection: long enough for a switch to restart, short enough
  /// that those who wait for an answer are told within seconds.
  std::chrono::milliseconds session_limit{10'000};

  /// The first pause between two dials; doubled each time, up to ...
  std::chrono::milliseconds reconnect_first{50};

  /// ... this: so long may it take to notice that a peer is back which does not dial itself.
  std::chrono::milliseconds reconnect_most{2'000};

  /// Incoming links that have not said who they are; one more, and the oldest of them is closed.
  std::uint32_t pending_handshakes = 64;

  /// Addresses of ours that a peer may hold, and of a peer's that we hold, at a time.
  std::uint32_t remote_addresses = 65'536;

  /// Asks that may wait for one peer's answers.
  std::uint32_t pending_asks = 100'000;
};

}  // namespace coppice::wire
