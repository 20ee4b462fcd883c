// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/frame_queue.hpp>

#include <cstring>
#include <utility>

namespace coppice::wire {

std::byte* frame_queue::room_for(std::size_t bytes) {
  if (chunks_.empty() || chunk_bytes - chunks_.back().used < bytes) {
    chunk next = std::move(spare_);
    if (!next.bytes) next.bytes = std::make_unique_for_overwrite<std::byte[]>(chunk_bytes);
    next.begin = total_;
    next.used = 0;
    next.last_begin = nowhere;
    next.goes_on = false;
    chunks_.push_back(std::move(next));
  }
  chunk& last = chunks_.back();
  std::byte* const room = last.bytes.get() + last.used;
  last.used += bytes;
  total_ += bytes;
  return room;
}

void frame_queue::put(frame_kind kind, std::span<const std::byte> payload, bool begins,
                      bool goes_on) {
  std::byte* const to = room_for(frame_header + payload.size());
  write_header(to, kind, payload.size());
  if (!payload.empty()) std::memcpy(to + frame_header, payload.data(), payload.size());
  chunk& last = chunks_.back();
  if (begins) last.last_begin = static_cast<std::size_t>(to - last.bytes.get());
  last.goes_on = goes_on;
}

void frame_queue::append_frame(frame_kind kind, std::span<const std::byte> payload) {
  put(kind, payload, true, false);
}

void frame_queue::append(frame_kind whole, std::span<const std::byte> message) {
  const auto more = static_cast<frame_kind>(static_cast<unsigned>(whole) | 1u);
  bool begins = true;
  while (message.size() > max_frame) {
    put(more, message.first(max_frame), begins, true);
    message = message.subspan(max_frame);
    begins = false;
  }
  put(whole, message, begins, false);
}

std::size_t frame_queue::whole_frames(std::span<const std::byte> from, std::size_t most) noexcept {
  std::size_t size = frame_header + payload_size(from.data());
  while (size < from.size()) {
    const std::size_t next = size + frame_header + payload_size(from.data() + size);
    if (next > most) break;
    size = next;
  }
  return size;
}

std::optional<frame_queue::position> frame_queue::after(std::uint64_t count) const noexcept {
  if (count < acknowledged_count_) return std::nullopt;
  const std::uint64_t most = std::max(handed_out_, offered_);
  position at = acknowledged_;
  for (std::uint64_t known = acknowledged_count_; known < count; ++known) {
    if (absolute(at) >= most) return std::nullopt;
    at.offset += frame_header + payload_size(contiguous(at).data());
  }
  if (absolute(at) > most) return std::nullopt;
  return at;
}

void frame_queue::acknowledge(std::uint64_t count, position after) noexcept {
  acknowledged_count_ = count;
  acknowledged_ = after;
}

void frame_queue::leave(chunk& front) {
  if (!front.goes_on) {
    head_.clear();
  } else if (front.last_begin != nowhere) {
    const std::byte* const first = front.bytes.get() + front.last_begin;
    head_.assign(first, first + frame_header + payload_size(first));
  }
}

void frame_queue::release_chunks() {
  if (const std::size_t done = std::min(cursor_.chunk, acknowledged_.chunk); done > 0) {
    for (std::size_t c = 0; c < done; ++c) leave(chunks_[c]);
    spare_ = std::move(chunks_.front());
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(done));
    cursor_.chunk -= done;
    acknowledged_.chunk -= done;
  }
  // All of it: the next frame is put where the caches are warm.
  if (chunks_.size() == 1 && cursor_ == end() && acknowledged_ == end() && cursor_.offset > 0) {
    head_.clear();
    chunk& only = chunks_.front();
    only.begin = total_;
    only.used = 0;
    only.last_begin = nowhere;
    cursor_ = acknowledged_ = {};
  }
}

std::size_t frame_queue::memory() const noexcept {
  return (chunks_.size() + (spare_.bytes ? 1 : 0)) * chunk_bytes + head_.capacity();
}

}  // namespace coppice::wire
