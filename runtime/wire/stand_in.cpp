// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/stand_in_private.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace coppice::wire {

using detail::node_kind;
using detail::notice_node;
using detail::request;

namespace {

/// A target that was not there is asked for again at most so often.
constexpr tick retry_ms = 100;
/// Exit signals that wait until the target is known.
constexpr std::size_t most_signals = 1'000;

}  // namespace

const detail::node_type news::type_record{&discard, nullptr, node_kind::control};

void tell(cell& whom, news* what) noexcept {
  if (!whom.push_system(what)) detail::destroy(what);
}

/// Nothing but this exchange makes proxies.
const std::shared_ptr<remote_address>* address_of(const cell& x) noexcept {
  return x.type().proxy ? &static_cast<const seed*>(x.arguments())->at : nullptr;
}

stand_in::~stand_in() {
  if (held_) refuse(held_, {errc::gone, dead_letter_reason::gone, "the address has ended"});
}

const std::vector<const event_type*>& stand_in::events_of(const detail::node* reach) noexcept {
  return static_cast<const detail::request_node<detail_wire::reach>*>(reach)->value.events;
}

void stand_in::answer_reach(detail::node* x, const refusal* why) const {
  auto* r = static_cast<detail::request_node<detail_wire::reach>*>(x);
  if (why) r->fail(error{why->code, why->why, path()});
  else r->succeed({});
  detail::answer(r);
}

void stand_in::refuse(detail::node* x, const refusal& why) noexcept {
  switch (x->type->kind) {
    case node_kind::request:
    case node_kind::credit:
      detail::answer_failed(static_cast<request*>(x), why.code, make_cause(why.why, path()));
      return;
    case node_kind::event: cell_->home().dead(why.letter, x->type->event, cell_); break;
    default: break;
  }
  detail::destroy(x);
}

void stand_in::become_absent(refusal why) {
  state_ = state::absent;
  absence_ = std::move(why);
  signals_.clear();  // nobody is there to be told
  retry_at_ = now() + retry_ms;
}

void stand_in::become_absent_for_good() {
  at_->gone = true;
  state_ = state::absent;
  absence_ = {errc::gone, dead_letter_reason::gone, "the address has ended"};
  retry_at_ = std::numeric_limits<tick>::max();
}

bool stand_in::keep_signal(const detail::control_node& c) {
  if (signals_.size() == most_signals) {
    cell_->home().dead(dead_letter_reason::overflow, nullptr, cell_);
    return false;
  }
  signals_.push_back({c.from, c.reason, c.flag});
  return true;
}

bool stand_in::drop_watcher(const cell_ptr& who) {
  return std::erase_if(watchers_, [&](const watcher& w) { return w.who == who; }) > 0;
}

bool stand_in::drop_link(const cell_ptr& who) { return std::erase(links_, who) > 0; }

exit_reason stand_in::reason(exit_reason::kind what, std::string_view why) const {
  return exit_reason{what, make_cause(std::string{why}, path())};
}

void stand_in::tell_watcher(const watcher& w, std::uint32_t incarnation, const exit_reason& why,
                            bool gone) {
  auto* n =
      new notice_node<ended>({path(), cell_->number(), incarnation, why, gone}, w.incarnation);
  if (w.who->push(n) != detail::lane::outcome::put) detail::destroy(n);
}

void stand_in::tell_watchers(std::uint32_t incarnation, const exit_reason& why, bool gone) {
  for (const watcher& w : watchers_) tell_watcher(w, incarnation, why, gone);
}

void stand_in::tell_links(const exit_reason& why) {
  for (const cell_ptr& l : std::exchange(links_, {})) cell_->signal_end(l.get(), why, true);
}

void stand_in::lose(const exit_reason& why, bool gone) {
  tell_watchers(0, why, gone);
  if (gone) watchers_.clear();
  signals_.clear();
  tell_links(why);
}

}  // namespace coppice::wire
