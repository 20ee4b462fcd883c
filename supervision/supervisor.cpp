// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/children.hpp>
#include <coppice/supervision/feed_private.hpp>

#include <algorithm>
#include <utility>

namespace coppice {

using std::chrono::milliseconds;

// ---- reports ----------------------------------------------------------------------------------

std::string supervisor_report::supervisor() const { return supervisor_.path(); }
std::string supervisor_report::child() const { return child_ ? child_->path() : std::string{}; }
std::string_view supervisor_report::child_id() const noexcept {
  return child_ ? child_->id() : std::string_view{};
}
std::string_view supervisor_report::child_type() const noexcept {
  return child_ ? child_->type().name : std::string_view{};
}

namespace detail {

void supervision_scope::root_is_up() {
  std::lock_guard lock{guard};
  up = true;
  changed.notify_all();
}

void supervision_scope::root_has_ended(const exit_reason& why) {
  {
    std::lock_guard lock{guard};
    if (ended) return;
    ended = why;
  }
  if (watch) watch->on_end(why);
  // Only now: whoever has waited for the end may destroy the observer.
  std::lock_guard lock{guard};
  settled = true;
  changed.notify_all();
}

void supervision_scope::tell(tree_change change) {
  std::lock_guard lock{feed_guard};
  change.version = version.load(std::memory_order_relaxed) + 1;
  change.child.version = change.version;
  version.store(change.version, std::memory_order_release);
  bool any = false;
  for (const auto& each : feeds)
    if (const auto feed = each.lock()) {
      feed->put(change);
      any = true;
    }
  if (!any) {
    feeds.clear();
    followed.store(false, std::memory_order_relaxed);
  }
}

}  // namespace detail

// ---- the supervisor ---------------------------------------------------------------------------

supervisor::supervisor(detail::supervisor_place where, builder build)
    : scope_(std::move(where.scope)),
      book_(std::move(where.book)),
      build_(std::move(build)),
      dynamic_(std::move(where.dynamic)),
      root_(where.root) {
  book_->dynamic = dynamic_ != nullptr;
  cell_->trap_exits(true);  // signals from strangers do not end a supervisor
  alarm_.owner = this;
  alarm_.resume = [](detail::waiting& w) { static_cast<alarm&>(w).owner->deadlines_passed(); };
}

supervisor::~supervisor() {
  alarm_.forget();
  if (mind_ && !mind_->over())
    for (const detail::cell_ptr& child : book_->cells)
      if (child) child->kill(exit_reason::killed());
  for (const detail::open_call& c : calls_)
    if (c.waiting)
      detail::answer_failed(c.waiting, errc::crashed,
                            make_cause("the supervisor ended with the call in hand: " +
                                           std::string{coppice::name(why_.what())},
                                       path(), incarnation(), why_.why()));
  for (listing& l : listings_)
    l.slot.answer(
        error{errc::crashed, "the supervisor ended with the call in hand", path(), why_.why()});
  if (mind_) end_added(why_);
}

milliseconds supervisor::now() const noexcept { return milliseconds{cell_->now()}; }

/// Children that no builder has added end with this incarnation.
void supervisor::end_added(const exit_reason& why) {
  for (std::size_t i = book_->cells.size(); i-- > 0;)
    if (i >= book_->built.size() || !book_->built[i])
      book_->end(static_cast<std::uint32_t>(i), why);
}

void supervisor::build() {
  detail::address_book& book = *book_;
  // What a builder that threw has left behind stays to be taken over, or ended.
  book.turn_the_page();
  children all{scope_, book, *cell_};
  build_(all);
  if (const auto valid = validate(all.spec_); !valid) throw bad_result{valid.error()};
  if (!dynamic_ && all.spec_.strategy == strategy::simple_one_for_one)
    throw bad_result{error{errc::invalid,
                           "the strategy simple_one_for_one is for children made from a template: "
                           "add them with children::dynamic",
                           path()}};
  for (const child_spec& spec : all.specs_)
    if (const auto valid = validate(spec, all.spec_); !valid) throw bad_result{valid.error()};
  book.end_former(exit_reason::shutdown("left out by its supervisor's restart"));
  if (all.ignored_) {
    book.end_all(exit_reason::normal());
    ignore();
    return;
  }

  const child_names names{[](const void* self, child_index child) {
                            return static_cast<const supervisor*>(self)->cell_of(child).path();
                          },
                          this};
  mind_.emplace(all.spec_, names);
  told_all_ = scope_->followed.load(std::memory_order_relaxed);
  mind_->note_changes(told_all_);
  for (std::uint32_t i = 0; i < all.specs_.size(); ++i)
    mind_->add(all.specs_[i], cell_of(i).incarnation());
}

task<> supervisor::started() {
  gate up;
  try {
    build();
  } catch (const bad_result& e) {
    failed_start_ = exit_reason{
        exit_reason::kind::start_failed,
        make_cause("the children could not be built", path(), incarnation(),
                   make_cause(std::string{name(e.error().code())}, "", 0, e.error().why()))};
  } catch (const std::exception& e) {
    failed_start_ = exit_reason{
        exit_reason::kind::start_failed,
        make_cause(std::string{"the builder threw: "} + e.what(), path(), incarnation())};
  } catch (...) {
    failed_start_ = exit_reason{
        exit_reason::kind::start_failed,
        make_cause("the builder threw what is no std::exception", path(), incarnation())};
  }
  if (mind_) {
    cell_->expect(up, 0);
    open_when_up_ = &up;
    mind_->begin(now(), actions_);
    apply();
    co_await up;
  }
  if (failed_start_) {
    why_ = *failed_start_;
    if (root_) scope_->root_has_ended(*failed_start_);
    if (root_) book_->end_all(*failed_start_);
    throw detail::start_failure{*failed_start_};
  }
  if (!root_) co_return;
  tell_top(mind_ ? child_state::running : child_state::ended);
  if (mind_) scope_->root_is_up();
  else scope_->root_has_ended(exit_reason::normal());
}

task<> supervisor::stopping(const exit_reason& why) {
  why_ = why;
  open_when_up_ = nullptr;
  gate down;
  if (mind_) {
    cell_->expect(down, 0);
    open_when_down_ = &down;
    if (why.what() == exit_reason::kind::killed) mind_->kill(now(), actions_);
    else mind_->stop(why, now(), actions_);
    if (mind_->over() && actions_.empty()) cell_->complete(down);
    apply();
    co_await down;
  }
  open_when_down_ = nullptr;
  if (root_) {
    tell_top(child_state::ended);
    book_->end_all(why);
    scope_->root_has_ended(why);
  }
}

void supervisor::killed() {
  if (!mind_) return;
  mind_->kill(now(), actions_);
  apply();
}

void supervisor::child_report(detail::control_node& r) {
  if (!mind_) return;
  const bool own = r.report == detail::report_kind::go_on;
  if (!own && book_->at(r.index) != r.from.get()) return;
  switch (r.report) {
    case detail::report_kind::go_on: mind_->go_on(now(), actions_); break;
    case detail::report_kind::started:
      mind_->started(r.index, r.incarnation, now(), actions_);
      break;
    case detail::report_kind::ignored:
      mind_->ignored(r.index, r.incarnation, now(), actions_);
      break;
    case detail::report_kind::start_failed:
      mind_->start_failed(r.index, r.incarnation, std::move(r.reason), now(), actions_);
      break;
    case detail::report_kind::ended:
      mind_->ended(r.index, r.incarnation, std::move(r.reason), now(), actions_);
      break;
  }
  apply();
}

void supervisor::on(const detail::retry_restart& r) {
  mind_->retry(r.child, r.incarnation, now(), actions_);
  apply();
}

void supervisor::on(const detail::child_ended& e) {
  mind_->judge(e.index, e.incarnation, now(), actions_);
  apply();
}

/// Carries out what the decision has asked for. What ends a start or a stop comes last: it may
/// destroy this object, so nothing of it is touched afterwards.
void supervisor::apply() {
  gate* open = nullptr;
  tell_changes();
  for (std::size_t i = 0; i < actions_.size(); ++i) {
    action& a = actions_[i];
    switch (a.what) {
      case action::kind::fail_start:
        failed_start_ = exit_reason{exit_reason::kind::start_failed, a.reason.why()};
        [[fallthrough]];
      case action::kind::up: open = std::exchange(open_when_up_, nullptr); break;
      case action::kind::exit:
        if (open_when_down_) open = std::exchange(open_when_down_, nullptr);
        else cell_->request_stop(std::move(a.reason));
        break;
      default: carry_out(a); break;
    }
  }
  actions_.clear();
  cell_->listen(!mind_->busy()         ? detail::listening::to_all
                : mind_->spec().serial ? detail::listening::to_none
                                       : detail::listening::to_interleaved);
  watch_deadlines();
  if (open) cell_->complete(*open);
}

void supervisor::carry_out(action& a) {
  switch (a.what) {
    case action::kind::start:
      cell_of(a.child).start(a.drop_mailbox, a.child, mind_->spec().serial);
      arm(a);
      break;
    case action::kind::stop:
      cell_of(a.child).stop(std::move(a.reason), 0, dynamic_ != nullptr);
      arm(a);
      break;
    case action::kind::kill:
      // One that is killed because its start took too long is tried again.
      cell_of(a.child).kill(exit_reason::killed(), dynamic_ && !a.late);
      arm(a);
      break;
    case action::kind::hold: book_->hold(a.child); break;
    case action::kind::remove:
      tell_removed(a.child);
      for (listing& l : listings_)
        if (l.next == a.child) l.next = mind_->next(a.child);
      book_->end(a.child, a.reason);
      break;
    case action::kind::retry_later: {
      auto* n = new detail::notice_node<detail::retry_restart>({a.child, a.incarnation},
                                                               cell_->incarnation());
      if (cell_->push(n) != detail::lane::outcome::put) detail::destroy(n);
      break;
    }
    case action::kind::rest: cell_->go_on_later(); break;
    case action::kind::report: report(a); break;
    case action::kind::answer: close(a); break;
    case action::kind::stuck:
      if (scope_->watch) scope_->watch->on_stuck(cell_of(a.child).path());
      break;
    default: break;
  }
}

void supervisor::report(const action& a) const {
  if (!scope_->watch) return;
  const detail::cell* child = book_->at(a.child);
  const child_spec* spec = child ? &mind_->spec(a.child) : nullptr;
  scope_->watch->on_report(
      supervisor_report{a.about, a.reason, *cell_, child, spec, a.incarnation});
}

void supervisor::arm(const action& a) {
  // Most deadlines are cancelled: throw those out before they outgrow the ones that count.
  constexpr std::size_t worth_sweeping = 64;
  if (deadlines_.size() > worth_sweeping && deadlines_.size() == deadlines_.capacity()) {
    std::erase_if(deadlines_, [this](const deadline_entry& d) {
      return !mind_->awaits(d.child, d.incarnation, d.which);
    });
    std::make_heap(deadlines_.begin(), deadlines_.end());
  }
  deadlines_.push_back({now() + a.after, a.child, a.incarnation, a.which});
  // They mostly come in order, and stand in their place at once.
  if (deadlines_.size() > 1 && deadlines_[deadlines_.size() / 2 - 1] < deadlines_.back())
    std::push_heap(deadlines_.begin(), deadlines_.end());
}

void supervisor::watch_deadlines() {
  if (deadlines_.empty()) return;
  const detail::tick first = deadlines_.front().at.count();
  if (alarm_.previous && alarm_.until <= first) return;
  alarm_.forget();
  cell_->expect(alarm_, first);
}

void supervisor::deadlines_passed() {
  while (!deadlines_.empty() && deadlines_.front().at <= now()) {
    std::pop_heap(deadlines_.begin(), deadlines_.end());
    const deadline_entry d = deadlines_.back();
    deadlines_.pop_back();
    if (mind_->awaits(d.child, d.incarnation, d.which))
      mind_->deadline(d.child, d.incarnation, d.which, now(), actions_);
  }
  apply();
}

// ---- the tree as a stream -----------------------------------------------------------------------

/// Before anything is carried out: what a child does after that is told later.
void supervisor::tell_changes() {
  if (!mind_->changed.empty()) {
    const std::string me = path();
    for (const child_index child : mind_->changed)
      if (mind_->state(child) != child_state::removed && book_->at(child))
        scope_->tell({0, me, info(child)});
    mind_->changed.clear();
  }
  const bool followed = scope_->followed.load(std::memory_order_relaxed);
  mind_->note_changes(followed);
  if (told_all_ || !mind_->up()) return;
  told_all_ = true;
  // Whoever has come since this supervisor began to start could not ask it for its children.
  if (!followed) return;
  for (child_index c = mind_->first(); c != no_child; c = mind_->next(c))
    scope_->tell({0, path(), info(c)});
}

/// The top is nobody's child, so it tells of itself.
void supervisor::tell_top(child_state state) const {
  if (!scope_->followed.load(std::memory_order_relaxed)) return;
  tree_change change;
  change.child.id = cell_->id();
  change.child.type = mind_ ? name(mind_->spec().strategy) : "supervisor";
  change.child.kind = child_kind::supervisor;
  change.child.state = state;
  change.child.incarnation = incarnation();
  change.child.waiting = cell_->depth();
  change.child.handled = cell_->handled();
  if (state != child_state::running) change.child.last_reason = why_.text();
  scope_->tell(std::move(change));
}

void supervisor::tell_removed(child_index child) {
  if (!scope_->followed.load(std::memory_order_relaxed)) return;
  tree_change change{0, path(), {}};
  change.child.id = cell_of(child).id();
  change.child.state = child_state::removed;
  scope_->tell(std::move(change));
}

}  // namespace coppice
