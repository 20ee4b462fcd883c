// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/detail/assert.hpp>
#include <coppice/runtime/wire/limits.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

/// Frames: what a link carries. A header of four bytes, big-endian,
///
///     | kind, 8 bits | length of the payload, 24 bits |
///
/// and the payload, at most `max_frame` bytes. `docs/internals/wire.md` has the formats.
///
/// Pure: no clock, no thread, no socket. Not thread-safe; whoever owns it locks.
namespace coppice::wire {

enum class frame_kind : std::uint8_t {
  hello = 1,    ///< handshake: who dials, and what it has of the session
  welcome = 2,  ///< handshake: the answer of the one who accepts
  refuse = 3,   ///< handshake: or why not
  heartbeat = 4,
  ack = 5,      ///< how many frames have arrived, see `write_ack`
  goodbye = 6,  ///< the sender stops in an orderly way; nothing follows
  gossip = 7,   ///< among nodes: opinions
  ready = 8,    ///< handshake: the dialler has the welcome; its frames follow
  user = 0x10,  ///< a message, or the last piece of one
  user_more = 0x11,
  bulk = 0x12,
  bulk_more = 0x13,
};
std::string_view name(frame_kind kind) noexcept;

/// Part of the handshake; everything else may only come after it.
constexpr bool is_handshake(frame_kind kind) noexcept {
  return kind <= frame_kind::refuse || kind == frame_kind::ready;
}

inline constexpr std::size_t frame_header = 4;
inline constexpr std::size_t max_frame = std::size_t{32} * 1024;      ///< of a payload
inline constexpr std::size_t max_handshake =
    std::size_t{4} * 1024;   ///< of a handshake frame's payload

/// What is sequenced, acknowledged and sent again is sent in one of two lanes. Order holds within
/// a lane; the other lane's messages, and the unsequenced frames, pass between its pieces.
enum class lane : std::uint8_t { user, bulk };

/// Whole frames of each lane, counted from the session's start.
struct received {
  std::uint64_t user = 0;
  std::uint64_t bulk = 0;

  std::uint64_t of(lane which) const noexcept { return which == lane::user ? user : bulk; }
  friend bool operator==(const received&, const received&) = default;
};

inline void write_header(std::byte* to, frame_kind kind, std::size_t payload) noexcept {
  to[0] = static_cast<std::byte>(kind);
  to[1] = static_cast<std::byte>(payload >> 16);
  to[2] = static_cast<std::byte>(payload >> 8);
  to[3] = static_cast<std::byte>(payload);
}
/// Of the frame whose header lies at `from`.
inline std::size_t payload_size(const std::byte* from) noexcept {
  return std::to_integer<std::size_t>(from[1]) << 16 | std::to_integer<std::size_t>(from[2]) << 8 |
         std::to_integer<std::size_t>(from[3]);
}

/// Header and payload, for what is written outside of a session. At most `max_frame` bytes.
std::vector<std::byte> whole_frame(frame_kind kind, std::span<const std::byte> payload);

/// The payload of an `ack`: both counts, big-endian. Nothing: it is too short. What follows them
/// is left to later versions.
std::array<std::byte, 16> write_ack(received counts) noexcept;
std::optional<received> read_ack(std::span<const std::byte> payload) noexcept;

/// What has arrived in one session: how many frames, and the pieces of messages that are not
/// complete. It outlives links, since a message may begin on one and end on the next. A new
/// session begins with a new one.
class arrivals {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit arrivals(const limits& bounds)
      : message_bytes_(bounds.message_bytes),
        ack_every_bytes_(bounds.ack_every_bytes),
        ack_every_(bounds.ack_every) {}

  received counts() const noexcept { return {lanes_[0].frames, lanes_[1].frames}; }

  /// True if the peer should be told what has arrived: by an `ack` frame with what `ack` returns.
  /// Ask after each feed, and from time to time.
  bool ack_due(time_point now) const noexcept {
    return pending_bytes_ >= ack_every_bytes_ ||
           (pending_bytes_ > 0 && now - acked_at_ >= ack_every_);
  }
  /// The counts to tell now. Until then `ack_due` is false again, until more has come.
  received ack(time_point now) noexcept {
    pending_bytes_ = 0;
    acked_at_ = now;
    return counts();
  }

  /// Bytes held for messages that are not complete: at most `message_bytes` per lane.
  std::size_t held() const noexcept { return lanes_[0].held.size() + lanes_[1].held.size(); }

 private:
  friend class frame_reader;
  struct incoming {
    std::uint64_t frames = 0;
    bool unfinished = false;  ///< the last piece has not come yet
    std::vector<std::byte> held{};
  };

  bool add_piece(incoming& in, std::span<const std::byte> piece);
  static void forget(incoming& in);

