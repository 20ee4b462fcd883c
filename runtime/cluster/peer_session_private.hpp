// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/association.hpp>
#include <coppice/runtime/wire/exchange.hpp>
#include <coppice/runtime/wire/link.hpp>
#include <coppice/runtime/wire/session.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace coppice {

/// The session with one peer, if there is one, and the link that carries it, if one does: what
/// workers write to while the carrier's thread changes both. Any thread, unless it says otherwise.
class peer_session : public std::enable_shared_from_this<peer_session> {
 public:
  using duration = std::chrono::steady_clock::duration;

  // ---- of the carrier's thread --------------------------------------------------------------
  /// A new session. What comes of it is the way to the peer for as long as it lasts.
  std::shared_ptr<wire::outlet> begin(const wire::limits& bounds);
  /// The link carries it from now on, from what the peer has; `ready`, if it is given, goes first,
  /// for it opens the link at the other end. False: the peer claims what was never sent.
  bool attach(wire::link_ptr carrier, const wire::received& by_peer,
              const wire::association_action* ready);
  void detach();
  /// What has been sent is in what comes of it; null: there was none.
  std::shared_ptr<wire::session> end();

  enum class acknowledgement : std::uint8_t { taken, room_again, lie };
  /// `room_again`: those who found no room in the buffer are to be told.
  acknowledgement acknowledged(const wire::received& by_peer);
  /// The link takes bytes again.
  void writable(const wire::link& which);
  /// Whether something has been lost, for lack of room, that the peer must know; told once.
  bool overrun();
  /// For how long the peer has confirmed nothing although there is something to confirm, when the
  /// time in which this node has run since it was asked last is `ran`.
  duration still_unconfirmed(duration ran);

  // ---- any thread ---------------------------------------------------------------------------
  /// A frame that is lost if no link carries the session.
  void control(wire::frame_kind kind, std::span<const std::byte> payload);
  /// Writes what waits, until the link takes no more. One thread at a time; what others add
  /// meanwhile it takes along.
  void flush() noexcept;
  /// Null: none carries it.
  wire::link_ptr link() const;
  /// Bytes that the peer has not confirmed; nothing: there is no session.
  std::optional<std::size_t> buffered() const;

 private:
  class way;

  mutable std::mutex guard_;
  std::shared_ptr<wire::session> session_;
  std::uint64_t generation_ = 0;  ///< of the session
  wire::link_ptr link_;
  bool writing_ = false;
  bool blocked_ = false;  ///< `writable` comes
  bool writable_ = false;  ///< it has come since the last write began
  std::array<bool, 2> wants_room_{};  ///< by lane
  bool owes_too_much_ = false;
  wire::received confirmed_{};  ///< by the peer, when it was looked at last
  duration unconfirmed_{0};
};

}  // namespace coppice
