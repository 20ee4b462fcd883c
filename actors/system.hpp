// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <coppice/actors/actor.hpp>
#include <coppice/actors/observer.hpp>

/// An actor system: workers, time and dead letters for the actors made in it.
namespace coppice {

struct system_options {
  /// Worker threads; 0 is one per hardware thread. At most 64 together with the spare ones.
  unsigned workers = 0;
  /// Workers added beside those that are stuck in a handler, at most.
  unsigned spare_workers = 8;
  /// A slice that runs for longer is reported, and a spare worker is put beside it.
  std::chrono::milliseconds stall_limit{100};
  /// Actors that may have a thread to themselves, at most.
  unsigned own_threads = 64;
  /// Receives what the system reports; must outlive it. Null: nobody does.
  observer* watch = nullptr;
};

struct spawn_options {
  std::string id;
  std::uint32_t capacity = 10'000;
  overflow on_full = overflow::reject;
  bool own_thread = false;
};

namespace detail {
struct system_access;
core& core_of(system& s) noexcept;
/// The actor that was spawned under this id and has not ended; empty: there is none.
cell_ptr spawned(system& s, std::string_view id);
}// namespace detail

/// Owns CAF's actor system. One that is destroyed stops its actors first, see `stop`.
class system {
 public:
  explicit system(system_options options = {});
  ~system();
  system(const system&) = delete;
  system& operator=(const system&) = delete;

  /// Starts an actor that nobody supervises: when it ends, its address ends. Throws `bad_result`
  /// on a wrong id (1 to 64 characters, no `/`) or capacity (1 to 60'000).
  template <class T, class... As>
  typename T::address spawn(const spawn_options& options, As&&... arguments) {
    using made_by = detail::factory<T, std::decay_t<As>...>;
    made_by factory{{std::forward<As>(arguments)...}};
    const detail::cell_ptr x =
        spawn_cell(detail::actor_type_of<T>,
                   {&detail::factory_type_of<T, std::decay_t<As>...>, &factory}, options);
    return detail_ref::make<typename T::address>(x.get());
  }

  /// Asks an unsupervised actor to stop; its address ends afterwards.
  template <class... Es>
  void stop(const ref<Es...>& x, const exit_reason& why = exit_reason::shutdown()) {
    stop_cell(detail_ref::get(x), why);
  }

  /// Stops the spawned actors, then the threads. Returns the paths of the actors that were still
  /// inside a handler when the deadline passed: then the process can only be left by `_exit`,
  /// because a C++ thread cannot be killed. Further calls do nothing.
  std::vector<std::string> stop(std::chrono::milliseconds deadline);

  /// Exact counts of events that nobody handled, by reason.
  dead_letter_counts dead_letters() const noexcept;
  /// Workers now, the spare ones among them.
  unsigned workers() const noexcept;

 private:
  friend struct detail::system_access;
  friend detail::core& detail::core_of(system& s) noexcept;
  friend detail::cell_ptr detail::spawned(system& s, std::string_view id);
  struct implementation;

  explicit system(std::unique_ptr<implementation> impl) noexcept;
  detail::cell_ptr spawn_cell(const detail::actor_type& type, detail::factory_ref made_by,
                              const spawn_options& options);
  void stop_cell(detail::cell* x, const exit_reason& why);

  std::unique_ptr<implementation> impl_;
};

}  // namespace coppice
