// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/shape.hpp>
#include <coppice/runtime/wire/stand_in_private.hpp>

#include <algorithm>
#include <utility>

namespace coppice::wire {

using detail::control;
using detail::control_node;
using detail::node;
using detail::node_kind;
using detail::notice_node;
using detail::request;
using detail::writer;

namespace {

/// What the proxies of a thread encode into; kept for its capacity.
std::vector<std::byte>& scratch() {
  thread_local std::vector<std::byte> bytes;
  bytes.clear();
  return bytes;
}

writer& begin(writer& to, message_kind what) {
  to.unsigned_integer(static_cast<std::uint64_t>(what));
  return to;
}

}  // namespace

/// Stands for an actor on another node: writes what it receives into the messages of the session.
class proxy final : public stand_in {
 public:
  explicit proxy(const std::shared_ptr<remote_address>& at) : stand_in(at) {
    counterpart::state now = at_->peer->now();
    with_ = std::move(now.with);
    cut_off_ = now.unreachable;
    why_ = std::move(now.why);
  }

  void handle(node* x) {
    if (x->type->kind == node_kind::request && is_reach(x)) [[unlikely]] {
      if (!reach(x)) hold(x);
    } else if (!forward(x)) {
      hold(x);
    }
  }
  void hear(news& n);
  void control_from(control_node& c);

 private:
  struct way_for {
    const event_type* event;
    std::uint32_t index;
    errc refused;  ///< zero: it is taken
    std::string why;
  };
  /// Goes on with what was held.
  void go_on() {
    if (node* x = take_held()) handle(x);
  }

  static const detail::node_type& end_behind() {
    static const detail::node_type once = notice_node<ended>::type_record;
    return once;
  }
  static const detail::node_type& signal_behind() {
    static const detail::node_type once = notice_node<exit_signal>::type_record;
    return once;
  }
  static bool is_end(const node* x) {
    return x->type == &notice_node<ended>::type_record || x->type == &end_behind();
  }

  bool forward(node* x);
  bool goes_behind_others(node* x);
  bool forward_event(node* x);
  bool forward_credit(request* x);
  bool forward_end(node* x);
  bool forward_signal(node* x);
  bool reach(node* x);

  /// Asks who is there. True: it has been asked. `anew`: not for whomever the handle names.
  bool resolve(bool anew = false);
  void wait_for_time() { at_->peer->wait_for_time(cell_ptr{cell_}); }
  /// Now, or a while after nobody was found.
  void ask_again() {
    if (state_ == state::absent) wait_for_time();
    else resolve();
  }
  std::uint32_t handle_now() const;
  const way_for& way(const event_type& event);
  outlet::outcome try_send(std::span<const std::byte> message);
  bool send(std::span<const std::byte> message);
  void send_owed(std::span<const std::byte> message);
  void send_watch(const watcher& w);
  void send_relation(message_kind what, cell* other);
  void put_signal(std::vector<std::byte>& into, std::uint64_t from_number,
                  std::string_view from_path, const exit_reason& why, bool linked) const;
  void send_signals();
  void forget_target();
  void end_address(const exit_reason& why);
  void begin_going();
  void become_gone();
  void end_if_unrelated();
  void give_back();
  /// Its node has been asked to say so behind all that the actor has sent.
  bool is_going() const { return ending_ && state_ == state::asked; }

