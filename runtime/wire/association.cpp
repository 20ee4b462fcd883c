// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/association.hpp>

#include <algorithm>
#include <utility>

namespace coppice::wire {

using kind = association_action::kind;

std::string_view name(session_end why) noexcept {
  switch (why) {
    case session_end::peer_restarted: return "peer_restarted";
    case session_end::peer_forgot: return "peer_forgot";
    case session_end::unreachable: return "unreachable";
    case session_end::refused: return "refused";
    case session_end::peer_stopped: return "peer_stopped";
    case session_end::stopped: return "stopped";
    case session_end::violation: return "violation";
  }
  return "unknown";
}

association::association(identity me, std::string peer, const limits& bounds, ports uses)
    : me_(std::move(me)), peer_(std::move(peer)), limits_(bounds), uses_(std::move(uses)) {}

// ---- what there is ----------------------------------------------------------------------------

bool association::welcoming() const noexcept {
  return std::any_of(accepted_.begin(), accepted_.end(),
                     [](const accepted& a) { return a.welcomed; });
}

/// Whether a dial is called for. Not while another one has got further, from either side: two
/// links that become ready at the same time cost one of them.
bool association::wants_link() const noexcept {
  return phase_ == phase::running && link_ == no_link && dialled_.link == no_link && !welcoming();
}

association_action& association::emit(kind what) {
  actions_.push_back({.what = what});
  return actions_.back();
}

void association::close(link_id link, std::string why) {
  auto& a = emit(kind::close);
  a.link = link;
  a.text = std::move(why);
}

void association::say(link_id link, std::vector<std::byte> frame, bool by_session) {
  auto& a = emit(kind::send);
  a.link = link;
  a.frame = static_cast<frame_kind>(frame.front());
  a.bytes = std::move(frame);
  a.by_session = by_session;
}

void association::note(std::string text) { emit(kind::note).text = std::move(text); }

// ---- dialling ---------------------------------------------------------------------------------

/// None before the first dial; then doubled each time, with a jitter of half of it, so that nodes
/// that lost each other at the same moment do not meet at the same moment for ever.
std::chrono::milliseconds association::pause() {
  if (attempts_ == 0) return std::chrono::milliseconds{0};
  const auto most = std::max(limits_.reconnect_most, std::chrono::milliseconds{1});
  auto length = std::clamp(limits_.reconnect_first, std::chrono::milliseconds{1}, most);
  for (std::uint32_t n = 1; n < attempts_ && length < most; ++n)
    length = std::min(2 * length, most);
  const auto half = static_cast<std::uint64_t>(length.count() / 2);
  const std::uint64_t jitter = uses_.random() % (half + 1);
  return std::chrono::milliseconds{
      static_cast<std::int64_t>(static_cast<std::uint64_t>(length.count()) - half + jitter)};
}

void association::again(time_point now) {
  if (phase_ != phase::running) return;
  dial_at_ = now + pause();
  if (attempts_ < 64) ++attempts_;
  dial_if_due(now);
}

/// The link was lost. One that did not live long says nothing good about the next.
void association::again_after_loss(std::uint32_t at_least, time_point now) {
  const bool good = now - attached_at_ >= limits_.reconnect_most;
  if (good) short_lived_ = 0;
  attempts_ = std::max(short_lived_, at_least);
  if (!good && short_lived_ < 64) ++short_lived_;
  again(now);
}

void association::dial_if_due(time_point now) {
  if (!wants_link() || dialling_ || !dial_at_ || *dial_at_ > now) return;
  dial_at_.reset();
  dialling_ = true;
  dial_deadline_ = now + limits_.connect_deadline;
  emit(kind::dial);
}

/// One that was waited for is gone, perhaps, or a pause is over.
void association::look_for_link(time_point now) {
  if (wants_link() && !dialling_ && !dial_at_) again(now);
  else dial_if_due(now);
}

void association::start(time_point now) {
  if (phase_ != phase::fresh) return;
  phase_ = phase::running;
  again(now);
}

void association::dial_failed(bool refused, std::string_view why, time_point now) {
  if (!dialling_ || phase_ != phase::running) return;
  dialling_ = false;
  dial_lost(refused, why, now);
}

void association::dial_lost(bool refused, std::string_view why, time_point now) {
  // Where nobody listens no process is, unless it has just said hello.
  if (refused && link_ == no_link && !welcoming()) {
    end_session(session_end::refused,
                "nobody listens at node " + peer_ + "'s address: " + printable(why, 200));
  }
  again(now);
}

void association::link_opened(link_id link, bool outgoing, std::string_view certificate_name,
                              time_point now) {
  if (!outgoing) {
    start(now);
    if (accepted_.size() == most_accepted) {
      close(accepted_.front().link, "newer links have come");
      accepted_.erase(accepted_.begin());
    }
    accepted_.push_back({.link = link,
                         .deadline = now + limits_.handshake_deadline,
                         .certificate_name = std::string{certificate_name}});
    return;
  }
  dialling_ = false;
  if (!wants_link()) {
    close(link, "it is not needed any more");
  } else if (!certificate_name.empty() && certificate_name != peer_) {
    note("node " + me_.node + " has dialled node " + peer_ + ", and who answers has the " +
         "certificate of \"" + printable(certificate_name) + '"');
    close(link, "the certificate is another node's");
    attempts_ = std::max(attempts_, 8u);
    again(now);
  } else {
    say_hello(link, certificate_name, now);
  }
}

void association::say_hello(link_id link, std::string_view certificate_name, time_point now) {
  hello h;
  h.newest = me_.newest;
  h.oldest = me_.oldest;
  h.cluster = me_.cluster;
  h.from = me_.node;
  h.to = peer_;
  h.incarnation = me_.incarnation;
  h.digest = me_.digest;
  h.to_incarnation = known_.value_or(incarnation_id{});
  h.session = number_;
  if (in_session_) h.has = uses_.arrived();
  h.message_bytes = limits_.message_bytes;
  h.features = me_.features;
  dialled_ = {.link = link,
              .deadline = now + limits_.handshake_deadline,
              .certificate_name = std::string{certificate_name},
              .to = h.to_incarnation,
              .session = h.session,
              .told = h.has};
  dial_at_.reset();
  say(link, write(h));
}

void association::give_up_dial(std::string why, time_point now) {
  close(std::exchange(dialled_, {}).link, std::move(why));
  again(now);
}

// ---- the handshake ----------------------------------------------------------------------------

void association::frame(link_id link, frame_kind what, std::span<const std::byte> payload,
                        time_point now) {
  if (link == no_link) return;
  if (link == link_) {
    if (what == frame_kind::goodbye) on_goodbye(payload, now);
    else if (is_handshake(what))
      end(session_end::violation, "a handshake frame comes after the handshake", now);
    return;
  }
  if (link == dialled_.link) {
    if (what == frame_kind::welcome) on_welcome(payload, now);
    else if (what == frame_kind::refuse) on_refuse(payload, now);
    else give_up_dial("a frame is out of place", now);
    return;
  }
  const auto at = std::find_if(accepted_.begin(), accepted_.end(),
                               [&](const accepted& a) { return a.link == link; });
  if (at == accepted_.end()) return;
  accepted from = std::move(*at);
  accepted_.erase(at);
  if (!from.welcomed && what == frame_kind::hello) {
    on_hello(std::move(from), payload, now);
  } else if (from.welcomed && what == frame_kind::ready) {
    on_ready(from, payload, now);
  } else {
    close(link, "a handshake frame is out of place");
  }
  look_for_link(now);
}

std::optional<refuse> association::refusal_of(const hello& said,
                                              std::string_view certificate_name) const {
  if (auto found = objection(said, me_, certificate_name)) return found;
  if (said.from != peer_)
    return refuse{refusal::unknown_node, "this link was taken for node " + peer_ + "'s"};
  if (phase_ != phase::running)
    return refuse{refusal::stopping, "node " + me_.node + " is stopping"};
  if (dialled_.link != no_link && me_.node < peer_)
    return refuse{refusal::busy, "node " + me_.node + " has dialled itself"};
  if (link_ != no_link &&
      std::find(replaced_.begin(), replaced_.end(), said.incarnation) != replaced_.end())
    return refuse{refusal::replaced, "another process is node " + peer_ +
                                         " now: two of them must not run at the same time"};
  return std::nullopt;
}

void association::on_hello(accepted from, std::span<const std::byte> payload, time_point now) {
  const auto said = read_hello(payload);
  const auto found = said ? refusal_of(*said, from.certificate_name)
                          : refuse{refusal::malformed, said.error().why()->what};
  if (found) {
    if (found->code != refusal::busy && found->code != refusal::stopping)
      note("node " + me_.node + " refuses node " + peer_ + " (" + std::string{name(found->code)} +
           "): " + found->text);
    say(from.link, write(*found));
    close(from.link, "it was refused: " + found->text);
    return;
  }
  // What is not about the present incarnation of both is about no session that is known here.
  const bool knows_me = said->to_incarnation == me_.incarnation;
  const std::uint64_t mine = knows(said->incarnation) ? number_ : 1;
  const std::uint64_t theirs = knows_me ? std::max<std::uint64_t>(said->session, 1) : 1;
  from.session = std::max(mine, theirs);
  if (knows_me && said->session == from.session) from.by_peer = said->has;
  if (in_session_ && knows(said->incarnation) && number_ == from.session)
    from.told = uses_.arrived();
  from.peer = facts(*said);
  from.welcomed = true;
  from.deadline = now + limits_.handshake_deadline;

  welcome w;
  w.protocol = from.peer.protocol;
  w.cluster = me_.cluster;
  w.from = me_.node;
  w.to = peer_;
  w.incarnation = me_.incarnation;
  w.digest = me_.digest;
  w.session = from.session;
  w.has = from.told;
  w.message_bytes = limits_.message_bytes;
  w.features = me_.features;
  say(from.link, write(w));
  accepted_.push_back(std::move(from));
}

void association::on_ready(const accepted& from, std::span<const std::byte> payload,
                           time_point now) {
  const auto said = read_ready(payload);
  if (!said || said->session != from.session) {
    note("node " + peer_ + " is ready for a session that was not agreed on");
    close(from.link, "it is ready for a session that was not agreed on");
  } else if (phase_ != phase::running) {
    close(from.link, "this node is stopping");
  } else if (knows(from.peer.incarnation) && number_ > from.session) {
    close(from.link, "the session it was for has ended meanwhile");
  } else {
    attach(from.link, from.peer, from.session, from.by_peer, from.told, now);
  }
}

void association::on_welcome(std::span<const std::byte> payload, time_point now) {
  const auto said = read_welcome(payload);
  std::optional<refuse> found;
  if (!said) found = refuse{refusal::malformed, said.error().why()->what};
  else found = objection(*said, me_, peer_, dialled_.certificate_name);
  if (found) {
    note("node " + me_.node + " does not accept the welcome of node " + peer_ + " (" +
         std::string{name(found->code)} + "): " + found->text);
    attempts_ = std::max(attempts_, 8u);
    return give_up_dial("its welcome was not accepted: " + found->text, now);
  }
  const bool known = knows(said->incarnation);
  if (known && number_ > said->session)
    return give_up_dial("the session it was for has ended meanwhile", now);
  const dialled from = std::exchange(dialled_, {});
  const bool told = from.to == said->incarnation && from.session == said->session;
  if (attach(from.link, facts(*said), said->session, said->has, told ? from.told : received{}, now))
    say(from.link, write(ready{said->session}), true);
}

void association::on_refuse(std::span<const std::byte> payload, time_point now) {
  const auto said = read_refuse(payload);
  const std::string code{said ? name(said->code) : "malformed"};
  const std::string text = said ? printable(said->text, 300) : said.error().why()->what;
  if (said && said->code == refusal::stopping)
    end_session(session_end::peer_stopped, "node " + peer_ + " is stopping");
  if (!said || (said->code != refusal::busy && said->code != refusal::stopping)) {
    // Nothing of that passes soon, and each dial is a line in the peer's log.
    attempts_ = std::max(attempts_, 8u);
    if (std::string line = code + ": " + text; line != last_refusal_) {
      last_refusal_ = std::move(line);
      note("node " + peer_ + " refuses node " + me_.node + " (" + code + "): " + text);
    }
  }
  give_up_dial("it was refused: " + text, now);
}

void association::on_goodbye(std::span<const std::byte> payload, time_point now) {
  if (phase_ == phase::parting) return finish("both nodes stop");
  const auto said = read_goodbye(payload);
  const link_id link = link_;
  detach();
  close(link, "the peer said goodbye");
  end_session(session_end::peer_stopped,
              "node " + peer_ + " has stopped" +
                  (said && !said->text.empty() ? ": " + printable(said->text, 200) : ""));
  again_after_loss(1, now);
}

// ---- the session ------------------------------------------------------------------------------

/// False: the peer claims something that cannot be, and the link is closed.
bool association::attach(link_id link, const peer_facts& peer, std::uint64_t number,
                         received by_peer, received told, time_point now) {
  const bool same = knows(peer.incarnation);
  const bool resumed = in_session_ && same && number_ == number;
  if (!resumed && by_peer != received{}) {
    note("node " + peer_ + " claims to have received what was never sent");
    close(link, "the peer claims to have received what was never sent");
    again(now);
    return false;
  }
  if (const link_id old = link_; old != no_link) {
    detach();
    close(old, "a newer link carries the session");
  }
  if (in_session_ && !resumed) {
    end_session(same ? session_end::peer_forgot : session_end::peer_restarted,
                same ? "node " + peer_ + " had ended the session"
                     : "node " + peer_ + " has been restarted");
  }
  if (!same) {
    std::erase(replaced_, peer.incarnation);
    if (known_) replaced_.push_back(*known_);
    if (replaced_.size() > most_replaced) replaced_.erase(replaced_.begin());
  }
  known_ = peer.incarnation;
  number_ = number;
  if (!in_session_) {
    in_session_ = true;
    auto& began = emit(kind::session_began);
    began.session = number;
    began.peer = peer;
    if (peer.digest != me_.digest) emit(kind::digest_differs).peer = peer;
  }
  link_ = link;
  attached_at_ = now;
  session_deadline_.reset();
  dial_at_.reset();
  last_refusal_.clear();
  close_others(link, "another link carries the session");
  auto& a = emit(kind::attach);
  a.link = link;
  a.resumed = resumed;
  a.session = number;
  a.by_peer = by_peer;
  a.told = told;
  a.peer = peer;
  return true;
}

void association::detach() { emit(kind::detach).link = std::exchange(link_, no_link); }

void association::close_others(link_id but, const char* why) {
  for (const accepted& a : accepted_)
    if (a.link != but) close(a.link, why);
  accepted_.clear();
  if (dialled_.link != no_link && dialled_.link != but) close(dialled_.link, why);
  dialled_ = {};
}

void association::end_session(session_end reason, std::string why) {
  if (!in_session_) return;
  in_session_ = false;
  session_deadline_.reset();
  auto& a = emit(kind::session_ended);
  a.reason = reason;
  a.session = number_++;
  a.text = std::move(why);
}

void association::end(session_end reason, std::string_view why, time_point now) {
  if (phase_ == phase::parting) return finish(std::string{why});
  if (const link_id link = link_; link != no_link) {
    detach();
    close(link, std::string{why});
  }
  end_session(reason, std::string{why});
  again_after_loss(1, now);
}

void association::link_closed(link_id link, bool refused, std::string_view why, time_point now) {
  if (link == no_link) return;
  if (link == link_) {
    if (phase_ == phase::parting) {
      link_ = no_link;
      emit(kind::detach).link = link;
      return finish("");
    }
    detach();
    session_deadline_ = now + limits_.session_limit;
    again_after_loss(0, now);
  } else if (link == dialled_.link) {
    dialled_ = {};
    dial_lost(refused, why, now);
  } else {
    std::erase_if(accepted_, [&](const accepted& a) { return a.link == link; });
    look_for_link(now);
  }
}

// ---- time and the end -------------------------------------------------------------------------

void association::time(time_point now) {
  if (farewell_ && *farewell_ <= now) finish("the peer has not closed the link in time");
  for (std::size_t i = 0; i < accepted_.size();) {
    if (accepted_[i].deadline <= now) {
      close(accepted_[i].link, "the handshake has not come to an end in time");
      accepted_.erase(accepted_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  if (dialled_.link != no_link && dialled_.deadline <= now)
    give_up_dial("the handshake has not come to an end in time", now);
  if (dialling_ && dial_deadline_ <= now) {
    dialling_ = false;
    again(now);
  }
  if (session_deadline_ && *session_deadline_ <= now) {
    end_session(session_end::unreachable, "node " + peer_ + " could not be reached for " +
                                              std::to_string(limits_.session_limit.count()) +
                                              " ms");
  }
  look_for_link(now);
}

std::optional<association::time_point> association::next() const {
  std::optional<time_point> soonest;
  const auto consider = [&](time_point at) {
    if (!soonest || at < *soonest) soonest = at;
  };
  if (farewell_) consider(*farewell_);
  for (const accepted& a : accepted_) consider(a.deadline);
  if (dialled_.link != no_link) consider(dialled_.deadline);
  if (dialling_) consider(dial_deadline_);
  if (session_deadline_) consider(*session_deadline_);
  if (dial_at_ && wants_link() && !dialling_) consider(*dial_at_);
  return soonest;
}

void association::stop(std::string_view why, time_point now) {
  if (phase_ == phase::parting || phase_ == phase::over) return;
  phase_ = phase::parting;
  dial_at_.reset();
  dialling_ = false;
  close_others(no_link, "this node is stopping");
  if (link_ == no_link) return finish("");
  say(link_, whole_frame(frame_kind::goodbye, write_goodbye({std::string{why}})), true);
  farewell_ = now + farewell;
}

void association::finish(std::string why) {
  phase_ = phase::over;
  farewell_.reset();
  if (const link_id link = link_; link != no_link) {
    detach();
    close(link, std::move(why));
  }
  end_session(session_end::stopped, "node " + me_.node + " has stopped");
}

peer_facts association::facts(const hello& said) const {
  return {.node = said.from,
          .incarnation = said.incarnation,
          .digest = said.digest,
          .protocol = std::min(said.newest, me_.newest),
          .message_bytes = said.message_bytes,
          .features = shared(said.features)};
}

peer_facts association::facts(const welcome& said) const {
  return {.node = said.from,
          .incarnation = said.incarnation,
          .digest = said.digest,
          .protocol = said.protocol,
          .message_bytes = said.message_bytes,
          .features = shared(said.features)};
}

std::vector<std::string> association::shared(const std::vector<std::string>& theirs) const {
  std::vector<std::string> both;
  for (const auto& feature : me_.features)
    if (std::find(theirs.begin(), theirs.end(), feature) != theirs.end()) both.push_back(feature);
  return both;
}

}  // namespace coppice::wire
