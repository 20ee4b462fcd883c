// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/exit_reason.hpp>
#include <coppice/supervision/budget.hpp>
#include <coppice/supervision/plan.hpp>
#include <coppice/supervision/spec.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

/// A supervisor's mind: what it is told about its children goes in, what is to be done comes out.
/// No clock, no thread, no actor; the supervisor actor is the shell that carries the actions out.
namespace coppice {

/// A child's place in its supervisor's table. Used again after the child has been removed.
using child_index = std::uint32_t;
inline constexpr child_index no_child = 0x7fff'ffff;

enum class child_state : std::uint8_t {
  stopped,     ///< not running, and nobody is about to change that
  starting,    ///< told to start, has not answered
  running,
  ended,       ///< has ended by itself and is not judged yet: a plan runs, or calls come first
  restarting,  ///< its restart has failed; the next attempt is on its way
  stopping,    ///< asked to stop
  killing,     ///< killed, has not ended yet
  removed,     ///< there is no such child any more
};
std::string_view name(child_state state) noexcept;

/// A child's deadlines, of which it has at most one at a time.
enum class deadline_kind : std::uint8_t {
  none,
  start,     ///< it should have started: it is killed, and its start has failed
  shutdown,  ///< it should have stopped: it is killed
  stuck,     ///< it should have ended after the kill, or under `infinity` after the stop
};

/// What a report is about; OTP's names.
enum class report_context : std::uint8_t {
  progress,          ///< the child has started
  child_terminated,  ///< the child has ended by itself
  start_error,       ///< the child could not be started
  shutdown_error,    ///< the child was stopped and ended with another reason than that
  shutdown,          ///< the supervisor gives up; `child` is the one that was too much
};
std::string_view name(report_context about) noexcept;

/// The shell's number for a call that it has passed on and that is answered by an action.
using call_id = std::uint32_t;
inline constexpr call_id no_call = 0xffff'ffff;

/// One thing for the shell to do, at once and in the order given. A child that is told something
/// has a deadline for it: `which`, `after` from now; it replaces the one it had. What has become
/// of a deadline meanwhile the decision is asked before one counts (`awaits`).
struct action {
  enum class kind : std::uint8_t {
    start,        ///< make incarnation `incarnation` of `child`; `drop_mailbox`: events and all
    stop,         ///< ask `child` to stop for `reason`
    kill,         ///< kill `child`; `late`: because its start took too long
    hold,         ///< `child` stays stopped: its address answers `stopped`
    remove,       ///< `child`'s spec is dropped and its address ends for ever: `reason`
    retry_later,  ///< post `retry(child, incarnation)` to the tail of the shell's own mailbox
    rest,         ///< let others run, then call `go_on`
    report,       ///< a supervisor report `about` `child`, with `reason`
    answer,       ///< `call` is over: `code`, and `reason` if that is `failed`; see `running`
    up,           ///< all children have started: so has the supervisor
    fail_start,   ///< what had started is down again: the supervisor's own start fails: `reason`
    exit,         ///< all children are down: the supervisor's incarnation ends with `reason`
    stuck,        ///< `child` has not ended by the stuck limit: a case for the node
  };
  kind what;
  deadline_kind which = deadline_kind::none;
  report_context about = report_context::progress;
  bool drop_mailbox = false;
  bool late = false;     ///< kill
  bool running = false;  ///< answer: the child runs; if not it has declined to
  errc code{};           ///< answer: zero is success
  child_index child = no_child;
  std::uint32_t incarnation = 0;
  call_id call = no_call;
  std::chrono::milliseconds after{0};
  exit_reason reason{};
};

/// One failure that called for a restart.
struct restart_record {
  child_index child = no_child;  ///< none: it has been removed since
  std::string id;                ///< of a child that has been removed
  std::uint32_t incarnation = 0;
  std::chrono::milliseconds at{0};
  std::chrono::milliseconds up{0};  ///< how long the incarnation had run
  exit_reason reason;
};

/// What a snapshot shows of a child.
struct child_view {
  child_state state;
  std::uint32_t incarnation;             ///< the present one, or the last; 0: never started
  std::uint32_t restarts;                ///< how many restarts this child has caused
  std::chrono::milliseconds started_at;  ///< when the last start was complete
  const exit_reason* last_reason;        ///< of its last failure or end by itself; null: none
  std::chrono::milliseconds last_at;     ///< when that was
  std::chrono::milliseconds last_up;     ///< how long that incarnation had run
};

struct child_numbers {
  std::uint32_t specs, active, supervisors, workers;
};

/// How the decision learns a child's path, which only texts of failures need. The path's last
/// segment is the child's id.
struct child_names {
  std::string (*path)(const void* context, child_index child) = nullptr;
  const void* context = nullptr;
};

/// The rules of OTP (`docs/semantics.md`, exit verdicts) as one explicit machine per child and
/// one plan at a time: the ordered start, a group's restart, the ordered stop. A child that is
/// restarted alone needs no plan, so that many of them may be starting side by side.
///
/// Every input names the present time (milliseconds since any origin, never backwards) and
/// appends to `out`. An input about an incarnation that is no longer the child's, or that comes a
/// second time, changes nothing. An incarnation reports either `started` and later `ended`, or
/// `start_failed`, or just `ended`; after the last of these nothing of it runs.
///
/// One event costs O(1), but for the plans: building one is linear in the children it selects.
/// A child costs `sizeof(record)` bytes (40) and one that has failed about 90 more.
class decision {
 public:
  using time = std::chrono::milliseconds;
  using actions = std::vector<action>;

