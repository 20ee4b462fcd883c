// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/cluster/liveness_options.hpp>
#include <coppice/runtime/cluster/opinion.hpp>
#include <coppice/runtime/cluster/phi.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// Who is still there: one node's mind on the subject. What is read from the network goes in, with
/// the time; what is to be sent and told comes out. No clock, no thread, no socket, no randomness.
///
/// Three mechanisms keep it from crying wolf:
/// - a silence is judged by what silences on that link were like lately (`phi_detector`);
/// - before a suspect is given up, others are asked whether they hear it: the indirect probes of
///   A. Das, I. Gupta, A. Motivala, "SWIM: scalable weakly-consistent infection-style process group
///   membership protocol", DSN 2002, section 3.1, and its suspicion before death, section 4.2;
/// - a node that has starved doubts itself before others: A. Dadgar, J. Phillips, J. Currey,
///   "Lifeguard: SWIM-ing with situational awareness", 2017, section IV, of which this takes the
///   idea (a local sign of ill health relaxes the judgement, within a bound) and not the counters.
///
///     liveness mind{options, "alpha", incarnation, {"beta", "gamma"}, now};
///     mind.connected(0, incarnation_of_beta, now, todo);       // a handshake is done
///     mind.heard(0, now, todo);                                // any byte of it was read
///     if (now >= mind.next()) mind.time(now, todo);
///     for (const liveness_action& a : todo) ...                // carry out, in this order
namespace coppice::detail {

/// A peer's place in the list that the mind was given. Not for the wire: there nodes have names.
using peer_index = std::uint32_t;

/// What a node asks another of a third, and the answer. Encoded by the codec into gossip frames;
/// fields may be appended.
struct liveness_question {
  std::uint64_t number = 0;  ///< the asker's own, returned with the answer
  std::string about;
  node_incarnation incarnation{};  ///< which life of it the asker means
};
struct liveness_answer {
  std::uint64_t number = 0;
  std::string about;
  node_incarnation incarnation{};  ///< which life of it the one who answers knows
  std::optional<std::uint32_t> heard_ms_ago;  ///< nothing: never
  bool doubting = false;  ///< the one who answers has starved lately: its word counts for nothing
};

/// Let every peer that there is a link to hear of this node.
struct send_heartbeats {};
struct send_question {
  peer_index to;
  liveness_question what;
};
struct send_answer {
  peer_index to;
  liveness_answer what;
};
struct tell_opinion {
  peer_index peer;
  opinion_change what;
};
/// The node has noticed that it starved, or is sure of itself again.
struct tell_doubt {
  bool doubting;
  std::chrono::milliseconds late{0};  ///< how late time came
  std::string reason;  ///< one sentence
};
using liveness_action =
    std::variant<send_heartbeats, send_question, send_answer, tell_opinion, tell_doubt>;
using liveness_actions = std::vector<liveness_action>;

/// What a look at a peer shows.
struct peer_view {
  opinion what = opinion::unknown;
  node_incarnation incarnation{};  ///< zeros if unknown
  std::chrono::milliseconds heard_ago{0};
  double phi = 0;
  bool partly_reachable = false;  ///< suspect, and another node hears it
  std::string_view reason;  ///< of the opinion; empty if unknown; until the next input
};

/// Opinions of a fixed list of peers. Every input names the present time and appends to `out` what
/// is to be done about it; a time before the last one counts as the last one. Not thread-safe.
///
/// **Silence** is the time since something of a peer was read, less the time in which this node
/// did not run (it notices when an input comes late), less the time for which it doubted itself
/// afterwards. So a node that was stopped for a minute judges nobody for that minute. In the long
/// run doubt takes at most half of its running time: a node that is always late judges late, but
/// it does judge.
///
/// What is outstanding is bounded: 2 * `indirect_probes` questions about a suspect, and two answers
/// to a peer about each other peer within a heartbeat. `heard` costs no allocation while the peer
/// is up.
class liveness {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `options` must be valid. `peers`: the names of all other nodes, without `self`.
  liveness(const liveness_options& options, std::string_view self,
           const node_incarnation& incarnation, std::vector<std::string> peers, time_point now);