  conversation_ptr with_;
  bool cut_off_ = false;
  bool ending_ = false;  ///< the address has ended, and not all have been told
  std::string why_;  ///< it is cut off
  std::vector<table_entry> table_;
  std::vector<way_for> ways_;
};

// ---- what goes out ----------------------------------------------------------------------------

/// False: not yet. Otherwise it has been dealt with.
bool proxy::forward(node* x) {
  if (!with_ || with_->closed()) {
    if (!cut_off_) return false;
    refuse(x, {errc::unreachable, dead_letter_reason::unreachable, why_});
    return true;
  }
  switch (x->type->kind) {
    case node_kind::event:
    case node_kind::request: return forward_event(x);
    case node_kind::credit: return forward_credit(static_cast<request*>(x));
    case node_kind::notice:
      if (goes_behind_others(x)) return true;
      return is_end(x) ? forward_end(x) : forward_signal(x);
    default: detail::destroy(x); return true;
  }
}

/// The actor that has ended may have sent its last events by the other address of the same target,
/// where they still wait: then its notice goes behind them, once.
bool proxy::goes_behind_others(node* x) {
  const detail::node_type& type = *x->type;
  if (&type == &end_behind() || &type == &signal_behind()) return false;
  const cell_ptr other = at_->peer->other_that_waits(*cell_);
  if (!other) return false;
  x->type = is_end(x) ? &end_behind() : &signal_behind();
  if (other->push(x) == detail::lane::outcome::put) return true;
  x->type = &type;
  return false;
}

bool proxy::resolve(bool anew) {
  if (state_ == state::asked) return true;
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  const std::uint32_t correlation = with_->await_resolved(cell_ptr{cell_});
  if (!correlation) return false;
  begin(to, message_kind::resolve).unsigned_integer(correlation);
  to.unsigned_integer(anew ? 0 : handle_now());
  to.unsigned_integer(at_->peer->begin_asking(*at_));
  to.text(at_->path);
  if (!send(bytes)) {
    with_->withdraw_resolve(correlation);
    at_->asked = false;
    return false;
  }
  state_ = state::asked;
  return true;
}

/// The handle under which the node knows the target in this conversation; zero: it does not.
std::uint32_t proxy::handle_now() const {
  const std::uint64_t known = at_->handle.load(std::memory_order_acquire);
  return with_ && known >> 32 == with_->number() ? static_cast<std::uint32_t>(known) : 0;
}

/// How an event gets there, found out once.
const proxy::way_for& proxy::way(const event_type& event) {
  for (const way_for& w : ways_)
    if (w.event == &event) return w;
  way_for w{&event, 0, errc::unknown_event, {}};
  if (!event.wire) {
    w.why = "the event " + std::string{event.type_name} +
            " has no name to travel under: give it `static constexpr std::string_view name`";
  } else {
    const auto found = std::find_if(table_.begin(), table_.end(), [&](const table_entry& e) {
      return e.name == event.wire_name;
    });
    const auto differ = [&](std::string_view part, std::string_view mine, std::string_view theirs) {
      if (const auto how = detail::shapes_differ(mine, theirs))
        w.why = "the two nodes disagree about " + std::string{part} + ' ' +
                std::string{event.wire_name} + ": " + *how;
    };
    if (found == table_.end()) {
      w.why = "the actor does not accept " + std::string{event.wire_name};
    } else {
      w.index = static_cast<std::uint32_t>(found - table_.begin());
      differ("the event", event.wire->shape(), found->shape);
      if (w.why.empty() && event.wire->reply_shape)
        differ("the reply to", event.wire->reply_shape(), found->reply_shape);
      if (w.why.empty() && !found->allowed) {
        w.refused = errc::denied;
        w.why = "this node may not send " + std::string{event.wire_name} + " to that actor";
      } else if (w.why.empty()) {
        w.refused = errc{};
      }
    }
  }
  return ways_.emplace_back(std::move(w));
}

bool proxy::forward_event(node* x) {
  if (is_absent()) {
    refuse(x, absence_);
    return true;
  }
  if (state_ != state::ready) {
    resolve();  // if there is no room, `room` comes
    return false;
  }
  const event_type& event = *x->type->event;
  const way_for& w = way(event);
  if (w.refused != errc{}) {
    refuse(x, {w.refused,
               w.refused == errc::denied ? dead_letter_reason::denied
                                         : dead_letter_reason::unknown_event,
               w.why});
    return true;
  }
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  const bool asks = x->type->kind == node_kind::request;
  std::uint32_t correlation = 0;
  if (asks) {
    auto* r = static_cast<request*>(x);
    const tick left = r->until - now();
    correlation = with_->next_correlation();
    begin(to, message_kind::request).unsigned_integer(handle_now());
    to.unsigned_integer(w.index);
    to.unsigned_integer(correlation);
    to.unsigned_integer(static_cast<std::uint64_t>(std::max<tick>(left, 0)));
    // Whoever waits for the answer and handles nothing else meanwhile, nearest first.
    std::size_t length = 0;
    if (r->held) {
      length = r->asker() ? 1 : 0;
      for (const detail::chain_link* l = r->chain; l; l = l->next) ++length;
    }
    to.array(length);
    if (r->held) {
      if (r->asker()) with_->write(to, r->asker());
      for (const detail::chain_link* l = r->chain; l; l = l->next) with_->write(to, l->who.get());
    }
  } else {
    begin(to, message_kind::event).unsigned_integer(handle_now());
    to.unsigned_integer(w.index);
  }
  event.wire->encode(x, to);
  const bool awaited = asks && to.ok();
  if (awaited && !with_->await(correlation, static_cast<request*>(x))) {
    refuse(x, {errc::limit, dead_letter_reason::overflow,
               "too many asks are on their way to node " + at_->node});
    return true;
  }
  const auto outcome = to.ok() ? try_send(bytes) : outlet::outcome::too_large;
  if (outcome == outlet::outcome::taken) {
    auto& counted = asks ? at_->peer->counts.asks_sent : at_->peer->counts.events_sent;
    counted.fetch_add(1, std::memory_order_relaxed);
    if (!asks) detail::destroy(x);
    return true;
  }
  if (awaited && !with_->withdraw(correlation)) return true;  // answered: the session has ended
  if (outcome != outlet::outcome::too_large) return false;
  refuse(x, {errc::limit, dead_letter_reason::overflow,
             "the event takes " + std::to_string(bytes.size()) +
                 " bytes on the wire, more than limits.message_bytes"});
  return true;
}

bool proxy::forward_credit(request* x) {
  if (is_absent()) {
    refuse(x, absence_);
    return true;
  }
  if (state_ != state::ready) {
    resolve();
    return false;
  }
  const std::uint32_t correlation = with_->next_correlation();
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  begin(to, message_kind::credit).unsigned_integer(handle_now());
  to.unsigned_integer(correlation);
  to.unsigned_integer(static_cast<std::uint64_t>(std::max<tick>(x->until - now(), 0)));
  if (!with_->await(correlation, x)) {
    refuse(x, {errc::limit, dead_letter_reason::overflow, "too many asks are on their way"});
    return true;
  }
  if (send(bytes)) return true;
  return !with_->withdraw(correlation);
}

/// An actor of this node that the one behind this proxy watches has ended.
bool proxy::forward_end(node* x) {
  const ended& e = static_cast<notice_node<ended>*>(x)->value;
  const auto watching = with_->watching(*cell_, e.number, e.gone);
  const std::uint32_t handle = handle_now();
  if (!watching || !handle) {
    detail::destroy(x);
    return true;
  }
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  put_ended(to, handle, e, watching->incarnation, exchange_access::options(*at_->space).node);
  if (!send(bytes)) return false;
  detail::destroy(x);
  return true;
}

bool proxy::forward_signal(node* x) {
  const exit_signal& s = static_cast<notice_node<exit_signal>*>(x)->value;
  if (s.linked) std::erase_if(links_, [&](const cell_ptr& l) { return l->number() == s.number; });
  if (state_ != state::ready && !is_absent()) {
    resolve();
    return false;
  }
  if (state_ == state::ready) {  // or nobody is there to be told
    std::vector<std::byte>& bytes = scratch();
    put_signal(bytes, s.number, s.path, s.reason, s.linked);
    if (!send(bytes)) return false;
  }
  detail::destroy(x);
  return true;
}

void proxy::put_signal(std::vector<std::byte>& into, std::uint64_t from_number,
                       std::string_view from_path, const exit_reason& why, bool linked) const {
  writer to{into, with_.get()};
  begin(to, message_kind::signal).unsigned_integer(handle_now());
  to.unsigned_integer(from_number);
  to.text(from_path);
  put_reason(to, why, exchange_access::options(*at_->space).node);
  to.boolean(linked);
}

outlet::outcome proxy::try_send(std::span<const std::byte> message) {
  auto outcome = with_->send(at_->on, message);
  if (outcome == outlet::outcome::full) [[unlikely]] {
    at_->peer->wait_for_room(cell_ptr{cell_});
    outcome = with_->send(at_->on, message);
  }
  with_->flush_soon();
  return outcome;
}

void proxy::send_owed(std::span<const std::byte> message) {
  with_->send_owed(at_->on, message);
  with_->flush_soon();
}

/// False: later. What is larger than a message may be at any time is counted and left out.
bool proxy::send(std::span<const std::byte> message) {
  const auto outcome = try_send(message);
  if (outcome == outlet::outcome::too_large)
    cell_->home().dead(dead_letter_reason::overflow, nullptr, cell_);
  return outcome == outlet::outcome::taken || outcome == outlet::outcome::too_large;
}

bool proxy::reach(node* x) {
  if (!with_ || with_->closed()) {
    if (!cut_off_) return false;
    const refusal why{errc::unreachable, {}, why_};
    answer_reach(x, &why);
    return true;
  }
  if (is_absent()) {
    answer_reach(x, &absence_);
    return true;
  }
  if (state_ != state::ready) {
    resolve();
    return false;
  }
  for (const event_type* event : events_of(x)) {
    const way_for& w = way(*event);
    if (w.refused == errc{}) continue;
    const refusal why{w.refused, {}, w.why};
    answer_reach(x, &why);
    return true;
  }
  answer_reach(x, nullptr);
  return true;
}

// ---- relations --------------------------------------------------------------------------------

void proxy::control_from(control_node& c) {
  cell* other = c.from.get();
  const bool refuses = is_gone() && !is_going();
  switch (c.what) {
    case control::watch: {
      const watcher w{c.from, c.incarnation};
      if (refuses) {
        tell_watcher(w, 0, reason(exit_reason::kind::noproc, absence_.why), true);
        break;
      }
      watchers_.push_back(w);
      if (with_ && state_ == state::ready) send_watch(w);
      else if (with_) ask_again();
      else if (cut_off_) tell_watcher(w, 0, reason(exit_reason::kind::unreachable, why_), false);
      break;
    }
    case control::unwatch:
      if (drop_watcher(c.from)) {
        if (with_) with_->expect_no_ends(*other, *cell_);
        send_relation(message_kind::unwatch, other);
      }
      end_if_unrelated();
      break;
    case control::link:
      if (refuses) {
        cell_->signal_end(other, reason(exit_reason::kind::noproc, absence_.why), true);
        break;
      }
      if (!with_ && cut_off_) {
        cell_->signal_end(other, reason(exit_reason::kind::unreachable, why_), true);
        break;
      }
      links_.push_back(c.from);
      if (with_ && state_ == state::ready) send_relation(message_kind::link, other);
      else if (with_) ask_again();
      break;
    case control::unlink:
      if (drop_link(c.from)) send_relation(message_kind::unlink, other);
      end_if_unrelated();
      break;
    case control::signal:
      if (c.flag) drop_link(c.from);
      if (is_gone() || is_absent() || (!with_ && cut_off_) || !keep_signal(c)) break;
      if (with_ && state_ == state::ready) send_signals();
      else if (with_) resolve();
      break;
    default: break;
  }
}

void proxy::send_watch(const watcher& w) {
  with_->expect_ends(*w.who, w.incarnation, *cell_);
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  begin(to, message_kind::watch).unsigned_integer(handle_now());
  with_->write(to, w.who.get());
  to.unsigned_integer(w.incarnation);
  to.boolean(at_->pinned);
  send_owed(bytes);
}

void proxy::send_signals() {
  for (const signal& s : std::exchange(signals_, {})) {
    std::vector<std::byte>& bytes = scratch();
    put_signal(bytes, s.from->number(), s.from->path(), s.why, s.linked);
    send_owed(bytes);
  }
}

void proxy::send_relation(message_kind what, cell* other) {
  if (!with_ || !handle_now()) return;
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  begin(to, what).unsigned_integer(handle_now());
  with_->write(to, other);
  if (what == message_kind::unwatch) to.boolean(at_->pinned);
  send_owed(bytes);
}

/// Its node need not know the target by that handle any more, as far as this proxy goes.
void proxy::give_back() {
  const std::uint32_t handle = handle_now();
  if (!handle) return;
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  begin(to, message_kind::release).unsigned_integer(handle);
  to.unsigned_integer(at_->uses.exchange(0, std::memory_order_relaxed));
  at_->handle.store(0, std::memory_order_release);
  with_->send_owed_by_both(bytes);
  with_->flush_soon();
}

/// An address by path outlives its node's incarnation: whatever has the path in the next one is
/// meant. Until then it is gone.
void proxy::end_address(const exit_reason& why) {
  if (with_)
    for (const watcher& w : watchers_) with_->expect_no_ends(*w.who, *cell_);
  lose(why, true);
  become_gone();
}

/// One watcher has been told. What the actor has sent others may be on its way in the other lane,
/// and whoever begins to watch it now must not be told of its end before that has come.
void proxy::begin_going() {
  state_ = state::unknown;
  if (!resolve(true)) return become_gone();
  ending_ = true;
  at_->gone = true;
}

/// From now on it refuses. Whoever watches the actor or is linked to it is told by a message of its
/// own, which comes behind what the actor has sent it: the proxy stays until they all have been.
void proxy::become_gone() {
  ending_ = true;
  become_absent_for_good();
  go_on();
  end_if_unrelated();
}

void proxy::end_if_unrelated() {
  if (!ending_ || is_going() || !watchers_.empty() || !links_.empty()) return;
  ending_ = false;
  give_back();
  if (!at_->pinned) return;
  at_->peer->forget(*cell_);
  cell_->stop(exit_reason::normal(), 0, true);
}

void proxy::forget_target() {
  state_ = state::unknown;
  at_->asked = false;
  table_.clear();
  ways_.clear();
}

// ---- what it is told --------------------------------------------------------------------------

void proxy::hear(news& n) {
  switch (n.what_about) {
    case news::about::began:
      with_ = std::move(n.with);
      cut_off_ = false;
      if (is_gone()) {
        go_on();
        break;
      }
      forget_target();
      if (wants_target()) resolve();
      go_on();
      break;
    case news::about::reborn:
      if (at_->pinned) {
        end_address(reason(exit_reason::kind::noproc, n.text));
        break;
      }
      ending_ = false;
      if (state_ == state::absent) state_ = state::unknown;
      break;
    case news::about::ended:
    case news::about::restarted: {
      with_ = nullptr;
      if (ending_) {
        end_address(reason(exit_reason::kind::noproc, absence_.why));
        if (at_->pinned) break;
      }
      if (!is_gone()) forget_target();
      const bool restarted = n.what_about == news::about::restarted;
      if (restarted && at_->pinned) end_address(reason(exit_reason::kind::noproc, n.text));
      else lose(reason(exit_reason::kind::unreachable, n.text), false);
      break;
    }
    case news::about::unreachable:
      cut_off_ = true;
      why_ = std::move(n.text);
      signals_.clear();
      go_on();
      break;
    case news::about::room:
      if (with_ && state_ == state::unknown && wants_target()) resolve();
      go_on();
      break;
    case news::about::resolved:
      if (!with_ || n.with != with_) break;
      if (is_going()) {
        become_gone();
        break;
      }
      table_ = std::move(n.table);
      ways_.clear();
      ways_.reserve(table_.size() + 8);
      state_ = state::ready;
      for (const watcher& w : watchers_) send_watch(w);
      for (const cell_ptr& l : links_) send_relation(message_kind::link, l.get());
      send_signals();
      go_on();
      break;
    case news::about::unresolved:
      if (!with_ || n.with != with_) break;
      if (n.code == errc::gone) {
        end_address(reason(exit_reason::kind::noproc, n.text));
        break;
      }
      at_->asked = false;
      become_absent(
          {n.code,
           n.code == errc::denied ? dead_letter_reason::denied : dead_letter_reason::stopped,
           std::move(n.text)});
      go_on();
      if (wants_target()) wait_for_time();
      break;
    case news::about::going:
    case news::about::gone:
      // The target's node knows of the watchers here only then. Else its answer tells them, behind
      // what the target has sent them.
      if (state_ == state::ready)
        n.what_about == news::about::going ? begin_going() : become_gone();
      else if (with_ && wants_target()) resolve();
      break;
    case news::about::time:
      if (state_ != state::absent || !wants_target()) break;
      if (now() < retry_at_) {
        wait_for_time();
      } else {
        state_ = state::unknown;
        if (with_) resolve();
      }
      break;
    case news::about::sweep:
      if (wants_target() || cell_->depth()) break;
      if (at_->peer->let_go(*cell_)) {
        give_back();
        cell_->stop(exit_reason::normal(), 0, true);
      }
      break;
    case news::about::add_link: links_.push_back(n.from); break;
    case news::about::drop_link:
      drop_link(n.from);
      end_if_unrelated();
      break;
    case news::about::drop_watcher:
      drop_watcher(n.from);
      end_if_unrelated();
      break;
  }
}

cell_ptr make_proxy(detail::core& home, std::shared_ptr<remote_address> at) {
  return make_stand_in<proxy>(home, std::move(at));
}

}  // namespace coppice::wire
