// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/actor.hpp>
#include <coppice/actors/codec/reader.hpp>
#include <coppice/actors/codec/writer.hpp>
#include <coppice/actors/detail/core.hpp>
#include <coppice/runtime/wire/exchange.hpp>
#include <coppice/runtime/wire/handle_table_private.hpp>
#include <coppice/runtime/wire/watch_table_private.hpp>

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/smart_ptr/intrusive_ptr.hpp>

/// What the parts of the exchange share: exchange.cpp (peers, their proxies), conversation.cpp (one
/// session: what comes in, answers), proxy.cpp (what goes out), own_proxy.cpp (what goes to
/// an actor of this very node), messages.cpp (their bytes).
namespace coppice::wire {

using detail::cell;
using detail::cell_ptr;
using detail::tick;

class conversation;
class counterpart;
using conversation_ptr = boost::intrusive_ptr<conversation>;

/// The first byte of each message. Written down in docs/internals/wire.md; never renumbered.
enum class message_kind : std::uint8_t {
  event = 1,
  request = 2,
  reply = 3,
  failure = 4,
  credit = 5,
  resolve = 6,
  resolved = 7,
  unresolved = 8,
  release = 9,
  watch = 10,
  unwatch = 11,
  link = 12,
  unlink = 13,
  signal = 14,
  ended = 15,
};

/// Names of what is no event and yet needs a permission.
inline constexpr std::string_view watch_permission = "coppice.watch";
inline constexpr std::string_view link_permission = "coppice.link";
inline constexpr std::string_view exit_permission = "coppice.exit";

// ---- messages.cpp: parts of messages ----------------------------------------------------------

void put_causes(detail::writer& to, const cause_ptr& chain, std::string_view node);
bool get_causes(detail::reader& from, cause_ptr& chain);
void put_reason(detail::writer& to, const exit_reason& why, std::string_view node);
bool get_reason(detail::reader& from, exit_reason& why);
/// What becomes of an actor of `node`, for the watcher that the peer knows by `handle` and that
/// calls its incarnation `watcher`.
void put_ended(detail::writer& to, std::uint32_t handle, const ended& e, std::uint32_t watcher,
               std::string_view node);

template <class T>
bool get_number(detail::reader& from, T& value) {
  std::uint64_t wide = 0;
  if (!from.unsigned_integer(wide)) return false;
  if (wide > std::numeric_limits<T>::max()) return from.fail("a number is out of range");
  value = static_cast<T>(wide);
  return true;
}

/// An event as the table of a remote actor has it.
struct table_entry {
  std::string name;
  std::string shape;
  std::string reply_shape;
  bool allowed = false;
};

// ---- addresses --------------------------------------------------------------------------------

/// Whom a proxy stands for. Shared by the proxy's cell, for ever, and whoever writes refs to it.
struct remote_address {
  counterpart* peer;  ///< null: an actor of this very node, looked up when it is needed
  exchange* space;
  std::string node;
  std::string path;
  bool pinned;  ///< ends with its node's incarnation
  /// What goes there: all of it, for order holds within a lane. It follows from the path alone, so
  /// that two proxies for one actor, and those of its next incarnation, have the same.
  lane on = lane::user;
  std::atomic<std::uint64_t> number{0};  ///< of the address on its node; zero: not known yet
  /// Whoever has the path is being asked for: which number that is only the answer tells.
  std::atomic<bool> asked{false};
  /// Under which handle, of which conversation, its node knows it, and how often it has said so:
  /// that many are given back with it, for more may be on their way, or told to another proxy.
  std::atomic<std::uint64_t> handle{0}, uses{0};

  /// By the one who receives.
  void told(std::uint32_t conversation, std::uint32_t number_there) noexcept {
    const std::uint64_t now = std::uint64_t{conversation} << 32 | number_there;
    const bool same = handle.load(std::memory_order_relaxed) == now;
    uses.store(same ? uses.load(std::memory_order_relaxed) + 1 : 1, std::memory_order_relaxed);
    handle.store(now, std::memory_order_release);
  }
  /// What it stood for has ended, and it stands for nobody until its node is started again.
  std::atomic<bool> gone{false};

  std::string place() const { return node + ':' + path; }
};

/// The address behind a cell, if it is a proxy's.
const std::shared_ptr<remote_address>* address_of(const cell& x) noexcept;

cell_ptr make_proxy(detail::core& home, std::shared_ptr<remote_address> at);
cell_ptr make_own_proxy(detail::core& home, std::shared_ptr<remote_address> at);

/// What a proxy is told. Travels in its system list.
struct news : detail::control_node {
  enum class about : std::uint8_t {
    began,
    reborn,  ///< what begins now is with another incarnation than the last one
    ended,
    restarted,
    unreachable,
    room,
    resolved,
    unresolved,
    going,  ///< it has ended; what it has sent may still be on its way, in the other lane
    gone,
    time,
    sweep,
    add_link,
    drop_link,
    drop_watcher
  };

