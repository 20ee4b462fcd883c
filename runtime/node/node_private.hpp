// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/cluster/cluster_private.hpp>
#include <coppice/runtime/http/api.hpp>
#include <coppice/runtime/node/memory_keeper_private.hpp>
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

  /// Of the cluster and the API, at a bounded rate.
  void remark(cluster_options::weight how, const std::string& text) noexcept;
  /// Who has changed what, at a rate of its own, so that nothing else crowds it out; nor do
  /// attempts that were not allowed, which strangers make as often as they like.
  void audit(const http::audit_record& a) noexcept;
  void info(const std::string& text);
  void critical(const std::string& text);
  /// The last record: tells what was left out and could not be told with a later one.
  void close() noexcept;
  node_metrics metrics() const noexcept;
  /// How long ago the last stall was told, and where.
  std::optional<std::pair<std::chrono::milliseconds, std::string>> last_stall();

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
    crash_report,
    remark,
    change,
    refused_change
  };
  static constexpr std::size_t topics = 11;

  std::optional<std::uint64_t> admit(topic about, std::uint64_t already_left_out = 0) noexcept;

  const node_options& options_;
  std::shared_ptr<spdlog::logger> log_;
  std::mutex guard_;
  std::array<detail::rate_limit, topics> limits_;
  std::atomic<std::uint64_t> crashes_{0}, start_errors_{0}, shutdown_errors_{0}, exhausted_{0},
      stalls_{0}, left_out_{0}, restarts_{0};
  std::chrono::steady_clock::time_point stalled_at_{};
  std::string stalled_{};
};

struct node::implementation {
  implementation(node_options given, children::builder to_build);
  ~implementation();

  result<void> serve();
  node_metrics metrics() const;

  node_options options;
  children::builder build;
  node_log log;
  std::optional<coppice::system> home;
  std::unique_ptr<coppice::cluster> nodes;
  std::optional<supervised_tree> tree;
  const std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  std::function<void()> when_asked_to_stop{};
  std::unique_ptr<http::node_view> view{};
  std::unique_ptr<http::api> api{};
  std::unique_ptr<http::server> server{};
  std::shared_ptr<const memory_keeper> keeper{};
  std::atomic<bool> stopping{false};
  std::atomic<bool> planted{false};  ///< there is a tree

  supervised_tree* tree_now() noexcept {
    return planted.load(std::memory_order_acquire) ? &*tree : nullptr;
  }
  bool stopped = false;
};

}  // namespace coppice
