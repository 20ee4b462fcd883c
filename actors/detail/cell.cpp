// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/cell.hpp>

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <typeinfo>

#include <coppice/actors/actor.hpp>
#include <coppice/actors/detail/core.hpp>
#include <coppice/actors/detail/timer_queue.hpp>

namespace coppice::detail {

namespace {

constexpr std::uint16_t max_waiting = 1'000;      // pending asks, pauses and rooms of one actor
constexpr std::size_t max_relations = 10'000;     // watches and links of one actor, each
constexpr std::int64_t max_wait_ms = 7 * 86'400'000LL;
constexpr std::uint8_t token_taken = 1, stop_asked = 2;  // the marks of an incarnation's token

struct timer_node : node {
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }
  static void discard(node* x) noexcept { delete static_cast<timer_node*>(x); }
  static constexpr node_type type_record{&discard, nullptr, node_kind::timer};

  explicit timer_node(timer_key k) noexcept : node{nullptr, &type_record}, key(k) {}
  timer_key key;
};

thread_local constinit cell* under_construction = nullptr;

/// A list of nodes, first in first out.
struct node_queue {
  node* first = nullptr;
  node* last = nullptr;

  void append(node* chain) noexcept {
    if (!chain) return;
    (last ? last->next : first) = chain;
    for (last = chain; last->next;) last = last->next;
  }
  node* pop() noexcept {
    node* x = first;
    if (x && !(first = x->next)) last = nullptr;
    return x;
  }
};

}  // namespace

const node_type credit_node::as_credit{&discard, nullptr, node_kind::credit, &fail_with};
const node_type credit_node::as_reply{&discard, nullptr, node_kind::reply, nullptr};

/// What few cells need; made on first use.
struct extras {
  struct watcher {
    cell_ptr who;
    std::uint32_t incarnation;
  };

  timer_queue timers;
  std::vector<watcher> watchers;
  std::vector<cell_ptr> watching;
  std::vector<cell_ptr> links;
  exit_reason stop_reason;
  tick stop_until = 0;        ///< zero: no deadline
  node* envelopes = nullptr;  ///< of destroyed turns, settled when the object is gone
  node_queue interleaved;     ///< held events that may be handled while a turn waits
  bool partitioned = false;   ///< the held events have been looked through for such
};

cell* current_cell() noexcept { return this_worker.running; }

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
      policy_(options.policy),
      reject_while_restarting_(options.reject_while_restarting),
      own_thread_(options.own_thread),
      ends_with_incarnation_(options.ends_with_incarnation),
      stop_wanted_(false),
      suspended_(false),
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

void cell::start(bool drop_mailbox, std::uint32_t index) noexcept {
  auto* c = new control_node{control::start};
  c->flag = drop_mailbox;
  c->index = index;
  if (!push_system(c)) destroy(c);
}

void cell::stop(exit_reason why, tick until) noexcept {
  auto* c = new control_node{control::stop};
  c->reason = std::move(why);
  c->at = until;
  raise_stop_token();
  if (!push_system(c)) destroy(c);
}

void cell::kill(exit_reason why) noexcept {
  raise_stop_token();
  tell(control::kill, std::move(why));
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
      continue;
    }
    if (handled >= budget) {
      mark(nullptr);
      return true;
    }
    node* x = nullptr;
    const bool listens = state() == cell_state::running && !stop_wanted_ && !suspended_;
    if (listens && !turns_) {
      x = next_event();
    } else if (listens && type_->is_interleaved) {
      x = next_interleaved();
    } else {
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
    if (state() == cell_state::ended) [[unlikely]] return leave();
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
        const auto from = std::find_if(watching.begin(), watching.end(), [&](const cell_ptr& w) {
          return w->number() == e.number;
        });
        if (from == watching.end())  // not watched any more; nobody and itself never are
          ours = e.number == 0 || e.number == number();
        else if (e.gone)
          watching.erase(from);
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
    crash(reason_of(e));
    return;
  } catch (...) {
    crash(reason_of(std::current_exception()));
    return;
  }
  in_hand_ = nullptr;
  if (outcome != took::kept) {
    if (outcome == took::unknown) {
      if (x->type->kind == node_kind::request) {
        answer_failed(static_cast<request*>(x), errc::unknown_event,
                      make_cause("the actor does not accept this event", path()));
        x = nullptr;
      } else {
        home().dead(dead_letter_reason::unknown_event, x->type->event, this);
      }
    }
    if (x) destroy(x);
  }
  if (stop_wanted_) [[unlikely]] stop_if_idle();
}

