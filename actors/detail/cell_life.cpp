// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/cell_private.hpp>

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <typeinfo>
#include <utility>

#include <coppice/actors/actor.hpp>

namespace coppice::detail {

namespace {

thread_local constinit cell* under_construction = nullptr;

}  // namespace

// ---- an incarnation's life ----------------------------------------------------------------

void cell::make_incarnation(bool fresh_mailbox) {
  if (fresh_mailbox) drop_mailbox(dead_letter_reason::restarting);
  if (!reject_while_restarting_ || incarnation() == 0) lane_.accept();
  else  // until the start is complete
    lane_.refuse_restarting();
  stop_wanted_ = false;
  suspended_ = false;
  ignores_ = false;
  listening_ = listening::to_all;
  closing_ = false;
  traps_.store(false, std::memory_order_relaxed);
  incarnation_.store(incarnation() + 1, std::memory_order_relaxed);
  state_.store(cell_state::starting, std::memory_order_relaxed);
  try {
    under_construction = this;
    // The factory lies right behind the cell and the object behind the factory; see cell_layout.
    factory_->construct(factory(), object_place());
    under_construction = nullptr;
    object_ = object_place();
    if (type_->started) type_->started(object_, *this);
  } catch (...) {
    under_construction = nullptr;
    exit_reason why = reason_of(std::current_exception());
    finish(exit_reason{exit_reason::kind::start_failed, why.why()});
    return;
  }
  if (state() == cell_state::starting && !turns_) start_completed();
}

void cell::start_completed() {
  if (ignores_) {
    finish(exit_reason::normal());
    return;
  }
  state_.store(cell_state::running, std::memory_order_relaxed);
  if (reject_while_restarting_) lane_.accept();
  report(report_kind::started, {});
  if (stop_wanted_) stop_if_idle();
}

void cell::request_stop(exit_reason why) noexcept {
  if (stop_wanted_ || closing_) return;
  stop_now(std::move(why), deadline_in(shutdown_ms_));
}

void cell::stop_now(exit_reason why, tick until) noexcept {
  if (closing_) return;
  const bool first = !stop_wanted_;
  stop_wanted_ = true;
  extras& e = more();
  if (first) e.stop_reason = std::move(why);
  if (until && (!e.stop_until || until < e.stop_until)) e.stop_until = until;
}

void cell::stop_if_idle() noexcept {
  if (state() == cell_state::running && stop_wanted_ && !turns_ && !closing_ && !in_hand_)
    run_stopping();
}

void cell::run_stopping() noexcept {
  closing_ = true;
  state_.store(cell_state::stopping, std::memory_order_relaxed);
  if (!type_->stopping) {
    finish(more().stop_reason);
    return;
  }
  const exit_reason why = more().stop_reason;
  try {
    // A coroutine keeps the reference: what it refers to stays until the incarnation is over.
    type_->stopping(object_, *this, more().stop_reason);
  } catch (...) {
    finish(why.clean() ? reason_of(std::current_exception()) : why);
    return;
  }
  if (!turns_ && state() == cell_state::stopping) finish(why);
}

void cell::crash(exit_reason why, const event_type* in_hand) noexcept {
  if (home().watch && state() != cell_state::starting)
    home().watch->on_crash(crash_report{*this, in_hand, why});
  leave_turns();
  if (state() == cell_state::starting) {
    finish(exit_reason{exit_reason::kind::start_failed, why.why()});
    return;
  }
  if (closing_) {  // `stopping` threw: the first reason stands unless it was a clean one
    const exit_reason first = more().stop_reason;
    finish(first.clean() ? why : first);
    return;
  }
  if (!type_->stopping) {
    finish(std::move(why));
    return;
  }
  extras& e = more();
  e.stop_reason = std::move(why);
  e.stop_until = deadline_in(shutdown_ms_);
  if (in_hand_) {
    in_hand_->next = e.envelopes;
    e.envelopes = std::exchange(in_hand_, nullptr);
  }
  run_stopping();
}

/// Ends the incarnation without `stopping`; but a supervisor takes its children along first.
void cell::die(exit_reason why) noexcept {
  if (!type_->killed || !object_) {
    finish(std::move(why));
  } else if (closing_) {
    more().stop_reason = std::move(why);
    type_->killed(object_);
  } else {
    leave_turns();
    more().stop_reason = std::move(why);
    more().stop_until = 0;
    run_stopping();
  }
}

/// The incarnation is over: asks, frames, timers, object, envelopes; then others are told.
void cell::finish(exit_reason why) noexcept {
  const bool was_starting = state() == cell_state::starting;
  closing_ = true;
  leave_turns();
  if (stop_marks_.exchange(0, std::memory_order_relaxed) & token_taken) {
    std::stop_source source{std::nostopstate};
    {
      std::lock_guard lock{home().stop_guard};
      auto found = home().stop_sources.extract(this);
      if (!found.empty()) source = found.mapped();
    }
    source.request_stop();
  }
  if (extras_) std::destroy_at(&extras_->timers), std::construct_at(&extras_->timers);
  if (object_) type_->destroy(std::exchange(object_, nullptr));
  if (in_hand_) settle(std::exchange(in_hand_, nullptr), why);
  state_.store(cell_state::down, std::memory_order_relaxed);
  if (reject_while_restarting_) lane_.refuse_restarting();
  if (extras_) {
    extras& e = *extras_;
    for (node* x = std::exchange(e.envelopes, nullptr); x;) settle(std::exchange(x, x->next), why);
    e.stop_until = 0;
    e.partitioned = false;
    for (const cell_ptr& other : e.watching) other->tell(control::unwatch, {}, this);
    e.watching.clear();
    e.stop_reason = {};
  }
  // The parent first: whoever hears of the end and asks it finds the place free.
  const auto kind = !was_starting                                   ? report_kind::ended
                    : why.what() == exit_reason::kind::start_failed ? report_kind::start_failed
                    : ignores_ && why.what() == exit_reason::kind::normal ? report_kind::ignored
                                                                          : report_kind::ended;
  if (!extras_ && !ends_with_incarnation()) {
    report(kind, std::move(why));
    return;
  }
  report(kind, why);
  if (extras_) {
    for (const cell_ptr& other : std::exchange(extras_->links, {}))
      signal_end(other.get(), why, true);
    // Whoever ends with its address says so at the end, in one notice.
    if (!ends_with_incarnation()) tell_watchers(why, false);
  }
  if (!ends_with_incarnation()) return;
  if (!parent_ && !why.clean() && home().watch) home().watch->on_orphan(path(), why.text());
  end(why);
}

/// What becomes of an event that was in hand when its incarnation ended.
void cell::settle(node* x, const exit_reason& why) noexcept {
  if (x->type->kind == node_kind::request) {
    answer_failed(
        static_cast<request*>(x), errc::crashed,
        make_cause("the actor ended with the event in hand: " + std::string{name(why.what())},
                   path(), incarnation(), why.why()));
    return;
  }
  if (x->type->counted()) home().dead(dead_letter_reason::crashed, x->type->event, this);
  destroy(x);
}

void cell::drop(node* x, dead_letter_reason why) noexcept {
  switch (x->type->kind) {
    case node_kind::request:
    case node_kind::credit:
      answer_failed(static_cast<request*>(x), as_error(why),
                    make_cause("dropped from the mailbox", path()));
      return;
    case node_kind::event: home().dead(why, x->type->event, this); break;
    default: break;
  }
  destroy(x);
}

void cell::drop_mailbox(dead_letter_reason why) noexcept {
  if (!lane_.empty()) append(lane_.take());
  if (extras_) {
    append(extras_->interleaved.first);
    extras_->interleaved = {};
  }
  while (held_first_) {
    node* x = std::exchange(held_first_, held_first_->next);
    if (x->type->counted()) lane_.consumed(1);
    drop(x, why);
  }
  held_last_ = nullptr;
}

void cell::end(const exit_reason& why) noexcept {
  if (state() == cell_state::ended) return;
  lane_.close();
  drop_mailbox(dead_letter_reason::gone);
  state_.store(cell_state::ended, std::memory_order_relaxed);
  if (wake_at_) home().clock.note_stale(wake_later_ ? 2 : 1);
  if (caf_marks_.fetch_or(caf_ended, std::memory_order_acq_rel) & caf_shown) cleanup_foreign(why);
  tell_watchers(why, true);
  if (!parent_) home().root_ended(this);
  // What is in the system list or comes until it is closed sees an address that has ended.
  for (node* x = system_list_.take_and_end(); x;) {
    node* next = x->next;
    if (x->type->kind == node_kind::control) {
      auto& c = *static_cast<control_node*>(x);
      if (c.what == control::watch || c.what == control::link) on_control(c);
    } else if (x->type->kind == node_kind::credit) {
      answer_failed(static_cast<request*>(x), errc::gone,
                    make_cause("the address has ended", path()));
      x = next;
      continue;
    }
    destroy(x);
    x = next;
  }
}

void cell::tell_watchers(const exit_reason& why, bool gone) noexcept {
  if (!extras_) return;
  for (const auto& w : extras_->watchers) {
    auto* n = new notice_node<ended>({path(), number(), incarnation(), why, gone}, w.incarnation);
    if (w.who->push(n) != lane::outcome::put) destroy(n);
  }
  if (gone) extras_->watchers.clear();
}

void cell::report(report_kind kind, exit_reason why) noexcept {
  if (!parent_) return;
  auto* c = new control_node{control::report};
  c->report = kind;
  c->index = index();
  c->incarnation = incarnation();
  c->from = cell_ptr{this};
  c->reason = std::move(why);
  if (!parent_->push_system(c)) destroy(c);
  if (!reports_in_order_ || kind != report_kind::ended) return;
  auto* n = new notice_node<child_ended>({index(), incarnation()}, parent_->incarnation());
  if (parent_->push(n) != lane::outcome::put) destroy(n);
}

void cell::go_on_later() noexcept {
  tell(control::report);  // of no child: the kind is `go_on`
  yields_ = true;
}

exit_reason cell::reason_of(const std::exception_ptr& failure) const noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const start_failure& e) {
    return e.why;
  } catch (const std::exception& e) {
    return reason_of(e);
  } catch (...) {
    return crashed("an exception that is no std::exception", nullptr);
  }
}

