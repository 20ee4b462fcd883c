// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>

#include <coppice/actors/detail/assert.hpp>

namespace coppice::detail {

struct node_type;

/// What travels through lanes: an intrusive link and the record of what it carries. Aligned to
/// 64 because a lane packs flags and a count around its address.
struct node {
  node* next = nullptr;
  const node_type* type = nullptr;
};

/// The user lane of a mailbox, and the one word that says whether its actor is scheduled.
///
///     [count:16][head:42][flags:6]      head is the address of the newest node, its low 6 bits 0
///
/// Many threads push; one at a time, the consumer, takes. Invariants:
/// - Exactly one of these holds: `parked` is set (nobody runs the actor; any push must schedule
///   it), `suspended` is set (nobody runs it; only a signal must), or neither is (it runs, or is
///   scheduled, and whoever runs it will look again).
/// - Whoever clears `parked` or `suspended` is told so, and alone schedules the actor.
/// - After `park()` or `suspend()` has returned true the consumer touches nothing of the actor.
/// - `count` is the number of counted nodes not yet taken; `held_` that of those taken but not
///   yet handled: written by the consumer alone, by a plain store.
/// - `park` and `take` form a release/acquire chain: what one consumer did is seen by the next.
/// - The limit is soft by the consumer's batch: while it takes, before it publishes what it holds,
///   pushers may fill the lane once more, so that up to twice the limit is there for a moment.
/// The stack of pushed nodes is Treiber's (1986), taken whole, hence without ABA.
class lane {
 public:
  enum class outcome : std::uint8_t { put, wake, full, stopped, restarting, gone };

  /// The count has 16 bits; the rest is room for nodes that race with a full mailbox.
  static constexpr std::uint32_t max_capacity = 60'000;

  /// Puts `x` at the tail. `limit` bounds the counted nodes; an uncounted one is only refused
  /// when the actor is not there. `wake`: the caller must schedule the actor.
  outcome push(node* x, bool counted, std::uint32_t limit) noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    std::uint64_t wanted;
    do {
      if (seen & refusing) [[unlikely]]
        return refusal(seen);
      if (counted && (seen >> count_shift) + held_.load(std::memory_order_relaxed) >= limit)
          [[unlikely]]
        return outcome::full;
      x->next = head(seen);
      wanted =
          address(x) | ((seen & count_bits) + (counted ? one : 0)) | (seen & flag_bits & ~parked);
    } while (!word_.compare_exchange_weak(seen, wanted, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return seen & parked ? outcome::wake : outcome::put;
  }

  /// Says that the system list has something. True: the caller must schedule the actor.
  bool signal() noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    do {
      if (seen & (signalled | closed)) return false;
    } while (!word_.compare_exchange_weak(seen, (seen | signalled) & ~(parked | suspended),
                                          std::memory_order_acq_rel, std::memory_order_relaxed));
    return seen & (parked | suspended);
  }

  /// Consumer: whether there was a signal; clears it.
  bool take_signal() noexcept {
    if (!(word_.load(std::memory_order_acquire) & signalled)) [[likely]]
      return false;
    word_.fetch_and(~signalled, std::memory_order_acq_rel);
    return true;
  }

  bool empty() const noexcept { return !head(word_.load(std::memory_order_acquire)); }

  /// Consumer: everything pushed so far, oldest first. The counted ones are held from now on.
  node* take() noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(seen, seen & flag_bits, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
    }
    held_.store(
        held_.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(seen >> count_shift),
        std::memory_order_relaxed);
    return reversed(head(seen));
  }

