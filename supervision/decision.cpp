// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/decision.hpp>

#include <coppice/actors/detail/assert.hpp>
#include <coppice/supervision/verdict.hpp>

#include <algorithm>
#include <iterator>

namespace coppice {

namespace {

bool moves(child_state state) noexcept {
  return state == child_state::starting || state == child_state::stopping ||
         state == child_state::killing;
}

/// There is an incarnation of it.
bool is_there(child_state state) noexcept {
  return state == child_state::running || state == child_state::stopping ||
         state == child_state::killing;
}

/// OTP: it has a pid, or is being restarted.
bool counts_as_there(child_state state) noexcept {
  return state != child_state::stopped && state != child_state::removed;
}

/// In its place at once: most of what a supervisor of many children does is to fill and to read
/// these, and a copy of one that has just been written makes the processor wait.
action& add_to(std::vector<action>& out, action::kind what, child_index child,
               std::uint32_t incarnation) {
  action& a = out.emplace_back();
  a.what = what;
  a.child = child;
  a.incarnation = incarnation;
  return a;
}

std::string in_ms(std::chrono::milliseconds time) { return std::to_string(time.count()) + " ms"; }

std::string more_than(const intensity& limit) {
  return "needed more than " + std::to_string(limit.restarts) + " restarts in " +
         in_ms(limit.period);
}

std::string id_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string_view name(child_state state) noexcept {
  switch (state) {
    case child_state::stopped: return "stopped";
    case child_state::starting: return "starting";
    case child_state::running: return "running";
    case child_state::ended: return "ended";
    case child_state::restarting: return "restarting";
    case child_state::stopping: return "stopping";
    case child_state::killing: return "killing";
    case child_state::removed: return "removed";
  }
  return "unknown";
}

std::string_view name(report_context about) noexcept {
  switch (about) {
    case report_context::progress: return "progress";
    case report_context::child_terminated: return "child_terminated";
    case report_context::start_error: return "start_error";
    case report_context::shutdown_error: return "shutdown_error";
    case report_context::shutdown: return "shutdown";
  }
  return "unknown";
}

decision::decision(supervisor_spec spec, child_names names) : spec_(spec), names_(names) {}

std::uint32_t decision::share(child_spec policy) {
  policy.id.clear();
  // Children mostly share a few policies; looking further back would make many distinct ones slow.
  constexpr std::ptrdiff_t looked_at = 16;
  const auto known =
      std::find_if(policies_.end() - std::min(looked_at, std::ssize(policies_)), policies_.end(),
                   [&](const shared_policy& p) { return p.users > 0 && p.spec == policy; });
  auto at = static_cast<std::uint32_t>(known - policies_.begin());
  if (known == policies_.end()) {
    if (free_policies_.empty()) {
      policies_.emplace_back();
    } else {
      at = free_policies_.back();
      free_policies_.pop_back();
    }
    policies_[at].spec = std::move(policy);
  }
  ++policies_[at].users;
  return at;
}

child_index decision::add(const child_spec& spec, std::uint32_t incarnation) {
  const std::uint32_t at = share(spec);
  child_index child = static_cast<child_index>(children_.size());
  if (free_children_.empty()) {
    detail::require(child < no_child, "a supervisor has too many children");
    children_.emplace_back();
  } else {
    child = free_children_.back();
    free_children_.pop_back();
  }
  record& r = children_[child];
  r = record{};
  r.incarnation = incarnation;
  r.policy = at;
  r.previous = last_;
  (last_ == no_child ? first_ : children_[last_].next) = child;
  last_ = child;
  ++size_;
  if (spec.kind == child_kind::supervisor) ++supervisors_;
  return child;
}

// ---- inputs ---------------------------------------------------------------------------------

void decision::begin(time now, actions& out) {
  if (phase_ != phase::fresh) return;
  phase_ = phase::starting;
  for (child_index c = first_; c != no_child; c = next(c)) plan_.then(plan::start, c);
  plan_.begin(ready_);
  advance(now, out);
}

void decision::started(child_index child, std::uint32_t incarnation, time now, actions& out) {
  record* r = current(child, incarnation);
  if (!r || r->state != child_state::starting) return;
  r->armed = deadline_kind::none;
  set(*r, child_state::running);
  r->started_at = now.count();
  r->start = started_by::itself;
  report(report_context::progress, child, {}, out);
  answer_all(*r, true, {.what = action::kind::answer, .running = true, .child = child}, out);
  if (r->step == none) return;
  finish_step(*r);
  advance(now, out);
}

void decision::ignored(child_index child, std::uint32_t incarnation, time now, actions& out) {
  record* r = current(child, incarnation);
  if (!r || r->state != child_state::starting) return;
  r->armed = deadline_kind::none;
  set(*r, child_state::stopped);
  r->start = started_by::itself;
  hold(child, out);
  answer_all(*r, true, {.what = action::kind::answer, .child = child}, out);
  finish_step(*r);
  if (policy(*r).restart == restart::temporary || spec_.strategy == strategy::simple_one_for_one)
    remove(child, exit_reason::normal(), out);
  advance(now, out);
}

void decision::start_failed(child_index child, std::uint32_t incarnation, exit_reason reason,
                            time now, actions& out) {
  gone(child, incarnation, std::move(reason), now, out);
}

void decision::ended(child_index child, std::uint32_t incarnation, exit_reason reason, time now,
                     actions& out) {
  gone(child, incarnation, std::move(reason), now, out);
}

void decision::judge(child_index child, std::uint32_t incarnation, time now, actions& out) {
  record* r = current(child, incarnation);
  if (!r || r->state != child_state::ended || phase_ != phase::up) return;
  const exit_reason reason = trouble_of(*r).last;
  verdict_on(child, reason, now, out);
}

void decision::deadline(child_index child, std::uint32_t incarnation, deadline_kind which, time,
                        actions& out) {
  record* r = current(child, incarnation);
  if (!r || which == deadline_kind::none || r->armed != which) return;
  r->armed = deadline_kind::none;
  if (which == deadline_kind::stuck) {
    out.push_back({.what = action::kind::stuck, .child = child, .incarnation = incarnation});
    return;
  }
  r->late = which == deadline_kind::start;
  kill_child(child, out);
}

void decision::retry(child_index child, std::uint32_t incarnation, time now, actions& out) {
  record* r = current(child, incarnation);
  if (!r || r->state != child_state::restarting || phase_ != phase::up) return;
  const exit_reason reason = trouble_of(*r).last;
  recover(child, reason, now, out);
}

void decision::stop(exit_reason reason, time now, actions& out) {
  if (over() || told_) return;
  told_ = true;
  end_ = {.what = action::kind::exit, .reason = std::move(reason)};
  stop_all(now, out);
}

void decision::kill(time now, actions& out) {
  if (over() || brutal_) return;
  brutal_ = told_ = true;
  end_ = {.what = action::kind::exit, .reason = exit_reason::killed()};
  stop_all(now, out);
}

void decision::go_on(time now, actions& out) {
  if (!std::exchange(resting_, false)) return;
  advance(now, out);
}

// ---- calls ----------------------------------------------------------------------------------

void decision::start_added(child_index child, call_id call, actions& out) {
  record& r = children_[child];
  if (phase_ != phase::up) {
    answer(call, child, errc::restarting, out);
    remove(child, exit_reason::shutdown(), out);
    return;
  }
  r.start = started_by::start_call;
  wait(r, call, true);
  launch(child, false, out);
}

void decision::terminate_child(child_index child, call_id call, actions& out) {
  record& r = children_[child];
  switch (r.state) {
    case child_state::removed: answer(call, child, errc::not_found, out); return;
    case child_state::stopped: answer(call, child, errc{}, out); return;
    case child_state::restarting:
      set(r, child_state::stopped);
      answer(call, child, errc{}, out);
      if (spec_.strategy == strategy::simple_one_for_one) {
        remove(child, exit_reason::shutdown(), out);
        return;
      }
      // Those that its group's restart had not come to stay as they are: nobody starts them now.
      for (child_index c = first_; c != no_child; c = next(c))
        if (children_[c].state == child_state::stopped) hold(c, out);
      return;
    case child_state::ended: {
      wait(r, call, false);
      const exit_reason reason = trouble_of(r).last;
      is_down(child, reason, out);
      return;
    }
    case child_state::starting:
    case child_state::running:
      wait(r, call, false);
      stop_child(child, out);
      return;
    case child_state::stopping:
    case child_state::killing:
      r.late = false;
      wait(r, call, false);
      return;
  }
}

void decision::restart_child(child_index child, call_id call, actions& out) {
  record& r = children_[child];
  switch (r.state) {
    case child_state::removed: answer(call, child, errc::not_found, out); return;
    case child_state::running:
    case child_state::ended: answer(call, child, errc::running, out); return;
    case child_state::stopped:
      if (phase_ != phase::up) break;
      r.start = started_by::restart_call;
      wait(r, call, true);
      launch(child, true, out);
      return;
    default: break;
  }
  answer(call, child, errc::restarting, out);
}

void decision::delete_child(child_index child, call_id call, actions& out) {
  record& r = children_[child];
  switch (r.state) {
    case child_state::removed: answer(call, child, errc::not_found, out); return;
    case child_state::stopped:
      if (r.step == none) {
        answer(call, child, errc{}, out);
        remove(child, exit_reason::shutdown("deleted"), out);
        return;
      }
      break;
    case child_state::restarting: break;
    default: answer(call, child, errc::running, out); return;
  }
  answer(call, child, errc::restarting, out);
}

void decision::wait(record& r, call_id call, bool for_start) {
  if (call == no_call) return;
  std::uint32_t at = static_cast<std::uint32_t>(calls_.size());
  if (free_calls_.empty()) {
    calls_.emplace_back();
  } else {
    at = free_calls_.back();
    free_calls_.pop_back();
  }
  calls_[at] = {call, std::exchange(r.calls, at), for_start};
}

void decision::answer(call_id call, child_index child, errc code, actions& out) {
  if (call != no_call)
    out.push_back({.what = action::kind::answer, .code = code, .child = child, .call = call});
}

/// Answers all calls that wait for this child to have started, or to be down.
void decision::answer_all(record& r, bool for_start, const action& how, actions& out) {
  for (std::uint32_t* link = &r.calls; *link != none;) {
    const std::uint32_t at = *link;
    if (calls_[at].for_start != for_start) {
      link = &calls_[at].next;
      continue;
    }
    *link = calls_[at].next;
    free_calls_.push_back(at);
    out.push_back(how);
    out.back().call = calls_[at].call;
  }
}

// ---- one child ------------------------------------------------------------------------------

decision::record* decision::current(child_index child, std::uint32_t incarnation) {
  if (over() || child >= children_.size()) return nullptr;
  record& r = children_[child];
  return r.incarnation == incarnation ? &r : nullptr;
}

void decision::set(record& r, child_state state) {
  moving_ += moves(state);
  moving_ -= moves(r.state);
  active_ += is_there(state);
  active_ -= is_there(r.state);
  restarting_ += state == child_state::restarting;
  restarting_ -= r.state == child_state::restarting;
  if (policy(r).significant) {
    significant_ += counts_as_there(state);
    significant_ -= counts_as_there(r.state);
  }
  r.state = state;
  if (noting_) changed.push_back(static_cast<child_index>(&r - children_.data()));
}

decision::trouble& decision::trouble_of(record& r) {
  if (r.trouble != none) return troubles_[r.trouble];
  if (free_troubles_.empty()) {
    r.trouble = static_cast<std::uint32_t>(troubles_.size());
    return troubles_.emplace_back();
  }
  r.trouble = free_troubles_.back();
  free_troubles_.pop_back();
  return troubles_[r.trouble];
}

void decision::note_end(record& r, exit_reason reason, time now) {
  trouble& t = trouble_of(r);
  t.last = std::move(reason);
  t.last_at = now;
  t.last_up = time{r.started_at == never ? 0 : now.count() - r.started_at};
}

void decision::remove(child_index child, exit_reason last, actions& out) {
  record& r = children_[child];
  set(r, child_state::removed);
  if (r.trouble != none) {
    for (restart_record& entry : history_)
      if (entry.child == child) {
        entry.child = no_child;
        entry.id = id_of(path(child));
      }
    troubles_[r.trouble] = {};
    free_troubles_.push_back(r.trouble);
    r.trouble = none;
  }
  shared_policy& shared = policies_[r.policy];
  if (shared.spec.kind == child_kind::supervisor) --supervisors_;
  if (--shared.users == 0) free_policies_.push_back(r.policy);
  (r.previous == no_child ? first_ : children_[r.previous].next) = r.next;
  (r.next == no_child ? last_ : children_[r.next].previous) = r.previous;
  free_children_.push_back(child);
  --size_;
  add_to(out, action::kind::remove, child, r.incarnation).reason = std::move(last);
}

void decision::hold(child_index child, actions& out) const {
  out.push_back(
      {.what = action::kind::hold, .child = child, .incarnation = children_[child].incarnation});
}

void decision::report(report_context about, child_index child, const exit_reason& reason,
                      actions& out) const {
  action& a = add_to(out, action::kind::report, child, children_[child].incarnation);
  a.about = about;
  a.reason = reason;
}

void decision::launch(child_index child, bool drop_mailbox, actions& out) {
  record& r = children_[child];
  ++r.incarnation;
  r.started_at = never;
  r.armed = deadline_kind::start;
  set(r, child_state::starting);
  action& a = add_to(out, action::kind::start, child, r.incarnation);
  a.which = r.armed;
  a.drop_mailbox = drop_mailbox;
  a.after = policy(r).start_deadline;
}

void decision::stop_child(child_index child, actions& out) {
  record& r = children_[child];
  const auto& how = policy(r).shutdown;
  if (brutal_ || how.what() == shutdown::kind::brutal) {
    kill_child(child, out);
    return;
  }
  const bool limited = how.what() == shutdown::kind::within;
  r.armed = limited ? deadline_kind::shutdown : deadline_kind::stuck;
  set(r, child_state::stopping);
  action& a = add_to(out, action::kind::stop, child, r.incarnation);
  a.which = r.armed;
  a.after = limited ? how.deadline() : spec_.stuck_limit;
  a.reason = exit_reason::shutdown();
}

void decision::kill_child(child_index child, actions& out) {
  record& r = children_[child];
  r.armed = deadline_kind::stuck;
  set(r, child_state::killing);
  action& a = add_to(out, action::kind::kill, child, r.incarnation);
  a.which = r.armed;
  a.late = r.late;
  a.after = spec_.stuck_limit;
  a.reason = exit_reason::killed();
}

/// Nothing of this incarnation runs any more.
void decision::gone(child_index child, std::uint32_t incarnation, exit_reason reason, time now,
                    actions& out) {
  record* r = current(child, incarnation);
  if (!r) return;
  const bool was_late = std::exchange(r->late, false);
  switch (r->state) {
    case child_state::starting:
      r->armed = deadline_kind::none;
      start_broke(child, reason, now, out);
      return;
    case child_state::running:
      set(*r, child_state::ended);
      if (phase_ == phase::up && !spec_.serial) {
        if (policy(*r).restart != restart::temporary) note_end(*r, reason, now);
        verdict_on(child, reason, now, out);
        return;
      }
      // A plan decides: if it still has to stop this child, the end is absorbed; if not, it is
      // judged when the plan is done. Under `serial`, likewise, a call that came first.
      note_end(*r, std::move(reason), now);
      if (!spec_.serial) waiting_.push_back({child, incarnation});
      return;
    case child_state::stopping:
    case child_state::killing:
      r->armed = deadline_kind::none;
      if (was_late) {
        start_broke(child,
                    exit_reason{exit_reason::kind::start_failed,
                                make_cause("it had not started within " +
                                           in_ms(policy(*r).start_deadline))},
                    now, out);
        return;
      }
      is_down(child, reason, out);
      advance(now, out);
      return;
    default: return;  // a second notice of the same end
  }
}

void decision::start_broke(child_index child, const exit_reason& reason, time now, actions& out) {
  record& r = children_[child];
  const auto by = std::exchange(r.start, started_by::itself);
  if (by != started_by::itself && r.step == none) {
    set(r, child_state::stopped);
    answer_all(r, true,
               {.what = action::kind::answer,
                .code = errc::failed,
                .child = child,
                .incarnation = r.incarnation,
                .reason = reason},
               out);
    if (phase_ != phase::up) return;  // the plan that runs comes by and finds it down
    if (by == started_by::start_call) remove(child, reason, out);
    else hold(child, out);
    return;
  }
  note_end(r, reason, now);
  report(report_context::start_error, child, reason, out);
  const bool planned = r.step != none;
  if (planned && phase_ == phase::starting) {
    set(r, child_state::stopped);
    end_ = {.what = action::kind::fail_start,
            .reason = exit_reason{exit_reason::kind::shutdown,
                                  make_cause("failed to start child " + id_of(path(child)), {}, 0,
                                             as_cause(child, reason))}};
    stop_all(now, out);
    return;
  }
  if (!planned && phase_ != phase::up) {  // the plan that runs comes by and finds it down
    set(r, child_state::stopped);
    return;
  }
  set(r, child_state::restarting);
  out.push_back({.what = action::kind::retry_later, .child = child, .incarnation = r.incarnation});
  if (!planned) return;
  drop_plan();
  phase_ = phase::up;
  judge_waiting(now, out);
}

/// The child was to stop, and it has; or it had ended before a plan or a call came to it.
void decision::is_down(child_index child, const exit_reason& reason, actions& out) {
  record& r = children_[child];
  const child_spec& spec = policy(r);
  if (!ordinary_stop(spec.restart, brutal_ ? brutal_kill : spec.shutdown, reason))
    report(report_context::shutdown_error, child, reason, out);
  set(r, child_state::stopped);
  r.start = started_by::itself;
  const bool by_call = r.step == none;
  if (r.calls != none) {
    answer_all(r, true,
               {.what = action::kind::answer,
                .code = errc::failed,
                .child = child,
                .incarnation = r.incarnation,
                .reason = exit_reason{exit_reason::kind::shutdown,
                                      make_cause("it was stopped while it started")}},
               out);
    answer_all(r, false, {.what = action::kind::answer, .child = child}, out);
  }
  finish_step(r);
  if (spec_.strategy == strategy::simple_one_for_one ||
      (up() && spec.restart == restart::temporary))
    remove(child, reason, out);
  else if (up() && by_call) hold(child, out);
}

void decision::verdict_on(child_index child, const exit_reason& reason, time now, actions& out) {
  record& r = children_[child];
  const verdict v = coppice::judge(policy(r).restart, reason);
  if (v.reported) report(report_context::child_terminated, child, reason, out);
  if (v.then == verdict::next::restart) {
    recover(child, reason, now, out);
    return;
  }
  const bool significant = policy(r).significant;
  const cause_ptr cause = significant ? as_cause(child, reason) : nullptr;
  const bool kept = v.then == verdict::next::keep && spec_.strategy != strategy::simple_one_for_one;
  set(r, child_state::stopped);
  if (kept) hold(child, out);
  else remove(child, reason, out);
  if (!significant || spec_.auto_shutdown == auto_shutdown::never) return;
  if (spec_.auto_shutdown == auto_shutdown::all_significant && significant_ > 0) return;
  end_ = {.what = action::kind::exit, .reason = exit_reason::shutdown()};
  if (!spec_.exhausted_is_shutdown)
    end_.reason = exit_reason{exit_reason::kind::shutdown,
                              make_cause(spec_.auto_shutdown == auto_shutdown::any_significant
                                             ? "a significant child has ended"
                                             : "the last significant child has ended",
                                         {}, 0, cause)};
  stop_all(now, out);
}

/// A counted restart: of a child that has ended, or once more of one whose restart has failed.
void decision::recover(child_index child, const exit_reason& reason, time now, actions& out) {
  record& r = children_[child];
  remember(child, reason);
  if (auto why = overspent(child, reason, now)) {
    set(r, child_state::stopped);
    give_up(child, std::move(why), now, out);
    return;
  }
  ++trouble_of(r).restarts;
  switch (spec_.strategy) {
    case strategy::one_for_one:
    case strategy::simple_one_for_one:
      launch(child, spec_.drop_mailboxes || !policy(r).keep_mailbox, out);
      return;
    case strategy::one_for_all:
    case strategy::rest_for_one: regroup(child, now, out); return;
  }
}

/// Null while there is something left in both budgets; else which one is used up, and by what.
cause_ptr decision::overspent(child_index child, const exit_reason& reason, time now) {
  trouble& t = trouble_of(children_[child]);
  if (spec_.per_child && !t.own.spend(now, *spec_.per_child, spec_.window))
    return make_cause("child " + id_of(path(child)) + ' ' + more_than(*spec_.per_child) +
                          ", the limit of each child",
                      {}, 0, as_cause(child, reason));
  if (!budget_.spend(now, spec_.intensity, spec_.window))
    return make_cause("the children " + more_than(spec_.intensity) + ", the supervisor's limit", {},
                      0, as_cause(child, reason));
  return nullptr;
}

void decision::give_up(child_index child, cause_ptr why, time now, actions& out) {
  const exit_reason exhausted{exit_reason::kind::exhausted, std::move(why)};
  report(report_context::shutdown, child, exhausted, out);
  end_ = {.what = action::kind::exit,
          .reason = spec_.exhausted_is_shutdown ? exit_reason::shutdown() : exhausted};
  stop_all(now, out);
}

void decision::remember(child_index child, const exit_reason& reason) {
  record& r = children_[child];
  const trouble& t = trouble_of(r);
  restart_record entry{child, {}, r.incarnation, t.last_at, t.last_up, reason};
  if (history_.size() < history_length) {
    history_.push_back(std::move(entry));
    return;
  }
  history_[oldest_] = std::move(entry);
  oldest_ = (oldest_ + 1) % history_length;
}

// ---- plans ----------------------------------------------------------------------------------

void decision::drop_plan() {
  for (child_index c = first_; c != no_child; c = next(c)) children_[c].step = none;
  plan_.clear();
  ready_.clear();
  taken_ = 0;
  resting_ = false;
}

/// Stops the other children of the group in reverse order, then starts all of it in order, also
/// those that had been stopped before; temporary ones lose their spec on the way. The group is
/// everybody, or, under `rest_for_one`, the child and those behind it.
void decision::regroup(child_index child, time now, actions& out) {
  phase_ = phase::regrouping;
  set(children_[child], child_state::stopped);
  const child_index from = spec_.strategy == strategy::rest_for_one ? child : first_;
  if (from == first_) plan_.reserve(2 * size_);
  for (child_index c = last_; c != no_child; c = c == from ? no_child : children_[c].previous)
    if (c != child) plan_.then(plan::stop, c);
  for (child_index c = from; c != no_child; c = next(c))
    if (policy(children_[c]).restart != restart::temporary) plan_.then(plan::start, c);
  plan_.begin(ready_);
  advance(now, out);
}

void decision::stop_all(time now, actions& out) {
  phase_ = phase::stopping;
  drop_plan();
  const bool together = brutal_ || spec_.strategy == strategy::simple_one_for_one;
  plan_.reserve(size_);
  if (together) ready_.reserve(size_);
  for (child_index c = last_; c != no_child; c = children_[c].previous)
    together ? plan_.add(plan::stop, c) : plan_.then(plan::stop, c);
  plan_.begin(ready_);
  advance(now, out);
}

void decision::finish_step(record& r) {
  if (r.step == none) return;
  plan_.done(std::exchange(r.step, none), ready_);
}

/// Takes a step of the plan. True: it is done already.
bool decision::take(plan::step_id step, actions& out) {
  const auto [what, child] = plan_[step];
  record& r = children_[child];
  if (what == plan::start) {
    r.step = step;
    launch(child, phase_ == phase::regrouping || r.incarnation > 0, out);
    return false;
  }
  switch (r.state) {
    case child_state::removed: return true;
    case child_state::ended:
      r.step = step;
      is_down(child, exit_reason{trouble_of(r).last}, out);
      return false;  // it has finished the step itself
    case child_state::stopped:
    case child_state::restarting:
      set(r, child_state::stopped);
      if (up() && policy(r).restart == restart::temporary)
        remove(child, exit_reason::shutdown(), out);
      return true;
    case child_state::starting:
    case child_state::running: stop_child(child, out); break;
    case child_state::stopping:
      if (brutal_) kill_child(child, out);
      break;
    case child_state::killing: break;
  }
  r.late = false;
  r.step = step;
  return false;
}

/// Takes the steps that are ready; what does not fit into this batch is left to `go_on`.
void decision::advance(time now, actions& out) {
  while (taken_ < ready_.size()) {
    if (resting_) return;
    if (out.size() >= batch) {
      resting_ = true;
      out.push_back({.what = action::kind::rest});
      return;
    }
    const plan::step_id step = ready_[taken_++];
    if (take(step, out)) plan_.done(step, ready_);
  }
  ready_.clear();
  taken_ = 0;
  if (!plan_.finished()) return;
  switch (phase_) {
    case phase::starting: out.push_back({.what = action::kind::up}); [[fallthrough]];
    case phase::regrouping:
      phase_ = phase::up;
      plan_.clear();
      judge_waiting(now, out);
      return;
    case phase::stopping:
      phase_ = phase::over;
      plan_.clear();
      out.push_back(std::exchange(end_, {action::kind::exit}));
      return;
    default: return;
  }
}

void decision::judge_waiting(time now, actions& out) {
  while (phase_ == phase::up && judged_ < waiting_.size()) {
    const notice n = waiting_[judged_++];
    record* r = current(n.child, n.incarnation);
    if (!r || r->state != child_state::ended) continue;  // a plan has absorbed it
    const exit_reason reason = trouble_of(*r).last;
    verdict_on(n.child, reason, now, out);
  }
  if (judged_ < waiting_.size()) return;
  waiting_.clear();
  judged_ = 0;
}

// ---- what it knows --------------------------------------------------------------------------

bool decision::busy() const noexcept {
  return (phase_ != phase::up && phase_ != phase::over) || (spec_.serial && moving_ > 0);
}

child_view decision::view(child_index child) const {
  const record& r = children_[child];
  const trouble* t = r.trouble == none ? nullptr : &troubles_[r.trouble];
  child_view v{r.state, r.incarnation, 0,      time{r.started_at == never ? 0 : r.started_at},
               nullptr, time{0},       time{0}};
  if (!t) return v;
  v.restarts = t->restarts;
  v.last_reason = &t->last;
  v.last_at = t->last_at;
  v.last_up = t->last_up;
  return v;
}

child_numbers decision::count() const noexcept {
  if (spec_.strategy == strategy::simple_one_for_one)
    return {1, size_ - restarting_, supervisors_, size_ - supervisors_};
  return {size_, active_, supervisors_, size_ - supervisors_};
}

std::vector<restart_record> decision::history() const {
  std::vector<restart_record> sorted(history_.begin(), history_.end());
  std::rotate(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(oldest_), sorted.end());
  for (restart_record& entry : sorted)
    if (entry.child != no_child) entry.id = id_of(path(entry.child));
  return sorted;
}

std::string decision::path(child_index child) const {
  return names_.path ? names_.path(names_.context, child) : std::to_string(child);
}

cause_ptr decision::as_cause(child_index child, const exit_reason& reason) const {
  std::string where = path(child);
  // The reason's own chain mostly begins at this child: its place is told once.
  if (reason.why() && reason.why()->where == where) where.clear();
  return make_cause(std::string{coppice::name(reason.what())}, std::move(where),
                    children_[child].incarnation, reason.why());
}

}  // namespace coppice
