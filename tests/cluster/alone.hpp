// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/cluster/liveness.hpp>

#include <algorithm>
#include <string>
#include <vector>

/// One mind to be told things, and asked what it made of them.
namespace alone {

using coppice::liveness_options;
using coppice::loopback_liveness;
using coppice::node_incarnation;
using coppice::opinion;
using coppice::opinion_change;
using std::chrono::milliseconds;
using namespace std::chrono_literals;
using namespace coppice::detail;

inline constexpr peer_index beta = 0, delta = 1, zeta = 2, theta = 3;
inline const std::vector<std::string> greek{"beta", "delta", "zeta", "theta", "kappa", "eta"};

inline node_incarnation life(std::uint64_t n) { return {n << 32, n}; }

/// The mind of a node called alpha, its clock, and what it wanted done.
struct bench {
  explicit bench(peer_index peers, const liveness_options& chosen = {})
      : options(chosen),
        mind(options, "alpha", life(0xa1), {greek.begin(), greek.begin() + peers}, now) {}

  /// Lets time pass, keeping every appointment. `talkative` peers are heard every heartbeat.
  void run(milliseconds time, const std::vector<peer_index>& talkative = {}) {
    const auto until = now + time;
    auto next_word = now;
    while (true) {
      const auto next = std::min(mind.next(), talkative.empty() ? until : next_word);
      if (next > until) break;
      now = std::max(now, next);
      if (now >= next_word) {
        for (const peer_index peer : talkative) mind.heard(peer, now, todo);
        next_word += options.heartbeat;
      }
      if (now >= mind.next()) mind.time(now, todo);
      if (now == until) break;
    }
    now = until;
  }
  /// The process is stopped.
  void stall(milliseconds time) { now += time; }

  void connect(peer_index peer, std::uint64_t n = 0xb1) {
    mind.connected(peer, life(n), now, todo);
  }
  void connect_all(peer_index count) {
    for (peer_index i = 0; i < count; ++i) connect(i);
    todo.clear();
  }
  void hear(peer_index peer) { mind.heard(peer, now, todo); }

  opinion of(peer_index peer) const { return mind.view(peer).what; }

  template <class Action>
  std::vector<Action> take() const {
    std::vector<Action> found;
    for (const liveness_action& a : todo)
      if (const auto* one = std::get_if<Action>(&a)) found.push_back(*one);
    return found;
  }
  std::vector<opinion_change> changes() const {
    std::vector<opinion_change> found;
    for (const tell_opinion& t : take<tell_opinion>()) found.push_back(t.what);
    return found;
  }
  /// The reasons of all changes, and of doubts, in order, one a line.
  std::string told() const {
    std::string found;
    for (const liveness_action& a : todo) {
      if (const auto* o = std::get_if<tell_opinion>(&a)) found += o->what.reason + '\n';
      if (const auto* d = std::get_if<tell_doubt>(&a)) found += d->reason + '\n';
    }
    return found;
  }

  /// Answers all questions since the last call: heard so long ago.
  void answer_all(std::optional<std::uint32_t> heard_ms_ago, bool doubting = false,
                  std::optional<node_incarnation> of = {}) {
    const auto questions = take<send_question>();
    todo.clear();
    for (const send_question& q : questions) {
      hear(q.to);
      mind.answered(
          q.to,
          {q.what.number, q.what.about, of.value_or(q.what.incarnation), heard_ms_ago, doubting},
          now, todo);
    }
  }

  liveness_options options;
  liveness::time_point now{1h};
  liveness mind;
  liveness_actions todo;
};

}  // namespace alone
