// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/node/node.hpp>
#include <coppice/runtime/node/rate_limit.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace spdlog {
class logger;
}

namespace coppice {

/// EX_SOFTWARE: an actor does not come back and the process has to be left without it.
inline constexpr int exit_stuck = 70;

/// Turns what systems and supervisors report into log records and numbers.
class node_log final : public observer, public supervision_observer {
 public:
  explicit node_log(const node_options& options);

  void on_report(const supervisor_report& r) noexcept override;
  void on_end(const exit_reason& why) noexcept override;
  void on_stuck(const std::string& path) noexcept override;
  void on_dead_letter(const dead_letter& d) noexcept override;
  void on_stall(const stall& s) noexcept override;
  void on_crash(const crash_report& c) noexcept override;

  void info(const std::string& text);
  void critical(const std::string& text);
  /// The last record: tells what was left out and could not be told with a later one.
  void close() noexcept;
  node_metrics metrics() const noexcept;

  std::function<void()> when_ended;

 private:
  enum class topic : std::uint8_t {
    progress,
    crash,
    start_error,
    shutdown_error,
    exhausted,
    dead_letter,
    stall,
    crash_report
  };
  static constexpr std::size_t topics = 8;

  std::optional<std::uint64_t> admit(topic about, std::uint64_t already_left_out = 0) noexcept;

  const node_options& options_;
  std::shared_ptr<spdlog::logger> log_;
  std::mutex guard_;
  std::array<detail::rate_limit, topics> limits_;
  std::atomic<std::uint64_t> crashes_{0}, start_errors_{0}, shutdown_errors_{0}, exhausted_{0},
      stalls_{0}, left_out_{0};
};

struct node::implementation {
  implementation(node_options given, children::builder to_build);

  node_options options;
  children::builder build;
  node_log log;
  std::optional<coppice::system> home;
  std::optional<supervised_tree> tree;
  bool stopped = false;
};

}  // namespace coppice
