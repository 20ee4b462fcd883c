// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

/// What the row programs written in C++ share: one process measures one row and prints it as
/// `ROW VALUE UNIT`. The protocol is described in bench/README.md.
namespace coppice::bench {

/// How much work a row is. Every program takes these, so that all do the same.
inline constexpr std::uint64_t ping_pong_round_trips = 1'000'000;
inline constexpr std::uint64_t ask_round_trips = 1'000'000;
inline constexpr std::uint64_t fan_in_events = 5'000'000;
inline constexpr std::uint64_t fan_in_senders = 4;
inline constexpr std::uint64_t ring_actors = 100;
inline constexpr std::uint64_t ring_hops = 1'000'000;
inline constexpr std::uint64_t idle_children = 100'000;
inline constexpr std::uint64_t restart_crashes = 100'000;
inline constexpr std::uint64_t dynamic_children = 100'000;
inline constexpr std::uint64_t restart_children = 1'000;
inline constexpr std::uint64_t crashes_per_child = 100;
inline constexpr std::uint64_t group_children = 10'000;
inline constexpr std::uint64_t group_restarts = 11;
inline constexpr std::uint64_t snapshot_children = 100'000;
inline constexpr std::uint64_t wake_samples = 50;
inline constexpr std::chrono::milliseconds wake_gap{40};
// Between nodes. otp_remote_rows.erl does the same.
inline constexpr std::uint64_t remote_warm_up = 1'000;
inline constexpr std::uint64_t remote_round_trips = 20'000;
inline constexpr std::chrono::milliseconds remote_sending{1'500};
inline constexpr std::uint64_t kills = 11;
inline constexpr std::size_t piece_bytes = 1'024;

/// A row's name and the function that measures and reports it.
template <class... Context>
struct row {
  std::string_view name;
  void (*run)(Context...);
};

/// The row of that name, or nullptr.
template <class Rows>
auto find_row(const Rows& rows, std::string_view name) -> decltype(std::data(rows)) {
  auto found = std::find_if(std::begin(rows), std::end(rows),
                            [&](const auto& row) { return row.name == name; });
  return found == std::end(rows) ? nullptr : &*found;
}

/// Answers `--list`: one name per line.
template <class Rows>
void list_rows(const Rows& rows) {
  for (const auto& row : rows)
    std::printf("%.*s\n", static_cast<int>(row.name.size()), row.name.data());
}

/// Prints one line of the protocol.
inline void report(std::string_view name, double value, std::string_view unit) {
  std::printf("%.*s %.6g %.*s\n", static_cast<int>(name.size()), name.data(), value,
              static_cast<int>(unit.size()), unit.data());
  std::fflush(stdout);
}

/// The same for what a figure of that name is measured against, in the same process.
inline void report_reference(std::string_view name, double value, std::string_view unit) {
  report("reference:" + std::string(name), value, unit);
}

/// Measures from its construction on.
class stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// A thread waits here until an actor says that the work is done. One `open` lets one `wait` pass.
class gate {
 public:
  void open() {
    std::lock_guard guard(mutex_);
    open_ = true;
    changed_.notify_one();
  }

  void wait() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return open_; });
    open_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

/// One field of /proc/self/status that is given in kB, as bytes; 0 where it is missing.
inline double status_bytes(std::string_view field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, field.size(), field) == 0)
      return 1024.0 * std::stod(line.substr(field.size()));
  return 0;
}

/// Resident memory of this process, now.
inline double resident_bytes() { return status_bytes("VmRSS:"); }

/// The most this process had resident since its start. Not `getrusage`: its figure survives
/// `exec`, so a small program started by a large one would report its parent's.
inline double peak_resident_bytes() { return status_bytes("VmHWM:"); }

/// The sample below which `percent` of all lie. `samples` is not empty.
inline double percentile(std::vector<double> samples, std::size_t percent) {
  std::sort(samples.begin(), samples.end());
  return samples[std::min(samples.size() - 1, samples.size() * percent / 100)];
}

}  // namespace coppice::bench