  std::array<incoming, 2> lanes_{};
  std::size_t message_bytes_;
  std::size_t ack_every_bytes_;
  std::chrono::milliseconds ack_every_;
  std::size_t pending_bytes_ = 0;
  time_point acked_at_{};
};

/// Cuts the bytes of one link into frames, and puts messages together. One per link.
///
/// Until `open` it takes nothing but the handshake, each frame of at most `max_handshake` bytes:
/// on an incoming link one hello, then one ready; on an outgoing one a welcome or a refuse.
/// Anything out of place ends it: `failure()` says why, in a sentence, and the link must be closed.
/// If it carried a session that must end too (`association::end`), or the same frames come again.
class frame_reader {
 public:
  explicit frame_reader(bool outgoing) noexcept
      : stage_(outgoing ? stage::welcome : stage::hello) {}

  /// The handshake is done, which may be known while `feed` hands over its last frame. `into` is
  /// borrowed until the reader's last `feed`. The peer begins with the frames after `from`, the
  /// counts that this link's hello or welcome has told it; what has arrived since by an older
  /// link is left out when it comes again.
  void open(arrivals& into, received from) noexcept;

  /// Calls `on_frame(kind, payload)` for each frame and each message (`user` or `bulk`, whatever
  /// the number of its pieces) that is complete now. The payload is only there during the call;
  /// that of a frame that lies in `bytes` as a whole is not copied. `on_frame` returns false to
  /// stop here: nothing more is taken from this link. False: it has stopped, or the peer has
  /// broken the protocol.
  template <class F>
  bool feed(std::span<const std::byte> bytes, F&& on_frame);

  /// What the peer did wrong; null if nothing.
  const char* failure() const noexcept { return failure_; }

 private:
  enum class stage : std::uint8_t { hello, ready, welcome, shut, open };

  /// Bytes of the frame whose header lies at `from`, header included; 0: it may not come here.
  std::size_t admit(const std::byte* from) noexcept {
    const auto kind = std::to_integer<unsigned>(from[0]);
    const std::size_t size = payload_size(from);
    if (stage_ == stage::open && kind - 0x10u < 4u && size <= max_frame) [[likely]]
      return frame_header + size;
    return admit_other(kind, size);
  }
  std::size_t admit_other(unsigned kind, std::size_t size) noexcept;
  bool complete(std::span<const std::byte>& bytes);
  void begin_stage_after(frame_kind kind) noexcept;
  bool stop(const char* why) noexcept;

  template <class F>
  bool take(std::span<const std::byte> frame, F& on_frame);
  template <class F>
  bool take_piece(arrivals::incoming& in, frame_kind kind, bool more,
                  std::span<const std::byte> payload, F& on_frame);

  arrivals* into_ = nullptr;
  std::array<std::uint64_t, 2> skip_{};
  std::vector<std::byte> held_{};  ///< the beginning of a frame whose rest has not come
  const char* failure_ = nullptr;
  stage stage_;
  bool stopped_ = false;
};

template <class F>
bool frame_reader::feed(std::span<const std::byte> bytes, F&& on_frame) {
  if (stopped_) return false;
  if (!held_.empty()) {
    if (!complete(bytes)) return !stopped_;
    if (!take(held_, on_frame)) return stop(nullptr);
    held_.clear();
  }
  while (bytes.size() >= frame_header) {
    const std::size_t size = admit(bytes.data());
    if (size == 0) return false;
    if (bytes.size() < size) break;
    if (!take(bytes.first(size), on_frame)) return stop(nullptr);
    bytes = bytes.subspan(size);
  }
  held_.assign(bytes.begin(), bytes.end());
  return true;
}

template <class F>
bool frame_reader::take(std::span<const std::byte> frame, F& on_frame) {
  const auto kind = static_cast<frame_kind>(frame[0]);
  const auto payload = frame.subspan(frame_header);
  if (kind < frame_kind::user) {
    begin_stage_after(kind);
    return on_frame(kind, payload);
  }
  const auto bits = static_cast<unsigned>(kind);
  const unsigned which = bits >> 1 & 1;
  if (skip_[which] > 0) [[unlikely]] {
    --skip_[which];
    return true;
  }
  auto& in = into_->lanes_[which];
  into_->pending_bytes_ += frame.size();
  ++in.frames;
  const bool more = (bits & 1) != 0;
  if (!more && !in.unfinished) [[likely]]
    return on_frame(kind, payload);
  return take_piece(in, static_cast<frame_kind>(bits & ~1u), more, payload, on_frame);
}

template <class F>
bool frame_reader::take_piece(arrivals::incoming& in, frame_kind kind, bool more,
                              std::span<const std::byte> payload, F& on_frame) {
  if (!into_->add_piece(in, payload)) return stop("a message is longer than allowed");
  in.unfinished = more;
  if (more) return true;
  const bool go_on = on_frame(kind, std::span<const std::byte>{in.held});
  arrivals::forget(in);
  return go_on;
}

}  // namespace coppice::wire
