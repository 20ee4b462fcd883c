// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/exchange_private.hpp>

#include <algorithm>
#include <utility>

namespace coppice::wire {

using detail::control;
using detail::notice_node;
using detail::reader;
using detail::request;
using detail::writer;

namespace {

/// How a ref is written, seen from the one who writes.
enum class ref_kind : std::uint8_t {
  ours = 0,    ///< an actor of the writer's node
  yours = 1,   ///< an actor of the reader's node, by the handle it has given
  theirs = 2,  ///< an actor of a third node, or one that has no handle yet
};

/// What is built of one message may take this many times its bytes, and this much more: an empty
/// string takes one byte on the wire and 32 in memory.
constexpr std::size_t growth = 64;
constexpr std::size_t allowance = std::size_t{64} * 1'024;

constexpr std::size_t longest_path = 4'096;
constexpr std::size_t longest_table = 1'024;
/// An answer that is late by more than this is nobody's any more.
constexpr tick late_ms = 1'000;
/// So long the end of an actor may wait for what it has sent before.
constexpr tick longest_wait_ms = 1'000;

std::vector<std::byte>& scratch() {
  thread_local std::vector<std::byte> bytes;
  bytes.clear();
  return bytes;
}

void begin(writer& to, message_kind what) { to.unsigned_integer(static_cast<std::uint64_t>(what)); }

void put_unresolved(writer& to, std::uint32_t correlation, errc code, std::string_view why) {
  begin(to, message_kind::unresolved);
  to.unsigned_integer(correlation);
  to.unsigned_integer(static_cast<std::uint64_t>(code));
  to.text(why);
}

/// What this thread's slice has sent leaves when the slice has ended, or when it is many.
class flusher final : public detail::after_slice {
 public:
  void note(const std::shared_ptr<outlet>& way, const detail::clockwork& clock) {
    if (ways_.empty()) detail::this_worker.put_off(*this, clock.now());
    if (ways_.empty() || ways_.back() != way)
      if (std::find(ways_.begin(), ways_.end(), way) == ways_.end()) ways_.push_back(way);
    if (++messages_ < many) return;
    for (const auto& each : ways_) each->flush();
    messages_ = 0;
  }
  void slice_ended() noexcept override {
    for (const auto& way : ways_) way->flush();
    ways_.clear();
    messages_ = 0;
  }

 private:
  /// The peer has something to do meanwhile.
  static constexpr std::uint32_t many = 256;

  std::vector<std::shared_ptr<outlet>> ways_;
  std::uint32_t messages_ = 0;  ///< since something left
};

/// Of the actor that a proxy stands for: there may be two for one, by path and by ref.
std::uint64_t number_there(const cell& proxy) {
  return (*address_of(proxy))->number.load(std::memory_order_relaxed);
}

bool is_known(std::uint8_t code) {
  return code >= 1 && code <= static_cast<std::uint8_t>(errc::simple_one_for_one);
}

bool skip_rest(reader& from, std::size_t fields) {
  for (; fields > 0; --fields)
    if (!from.skip()) return false;
  return true;
}

}  // namespace

conversation::conversation(counterpart& with, std::shared_ptr<outlet> way, std::uint32_t number)
    : with_(with),
      way_(std::move(way)),
      number_(number),
      handles_(with.options.limits.remote_addresses),
      watches_(with.options.limits.remote_addresses) {}

conversation::~conversation() = default;

// ---- any thread -------------------------------------------------------------------------------

outlet::outcome conversation::send(lane on, std::span<const std::byte> message) noexcept {
  if (closed()) return outlet::outcome::closed;
  return way_->send(on, message, outlet::room::ordinary);
}

outlet::outcome conversation::send_owed(lane on, std::span<const std::byte> message) noexcept {
  if (closed()) return outlet::outcome::closed;
  return way_->send(on, message, outlet::room::reserve);
}

void conversation::send_owed_by_both(std::span<const std::byte> message) noexcept {
  send_owed(lane::user, message);
  send_owed(lane::bulk, message);
}

void conversation::flush_soon() noexcept {
  if (!detail::this_worker.home) {
    way_->flush();
    return;
  }
  thread_local flusher here;
  here.note(way_, with_.home.clock);
}

/// A request of the peer's, which keeps this until it is answered.
void conversation::await_answer(lane on, request& x) noexcept {
  intrusive_ptr_add_ref(this);
  x.from(&answers_[static_cast<std::size_t>(on)]);
}

void conversation::answer(lane on, request* x) noexcept {
  if (!x->type->event) credits_.fetch_sub(1, std::memory_order_relaxed);
  if (!closed()) {
    std::vector<std::byte>& bytes = scratch();
    writer to{bytes, this};
    if (x->failed()) {
      refuse(on, x->seq, x->status,
             x->type->event ? x->type->event->wire->failure(x)
                            : static_cast<const detail::credit_node*>(x)->why);
    } else {
      begin(to, message_kind::reply);
      to.unsigned_integer(x->seq);
      if (x->type->event) x->type->event->wire->encode_reply(x, to);
      const auto outcome = to.ok() ? send_owed(on, bytes) : outlet::outcome::too_large;
      if (outcome == outlet::outcome::too_large)
        refuse(on, x->seq, errc::unanswered,
               make_cause("the reply takes more bytes than limits.message_bytes"));
      // The session ends by that, and its asker is told `disconnected`.
      if (outcome == outlet::outcome::full && x->type->event)
        with_.home.dead(dead_letter_reason::overflow, x->type->event, nullptr);
    }
    flush_soon();
  }
  detail::destroy(x);
}

void conversation::refuse(lane on, std::uint32_t correlation, errc code, const cause_ptr& why) {
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, this};
  begin(to, message_kind::failure);
  to.unsigned_integer(correlation);
  to.unsigned_integer(static_cast<std::uint64_t>(code));
  put_causes(to, why, with_.options.node);
  send_owed(on, bytes);
}

