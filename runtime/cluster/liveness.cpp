// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/assert.hpp>
#include <coppice/runtime/cluster/liveness.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace coppice::detail {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

/// So many peers have to fall silent at once before a node says that it may be cut off: of two,
/// both may well have failed.
constexpr std::size_t crowd = 3;

constexpr const char* no_such_peer = "liveness was told of a peer that it does not know";

template <class Duration>
std::string to_text(Duration time) {
  return std::to_string(duration_cast<milliseconds>(time).count()) + " ms";
}

std::string to_text_phi(double phi) {
  const auto tenths = static_cast<unsigned>(phi * 10);
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10);
}

}  // namespace

liveness::liveness(const liveness_options& options, std::string_view self,
                   const node_incarnation& incarnation, std::vector<std::string> peers,
                   time_point now)
    : options_(options),
      self_(std::string{self} + '#' + short_form(incarnation)),
      deviations_(phi_detector::deviations(options.phi_threshold)),
      latest_suspicion_(coppice::latest_suspicion(options)),
      recent_(options.suspect_after / 2),
      last_(now),
      due_(now + options.heartbeat),
      next_heartbeat_(due_),
      doubt_left_(options.doubt_for) {
  require(validate(options).has_value(), "the options of liveness are not valid");
  require(peers.size() < std::numeric_limits<peer_index>::max(), "there are too many peers");
  peers_.reserve(peers.size());
  for (std::string& name : peers) {
    require(name != self, "a node is among its own peers");
    peers_.push_back({.name = std::move(name),
                      .silences = phi_detector{options.window, microseconds{options.heartbeat}}});
  }
}

// ---- inputs -----------------------------------------------------------------------------------

void liveness::connected(peer_index peer, const node_incarnation& incarnation, time_point now,
                         liveness_actions& out) {
  pass(now, out);
  record& r = of(peer);
  if (r.what != opinion::unknown && r.incarnation != incarnation) {
    if (r.what == opinion::up || r.what == opinion::suspect)
      change(peer, opinion::unreachable,
             full_name(r) + " is over: " + self_ + " has met its next life, " +
                 short_form(incarnation),
             out);
    r.what = opinion::unknown;
  }
  if (r.what == opinion::unknown) {
    begin(r, incarnation);
    change(peer, opinion::up, self_ + " has met " + full_name(r), out);
    return;
  }
  if (r.what == opinion::left) {
    // A goodbye that was taken back: the silence since then says nothing of the link.
    r.heard = clock_;
    change(peer, opinion::up, self_ + " is connected to " + full_name(r) + " again", out);
  }
  heard(peer, now, out);
}

void liveness::heard(peer_index peer, time_point now, liveness_actions& out) {
  pass(now, out);
  record& r = of(peer);
  if (r.what == opinion::unknown || r.what == opinion::left) return;
  if (r.what != opinion::up)
    change(peer, opinion::up,
           self_ + " hears " + full_name(r) + " again, after " + to_text(clock_ - r.heard), out);
  note_silence(r);
  r.heard = clock_;
  r.heard_at = last_;
  if (!doubting_) r.sure_at = last_;
  r.refused = false;
}

void liveness::refused(peer_index peer, time_point now, liveness_actions& out) {
  pass(now, out);
  record& r = of(peer);
  if (r.what != opinion::up && r.what != opinion::suspect) return;
  r.refused = true;
  change(peer, opinion::unreachable,
         self_ + " finds " + full_name(r) + " unreachable: nobody listens at its address", out);
}

void liveness::left(peer_index peer, time_point now, liveness_actions& out) {
  pass(now, out);
  record& r = of(peer);
  if (r.what == opinion::unknown || r.what == opinion::left) return;
  change(peer, opinion::left, full_name(r) + " has left: it said goodbye to " + self_, out);
}

