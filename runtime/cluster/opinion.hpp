// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

/// What a node thinks of its peers, as it is told to the outside: logs, events, `coppice status`.
///
/// An opinion is one node's own. Two nodes may hold different ones of the same peer, both for good
/// reason (a network may be cut between some and not between others), and nobody has to act alike:
/// what the members of a cluster agree on is not decided here.
namespace coppice {

/// One life of a node's process: 128 random bits, drawn at its start. A node is its name and its
/// incarnation, so that a restarted one is never taken for the one that has died.
struct node_incarnation {
  std::uint64_t high = 0, low = 0;

  bool operator==(const node_incarnation&) const = default;
};
/// 32 hexadecimal digits.
std::string to_string(const node_incarnation& incarnation);
/// The first 8 of them: enough for people to tell the lives of one node apart.
std::string short_form(const node_incarnation& incarnation);

/// Of one incarnation of a peer.
enum class opinion : std::uint8_t {
  unknown,      ///< never met in this node's own life
  up,           ///< something of it was read lately
  suspect,      ///< silent for longer than it should be; others are being asked
  unreachable,  ///< silent for too long, refused by its own machine, or replaced by a next life
  left,         ///< it said goodbye: an orderly stop, no failure
};
std::string_view name(opinion what) noexcept;

/// A node has changed its opinion of a peer.
struct opinion_change {
  std::string peer;
  /// The life of the peer that this is about. A next life begins with a change of its own, from
  /// `unknown`.
  node_incarnation incarnation;
  opinion from = opinion::unknown;
  /// The same as `from` in one case: a suspect turned out to be partly reachable.
  opinion to = opinion::unknown;
  /// One sentence: who thinks so, of whom, in which lives, and why.
  std::string reason;
  /// How long nothing had been heard, without the time in which this node itself did not run.
  std::chrono::milliseconds silent_for{0};
  /// How surprising that silence is: it was to be expected once in 10^phi times. At most 300.
  double phi = 0;
  /// This node does not hear the peer, but another node does.
  bool partly_reachable = false;
  /// All peers (three or more) fell silent at once: perhaps it is this node that is cut off.
  bool cut_off = false;
};

}  // namespace coppice
