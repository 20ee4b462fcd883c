// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/caf/scheduler_private.hpp>

#include <coppice/actors/caf/printer_private.hpp>
#include <coppice/actors/caf/shell_private.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include <caf/detail/set_thread_name.hpp>

namespace coppice::detail {

namespace {

/// A worker serves its own slot for at most this many events in a row before it looks at its
/// ring: with a slice's 64 beside it, others wait for at most 256 events of a busy pair.
constexpr std::uint32_t slot_streak = 192;
/// Every so many events a worker looks at the injection queue although it has work of its own;
/// more than a slice's, so that its own work has its turns too.
constexpr std::uint32_t injection_interval = 128;
/// So often a worker without work looks at the others' before it sleeps: some 30 us, about what a
/// sleep and being woken cost. A supervisor that stops 100,000 children hands out 512 at a time:
/// with a quarter of the rounds whoever helps it slept in between, and that took a tenth longer.
constexpr int search_rounds = 128;
/// A job that goes on alone puts off what belongs to the end of a slice for so many of them: what
/// it sends to another node leaves in larger pieces.
constexpr std::uint32_t most_put_off = 8;

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

bool parker::wait(const std::chrono::nanoseconds* limit) noexcept {
  timespec time{};
  if (limit) {
    time.tv_sec = static_cast<time_t>(limit->count() / 1'000'000'000);
    time.tv_nsec = static_cast<long>(limit->count() % 1'000'000'000);
  }
  while (token_.exchange(0, std::memory_order_acquire) == 0) {
    const long r =
        syscall(SYS_futex, &token_, FUTEX_WAIT_PRIVATE, 0, limit ? &time : nullptr, nullptr, 0);
    if (r < 0 && errno == ETIMEDOUT) return token_.exchange(0, std::memory_order_acquire) != 0;
  }
  return true;
}

void parker::wake() noexcept {
  if (token_.exchange(1, std::memory_order_release) == 0)
    syscall(SYS_futex, &token_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// ---- a worker ---------------------------------------------------------------------------------

class scheduler::worker final : public caf::execution_unit {
 public:
  worker(scheduler& owner, std::size_t id)
      : execution_unit(&owner.system()), owner_(owner), id_(id) {}

  void begin() {
    thread_ = std::thread{[this] {
      caf::detail::set_thread_name("coppice.worker");
      owner_.system().thread_started();
      this_worker.home = &owner_.home_;
      this_worker.unit = this;
      this_worker.mark = &mark;
      this_worker.shard = static_cast<std::uint32_t>(id_);
      run();
      this_worker = {};
      owner_.system().thread_terminates();
      ended.store(true, std::memory_order_release);
      finished.wake();
    }};
  }

  /// Of the running job: the newcomer runs next, the one before goes to the ring.
  void exec_later(caf::resumable* job) override {
    if (caf::resumable* displaced = queue.put_next(job)) {
      // A single job in the ring is mostly run by this worker before another has woken up: `run`
      // wakes one if not, or the watchdog if this job does not return.
      const bool alone = queue.ring_empty();
      if (!queue.push(displaced)) owner_.inject(displaced);
      else if (!alone) owner_.wake_one();
    }
    if (owner_.clock_asleep_.load(std::memory_order_relaxed)) owner_.clock_parker_.wake();
  }

  void share(caf::resumable* job) {
    if (queue.push(job)) owner_.wake_one();
    else owner_.inject(job);
  }

  std::thread& thread() { return thread_; }

  run_queue<caf::resumable> queue;
  slice_mark mark;
  /// Odd while inside a job. The watchdog compares it between its rounds.
  std::atomic<std::uint64_t> epoch{0};
  std::atomic<bool> abandoned{false};
  std::atomic<bool> ended{false};
  parker park, finished;

  // The watchdog's own notes.
  std::uint64_t seen_epoch = 0;
  tick seen_at = 0;
  bool reported = false;

 private:
  void run() {
    while (caf::resumable* job = next()) {
      // Only now: mostly the next job is the one that waited, and nobody need be woken for it.
      if (queue.ring_empty()) passed_over_ = 0;
      else if (++passed_over_ > 1) owner_.wake_one();
      epoch.store(epoch.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      for (;;) {
        this_worker.job_owns_itself = false;
        this_worker.handled = 1;
        const auto outcome = job->resume(this, owner_.max_throughput());
        streak_ += this_worker.handled;
        since_injected_ += this_worker.handled;
        // Alone in the world it goes on; nobody else would have to be woken for it.
        const bool goes_on = outcome == caf::resumable::resume_later && queue.empty() &&
                             !owner_.injected_count_.load(std::memory_order_relaxed) &&
                             !owner_.stopping_.load(std::memory_order_relaxed) && !abandoned.load();
        if (this_worker.after && (!goes_on || ++put_off_ == most_put_off)) {
          put_off_ = 0;
          end_of_slice();
        }
        if (outcome == caf::resumable::resume_later) {
          if (goes_on) {
            epoch.store(epoch.load(std::memory_order_relaxed) + 2, std::memory_order_relaxed);
            continue;
          }
          if (!queue.push(job)) owner_.inject(job);
        } else if (!this_worker.job_owns_itself) {
          caf::intrusive_ptr_release(job);
        }
        break;
      }
      epoch.store(epoch.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    while (caf::resumable* job = queue.take_next()) owner_.inject(job);
    while (caf::resumable* job = queue.pop()) owner_.inject(job);
    // Whoever woke this worker before it left has to get another one.
    if (owner_.injected_count_.load(std::memory_order_seq_cst)) owner_.wake_one();
  }

  caf::resumable* next() {
    if (since_injected_ >= injection_interval) {
      since_injected_ = 0;
      if (caf::resumable* job = take_injected()) return job;
    }
    if (streak_ < slot_streak)
      if (caf::resumable* job = queue.take_next()) return job;
    streak_ = 0;
    for (;;) {
      if (owner_.stopping_.load(std::memory_order_acquire) ||
          abandoned.load(std::memory_order_relaxed))
        return nullptr;
      if (caf::resumable* job = queue.pop()) return job;
      if (caf::resumable* job = queue.take_next()) return job;
      if (caf::resumable* job = take_injected()) return job;
      if (caf::resumable* job = search()) return job;
      if (caf::resumable* job = sleep()) return job;
    }
  }

  caf::resumable* search() {
    owner_.searching_.fetch_add(1, std::memory_order_seq_cst);
    caf::resumable* job = nullptr;
    for (int round = 0; round < search_rounds && !job; ++round) {
      job = steal();
      if (!job) job = take_injected();
      if (!job)
        for (int i = 0; i < 16; ++i) relax();
    }
    const bool last = owner_.searching_.fetch_sub(1, std::memory_order_seq_cst) == 1;
    // Who made work while we searched woke nobody: if more is left, wake the next one.
    if (job && last && (!queue.ring_empty() || owner_.injected_count_.load())) owner_.wake_one();
    return job;
  }

  /// Parks until somebody wakes this worker. A job found at the last look is returned.
  caf::resumable* sleep() {
    const std::uint64_t bit = std::uint64_t{1} << id_;
    owner_.sleepers_.fetch_or(bit, std::memory_order_seq_cst);
    caf::resumable* job = steal();
    if (!job) job = take_injected();
    if (job || owner_.stopping_.load(std::memory_order_seq_cst)) {
      // If our bit is gone already a wake is on its way to us: take it.
      if (!(owner_.sleepers_.fetch_and(~bit, std::memory_order_seq_cst) & bit)) park.wait(nullptr);
      return job;
    }
    park.wait(nullptr);
    return nullptr;
  }

  caf::resumable* steal() {
    std::array<caf::resumable*, run_queue<caf::resumable>::capacity / 2> loot;
    const std::size_t count = owner_.count_.load(std::memory_order_acquire);
    for (std::size_t k = 1; k < count; ++k) {
      worker* victim = owner_.workers_[(id_ + k) % count].load(std::memory_order_acquire);
      const std::size_t n = victim ? victim->queue.steal(loot) : 0;
      for (std::size_t i = 1; i < n; ++i)
        if (!queue.push(loot[i])) owner_.inject(loot[i]);
      if (n) return loot[0];
    }
    return nullptr;
  }

  caf::resumable* take_injected() {
    std::array<caf::resumable*, 32> batch;
    const std::size_t n = owner_.take_injected(batch);
    for (std::size_t i = 1; i < n; ++i) share(batch[i]);
    return n ? batch[0] : nullptr;
  }

  scheduler& owner_;
  std::size_t id_;
  std::thread thread_;
  std::uint32_t streak_ = 0;
  std::uint32_t passed_over_ = 0;  ///< jobs chosen while others waited in the ring
  std::uint32_t since_injected_ = 0;  ///< events handled
  std::uint32_t put_off_ = 0;  ///< ends of slices
};

// ---- a thread for one cell --------------------------------------------------------------------

class scheduler::own_thread final : public caf::execution_unit {
 public:
  own_thread(scheduler& owner, cell& x)
      : execution_unit(&owner.system()), owner_(owner), cell_(&x) {
    thread_ = std::thread{[this] {
      caf::detail::set_thread_name("coppice.own");
      owner_.system().thread_started();
      this_worker.home = &owner_.home_;
      this_worker.unit = this;
      this_worker.mark = &mark;
      run();
      this_worker = {};
      owner_.system().thread_terminates();
      ended.store(true, std::memory_order_release);
    }};
  }

  void exec_later(caf::resumable* job) override { owner_.inject(job); }
  void wake() noexcept {
    wanted_.store(true);
    park_.wake();
  }
  void quit() noexcept {
    quitting_.store(true);
    park_.wake();
  }
  std::thread& thread() { return thread_; }

  slice_mark mark;
  std::atomic<bool> ended{false};

 private:
  void run() {
    for (;;) {
      // What was scheduled before the end is still run: it may be the cell's own end.
      if (!wanted_.exchange(false)) {
        if (quitting_.load()) return;
        park_.wait(nullptr);
        continue;
      }
      for (bool again = true; again && !this_worker.cell_ended;) {
        std::uint32_t handled = 0;
        again = cell_->run(64, handled);
        if (this_worker.after) end_of_slice();
      }
      if (this_worker.cell_ended) return;
    }
  }

  scheduler& owner_;
  cell_ptr cell_;  ///< its address, the key to this thread, is not used again while this lives
  parker park_;
  std::atomic<bool> wanted_{false};
  std::atomic<bool> quitting_{false};
  std::thread thread_;
};

// ---- the scheduler ----------------------------------------------------------------------------

scheduler::scheduler(caf::actor_system& system)
    : abstract_coordinator(system),
      home_(*static_cast<const caf_config&>(system.config()).home),
      options_(*static_cast<const caf_config&>(system.config()).options) {}

scheduler::~scheduler() = default;

caf::actor_system::module* scheduler::make(caf::actor_system& system, caf::detail::type_list<>) {
  return new scheduler(system);
}

void scheduler::inject(caf::resumable* job) {
  {
    std::lock_guard lock{inject_guard_};
    injected_.push_back(job);
    injected_count_.store(injected_.size(), std::memory_order_seq_cst);
  }
  wake_one();
}

std::size_t scheduler::take_injected(std::array<caf::resumable*, 32>& into) {
  if (injected_count_.load(std::memory_order_seq_cst) == 0) return 0;
  std::lock_guard lock{inject_guard_};
  std::size_t n = 0;
  while (n < into.size() && !injected_.empty()) {
    into[n++] = injected_.front();
    injected_.pop_front();
  }
  injected_count_.store(injected_.size(), std::memory_order_seq_cst);
  return n;
}

void scheduler::wake_one() noexcept {
  if (searching_.load(std::memory_order_seq_cst) != 0) return;
  for (;;) {
    const std::uint64_t sleeping = sleepers_.load(std::memory_order_seq_cst);
    if (!sleeping) {
      if (clock_asleep_.load(std::memory_order_relaxed)) clock_parker_.wake();
      return;
    }
    const int i = std::countr_zero(sleeping);
    const std::uint64_t bit = std::uint64_t{1} << i;
    if (sleepers_.fetch_and(~bit, std::memory_order_seq_cst) & bit) {
      workers_[static_cast<std::size_t>(i)].load(std::memory_order_acquire)->park.wake();
      return;
    }
  }
}

bool scheduler::add_worker() {
  std::lock_guard lock{grow_guard_};
  if (stopping_.load()) return false;
  if (!left_.empty()) {
    worker* again = left_.back();
    left_.pop_back();
    again->ended.store(false);
    again->abandoned.store(false);
    again->begin();
    return true;
  }
  const std::size_t n = count_.load();
  if (n == max_workers) return false;
  auto* w = new worker(*this, n);
  workers_[n].store(w, std::memory_order_release);
  count_.store(n + 1, std::memory_order_release);
  w->begin();
  return true;
}

void scheduler::start() {
  home_.clock.rouse = [this] { clock_parker_.wake(); };
  home_.clock.set(home_.clock.read());
  home_.clock.sleeping(false);
  unsigned n = options_.workers ? options_.workers : std::thread::hardware_concurrency();
  n = std::clamp(n, 1u, static_cast<unsigned>(max_workers) - options_.spare_workers);
  for (unsigned i = 0; i < n; ++i) add_worker();
  caf_clock_thread_ = std::thread{[this] {
    caf::detail::set_thread_name("coppice.cafclk");
    system().thread_started();
    caf_clock_.run_dispatch_loop();
    system().thread_terminates();
  }};
  clock_thread_ = std::thread{[this] {
    caf::detail::set_thread_name("coppice.clock");
    run_clock();
  }};
  utility_actors_[printer_id] = system().spawn<aout_printer, caf::hidden>();
}

bool scheduler::all_asleep() const noexcept {
  const std::size_t n = count_.load(std::memory_order_acquire);
  std::size_t awake =
      n - static_cast<std::size_t>(std::popcount(sleepers_.load(std::memory_order_seq_cst)));
  for (std::size_t i = 0; awake && i < n; ++i)
    if (workers_[i].load(std::memory_order_acquire)->ended.load(std::memory_order_relaxed)) --awake;
  return awake == 0;
}

void scheduler::run_clock() {
  using namespace std::chrono_literals;
  while (!stopping_.load(std::memory_order_acquire)) {
    const tick now = home_.clock.read();
    home_.clock.set(now);
    home_.clock.fire(now);
    look_after_workers(now);
    look_after_guests(now);
    if (!all_asleep()) {
      constexpr std::chrono::nanoseconds beat = 1ms;
      clock_parker_.wait(&beat);
      continue;
    }
    clock_asleep_.store(true, std::memory_order_seq_cst);
    home_.clock.sleeping(true);
    if (all_asleep() && !stopping_.load(std::memory_order_seq_cst)) {
      // Whoever wakes a worker does not pay for waking the clock too, so look now and then
      // whether a handler has got stuck meanwhile.
      tick left = std::clamp<tick>(options_.stall_limit.count(), 10, 1'000);
      if (const auto next = home_.clock.next()) left = std::min(left, *next - home_.clock.read());
      const std::chrono::nanoseconds wait = std::chrono::milliseconds(std::max<tick>(left, 0));
      if (wait.count() > 0) clock_parker_.wait(&wait);
    }
    clock_asleep_.store(false, std::memory_order_relaxed);
    home_.clock.set(home_.clock.read());
    home_.clock.sleeping(false);
  }
}

/// A worker in the same job as a millisecond ago keeps its next one waiting: give it away; and what
/// it has put off: do that. One that stays beyond the stall limit gets a spare beside it and leaves
/// when it returns.
void scheduler::look_after_workers(tick now) {
  const tick limit = options_.stall_limit.count();
  for (std::size_t i = 0; i < count_.load(std::memory_order_acquire); ++i) {
    worker& w = *workers_[i].load(std::memory_order_acquire);
    if (w.ended.load(std::memory_order_acquire)) {
      if (!w.thread().joinable()) continue;
      w.thread().join();
      std::lock_guard lock{grow_guard_};
      left_.push_back(&w);
      --spares_;
      continue;
    }
    const std::uint64_t epoch = w.epoch.load(std::memory_order_relaxed);
    if (epoch != w.seen_epoch || !(epoch & 1)) {
      w.seen_epoch = epoch;
      w.seen_at = now;
      w.reported = false;
      continue;
    }
    if (now - w.seen_at >= 2) {
      home_.overdue.run();
      if (caf::resumable* job = w.queue.take_next()) inject(job);
      else if (!w.queue.ring_empty() || injected_count_.load()) wake_one();
    }
    if (now - w.seen_at < limit) continue;
    if (!std::exchange(w.reported, true) && options_.watch)
      for (const stall& s : running_longer_than(options_.stall_limit)) options_.watch->on_stall(s);
    // Tried again each time: a spare worker may have come back meanwhile.
    if (spares_.load() < options_.spare_workers && !w.abandoned.exchange(true)) {
      if (add_worker()) ++spares_;
      else w.abandoned.store(false);
    }
  }
}

std::vector<stall> scheduler::running_longer_than(std::chrono::milliseconds limit) {
  std::vector<stall> found;
  std::lock_guard lock{inspection::guard};
  inspection::under_way.fetch_add(1, std::memory_order_seq_cst);
  const tick now = home_.clock.read();
  const auto look = [&](slice_mark& mark, tick since) {
    if (now - since < limit.count()) return;
    const cell* x = mark.running.load(std::memory_order_seq_cst);
    if (!x) return;
    const event_type* event = mark.event.load(std::memory_order_relaxed);
    found.push_back({x->path(), event ? std::string{event->type_name} : std::string{},
                     std::chrono::milliseconds{now - since}});
  };
  for (std::size_t i = 0; i < count_.load(std::memory_order_acquire); ++i) {
    worker& w = *workers_[i].load(std::memory_order_acquire);
    if (w.epoch.load(std::memory_order_relaxed) & 1) look(w.mark, limit.count() ? w.seen_at : 0);
  }
  guests_->each([&](guest& g) {
    if (g.inside.load(std::memory_order_acquire))
      look(g.mark, limit.count() ? g.since.load(std::memory_order_relaxed) : 0);
  });
  if (limit.count() == 0) {
    std::lock_guard own_lock{own_guard_};
    for (auto& [x, thread] : own_threads_) look(thread->mark, 0);
  }
  inspection::under_way.fetch_sub(1, std::memory_order_seq_cst);
  return found;
}

void scheduler::guest_list::enter(guest& x) {
  std::lock_guard lock{guard_};
  all_.push_back(&x);
}

void scheduler::guest_list::leave(guest& x) {
  std::lock_guard lock{guard_};
  std::erase(all_, &x);
}

bool scheduler::guest_list::all_out() {
  bool out = true;
  each([&](const guest& g) { out = out && !g.inside.load(std::memory_order_acquire); });
  return out;
}

/// Whoever let it in has another thread for its own work meanwhile; here it is only told.
void scheduler::look_after_guests(tick now) {
  if (!options_.watch) return;
  bool stuck = false;
  guests_->each([&](guest& g) {
    const bool late = g.inside.load(std::memory_order_acquire) &&
                      now - g.since.load(std::memory_order_relaxed) >= options_.stall_limit.count();
    if (late && !g.reported) stuck = true;
    g.reported = late;
  });
  if (!stuck) return;
  for (const stall& s : running_longer_than(options_.stall_limit)) options_.watch->on_stall(s);
}

bool scheduler::reserve_own_thread() {
  std::lock_guard lock{own_guard_};
  std::erase_if(own_threads_, [this](auto& each) {
    if (!each.second->ended.load(std::memory_order_acquire)) return false;
    each.second->thread().join();
    --own_reserved_;
    return true;
  });
  if (own_reserved_ == options_.own_threads) return false;
  ++own_reserved_;
  return true;
}

void scheduler::run_on_own_thread(cell& x) {
  if (stopping_.load()) {  // its thread may have gone; `stop` runs what is left
    inject(&shell::of(x));
    return;
  }
  std::lock_guard lock{own_guard_};
  auto& thread = own_threads_[&x];
  if (!thread) thread = std::make_unique<own_thread>(*this, x);
  thread->wake();
}

void scheduler::stop() {
  stop_actors();
  stopping_.store(true, std::memory_order_seq_cst);
  clock_parker_.wake();
  clock_thread_.join();
  const auto until = std::chrono::steady_clock::now() + stop_deadline_;
  const auto left = [&] {
    return std::max(std::chrono::nanoseconds{1},
                    std::chrono::duration_cast<std::chrono::nanoseconds>(
                        until - std::chrono::steady_clock::now()));
  };
  const std::size_t n = count_.load();
  for (std::size_t i = 0; i < n; ++i) {
    worker& w = *workers_[i].load();
    sleepers_.fetch_and(~(std::uint64_t{1} << i));
    w.park.wake();
    while (!w.ended.load(std::memory_order_acquire) && std::chrono::steady_clock::now() < until) {
      const auto wait = std::min(left(), std::chrono::nanoseconds{1'000'000});
      w.finished.wait(&wait);
    }
    if (w.ended.load(std::memory_order_acquire)) {
      if (w.thread().joinable()) w.thread().join();
    } else {
      w.thread().detach();
      ++stuck_at_stop_;
    }
  }
  {
    std::lock_guard lock{own_guard_};
    for (auto& [x, thread] : own_threads_) thread->quit();
    for (auto& [x, thread] : own_threads_) {
      while (!thread->ended.load(std::memory_order_acquire) &&
             std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
      if (thread->ended.load(std::memory_order_acquire)) {
        thread->thread().join();
      } else {
        thread->thread().detach();
        ++stuck_at_stop_;
      }
    }
    if (!stuck_at_stop_) own_threads_.clear();
  }
  while (!guests_->all_out() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  if (!guests_->all_out()) ++stuck_at_stop_;
  if (!stuck_at_stop_) {
    // Only when all have been joined: a thief looks at every ring.
    for (std::size_t i = 0; i < n; ++i) delete workers_[i].exchange(nullptr);
    // A cell that has been told to end and has not come to it does so now, or it would leak. All
    // actors without a supervisor have ended, so there is an end to this; the limit is for safety.
    sleepers_.store(0);
    for (int slices = 1'000'000; slices > 0 && !injected_.empty(); --slices) {
      caf::resumable* job = injected_.front();
      injected_.pop_front();
      if (!dynamic_cast<shell*>(job)) cleanup_and_release(job);
      else if (job->resume(nullptr, 1) == caf::resumable::resume_later) injected_.push_back(job);
    }
  }
  home_.clock.sleeping(true);
  home_.clock.rouse = nullptr;
  caf_clock_.cancel_dispatch_loop();
  caf_clock_thread_.join();
}

}  // namespace coppice::detail