void liveness::asked(peer_index by, const liveness_question& what, time_point now,
                     liveness_actions& out) {
  pass(now, out);
  record& asker = of(by);
  if (asker.what == opinion::unknown || asker.what == opinion::left) return;
  if (asker.answers >= 2 * peers_.size()) return;
  const auto about = std::find_if(peers_.begin(), peers_.end(),
                                  [&](const record& r) { return r.name == what.about; });
  if (about == peers_.end()) return;
  ++asker.answers;
  liveness_answer reply{.number = what.number,
                        .about = what.about,
                        .incarnation = about->incarnation,
                        .heard_ms_ago = std::nullopt,
                        .doubting = doubting_};
  if (about->sure_at) {
    const auto ago = duration_cast<milliseconds>(last_ - *about->sure_at).count();
    constexpr milliseconds::rep most = std::numeric_limits<std::uint32_t>::max();
    reply.heard_ms_ago = static_cast<std::uint32_t>(std::min(ago, most));
  }
  out.emplace_back(send_answer{by, std::move(reply)});
}

void liveness::answered(peer_index by, const liveness_answer& what, time_point now,
                        liveness_actions& out) {
  pass(now, out);
  const auto asked_it = [&](const pending& q) { return q.number == what.number && q.helper == by; };
  for (peer_index about = 0; about < peers_.size(); ++about) {
    record& r = peers_[about];
    if (r.name != what.about) continue;
    const auto found = std::find_if(r.questions.begin(), r.questions.end(), asked_it);
    if (found == r.questions.end()) return;
    const span at = found->at;
    r.questions.erase(found);
    if (what.doubting) return;
    std::erase(r.deaf, by);
    // The answer was given after the question was sent, so that the peer was heard at this time or
    // later, however long the answer took to arrive.
    const span vouched = what.heard_ms_ago && what.incarnation == r.incarnation
                             ? at - milliseconds{*what.heard_ms_ago}
                             : r.heard;
    if (vouched > r.vouched) {
      r.vouched = vouched;
      r.voucher = by;
    }
    if (clock_ - vouched >= recent_) r.deaf.push_back(by);
    if (r.told_partly || clock_ - r.vouched >= recent_) return;
    r.told_partly = true;
    change(about, opinion::suspect,
           self_ + " still suspects " + full_name(r) + ", silent for " + to_text(clock_ - r.heard) +
               ", but it is partly reachable: " + what_others_say(r),
           out);
    return;
  }
}

void liveness::time(time_point now, liveness_actions& out) {
  pass(now, out);
  // Nothing is due sooner than was foreseen: what other inputs begin takes longer than a heartbeat.
  if (last_ < due_) return;
  if (last_ >= next_heartbeat_) {
    out.emplace_back(send_heartbeats{});
    next_heartbeat_ += options_.heartbeat;
    if (next_heartbeat_ <= last_) next_heartbeat_ = last_ + options_.heartbeat;
    for (record& r : peers_) r.answers = 0;
  }
  if (judging())
    for (peer_index peer = 0; peer < peers_.size(); ++peer) judge(peer, out);
  schedule();
}

peer_view liveness::view(peer_index peer) const {
  require(peer < peers_.size(), no_such_peer);
  const record& r = peers_[peer];
  if (r.what == opinion::unknown) return {};
  return {.what = r.what,
          .incarnation = r.incarnation,
          .heard_ago = duration_cast<milliseconds>(last_ - r.heard_at),
          .phi = phi(r),
          .partly_reachable = partly_reachable(r),
          .reason = r.reason};
}

// ---- time, and whether this node runs ---------------------------------------------------------

/// Moves on to `now`. Of the time since the last input counts what this node knows to have run.
void liveness::pass(time_point now, liveness_actions& out) {
  if (now > last_) {
    const span late = now - due_;
    const span missed = late > options_.late_after ? std::min(now - last_, late) : span{0};
    const span ran = now - last_ - missed;
    const span in_doubt = std::max(span{0}, std::min(doubting_until_ - last_, ran));
    const span taken_off = std::min(in_doubt, doubt_left_);
    clock_ += ran - taken_off;
    // Earned again by running without doubt, so that doubt cannot silence a node for ever.
    doubt_left_ = std::min<span>(options_.doubt_for, doubt_left_ - taken_off + (ran - in_doubt));
    last_ = now;
    if (missed > span{0}) starve(now, missed, out);
  }
  if (doubting_ && last_ >= doubting_until_) {
    doubting_ = false;
    out.emplace_back(tell_doubt{.doubting = false,
                                .reason = self_ + " has run in time again for " +
                                          to_text(options_.doubt_for) +
                                          " and trusts its own judgement"});
  }
}