  explicit news(about a) noexcept : control_node{detail::control::report}, what_about(a) {
    type = &type_record;
  }
  static void* operator new(std::size_t n) { return detail::allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { detail::deallocate(p, n); }
  static void discard(detail::node* x) noexcept { delete static_cast<news*>(x); }
  static const detail::node_type type_record;

  about what_about;
  conversation_ptr with;
  std::string text;
  errc code{};
  std::uint64_t number = 0;
  std::vector<table_entry> table;
};
void tell(cell& whom, news* what) noexcept;

// ---- one session ------------------------------------------------------------------------------

/// One session with one peer, as actors see it. Lives until its last request is answered.
class conversation final : public detail::ref_port {
 public:
  conversation(counterpart& with, std::shared_ptr<outlet> way, std::uint32_t number);

  // Any thread.
  outlet::outcome send(lane on, std::span<const std::byte> message) noexcept;
  /// What must not be lost for lack of room.
  outlet::outcome send_owed(lane on, std::span<const std::byte> message) noexcept;
  /// What must come behind all that has been sent by now: the peer takes it when it has it by both.
  void send_owed_by_both(std::span<const std::byte> message) noexcept;
  void flush() noexcept { way_->flush(); }
  /// Flushes at the end of the slice, or now when none runs.
  void flush_soon() noexcept;
  void write(detail::writer& to, cell* x) override;
  cell_ptr read(detail::reader& from) override;

  /// A number for an ask that is about to be written.
  std::uint32_t next_correlation() noexcept;
  /// Takes `x`, of which all has been read that is needed: from now on another thread may answer
  /// it. False: too many are awaited, or the session has ended; `x` stays the caller's.
  bool await(std::uint32_t correlation, detail::request* x) noexcept;
  /// Gives it back: it could not be sent.
  detail::request* withdraw(std::uint32_t correlation) noexcept;
  std::uint32_t await_resolved(cell_ptr who);
  void withdraw_resolve(std::uint32_t correlation) noexcept;
  /// How this node's actor is named to the peer; zero: too many are. `allowed`: which events of its
  /// table the peer may send from now on.
  std::uint32_t export_handle(cell* x, const std::vector<bool>* allowed = nullptr);
  /// The watch of this node's actor by the one behind the proxy `watcher`; nothing: there is none.
  std::optional<watch_table::watch> watching(const cell& watcher, std::uint64_t watched,
                                             bool no_more);
  cell_ptr give_up_watch(const cell& watcher, std::uint64_t watched, bool pinned);
  /// What `proxy` stands for is watched by an actor of this node, which calls its incarnation so:
  /// from now on the peer may tell of its ends, and once that it is gone.
  void expect_ends(const cell& watcher, std::uint32_t incarnation, const cell& proxy);
  void expect_no_ends(const cell& watcher, const cell& proxy) noexcept;

  std::uint32_t number() const noexcept { return number_; }
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

  // Of the one who receives.
  void message(lane on, std::span<const std::byte> bytes);
  void close(std::string_view why);
  void unconfirmed(std::span<const std::byte> bytes);
  void time(tick now);
  std::size_t pending() const;

