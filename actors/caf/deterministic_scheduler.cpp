// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/caf/deterministic_scheduler_private.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <coppice/actors/caf/shell_private.hpp>

namespace coppice::detail {

bool deterministic_scheduler::step() {
  if (ready_.empty()) return false;
  const auto i = static_cast<std::size_t>(order_() % ready_.size());
  caf::resumable* job = std::exchange(ready_[i], ready_.back());
  ready_.pop_back();
  const thread_context outside = std::exchange(this_worker, thread_context{});
  this_worker.home = &home_;
  this_worker.unit = &unit_;
  const auto outcome = job->resume(&unit_, 1);
  if (this_worker.after) end_of_slice();
  const bool owns_itself = this_worker.job_owns_itself;
  this_worker = outside;
  if (outcome == caf::resumable::resume_later) ready_.push_back(job);
  else if (!owns_itself) caf::intrusive_ptr_release(job);
  return true;
}

void deterministic_scheduler::advance(tick ms, std::uint64_t max_steps) {
  const tick until = home_.clock.now() + ms;
  for (;;) {
    while (max_steps && step()) --max_steps;
    if (!max_steps) return;
    const tick before = home_.clock.now();
    tick next = until;
    if (const auto due = home_.clock.next()) next = std::min(next, std::max(*due, before));
    if (!clock_.schedule().empty()) {
      const auto due = clock_.schedule().begin()->first - clock_.current_time;
      const auto ms_left = std::chrono::ceil<std::chrono::milliseconds>(due).count();
      next = std::clamp<tick>(before + ms_left, before, next);
    }
    home_.clock.set(next);
    clock_.advance_time(std::chrono::milliseconds{next - before});
    home_.clock.fire(next);
    if (next == until && ready_.empty()) return;
  }
}

void deterministic_scheduler::stop() {
  while (step()) {
  }
  // Not `stop_actors`: it waits for the printer, which only runs when it is stepped.
  caf::anon_send_exit(utility_actors_[printer_id], caf::exit_reason::user_shutdown);
  while (step()) {
  }
  home_.clock.sleeping(true);
}

}  // namespace coppice::detail
