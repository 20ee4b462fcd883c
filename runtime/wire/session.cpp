// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/session.hpp>

#include <algorithm>

namespace coppice::wire {

session::session(const limits& bounds)
    : message_bytes_(bounds.message_bytes), send_buffer_bytes_(bounds.send_buffer_bytes) {}

bool session::control(frame_kind kind, std::span<const std::byte> payload) {
  frame_queue& queue = queues_[control_index];
  if (!attached_ || queue.unacknowledged() + frame_header + payload.size() > control_bytes)
    return false;
  queue.append_frame(kind, payload);
  return true;
}

bool session::catch_up(received by_peer) {
  const auto user = queues_[0].after(by_peer.user);
  const auto bulk = queues_[1].after(by_peer.bulk);
  if (!user || !bulk) return false;
  queues_[0].acknowledge(by_peer.user, *user);
  queues_[1].acknowledge(by_peer.bulk, *bulk);
  return true;
}

bool session::attach(received by_peer) {
  if (!catch_up(by_peer)) return false;
  queues_[0].rewind();
  queues_[1].rewind();
  detach();
  attached_ = true;
  return true;
}

void session::detach() {
  queues_[control_index].forget_all();
  rest_of_ = none;
  rest_ = 0;
  turn_ = 0;
  attached_ = false;
  stale_ = !plan_.empty();
  release();
}

std::size_t session::gather(std::span<std::span<const std::byte>> into) {
  detail::require(!stale_, "a session is read for a new link while an old one is written to");
  plan_.clear();
  if (!attached_) return 0;
  std::array<frame_queue::position, 3> at;
  for (std::size_t q = 0; q < at.size(); ++q) at[q] = queues_[q].cursor();

  std::size_t filled = 0;
  const auto put = [&](std::size_t queue, std::size_t most) {
    auto bytes = queues_[queue].contiguous(at[queue]);
    bytes = bytes.first(std::min(most, bytes.size()));
    at[queue].offset += bytes.size();
    plan_.push_back({queue, bytes.size()});
    into[filled++] = bytes;
  };
  const auto left = [&](std::size_t queue) { return queues_[queue].anything_after(at[queue]); };

  if (rest_of_ != none && !into.empty()) put(rest_of_, rest_);
  while (filled < into.size() && left(control_index)) put(control_index, ~std::size_t{0});
  for (std::size_t turn = turn_; filled < into.size(); turn = 1 - turn) {
    const bool mine = left(turn);
    const bool other = left(1 - turn);
    if (!mine && !other) break;
    if (!mine) turn = 1 - turn;
    if (mine && other)
      put(turn, frame_queue::whole_frames(queues_[turn].contiguous(at[turn]), run_bytes));
    else put(turn, ~std::size_t{0});
  }
  for (std::size_t q = 0; q < at.size(); ++q) queues_[q].offer(at[q]);
  return filled;
}

void session::wrote(std::size_t bytes) {
  if (!stale_) {
    for (const segment& s : plan_) {
      if (bytes == 0) break;
      frame_queue& queue = queues_[s.queue];
      const std::size_t taken = std::min(bytes, s.bytes);
      auto begin = queue.cursor();
      const auto planned = queue.contiguous(begin).first(s.bytes);
      queue.written(taken);
      bytes -= taken;
      if (s.queue != control_index) turn_ = 1 - s.queue;
      if (rest_of_ != none) {
        // The first segment is the rest of a frame.
        rest_ -= taken;
      } else if (taken < s.bytes) {
        std::size_t whole = 0;
        while (whole < taken) whole += frame_header + payload_size(planned.data() + whole);
        rest_ = whole - taken;
        rest_of_ = s.queue;
      }
      if (rest_ == 0) rest_of_ = none;
    }
    detail::require(bytes == 0, "a link has taken more than it was given");
    queues_[control_index].forget_written();
  }
  for (auto& queue : queues_) queue.settle(stale_);
  stale_ = false;
  plan_.clear();
  release();
}

bool session::acknowledged(received by_peer) {
  if (!catch_up(by_peer)) return false;
  release();
  return true;
}

void session::release() {
  // Someone may be reading what was gathered; `wrote` will come here again.
  if (!plan_.empty()) return;
  for (auto& queue : queues_) queue.release();
}

std::size_t session::memory() const noexcept {
  std::size_t bytes = 0;
  for (const auto& queue : queues_) bytes += queue.memory();
  return bytes;
}

}  // namespace coppice::wire