  explicit decision(supervisor_spec spec, child_names names = {});

  /// Adds a child, stopped, behind all others. `incarnation`: the last one its address has had,
  /// if it is taken over from the supervisor's previous incarnation. The spec's id is not used.
  child_index add(const child_spec& spec, std::uint32_t incarnation = 0);

  /// The index that the next child will have.
  child_index next_index() const noexcept {
    return free_children_.empty() ? static_cast<child_index>(children_.size())
                                  : free_children_.back();
  }

  // ---- inputs -----------------------------------------------------------------------------
  /// Starts all children in order, once.
  void begin(time now, actions& out);
  void started(child_index child, std::uint32_t incarnation, time now, actions& out);
  /// It has declined to run: its start is a success without an incarnation.
  void ignored(child_index child, std::uint32_t incarnation, time now, actions& out);
  void start_failed(child_index child, std::uint32_t incarnation, exit_reason reason, time now,
                    actions& out);
  void ended(child_index child, std::uint32_t incarnation, exit_reason reason, time now,
             actions& out);
  /// Under `serial`: what the child posted to the supervisor's mailbox when it ended has come
  /// round.
  void judge(child_index child, std::uint32_t incarnation, time now, actions& out);
  /// An armed deadline has passed.
  void deadline(child_index child, std::uint32_t incarnation, deadline_kind which, time now,
                actions& out);
  /// What `retry_later` had posted has come round.
  void retry(child_index child, std::uint32_t incarnation, time now, actions& out);
  /// From the parent: stop all children, whatever is going on, then exit with `reason`.
  void stop(exit_reason reason, time now, actions& out);
  /// The supervisor itself is killed: kill all children at once, then exit with `killed`.
  void kill(time now, actions& out);
  /// Goes on after a `rest`.
  void go_on(time now, actions& out);

  // ---- calls: each is answered once, by an action. `call` may be none ------------------------
  /// Starts a child that has just been added.
  void start_added(child_index child, call_id call, actions& out);
  void terminate_child(child_index child, call_id call, actions& out);
  void restart_child(child_index child, call_id call, actions& out);
  void delete_child(child_index child, call_id call, actions& out);

  // ---- what it knows ----------------------------------------------------------------------
  /// True after `up`, until it begins to stop.
  bool up() const noexcept { return phase_ == phase::up || phase_ == phase::regrouping; }
  /// True after `exit` or `fail_start`: nothing changes any more.
  bool over() const noexcept { return phase_ == phase::over; }
  /// Calls that change something have to wait: a group is restarted, or, under `serial`, any
  /// child is being started, stopped or killed.
  bool busy() const noexcept;

  child_view view(child_index child) const;
  child_state state(child_index child) const { return children_[child].state; }
  const child_spec& spec(child_index child) const { return policy(children_[child]); }
  child_numbers count() const noexcept;
  /// The children in order: `for (c = first(); c != no_child; c = next(c))`.
  child_index first() const noexcept { return first_; }
  child_index next(child_index child) const { return children_[child].next; }
  std::uint32_t size() const noexcept { return size_; }
  /// Whether this deadline is armed, so that a shell may keep forgotten ones for a while.
  bool awaits(child_index child, std::uint32_t incarnation, deadline_kind which) const {
    const record& r = children_[child];
    return r.incarnation == incarnation && r.armed == which;
  }
  const supervisor_spec& spec() const noexcept { return spec_; }
  /// The last failures that called for a restart, oldest first, at most `history_length`.
  std::vector<restart_record> history() const;
  static constexpr std::size_t history_length = 16;

  /// From now on notes each child whose state changes in `changed`, for whoever takes it.
  void note_changes(bool on) noexcept { noting_ = on; }
  std::vector<child_index> changed;

 private:
  static constexpr std::uint32_t none = 0xffff'ffff;
  static constexpr std::int64_t never = -1;
  /// Actions of one batch of a plan. Those who are told run before the next batch: it bounds what
  /// a supervisor of a million children has in hand, and a worker's ring has room for them.
  static constexpr std::size_t batch = 512;