void liveness::starve(time_point now, span missed, liveness_actions& out) {
  doubting_until_ = now + options_.doubt_for;
  if (std::exchange(doubting_, true)) return;
  out.emplace_back(tell_doubt{.doubting = true,
                              .late = duration_cast<milliseconds>(missed),
                              .reason = self_ + " did not run for " + to_text(missed) +
                                        ": it judges nobody by that time, and for " +
                                        to_text(options_.doubt_for) + " accuses nobody"});
}

/// Not while it doubts; but longer than it may the node does not abstain.
bool liveness::judging() const noexcept { return !doubting_ || doubt_left_ == span{0}; }

void liveness::schedule() {
  due_ = next_heartbeat_;
  if (!judging()) {
    due_ = std::min(due_, std::min(doubting_until_, last_ + doubt_left_));
    return;
  }
  for (const record& r : peers_) {
    if (r.what == opinion::up) due_ = std::min(due_, last_ + (suspect_at(r) - clock_));
    if (r.what == opinion::suspect)
      due_ = std::min(due_, last_ + (std::min(r.ask_at, unreachable_at(r)) - clock_));
  }
}

// ---- judgement --------------------------------------------------------------------------------

liveness::span liveness::suspect_at(const record& r) const {
  // Both have to agree, the limit and phi, so that a quiet link is not more touchy than the limit
  // and an uneven one does not flap; up to the time at which others have to be asked.
  return r.heard + std::clamp<span>(r.silences.silence_at(deviations_), options_.suspect_after,
                                    latest_suspicion_);
}

liveness::span liveness::unreachable_at(const record& r) const {
  const span nobody_hears_it = std::max(r.heard, r.vouched) + options_.unreachable_after;
  const span at = std::min(nobody_hears_it, r.heard + options_.indirect_limit);
  // Time for one answer also when this node was late without noticing.
  return std::max(at, r.suspect_since + options_.ask_again);
}

bool liveness::partly_reachable(const record& r) const {
  // Others are asked in turn, so that the next to hear it may be in the round after the next.
  return r.what == opinion::suspect && r.told_partly &&
         clock_ - r.vouched < recent_ + 2 * options_.ask_again;
}

void liveness::judge(peer_index peer, liveness_actions& out) {
  record& r = of(peer);
  if (r.what == opinion::up && clock_ >= suspect_at(r)) {
    r.suspect_since = clock_;
    r.told_partly = false;
    r.deaf.clear();
    const std::size_t before = out.size();
    ask(peer, out);
    std::vector<peer_index> helpers;
    for (std::size_t i = before; i < out.size(); ++i)
      helpers.push_back(std::get<send_question>(out[i]).to);
    change(peer, opinion::suspect,
           self_ + " suspects " + full_name(r) + ": silent for " + to_text(clock_ - r.heard) +
               ", phi " + to_text_phi(phi(r)) +
               (helpers.empty() ? "; there is nobody to ask" : "; asked " + names(helpers)),
           out);
  } else if (r.what == opinion::suspect && clock_ >= unreachable_at(r)) {
    change(peer, opinion::unreachable,
           self_ + " finds " + full_name(r) + " unreachable: silent for " +
               to_text(clock_ - r.heard) + "; " + what_others_say(r),
           out);
  } else if (r.what == opinion::suspect && clock_ >= r.ask_at) {
    ask(peer, out);
  }
}

/// SWIM's ping-req, but that those who are asked have heard the suspect without trying, or not.
void liveness::ask(peer_index peer, liveness_actions& out) {
  record& r = of(peer);
  r.ask_at = clock_ + options_.ask_again;
  const auto count = static_cast<peer_index>(peers_.size());
  std::uint32_t found = 0;
  // In turn, so that in the course of a suspicion all are asked.
  for (peer_index seen = 0; seen < count && found < options_.indirect_probes; ++seen) {
    const peer_index helper = next_helper_;
    if (++next_helper_ == count) next_helper_ = 0;
    if (helper == peer || peers_[helper].what != opinion::up) continue;
    ++found;
    // The oldest question will hardly be answered any more.
    if (r.questions.size() == 2 * std::size_t{options_.indirect_probes})
      r.questions.erase(r.questions.begin());
    r.questions.push_back({++questions_, helper, clock_});
    out.emplace_back(send_question{helper, {questions_, r.name, r.incarnation}});
  }
}

