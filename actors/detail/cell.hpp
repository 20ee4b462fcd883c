// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <coppice/actors/detail/envelope.hpp>
#include <coppice/actors/detail/event_codec.hpp>
#include <coppice/actors/exit_reason.hpp>
#include <coppice/actors/mailbox_policy.hpp>
#include <coppice/actors/observer.hpp>
#include <coppice/actors/task.hpp>

/// The cell: what stands behind an address. It knows no user type: compiled code lays out CAF's
/// control block, the cell, the factory and the incarnation in one allocation and works through
/// two constant records, so that neither CAF nor a template stays on the way of an event.
namespace coppice {

class system;
class actor_base;

namespace detail {

struct core;
struct extras;
struct turn;
struct waiting;
struct control_node;

/// Thrown by a supervisor's start, so that its failure has that very reason.
struct start_failure {
  exit_reason why;
};

/// What a dispatch did with the envelope.
enum class took : std::uint8_t { done, kept, unknown };

/// What is different of a cell that stands for an actor on another node: it handles every envelope
/// itself, end notices, exit signals and credits among them, and passes them on.
struct proxy_type {
  std::string (*path)(const void* factory);
  /// `watch`, `unwatch`, `link`, `unlink` and `signal`, which are meant for the other actor.
  void (*control)(void* object, control_node& c);
};

/// One constant per actor class.
struct actor_type {
  std::string_view name;
  std::size_t size;
  std::size_t align;
  void (*destroy)(void* object) noexcept;
  took (*dispatch)(void* object, node* x, cell& here);
  std::span<const event_type* const> events;  ///< that it accepts
  bool (*is_interleaved)(const event_type* event) noexcept;  ///< null: none is
  void (*started)(void* object, cell& here);                 ///< null: nothing to do
  void (*stopping)(void* object, cell& here, const exit_reason& why);  ///< null likewise
  /// A supervisor's: one of its children has started, failed to, or ended. Null for others.
  void (*child_report)(void* object, control_node& report);
  /// A supervisor's: it is killed while it stops. Otherwise `stopping` is told `killed`, so that
  /// a supervisor never leaves a child behind.
  void (*killed)(void* object);
  const proxy_type* proxy;  ///< null: it is the actor itself
};

/// One constant per actor class and constructor signature: how an incarnation is made, afresh
/// each time, from arguments kept in the cell.
struct factory_type {
  std::size_t size;
  std::size_t align;
  void (*construct)(const void* factory, void* where);
  void (*move)(void* from, void* to) noexcept;  ///< move-construct
  void (*destroy)(void* factory) noexcept;
};

/// Which factory, and where it is now; the cell that is made of it moves it.
struct factory_ref {
  const factory_type* type;
  void* object;
};

enum class cell_state : std::uint8_t { down, starting, running, stopping, ended };

/// How a cell is set up; a supervisor derives it from the child's spec.
struct cell_options {
  std::uint32_t capacity = 10'000;
  overflow policy = overflow::reject;
  bool reject_while_restarting = false;
  bool own_thread = false;
  bool ends_with_incarnation = false;  ///< nobody restarts it: the address ends when it ends
  std::uint32_t shutdown_ms = 5'000;   ///< bounds `stopping` when nobody else's deadline does
};

/// Control events: the runtime's own, in the system list.
enum class control : std::uint8_t {
  start,    ///< make a new incarnation
  stop,     ///< let it finish, run `stopping`
  kill,     ///< destroy it at the next slice boundary
  end,      ///< the address ends for ever
  hold,     ///< it stays stopped: refuse events with `stopped`
  wake,     ///< a deadline of the cell may have passed
  suspend,  ///< handle no events until `resume`
  resume,
  watch,
  unwatch,
  link,
  unlink,
  signal,   ///< an exit signal, explicit or through a link
  report,   ///< to a parent: what became of a child
};

enum class report_kind : std::uint8_t {
  started,
  ignored,
  start_failed,
  ended,
  go_on,  ///< from a supervisor to itself: it had more to do than others can wait for
};

/// Tells a parent that wants to know it where in its mailbox a child's end lies.
struct child_ended {
  using runtime_only = void;
  std::uint32_t index;
  std::uint32_t incarnation;
};

/// Which events a running cell handles.
inline constexpr std::uint8_t caf_shown = 1, caf_ended = 2;  // of `caf_marks_`

enum class listening : std::uint8_t { to_all, to_interleaved, to_none };

struct control_node : node {
  explicit control_node(control w) noexcept : node{nullptr, &type_record}, what(w) {}
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }
  static void discard(node* x) noexcept { delete static_cast<control_node*>(x); }
  static constexpr node_type type_record{&discard, nullptr, node_kind::control};

