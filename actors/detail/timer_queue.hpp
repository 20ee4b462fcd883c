// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <coppice/actors/detail/cell.hpp>

namespace coppice::detail {

/// The timers of one incarnation: a binary heap of deadlines over a table of slots, so that a
/// timer is armed and cancelled in O(log n). Pure: time is passed in.
class timer_queue {
 public:
  /// One actor's timers; enough for a timeout per customer, small enough to notice a leak.
  static constexpr std::size_t max_timers = 100'000;

  timer_queue() = default;
  timer_queue(const timer_queue&) = delete;
  timer_queue& operator=(const timer_queue&) = delete;
  ~timer_queue();

  /// Owns `event`. `period` zero: once; then `copy` may be null. A timer of the same non-empty
  /// name is replaced.
  timer_key arm(std::string_view name, tick at, tick period, node* event,
                node* (*copy)(const node*));
  bool cancel(timer_key key) noexcept;
  bool cancel(std::string_view name) noexcept;

  std::optional<tick> next() const noexcept;
  /// A timer that has fallen due by `now`; it counts as fired until `deliver`. A periodic one is
  /// armed again for its next multiple after `now`.
  std::optional<timer_key> pop(tick now);
  /// The event of a fired timer, or null if it was cancelled meanwhile.
  node* deliver(timer_key key);

  /// What a timer delivers; null if it was cancelled meanwhile.
  const event_type* event_of(timer_key key) noexcept;

  std::size_t size() const noexcept { return live_; }

 private:
  static constexpr std::uint32_t nowhere = ~std::uint32_t{0};

  struct slot {
    tick at = 0;
    tick period = 0;
    node* event = nullptr;
    node* (*copy)(const node*) = nullptr;
    std::uint32_t generation = 1;
    std::uint32_t position = nowhere;  ///< in the heap
    bool fired = false;
    bool named = false;
  };

  slot* find(timer_key key) noexcept;
  void retire(std::uint32_t index) noexcept;
  void push_heap(std::uint32_t index);
  void remove_from_heap(std::uint32_t position) noexcept;
  void sift(std::uint32_t position) noexcept;
  bool before(std::uint32_t a, std::uint32_t b) const noexcept;

  std::vector<slot> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> heap_;
  std::unordered_map<std::string, timer_key> names_;
  std::size_t live_ = 0;
};

}  // namespace coppice::detail
