// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace coppice::detail {

/// One worker's jobs: a slot for the one to run next and a ring behind it.
///
/// The owner puts and takes; others steal from the ring, half of it at a time, and may empty the
/// slot of an owner that does not return. Invariants:
/// - A job is in exactly one place; who gets it out of there (an exchange of the slot, a
///   compare-and-swap of `head_`) alone has it.
/// - `head_` and `tail_` only grow, so a stale read of a ring entry fails its compare-and-swap.
/// - Only the owner writes `tail_` and entries, and never one between `head_` and `tail_`.
template <class Job>
class run_queue {
 public:
  /// Twice what a supervisor tells its children at a time: what overflows costs a lock each.
  static constexpr std::size_t capacity = 1'024;

  /// Owner: makes `job` the next one. Returns the one it displaced, or null.
  Job* put_next(Job* job) noexcept {
    // Only the owner fills an empty slot, so a plain store is enough then.
    if (!slot_.load(std::memory_order_relaxed)) {
      slot_.store(job, std::memory_order_release);
      return nullptr;
    }
    return slot_.exchange(job, std::memory_order_acq_rel);
  }

  /// Any thread: takes the next job out of the slot, or null.
  Job* take_next() noexcept {
    if (!slot_.load(std::memory_order_relaxed)) return nullptr;
    return slot_.exchange(nullptr, std::memory_order_acq_rel);
  }

  /// Owner: puts a job at the ring's tail. False: the ring is full.
  bool push(Job* job) noexcept {
    const auto tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) >= capacity) return false;
    ring_[tail % capacity].store(job, std::memory_order_relaxed);
    tail_.store(tail + 1, std::memory_order_seq_cst);
    return true;
  }

  /// Owner: takes the job at the ring's head, or null.
  Job* pop() noexcept {
    auto head = head_.load(std::memory_order_acquire);
    for (;;) {
      if (head == tail_.load(std::memory_order_relaxed)) return nullptr;
      Job* job = ring_[head % capacity].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
        return job;
    }
  }

  /// Any thread: takes half of the ring, oldest first, at most `capacity / 2`.
  std::size_t steal(std::array<Job*, capacity / 2>& into) noexcept {
    auto head = head_.load(std::memory_order_acquire);
    for (;;) {
      const auto tail = tail_.load(std::memory_order_acquire);
      if (tail <= head) return 0;
      const std::uint64_t n = (tail - head + 1) / 2;
      if (n > into.size()) {  // head was stale
        head = head_.load(std::memory_order_acquire);
        continue;
      }
      for (std::uint64_t i = 0; i < n; ++i)
        into[i] = ring_[(head + i) % capacity].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + n, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
        return n;
    }
  }

  bool ring_empty() const noexcept {
    return head_.load(std::memory_order_acquire) >= tail_.load(std::memory_order_acquire);
  }
  bool empty() const noexcept { return ring_empty() && !slot_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<Job*> slot_{nullptr};
  alignas(64) std::atomic<std::uint64_t> head_{0};
  alignas(64) std::atomic<std::uint64_t> tail_{0};
  std::array<std::atomic<Job*>, capacity> ring_{};
};

}  // namespace coppice::detail