  control what;
  report_kind report = report_kind::go_on;
  /// start: drop the mailbox; stop and kill: the address ends too; signal: it came through a link
  bool flag = false;
  std::uint32_t index = 0;
  std::uint32_t incarnation = 0;
  cell_ptr from;
  exit_reason reason;
};
static_assert(sizeof(control_node) <= block_step, "a restart takes three of them");

/// A `control::stop` with a deadline; supervisors, who send most, keep theirs to themselves.
struct stop_node : control_node {
  explicit stop_node(tick deadline) noexcept : control_node{control::stop}, until(deadline) {
    type = &type_record;
  }
  /// Zero: none.
  static tick deadline_of(const control_node& c) noexcept {
    return c.type == &type_record ? static_cast<const stop_node&>(c).until : 0;
  }
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }
  static void discard(node* x) noexcept { delete static_cast<stop_node*>(x); }
  static constexpr node_type type_record{&discard, nullptr, node_kind::control};

  tick until;
};

enum class turn_kind : std::uint8_t { event, started, stopping };

/// One event from its first slice to its last, if it is a coroutine.
struct turn {
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }

  cell* here = nullptr;
  node* envelope = nullptr;
  frame* root = nullptr;
  frame* leaf = nullptr;  ///< the innermost frame, the one that waits
  frame* ready = nullptr;  ///< the frame to be resumed next; null: the turn waits
  void (*finish)(turn& t) = nullptr;  ///< takes the root's value and answers with it
  turn* next = nullptr;
  turn_kind kind = turn_kind::event;
};

/// Something a turn, or a continuation, waits for until a deadline. Lives in the frame that
/// waits (or on the heap, for a continuation) and is known to its cell while it is pending.
struct waiting {
  waiting() noexcept = default;
  waiting(const waiting&) = delete;
  waiting& operator=(const waiting&) = delete;
  ~waiting() { forget(); }

  void forget() noexcept;
  void suspend(frame& f) noexcept {
    waiter = &f;
    f.in->leaf = &f;
  }

  cell* here = nullptr;  ///< null once it is neither pending nor complete
  waiting* next = nullptr;
  waiting** previous = nullptr;  ///< null when it is not in the cell's list
  tick until = 0;  ///< zero: no deadline; only for what the runtime itself completes
  std::uint32_t seq = 0;  ///< zero: a pause, nobody answers
  bool complete = false;
  request* answer = nullptr;  ///< owned; null after the deadline
  frame* waiter = nullptr;
  void (*resume)(waiting& w) = nullptr;  ///< a continuation's body
  void (*discard)(waiting& w) noexcept = nullptr;  ///< deletes a continuation
};

/// Names a timer of one incarnation. A default one names none.
struct timer_key {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

class cell {
 public:
  // ---- any thread -------------------------------------------------------------------------
  /// Puts an envelope into the user lane. Unless the outcome is `put` the caller keeps it.
  lane::outcome push(node* x) noexcept {
    const auto outcome = lane_.push(x, x->type->counted(), limit_);
    if (outcome == lane::outcome::wake) {
      schedule_for_event();
      return lane::outcome::put;
    }
    return outcome;
  }
  /// Puts a control event or an answer into the system list. False: the cell has ended.
  bool push_system(node* x) noexcept {
    if (!system_list_.push(x)) return false;
    if (lane_.signal()) schedule();
    return true;
  }
  /// Sends what nobody waits for: a refused event is a dead letter with its reason.
  void send(node* x) noexcept {
    const auto outcome = push(x);
    if (outcome != lane::outcome::put) [[unlikely]]
      refused(x, outcome);
  }
  /// Asks: a refused request comes back as a failed answer.
  void ask(request* x) noexcept {
    const auto outcome = push(x);
    if (outcome != lane::outcome::put) [[unlikely]]
      refused(x, outcome);
  }
  bool tell(control what, exit_reason why = {}, cell* from = nullptr) noexcept;
  /// `index`: what the parent calls it in the reports that follow. `in_order`: its end is told to
  /// the parent's mailbox as well, as `child_ended`.
  void start(bool drop_mailbox, std::uint32_t index = 0, bool in_order = false) noexcept;
  /// Answers `x`, a credit, ahead of all events.
  void probe(request* x) noexcept;
  /// `until`: when the deadline passes the incarnation is destroyed without `stopping`.
  /// `for_good`: its address ends with it.
  void stop(exit_reason why, tick until, bool for_good = false) noexcept;
  void kill(exit_reason why, bool for_good = false) noexcept;