std::uint32_t conversation::next_correlation() noexcept {
  std::lock_guard lock{guard_};
  do ++last_correlation_;
  while (last_correlation_ == 0 || pending_.contains(last_correlation_));
  return last_correlation_;
}

bool conversation::await(std::uint32_t correlation, request* x) noexcept {
  std::lock_guard lock{guard_};
  if (closed() || pending_.size() >= with_.options.limits.pending_asks) return false;
  return pending_.emplace(correlation, x).second;
}

request* conversation::withdraw(std::uint32_t correlation) noexcept {
  std::lock_guard lock{guard_};
  const auto found = pending_.extract(correlation);
  return found.empty() ? nullptr : found.mapped();
}

std::uint32_t conversation::await_resolved(cell_ptr who) {
  std::lock_guard lock{guard_};
  if (closed() || resolving_.size() >= with_.options.limits.remote_addresses) return 0;
  do ++last_correlation_;
  while (last_correlation_ == 0 || resolving_.contains(last_correlation_));
  resolving_.emplace(last_correlation_, sought{std::move(who)});
  return last_correlation_;
}

void conversation::withdraw_resolve(std::uint32_t correlation) noexcept {
  std::lock_guard lock{guard_};
  resolving_.erase(correlation);
}

std::uint32_t conversation::export_handle(cell* x, const std::vector<bool>* allowed) {
  std::lock_guard lock{guard_};
  if (closed()) return 0;
  return handles_.tell_of(x, allowed);
}

cell_ptr conversation::exported(std::uint32_t handle) const {
  std::lock_guard lock{guard_};
  const handle_table::entry* e = handles_.find(handle);
  return e ? e->who : cell_ptr{};
}

std::optional<watch_table::watch> conversation::watching(const cell& watcher, std::uint64_t watched,
                                                         bool no_more) {
  std::lock_guard lock{guard_};
  const std::uint64_t number = number_there(watcher);
  return no_more ? watches_.take(number, watched) : watches_.find(number, watched);
}

/// Under one of its addresses. Who was the watcher, if that was the last of them.
cell_ptr conversation::give_up_watch(const cell& watcher, std::uint64_t watched, bool pinned) {
  std::lock_guard lock{guard_};
  return watches_.give_up(number_there(watcher), watched, pinned);
}

void conversation::expect_ends(const cell& watcher, std::uint32_t incarnation, const cell& proxy) {
  std::lock_guard lock{guard_};
  if (!closed()) watched_there_[{watcher.number(), proxy.number()}] = incarnation;
}

void conversation::expect_no_ends(const cell& watcher, const cell& proxy) noexcept {
  std::lock_guard lock{guard_};
  watched_there_.erase({watcher.number(), proxy.number()});
}

// ---- refs in events ---------------------------------------------------------------------------