 private:
  /// Where the answers to requests go that have come over one lane: back over the same.
  struct answers final : detail::answer_sink {
    answers(conversation& c, lane l) : of(c), on(l) {}
    void answered(detail::request* x) noexcept override {
      const conversation_ptr self{&of, false};  // the request's own
      of.answer(on, x);
    }
    conversation& of;
    const lane on;
  };
  /// Where credits go that stand in mailboxes behind notices of the peer's: those are handled.
  struct handled_notices final : detail::answer_sink {
    explicit handled_notices(conversation& c) : of(c) {}
    void answered(detail::request* x) noexcept override;
    conversation& of;
  };
  struct sought {
    cell_ptr who;
    bool told_gone = false;  ///< over one of the lanes
  };
  /// To be told that what it asks for has ended, when what that has sent before is on its way.
  struct late_end {
    std::uint32_t correlation;
    tick until;
  };
  friend void intrusive_ptr_add_ref(conversation* x) noexcept {
    x->references_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(conversation* x) noexcept {
    if (x->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete x;
  }
  ~conversation();

  /// The actor here that the peer calls so; empty: none.
  cell_ptr exported(std::uint32_t handle) const;
  bool handle(message_kind what, lane on, detail::reader& from);
  bool on_event(detail::reader& from);
  bool on_request(lane on, detail::reader& from);
  bool on_reply(detail::reader& from);
  bool on_failure(detail::reader& from);
  bool on_credit(lane on, detail::reader& from);
  bool on_resolve(lane on, detail::reader& from);
  bool on_resolved(detail::reader& from);
  bool on_unresolved(detail::reader& from);
  bool on_release(lane on, detail::reader& from);
  bool on_relation(message_kind what, detail::reader& from);
  bool on_signal(detail::reader& from);
  bool on_ended(detail::reader& from);
  /// Leaves in `recent_` the actor and the event that an incoming message is for, as far as they
  /// are known. False: it has to be refused.
  bool target(std::uint32_t to, std::uint32_t index, errc& code, const char*& why);
  void await_answer(lane on, detail::request& x) noexcept;
  void answer(lane on, detail::request* x) noexcept;
  void announce(lane on, std::uint32_t correlation, const cell_ptr& who);
  void say_ended(std::uint32_t correlation);
  void say_gone(std::uint32_t correlation);
  void say_unresolved(lane on, std::uint32_t correlation, errc code, std::string_view why);
  void refuse(lane on, std::uint32_t correlation, errc code, const cause_ptr& why);
  void refuse_watch(const remote_address& watcher, const cell& watched, std::uint32_t incarnation);
  bool may(std::string_view path, std::string_view what) const;
  bool may_notify(const cell& whom);
  void note_notice(cell& whom);

  counterpart& with_;
  const std::shared_ptr<outlet> way_;
  const std::uint32_t number_;
  std::atomic<std::uint32_t> references_{0};
  std::atomic<bool> closed_{false};
  std::atomic<std::uint32_t> credits_{0};  ///< of the peer's, that wait for room here
  std::array<answers, 2> answers_{answers{*this, lane::user}, answers{*this, lane::bulk}};
  std::atomic<std::uint32_t> notices_{0};  ///< of the peer's, that wait in mailboxes here
  handled_notices handled_notices_{*this};

  /// Whom the last message was for, because most come in runs. Of the one who receives.
  struct {
    std::uint32_t handle = 0;  ///< zero: the message was refused
    std::uint32_t index = 0;
    cell_ptr who;
    const event_type* event = nullptr;
  } recent_;

  mutable std::mutex guard_;
  std::uint32_t last_correlation_ = 0;
  std::unordered_map<std::uint32_t, detail::request*> pending_;
  std::unordered_map<std::uint32_t, sought> resolving_;
  std::vector<late_end> late_ends_;
  tick looked_at_ = -1;  ///< whether anything waits
  handle_table handles_;
  watch_table watches_;
  /// The other way: by the numbers of a watcher of this node and of a proxy, its incarnation.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> watched_there_;
};

// ---- one peer ---------------------------------------------------------------------------------

class counterpart {
 public:
  counterpart(exchange& space, detail::core& home, const exchange_options& options,
              std::string name);

  /// The proxy for an actor there. `number` zero: whichever is found under the path. Empty: there
  /// are too many.
  cell_ptr proxy_for(std::string_view path, std::uint64_t number, bool pinned);
  /// The number that the address has, or from now on has only by its node's answer.
  std::uint64_t begin_asking(remote_address& at);
  /// Those that exist: one by path, say, and one by a ref.
  std::vector<cell_ptr> known_proxies(std::string_view path, std::uint64_t number);
  /// `who` is told when there is room in the send buffer. It has to try once more after this call:
  /// there may be by now.
  void wait_for_room(cell_ptr who);
  /// `who` is told with the next `time`.
  void wait_for_time(cell_ptr who);
  void tell_those_who_wait_for_room();
  void time(tick now);
  void tell_all(news::about what, const conversation_ptr& with, std::string_view text);
  void renew(news::about what, const conversation_ptr& with, std::string_view text);
  /// A proxy that nobody refers to leaves the table. False: somebody does.
  bool let_go(cell& of);
  /// A proxy whose address has ended.
  void forget(const cell& of);

  struct state {
    conversation_ptr with;
    bool unreachable = false;
    std::string why;
  };
  state now() const;
  void offence(std::string_view what);
  /// The other proxy for the same actor, by path or by ref, if anything waits in it.
  cell_ptr other_that_waits(const cell& proxy) const;
  /// Whether anything that was sent there may wait in a proxy.
  bool anything_waits() const;

  exchange& space;
  detail::core& home;
  const exchange_options& options;
  const std::string name;

  struct {
    std::atomic<std::uint64_t> events_sent{0}, events_received{0}, asks_sent{0}, asks_received{0},
        denied{0}, malformed{0};
  } counts;

  mutable std::mutex guard;
  state state_;
  std::uint32_t conversations = 0;
  std::unordered_multimap<std::string, cell_ptr> proxies;
  std::size_t path_bytes = 0;  ///< of their paths
  std::vector<cell_ptr> waiting_for_room, waiting_for_time;
  std::uint32_t rounds = 0;  ///< of `time`
};

/// What an exchange offers to its parts.
struct exchange_access {
  /// An actor of this very node.
  static result<cell_ptr> own(exchange& x, std::string_view path, std::uint64_t number);
  static directory& here(exchange& x) noexcept;
  static const exchange_options& options(exchange& x) noexcept;
};

}  // namespace coppice::wire
