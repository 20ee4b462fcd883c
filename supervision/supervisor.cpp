// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/detail/supervisor.hpp>

#include <algorithm>
#include <utility>

namespace coppice {

using std::chrono::milliseconds;

// ---- reports ----------------------------------------------------------------------------------

std::string supervisor_report::supervisor() const { return supervisor_.path(); }
std::string supervisor_report::child() const { return child_ ? child_->path() : std::string{}; }
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

// ---- addresses --------------------------------------------------------------------------------

void address_book::hold(std::uint32_t index) {
  const slot& s = slots[index];
  if (!s.cell) return;
  if (s.below)
    for (std::uint32_t i = 0; i < s.below->slots.size(); ++i) s.below->hold(i);
  s.cell->tell(control::hold);
}

void address_book::end(std::uint32_t index, const exit_reason& why) {
  slot& s = slots[index];
  if (!s.cell) return;
  ids.erase(index, [this](std::uint32_t i) { return id_of(i); });
  if (s.below) s.below->end_all(why);
  s.cell->tell(control::end, why);
  s = {};
}

void address_book::end_all(const exit_reason& why) {
  for (slot& s : former) {
    if (!s.cell) continue;
    if (s.below) s.below->end_all(why);
    s.cell->tell(control::end, why);
  }
  former.clear();
  for (std::size_t i = slots.size(); i-- > 0;) end(static_cast<std::uint32_t>(i), why);
}

}  // namespace detail

// ---- the builder ------------------------------------------------------------------------------

children::children(std::shared_ptr<detail::supervision_scope> scope, detail::address_book& book,
                   detail::cell& parent)
    : scope_(std::move(scope)), book_(book), parent_(parent) {}

detail::cell* children::add_cell(const detail::actor_type& type, detail::factory_ref made_by,
                                 const child_spec& spec,
                                 const std::shared_ptr<detail::address_book>& below) {
  if (const auto valid = validate(spec); !valid) throw bad_result{valid.error()};
  const auto id_of = [this](std::uint32_t i) { return book_.id_of(i); };
  if (book_.ids.find(spec.id, id_of) != detail::id_index::none)
    throw bad_result{error{errc::invalid,
                           "two children have the id '" + spec.id +
                               "'; ids are unique among "
                               "siblings",
                           parent_.path()}};
  const auto index = static_cast<std::uint32_t>(book_.slots.size());
  detail::address_book::slot slot;
  const std::uint32_t before = book_.former_ids.find(
      spec.id, [this](std::uint32_t i) { return book_.former[i].cell->id(); });
  if (before != detail::id_index::none) {
    detail::cell& x = *book_.former[before].cell;
    if (&x.type() == &type && &x.made_by() == made_by.type) {
      detail::replace_factory(x, made_by.object);
      book_.former_ids.erase(before,
                             [this](std::uint32_t i) { return book_.former[i].cell->id(); });
      slot = std::exchange(book_.former[before], {});
      slot.below = below;
    }
  }
  if (!slot.cell) {
    detail::cell_options options;
    options.capacity = spec.capacity;
    options.policy = spec.overflow;
    options.reject_while_restarting = spec.reject_while_restarting;
    options.own_thread = spec.own_thread;
    if (spec.shutdown.what() == shutdown::kind::within)
      options.shutdown_ms = static_cast<std::uint32_t>(spec.shutdown.deadline().count());
    slot.cell = detail::make_cell(parent_.home(), type, made_by, spec.id, options, &parent_, index);
    slot.below = below;
  }
  detail::cell* made = slot.cell.get();
  book_.slots.push_back(std::move(slot));
  book_.ids.insert(index, id_of);
  policies_.push_back(child_policy{spec});
  return made;
}

void children::supervise(child_spec spec, builder build) {
  constexpr milliseconds longest = std::chrono::hours{24};
  if (spec.shutdown == child_spec{}.shutdown) spec.shutdown = infinity;
  // Its children's deadlines bound its start; a shorter one of its own would cut them off.
  if (spec.start_deadline == child_spec{}.start_deadline) spec.start_deadline = longest;
  std::shared_ptr<detail::address_book> below;
  const std::uint32_t before = book_.former_ids.find(
      spec.id, [this](std::uint32_t i) { return book_.former[i].cell->id(); });
  if (before != detail::id_index::none) below = book_.former[before].below;
  if (!below) below = std::make_shared<detail::address_book>();
  using made_by = detail::factory<supervisor, std::shared_ptr<detail::supervision_scope>,
                                  std::shared_ptr<detail::address_book>, builder, bool>;
  made_by factory{{scope_, below, std::move(build), false}};
  add_cell(detail::actor_type_of<supervisor>,
           {&detail::factory_type_of<supervisor, std::shared_ptr<detail::supervision_scope>,
                                     std::shared_ptr<detail::address_book>, builder, bool>,
            &factory},
           spec, below);
}

void children::supervise(std::string_view id, builder build) {
  child_spec spec;
  spec.id = id;
  supervise(std::move(spec), std::move(build));
}

// ---- the supervisor ---------------------------------------------------------------------------

supervisor::supervisor(std::shared_ptr<detail::supervision_scope> scope,
                       std::shared_ptr<detail::address_book> book, children::builder build,
                       bool root)
    : scope_(std::move(scope)), book_(std::move(book)), build_(std::move(build)), root_(root) {
  cell_->trap_exits(true);  // signals from strangers do not end a supervisor
  alarm_.owner = this;
  alarm_.resume = [](detail::waiting& w) { static_cast<alarm&>(w).owner->deadlines_passed(); };
}

