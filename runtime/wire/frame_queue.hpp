// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/frame.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace coppice::wire {

/// The frames of one lane on their way out: appended at the back, written from the middle, kept
/// until the peer has acknowledged them.
///
///     chunk | acknowledged | written .......... | handed out ... | to be written | chunk ...
///           ^ freed as     ^ acknowledged_      ^ cursor_                        ^ end
///             whole chunks
///
/// Frames lie in chunks as they go out, headers included, none across two chunks; appending moves
/// nothing, so that what has been handed to a link may be read while more is appended. A chunk is
/// freed when all of it is both written and acknowledged.
class frame_queue {
 public:
  /// One byte of the queue: by chunk, counted from the front, and offset in it.
  struct position {
    std::size_t chunk = 0;
    std::size_t offset = 0;
    friend bool operator==(const position&, const position&) = default;
    friend bool operator<(const position& a, const position& b) noexcept {
      return a.chunk != b.chunk ? a.chunk < b.chunk : a.offset < b.offset;
    }
  };

  /// One message, cut into frames. `whole` is the kind of the last piece; the others are `more`.
  void append(frame_kind whole, std::span<const std::byte> message);
  /// One frame of any kind.
  void append_frame(frame_kind kind, std::span<const std::byte> payload);

  // ---- writing ----------------------------------------------------------------------------
  position cursor() const noexcept { return cursor_; }
  bool anything_after(position at) const noexcept { return at < end(); }
  /// What lies at `at` in one piece, without what is in later chunks. Moves on to the next chunk
  /// where one ends.
  std::span<const std::byte> contiguous(position& at) const noexcept {
    if (at.chunk + 1 < chunks_.size() && at.offset == chunks_[at.chunk].used)
      at = {at.chunk + 1, 0};
    const chunk& c = chunks_[at.chunk];
    return {c.bytes.get() + at.offset, c.used - at.offset};
  }
  /// So many of its first bytes as are whole frames and at most `most`, but at least one frame.
  static std::size_t whole_frames(std::span<const std::byte> from, std::size_t most) noexcept;

  /// The next `bytes` have been given to a link. They were contiguous.
  void written(std::size_t bytes) noexcept {
    contiguous(cursor_);
    cursor_.offset += bytes;
    handed_out_ = std::max(handed_out_, absolute(cursor_));
  }
  /// What lies before `at` is being given to a link: the peer may have it before `written` says
  /// so. Until `settle`, which says whether that link is gone: then nobody knows what it has taken.
  void offer(position at) noexcept { offered_ = absolute(at); }
  void settle(bool gone) noexcept {
    if (gone) handed_out_ = std::max(handed_out_, offered_);
    offered_ = 0;
  }
  /// Everything from the first frame that is not acknowledged on is written again.
  void rewind() noexcept { cursor_ = acknowledged_; }
  /// For frames that are not kept until acknowledged.
  void forget_written() noexcept { acknowledged_ = cursor_; }
  void forget_all() noexcept { acknowledged_ = cursor_ = end(); }

  // ---- acknowledging ----------------------------------------------------------------------
  /// Where the frame after the first `count` of the session begins. Nothing: fewer are
  /// acknowledged by `count` than already are, or some that were never given to a link.
  std::optional<position> after(std::uint64_t count) const noexcept;
  void acknowledge(std::uint64_t count, position after) noexcept;
  std::uint64_t acknowledged() const noexcept { return acknowledged_count_; }
  /// Frees what is written and acknowledged.
  void release() {
    if (cursor_.chunk > 0 || cursor_.offset == end().offset) release_chunks();
  }

  /// Bytes from the first frame that is not acknowledged on.
  std::size_t unacknowledged() const noexcept {
    return static_cast<std::size_t>(total_ - absolute(acknowledged_));
  }
  /// Bytes of memory.
  std::size_t memory() const noexcept;

  /// The payload of the first frame of each message that is not acknowledged as a whole.
  template <class F>
  void each_unacknowledged(F f) const;

 private:
  // Two frames of the largest size.
  static constexpr std::size_t chunk_bytes = 2 * (frame_header + max_frame);
  static constexpr std::size_t nowhere = ~std::size_t{0};

  struct chunk {
    std::unique_ptr<std::byte[]> bytes{};
    std::uint64_t begin = 0;  ///< bytes of the queue before it
    std::size_t used = 0;
    std::size_t last_begin = nowhere;  ///< where the last message that begins here does
    bool goes_on = false;  ///< its last frame is not the last piece of its message
  };

  void release_chunks();
  std::byte* room_for(std::size_t bytes);
  void put(frame_kind kind, std::span<const std::byte> payload, bool begins, bool goes_on);
  std::uint64_t absolute(position at) const noexcept {
    return chunks_.empty() ? total_ : chunks_[at.chunk].begin + at.offset;
  }
  position end() const noexcept {
    return chunks_.empty() ? position{} : position{chunks_.size() - 1, chunks_.back().used};
  }
  void leave(chunk& front);

  std::vector<chunk> chunks_{};
  chunk spare_{};
  position cursor_{};
  position acknowledged_{};
  std::uint64_t acknowledged_count_ = 0;
  std::uint64_t total_ = 0;  ///< bytes ever appended
  std::uint64_t handed_out_ = 0;  ///< how far any link has come
  std::uint64_t offered_ = 0;  ///< how far the present one may have come
  /// First frame of the message that goes on from a freed chunk into the front one.
  std::vector<std::byte> head_{};
};

template <class F>
void frame_queue::each_unacknowledged(F f) const {
  std::span<const std::byte> first = head_;
  bool inside = !head_.empty();
  for (std::size_t c = 0; c < chunks_.size(); ++c) {
    const std::byte* const bytes = chunks_[c].bytes.get();
    for (std::size_t at = 0; at < chunks_[c].used;) {
      const std::size_t size = frame_header + payload_size(bytes + at);
      if (!inside) first = {bytes + at, size};
      inside = (std::to_integer<unsigned>(bytes[at]) & 1) != 0;
      if (!inside && !(position{c, at} < acknowledged_)) f(first.subspan(frame_header));
      at += size;
    }
  }
}

}  // namespace coppice::wire
