// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <coppice/actors/detail/cell.hpp>
#include <coppice/actors/detail/core.hpp>
#include <coppice/actors/detail/timer_queue.hpp>

/// What the parts of the cell share: cell.cpp (mailbox and run loop), cell_turns.cpp (turns and
/// waits), cell_life.cpp (start to end of incarnation and address), cell_signals.cpp (control
/// events, timers, watches, links).
namespace coppice::detail {

inline constexpr std::uint32_t max_waiting = 1'000;  // pending asks, pauses and rooms of one actor
inline constexpr std::size_t max_relations = 10'000;  // watches and links of one actor, each
inline constexpr std::int64_t max_wait_ms = 7 * 86'400'000LL;
inline constexpr std::uint8_t token_taken = 1,
                              stop_asked = 2;  // the marks of an incarnation's token

struct timer_node : node {
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }
  static void discard(node* x) noexcept { delete static_cast<timer_node*>(x); }
  static constexpr node_type type_record{&discard, nullptr, node_kind::timer};

  explicit timer_node(timer_key k) noexcept : node{nullptr, &type_record}, key(k) {}
  timer_key key;
};

/// A list of nodes, first in first out.
struct node_queue {
  node* first = nullptr;
  node* last = nullptr;

  void append(node* chain) noexcept {
    if (!chain) return;
    (last ? last->next : first) = chain;
    for (last = chain; last->next;) last = last->next;
  }
  node* pop() noexcept {
    node* x = first;
    if (x && !(first = x->next)) last = nullptr;
    return x;
  }
};

/// What few cells need; made on first use.
struct extras {
  struct watcher {
    cell_ptr who;
    std::uint32_t incarnation;
  };

  timer_queue timers;
  std::vector<watcher> watchers;
  std::vector<cell_ptr> watching;
  std::vector<cell_ptr> links;
  exit_reason stop_reason;
  tick stop_until = 0;  ///< zero: no deadline
  node* envelopes = nullptr;  ///< of destroyed turns, settled when the object is gone
  node_queue interleaved;  ///< held events that may be handled while a turn waits
  bool partitioned = false;  ///< the held events have been looked through for such
};

}  // namespace coppice::detail