  /// E.g. `/shop/delivery/courier`.
  std::string path() const;
  std::string_view id() const noexcept;
  std::uint64_t number() const noexcept;  ///< unique in its system; a new address, a new number
  bool accepts(const event_type& event) const noexcept {
    for (const event_type* each : type_->events)
      if (each == &event) return true;
    return false;
  }
  const factory_type& made_by() const noexcept { return *factory_; }
  const void* arguments() const noexcept { return factory(); }
  const actor_type& type() const noexcept { return *type_; }
  cell* parent() const noexcept { return parent_.get(); }
  /// Whether nobody but itself and `others` more hold this address. A hint, unless those cannot
  /// hand it out meanwhile.
  bool held_only_by(std::uint32_t others) const noexcept {
    return references_.load(std::memory_order_acquire) <= 1 + others;
  }
  std::uint32_t depth() const noexcept { return lane_.depth(); }
  /// Before CAF gets a handle of it: from now on CAF is told of its end.
  void show_to_caf() noexcept;
  /// Nobody runs it, and nothing waits for it.
  bool is_idle() const noexcept { return lane_.is_parked(); }
  std::uint64_t handled() const noexcept { return handled_.load(std::memory_order_relaxed); }
  std::uint32_t incarnation() const noexcept {
    return incarnation_.load(std::memory_order_relaxed);
  }
  bool ends_with_incarnation() const noexcept {
    return ends_with_incarnation_.load(std::memory_order_relaxed);
  }
  cell_state state() const noexcept { return state_.load(std::memory_order_relaxed); }
  std::uint32_t index() const noexcept { return index_.load(std::memory_order_relaxed); }
  overflow policy() const noexcept { return policy_; }
  core& home() const noexcept { return *home_; }

  // ---- whoever runs the cell --------------------------------------------------------------
  /// Handles events until there are none, or `budget` of them. True: it has to run again.
  /// After false the cell may be gone.
  bool run(std::uint32_t budget, std::uint32_t& handled);

  /// Starts a coroutine as the turn of the event in hand.
  took begin_turn(frame* root, node* envelope, void (*at_end)(turn&));
  /// Starts the coroutine of `started` or `stopping`.
  void begin_phase(frame* root, turn_kind kind);

  void* object() const noexcept { return object_; }
  void request_stop(exit_reason why) noexcept;
  /// While it starts: it declines to run, which is no failure.
  void ignore() noexcept { ignores_ = true; }
  void listen(listening to) noexcept { listening_ = to; }
  /// A supervisor's: others run, then it is told to go on by a report of that kind.
  void go_on_later() noexcept;
  void expect(waiting& w, tick until);
  /// What `w` waits for is there.
  void complete(waiting& w);
  tick now() const noexcept;
  tick deadline_in(std::int64_t ms) const noexcept;
  /// Fills in who asks, until when and on whose behalf, registers `w` and sends.
  void ask(cell* to, request* x, waiting& w, std::int64_t ms);
  void await_room(cell* to, waiting& w, std::int64_t ms);
  request* detach_in_hand() noexcept;

  timer_key arm_timer(std::string_view name, std::int64_t ms, std::int64_t period, node* event,
                      node* (*copy)(const node*));
  bool cancel_timer(timer_key key) noexcept;
  bool cancel_timer(std::string_view name) noexcept;
  void watch(cell* other);
  void unwatch(cell* other) noexcept;
  void link(cell* other);
  void unlink(cell* other) noexcept;
  struct relation_counts {
    std::size_t links, watchers;
    bool traps;
  };
  relation_counts relations() const noexcept;
  void trap_exits(bool on) noexcept { traps_.store(on, std::memory_order_relaxed); }
  void exit(cell* other, const exit_reason& why) noexcept;
  /// Sends an exit signal from this address. Any thread.
  void signal_end(cell* to, const exit_reason& why, bool linked) noexcept;
  /// Raised when this incarnation is told to stop or is killed, even while a slice runs.
  std::stop_token stop_token();

 protected:
  cell(core& home, const actor_type& type, const factory_type& made_by, const cell_options& options,
       cell* parent, std::uint32_t index) noexcept;
  ~cell();

 private:
  friend void retain(cell* x) noexcept;
  friend void release(cell* x) noexcept;
  friend struct cell_layout;
  friend struct waiting;
  friend class coppice::system;

  void schedule() noexcept;
  void schedule_for_event() noexcept;
  void raise_stop_token() noexcept;
  void refused(node* x, lane::outcome why) noexcept;
  void refused(request* x, lane::outcome why) noexcept;
  void drop(node* x, dead_letter_reason why) noexcept;
  void drop_mailbox(dead_letter_reason why) noexcept;

  void handle_system();
  void on_control(control_node& c);
  void on_reply(request* r);
  void on_wake(tick at);
  void on_signal(control_node& c);
  node* next_event() noexcept;
  node* next_interleaved() noexcept;
  void append(node* first) noexcept;
  void dispatch(node* x);
  bool not_for_us(node* x) noexcept;
  void not_accepted(node* x) noexcept;

