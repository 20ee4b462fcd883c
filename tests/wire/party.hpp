// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "tools.hpp"

#include <coppice/runtime/wire/association.hpp>

#include <map>
#include <string>
#include <vector>

/// One side of an association, whose actions are read as text.
namespace wire_tools {

using coppice::wire::association;
using coppice::wire::link_id;
using strings = std::vector<std::string>;

inline coppice::wire::identity identity_of(std::string node, std::uint64_t incarnation) {
  coppice::wire::identity who;
  who.cluster = "shop";
  who.node = std::move(node);
  who.incarnation = {.high = 7, .low = incarnation};
  who.digest = 99;
  return who;
}

struct party {
  using milliseconds = std::chrono::milliseconds;

  std::string name;
  association::time_point now{std::chrono::hours{1}};
  coppice::wire::received arrived{};
  std::uint64_t random = 0;  ///< no jitter: the shortest pauses
  association a;
  std::map<link_id, std::vector<std::byte>> sent{};  ///< the last frame on each link
  std::vector<association::action> last{};

  party(std::string node, std::string peer, std::uint64_t incarnation = 1,
        coppice::wire::limits bounds = {})
      : party(identity_of(std::move(node), incarnation), std::move(peer), bounds) {}
  party(const coppice::wire::identity& me, std::string peer, coppice::wire::limits bounds = {})
      : name{me.node},
        a{me,
          std::move(peer),
          bounds,
          {.random = [this] { return random; }, .arrived = [this] { return arrived; }}} {}
  party(const party&) = delete;
  party& operator=(const party&) = delete;

  /// What it wants done since it was asked last: `dial`, `send 1 hello`, `attach 1`, ...
  strings did() {
    using kind = association::action::kind;
    strings all;
    last = a.take_actions();
    for (const auto& x : last) {
      const std::string link = ' ' + std::to_string(x.link);
      switch (x.what) {
        case kind::dial: all.push_back("dial"); break;
        case kind::send:
          sent[x.link] = x.bytes;
          all.push_back("send" + link + ' ' + std::string{coppice::wire::name(x.frame)} +
                        (x.by_session ? " by session" : ""));
          break;
        case kind::close: all.push_back("close" + link + ": " + x.text); break;
        case kind::session_began: all.push_back("began " + std::to_string(x.session)); break;
        case kind::attach: all.push_back("attach" + link + (x.resumed ? " resumed" : "")); break;
        case kind::detach: all.push_back("detach" + link); break;
        case kind::session_ended:
          all.push_back("ended " + std::to_string(x.session) + ' ' +
                        std::string{coppice::wire::name(x.reason)} + ": " + x.text);
          break;
        case kind::digest_differs: all.push_back("digest differs"); break;
        case kind::note: all.push_back("note " + x.text); break;
      }
    }
    return all;
  }

  strings start() {
    a.start(now);
    return did();
  }
  strings opened(link_id link, bool outgoing, std::string certificate = "") {
    a.link_opened(link, outgoing, certificate, now);
    return did();
  }
  /// The last frame that `from` has sent on `link` arrives.
  strings hears(party& from, link_id link) { return hears(link, from.sent.at(link)); }
  strings hears(link_id link, const std::vector<std::byte>& frame) {
    a.frame(link, static_cast<frame_kind>(frame.front()),
            std::span{frame}.subspan(coppice::wire::frame_header), now);
    return did();
  }
  strings lost(link_id link) {
    a.link_closed(link, false, "the peer has closed it", now);
    return did();
  }
  strings dial_failed(bool refused = false) {
    a.dial_failed(refused, refused ? "connection refused" : "timed out", now);
    return did();
  }
  strings after(milliseconds later) {
    now += later;
    a.time(now);
    return did();
  }
  /// How long until it wants to be called; negative: not at all.
  milliseconds idle() const {
    const auto next = a.next();
    return next ? std::chrono::duration_cast<milliseconds>(*next - now) : milliseconds{-1};
  }
  const association::action& action(association::action::kind what) const {
    for (const auto& x : last)
      if (x.what == what) return x;
    throw std::logic_error{"no such action"};
  }
};

/// `dialler` opens `link` to `acceptor`, and they agree.
inline void join(party& dialler, party& acceptor, link_id link) {
  if (!dialler.a.next()) dialler.start();
  dialler.opened(link, true);
  acceptor.opened(link, false);
  acceptor.hears(dialler, link);
  dialler.hears(acceptor, link);
  acceptor.hears(dialler, link);
}

}  // namespace wire_tools
