// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/cluster_log_private.hpp>

#include <utility>

namespace coppice::detail {

using namespace std::chrono_literals;

cluster_log::cluster_log(std::string_view node, sink to)
    : prefix_("node " + std::string{node} + ": "), to_(std::move(to)) {}

cluster_log::subject& cluster_log::limit(std::string about, std::uint32_t per_second) {
  return subjects_.emplace_back(std::move(about), per_second);
}

void cluster_log::say(log_weight w, const std::string& text) const {
  if (to_) to_(w, text);
}

void cluster_log::say(subject& of, log_weight w, std::string text, time_point now) {
  const auto left_out = of.limit_.admit(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()));
  if (!left_out) return;
  if (*left_out) text += " (" + std::to_string(*left_out) + " like this left out)";
  say(w, text);
}

void cluster_log::time(time_point now) {
  if (now - told_ < 1s) return;
  told_ = now;
  for (subject& s : subjects_)
    if (const std::uint64_t n = s.limit_.take_left_out())
      say(log_weight::warning, prefix_ + std::to_string(n) + " lines like the last ones, about " +
                                   s.about_ + ", left out");
}

}  // namespace coppice::detail