supervisor::~supervisor() {
  alarm_.forget();
  if (!mind_ || mind_->over()) return;
  for (auto& s : book_->slots)
    if (s.cell) s.cell->kill(exit_reason::killed());
}

milliseconds supervisor::now() const noexcept { return milliseconds{cell_->now()}; }

void supervisor::build() {
  detail::address_book& book = *book_;
  // What a builder that threw has left behind in `former` stays to be taken over, or ended.
  for (auto& s : std::exchange(book.slots, {})) book.former.push_back(std::move(s));
  std::erase_if(book.former, [](const auto& s) { return !s.cell; });
  book.ids = {};
  book.former_ids = {};
  const auto former_id = [&book](std::uint32_t i) { return book.former[i].cell->id(); };
  for (std::uint32_t i = 0; i < book.former.size(); ++i) book.former_ids.insert(i, former_id);

  children all{scope_, book, *cell_};
  build_(all);
  if (const auto valid = validate(all.spec_); !valid) throw bad_result{valid.error()};
  for (auto& s : std::exchange(book.former, {})) {
    if (!s.cell) continue;
    if (s.below) s.below->end_all(exit_reason::shutdown("left out by its supervisor's restart"));
    s.cell->tell(detail::control::end,
                 exit_reason::shutdown("left out by its supervisor's restart"));
  }
  book.former_ids = {};

  const child_names names{[](const void* self, child_index child) {
                            return static_cast<const supervisor*>(self)->cell_of(child).path();
                          },
                          this};
  mind_.emplace(all.spec_, names);
  for (std::uint32_t i = 0; i < all.policies_.size(); ++i)
    mind_->add(all.policies_[i], cell_of(i).incarnation());
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
  if (!failed_start_) {
    cell_->expect(up, 0);
    open_when_up_ = &up;
    mind_->begin(now(), actions_);
    apply();
    co_await up;
  }
  if (failed_start_) {
    if (root_) scope_->root_has_ended(*failed_start_);
    if (root_) book_->end_all(*failed_start_);
    throw detail::start_failure{*failed_start_};
  }
  if (root_) scope_->root_is_up();
}

task<> supervisor::stopping(const exit_reason& why) {
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
    book_->end_all(why);
    scope_->root_has_ended(why);
  }
}

void supervisor::killed() {
  if (mind_) mind_->kill(now(), actions_);
  apply();
}

void supervisor::child_report(detail::control_node& r) {
  if (!mind_ || r.index >= book_->slots.size() || book_->slots[r.index].cell != r.from) return;
  switch (r.report) {
    case detail::report_kind::started:
      mind_->started(r.index, r.incarnation, now(), actions_);
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

/// Carries out what the decision has asked for. What ends a start or a stop comes last: it may
/// destroy this object, so nothing of it is touched afterwards.
void supervisor::apply() {
  gate* open = nullptr;
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
  watch_deadlines();
  if (open) cell_->complete(*open);
}

void supervisor::carry_out(action& a) {
  switch (a.what) {
    case action::kind::start: cell_of(a.child).start(a.drop_mailbox, a.child); break;
    case action::kind::stop: cell_of(a.child).stop(std::move(a.reason), 0); break;
    case action::kind::kill: cell_of(a.child).kill(exit_reason::killed()); break;
    case action::kind::hold: book_->hold(a.child); break;
    case action::kind::remove: book_->end(a.child, a.reason); break;
    case action::kind::arm: arm(a); break;
    case action::kind::cancel: break;  // the decision is asked again before a deadline counts
    case action::kind::retry_later: {
      auto* n = new detail::notice_node<detail::retry_restart>({a.child, a.incarnation},
                                                               cell_->incarnation());
      if (cell_->push(n) != detail::lane::outcome::put) detail::destroy(n);
      break;
    }
    case action::kind::report: report(a); break;
    case action::kind::stuck:
      if (scope_->watch) scope_->watch->on_stuck(cell_of(a.child).path());
      break;
    default: break;
  }
}

void supervisor::report(const action& a) const {
  if (!scope_->watch) return;
  const detail::cell* child =
      a.child < book_->slots.size() ? book_->slots[a.child].cell.get() : nullptr;
  scope_->watch->on_report(supervisor_report{a.about, a.reason, *cell_, child, a.incarnation});
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

detail::child_rows supervisor::on(const detail::list_children&) {
  detail::child_rows all;
  all.kind = mind_->spec().strategy == strategy::one_for_all ? "one_for_all" : "one_for_one";
  all.rows.reserve(mind_->size());
  for (child_index c = mind_->first(); c != no_child; c = mind_->next(c)) {
    const child_view v = mind_->view(c);
    const detail::cell& x = cell_of(c);
    detail::child_row row;
    row.node.path = x.path();
    row.node.supervisor = book_->slots[c].below != nullptr;
    row.node.kind = row.node.supervisor ? std::string{"supervisor"} : std::string{x.type().name};
    row.node.state = name(v.state);
    row.node.incarnation = v.incarnation;
    row.node.restarts = v.restarts;
    if (v.last_reason) row.node.last_reason = v.last_reason->text();
    if (v.state == child_state::running) row.node.up = now() - v.started_at;
    row.node.waiting = x.depth();
    row.node.handled = x.handled();
    if (row.node.supervisor) row.cell = book_->slots[c].cell;
    all.rows.push_back(std::move(row));
  }
  return all;
}

}  // namespace coppice
