// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/shape.hpp>
#include <coppice/runtime/wire/exchange_private.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace coppice::wire {

using detail::control;
using detail::control_node;
using detail::node;
using detail::node_kind;
using detail::notice_node;
using detail::request;
using detail::took;
using detail::writer;

namespace {

/// A target that was not there is asked for again at most so often.
constexpr tick retry_ms = 100;
/// Exit signals that wait until the target is known.
constexpr std::size_t most_signals = 1'000;

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

struct refusal {
  errc code;
  dead_letter_reason letter;
  std::string why;
};

}  // namespace

const detail::node_type news::type_record{&discard, nullptr, node_kind::control};

void tell(cell& whom, news* what) noexcept {
  if (!whom.push_system(what)) detail::destroy(what);
}

/// Stands for an actor on another node. Passes on what it receives, in its order; what cannot be
/// passed on yet waits, and everything behind it.
class proxy final : public actor_base {
 public:
  explicit proxy(const std::shared_ptr<remote_address>& at) : at_(at) {
    cell_->trap_exits(true);
    if (!at_->peer) return;
    counterpart::state now = at_->peer->now();
    with_ = std::move(now.with);
    cut_off_ = now.unreachable;
    why_ = std::move(now.why);
  }
  ~proxy() {
    if (held_) refuse(held_, {errc::gone, dead_letter_reason::gone, "the address has ended"});
  }

  took handle(node* x) {
    if (x->type->kind == node_kind::request && is_reach(x)) {
      reach_for(x);
      return took::kept;
    }
    if (!forward(x)) hold(x);
    return took::kept;
  }
  void hear(control_node& c);
  void control_from(control_node& c);

 private:
  enum class state : std::uint8_t { unknown, asked, ready, absent };
  struct way_for {
    const event_type* event;
    std::uint32_t index;
    errc refused;  ///< zero: it is taken
    std::string why;
  };
  struct watcher {
    cell_ptr who;
    std::uint32_t incarnation;
  };

  struct signal {
    cell_ptr from;
    exit_reason why;
    bool linked;
  };

  static bool is_reach(const node* x) {
    return x->type == &detail::request_node<detail_wire::reach>::as_request;
  }

