// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/cell_private.hpp>

#include <mutex>
#include <utility>

#include <coppice/actors/actor.hpp>

namespace coppice::detail {

const node_type credit_node::as_credit{&discard, nullptr, node_kind::credit, &fail_with};
const node_type credit_node::as_reply{&discard, nullptr, node_kind::reply, nullptr};

// ---- construction -------------------------------------------------------------------------

cell::cell(core& home, const actor_type& type, const factory_type& made_by,
           const cell_options& options, cell* parent, std::uint32_t index) noexcept
    : home_(&home),
      type_(&type),
      factory_(&made_by),
      parent_(parent),
      index_(index),
      limit_(options.policy == overflow::drop_oldest
                 ? std::min(2 * options.capacity, lane::max_capacity)
                 : options.capacity),
      capacity_(options.capacity),
      shutdown_ms_(options.shutdown_ms),
      ends_with_incarnation_(options.ends_with_incarnation),
      policy_(options.policy),
      reject_while_restarting_(options.reject_while_restarting),
      own_thread_(options.own_thread),
      stop_wanted_(false),
      suspended_(false),
      ignores_(false),
      reports_in_order_(false),
      yields_(false),
      closing_(false) {}

cell::~cell() {
  lane_.synchronize();
  require(!object_, "a cell was destroyed while its incarnation lived");
  for (node* x = lane_.take(); x;) destroy(std::exchange(x, x->next));
  for (node* x = system_list_.take_and_end(); x;) destroy(std::exchange(x, x->next));
  while (held_first_) destroy(std::exchange(held_first_, held_first_->next));
  delete extras_;
}

extras& cell::more() {
  if (!extras_) extras_ = new extras;
  return *extras_;
}

// ---- any thread ---------------------------------------------------------------------------

std::string cell::path() const {
  if (type_->proxy) return type_->proxy->path(factory());
  if (!parent_) return '/' + std::string{id()};
  std::string text = parent_->path();
  if (text != "/") text += '/';
  return text.append(id());
}

bool cell::tell(control what, exit_reason why, cell* from) noexcept {
  auto* c = new control_node{what};
  c->reason = std::move(why);
  c->from = cell_ptr{from};
  if (from) c->incarnation = from->incarnation();
  if (push_system(c)) return true;
  destroy(c);
  return false;
}

void cell::probe(request* x) noexcept {
  if (!push_system(x)) answer_failed(x, errc::gone, make_cause("the address has ended", path()));
}

void cell::start(bool drop_mailbox, std::uint32_t index, bool in_order) noexcept {
  auto* c = new control_node{control::start};
  c->incarnation = in_order;  // a start names no incarnation: the field is free
  c->flag = drop_mailbox;
  c->index = index;
  if (!push_system(c)) destroy(c);
}

void cell::stop(exit_reason why, tick until, bool for_good) noexcept {
  control_node* c = until ? new stop_node{until} : new control_node{control::stop};
  c->flag = for_good;
  c->reason = std::move(why);
  raise_stop_token();
  if (!push_system(c)) destroy(c);
}

void cell::kill(exit_reason why, bool for_good) noexcept {
  auto* c = new control_node{control::kill};
  c->flag = for_good;
  c->reason = std::move(why);
  raise_stop_token();
  if (!push_system(c)) destroy(c);
}

/// Before the control event, so that whoever handles that one knows that no mark comes later.
void cell::raise_stop_token() noexcept {
  if (!(stop_marks_.fetch_or(stop_asked, std::memory_order_acq_rel) & token_taken)) return;
  std::stop_source source{std::nostopstate};
  {
    std::lock_guard lock{home().stop_guard};
    const auto found = home().stop_sources.find(this);
    if (found != home().stop_sources.end()) source = found->second;
  }
  source.request_stop();
}

void cell::refused(node* x, lane::outcome why) noexcept {
  if (x->type->kind == node_kind::request || x->type->kind == node_kind::credit) {
    refused(static_cast<request*>(x), why);
    return;
  }
  home().dead(as_dead_letter(why), x->type->event, this);
  destroy(x);
}

void cell::refused(request* x, lane::outcome why) noexcept {
  const dead_letter_reason reason = as_dead_letter(why);
  const char* text = why == lane::outcome::full         ? "the mailbox is full"
                     : why == lane::outcome::stopped    ? "the actor is not running"
                     : why == lane::outcome::restarting ? "the actor is being restarted"
                                                        : "the address has ended";
  answer_failed(x, as_error(reason), make_cause(text, path()));
}

result<void> refuse_offer(cell& to, node* event, lane::outcome why) {
  const dead_letter_reason reason = as_dead_letter(why);
  const bool dropped = why == lane::outcome::full && to.policy() != overflow::reject;
  if (dropped) to.home().dead(reason, event->type->event, &to);
  destroy(event);
  if (dropped) return {};
  return error{as_error(reason), "the event was refused", to.path()};
}

std::stop_token cell::stop_token() {
  std::stop_source source{std::nostopstate};
  bool asked;
  {
    std::lock_guard lock{home().stop_guard};
    source = home().stop_sources[this];
    asked = stop_marks_.fetch_or(token_taken, std::memory_order_acq_rel) & stop_asked;
  }
  if (asked) source.request_stop();
  return source.get_token();
}

// ---- whoever runs the cell ----------------------------------------------------------------

tick cell::now() const noexcept { return home().clock.now(); }

tick cell::deadline_in(std::int64_t ms) const noexcept {
  // The current millisecond has begun already: one more, so that nobody gets less than asked for.
  return now() + std::clamp<std::int64_t>(ms, 0, max_wait_ms) + 1;
}

void cell::mark(cell* running) noexcept {
  if (this_worker.mark) this_worker.mark->running.store(running, std::memory_order_release);
}

bool cell::run(std::uint32_t budget, std::uint32_t& handled) {
  struct context {
    cell* previous;
    explicit context(cell* x) noexcept : previous(std::exchange(this_worker.running, x)) {}
    ~context() { this_worker.running = previous; }
  } scope{this};
  // The address has ended, in whatever was done last: nothing may look at the mailbox again.
  const auto leave = [this] {
    mark(nullptr);
    this_worker.cell_ended = true;
    release(this);
    return false;
  };
  mark(this);
  for (;;) {
    if (lane_.take_signal()) [[unlikely]] {
      handle_system();
      ++handled;
      if (state() == cell_state::ended) return leave();
      if (!yields_) continue;
      yields_ = false;
      mark(nullptr);
      return true;
    }
    if (handled >= budget) {
      mark(nullptr);
      return true;
    }
    node* x = nullptr;
    const bool listens = state() == cell_state::running && !stop_wanted_ && !suspended_;
    if (listens && !turns_ && listening_ == listening::to_all) [[likely]] {
      x = next_event();
    } else if (listens && type_->is_interleaved && listening_ != listening::to_none) {
      x = next_interleaved();
    } else {
      // Only one that has not ended at once needs a deadline.
      if (extras_ && extras_->stop_until) want_wake(extras_->stop_until);
      mark(nullptr);
      if (lane_.suspend()) return false;
      mark(this);
      continue;
    }
    if (!x) {
      mark(nullptr);
      if (lane_.park()) return false;
      mark(this);
      continue;
    }
    ++handled;
    dispatch(x);
    if (this_worker.after && this_worker.after_since != now()) [[unlikely]]
      end_of_slice();  // the next handlers may be slow
    if (state() == cell_state::ended) [[unlikely]]
      return leave();
  }
}

node* cell::next_event() noexcept {
  if (extras_ && extras_->interleaved.first) [[unlikely]] {
    extras_->partitioned = false;
    return extras_->interleaved.pop();
  }
  if (!held_first_) {
    if (lane_.empty()) return nullptr;
    append(lane_.take());
  }
  node* x = held_first_;
  held_first_ = x->next;
  if (!held_first_) held_last_ = nullptr;
  return x;
}

node* cell::next_interleaved() noexcept {
  extras& e = more();
  const auto sort = [&](node* chain) {
    node_queue others{held_first_, held_last_};
    while (chain) {
      node* x = std::exchange(chain, chain->next);
      x->next = nullptr;
      const event_type* event = x->type->kind == node_kind::timer
                                    ? e.timers.event_of(static_cast<timer_node*>(x)->key)
                                    : x->type->event;
      (event && type_->is_interleaved(event) ? e.interleaved : others).append(x);
    }
    held_first_ = others.first;
    held_last_ = others.last;
  };
  if (!e.partitioned) {
    e.partitioned = true;
    held_last_ = nullptr;
    sort(std::exchange(held_first_, nullptr));
  }
  if (!lane_.empty()) sort(lane_.take());
  std::uint32_t open = 0;
  for (turn* t = turns_; t; t = t->next) ++open;
  return open < max_waiting ? e.interleaved.pop() : nullptr;
}

void cell::append(node* first) noexcept {
  node_queue q{held_first_, held_last_};
  q.append(first);
  if (extras_) extras_->partitioned = false;
  held_first_ = q.first;
  held_last_ = q.last;
}

/// Whether an envelope needs no handler: a credit, a cancelled timer, a notice for somebody who
/// is gone, an event evicted or expired. If so it has been dealt with.
bool cell::not_for_us(node* x) noexcept {
  if (type_->proxy && x->type->kind != node_kind::request) return false;
  switch (x->type->kind) {
    case node_kind::credit: {
      x->type = &credit_node::as_reply;
      answer(static_cast<request*>(x));
      return true;
    }
    case node_kind::notice: {
      bool ours = static_cast<notice*>(x)->incarnation == incarnation();
      if (ours && x->type == &notice_node<exit_signal>::type_record) {
        const auto& s = static_cast<notice_node<exit_signal>*>(x)->value;
        if (s.linked) {
          auto& links = more().links;
          const auto from = std::find_if(links.begin(), links.end(), [&](const cell_ptr& l) {
            return l->number() == s.number;
          });
          ours = from != links.end();
          if (ours) links.erase(from);
        }
      }
      if (ours && x->type == &notice_node<ended>::type_record) {
        const auto& e = static_cast<notice_node<ended>*>(x)->value;
        auto& watching = more().watching;
        const auto from = std::find_if(watching.begin(), watching.end(),
                                       [&](const cell_ptr& w) { return w->number() == e.number; });
        if (from == watching.end())  // not watched any more; nobody and itself never are
          ours = e.number == 0 || e.number == number();
        else if (e.gone) watching.erase(from);
      }
      if (!ours) destroy(x);
      return !ours;
    }
    case node_kind::request: {
      auto* r = static_cast<request*>(x);
      if (r->until > now()) break;
      lane_.consumed(1);
      answer_failed(r, errc::expired, make_cause("its deadline had passed in the mailbox", path()));
      return true;
    }
    default: break;
  }
  if (policy_ == overflow::drop_oldest && x->type->counted() && lane_.depth() > capacity_) {
    lane_.consumed(1);
    drop(x, dead_letter_reason::evicted);
    return true;
  }
  return false;
}

void cell::dispatch(node* x) {
  if (x->type->kind != node_kind::event || policy_ == overflow::drop_oldest) [[unlikely]] {
    if (x->type->kind == node_kind::timer) {
      node* event = extras_->timers.deliver(static_cast<timer_node*>(x)->key);
      destroy(x);
      if (!event) return;
      x = event;
    } else {
      if (not_for_us(x)) return;
      if (x->type->counted()) lane_.consumed(1);
    }
  } else {
    lane_.consumed(1);
  }
  handled_.store(handled_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (this_worker.mark) this_worker.mark->event.store(x->type->event, std::memory_order_relaxed);
  in_hand_ = x;
  took outcome;
  try {
    outcome = type_->dispatch(object_, x, *this);
  } catch (const std::exception& e) {  // a rethrow to look at it would cost as much as the throw
    crash(reason_of(e), x->type->event);
    return;
  } catch (...) {
    crash(reason_of(std::current_exception()), x->type->event);
    return;
  }
  in_hand_ = nullptr;
  if (outcome == took::done) destroy(x);
  else if (outcome == took::unknown) not_accepted(x);
  if (stop_wanted_) [[unlikely]]
    stop_if_idle();
}

// Not in `dispatch`: its many temporaries would make every event, and every unwinding, dearer.
void cell::not_accepted(node* x) noexcept {
  if (x->type->kind == node_kind::request) {
    answer_failed(static_cast<request*>(x), errc::unknown_event,
                  make_cause("the actor does not accept this event", path()));
  } else {
    home().dead(dead_letter_reason::unknown_event, x->type->event, this);
    destroy(x);
  }
}

request* cell::detach_in_hand() noexcept {
  return static_cast<request*>(std::exchange(in_hand_, nullptr));
}

}  // namespace coppice::detail
