// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/peer_session_private.hpp>

#include <utility>

namespace coppice {

/// Knows which session it is of: what comes too late goes nowhere.
class peer_session::way final : public wire::outlet {
 public:
  way(std::shared_ptr<peer_session> to, std::uint64_t generation, const wire::limits& bounds)
      : to_(std::move(to)),
        generation_(generation),
        message_bytes_(bounds.message_bytes),
        reserve_bytes_(bounds.send_buffer_bytes) {}

  outcome send(wire::lane on, std::span<const std::byte> message, room in) noexcept override {
    std::lock_guard lock{to_->guard_};
    if (to_->generation_ != generation_ || !to_->session_) return outcome::closed;
    if (to_->session_->send(on, message, in == room::reserve ? reserve_bytes_ : 0))
      return outcome::taken;
    if (message.size() > message_bytes_) return outcome::too_large;
    if (in == room::reserve) to_->owes_too_much_ = true;
    else to_->wants_room_[static_cast<std::size_t>(on)] = true;
    return outcome::full;
  }
  void flush() noexcept override { to_->flush(); }

 private:
  const std::shared_ptr<peer_session> to_;
  const std::uint64_t generation_;
  const std::size_t message_bytes_;
  const std::size_t reserve_bytes_;
};

std::shared_ptr<wire::outlet> peer_session::begin(const wire::limits& bounds) {
  std::lock_guard lock{guard_};
  session_ = std::make_shared<wire::session>(bounds);
  wants_room_ = {};
  owes_too_much_ = false;
  unconfirmed_ = {};
  return std::make_shared<way>(shared_from_this(), ++generation_, bounds);
}

bool peer_session::attach(wire::link_ptr carrier, const wire::received& by_peer,
                          const wire::association_action* ready) {
  std::lock_guard lock{guard_};
  if (!session_ || !session_->attach(by_peer)) return false;
  if (ready) session_->control(ready->frame, ready->payload());
  link_ = std::move(carrier);
  blocked_ = false;
  return true;
}

void peer_session::detach() {
  std::lock_guard lock{guard_};
  link_ = nullptr;
  blocked_ = false;
  if (session_) session_->detach();
}

std::shared_ptr<wire::session> peer_session::end() {
  std::lock_guard lock{guard_};
  link_ = nullptr;
  blocked_ = false;
  ++generation_;
  return std::exchange(session_, nullptr);
}

peer_session::acknowledgement peer_session::acknowledged(const wire::received& by_peer) {
  std::lock_guard lock{guard_};
  if (!session_) return acknowledgement::taken;
  if (!session_->acknowledged(by_peer)) return acknowledgement::lie;
  bool again = false;
  for (const auto on : {wire::lane::user, wire::lane::bulk}) {
    bool& wanted = wants_room_[static_cast<std::size_t>(on)];
    if (!wanted || !session_->has_room(on, wire::max_frame)) continue;
    wanted = false;
    again = true;
  }
  return again ? acknowledgement::room_again : acknowledgement::taken;
}

void peer_session::writable(const wire::link& which) {
  {
    std::lock_guard lock{guard_};
    if (link_.get() != &which) return;
    blocked_ = false;
    writable_ = true;
  }
  flush();
}

bool peer_session::overrun() {
  std::lock_guard lock{guard_};
  return std::exchange(owes_too_much_, false);
}

peer_session::duration peer_session::still_unconfirmed(duration ran) {
  std::lock_guard lock{guard_};
  if (!session_ || session_->buffered() == 0 || session_->peer_has() != confirmed_)
    unconfirmed_ = {};
  else unconfirmed_ += ran;
  if (session_) confirmed_ = session_->peer_has();
  return unconfirmed_;
}

void peer_session::control(wire::frame_kind kind, std::span<const std::byte> payload) {
  {
    std::lock_guard lock{guard_};
    if (session_) session_->control(kind, payload);
  }
  flush();
}

void peer_session::flush() noexcept {
  std::unique_lock lock{guard_};
  if (writing_ || blocked_ || !link_) return;
  writing_ = true;
  std::array<std::span<const std::byte>, 32> pieces;
  while (session_ && link_ && !blocked_ && session_->anything_to_write()) {
    const auto from = session_;
    const auto to = link_;
    const std::size_t n = from->gather(pieces);
    std::size_t offered = 0;
    for (std::size_t i = 0; i < n; ++i) offered += pieces[i].size();
    writable_ = false;
    lock.unlock();
    const std::size_t taken = to->write(std::span{pieces}.first(n));
    lock.lock();
    from->wrote(taken);
    // Unless `writable` was faster than this thread.
    if (to == link_ && taken < offered && !writable_) blocked_ = true;
  }
  writing_ = false;
}

wire::link_ptr peer_session::link() const {
  std::lock_guard lock{guard_};
  return link_;
}

std::optional<std::size_t> peer_session::buffered() const {
  std::lock_guard lock{guard_};
  if (!session_) return std::nullopt;
  return session_->buffered();
}

}  // namespace coppice
