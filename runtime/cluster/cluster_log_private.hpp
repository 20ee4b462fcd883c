// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/node/rate_limit.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace coppice::detail {

enum class log_weight : std::uint8_t { debug, info, warning };

/// What a node says in its log about others of its cluster. Of what they can cause as often as they
/// like it says a few lines a second, and how many more there were. Time is passed in; of one
/// thread.
class cluster_log {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using sink = std::function<void(log_weight, const std::string&)>;

  /// Lines of which there may be many.
  class subject {
   public:
    subject(std::string about, std::uint32_t per_second)
        : about_(std::move(about)), limit_(per_second) {}

   private:
    friend cluster_log;
    std::string about_;
    rate_limit limit_;
  };

  /// `to` null: nothing is said.
  cluster_log(std::string_view node, sink to);

  /// `about`: what the lines have in common, for the one that counts those left out. Lives as long
  /// as the log.
  subject& limit(std::string about, std::uint32_t per_second);
  void say(log_weight w, const std::string& text) const;
  void say(subject& of, log_weight w, std::string text, time_point now);
  /// Tells what was left out when nothing follows that could. To be called once in a while.
  void time(time_point now);

 private:
  std::string prefix_;
  sink to_;
  std::deque<subject> subjects_;
  time_point told_{};
};

}  // namespace coppice::detail