void conversation::write(writer& to, cell* x) {
  const auto kind = [&to](ref_kind k, std::size_t fields) {
    to.array(fields + 1);
    to.unsigned_integer(static_cast<std::uint64_t>(k));
  };
  if (const auto* remote = address_of(*x)) {
    const remote_address& at = **remote;
    if (at.peer == &with_) {
      const std::uint64_t known = at.handle.load(std::memory_order_acquire);
      if (known >> 32 == number_ && static_cast<std::uint32_t>(known)) {
        kind(ref_kind::yours, 1);
        to.unsigned_integer(known & 0xffff'ffff);
        return;
      }
    }
    kind(ref_kind::theirs, 4);
    to.text(at.node);
    to.text(at.path);
    to.unsigned_integer(at.number.load(std::memory_order_relaxed));
    to.boolean(at.pinned);
    return;
  }
  kind(ref_kind::ours, 4);
  to.unsigned_integer(export_handle(x));
  to.unsigned_integer(x->number());
  to.text(x->path());
  to.boolean(x->ends_with_incarnation());
}

cell_ptr conversation::read(reader& from) {
  std::size_t fields = 0;
  std::uint8_t kind = 0;
  if (!from.array(fields)) return {};
  if (fields < 1) return from.fail("an empty ref"), cell_ptr{};
  if (!get_number(from, kind)) return {};
  --fields;
  std::uint32_t handle = 0;
  std::uint64_t number = 0;
  std::string_view node, path;
  bool pinned = false;
  cell_ptr found;
  switch (static_cast<ref_kind>(kind)) {
    case ref_kind::ours:
      if (fields < 4) return from.fail("a ref has too few fields"), cell_ptr{};
      if (!get_number(from, handle) || !from.unsigned_integer(number) || !from.text(path) ||
          !from.boolean(pinned) || !skip_rest(from, fields - 4))
        return {};
      if (path.size() > longest_path || !path.starts_with('/'))
        return from.fail("a ref has no path"), cell_ptr{};
      found = with_.proxy_for(path, number, pinned);
      if (found && handle) (*address_of(*found))->told(number_, handle);
      return found;
    case ref_kind::yours:
      if (fields < 1) return from.fail("a ref has too few fields"), cell_ptr{};
      if (!get_number(from, handle) || !skip_rest(from, fields - 1)) return {};
      return exported(handle);
    case ref_kind::theirs: {
      if (fields < 4) return from.fail("a ref has too few fields"), cell_ptr{};
      if (!from.text(node) || !from.text(path) || !from.unsigned_integer(number) ||
          !from.boolean(pinned) || !skip_rest(from, fields - 4))
        return {};
      if (path.size() > longest_path || !path.starts_with('/'))
        return from.fail("a ref has no path"), cell_ptr{};
      if (counterpart* third = with_.space.peer(node))
        return third->proxy_for(path, number, pinned);
      if (node != with_.options.node) return {};
      auto here = exchange_access::own(with_.space, path, number);
      return here ? *here : cell_ptr{};
    }
  }
  from.fail("a ref of an unknown kind");
  return {};
}

// ---- what comes in ----------------------------------------------------------------------------

void conversation::message(lane on, std::span<const std::byte> bytes) {
  if (closed()) return;
  reader from{bytes, bytes.size() * growth + allowance, this};
  std::uint8_t kind = 0;
  if (get_number(from, kind) && handle(static_cast<message_kind>(kind), on, from)) return;
  with_.counts.malformed.fetch_add(1, std::memory_order_relaxed);
  std::string text = "a message of kind " + std::to_string(kind) + " that cannot be read: ";
  text += from.failure() ? from.failure() : "it makes no sense";
  with_.offence(text);
}

/// False: it is not what its kind says. A kind that is not known is of a newer node: passed over.
bool conversation::handle(message_kind what, lane on, reader& from) {
  switch (what) {
    case message_kind::event: return on_event(from);
    case message_kind::request: return on_request(on, from);
    case message_kind::reply: return on_reply(from);
    case message_kind::failure: return on_failure(from);
    case message_kind::credit: return on_credit(on, from);
    case message_kind::resolve: return on_resolve(on, from);
    case message_kind::resolved: return on_resolved(from);
    case message_kind::unresolved: return on_unresolved(from);
    case message_kind::release: return on_release(on, from);
    case message_kind::watch:
    case message_kind::unwatch:
    case message_kind::link:
    case message_kind::unlink: return on_relation(what, from);
    case message_kind::signal: return on_signal(from);
    case message_kind::ended: return on_ended(from);
  }
  return true;
}

bool conversation::target(std::uint32_t to, std::uint32_t index, errc& code, const char*& why) {
  if (to != 0 && to == recent_.handle && index == recent_.index) [[likely]]
    return true;
  recent_ = {};
  std::lock_guard lock{guard_};
  const handle_table::entry* e = handles_.find(to);
  if (!e) {
    code = errc::gone;
    why = "no actor has that handle";
    return false;
  }
  recent_.who = e->who;
  const auto table = recent_.who->type().events;
  if (index >= table.size() || index >= e->allowed.size() || !table[index]->wire) {
    code = errc::unknown_event;
    why = "the actor's table has no such event";
    return false;
  }
  recent_.event = table[index];
  if (!e->allowed[index]) {
    code = errc::denied;
    why = "the sending node may not address this actor with this event";
    return false;
  }
  recent_.handle = to;
  recent_.index = index;
  return true;
}

bool conversation::on_event(reader& from) {
  std::uint32_t to = 0, index = 0;
  if (!get_number(from, to) || !get_number(from, index)) return false;
  with_.counts.events_received.fetch_add(1, std::memory_order_relaxed);
  errc code{};
  const char* why = nullptr;
  const bool known = target(to, index, code, why);
  cell* const who = recent_.who.get();
  const event_type* const event = recent_.event;
  if (!known) {
    const auto letter = code == errc::denied          ? dead_letter_reason::denied
                        : code == errc::unknown_event ? dead_letter_reason::unknown_event
                                                      : dead_letter_reason::gone;
    if (code == errc::denied) with_.counts.denied.fetch_add(1, std::memory_order_relaxed);
    with_.home.dead(letter, event, who);
    if (code != errc::gone) with_.offence(why);
    return true;
  }
  detail::node* x = event->wire->decode_event(from);
  if (!x) {
    with_.home.dead(dead_letter_reason::malformed, event, who);
    return false;
  }
  who->send(x);
  return true;
}

bool conversation::on_request(lane on, reader& from) {
  std::uint32_t to = 0, index = 0, correlation = 0;
  std::uint64_t left = 0;
  if (!get_number(from, to) || !get_number(from, index) || !get_number(from, correlation) ||
      !from.unsigned_integer(left))
    return false;
  with_.counts.asks_received.fetch_add(1, std::memory_order_relaxed);
  errc code{};
  const char* why = nullptr;
  const bool known = target(to, index, code, why);
  cell* const who = recent_.who.get();
  const event_type* const event = recent_.event;
  if (!known || !event->wire->decode_request) {
    if (code == errc::denied) with_.counts.denied.fetch_add(1, std::memory_order_relaxed);
    if (known) code = errc::unknown_event, why = "the event is no request there";
    refuse(on, correlation, code, make_cause(why, who ? who->path() : std::string{}));
    flush_soon();
    if (code != errc::gone) with_.offence(why);
    return true;
  }
  // The chain stands before the event, but the envelope is made of the event: read it aside.
  detail::chain_link* chain = nullptr;
  std::size_t length = 0;
  bool good = from.array(length);
  if (good && length > detail::max_call_chain + 1) good = from.fail("a chain of asks is too long");
  detail::chain_link** last = &chain;
  for (std::size_t i = 0; good && i < length; ++i) {
    if (cell_ptr waiting = read(from)) {
      *last = new detail::chain_link;
      (*last)->who = std::move(waiting);
      last = &(*last)->next;
    }
    good = from.ok();
  }
  request* x = good ? event->wire->decode_request(from) : nullptr;
  if (!x) {
    detail::chain_link::release(chain);
    with_.home.dead(dead_letter_reason::malformed, event, who);
    refuse(on, correlation, errc::invalid,
           make_cause(std::string{"the event cannot be read: "} +
                          (from.failure() ? from.failure() : "it makes no sense"),
                      who->path()));
    flush_soon();
    return false;
  }
  x->chain = chain;
  x->held = length > 0;
  x->seq = correlation;
  constexpr std::uint64_t week_ms = std::uint64_t{7} * 86'400'000;
  x->until = with_.home.clock.now() + static_cast<tick>(std::min(left, week_ms)) + 1;
  await_answer(on, *x);
  who->ask(x);
  return true;
}

bool conversation::on_reply(reader& from) {
  std::uint32_t correlation = 0;
  if (!get_number(from, correlation)) return false;
  request* x = withdraw(correlation);
  if (!x) return true;  // too late: it has been given up
  if (!x->type->event) {
    x->type = &detail::credit_node::as_reply;
  } else if (!x->type->event->wire->decode_reply(x, from)) {
    x->type->fail(x, errc::crashed,
                  make_cause(std::string{"the reply cannot be read: "} +
                             (from.failure() ? from.failure() : "it makes no sense")));
    detail::answer(x);
    return false;
  }
  detail::answer(x);
  return true;
}

bool conversation::on_failure(reader& from) {
  std::uint32_t correlation = 0;
  std::uint8_t code = 0;
  cause_ptr why;
  if (!get_number(from, correlation) || !get_number(from, code) || !get_causes(from, why))
    return false;
  request* x = withdraw(correlation);
  if (!x) return true;
  // A code that a newer node has added: nothing is known of the outcome.
  detail::answer_failed(x, is_known(code) ? static_cast<errc>(code) : errc::crashed,
                        std::move(why));
  return true;
}

bool conversation::on_credit(lane on, reader& from) {
  std::uint32_t to = 0, correlation = 0;
  std::uint64_t left = 0;
  if (!get_number(from, to) || !get_number(from, correlation) || !from.unsigned_integer(left))
    return false;
  const cell_ptr who = exported(to);
  if (!who) {
    refuse(on, correlation, errc::gone, make_cause("no actor has that handle"));
    flush_soon();
    return true;
  }
  // They wait in the mailbox beyond its capacity.
  if (credits_.load(std::memory_order_relaxed) >= with_.options.limits.pending_asks) {
    refuse(on, correlation, errc::overloaded,
           make_cause("too many wait for room: limits.pending_asks"));
    flush_soon();
    return true;
  }
  credits_.fetch_add(1, std::memory_order_relaxed);
  auto* x = new detail::credit_node;
  x->seq = correlation;
  await_answer(on, *x);
  who->ask(x);
  return true;
}

bool conversation::may(std::string_view path, std::string_view what) const {
  return !with_.options.allowed || with_.options.allowed(with_.name, path, what);
}

bool conversation::on_resolve(lane on, reader& from) {
  std::uint32_t correlation = 0, handle = 0;
  std::uint64_t number = 0;
  std::string_view path;
  if (!get_number(from, correlation) || !get_number(from, handle) ||
      !from.unsigned_integer(number) || !from.text(path))
    return false;
  if (path.size() > longest_path || !path.starts_with('/')) return from.fail("a path that is none");
  if (const cell_ptr known = exported(handle);
      known && (number == 0 || known->number() == number)) {
    announce(on, correlation, known);
    return true;
  }
  exchange_access::here(with_.space)
      .find(std::string{path}, [self = conversation_ptr{this}, on, correlation, number,
                                path = std::string{path}](const cell_ptr& found, bool sure) {
        if (found && (number == 0 || found->number() == number)) {
          self->announce(on, correlation, found);
          return;
        }
        // Another actor has the path now: the address that is meant has ended.
        if (number != 0 && (found || sure)) self->say_ended(correlation);
        else
          self->say_unresolved(on, correlation, errc::stopped,
                               "there is no such actor at the moment: " + path);
      });
  return true;
}

/// What it has sent before its end may still wait here, for a session or for room: that goes first.
void conversation::say_ended(std::uint32_t correlation) {
  const tick now = with_.home.clock.now();
  {
    std::lock_guard lock{guard_};
    // To look costs something, hence once in a millisecond; the others are told by `time`.
    const bool looks = std::exchange(looked_at_, now) != now;
    if (late_ends_.size() < with_.options.limits.remote_addresses &&
        (!looks || with_.anything_waits())) {
      late_ends_.push_back({correlation, now + longest_wait_ms});
      return;
    }
  }
  say_gone(correlation);
}

/// Whoever watches it there is told by this, and what it has sent them may be in either lane.
void conversation::say_gone(std::uint32_t correlation) {
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, this};
  put_unresolved(to, correlation, errc::gone, "the address has ended");
  send_owed_by_both(bytes);
  flush_soon();
}

