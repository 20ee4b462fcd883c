// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/frame.hpp>
#include <coppice/runtime/wire/frame_queue.hpp>
#include <coppice/runtime/wire/limits.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace coppice::wire {

/// The outgoing half of a session: a connection may be lost, what was sent is not.
///
/// Messages go out in frames, which are kept until the peer has acknowledged them. When a new link
/// carries the session on, `attach` goes back to the first frame that the peer lacks. A session
/// that ends is thrown away, after `each_unacknowledged` has told what may not have arrived.
///
///     if (!s.send(lane::user, bytes)) ...overloaded...
///     n = s.gather(spans); s.wrote(link.write(spans.first(n)));
///
/// Pure; not thread-safe, whoever owns it locks. The lock may be given up between `gather` and
/// `wrote`: what was gathered stays where it is until `wrote`, whatever is called meanwhile, and
/// the one who writes is the only one who gathers.
class session {
 public:
  explicit session(const limits& bounds);
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  /// Puts a message in line, cut into frames. False: there is no room in its lane, and nothing was
  /// taken. `reserve` bytes more than the send buffer holds may be used.
  bool send(lane where, std::span<const std::byte> message, std::size_t reserve = 0) {
    if (!has_room(where, message.size(), reserve)) return false;
    queues_[index(where)].append(where == lane::user ? frame_kind::user : frame_kind::bulk,
                                 message);
    return true;
  }

  /// A frame that is neither kept nor sent again, and goes before all messages. False: it is lost,
  /// since no link is attached or more than 64 KiB of them wait already.
  bool control(frame_kind kind, std::span<const std::byte> payload);

  /// A new link carries the session on, from what the peer has. False, and nothing has changed:
  /// the peer claims what was never sent, or lacks what it had acknowledged.
  bool attach(received by_peer);
  /// The link is gone. What has been sent is kept; `control` frames are lost.
  void detach();
  bool attached() const noexcept { return attached_; }

  /// What to write next, in order: the rest of a frame that has begun, control frames, and the
  /// messages of both lanes in turn. Returns how many spans were filled, none without a link.
  /// What is not reported by `wrote` is gathered again.
  std::size_t gather(std::span<std::span<const std::byte>> into);
  /// So many bytes of what was gathered last were taken by the link; also if that is none.
  void wrote(std::size_t bytes);
  bool anything_to_write() const noexcept {
    return attached_ && (unwritten(0) || unwritten(1) || unwritten(2));
  }

  /// Frees what the peer has. False, and nothing has changed: a lie, more than was sent or less
  /// than before.
  bool acknowledged(received by_peer);

  /// What the peer has acknowledged. While something is buffered and this stands still, the peer
  /// takes everything and does nothing: whoever has a clock ends that.
  received peer_has() const noexcept {
    return {queues_[0].acknowledged(), queues_[1].acknowledged()};
  }

  /// Bytes that wait, or wait for being acknowledged.
  std::size_t buffered() const noexcept {
    return queues_[0].unacknowledged() + queues_[1].unacknowledged();
  }
  /// Whether a message of so many bytes would be taken. Each lane has a send buffer of its own, so
  /// that what is slow takes no room from what is quick. A message that is larger than the whole
  /// buffer, and not longer than a message may be, is taken when nothing else waits in its lane.
  bool has_room(lane where, std::size_t bytes, std::size_t reserve = 0) const noexcept {
    const std::size_t frames = bytes <= max_frame ? 1 : (bytes + max_frame - 1) / max_frame;
    const std::size_t waiting = queues_[index(where)].unacknowledged();
    return bytes <= message_bytes_ &&
           (waiting + bytes + frames * frame_header <= send_buffer_bytes_ + reserve ||
            waiting == 0);
  }
  /// Bytes of memory; more than `buffered` by what chunks leave unused, and by a few of them.
  std::size_t memory() const noexcept;

  /// Calls `f(lane, payload of its first frame)` for each message that the peer has not
  /// acknowledged as a whole, in order in each lane.
  template <class F>
  void each_unacknowledged(F f) const {
    queues_[0].each_unacknowledged([&](auto payload) { f(lane::user, payload); });
    queues_[1].each_unacknowledged([&](auto payload) { f(lane::bulk, payload); });
  }

 private:
  // Two lanes share a link by runs of this size, so that the larger messages of one do not starve
  // the other, and many small ones still go out in one piece.
  static constexpr std::size_t run_bytes = frame_header + max_frame;
  static constexpr std::size_t control_bytes = std::size_t{64} * 1024;
  static constexpr std::size_t control_index = 2;
  static constexpr std::size_t none = 3;

  struct segment {
    std::size_t queue;
    std::size_t bytes;
  };

  static std::size_t index(lane which) noexcept { return which == lane::user ? 0 : 1; }
  bool unwritten(std::size_t queue) const noexcept {
    return queues_[queue].anything_after(queues_[queue].cursor());
  }
  bool catch_up(received by_peer);
  void release();

  std::array<frame_queue, 3> queues_{};  ///< user, bulk, control
  std::size_t message_bytes_;
  std::size_t send_buffer_bytes_;
  std::vector<segment> plan_{};  ///< what was gathered and is not written
  std::size_t turn_ = 0;  ///< whose run is next
  std::size_t rest_of_ = none;  ///< the queue whose frame has been written in part,
  std::size_t rest_ = 0;  ///< and what is left of it
  bool attached_ = false;
  bool stale_ = false;  ///< what was gathered was for a link that is gone
};

}  // namespace coppice::wire
