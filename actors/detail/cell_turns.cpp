// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/cell_private.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace coppice::detail {

void own(frame& fresh, std::coroutine_handle<> coroutine, frame*& owner) noexcept {
  fresh.handle = coroutine;
  fresh.owner = &owner;
}

void run_nested(turn& t, frame& nested) noexcept {
  nested.in = &t;
  t.leaf = &nested;
  t.ready = &nested;
}

// ---- waiting ------------------------------------------------------------------------------

void waiting::forget() noexcept {
  if (!previous) return;
  *previous = next;
  if (next) next->previous = previous;
  previous = nullptr;
  --here->waiting_count_;
}

void hand_over(waiting& from, waiting& to) noexcept {
  to.here = from.here;
  to.until = from.until;
  to.seq = from.seq;
  to.next = from.next;
  to.previous = from.previous;
  *to.previous = &to;
  if (to.next) to.next->previous = &to.next;
  from.previous = nullptr;
}

void drop_answer(waiting& w) noexcept {
  if (w.answer) destroy(std::exchange(w.answer, nullptr));
}

// ---- answers ------------------------------------------------------------------------------

void answer(request* x) noexcept {
  if (answer_sink* sink = x->sink()) {
    sink->answered(x);
    return;
  }
  cell* asker = x->asker();
  if (!asker || !asker->push_system(x)) destroy(x);
}

void answer_failed(request* x, errc code, cause_ptr because) noexcept {
  x->type->fail(x, code, std::move(because));
  answer(x);
}

// ---- turns --------------------------------------------------------------------------------

turn& cell::add_turn(frame* root, turn_kind kind) {
  auto* t = new turn;
  t->here = this;
  t->root = t->leaf = t->ready = root;
  t->kind = kind;
  t->next = turns_;
  turns_ = t;
  root->in = t;
  return *t;
}

took cell::begin_turn(frame* root, node* envelope, void (*at_end)(turn&)) {
  turn& t = add_turn(root, turn_kind::event);
  t.envelope = envelope;
  t.finish = at_end;
  in_hand_ = nullptr;
  resume_turn(t);
  return took::kept;
}

void cell::begin_phase(frame* root, turn_kind kind) { resume_turn(add_turn(root, kind)); }

void cell::resume_turn(turn& t) {
  turn_ = &t;
  if (this_worker.mark)
    this_worker.mark->event.store(t.envelope ? t.envelope->type->event : nullptr,
                                  std::memory_order_relaxed);
  while (frame* f = std::exchange(t.ready, nullptr)) {
    f->handle.resume();
    if (!f->handle.done()) continue;
    if (f != t.root) {
      t.leaf = t.ready = f->parent;
      continue;
    }
    turn_ = nullptr;
    if (f->failure) {
      crash(reason_of(f->failure), t.envelope ? t.envelope->type->event : nullptr);
      return;
    }
    if (t.finish) t.finish(t);
    const turn_kind kind = t.kind;
    end_turn(t);
    if (kind == turn_kind::started) start_completed();
    if (kind == turn_kind::stopping) finish(more().stop_reason);
    else if (stop_wanted_) stop_if_idle();
    return;
  }
  turn_ = nullptr;
}

void cell::end_turn(turn& t) noexcept {
  turn** link = &turns_;
  while (*link != &t) link = &(*link)->next;
  *link = t.next;
  frame::destroy(t.root);
  if (t.envelope) destroy(t.envelope);
  delete &t;
}

/// Destroys all turns, innermost frames first; their envelopes are settled with the object.
void cell::leave_turns() noexcept {
  while (waiting_) {
    waiting* w = waiting_;
    w->forget();
    if (w->discard) w->discard(*w);
  }
  while (turns_) {
    turn* t = std::exchange(turns_, turns_->next);
    for (frame* f = t->leaf; f;) {
      frame* outer = f->parent;
      frame::destroy(f);
      f = outer;
    }
    if (t->envelope) {
      t->envelope->next = more().envelopes;
      more().envelopes = t->envelope;
    }
    delete t;
  }
  turn_ = nullptr;
}

// ---- waiting and asking -------------------------------------------------------------------

void cell::expect(waiting& w, tick until) {
  w.here = this;
  w.until = until;
  w.next = waiting_;
  w.previous = &waiting_;
  if (waiting_) waiting_->previous = &w.next;
  waiting_ = &w;
  ++waiting_count_;
  if (until) want_wake(until);
}

bool cell::would_deadlock(cell* to, const event_type& event, std::string& chain) const {
  if (state() == cell_state::starting && to == parent_.get()) {
    chain = to->path() + " starts " + path() + ", which asks it";
    return true;
  }
  if (!turn_ || (to->type_->is_interleaved && to->type_->is_interleaved(&event))) return false;
  const auto* r = turn_->envelope && turn_->envelope->type->kind == node_kind::request
                      ? static_cast<const request*>(turn_->envelope)
                      : nullptr;
  bool found = to == this;
  if (!found && r && r->held) {
    found = to == r->asker();
    for (const chain_link* l = r->chain; l && !found; l = l->next) found = to == l->who.get();
  }
  if (!found) return false;
  chain = path() + " -> " + to->path();
  if (to == this) return true;
  std::string before;
  const cell* asker = r->asker();
  if (asker) before = asker->path() + " -> ";
  if (!asker || to != asker)
    for (const chain_link* l = r->chain; l; l = l->next) {
      before = l->who->path() + " -> " + before;
      if (l->who.get() == to) break;
    }
  chain = before + chain;
  return true;
}