  /// A session with this life of the peer has begun or goes on over a new link: it is up. If it is
  /// another life than the one known, that one is over, and nothing of its record counts for this.
  void connected(peer_index peer, const node_incarnation& incarnation, time_point now,
                 liveness_actions& out);

  /// Bytes of the life that was last connected were read, whatever they are: a frame that takes a
  /// minute to arrive is a minute of life. Ignored before it was connected and after it has left.
  void heard(peer_index peer, time_point now, liveness_actions& out);

  /// The operating system of the peer's machine says that nobody listens there, and there is no
  /// link to the peer: it is unreachable at once, whoever doubts. Nothing new of a peer that was
  /// never met, or has left.
  void refused(peer_index peer, time_point now, liveness_actions& out);

  /// It has said goodbye.
  void left(peer_index peer, time_point now, liveness_actions& out);

  /// `by` asks. Answered if `by` has been met and the question is about one of this node's peers.
  void asked(peer_index by, const liveness_question& what, time_point now, liveness_actions& out);

  /// `by` answers. Ignored if it was not asked that.
  void answered(peer_index by, const liveness_answer& what, time_point now, liveness_actions& out);

  /// To be called at `next()` or soon after, and as often as one likes. What waits to be read is
  /// better read first.
  void time(time_point now, liveness_actions& out);

  /// Later than the last call of `time`, by one heartbeat at most. Only `time` changes it.
  time_point next() const noexcept { return due_; }

  /// Whether it has starved lately.
  bool doubting() const noexcept { return doubting_; }

  /// As of the last input.
  peer_view view(peer_index peer) const;

 private:
  /// Time as it counts for silences.
  using span = time_point::duration;

  struct pending {
    std::uint64_t number;
    peer_index helper;
    span at;
  };
  struct record {
    std::string name;
    phi_detector silences;
    opinion what = opinion::unknown;
    node_incarnation incarnation{};
    std::string reason{};

    time_point heard_at{};  ///< as clocks go, for the view
    span heard{0};
    /// The last time that it was heard while this node did not doubt: what is read just after
    /// waking may have been sent long ago, and is no news to others.
    std::optional<time_point> sure_at{};
    span sampled{0};  ///< when the last sample was taken
    span longest{0};  ///< the longest silence since then
    bool refused = false;

    // While it is suspect.
    span suspect_since{0};
    span ask_at{0};
    std::vector<pending> questions{};
    std::vector<peer_index> deaf{};  ///< who has answered that it does not hear it either
    span vouched{0};  ///< the last time that another node heard it
    peer_index voucher = 0;
    bool told_partly = false;

    std::uint32_t answers = 0;  ///< given to it since the last heartbeat
  };

  record& of(peer_index peer);
  void pass(time_point now, liveness_actions& out);
  void starve(time_point now, span missed, liveness_actions& out);
  bool judging() const noexcept;
  void judge(peer_index peer, liveness_actions& out);
  void ask(peer_index peer, liveness_actions& out);
  void note_silence(record& r);
  void begin(record& r, const node_incarnation& incarnation);
  void change(peer_index peer, opinion to, std::string why, liveness_actions& out);
  void schedule();

  span suspect_at(const record& r) const;
  span unreachable_at(const record& r) const;
  bool partly_reachable(const record& r) const;
  bool cut_off() const;
  double phi(const record& r) const;
  std::string full_name(const record& r) const;
  std::string what_others_say(const record& r) const;
  std::string names(const std::vector<peer_index>& peers) const;

  liveness_options options_;
  std::string self_;  ///< name and incarnation, as it stands in reasons
  double deviations_;  ///< at which phi reaches its threshold
  span latest_suspicion_;
  span recent_;  ///< what was heard within this time is heard at present
  std::vector<record> peers_;

  time_point last_;  ///< of the last input
  time_point due_;  ///< when `time` is to be called
  time_point next_heartbeat_;
  span clock_{0};

  bool doubting_ = false;
  time_point doubting_until_{};
  span doubt_left_;  ///< how much of it may still be taken off the silences; then it judges

  std::uint64_t questions_ = 0;
  peer_index next_helper_ = 0;
};

}  // namespace coppice::detail
