// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/detail/thread_safe_actor_clock.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <coppice/actors/detail/core.hpp>
#include <coppice/actors/detail/run_queue.hpp>
#include <coppice/actors/system.hpp>

namespace coppice::detail {

/// CAF's configuration object, which leads from any actor to our core.
struct caf_config : caf::actor_system_config {
  core* home = nullptr;
  const system_options* options = nullptr;
};

/// Sleeps until somebody wakes it; a wake that comes first is not lost.
class parker {
 public:
  /// False: the time was up. Null waits for ever.
  bool wait(const std::chrono::nanoseconds* limit) noexcept;
  void wake() noexcept;

 private:
  std::atomic<std::uint32_t> token_{0};
};

/// Our scheduler behind CAF's interface: it runs our cells and any CAF actor. Each worker has a
/// run_queue; jobs from outside go through one injection queue. An idle worker searches for a
/// while, then parks; whoever makes work wakes one worker unless one searches already. A clock
/// thread drives the tick and the wheels and looks after workers that do not come back; it
/// sleeps while all workers sleep.
class scheduler final : public caf::scheduler::abstract_coordinator {
 public:
  static constexpr std::size_t max_workers = 64;

  explicit scheduler(caf::actor_system& system);
  ~scheduler() override;
  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>);

  void enqueue(caf::resumable* job) override { inject(job); }
  caf::detail::thread_safe_actor_clock& clock() noexcept override { return caf_clock_; }

  /// Runs a cell on the thread it has to itself.
  void run_on_own_thread(cell& x);
  bool reserve_own_thread();

  std::uint32_t worker_count() const noexcept {
    return static_cast<std::uint32_t>(count_.load(std::memory_order_acquire));
  }
  std::uint32_t spares_started() const noexcept { return spares_.load(); }
  void stop_within(std::chrono::milliseconds deadline) noexcept { stop_deadline_ = deadline; }
  /// A thread that is no worker and runs cells now and then.
  struct guest {
    slice_mark mark;
    std::atomic<bool> inside{false};
    std::atomic<tick> since{0};  ///< it is inside
    bool reported = false;       ///< of the watchdog
  };
  /// All of them; outlives the scheduler if a thread was left behind.
  class guest_list {
   public:
    void enter(guest& x);
    void leave(guest& x);
    bool all_out();
    template <class F>
    void each(F f) {
      std::lock_guard lock{guard_};
      for (guest* g : all_) f(*g);
    }

   private:
    std::mutex guard_;
    std::vector<guest*> all_;
  };
  const std::shared_ptr<guest_list>& guests() const noexcept { return guests_; }
  bool all_asleep() const noexcept;

  /// The paths of the cells that run at the moment for longer than `limit`.
  std::vector<stall> running_longer_than(std::chrono::milliseconds limit);

 protected:
  void start() override;
  void stop() override;

 private:
  class worker;
  class own_thread;

  void inject(caf::resumable* job);
  std::size_t take_injected(std::array<caf::resumable*, 32>& into);
  void wake_one() noexcept;
  bool add_worker();
  void run_clock();
  void look_after_workers(tick now);
  void look_after_guests(tick now);

  core& home_;
  const system_options& options_;
  caf::detail::thread_safe_actor_clock caf_clock_;
  std::thread caf_clock_thread_, clock_thread_;
  parker clock_parker_;
  std::atomic<bool> clock_asleep_{false};

  std::array<std::atomic<worker*>, max_workers> workers_{};
  std::atomic<std::size_t> count_{0};
  std::atomic<bool> stopping_{false};
  std::mutex grow_guard_;
  std::vector<worker*> left_;  ///< workers that were stuck and have left: to be used again

  std::mutex inject_guard_;
  std::deque<caf::resumable*> injected_;
  std::atomic<std::size_t> injected_count_{0};

  alignas(64) std::atomic<std::uint64_t> sleepers_{0};
  alignas(64) std::atomic<int> searching_{0};

  std::mutex own_guard_;
  std::unordered_map<cell*, std::unique_ptr<own_thread>> own_threads_;
  std::uint32_t own_reserved_ = 0;

  const std::shared_ptr<guest_list> guests_ = std::make_shared<guest_list>();

  std::atomic<std::uint32_t> spares_{0};
  std::chrono::milliseconds stop_deadline_{5'000};
  /// Threads that did not return from an actor before the stop's deadline. Unless zero, the process
  /// can only be left by `_exit`.
  std::size_t stuck_at_stop_ = 0;
};

}  // namespace coppice::detail