  enum class started_by : std::uint8_t { itself, start_call, restart_call };

  struct record {
    std::int64_t started_at = never;
    std::uint32_t incarnation = 0;
    std::uint32_t policy = 0;  ///< in `policies_`
    std::uint32_t trouble = none;  ///< in `troubles_`; none until it has failed
    plan::step_id step = none;  ///< the step of the plan it is taking
    child_index previous = no_child;
    child_index next = no_child;
    std::uint32_t calls = none;  ///< that wait for it: the first, in `calls_`
    child_state state = child_state::stopped;
    deadline_kind armed = deadline_kind::none;
    started_by start = started_by::itself;
    bool late = false;  ///< killed because it did not start in time
  };
  static_assert(sizeof(record) <= 40, "bytes per idle child are measured");

  struct shared_policy {
    child_spec spec;
    std::uint32_t users = 0;
  };
  struct trouble {
    budget own;
    std::uint32_t restarts = 0;
    exit_reason last;
    time last_at{0};
    time last_up{0};
  };
  struct waiting_call {
    call_id call;
    std::uint32_t next;
    bool for_start;  ///< else for the child to be down
  };
  struct notice {
    child_index child;
    std::uint32_t incarnation;
  };
  enum class phase : std::uint8_t { fresh, starting, up, regrouping, stopping, over };

  record* current(child_index child, std::uint32_t incarnation);
  const child_spec& policy(const record& r) const { return policies_[r.policy].spec; }
  std::uint32_t share(child_spec policy);
  void set(record& r, child_state state);
  trouble& trouble_of(record& r);
  void note_end(record& r, exit_reason reason, time now);
  void remove(child_index child, exit_reason last, actions& out);
  void hold(child_index child, actions& out) const;
  void report(report_context about, child_index child, const exit_reason& reason,
              actions& out) const;

  void wait(record& r, call_id call, bool for_start);
  static void answer(call_id call, child_index child, errc code, actions& out);
  void answer_all(record& r, bool for_start, const action& how, actions& out);

  void launch(child_index child, bool drop_mailbox, actions& out);
  void stop_child(child_index child, actions& out);
  void kill_child(child_index child, actions& out);
  void gone(child_index child, std::uint32_t incarnation, exit_reason reason, time now,
            actions& out);
  void start_broke(child_index child, const exit_reason& reason, time now, actions& out);
  void is_down(child_index child, const exit_reason& reason, actions& out);
  void verdict_on(child_index child, const exit_reason& reason, time now, actions& out);
  void recover(child_index child, const exit_reason& reason, time now, actions& out);
  cause_ptr overspent(child_index child, const exit_reason& reason, time now);
  void give_up(child_index child, cause_ptr why, time now, actions& out);
  void remember(child_index child, const exit_reason& reason);

  void drop_plan();
  void regroup(child_index child, time now, actions& out);
  void stop_all(time now, actions& out);
  void finish_step(record& r);
  bool take(plan::step_id step, actions& out);
  void advance(time now, actions& out);
  void judge_waiting(time now, actions& out);

  std::string path(child_index child) const;
  cause_ptr as_cause(child_index child, const exit_reason& reason) const;

  supervisor_spec spec_;
  child_names names_;
  std::vector<record> children_;
  std::vector<shared_policy> policies_;
  std::vector<trouble> troubles_;
  std::vector<waiting_call> calls_;
  std::vector<child_index> free_children_;
  std::vector<std::uint32_t> free_troubles_;
  std::vector<std::uint32_t> free_calls_;
  std::vector<std::uint32_t> free_policies_;
  child_index first_ = no_child;
  child_index last_ = no_child;
  std::uint32_t size_ = 0;
  std::uint32_t moving_ = 0;  ///< children that are starting, stopping or being killed
  std::uint32_t active_ = 0;  ///< children that are there, in whatever state
  std::uint32_t restarting_ = 0;
  std::uint32_t supervisors_ = 0;
  std::uint32_t significant_ = 0;  ///< significant ones that are there, or shall be again

  phase phase_ = phase::fresh;
  bool brutal_ = false;  ///< the supervisor is being killed
  bool told_ = false;  ///< by its parent to stop
  bool noting_ = false;
  bool resting_ = false;  ///< a batch is full, and `go_on` is on its way
  action end_{action::kind::exit};  ///< what follows when all children are down
  plan plan_;
  std::vector<plan::step_id> ready_;
  std::size_t taken_ = 0;  ///< how many of them have been taken
  std::vector<notice> waiting_;  ///< ends to be judged when the plan is done
  std::size_t judged_ = 0;  ///< how many of them already are
  budget budget_;
  std::vector<restart_record> history_;
  std::size_t oldest_ = 0;
};

}  // namespace coppice
