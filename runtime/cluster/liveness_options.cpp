// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/liveness_options.hpp>

#include <algorithm>
#include <optional>
#include <string>

namespace coppice {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds least_lateness{10};
constexpr milliseconds least_heartbeat{10};
constexpr milliseconds minute{60'000};
constexpr milliseconds hour{3'600'000};
constexpr milliseconds day{86'400'000};
constexpr double least_phi = 1, most_phi = 16;
constexpr std::uint32_t least_window = 10, most_window = 1'000;
constexpr std::uint32_t most_probes = 16;

std::string to_text(milliseconds time) { return std::to_string(time.count()) + " ms"; }

/// Nothing, or what is wrong; `bounds` says in words where the bounds come from.
std::optional<error> outside(std::string_view what, milliseconds value, milliseconds least,
                             milliseconds most, std::string_view bounds = {}) {
  if (value >= least && value <= most) return std::nullopt;
  std::string text = std::string{what} + " is " + to_text(value) + ": choose " + to_text(least);
  if (least != most) text += " to " + to_text(most);
  if (!bounds.empty()) text += " (" + std::string{bounds} + ')';
  return error{errc::invalid, std::move(text)};
}

std::optional<error> outside(std::string_view what, std::uint32_t value, std::uint32_t least,
                             std::uint32_t most) {
  if (value >= least && value <= most) return std::nullopt;
  return error{errc::invalid, std::string{what} + " is " + std::to_string(value) + ": choose " +
                                  std::to_string(least) + " to " + std::to_string(most)};
}

}  // namespace

result<liveness_options> liveness_profile(std::string_view name) {
  if (name == "default") return liveness_options{};
  if (name == "loopback") return loopback_liveness;
  return error{errc::not_found, "there is no liveness profile \"" + std::string{name} +
                                    "\": choose default or loopback"};
}

result<void> validate(const liveness_options& o) {
  // In the order in which the bounds build on one another, so that they never contradict.
  if (auto wrong = outside("heartbeat", o.heartbeat, least_heartbeat, minute)) return *wrong;
  if (auto wrong = outside("late_after", o.late_after, least_lateness, hour - 2 * o.heartbeat))
    return *wrong;
  if (auto wrong = outside("suspect_after", o.suspect_after,
                           std::max(3 * o.heartbeat, 2 * o.heartbeat + o.late_after), hour,
                           "at least 3 heartbeats, and 2 heartbeats and late_after"))
    return *wrong;
  if (auto wrong =
          outside("unreachable_after", o.unreachable_after, o.suspect_after + 2 * o.heartbeat, day,
                  "at least suspect_after and 2 heartbeats"))
    return *wrong;
  if (auto wrong = outside("indirect_limit", o.indirect_limit, o.unreachable_after, day,
                           "at least unreachable_after"))
    return *wrong;
  if (auto wrong =
          outside("ask_again", o.ask_again, o.heartbeat, o.unreachable_after - latest_suspicion(o),
                  "from a heartbeat to half the time between suspect_after and unreachable_after"))
    return *wrong;
  if (auto wrong = outside("doubt_for", o.doubt_for, o.heartbeat, minute, "at least a heartbeat"))
    return *wrong;
  // Written so that what is no number is refused as well.
  if (!(o.phi_threshold >= least_phi && o.phi_threshold <= most_phi))
    return error{errc::invalid,
                 "phi_threshold is " + std::to_string(o.phi_threshold) + ": choose 1 to 16"};
  if (auto wrong = outside("window", o.window, least_window, most_window)) return *wrong;
  if (auto wrong = outside("indirect_probes", o.indirect_probes, 0, most_probes)) return *wrong;
  return {};
}

milliseconds latest_suspicion(const liveness_options& o) noexcept {
  return o.suspect_after + (o.unreachable_after - o.suspect_after) / 2;
}

detection_times detection(const liveness_options& o) noexcept {
  // When it fell silent, its last heartbeat was between none and one heartbeat ago.
  return {.suspect_first = o.suspect_after - o.heartbeat,
          .suspect_last = o.suspect_after,
          .suspect_uneven = latest_suspicion(o),
          .unreachable_first = o.unreachable_after - o.heartbeat,
          .unreachable_last = o.unreachable_after,
          .unreachable_partly = o.indirect_limit,
          .after_starving = o.doubt_for};
}

}  // namespace coppice