request* cell::detach_in_hand() noexcept {
  return static_cast<request*>(std::exchange(in_hand_, nullptr));
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
      crash(reason_of(f->failure));
      return;
    }
    if (t.finish) t.finish(t);
    const turn_kind kind = t.kind;
    end_turn(t);
    if (kind == turn_kind::started) start_completed();
    if (kind == turn_kind::stopping)
      finish(more().stop_reason);
    else if (stop_wanted_)
      stop_if_idle();
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
  if (const cell* asker = r->asker()) {
    before = asker->path() + " -> ";
    if (to != asker)
      for (const chain_link* l = r->chain; l; l = l->next) {
        before = l->who->path() + " -> " + before;
        if (l->who.get() == to) break;
      }
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
    x->held = turn_ != nullptr;
    const node* envelope = turn_ ? turn_->envelope : nullptr;
    if (envelope && envelope->type->kind == node_kind::request) {
      const auto* r = static_cast<const request*>(envelope);
      if (r->held && r->asker()) {
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

// ---- system events ------------------------------------------------------------------------

void cell::handle_system() {
  for (node* x = system_list_.take(); x;) {
    node* next = x->next;
    if (x->type->kind == node_kind::reply) {
      on_reply(static_cast<request*>(x));
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
  const bool alive = s == cell_state::starting || s == cell_state::running ||
                     s == cell_state::stopping;
  switch (c.what) {
    case control::start:
      if (s != cell_state::down) break;
      index_ = c.index;
      make_incarnation(c.flag);
      break;
    case control::stop:
      if (s == cell_state::running) {
        stop_now(std::move(c.reason), c.at);
        stop_if_idle();
      } else if (s == cell_state::starting) {
        die(std::move(c.reason));
      } else if (s == cell_state::down) {
        stop_marks_.store(0, std::memory_order_relaxed);
        report(report_kind::ended, std::move(c.reason));
      }
      break;
    case control::kill:
      if (alive) {
        die(std::move(c.reason));
      } else if (s == cell_state::down) {
        stop_marks_.store(0, std::memory_order_relaxed);
        report(report_kind::ended, std::move(c.reason));
      }
      break;
    case control::end:
      if (s == cell_state::ended) break;
      ends_with_incarnation_ = false;
      if (alive) finish(c.reason);
      end(std::move(c.reason));
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
      if (extras_)
        std::erase_if(extras_->watchers, [&](const auto& w) { return w.who == c.from; });
      break;
    case control::link:
      if (alive && c.from.get() != this) {
        auto& links = more().links;
        if (std::find(links.begin(), links.end(), c.from) == links.end()) links.push_back(c.from);
      } else if (!alive) {
        signal_end(c.from.get(), exit_reason{exit_reason::kind::noproc,
                                             make_cause("it was linked to an actor that does not "
                                                        "run", path())}, true);
      }
      break;
    case control::unlink:
      if (extras_) std::erase(extras_->links, c.from);
      break;
    case control::signal:
      if (alive) on_signal(c);
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
  if (untrappable)
    die(exit_reason{kind::killed, c.reason.why()});
  else if (what != kind::normal || (c.from.get() == this && !c.flag))
    die(c.reason);
}

// ---- an incarnation's life ----------------------------------------------------------------

void cell::make_incarnation(bool fresh_mailbox) {
  if (fresh_mailbox) drop_mailbox(dead_letter_reason::restarting);
  if (!reject_while_restarting_ || incarnation() == 0)
    lane_.accept();
  else  // until the start is complete
    lane_.refuse_restarting();
  stop_wanted_ = false;
  suspended_ = false;
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
  if (until && (!e.stop_until || until < e.stop_until)) {
    e.stop_until = until;
    want_wake(until);
  }
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

void cell::crash(exit_reason why) noexcept {
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
  want_wake(e.stop_until);
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
    for (const cell_ptr& other : std::exchange(e.links, {})) signal_end(other.get(), why, true);
    // Whoever ends with its address says so at the end, in one notice.
    if (!ends_with_incarnation_) tell_watchers(why, false);
    e.stop_reason = {};
  }
  if (ends_with_incarnation_) {
    if (!parent_ && !why.clean() && home().watch) home().watch->on_orphan(path(), why.text());
    end(std::move(why));
    return;
  }
  report(was_starting && why.what() == exit_reason::kind::start_failed ? report_kind::start_failed
                                                                        : report_kind::ended,
         std::move(why));
}

/// What becomes of an event that was in hand when its incarnation ended.
void cell::settle(node* x, const exit_reason& why) noexcept {
  if (x->type->kind == node_kind::request) {
    answer_failed(static_cast<request*>(x), errc::crashed,
                  make_cause("the actor ended with the event in hand: " +
                                 std::string{name(why.what())},
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

void cell::end(exit_reason why) noexcept {
  if (state() == cell_state::ended) return;
  lane_.close();
  drop_mailbox(dead_letter_reason::gone);
  state_.store(cell_state::ended, std::memory_order_relaxed);
  cleanup_foreign(why);
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
  c->index = index_;
  c->incarnation = incarnation();
  c->from = cell_ptr{this};
  c->reason = std::move(why);
  if (!parent_->push_system(c)) destroy(c);
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
  return crashed(readable(typeid(failure)) + ": " + failure.what(), nullptr);
}

exit_reason cell::crashed(std::string what, cause_ptr root) const {
  return exit_reason{exit_reason::kind::crashed,
                     make_cause(std::move(what), path(), incarnation(), std::move(root))};
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

void cell::exit(cell* other, exit_reason why) noexcept {
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
  auto* c = new control_node{control::signal};
  c->flag = linked;
  c->from = cell_ptr{this};
  c->reason = why;
  if (!to->push_system(c)) destroy(c);
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

}  // namespace coppice::detail

namespace coppice {

actor_base::actor_base() : cell_(detail::under_construction) {
  if (!cell_)
    throw std::logic_error{"an actor is made by its supervisor or by spawn, not by hand"};
}

result<void> actor_base::offer_refused(detail::cell& to, detail::node* event,
                                       detail::lane::outcome why) {
  return detail::refuse_offer(to, event, why);
}

void actor_base::nobody(const event_type& event) noexcept {
  cell_->home().dead(dead_letter_reason::gone, &event, nullptr);
}

}  // namespace coppice
