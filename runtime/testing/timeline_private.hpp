// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <utility>
#include <vector>

/// The one clock of a simulation and its one source of chance.
namespace coppice::testing {

class timeline {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using span = std::chrono::microseconds;

  /// Not the clock's zero: a time point that nobody has set must not look like a moment ago.
  static constexpr time_point origin{std::chrono::hours{1}};

  explicit timeline(std::uint64_t seed) : random_(seed) {}

  time_point now() const noexcept { return now_; }
  span since_origin() const noexcept { return std::chrono::duration_cast<span>(now_ - origin); }
  void move_to(time_point when) noexcept { now_ = std::max(now_, when); }

  void at(time_point when, std::function<void()> what) {
    events_.push_back({std::max(when, now_), ++order_, std::move(what)});
    std::push_heap(events_.begin(), events_.end());
  }
  void after(span time, std::function<void()> what) { at(now_ + time, std::move(what)); }
  std::optional<time_point> next() const {
    if (events_.empty()) return std::nullopt;
    return events_.front().when;
  }
  void run_next() {
    std::pop_heap(events_.begin(), events_.end());
    event e = std::move(events_.back());
    events_.pop_back();
    move_to(e.when);
    e.what();
  }

  std::uint64_t draw() { return random_(); }
  std::uint64_t any(std::uint64_t below) { return below == 0 ? 0 : random_() % below; }
  span any(span below) {
    return span{static_cast<span::rep>(any(static_cast<std::uint64_t>(below.count())))};
  }
  bool one_in(std::uint64_t n) { return n != 0 && any(n) == 0; }

  /// What has happened, as one number (FNV-1a over words).
  void happened(std::uint64_t what) noexcept { digest_ = (digest_ ^ what) * 0x100000001b3u; }
  std::uint64_t digest() const noexcept { return digest_; }

 private:
  struct event {
    time_point when;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const event& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };

  std::mt19937_64 random_;
  std::vector<event> events_;  ///< a heap, the next one in front
  std::uint64_t order_ = 0;
  time_point now_ = origin;
  std::uint64_t digest_ = 0xcbf29ce484222325u;
};

}  // namespace coppice::testing