  /// Consumer: `n` held nodes have been handled or discarded.
  void consumed(std::uint32_t n) noexcept {
    held_.store(held_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }

  /// Consumer: goes idle if there is nothing to do. True: touch nothing of the actor any more.
  bool park() noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    do {
      if (head(seen) || seen & signalled) return false;
    } while (!word_.compare_exchange_weak(seen, seen | parked, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return true;
  }

  /// Consumer: goes idle with user events waiting; only a signal wakes it. True as for `park`.
  bool suspend() noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    do {
      if (seen & signalled) return false;
    } while (!word_.compare_exchange_weak(seen, seen | suspended, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return true;
  }

  /// Consumer: from now on pushes are refused with `stopped`, `restarting`; or are not.
  void refuse_stopped() noexcept { set(stopped_bit, restarting_bit); }
  void refuse_restarting() noexcept { set(restarting_bit, stopped_bit); }
  void accept() noexcept { set(0, stopped_bit | restarting_bit); }

  /// Consumer: pushes are refused with `gone` and signals are ignored, for ever.
  void close() noexcept { set(closed, stopped_bit | restarting_bit); }

  /// Any thread: counted nodes waiting. A momentary figure.
  std::uint32_t depth() const noexcept {
    return static_cast<std::uint32_t>(word_.load(std::memory_order_relaxed) >> count_shift) +
           held_.load(std::memory_order_relaxed);
  }

  /// Any thread: nobody runs the actor, and nothing waits for it.
  bool is_parked() const noexcept { return word_.load(std::memory_order_acquire) & parked; }

  /// Orders a destructor after the last consumer's `park`.
  void synchronize() const noexcept { (void)word_.load(std::memory_order_acquire); }

  static node* reversed(node* newest) noexcept {
    node* oldest = nullptr;
    while (newest) {
      node* next = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = next;
    }
    return oldest;
  }

 private:
  static constexpr std::uint64_t parked = 1, signalled = 2, suspended = 4, stopped_bit = 8,
                                 restarting_bit = 16, closed = 32, flag_bits = 63;
  static constexpr std::uint64_t refusing = stopped_bit | restarting_bit | closed;
  static constexpr int count_shift = 48;
  static constexpr std::uint64_t one = std::uint64_t{1} << count_shift;
  static constexpr std::uint64_t count_bits = ~(one - 1);
  static constexpr std::uint64_t head_bits = (one - 1) & ~flag_bits;

  static node* head(std::uint64_t word) noexcept {
    return reinterpret_cast<node*>(static_cast<std::uintptr_t>(word & head_bits));
  }
  static std::uint64_t address(node* x) noexcept {
    const auto bits = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(x));
    require((bits & ~head_bits) == 0, "a mailbox node is misaligned or beyond 48 bits");
    return bits;
  }
  static outcome refusal(std::uint64_t word) noexcept {
    if (word & closed) return outcome::gone;
    return word & stopped_bit ? outcome::stopped : outcome::restarting;
  }
  void set(std::uint64_t on, std::uint64_t off) noexcept {
    std::uint64_t seen = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(seen, (seen & ~off) | on, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
    }
  }

  std::atomic<std::uint64_t> word_{suspended};
  std::atomic<std::uint32_t> held_{0};
};

/// The list beside a lane that overtakes it: what the runtime itself sends. Many threads push,
/// the consumer takes all; it ends once, and then refuses.
class system_list {
 public:
  /// False: the actor has ended; the caller keeps `x`.
  bool push(node* x) noexcept {
    node* seen = head_.load(std::memory_order_relaxed);
    do {
      if (seen == ended()) return false;
      x->next = seen;
    } while (!head_.compare_exchange_weak(seen, x, std::memory_order_acq_rel,
                                          std::memory_order_relaxed));
    return true;
  }

  node* take() noexcept {
    return lane::reversed(head_.exchange(nullptr, std::memory_order_acq_rel));
  }
  node* take_and_end() noexcept {
    node* newest = head_.exchange(ended(), std::memory_order_acq_rel);
    return newest == ended() ? nullptr : lane::reversed(newest);
  }

 private:
  static node* ended() noexcept { return reinterpret_cast<node*>(std::uintptr_t{1}); }

  std::atomic<node*> head_{nullptr};
};

}  // namespace coppice::detail