  void hold(node* x) {
    held_ = x;
    cell_->listen(detail::listening::to_none);
  }
  /// Goes on with what was held.
  void go_on() {
    if (held_) {
      node* x = std::exchange(held_, nullptr);
      const bool reaching = is_reach(x);
      if (reaching ? !try_reach(x) : !forward(x)) {
        held_ = x;
        return;
      }
    }
    cell_->listen(detail::listening::to_all);
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
  bool forward_here(node* x);
  bool forward_event(node* x);
  bool forward_credit(request* x);
  bool forward_end(node* x);
  bool forward_signal(node* x);
  bool try_reach(node* x);
  void reach_for(node* x) {
    if (!try_reach(x)) hold(x);
  }

  /// Asks who is there. True: it has been asked. `anew`: not for whomever the handle names.
  bool resolve(bool anew = false);
  void look_up_here();
  void wait_for_time() {
    if (at_->peer) at_->peer->wait_for_time(cell_ptr{cell_});
  }
  bool wants_target() const {
    return held_ || !watchers_.empty() || !links_.empty() || !signals_.empty();
  }
  std::uint32_t handle_now() const;
  const way_for& way(const event_type& event);
  void refuse(node* x, const refusal& why) noexcept;
  outlet::outcome try_send(std::span<const std::byte> message);
  bool send(std::span<const std::byte> message);
  void send_owed(std::span<const std::byte> message);
  void send_watch(const watcher& w);
  void send_relation(message_kind what, cell* other);
  void put_signal(std::vector<std::byte>& into, std::uint64_t from_number,
                  std::string_view from_path, const exit_reason& why, bool linked) const;
  void send_signals();
  void forget_target();
  void relate_here(control what);
  void signal_here();
  void hear_end_here(node* x);
  void tell_watchers(std::uint32_t incarnation, const exit_reason& why, bool gone);
  void tell_links(const exit_reason& why);
  void lose(const exit_reason& why, bool gone);
  void end_address(const exit_reason& why);
  void begin_going();
  void become_gone();
  void end_if_unrelated();
  void give_back();
  /// Nobody was there a moment ago, or will be again.
  bool is_absent() const { return state_ == state::absent && now() < retry_at_; }
  bool is_gone() const { return at_->gone.load(std::memory_order_relaxed); }
  /// Its node has been asked to say so behind all that the actor has sent.
  bool is_going() const { return ending_ && state_ == state::asked; }
  refusal absence() const { return {absent_code_, absent_letter_, absent_why_}; }
  tick now() const { return cell_->now(); }

  const std::shared_ptr<remote_address> at_;
  conversation_ptr with_;
  state state_ = state::unknown;
  bool cut_off_ = false;
  bool ending_ = false;  ///< the address has ended, and not all have been told
  std::string why_;  ///< it is cut off
  node* held_ = nullptr;
  cell_ptr here_;  ///< on this very node: the actor itself
  std::vector<table_entry> table_;
  std::vector<way_for> ways_;
  std::vector<watcher> watchers_;
  std::vector<cell_ptr> links_;
  std::vector<signal> signals_;
  errc absent_code_{};
  dead_letter_reason absent_letter_{};
  std::string absent_why_;
  tick retry_at_ = 0;
};

// ---- what goes out ----------------------------------------------------------------------------

/// False: not yet. Otherwise it has been dealt with.
bool proxy::forward(node* x) {
  if (!at_->peer) return forward_here(x);
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

bool proxy::forward_here(node* x) {
  if (x->type->kind == node_kind::notice) {
    hear_end_here(x);
    return true;
  }
  if (here_ && here_->state() == detail::cell_state::ended) {
    here_ = {};
    state_ = state::unknown;
  }
  if (!here_) {
    if (is_absent()) {
      refuse(x, absence());
      return true;
    }
    if (state_ != state::asked) look_up_here();
    return false;
  }
  switch (x->type->kind) {
    case node_kind::request:
    case node_kind::credit: here_->ask(static_cast<request*>(x)); break;
    case node_kind::event: here_->send(x); break;
    default: detail::destroy(x); break;
  }
  return true;
}

void proxy::hear_end_here(node* x) {
  if (is_end(x)) {
    const ended& e = static_cast<notice_node<ended>*>(x)->value;
    tell_watchers(e.incarnation, e.reason, e.gone);
    if (e.gone) {
      watchers_.clear();
      here_ = {};
      state_ = state::unknown;
    }
  } else {
    tell_links(static_cast<notice_node<exit_signal>*>(x)->value.reason);
  }
  detail::destroy(x);
}

/// Of an actor of this very node: its end comes to the proxy, which passes it on under the address
/// that is watched.
void proxy::relate_here(control what) {
  if (here_ && here_->tell(what, {}, cell_)) return;
  here_ = {};
  if (state_ != state::asked) look_up_here();
}

void proxy::signal_here() {
  for (const signal& s : std::exchange(signals_, {})) {
    if (!s.linked) {
      s.from->signal_end(here_.get(), s.why, false);
      continue;
    }
    cell_->signal_end(here_.get(), s.why, true);
    // That has used up the link, which stands for all of them.
    if (!links_.empty()) relate_here(control::link);
    if (!here_) return;
  }
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

void proxy::look_up_here() {
  state_ = state::asked;
  exchange_access::here(*at_->space)
      .find(at_->path,
            [self = cell_ptr{cell_}, number = at_->number.load()](const cell_ptr& x, bool sure) {
              const bool found = x && (number == 0 || x->number() == number);
              auto* n = new news{found ? news::about::resolved : news::about::unresolved};
              if (found) n->from = x;
              // Another one has the path, or nobody: the one that was meant has ended.
              const bool gone = !found && number != 0 && (x || sure);
              n->code = gone ? errc::gone : errc::stopped;
              n->text = gone ? "the address has ended" : "there is no such actor at the moment";
              tell(*self, n);
            });
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
    refuse(x, absence());
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
    correlation = with_->await(r);
    if (!correlation) {
      refuse(x, {errc::limit, dead_letter_reason::overflow,
                 "too many asks are on their way to node " + at_->node});
      return true;
    }
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
  const auto outcome = to.ok() ? try_send(bytes) : outlet::outcome::too_large;
  if (outcome == outlet::outcome::taken) {
    auto& counted = asks ? at_->peer->counts.asks_sent : at_->peer->counts.events_sent;
    counted.fetch_add(1, std::memory_order_relaxed);
    if (!asks) detail::destroy(x);
    return true;
  }
  if (asks && !with_->withdraw(correlation)) return true;  // answered: the session has ended
  if (outcome != outlet::outcome::too_large) return false;
  refuse(x, {errc::limit, dead_letter_reason::overflow,
             "the event takes " + std::to_string(bytes.size()) +
                 " bytes on the wire, more than limits.message_bytes"});
  return true;
}

bool proxy::forward_credit(request* x) {
  if (is_absent()) {
    refuse(x, absence());
    return true;
  }
  if (state_ != state::ready) {
    resolve();
    return false;
  }
  const std::uint32_t correlation = with_->await(x);
  if (!correlation) {
    refuse(x, {errc::limit, dead_letter_reason::overflow, "too many asks are on their way"});
    return true;
  }
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, with_.get()};
  begin(to, message_kind::credit).unsigned_integer(handle_now());
  to.unsigned_integer(correlation);
  to.unsigned_integer(static_cast<std::uint64_t>(std::max<tick>(x->until - now(), 0)));
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

bool proxy::try_reach(node* x) {
  auto* r = static_cast<detail::request_node<detail_wire::reach>*>(x);
  const auto answer = [&](const refusal* why) {
    if (why) r->fail(error{why->code, why->why, at_->place()});
    else r->succeed({});
    detail::answer(r);
    return true;
  };
  if (at_->peer && (!with_ || with_->closed())) {
    if (!cut_off_) return false;
    const refusal why{errc::unreachable, {}, why_};
    return answer(&why);
  }
  if (!at_->peer && here_) return answer(nullptr);
  if (is_absent()) {
    const refusal why = absence();
    return answer(&why);
  }
  if (state_ != state::ready) {
    if (at_->peer) resolve();
    else if (state_ != state::asked) look_up_here();
    return false;
  }
  for (const event_type* event : r->value.events) {
    const way_for& w = way(*event);
    if (w.refused == errc{}) continue;
    const refusal why{w.refused, {}, w.why};
    return answer(&why);
  }
  return answer(nullptr);
}

void proxy::refuse(node* x, const refusal& why) noexcept {
  switch (x->type->kind) {
    case node_kind::request:
    case node_kind::credit:
      detail::answer_failed(static_cast<request*>(x), why.code, make_cause(why.why, at_->place()));
      return;
    case node_kind::event: cell_->home().dead(why.letter, x->type->event, cell_); break;
    default: break;
  }
  detail::destroy(x);
}

// ---- relations --------------------------------------------------------------------------------

void proxy::control_from(control_node& c) {
  cell* other = c.from.get();
  switch (c.what) {
    case control::watch:
      if (is_gone() && !is_going()) {
        auto* n = new notice_node<ended>(
            {path(), cell_->number(), 0,
             exit_reason{exit_reason::kind::noproc, make_cause(absent_why_, at_->place())}, true},
            c.incarnation);
        if (other->push(n) != detail::lane::outcome::put) detail::destroy(n);
        break;
      }
      watchers_.push_back({c.from, c.incarnation});
      if (!at_->peer) {
        if (watchers_.size() == 1 || !here_) relate_here(control::watch);
      } else if (with_ && state_ == state::ready) {
        send_watch(watchers_.back());
      } else if (with_) {
        if (state_ != state::absent) resolve();
        else wait_for_time();
      } else if (cut_off_) {
        const watcher w = watchers_.back();
        auto* n = new notice_node<ended>(
            {path(), cell_->number(), 0,
             exit_reason{exit_reason::kind::unreachable, make_cause(why_, at_->place())}, false},
            w.incarnation);
        if (w.who->push(n) != detail::lane::outcome::put) detail::destroy(n);
      }
      break;
    case control::unwatch:
      if (std::erase_if(watchers_, [&](const watcher& w) { return w.who.get() == other; })) {
        if (with_) with_->expect_no_ends(*other, *cell_);
        send_relation(message_kind::unwatch, other);
      }
      if (here_ && watchers_.empty()) here_->tell(control::unwatch, {}, cell_);
      end_if_unrelated();
      break;
    case control::link:
      if (is_gone() && !is_going()) {
        cell_->signal_end(
            other, exit_reason{exit_reason::kind::noproc, make_cause(absent_why_, at_->place())},
            true);
        break;
      }
      if (at_->peer && !with_ && cut_off_) {
        cell_->signal_end(
            other, exit_reason{exit_reason::kind::unreachable, make_cause(why_, at_->place())},
            true);
        break;
      }
      links_.push_back(c.from);
      if (!at_->peer) {
        if (links_.size() == 1 || !here_) relate_here(control::link);
      } else if (with_ && state_ == state::ready) send_relation(message_kind::link, other);
      else if (with_ && state_ != state::absent) resolve();
      else if (with_) wait_for_time();
      break;
    case control::unlink:
      if (std::erase(links_, c.from)) send_relation(message_kind::unlink, other);
      if (here_ && links_.empty()) here_->tell(control::unlink, {}, cell_);
      end_if_unrelated();
      break;
    case control::signal:
      if (c.flag) std::erase(links_, c.from);
      if (is_gone() || is_absent() || (!with_ && cut_off_)) break;
      if (signals_.size() == most_signals) {
        cell_->home().dead(dead_letter_reason::overflow, nullptr, cell_);
        break;
      }
      signals_.push_back({c.from, c.reason, c.flag});
      if (here_) signal_here();
      else if (!at_->peer && state_ != state::asked) look_up_here();
      else if (with_ && state_ == state::ready) send_signals();
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

/// Whoever has a relation to the actor there is told that nobody knows about it any more, or that
/// it has ended for ever.
void proxy::lose(const exit_reason& why, bool gone) {
  tell_watchers(0, why, gone);
  if (gone && with_)
    for (const watcher& w : watchers_) with_->expect_no_ends(*w.who, *cell_);
  if (gone) watchers_.clear();
  signals_.clear();
  tell_links(why);
}

void proxy::tell_watchers(std::uint32_t incarnation, const exit_reason& why, bool gone) {
  for (const watcher& w : watchers_) {
    auto* n =
        new notice_node<ended>({path(), cell_->number(), incarnation, why, gone}, w.incarnation);
    if (w.who->push(n) != detail::lane::outcome::put) detail::destroy(n);
  }
}

void proxy::tell_links(const exit_reason& why) {
  for (const cell_ptr& l : std::exchange(links_, {})) cell_->signal_end(l.get(), why, true);
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
  at_->gone = true;
  state_ = state::absent;
  absent_code_ = errc::gone;
  absent_letter_ = dead_letter_reason::gone;
  absent_why_ = "the address has ended";
  retry_at_ = std::numeric_limits<tick>::max();
  go_on();
  end_if_unrelated();
}

void proxy::end_if_unrelated() {
  if (!ending_ || is_going() || !watchers_.empty() || !links_.empty()) return;
  ending_ = false;
  give_back();
  if (at_->peer && !at_->pinned) return;
  if (at_->peer) at_->peer->forget(*cell_);
  cell_->stop(exit_reason::normal(), 0, true);
}

void proxy::forget_target() {
  state_ = state::unknown;
  at_->asked = false;
  table_.clear();
  ways_.clear();
}

// ---- what it is told --------------------------------------------------------------------------

void proxy::hear(control_node& c) {
  if (c.type != &news::type_record) return;
  auto& n = static_cast<news&>(c);
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
        end_address(exit_reason{exit_reason::kind::noproc, make_cause(n.text, at_->place())});
        break;
      }
      ending_ = false;
      if (state_ == state::absent) state_ = state::unknown;
      break;
    case news::about::ended:
    case news::about::restarted: {
      with_ = nullptr;
      if (ending_) {
        end_address(exit_reason{exit_reason::kind::noproc, make_cause(absent_why_, at_->place())});
        if (at_->pinned) break;
      }
      if (!is_gone()) forget_target();
      const bool restarted = n.what_about == news::about::restarted;
      const exit_reason why{
          restarted && at_->pinned ? exit_reason::kind::noproc : exit_reason::kind::unreachable,
          make_cause(n.text, at_->place())};
      if (restarted && at_->pinned) {
        end_address(why);
        break;
      }
      lose(why, false);
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
      if (!at_->peer) {
        here_ = n.from;
        state_ = state::ready;
        if (!watchers_.empty()) relate_here(control::watch);
        if (here_ && !links_.empty()) relate_here(control::link);
        if (here_) signal_here();
      } else {
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
      }
      go_on();
      break;
    case news::about::unresolved:
      if (at_->peer && (!with_ || n.with != with_)) break;
      if (n.code == errc::gone) {
        end_address(exit_reason{exit_reason::kind::noproc, make_cause(n.text, at_->place())});
        break;
      }
      state_ = state::absent;
      at_->asked = false;
      absent_code_ = n.code;
      absent_letter_ =
          n.code == errc::denied ? dead_letter_reason::denied : dead_letter_reason::stopped;
      absent_why_ = std::move(n.text);
      signals_.clear();  // nobody is there to be told
      retry_at_ = now() + retry_ms;
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
        if (at_->peer && with_) resolve();
        else if (!at_->peer) look_up_here();
      }
      break;
    case news::about::sweep:
      if (wants_target() || cell_->depth() || !at_->peer) break;
      if (at_->peer->let_go(*cell_)) {
        give_back();
        cell_->stop(exit_reason::normal(), 0, true);
      }
      break;
    case news::about::add_link: links_.push_back(n.from); break;
    case news::about::drop_link:
      std::erase(links_, n.from);
      end_if_unrelated();
      break;
    case news::about::drop_watcher:
      std::erase_if(watchers_, [&](const watcher& w) { return w.who == n.from; });
      end_if_unrelated();
      break;
  }
}

// ---- as a cell --------------------------------------------------------------------------------

namespace {

struct seed {
  std::shared_ptr<remote_address> at;
};

constexpr detail::factory_type proxy_factory{
    sizeof(seed), alignof(seed),
    [](const void* self, void* where) { ::new (where) proxy(static_cast<const seed*>(self)->at); },
    [](void* from, void* to) noexcept { ::new (to) seed(std::move(*static_cast<seed*>(from))); },
    [](void* self) noexcept { static_cast<seed*>(self)->~seed(); }};

constexpr detail::proxy_type proxy_rules{
    [](const void* factory) { return static_cast<const seed*>(factory)->at->place(); },
    [](void* object, control_node& c) { static_cast<proxy*>(object)->control_from(c); }};

constexpr detail::actor_type describe_proxy() {
  detail::actor_type t{};
  t.name = "proxy";
  t.size = sizeof(proxy);
  t.align = alignof(proxy);
  t.destroy = [](void* object) noexcept { static_cast<proxy*>(object)->~proxy(); };
  t.dispatch = [](void* object, node* x, cell& here) {
    here.detach_in_hand();  // from now on it is the proxy's
    return static_cast<proxy*>(object)->handle(x);
  };
  t.child_report = [](void* object, control_node& c) { static_cast<proxy*>(object)->hear(c); };
  t.proxy = &proxy_rules;
  return t;
}
constexpr detail::actor_type proxy_type = describe_proxy();

}  // namespace

const std::shared_ptr<remote_address>* address_of(const cell& x) noexcept {
  return &x.type() == &proxy_type ? &static_cast<const seed*>(x.arguments())->at : nullptr;
}

cell_ptr make_proxy(detail::core& home, std::shared_ptr<remote_address> at) {
  detail::cell_options set_up;
  set_up.ends_with_incarnation = true;
  seed made_by{std::move(at)};
  cell_ptr x =
      detail::make_cell(home, proxy_type, {&proxy_factory, &made_by}, "proxy", set_up, nullptr, 0);
  x->start(false);
  return x;
}

}  // namespace coppice::wire
