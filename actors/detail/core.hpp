// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <utility>
#include <vector>

#include <coppice/actors/detail/cell.hpp>
#include <coppice/actors/detail/wheel.hpp>
#include <coppice/actors/observer.hpp>

namespace caf {
class execution_unit;
namespace scheduler {
class abstract_coordinator;
}
}  // namespace caf

namespace coppice::detail {

/// What a thread runs at the moment, written by the thread, read by the watchdog.
struct slice_mark {
  std::atomic<cell*> running{nullptr};
  std::atomic<const event_type*> event{nullptr};
};

/// Work that is put off to the end of the slice that made it, so that it is done once for all
/// events of the slice: what they send to another node leaves in one write. A job that goes on
/// alone puts it off over several slices, but not beyond the handler in which the clock's next
/// millisecond begins. If that handler goes on for milliseconds, see `overdue_work`.
class after_slice {
 public:
  virtual void slice_ended() noexcept = 0;

  after_slice* next_after = nullptr;  ///< in the list of the thread that runs the slice

 protected:
  ~after_slice() = default;
};

/// The running thread's context. All null but on workers, and on a thread within a `delivery`.
struct thread_context {
  core* home = nullptr;
  cell* running = nullptr;
  caf::execution_unit* unit = nullptr;
  slice_mark* mark = nullptr;
  std::uint32_t shard = 0;    ///< which timing wheel this thread enters deadlines into
  std::uint32_t handled = 0;  ///< events handled by the last job, for the fairness limit
  bool is_guest = false;  ///< a delivery, which another thread than the clock's looks after
  bool job_owns_itself = false;  ///< the last job was a cell: nothing of it may be touched
  bool cell_ended = false;       ///< and it has ended
  after_slice* after = nullptr;  ///< what is to be done when the slice has ended
  tick after_since = 0;          ///< the time of the first of these

  void put_off(after_slice& x, tick now) noexcept {
    if (!after) after_since = now;
    x.next_after = std::exchange(after, &x);
  }
};
inline thread_local constinit thread_context this_worker{};

/// Does what the slice has put off. To be called by whoever runs slices, after each.
void end_of_slice() noexcept;

/// Time for a whole system: the tick, and the timing wheels, one per worker. Whoever drives it
/// (a clock thread, or a test) sets the tick and fires what fell due.
class clockwork {
 public:
  static constexpr std::size_t max_shards = 16;

  /// `reader` gives milliseconds since the start, for when nobody drives the tick.
  explicit clockwork(tick (*reader)() noexcept) noexcept : read_(reader) {}

  tick now() const noexcept {
    if (ticking_.load(std::memory_order_relaxed)) [[likely]]
      return now_.load(std::memory_order_relaxed);
    return read_();
  }
  void set(tick now) noexcept { now_.store(now, std::memory_order_relaxed); }
  tick read() const noexcept { return read_(); }

  /// Owes `who` a `wake` at `at`.
  void arm(std::uint32_t shard, tick at, cell* who);
  /// Sends the wakes that fell due by `now`.
  void fire(tick now);
  /// So many entries are of a cell that has ended. They keep its memory: when half of all entries
  /// are such, `fire` throws them out.
  void note_stale(std::uint32_t entries) noexcept {
    stale_.fetch_add(entries, std::memory_order_relaxed);
  }
  std::size_t entries();
  /// The time of the next look, if there is anything to look at.
  std::optional<tick> next();
  /// Forgets all entries.
  void clear();

  /// The driver stops and starts driving the tick. While it sleeps `now()` reads the clock.
  void sleeping(bool on) noexcept { ticking_.store(!on, std::memory_order_seq_cst); }
  bool asleep() const noexcept { return !ticking_.load(std::memory_order_relaxed); }
  /// Called when a sleeping driver has to look again.
  std::function<void()> rouse;

 private:
  struct shard_type {
    std::mutex guard;
    timing_wheel<cell_ptr> wheel;
    std::atomic<tick> next{never};
  };
  static constexpr tick never = std::numeric_limits<tick>::max();

  tick (*read_)() noexcept;
  std::atomic<tick> now_{0};
  std::atomic<bool> ticking_{false};
  std::array<std::unique_ptr<shard_type>, max_shards> shards_ = make_shards();
  std::vector<cell_ptr> due_;
  std::atomic<std::uint32_t> stale_{0};

  void throw_out_stale();

  static std::array<std::unique_ptr<shard_type>, max_shards> make_shards();
};

/// Counts what nobody handled, and passes a bounded stream of it on.
class dead_letter_office {
 public:
  static constexpr std::uint32_t records_per_second = 10;

  void note(dead_letter_reason why, const event_type* event, const cell* to, tick now,
            observer* watch) noexcept;
  dead_letter_counts counts() const noexcept;

 private:
  std::array<std::atomic<std::uint64_t>, dead_letter_reasons> counts_{};
  std::mutex guard_;
  tick window_ = -1'000;
  std::uint32_t in_window_ = 0;
  std::uint64_t left_out_ = 0;
};

/// What slices have put off, done by whoever sees that one of them does not end.
class overdue_work {
 public:
  using action = std::function<void()>;

  /// `of` names it for `remove`. The action may run on any thread, beside the slices.
  void add(const void* of, action what);
  /// Waits for the action if it runs.
  void remove(const void* of) noexcept;
  void run();

 private:
  std::mutex guard_;
  std::vector<std::pair<const void*, action>> all_;
};

/// What all cells of a system share and CAF has no part in.
struct core {
  explicit core(tick (*reader)() noexcept) noexcept : clock(reader) {}
  virtual ~core() = default;
  core(const core&) = delete;
  core& operator=(const core&) = delete;

  void dead(dead_letter_reason why, const event_type* event, const cell* to) noexcept {
    letters.note(why, event, to, clock.now(), watch);
  }

  /// A cell without a parent has ended.
  virtual void root_ended(cell* root) noexcept = 0;
  /// Runs a cell on the thread it has to itself.
  virtual void run_on_own_thread(cell& x) noexcept = 0;

  /// Where jobs from outside of its workers go. CAF's own way to it is a few cold cache lines
  /// long, which whoever wakes an idle system would wait for.
  caf::scheduler::abstract_coordinator* scheduler = nullptr;
  clockwork clock;
  dead_letter_office letters;
  overdue_work overdue;
  observer* watch = nullptr;
  std::mutex stop_guard;
  std::unordered_map<const cell*, std::stop_source> stop_sources;
};

/// While a watchdog looks at running cells, memory of cells is not given back.
struct inspection {
  static inline std::atomic<int> under_way{0};
  static inline std::mutex guard;
};

dead_letter_reason as_dead_letter(lane::outcome refused) noexcept;
errc as_error(dead_letter_reason why) noexcept;

}  // namespace coppice::detail