void conversation::say_unresolved(lane on, std::uint32_t correlation, errc code,
                                  std::string_view why) {
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, this};
  put_unresolved(to, correlation, code, why);
  send_owed(on, bytes);
  flush_soon();
}

/// Tells the peer all it needs to address an actor: its handle and its table of events. What it may
/// send is kept in one step with the handle, which the peer can give back at any time.
void conversation::announce(lane on, std::uint32_t correlation, const cell_ptr& who) {
  const std::string path = who->path();
  const auto table = who->type().events;
  std::vector<bool> allowed;
  for (const event_type* event : table)
    allowed.push_back(event->wire && may(path, event->wire_name));
  const std::uint32_t handle = export_handle(who.get(), &allowed);
  if (!handle) {
    say_unresolved(on, correlation, errc::limit,
                   "too many addresses are known to this node: limits.remote_addresses");
    return;
  }
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, this};
  begin(to, message_kind::resolved);
  to.unsigned_integer(correlation);
  to.unsigned_integer(handle);
  to.unsigned_integer(who->number());
  to.array(table.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    const event_type& event = *table[i];
    to.array(4);
    to.text(event.wire_name);
    to.text(event.wire ? event.wire->shape() : std::string{});
    to.text(event.wire && event.wire->reply_shape ? event.wire->reply_shape() : std::string{});
    to.boolean(allowed[i]);
  }
  if (send_owed(on, bytes) == outlet::outcome::too_large)
    say_unresolved(on, correlation, errc::limit,
                   "its table of events takes more bytes than limits.message_bytes");
  flush_soon();
}