/// A type's name for people. Crashes come in series: the last one is remembered.
static const std::string& readable(const std::type_info& type) {
  thread_local const std::type_info* last = nullptr;
  thread_local std::string text;
  if (last == &type) return text;
  int status = 0;
  char* plain = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  text = plain ? plain : type.name();
  std::free(plain);
  last = &type;
  return text;
}

exit_reason cell::reason_of(const std::exception& failure) const noexcept {
  if (const auto* e = dynamic_cast<const bad_result*>(&failure))
    return crashed("an error was not handled: " + std::string{name(e->error().code())},
                   e->error().why());
  const std::string& type = readable(typeid(failure));
  const std::string_view what = failure.what();
  std::string text;
  text.reserve(type.size() + 2 + what.size());
  text.append(type).append(": ").append(what);
  return crashed(std::move(text), nullptr);
}

exit_reason cell::crashed(std::string what, cause_ptr root) const {
  return exit_reason{exit_reason::kind::crashed,
                     make_cause(std::move(what), path(), incarnation(), std::move(root))};
}

}  // namespace coppice::detail

namespace coppice {

actor_base::actor_base() : cell_(detail::under_construction) {
  if (!cell_) throw std::logic_error{"an actor is made by its supervisor or by spawn, not by hand"};
}

result<void> actor_base::offer_refused(detail::cell& to, detail::node* event,
                                       detail::lane::outcome why) {
  return detail::refuse_offer(to, event, why);
}

void actor_base::nobody(const event_type& event) noexcept {
  cell_->home().dead(dead_letter_reason::gone, &event, nullptr);
}

}  // namespace coppice
