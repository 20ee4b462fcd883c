// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/delivery.hpp>

#include <coppice/actors/caf/scheduler_private.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace coppice::detail {

namespace {

/// Of one `run`: about what one read brings.
constexpr int most_slices = 16;
constexpr std::size_t events_per_slice = 64;

}  // namespace

class delivery::unit final : public caf::execution_unit {
 public:
  explicit unit(core& home)
      : execution_unit(&home.scheduler->system()),
        home_(home),
        to_(*home.scheduler),
        ours_(dynamic_cast<scheduler*>(home.scheduler)) {
    if (ours_) (guests_ = ours_->guests())->enter(guest_);
  }
  ~unit() override {
    give_away();
    if (guests_) guests_->leave(guest_);
  }

  void exec_later(caf::resumable* job) override {
    if (guest_.inside.load(std::memory_order_relaxed)) {
      if (caf::resumable* displaced = next_.exchange(job, std::memory_order_seq_cst))
        to_.enqueue(displaced);
      if (lost_.load(std::memory_order_seq_cst)) give_away();
      return;
    }
    woken_[count_++] = job;
    if (count_ == woken_.size()) hand_over();
  }

  void hand_over() {
    for (std::size_t i = 0; i < count_; ++i) to_.enqueue(woken_[i]);
    count_ = 0;
  }
  void end(bool keep) {
    if (!keep || count_ != 1 || !ours_ || !ours_->all_asleep()) return hand_over();
    count_ = 0;
    next_.store(woken_[0], std::memory_order_release);
  }

  /// By a thread that has taken over this one's work.
  void lose() {
    lost_.store(true, std::memory_order_seq_cst);
    give_away();
  }

  bool waits() const noexcept { return next_.load(std::memory_order_relaxed) != nullptr; }
  void run() {
    lost_.store(false, std::memory_order_seq_cst);
    guest_.since.store(home_.clock.read(), std::memory_order_relaxed);
    guest_.inside.store(true, std::memory_order_release);
    for (int slices = 0; slices < most_slices; ++slices) {
      caf::resumable* job = next_.exchange(nullptr, std::memory_order_acq_rel);
      if (!job) break;
      this_worker.job_owns_itself = false;
      const auto outcome = job->resume(this, events_per_slice);
      if (this_worker.after) end_of_slice();
      if (outcome == caf::resumable::resume_later) {
        if (waits() || home_.clock.read() != guest_.since.load(std::memory_order_relaxed))
          to_.enqueue(job);
        else next_.store(job, std::memory_order_release);
      } else if (!this_worker.job_owns_itself) {
        caf::intrusive_ptr_release(job);
      }
    }
    give_away();
    guest_.inside.store(false, std::memory_order_release);
  }
  void give_away() {
    if (caf::resumable* job = next_.exchange(nullptr, std::memory_order_seq_cst)) to_.enqueue(job);
  }
  slice_mark& mark() noexcept { return guest_.mark; }

 private:
  core& home_;
  caf::scheduler::abstract_coordinator& to_;
  scheduler* const ours_;  ///< null: under the deterministic one, which runs everything itself
  std::shared_ptr<scheduler::guest_list> guests_;
  scheduler::guest guest_;
  std::atomic<caf::resumable*> next_{nullptr};
  /// `run` has not returned for long: what it wakes meanwhile goes to the workers.
  std::atomic<bool> lost_{false};
  std::array<caf::resumable*, 64> woken_;
  std::size_t count_ = 0;
};

delivery::delivery(core& home) : home_(home), unit_(std::make_unique<unit>(home)) {}
delivery::~delivery() = default;

void delivery::begin() noexcept {
  this_worker.home = &home_;
  this_worker.is_guest = true;
  this_worker.unit = unit_.get();
}

void delivery::end(bool keep) noexcept {
  unit_->end(keep);
  if (this_worker.after) end_of_slice();
  this_worker = {};
}

void delivery::hand_over() noexcept {
  unit_->end(false);
  if (this_worker.after) end_of_slice();
}

bool delivery::waits() const noexcept { return unit_->waits(); }

void delivery::run() noexcept {
  begin();
  this_worker.mark = &unit_->mark();
  unit_->run();
  this_worker = {};
}

void delivery::give_away() noexcept {
  unit_->lose();
  home_.overdue.run();
}

}  // namespace coppice::detail
