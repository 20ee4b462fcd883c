// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/cell_private.hpp>

#include <algorithm>
#include <string>
#include <utility>

#include <coppice/actors/actor.hpp>

namespace coppice::detail {

// ---- system events ------------------------------------------------------------------------

void cell::handle_system() {
  for (node* x = system_list_.take(); x;) {
    node* next = x->next;
    if (x->type->kind == node_kind::reply) {
      on_reply(static_cast<request*>(x));
    } else if (x->type->kind == node_kind::credit && type_->proxy && object_) {
      x->next = nullptr;
      type_->dispatch(object_, x, *this);
    } else if (x->type->kind == node_kind::credit) {
      x->type = &credit_node::as_reply;
      answer(static_cast<request*>(x));
    } else {
      auto& c = *static_cast<control_node*>(x);
      on_control(c);
      destroy(x);
    }
    x = next;
  }
}

void cell::on_control(control_node& c) {
  const cell_state s = state();
  const bool alive =
      s == cell_state::starting || s == cell_state::running || s == cell_state::stopping;
  if (type_->proxy && alive && c.what >= control::watch && c.what <= control::signal) {
    type_->proxy->control(object_, c);
    return;
  }
  switch (c.what) {
    case control::start:
      if (s != cell_state::down) break;
      index_.store(c.index, std::memory_order_relaxed);
      reports_in_order_ = c.incarnation != 0;
      make_incarnation(c.flag);
      break;
    case control::stop:
      if (c.flag) ends_with_incarnation_.store(true, std::memory_order_relaxed);
      if (s == cell_state::running && !turns_ && !type_->stopping) {
        finish(std::move(c.reason));
      } else if (s == cell_state::running) {
        stop_now(std::move(c.reason), stop_node::deadline_of(c));
        stop_if_idle();
      } else if (s == cell_state::starting) {
        die(std::move(c.reason));
      } else if (s == cell_state::down) {
        stop_marks_.store(0, std::memory_order_relaxed);
        report(report_kind::ended, std::move(c.reason));
      }
      break;
    case control::kill:
      if (c.flag) ends_with_incarnation_.store(true, std::memory_order_relaxed);
      if (alive) {
        die(std::move(c.reason));
      } else if (s == cell_state::down) {
        stop_marks_.store(0, std::memory_order_relaxed);
        report(report_kind::ended, std::move(c.reason));
      }
      break;
    case control::end:
      if (s == cell_state::ended) break;
      ends_with_incarnation_.store(false, std::memory_order_relaxed);
      if (alive) finish(c.reason);
      end(c.reason);
      break;
    case control::hold:
      if (s != cell_state::down) break;
      lane_.refuse_stopped();
      drop_mailbox(dead_letter_reason::stopped);
      break;
    case control::wake: on_wake(now()); break;
    case control::suspend: suspended_ = true; break;
    case control::resume: suspended_ = false; break;
    case control::watch:
      if (s == cell_state::ended) {
        auto* n = new notice_node<ended>(
            {path(), number(), incarnation(),
             exit_reason{exit_reason::kind::noproc, make_cause("the address had ended")}, true},
            c.incarnation);
        if (c.from->push(n) != lane::outcome::put) destroy(n);
      } else {
        more().watchers.push_back({c.from, c.incarnation});
      }
      break;
    case control::unwatch:
      if (extras_) std::erase_if(extras_->watchers, [&](const auto& w) { return w.who == c.from; });
      break;
    case control::link:
      if (alive && c.from.get() != this) {
        auto& links = more().links;
        if (std::find(links.begin(), links.end(), c.from) == links.end()) links.push_back(c.from);
      } else if (!alive) {
        signal_end(c.from.get(),
                   exit_reason{exit_reason::kind::noproc,
                               make_cause("it was linked to an actor that does not "
                                          "run",
                                          path())},
                   true);
      }
      break;
    case control::unlink:
      if (extras_) std::erase(extras_->links, c.from);
      break;
    case control::signal:
      if (alive) on_signal(c);
      else stop_marks_.store(0, std::memory_order_relaxed);
      break;
    case control::report:
      if (alive && type_->child_report) {
        try {
          type_->child_report(object_, c);
        } catch (...) {
          crash(reason_of(std::current_exception()));
        }
        if (stop_wanted_) stop_if_idle();
      }
      break;
  }
}

void cell::on_signal(control_node& c) {
  using kind = exit_reason::kind;
  const kind what = c.reason.what();
  if (c.flag) {
    if (!extras_) return;
    const auto link = std::find(extras_->links.begin(), extras_->links.end(), c.from);
    if (link == extras_->links.end()) return;
    if (!traps_.load(std::memory_order_relaxed)) extras_->links.erase(link);
  }
  const bool untrappable = !c.flag && what == kind::kill;
  if (traps_.load(std::memory_order_relaxed) && !untrappable) {
    if (!lane_.empty()) append(lane_.take());
    append(new notice_node<exit_signal>(
        {c.from ? c.from->path() : std::string{}, c.from ? c.from->number() : 0, c.reason, c.flag},
        incarnation()));
    return;
  }
  if (untrappable) die(exit_reason{kind::killed, c.reason.why()});
  else if (what != kind::normal || (c.from.get() == this && !c.flag)) die(c.reason);
}

cell::relation_counts cell::relations() const noexcept {
  const bool traps = traps_.load(std::memory_order_relaxed);
  if (!extras_) return {0, 0, traps};
  return {extras_->links.size(), extras_->watchers.size(), traps};
}

// ---- timers, watches, links ---------------------------------------------------------------

timer_key cell::arm_timer(std::string_view name, std::int64_t ms, std::int64_t period, node* event,
                          node* (*copy)(const node*)) {
  const tick at = deadline_in(ms);
  const timer_key key =
      more().timers.arm(name, at, copy ? std::max<std::int64_t>(period, 1) : 0, event, copy);
  want_wake(at);
  return key;
}

bool cell::cancel_timer(timer_key key) noexcept { return extras_ && extras_->timers.cancel(key); }

bool cell::cancel_timer(std::string_view name) noexcept {
  return extras_ && extras_->timers.cancel(name);
}

void cell::watch(cell* other) {
  if (other && other != this) {
    auto& watching = more().watching;
    if (std::find(watching.begin(), watching.end(), cell_ptr{other}) != watching.end()) return;
    if (watching.size() == max_relations)
      throw bad_result{error{errc::limit, "an actor watches at most 10000 others", path()}};
    watching.push_back(cell_ptr{other});
    if (other->tell(control::watch, {}, this)) return;
  }
  auto* n = new notice_node<ended>(
      {other ? other->path() : std::string{}, other ? other->number() : 0,
       other ? other->incarnation() : 0,
       exit_reason{exit_reason::kind::noproc, make_cause("the address had ended")}, true},
      incarnation());
  if (push(n) != lane::outcome::put) destroy(n);
}

void cell::unwatch(cell* other) noexcept {
  if (!other || !extras_) return;
  if (std::erase(extras_->watching, cell_ptr{other})) other->tell(control::unwatch, {}, this);
}

void cell::link(cell* other) {
  if (!other || other == this) return;
  auto& links = more().links;
  if (std::find(links.begin(), links.end(), cell_ptr{other}) != links.end()) return;
  if (links.size() == max_relations)
    throw bad_result{error{errc::limit, "an actor is linked to at most 10000 others", path()}};
  links.push_back(cell_ptr{other});
  if (other->tell(control::link, {}, this)) return;
  auto* c = new control_node{control::signal};
  c->flag = true;
  c->from = cell_ptr{other};
  c->reason = exit_reason{exit_reason::kind::noproc, make_cause("the address had ended")};
  if (!push_system(c)) destroy(c);
}

void cell::unlink(cell* other) noexcept {
  if (!other || !extras_) return;
  if (std::erase(extras_->links, cell_ptr{other})) other->tell(control::unlink, {}, this);
}

void cell::exit(cell* other, const exit_reason& why) noexcept {
  if (other) signal_end(other, why, false);
}

/// Sends an exit signal. To an actor that traps exits it goes where its events go, so that it
/// arrives behind what this one has sent before.
void cell::signal_end(cell* to, const exit_reason& why, bool linked) noexcept {
  using kind = exit_reason::kind;
  const bool untrappable = !linked && why.what() == kind::kill;
  if (to->traps_.load(std::memory_order_relaxed) && !untrappable) {
    auto* n = new notice_node<exit_signal>({path(), number(), why, linked}, to->incarnation());
    if (to->push(n) != lane::outcome::put) destroy(n);
    return;
  }
  if (untrappable) to->raise_stop_token();
  auto* c = new control_node{control::signal};
  c->flag = linked;
  c->from = cell_ptr{this};
  c->reason = why;
  if (!to->push_system(c)) destroy(c);
}

}  // namespace coppice::detail

namespace coppice {

std::string crash_report::path() const { return cell_.path(); }
std::string_view crash_report::type() const noexcept { return cell_.type().name; }
std::uint32_t crash_report::incarnation() const noexcept { return cell_.incarnation(); }
std::string_view crash_report::event() const noexcept {
  return in_hand_ ? in_hand_->type_name : std::string_view{};
}
std::uint32_t crash_report::waiting() const noexcept { return cell_.depth(); }
std::uint64_t crash_report::handled() const noexcept { return cell_.handled(); }
std::size_t crash_report::links() const noexcept { return cell_.relations().links; }
std::size_t crash_report::watchers() const noexcept { return cell_.relations().watchers; }
bool crash_report::traps_exits() const noexcept { return cell_.relations().traps; }

}  // namespace coppice