  void make_incarnation(bool fresh_mailbox);
  void start_completed();
  turn& add_turn(frame* root, turn_kind kind);
  void resume_turn(turn& t);
  void end_turn(turn& t) noexcept;
  void crash(exit_reason why, const event_type* in_hand = nullptr) noexcept;
  void stop_now(exit_reason why, tick until) noexcept;
  void stop_if_idle() noexcept;
  void run_stopping() noexcept;
  void leave_turns() noexcept;
  void die(exit_reason why) noexcept;
  void finish(exit_reason why) noexcept;
  void end(const exit_reason& why) noexcept;
  void cleanup_foreign(const exit_reason& why) noexcept;  ///< tells CAF's monitors and links
  const void* factory() const noexcept;
  void* object_place() const noexcept;
  void settle(node* x, const exit_reason& why) noexcept;
  void tell_watchers(const exit_reason& why, bool gone) noexcept;
  void report(report_kind kind, exit_reason why) noexcept;
  void want_wake(tick at);
  void next_wake();
  extras& more();
  exit_reason reason_of(const std::exception_ptr& failure) const noexcept;
  exit_reason reason_of(const std::exception& failure) const noexcept;
  exit_reason crashed(std::string what, cause_ptr root) const;
  bool would_deadlock(cell* to, const event_type& event, std::string& chain) const;
  void mark(cell* running) noexcept;

  [[no_unique_address]] lane lane_;  // what follows fits into its padding
  std::atomic<std::uint32_t> references_{1};  ///< one is its own, until it has ended
  system_list system_list_;
  core* home_;
  const actor_type* type_;
  const factory_type* factory_;
  void* object_ = nullptr;
  cell_ptr parent_;
  node* held_first_ = nullptr;  ///< taken from the lane, not yet handled
  node* held_last_ = nullptr;
  node* in_hand_ = nullptr;
  turn* turns_ = nullptr;  ///< that have not ended
  turn* turn_ = nullptr;  ///< the one that runs now
  waiting* waiting_ = nullptr;
  extras* extras_ = nullptr;
  tick wake_at_ = 0;  ///< the nearest look that the wheel owes us; zero: none
  tick wake_later_ = 0;
  std::atomic<std::uint64_t> handled_{0};
  std::atomic<std::uint32_t> index_;
  std::atomic<std::uint32_t> incarnation_{0};
  std::uint32_t limit_;
  std::uint32_t capacity_;
  std::uint32_t seq_ = 0;
  std::uint32_t shutdown_ms_;
  std::uint32_t waiting_count_ = 0;
  std::uint8_t id_size_ = 0;
  std::atomic<cell_state> state_{cell_state::down};
  std::atomic<bool> traps_{false};
  std::atomic<std::uint8_t> caf_marks_{0};  ///< CAF has had a handle; the address has ended
  std::atomic<bool> ends_with_incarnation_;  ///< links ask for it when they tell a peer of the cell
  std::atomic<std::uint8_t> stop_marks_{0};  ///< a token was taken; a stop was asked for
  overflow policy_;
  listening listening_ = listening::to_all;
  bool reject_while_restarting_ : 1;
  bool own_thread_ : 1;
  bool stop_wanted_ : 1;  ///< the incarnation ends when its turns have ended
  bool suspended_ : 1;  ///< from outside; events wait until `resume`
  bool ignores_ : 1;  ///< its start ends with that it does not run
  bool reports_in_order_ : 1;
  bool yields_ : 1;
  bool closing_ : 1;  ///< `stopping` runs, or has run
};

inline void retain(cell* x) noexcept { x->references_.fetch_add(1, std::memory_order_relaxed); }
void release_last(cell* x) noexcept;
inline void release(cell* x) noexcept {
  if (x->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) release_last(x);
}

/// Makes a cell for a child of `parent` and moves the factory into it. Throws `bad_result` when it
/// shall have a thread of its own and none is left.
cell_ptr make_cell(core& home, const actor_type& type, factory_ref made_by, std::string_view id,
                   const cell_options& options, cell* parent, std::uint32_t index);

/// Puts other constructor arguments of the same factory type in the place of a cell's own. The
/// cell must be down.
void replace_factory(cell& x, void* factory) noexcept;

/// Sends `x`, which holds an answer now, to whoever asked.
void answer(request* x) noexcept;

/// Turns a request into a failed answer and sends it.
void answer_failed(request* x, errc code, cause_ptr because) noexcept;

/// What `offer` says of a refused event, which it destroys.
result<void> refuse_offer(cell& to, node* event, lane::outcome why);

}  // namespace detail
}  // namespace coppice
