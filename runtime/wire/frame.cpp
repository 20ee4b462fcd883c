// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/frame.hpp>

#include <algorithm>

namespace coppice::wire {

std::string_view name(frame_kind kind) noexcept {
  switch (kind) {
    case frame_kind::hello: return "hello";
    case frame_kind::welcome: return "welcome";
    case frame_kind::refuse: return "refuse";
    case frame_kind::heartbeat: return "heartbeat";
    case frame_kind::ack: return "ack";
    case frame_kind::goodbye: return "goodbye";
    case frame_kind::gossip: return "gossip";
    case frame_kind::ready: return "ready";
    case frame_kind::user: return "user";
    case frame_kind::user_more: return "user_more";
    case frame_kind::bulk: return "bulk";
    case frame_kind::bulk_more: return "bulk_more";
  }
  return "unknown";
}

std::vector<std::byte> whole_frame(frame_kind kind, std::span<const std::byte> payload) {
  detail::require(payload.size() <= max_frame, "a frame's payload is longer than a frame may be");
  std::vector<std::byte> frame(frame_header + payload.size());
  write_header(frame.data(), kind, payload.size());
  std::copy(payload.begin(), payload.end(), frame.begin() + frame_header);
  return frame;
}

std::array<std::byte, 16> write_ack(received counts) noexcept {
  std::array<std::byte, 16> bytes;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::byte>(counts.user >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::byte>(counts.bulk >> (56 - 8 * i));
  }
  return bytes;
}

std::optional<received> read_ack(std::span<const std::byte> payload) noexcept {
  if (payload.size() < 16) return std::nullopt;
  received counts;
  for (std::size_t i = 0; i < 8; ++i) {
    counts.user = counts.user << 8 | std::to_integer<std::uint64_t>(payload[i]);
    counts.bulk = counts.bulk << 8 | std::to_integer<std::uint64_t>(payload[8 + i]);
  }
  return counts;
}

bool arrivals::add_piece(incoming& in, std::span<const std::byte> piece) {
  if (piece.size() > message_bytes_ - in.held.size()) return false;
  in.held.insert(in.held.end(), piece.begin(), piece.end());
  return true;
}

void arrivals::forget(incoming& in) {
  // Kept for the next one, unless it was one of the rare long ones.
  constexpr std::size_t worth_keeping = std::size_t{1024} * 1024;
  in.held.clear();
  if (in.held.capacity() > worth_keeping) std::vector<std::byte>{}.swap(in.held);
}

void frame_reader::open(arrivals& into, received from) noexcept {
  const received have = into.counts();
  detail::require(from.user <= have.user && from.bulk <= have.bulk,
                  "the peer was told of more frames than have arrived");
  into_ = &into;
  skip_ = {have.user - from.user, have.bulk - from.bulk};
  // What tells the peer of these may have been lost with the older link.
  if (have != from && into.pending_bytes_ == 0) into.pending_bytes_ = 1;
  stage_ = stage::open;
}

std::size_t frame_reader::admit_other(unsigned number, std::size_t size) noexcept {
  const auto kind = static_cast<frame_kind>(number);
  const bool exists = (number >= 1 && number <= 8) || (number >= 0x10 && number <= 0x13);
  if (!exists) return stop("a frame is of a kind that does not exist");
  if (stage_ == stage::open) {
    if (is_handshake(kind)) return stop("a handshake frame comes after the handshake");
    if (size > max_frame) return stop("a frame is longer than allowed");
    return frame_header + size;
  }
  const bool expected =
      (stage_ == stage::hello && kind == frame_kind::hello) ||
      (stage_ == stage::ready && kind == frame_kind::ready) ||
      (stage_ == stage::welcome && (kind == frame_kind::welcome || kind == frame_kind::refuse));
  if (!expected)
    return stop(is_handshake(kind) ? "a handshake frame is out of place"
                                   : "a frame comes before the handshake is done");
  if (size > max_handshake) return stop("a handshake frame is longer than allowed");
  return frame_header + size;
}

/// Adds to the frame that has begun; true: it is whole. Grows with what has come, not with what
/// the header promises.
bool frame_reader::complete(std::span<const std::byte>& bytes) {
  const auto add = [&](std::size_t up_to) {
    const auto part = bytes.first(std::min(bytes.size(), up_to - held_.size()));
    held_.insert(held_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    return held_.size() == up_to;
  };
  if (held_.size() < frame_header && !add(frame_header)) return false;
  const std::size_t size = admit(held_.data());
  return size != 0 && add(size);
}

void frame_reader::begin_stage_after(frame_kind kind) noexcept {
  if (is_handshake(kind)) stage_ = kind == frame_kind::hello ? stage::ready : stage::shut;
}

bool frame_reader::stop(const char* why) noexcept {
  stopped_ = true;
  if (failure_ == nullptr) failure_ = why;
  return false;
}

}  // namespace coppice::wire