bool conversation::on_resolved(reader& from) {
  std::uint32_t correlation = 0, handle = 0;
  std::uint64_t number = 0;
  std::size_t events = 0;
  if (!get_number(from, correlation) || !get_number(from, handle) ||
      !from.unsigned_integer(number) || !from.array(events))
    return false;
  if (events > longest_table) return from.fail("a table of events is too long");
  auto* n = new news{news::about::resolved};
  n->with = this;
  n->number = number;
  bool good = true;
  for (std::size_t i = 0; good && i < events; ++i) {
    std::size_t fields = 0;
    std::string_view name, shape, reply;
    bool allowed = false;
    good = from.array(fields) && (fields >= 4 || from.fail("an event has too few fields")) &&
           from.text(name) && from.text(shape) && from.text(reply) && from.boolean(allowed) &&
           skip_rest(from, fields - 4);
    if (good)
      n->table.push_back({std::string{name}, std::string{shape}, std::string{reply}, allowed});
  }
  cell_ptr who;
  {
    std::lock_guard lock{guard_};
    if (const auto asked = resolving_.extract(correlation); !asked.empty())
      who = std::move(asked.mapped().who);
  }
  if (!good || !who) {
    detail::destroy(n);
    return good;
  }
  remote_address& at = **address_of(*who);
  at.number.store(number, std::memory_order_relaxed);
  at.told(number_, handle);
  tell(*who, n);
  return true;
}

