// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

/// How soon a node notices that a peer is gone, and how sure it wants to be before it says so.
/// `docs/concepts/liveness.md` says how to choose.
namespace coppice {

struct liveness_options {
  /// How often a node lets each of its peers hear of it. Default 200 ms; 10 ms to 60 s. Five small
  /// frames a second and peer cost nothing, and all times below are a few of these.
  std::chrono::milliseconds heartbeat{200};

  /// A peer that was silent for so long is suspect. Default 1 s; from 3 heartbeats, and from 2
  /// heartbeats and `late_after`, to 1 h. Four heartbeats in a row must be missing, so that a lost
  /// packet that TCP sends again is no news.
  std::chrono::milliseconds suspect_after{1'000};

  /// A peer that nobody has heard for so long is unreachable. Default 5 s; from `suspect_after` and
  /// 2 heartbeats to 24 h. Long enough to outlast a switch that restarts or a process that swaps.
  std::chrono::milliseconds unreachable_after{5'000};

  /// A peer that this node does not hear, but others do, is unreachable after so long. Default 15
  /// s; `unreachable_after` to 24 h; the shortest means that what others hear delays nothing. A
  /// peer that cannot be talked to is of no use to this node, whoever else hears it.
  std::chrono::milliseconds indirect_limit{15'000};

  /// How surprising a silence must be before the peer is suspect, besides being `suspect_after`
  /// long: phi, the negative decimal logarithm of how likely it is by what this link was like
  /// lately. Default 8; 1 to 16. Only delays the suspicion on links that are known to be uneven,
  /// at most half-way to `unreachable_after`.
  double phi_threshold = 8;

  /// How many of the last silences are kept for phi, at most one for each heartbeat. Default 200;
  /// 10 to 1,000. At the default heartbeat the memory is 40 s, and 800 bytes per peer.
  std::uint32_t window = 200;

  /// How many others are asked at a time about a suspect: those that are up, in turn. Default 3;
  /// 0 (nobody is asked) to 16. With three, one that is behind the same broken cable and one that
  /// has just died leave one to tell.
  std::uint32_t indirect_probes = 3;

  /// How often they are asked again while the peer is suspect. Default 500 ms; from a heartbeat to
  /// half the time between `suspect_after` and `unreachable_after`, so that there is always time
  /// for an answer.
  std::chrono::milliseconds ask_again{500};

  /// Coming late by more than this, the node knows that it has starved: stopped, suspended or
  /// without a processor. Default 400 ms, two heartbeats; from 10 ms to `suspect_after` less 2
  /// heartbeats, so that no lateness that goes unnoticed can make a peer suspect by itself.
  std::chrono::milliseconds late_after{400};

  /// For how long a node that has starved accuses nobody. Default 2 s; a heartbeat to 60 s. Time
  /// for its peers, which may have given it up meanwhile, to be connected and heard again.
  std::chrono::milliseconds doubt_for{2'000};

  bool operator==(const liveness_options&) const = default;
};

/// For nodes on one machine, where a link has no jitter and a cluster is tried out: detection in
/// about half a second.
inline constexpr liveness_options loopback_liveness{
    .heartbeat = std::chrono::milliseconds{100},
    .suspect_after = std::chrono::milliseconds{300},
    .unreachable_after = std::chrono::milliseconds{600},
    .indirect_limit = std::chrono::milliseconds{1'800},
    .ask_again = std::chrono::milliseconds{100},
    .late_after = std::chrono::milliseconds{100},
    .doubt_for = std::chrono::milliseconds{500},
};

/// The options of a profile, `default` or `loopback`; `errc::not_found` for another name.
result<liveness_options> liveness_profile(std::string_view name);

/// Success, or `errc::invalid` and a sentence that says what to change.
result<void> validate(const liveness_options& options);

/// The longest silence of a peer that is still up, on the most uneven link: half-way between
/// `suspect_after` and `unreachable_after`.
std::chrono::milliseconds latest_suspicion(const liveness_options& options) noexcept;

/// How long detection takes, counted from the moment at which a peer falls silent without its
/// connection being refused (it hangs, its machine is gone, the network is cut), for a node that
/// does not starve. To each of them comes the delay of the network and the 10 ms or so to which a
/// node keeps time.
struct detection_times {
  std::chrono::milliseconds suspect_first, suspect_last;
  std::chrono::milliseconds suspect_uneven;  ///< at the latest, on the most uneven link
  std::chrono::milliseconds unreachable_first, unreachable_last;
  std::chrono::milliseconds unreachable_partly;  ///< at the latest, if others hear the peer
  std::chrono::milliseconds after_starving;  ///< added to all if the node itself has starved
};
detection_times detection(const liveness_options& options) noexcept;

}  // namespace coppice
