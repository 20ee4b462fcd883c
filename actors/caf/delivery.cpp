// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/delivery.hpp>

#include <array>
#include <cstddef>

#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

namespace coppice::detail {

struct delivery::unit final : caf::execution_unit {
  explicit unit(caf::scheduler::abstract_coordinator& to)
      : execution_unit(&to.system()), workers(to) {}

  void exec_later(caf::resumable* job) override {
    woken[count++] = job;
    if (count == woken.size()) hand_over();
  }
  void hand_over() {
    for (std::size_t i = 0; i < count; ++i) workers.enqueue(woken[i]);
    count = 0;
  }

  caf::scheduler::abstract_coordinator& workers;
  std::array<caf::resumable*, 64> woken;
  std::size_t count = 0;
};

delivery::delivery(core& home) : home_(home), unit_(std::make_unique<unit>(*home.scheduler)) {}
delivery::~delivery() = default;

void delivery::begin() noexcept {
  if (this_worker.unit) return;
  under_way_ = true;
  this_worker.home = &home_;
  this_worker.unit = unit_.get();
}

void delivery::end() noexcept {
  if (!under_way_) return;
  under_way_ = false;
  unit_->hand_over();
  if (this_worker.after) end_of_slice();
  this_worker = {};
}

}  // namespace coppice::detail