bool conversation::on_unresolved(reader& from) {
  std::uint32_t correlation = 0;
  std::uint8_t code = 0;
  std::string_view text;
  if (!get_number(from, correlation) || !get_number(from, code) || !from.text(text)) return false;
  cell_ptr who;
  {
    std::lock_guard lock{guard_};
    const auto asked = resolving_.find(correlation);
    if (asked == resolving_.end()) return true;
    // That it is gone comes over both lanes, behind what it has sent.
    if (static_cast<errc>(code) == errc::gone && !std::exchange(asked->second.told_gone, true))
      return true;
    who = std::move(asked->second.who);
    resolving_.erase(asked);
  }
  auto* n = new news{news::about::unresolved};
  n->with = this;
  n->code = is_known(code) ? static_cast<errc>(code) : errc::stopped;
  n->text = text;
  tell(*who, n);
  return true;
}

/// The peer gives back a handle, as often as it had been told of it; over each lane once.
bool conversation::on_release(lane on, reader& from) {
  std::uint32_t handle = 0;
  std::uint64_t uses = 0;
  if (!get_number(from, handle) || !from.unsigned_integer(uses)) return false;
  if (handle == recent_.handle) recent_ = {};
  cell_ptr last;  // it may end with this, and not under the lock
  std::lock_guard lock{guard_};
  last = handles_.give_back(handle, on, uses);
  return true;
}