/// The longest silence of each heartbeat: under traffic a link has thousands of short ones, which
/// say nothing of how long it may be silent when there is none.
void liveness::note_silence(record& r) {
  r.longest = std::max(r.longest, clock_ - r.heard);
  if (clock_ - r.sampled < options_.heartbeat) return;
  // One that ended in a judgement was no jitter.
  if (r.longest < options_.unreachable_after)
    r.silences.add(duration_cast<microseconds>(std::min(r.longest, latest_suspicion_)));
  r.longest = span{0};
  r.sampled = clock_;
}

void liveness::begin(record& r, const node_incarnation& incarnation) {
  r.incarnation = incarnation;
  r.silences = phi_detector{options_.window, microseconds{options_.heartbeat}};
  r.heard = r.sampled = clock_;
  r.heard_at = last_;
  r.sure_at.reset();
  if (!doubting_) r.sure_at = last_;
  r.longest = span{0};
  r.refused = false;
}

void liveness::change(peer_index peer, opinion to, std::string why, liveness_actions& out) {
  record& r = of(peer);
  const bool accuses = to == opinion::suspect || to == opinion::unreachable;
  const bool alone = accuses && !r.refused && cut_off();
  if (alone) why += "; all its peers fell silent at once: I may be cut off";
  r.reason = why;
  const bool partly = accuses && partly_reachable(r);
  tell_opinion told{peer,
                    {.peer = r.name,
                     .incarnation = r.incarnation,
                     .from = std::exchange(r.what, to),
                     .to = to,
                     .reason = std::move(why),
                     .silent_for = duration_cast<milliseconds>(clock_ - r.heard),
                     .phi = phi(r),
                     .partly_reachable = partly,
                     .cut_off = alone}};
  if (to != opinion::suspect) r.questions.clear();
  out.emplace_back(std::move(told));
}

/// Whether all who were heard until shortly before the last one was fell silent with it. Those who
/// have left or were refused do not count: that is how a network says that it works.
bool liveness::cut_off() const {
  span newest{0};
  for (const record& r : peers_)
    if (r.what != opinion::unknown) newest = std::max(newest, r.heard);
  if (clock_ - newest < recent_) return false;
  std::size_t silent = 0;
  for (const record& r : peers_)
    if (r.what != opinion::unknown && r.what != opinion::left && !r.refused &&
        newest - r.heard < options_.suspect_after)
      ++silent;
  return silent >= crowd;
}

liveness::record& liveness::of(peer_index peer) {
  require(peer < peers_.size(), no_such_peer);
  return peers_[peer];
}

double liveness::phi(const record& r) const {
  return r.silences.phi(duration_cast<microseconds>(clock_ - r.heard));
}

// ---- texts ------------------------------------------------------------------------------------

std::string liveness::full_name(const record& r) const {
  return r.name + '#' + short_form(r.incarnation);
}

std::string liveness::names(const std::vector<peer_index>& peers) const {
  constexpr std::size_t most = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, peers.size()); ++i) {
    if (i > 0) text += i + 1 == peers.size() ? " and " : ", ";
    text += peers_[peers[i]].name;
  }
  if (peers.size() > most) text += " and " + std::to_string(peers.size() - most) + " more";
  return text;
}

std::string liveness::what_others_say(const record& r) const {
  std::string text;
  if (partly_reachable(r))
    text = peers_[r.voucher].name + " heard it " + to_text(clock_ - r.vouched) + " ago";
  if (!r.deaf.empty())
    text += (text.empty() ? "" : ", ") + names(r.deaf) +
            (r.deaf.size() == 1 ? " does not hear it" : " do not hear it") +
            (text.empty() ? " either" : "");
  return text.empty() ? "nobody else could tell" : text;
}

}  // namespace coppice::detail
