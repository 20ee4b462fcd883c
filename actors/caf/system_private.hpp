// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include <caf/actor_system.hpp>

#include <coppice/actors/caf/deterministic_scheduler_private.hpp>
#include <coppice/actors/caf/interop.hpp>
#include <coppice/actors/caf/scheduler_private.hpp>
#include <coppice/actors/caf/shell_private.hpp>
#include <coppice/actors/system.hpp>

namespace coppice {

struct system::implementation final : detail::core {
  implementation(system_options given, bool deterministic);
  ~implementation() override;

  void root_ended(detail::cell* root) noexcept override;
  void run_on_own_thread(detail::cell& x) noexcept override;

  detail::scheduler* threads() noexcept;
  detail::deterministic_scheduler* steps() noexcept;
  std::vector<std::string> stop_all(std::chrono::milliseconds deadline);

  system_options options;
  bool deterministic;
  detail::caf_config config;
  detail::caf_bridge bridge;
  std::mutex roots_guard;
  std::condition_variable roots_changed;
  std::vector<detail::cell_ptr> roots;
  bool stopped = false;
  std::vector<std::string> stuck;
  std::unique_ptr<caf::actor_system> caf_system;
};

namespace detail {

/// The way into a system for the floors above and for tests.
struct system_access {
  static std::unique_ptr<system> make_deterministic(system_options options, std::uint64_t seed);
  static system::implementation& of(system& s) noexcept { return *s.impl_; }
  static system::implementation& of(core& home) noexcept {
    return static_cast<system::implementation&>(home);
  }
};

}  // namespace detail
}  // namespace coppice