bool conversation::on_relation(message_kind what, reader& from) {
  std::uint32_t to = 0, incarnation = 0;
  if (!get_number(from, to)) return false;
  const cell_ptr other = read(from);
  if (!from.ok()) return false;
  if (what == message_kind::watch && !get_number(from, incarnation)) return false;
  bool pinned = false;
  if ((what == message_kind::watch || what == message_kind::unwatch) && !from.boolean(pinned))
    return false;
  const auto* remote = other ? address_of(*other) : nullptr;
  if (!remote || (*remote)->peer != &with_) return from.fail("a relation to an actor of nobody's");
  const cell_ptr who = exported(to);
  if (!who) return true;
  const bool link = what == message_kind::link;
  if ((link || what == message_kind::watch) &&
      !may(who->path(), link ? link_permission : watch_permission)) {
    with_.counts.denied.fetch_add(1, std::memory_order_relaxed);
    with_.offence(link ? "it may not link to this actor" : "it may not watch this actor");
    return true;
  }
  switch (what) {
    case message_kind::watch: {
      using added = watch_table::added;
      added how;
      {
        std::lock_guard lock{guard_};
        how = watches_.add(number_there(*other), other, who, incarnation, pinned);
      }
      if (how == added::too_many) refuse_watch(**remote, *who, incarnation);
      if (how != added::fresh) break;
      if (who->tell(control::watch, {}, other.get())) break;
      // Nothing tells of an end that has been: this says it in its place.
      auto* n = new notice_node<coppice::ended>(
          {who->path(), who->number(), who->incarnation(),
           exit_reason{exit_reason::kind::noproc, make_cause("the address had ended")}, true},
          other->incarnation());
      if (other->push(n) != detail::lane::outcome::put) detail::destroy(n);
      break;
    }
    case message_kind::unwatch:
      if (const auto last = give_up_watch(*other, who->number(), pinned))
        who->tell(control::unwatch, {}, last.get());
      break;
    case message_kind::link:
    case message_kind::unlink: {
      auto* n = new news{link ? news::about::add_link : news::about::drop_link};
      n->from = who;
      tell(*other, n);
      who->tell(link ? control::link : control::unlink, {}, other.get());
      break;
    }
    default: break;
  }
  return true;
}

/// The watcher is told as when the session ends: from now on nobody will tell it.
void conversation::refuse_watch(const remote_address& watcher, const cell& watched,
                                std::uint32_t incarnation) {
  const std::uint64_t known = watcher.handle.load(std::memory_order_acquire);
  if (known >> 32 != number_) return;
  std::vector<std::byte>& bytes = scratch();
  writer to{bytes, this};
  put_ended(to, static_cast<std::uint32_t>(known),
            {watched.path(), watched.number(), 0,
             exit_reason{exit_reason::kind::unreachable,
                         make_cause("too many actors are watched: limits.remote_addresses",
                                    watched.path())},
             false},
            incarnation, with_.options.node);
  send_owed(watcher.on, bytes);
  flush_soon();
}

bool conversation::on_signal(reader& from) {
  std::uint32_t to = 0;
  std::uint64_t number = 0;
  std::string_view path;
  exit_reason why;
  bool linked = false;
  if (!get_number(from, to) || !from.unsigned_integer(number) || !from.text(path) ||
      !get_reason(from, why) || !from.boolean(linked))
    return false;
  if (path.size() > longest_path || !path.starts_with('/')) return from.fail("no path");
  const cell_ptr who = exported(to);
  if (!who) return true;
  if (!linked && !may(who->path(), exit_permission)) {
    with_.counts.denied.fetch_add(1, std::memory_order_relaxed);
    with_.offence("it may not send exit signals to this actor");
    return true;
  }
  const cell_ptr sender = with_.proxy_for(path, number, true);
  if (!sender || !may_notify(*who)) return true;
  sender->signal_end(who.get(), why, linked);
  note_notice(*who);
  if (!linked) return true;
  for (const cell_ptr& of : with_.known_proxies(path, number)) {
    auto* n = new news{news::about::drop_link};
    n->from = who;
    tell(*of, n);
  }
  return true;
}