void cell::ask(cell* to, request* x, waiting& w, std::int64_t ms) {
  const tick until = deadline_in(ms);
  if (++seq_ == 0) ++seq_;
  w.seq = x->seq = seq_;
  x->until = until;
  x->from(this);
  const bool room_left = waiting_count_ < max_waiting;
  expect(w, until);
  if (!to) {
    answer_failed(x, errc::gone, make_cause("the ref refers to nobody"));
    return;
  }
  if (!room_left) [[unlikely]] {
    answer_failed(x, errc::limit,
                  make_cause("an actor waits for at most 1000 answers at a time", path()));
    return;
  }
  if (turn_ || state() == cell_state::starting) [[unlikely]] {
    if (x->type->event) {
      std::string chain;
      if (would_deadlock(to, *x->type->event, chain)) {
        answer_failed(x, errc::cycle, make_cause("a cycle of asks: " + chain, path()));
        return;
      }
    }
    if (!x->type->event && turn_ && to == this) {
      answer_failed(x, errc::cycle, make_cause("it waits for room in its own mailbox", path()));
      return;
    }
    x->held = turn_ != nullptr;
    const node* envelope = turn_ ? turn_->envelope : nullptr;
    if (envelope && envelope->type->kind == node_kind::request) {
      const auto* r = static_cast<const request*>(envelope);
      if (r->held && !r->asker()) {  // from another node: whoever waits there stands in the chain
        x->chain = r->chain;
        if (x->chain) x->chain->references.fetch_add(1, std::memory_order_relaxed);
      } else if (r->held) {
        int length = 0;
        for (const chain_link* l = r->chain; l; l = l->next) ++length;
        if (length == max_call_chain) {
          answer_failed(x, errc::cycle, make_cause("a chain of more than 64 asks", path()));
          return;
        }
        auto* link = new chain_link;
        link->who = cell_ptr{r->asker()};
        link->next = r->chain;
        if (link->next) link->next->references.fetch_add(1, std::memory_order_relaxed);
        x->chain = link;
      }
    }
  }
  to->ask(x);
}

void cell::await_room(cell* to, waiting& w, std::int64_t ms) { ask(to, new credit_node, w, ms); }

void cell::on_reply(request* r) {
  waiting* w = waiting_;
  while (w && w->seq != r->seq) w = w->next;
  if (!w) {  // too late, or nobody waits any more: the asker knows already
    destroy(r);
    return;
  }
  w->answer = r;
  complete(*w);
}

void cell::complete(waiting& w) {
  w.forget();
  w.complete = true;
  if (w.waiter) {
    turn& t = *w.waiter->in;
    t.ready = w.waiter;
    resume_turn(t);
  } else if (w.resume) {
    try {
      w.resume(w);
    } catch (...) {
      crash(reason_of(std::current_exception()));
    }
    if (stop_wanted_) stop_if_idle();
  }
}

void cell::want_wake(tick at) {
  if (wake_at_ && wake_at_ <= at) return;
  if (wake_at_ && (!wake_later_ || wake_at_ < wake_later_)) wake_later_ = wake_at_;
  wake_at_ = at;
  home().clock.arm(this_worker.shard, at, this);
}

void cell::on_wake(tick at) {
  if (wake_at_ && wake_at_ <= at) wake_at_ = std::exchange(wake_later_, 0);
  if (state() == cell_state::down || state() == cell_state::ended) return;
  if (extras_) {
    extras& e = *extras_;
    if (e.stop_until && e.stop_until <= at && (closing_ || stop_wanted_)) {
      e.stop_until = 0;
      die(e.stop_reason.clean() ? exit_reason{exit_reason::kind::killed,
                                              make_cause("it did not stop within its deadline",
                                                         path(), incarnation())}
                                : e.stop_reason);
      return;
    }
    while (const auto key = e.timers.pop(at)) {
      if (!lane_.empty()) append(lane_.take());  // a fired timer waits behind what is there
      append(new timer_node{*key});
    }
  }
  for (bool again = true; again;) {
    again = false;
    for (waiting* w = waiting_; w; w = w->next) {
      if (!w->until || w->until > at) continue;
      again = true;  // what runs now may change the list: look from its head
      complete(*w);
      break;
    }
  }
  next_wake();
}

/// Enters the earliest deadline that is left.
void cell::next_wake() {
  tick first = 0;
  const auto consider = [&first](tick at) { first = first ? std::min(first, at) : at; };
  for (const waiting* w = waiting_; w; w = w->next)
    if (w->until) consider(w->until);
  if (extras_) {
    if (const auto t = extras_->timers.next()) consider(*t);
    if (extras_->stop_until) consider(extras_->stop_until);
  }
  if (first) want_wake(first);
}

}  // namespace coppice::detail
