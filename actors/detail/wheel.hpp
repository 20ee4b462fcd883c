// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace coppice::detail {

/// Milliseconds since the actor system's start. Nothing below the executor reads a clock.
using tick = std::int64_t;

/// A hierarchical timing wheel (Varghese and Lauck, 1987): four levels of 256 slots, so that an
/// entry up to 49 days ahead is added in O(1) and moved at most three times. Later entries are
/// clamped to the last slot and move on from there. Not thread-safe, knows no clock.
template <class Entry>
class timing_wheel {
 public:
  explicit timing_wheel(tick now = 0) noexcept : now_(now) {}

  /// Adds an entry that falls due at `at`; one that is late already falls due at the next tick.
  void add(tick at, Entry entry) {
    ++size_;
    place(slot_entry{at > now_ ? at : now_ + 1, std::move(entry)});
  }

  /// Moves an empty wheel on to `now` at no cost.
  void catch_up(tick now) noexcept {
    if (size_ == 0 && now > now_) now_ = now;
  }

  /// Moves time on to `now` and appends what fell due, in the order of its ticks.
  void advance(tick now, std::vector<Entry>& due) {
    while (now_ < now) {
      if (size_ == 0) {
        now_ = now;
        return;
      }
      // Skip empty slots of the lowest level, but never past its end: there the next level falls.
      const tick stop = std::min<tick>(now, (now_ | mask) + 1);
      now_ = std::min(stop, now_ + 1 + empty_slots_after(now_));
      if ((now_ & mask) == 0) cascade(1);
      drain(levels_[0], static_cast<std::size_t>(now_ & mask), due);
    }
  }

  /// Takes out all entries for which `unwanted` holds and appends them. Looks at every entry.
  template <class Predicate>
  void take_out(const Predicate& unwanted, std::vector<Entry>& into) {
    for (level& l : levels_)
      for (std::size_t i = 0; i < l.slot.size(); ++i) {
        std::erase_if(l.slot[i], [&](slot_entry& e) {
          if (!unwanted(e.entry)) return false;
          into.push_back(std::move(e.entry));
          --size_;
          return true;
        });
        if (l.slot[i].empty()) l.occupied[i / 64] &= ~(std::uint64_t{1} << (i % 64));
      }
  }

  /// A tick not later than the earliest entry's; nothing if there is none. Exact within the next
  /// 256 ms, else the time at which the wheel has to be looked at again.
  std::optional<tick> next() const noexcept {
    if (size_ == 0) return std::nullopt;
    // An entry may lie in a lower level than a later one, or beyond the end of its level: each
    // level is asked.
    tick earliest = std::numeric_limits<tick>::max();
    for (int height = 0; height < level_count; ++height) {
      const tick here = now_ >> (bits * height);
      const tick ahead = levels_[static_cast<std::size_t>(height)].next_used(here & mask);
      if (ahead) earliest = std::min(earliest, (here + ahead) << (bits * height));
    }
    return earliest;
  }

  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr int bits = 8, level_count = 4;
  static constexpr tick slots = tick{1} << bits, mask = slots - 1;

  struct slot_entry {
    tick at;
    Entry entry;
  };
  struct level {
    std::array<std::vector<slot_entry>, static_cast<std::size_t>(slots)> slot;
    std::array<std::uint64_t, 4> occupied{};
    bool used(std::size_t i) const noexcept { return occupied[i / 64] >> (i % 64) & 1; }
    /// How far after slot `from`, around the ring, the next used one lies; 0: none is used.
    tick next_used(tick from) const noexcept {
      for (tick k = 1; k <= slots;) {
        const auto i = static_cast<std::size_t>((from + k) & mask);
        const std::uint64_t word = occupied[i / 64] >> (i % 64);
        if (word) return k + std::countr_zero(word);
        k += 64 - static_cast<tick>(i % 64);
      }
      return 0;
    }
  };

  void place(slot_entry e) {
    const tick ahead = e.at - now_;
    int index = 0;
    while (index < level_count - 1 && ahead >= tick{1} << (bits * (index + 1))) ++index;
    const tick last = now_ + (tick{1} << (bits * level_count)) - 1;
    const tick at = std::min(e.at, last);
    level& l = levels_[static_cast<std::size_t>(index)];
    const auto i = static_cast<std::size_t>((at >> (bits * index)) & mask);
    l.slot[i].push_back(std::move(e));
    l.occupied[i / 64] |= std::uint64_t{1} << (i % 64);
  }

  void cascade(int index) {
    if (index == level_count) return;
    const auto i = static_cast<std::size_t>((now_ >> (bits * index)) & mask);
    if (i == 0) cascade(index + 1);
    level& l = levels_[static_cast<std::size_t>(index)];
    auto moving = std::exchange(l.slot[i], {});
    l.occupied[i / 64] &= ~(std::uint64_t{1} << (i % 64));
    for (slot_entry& e : moving) place(std::move(e));
  }

  void drain(level& l, std::size_t i, std::vector<Entry>& due) {
    if (!l.used(i)) return;
    auto now_due = std::exchange(l.slot[i], {});
    l.occupied[i / 64] &= ~(std::uint64_t{1} << (i % 64));
    for (slot_entry& e : now_due) {
      if (e.at > now_) {
        place(std::move(e));
        continue;
      }
      --size_;
      due.push_back(std::move(e.entry));
    }
    if (l.slot[i].empty() && now_due.capacity() <= 64) {  // keeps small slots' memory for reuse
      now_due.clear();
      l.slot[i] = std::move(now_due);
    }
  }

  /// How many slots of the lowest level after `from` are empty, up to the level's end.
  tick empty_slots_after(tick from) const noexcept {
    tick i = (from & mask) + 1;
    const tick first = i;
    while (i < slots) {
      const std::uint64_t word = levels_[0].occupied[static_cast<std::size_t>(i / 64)] >> (i % 64);
      if (word) return i + std::countr_zero(word) - first;
      i = (i / 64 + 1) * 64;
    }
    return slots - first;
  }

  tick now_;
  std::size_t size_ = 0;
  std::array<level, level_count> levels_;
};

}  // namespace coppice::detail