/// An actor there has ended that one here watches. Notices go beyond a mailbox's capacity: that it
/// is gone is taken once of each watch, and of its incarnations' ends only so many may wait.
bool conversation::on_ended(reader& from) {
  std::uint32_t to = 0, incarnation = 0, watcher = 0;
  std::uint64_t number = 0;
  std::string_view path;
  exit_reason why;
  bool gone = false;
  if (!get_number(from, to) || !from.unsigned_integer(number) || !from.text(path) ||
      !get_number(from, incarnation) || !get_reason(from, why) || !from.boolean(gone) ||
      !get_number(from, watcher))
    return false;
  const std::vector<cell_ptr> all = with_.known_proxies(path, number);
  std::vector<cell_ptr> watched;
  const cell_ptr who = exported(to);
  if (!who) return true;
  {
    std::lock_guard lock{guard_};
    for (const cell_ptr& of : all) {
      const auto found = watched_there_.find({who->number(), of->number()});
      if (found == watched_there_.end() || found->second != watcher) continue;
      watched.push_back(of);
      if (gone) watched_there_.erase(found);
    }
  }
  for (const cell_ptr& of : watched) {
    if (!gone && !may_notify(*who)) return true;
    auto* n = new notice_node<ended>({of->path(), of->number(), incarnation, why, gone}, watcher);
    if (who->push(n) != detail::lane::outcome::put) detail::destroy(n);
    if (!gone) note_notice(*who);
  }
  if (!gone || watched.empty()) return true;
  for (const cell_ptr& of : all) {
    auto* dropped = new news{news::about::drop_watcher};
    dropped->from = who;
    tell(*of, dropped);
    tell(*of, new news{with_.options.bulk ? news::about::going : news::about::gone});
  }
  return true;
}

/// Whether one more may wait of those notices that a peer can send as often as it likes.
bool conversation::may_notify(const cell& whom) {
  if (notices_.load(std::memory_order_relaxed) < with_.options.limits.remote_addresses) return true;
  with_.home.dead(dead_letter_reason::overflow, nullptr, &whom);
  with_.offence("more of its end notices and exit signals wait than limits.remote_addresses");
  return false;
}

/// Counts the notice that `whom` has just been sent, until it has been handled.
void conversation::note_notice(cell& whom) {
  notices_.fetch_add(1, std::memory_order_relaxed);
  auto* behind = new detail::credit_node;
  intrusive_ptr_add_ref(this);
  behind->from(&handled_notices_);
  whom.ask(behind);
}

void conversation::handled_notices::answered(request* x) noexcept {
  const conversation_ptr self{&of, false};  // the request's own
  of.notices_.fetch_sub(1, std::memory_order_relaxed);
  detail::destroy(x);
}

// ---- its end ----------------------------------------------------------------------------------

void conversation::unconfirmed(std::span<const std::byte> bytes) {
  reader from{bytes, 0};
  std::uint8_t kind = 0;
  // Asks are told by their own failure; of the rest only events count.
  if (!get_number(from, kind) || static_cast<message_kind>(kind) != message_kind::event) return;
  with_.home.dead(dead_letter_reason::unconfirmed, nullptr, nullptr);
}

void conversation::close(std::string_view why) {
  std::unordered_map<std::uint32_t, request*> pending;
  std::unordered_map<std::uint32_t, sought> resolving;
  handle_table handles{0};
  watch_table watches{0};
  recent_ = {};
  {
    std::lock_guard lock{guard_};
    if (closed_.exchange(true, std::memory_order_acq_rel)) return;
    pending.swap(pending_);
    resolving.swap(resolving_);
    std::swap(handles, handles_);
    std::swap(watches, watches_);
    watched_there_.clear();
  }
  const cause_ptr because = make_cause("the session with node " + with_.name + " has ended", {}, 0,
                                       make_cause(std::string{why}));
  for (const auto& [number, x] : pending) detail::answer_failed(x, errc::disconnected, because);
  watches.each(
      [](const watch_table::watch& w) { w.watched->tell(control::unwatch, {}, w.watcher.get()); });
}

void conversation::time(tick now) {
  recent_ = {};  // it may have ended, and keep others
  std::vector<late_end> ends;
  std::vector<request*> late;
  {
    std::lock_guard lock{guard_};
    const bool waits = !late_ends_.empty() && with_.anything_waits();
    std::erase_if(late_ends_, [&](const late_end& e) {
      if (waits && e.until > now) return false;
      ends.push_back(e);
      return true;
    });
    std::erase_if(pending_, [&](const auto& p) {
      if (p.second->until + late_ms > now) return false;
      late.push_back(p.second);
      return true;
    });
  }
  for (const late_end& e : ends) say_gone(e.correlation);
  for (request* x : late)
    detail::answer_failed(x, errc::timeout, make_cause("no answer within the deadline"));
}

std::size_t conversation::pending() const {
  std::lock_guard lock{guard_};
  return pending_.size();
}

}  // namespace coppice::wire
