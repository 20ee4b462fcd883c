// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <random>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/detail/test_actor_clock.hpp>
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <coppice/actors/caf/printer_private.hpp>
#include <coppice/actors/caf/scheduler_private.hpp>

namespace coppice::detail {

/// One thread, the caller's; virtual time; the next job drawn from a seed. Cells and CAF actors
/// run on it unchanged.
class deterministic_scheduler final : public caf::scheduler::abstract_coordinator {
 public:
  explicit deterministic_scheduler(caf::actor_system& system)
      : abstract_coordinator(system),
        home_(*static_cast<const caf_config&>(system.config()).home),
        unit_(*this) {}
  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>) {
    return new deterministic_scheduler(system);
  }

  void enqueue(caf::resumable* job) override { ready_.push_back(job); }
  caf::detail::test_actor_clock& clock() noexcept override { return clock_; }
  bool detaches_utility_actors() const override { return false; }

  void seed(std::uint64_t value) { order_.seed(value); }
  /// Runs one ready job. False: there was none.
  bool step();
  /// Moves virtual time on, firing what falls due on its way; jobs run between.
  void advance(tick ms, std::uint64_t max_steps);

 protected:
  void start() override {
    home_.clock.set(1);
    home_.clock.sleeping(false);
    utility_actors_[printer_id] = system().spawn<aout_printer, caf::hidden>();
  }
  void stop() override;

 private:
  struct unit final : caf::execution_unit {
    explicit unit(deterministic_scheduler& s) : execution_unit(&s.system()), owner(s) {}
    void exec_later(caf::resumable* job) override { owner.enqueue(job); }
    deterministic_scheduler& owner;
  };

  core& home_;
  unit unit_;
  caf::detail::test_actor_clock clock_;
  std::vector<caf::resumable*> ready_;
  std::mt19937_64 order_{0};
};

}  // namespace coppice::detail
