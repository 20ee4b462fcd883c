// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/caf/interop.hpp>

#include <mutex>

#include <caf/detail/sync_request_bouncer.hpp>
#include <caf/error.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

#include <coppice/actors/caf/shell_private.hpp>

namespace coppice::detail {

void caf_bridge::add(converter c) {
  std::unique_lock lock{guard_};
  for (const converter& known : converters_)
    if (known.event == c.event) return;
  converters_.push_back(c);
}

namespace {

/// A CAF actor has sent a one-way event as a request: it is told whether the event was taken.
void confirm(cell& to, node* event, caf::mailbox_element& message) {
  result<void> taken;
  const auto outcome = to.push(event);
  if (outcome != lane::outcome::put) taken = refuse_offer(to, event, outcome);
  message.sender->enqueue(show_to_caf(to), message.mid.response_id(),
                          taken ? caf::make_message() : caf::make_message(to_caf(taken.error())),
                          nullptr);
}

}  // namespace

void caf_bridge::deliver(cell& to, caf::mailbox_element_ptr message) {
  const auto& content = message->content();
  if (content.match_elements<caf::exit_msg>()) {
    const auto& e = content.get_as<caf::exit_msg>(0);
    exit_reason why = from_caf(e.reason);
    to.tell(control::signal, std::move(why));
    return;
  }
  if (content.match_elements<caf::down_msg>()) return;
  if (to.state() == cell_state::ended) {
    caf::detail::sync_request_bouncer bounce{caf::exit_reason::user_shutdown};
    bounce(*message);
    return;
  }
  {
    std::shared_lock lock{guard_};
    for (const converter& c : converters_) {
      if (!to.accepts(*c.event)) continue;
      node* x = c.take(to, *message);
      if (!x) continue;
      if (x->type->kind == node_kind::event && message->mid.is_request() && message->sender)
        confirm(to, x, *message);
      else to.send(x);
      return;
    }
  }
  if (message->mid.is_request() && message->sender) {
    message->sender->enqueue(show_to_caf(to), message->mid.response_id(),
                             caf::make_message(caf::make_error(caf::sec::unexpected_message)),
                             nullptr);
    return;
  }
  to.home().dead(dead_letter_reason::unknown_event, nullptr, &to);
}

caf::error to_caf(const exit_reason& why) {
  switch (why.what()) {
    case exit_reason::kind::normal: return {};
    case exit_reason::kind::shutdown: return caf::exit_reason::user_shutdown;
    case exit_reason::kind::killed:
    case exit_reason::kind::kill: return caf::exit_reason::kill;
    default: return caf::make_error(caf::sec::runtime_error, why.text());
  }
}

exit_reason from_caf(const caf::error& why) {
  if (!why) return exit_reason::normal();
  if (why == caf::exit_reason::kill) return exit_reason::kill();
  if (why == caf::exit_reason::user_shutdown) return exit_reason::shutdown();
  return exit_reason::failed("CAF: " + caf::to_string(why));
}

error answer_from_caf(const caf::error& why) {
  errc code = errc::failed;
  if (why == caf::sec::request_receiver_down) code = errc::crashed;
  if (why == caf::sec::request_timeout) code = errc::timeout;
  if (why == caf::sec::unexpected_message) code = errc::unknown_event;
  return error{code, "CAF: " + caf::to_string(why)};
}

caf::error to_caf(const error& e) {
  if (e.code() == errc::gone) return caf::make_error(caf::sec::request_receiver_down, e.message());
  return caf::make_error(caf::sec::runtime_error, e.message());
}

caf::strong_actor_ptr show_to_caf(cell& x) noexcept {
  x.show_to_caf();
  return caf::actor_control_block::from(&shell::of(x));
}

caf::actor_system& caf_system_of(cell& x) noexcept { return shell::of(x).home_system(); }

tick far_deadline(const cell& x) noexcept { return x.deadline_in(7 * 86'400'000LL); }

}  // namespace coppice::detail
