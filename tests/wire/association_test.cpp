// SPDX-License-Identifier: BSD-3-Clause
#include "party.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace coppice::wire;
using namespace wire_tools;
using namespace std::chrono_literals;
using kind = association::action::kind;

namespace doctest {
template <>
struct StringMaker<strings> {
  static String convert(const strings& all) {
    std::string text;
    for (const auto& s : all) text += "\n    " + s;
    return (text + "\n  ").c_str();
  }
};
}  // namespace doctest

namespace {

/// Two nodes that have a session over link 1, dialled by alpha.
struct pair {
  party alpha{"alpha", "beta"};
  party beta{"beta", "alpha"};

  pair() {
    alpha.start();
    beta.start();
    beta.dial_failed();
    join(alpha, beta, 1);
    REQUIRE(alpha.a.link() == 1);
    REQUIRE(beta.a.link() == 1);
    REQUIRE(alpha.a.in_session());
  }
  void pass(std::chrono::milliseconds time) {
    alpha.after(time);
    beta.after(time);
  }
};

}  // namespace

TEST_CASE("two nodes agree on a session by hello, welcome, ready") {
  party alpha{"alpha", "beta"}, beta{"beta", "alpha"};
  CHECK(alpha.start() == strings{"dial"});
  CHECK(alpha.opened(1, true) == strings{"send 1 hello"});
  CHECK(beta.start() == strings{"dial"});
  CHECK(beta.opened(1, false).empty());
  CHECK(beta.hears(alpha, 1) == strings{"send 1 welcome"});
  CHECK_FALSE(beta.a.in_session());
  CHECK(alpha.hears(beta, 1) == strings{"began 1", "attach 1", "send 1 ready by session"});
  const auto& facts = alpha.action(kind::attach).peer;
  CHECK(facts.node == "beta");
  CHECK(facts.incarnation == incarnation_id{7, 1});
  CHECK(facts.protocol == 1);
  CHECK(facts.message_bytes == limits{}.message_bytes);
  CHECK(beta.hears(alpha, 1) == strings{"began 1", "attach 1"});
  CHECK(beta.action(kind::attach).peer.node == "alpha");
  CHECK(beta.a.link() == 1);
  // Beta's own dial has become superfluous.
  CHECK(beta.opened(2, true) == strings{"close 2: it is not needed any more"});
}

TEST_CASE("of two hellos under way that of the lesser name is answered, the other one is busy") {
  party alpha{"alpha", "beta"}, beta{"beta", "alpha"};
  alpha.start();
  beta.start();
  CHECK(alpha.opened(1, true) == strings{"send 1 hello"});
  CHECK(beta.opened(2, true) == strings{"send 2 hello"});
  alpha.opened(2, false);
  beta.opened(1, false);
  CHECK(alpha.hears(beta, 2) ==
        strings{"send 2 refuse", "close 2: it was refused: node alpha has dialled itself"});
  CHECK(beta.hears(alpha, 1) == strings{"send 1 welcome"});
  CHECK(alpha.hears(beta, 1) == strings{"began 1", "attach 1", "send 1 ready by session"});
  SUBCASE("which may be known before") {
    CHECK(beta.hears(alpha, 2) ==
          strings{"close 2: it was refused: node alpha has dialled itself"});
    CHECK(beta.hears(alpha, 1) == strings{"began 1", "attach 1"});
  }
  SUBCASE("or after the session began") {
    CHECK(beta.hears(alpha, 1) ==
          strings{"began 1", "close 2: another link carries the session", "attach 1"});
    CHECK(beta.hears(alpha, 2).empty());
  }
  CHECK(alpha.a.link() == 1);
  CHECK(beta.a.link() == 1);
}

TEST_CASE("a dial whose hello is not said yet gives way, whoever has the lesser name") {
  party alpha{"alpha", "beta"}, beta{"beta", "alpha"};
  alpha.start();
  beta.start();
  beta.opened(2, true);
  alpha.opened(2, false);
  CHECK(alpha.hears(beta, 2) == strings{"send 2 welcome"});
  CHECK(alpha.opened(1, true) == strings{"close 1: it is not needed any more"});
  CHECK(beta.hears(alpha, 2) == strings{"began 1", "attach 2", "send 2 ready by session"});
  CHECK(alpha.hears(beta, 2) == strings{"began 1", "attach 2"});
}

// Who was faster than the first dial was told that the node stops.
TEST_CASE("a link that comes in before the start is answered like any other") {
  party alpha{"alpha", "beta"}, beta{"beta", "alpha"};
  alpha.start();
  alpha.opened(1, true);
  CHECK(beta.opened(1, false) == strings{"dial"});
  CHECK(beta.hears(alpha, 1) == strings{"send 1 welcome"});
  CHECK(beta.start().empty());
}

TEST_CASE("a lost link is dialled again at once, and the session goes on with both counts") {
  pair p;
  p.pass(3s);
  CHECK(p.alpha.lost(1) == strings{"detach 1", "dial"});
  CHECK(p.beta.lost(1) == strings{"detach 1", "dial"});
  p.alpha.arrived = {.user = 5, .bulk = 2};
  p.beta.arrived = {.user = 8, .bulk = 1};
  p.alpha.opened(3, true);
  p.beta.opened(3, false);
  p.beta.hears(p.alpha, 3);
  CHECK(p.alpha.hears(p.beta, 3) == strings{"attach 3 resumed", "send 3 ready by session"});
  CHECK(p.alpha.action(kind::attach).by_peer == received{8, 1});
  CHECK(p.alpha.action(kind::attach).told == received{5, 2});
  // More has come by the old link meanwhile: what counts is what the peer was told.
  p.beta.arrived.user = 9;
  CHECK(p.beta.hears(p.alpha, 3) == strings{"attach 3 resumed"});
  CHECK(p.beta.action(kind::attach).by_peer == received{5, 2});
  CHECK(p.beta.action(kind::attach).told == received{8, 1});
}

TEST_CASE("a link that the peer still believes in is replaced by the newer one") {
  pair p;
  p.pass(3s);
  p.alpha.lost(1);
  p.alpha.opened(3, true);
  p.beta.opened(3, false);
  CHECK(p.beta.hears(p.alpha, 3) == strings{"send 3 welcome"});
  CHECK(p.beta.a.link() == 1);
  p.alpha.hears(p.beta, 3);
  CHECK(p.beta.hears(p.alpha, 3) ==
        strings{"detach 1", "close 1: a newer link carries the session", "attach 3 resumed"});
  CHECK(p.beta.lost(1).empty());
  CHECK(p.beta.a.link() == 3);
}

TEST_CASE("two old links that come late replace nothing") {
  pair p;
  p.pass(3s);
  // Alpha has dialled twice and given both up; then a third link carries the session.
  std::vector<std::byte> late[2];
  for (auto& hello : late) {
    p.alpha.lost(p.alpha.a.link());
    p.alpha.opened(10, true);
    hello = p.alpha.sent[10];
    p.alpha.lost(10);
    p.alpha.after(3s);
  }
  p.beta.lost(1);
  join(p.alpha, p.beta, 5);
  REQUIRE(p.beta.a.link() == 5);
  for (link_id link : {20u, 21u}) {
    p.beta.opened(link, false);
    CHECK(p.beta.hears(link, late[link - 20]) ==
          strings{"send " + std::to_string(link) + " welcome"});
  }
  CHECK(p.beta.a.link() == 5);
  CHECK(p.beta.lost(20).empty());
  CHECK(p.beta.after(5s) == strings{"close 21: the handshake has not come to an end in time"});
  CHECK(p.beta.a.link() == 5);
  CHECK(p.beta.a.in_session());
}

TEST_CASE("an old link of a dead incarnation that comes late replaces nothing") {
  pair p;
  party reborn{"alpha", "beta", 2};
  reborn.start();
  p.alpha.lost(1);
  p.alpha.opened(2, true);
  const auto late = p.alpha.sent[2];
  p.beta.lost(1);
  join(reborn, p.beta, 3);
  REQUIRE(p.beta.a.link() == 3);
  p.beta.opened(4, false);
  CHECK(p.beta.hears(4, late) ==
        strings{"note node beta refuses node alpha (replaced): another process is node alpha now: "
                "two of them must not run at the same time",
                "send 4 refuse",
                "close 4: it was refused: another process is node alpha now: two of them must not "
                "run at the same time"});
  CHECK(p.beta.a.link() == 3);
}

TEST_CASE("a replaced incarnation is welcome again when the one that replaced it has gone") {
  pair p;
  party second{"alpha", "beta", 2};
  second.start();
  join(second, p.beta, 3);
  p.alpha.lost(1);
  p.alpha.opened(4, true);
  p.beta.opened(4, false);
  p.beta.hears(p.alpha, 4);
  CHECK(p.alpha.hears(p.beta, 4).size() == 2);
  // Its dials are as rare as they may be, and its log says it once.
  CHECK(p.alpha.idle() >= 1s);
  p.alpha.after(2s);
  p.alpha.opened(5, true);
  p.beta.opened(5, false);
  p.beta.hears(p.alpha, 5);
  CHECK(p.alpha.hears(p.beta, 5).size() == 1);

  p.beta.lost(3);
  p.alpha.after(2s);
  p.alpha.opened(6, true);
  p.beta.opened(6, false);
  CHECK(p.beta.hears(p.alpha, 6) == strings{"send 6 welcome"});
  // It was alive all the time, and its session was with another beta's state.
  CHECK(p.alpha.hears(p.beta, 6) == strings{"attach 6 resumed", "send 6 ready by session"});
  CHECK(p.beta.hears(p.alpha, 6)[0] == "ended 1 peer_restarted: node alpha has been restarted");
}

TEST_CASE("a peer that was restarted gets a new session, the old one ends at once") {
  pair p;
  p.beta.arrived = {.user = 8, .bulk = 1};
  party reborn{"alpha", "beta", 2};
  reborn.start();
  SUBCASE("whether it dials") {
    reborn.opened(3, true);
    p.beta.opened(3, false);
    CHECK(p.beta.hears(reborn, 3) == strings{"send 3 welcome"});
    CHECK(reborn.hears(p.beta, 3) == strings{"began 1", "attach 3", "send 3 ready by session"});
    CHECK(reborn.action(kind::attach).by_peer == received{});
    CHECK(p.beta.hears(reborn, 3) ==
          strings{"detach 1", "close 1: a newer link carries the session",
                  "ended 1 peer_restarted: node alpha has been restarted", "began 1", "attach 3"});
    CHECK(p.beta.action(kind::attach).told == received{});
  }
  SUBCASE("or is dialled") {
    CHECK(p.beta.lost(1) == strings{"detach 1", "dial"});
    p.beta.opened(3, true);
    reborn.opened(3, false);
    CHECK(reborn.hears(p.beta, 3) == strings{"send 3 welcome"});
    CHECK(p.beta.hears(reborn, 3) ==
          strings{"ended 1 peer_restarted: node alpha has been restarted", "began 1", "attach 3",
                  "send 3 ready by session"});
    CHECK(p.beta.action(kind::attach).told == received{});
    CHECK(p.beta.action(kind::attach).by_peer == received{});
    CHECK(reborn.hears(p.beta, 3) == strings{"began 1", "attach 3"});
    CHECK(reborn.action(kind::attach).by_peer == received{});
  }
}

TEST_CASE("a session that one side has ended ends on the other one when they meet again") {
  pair p;
  p.alpha.lost(1);
  CHECK(p.alpha.after(10s) ==
        strings{"ended 1 unreachable: node beta could not be reached for 10000 ms"});
  SUBCASE("the one that had ended it dials") {
    p.alpha.opened(3, true);
    p.beta.opened(3, false);
    p.beta.hears(p.alpha, 3);
    CHECK(p.alpha.hears(p.beta, 3) == strings{"began 2", "attach 3", "send 3 ready by session"});
    CHECK(p.beta.hears(p.alpha, 3) ==
          strings{"detach 1", "close 1: a newer link carries the session",
                  "ended 1 peer_forgot: node alpha had ended the session", "began 2", "attach 3"});
  }
  SUBCASE("the other one dials") {
    p.beta.lost(1);
    p.beta.opened(3, true);
    p.alpha.opened(3, false);
    p.alpha.hears(p.beta, 3);
    CHECK(p.beta.hears(p.alpha, 3) ==
          strings{"ended 1 peer_forgot: node alpha had ended the session", "began 2", "attach 3",
                  "send 3 ready by session"});
    CHECK(p.alpha.hears(p.beta, 3) == strings{"began 2", "attach 3"});
  }
  CHECK(p.alpha.a.session() == 2);
  CHECK(p.beta.a.session() == 2);
}

TEST_CASE("a session survives the loss of the handshake's last frame") {
  party alpha{"alpha", "beta"}, beta{"beta", "alpha"};
  alpha.start();
  beta.start();
  beta.dial_failed();
  alpha.opened(1, true);
  beta.opened(1, false);
  beta.hears(alpha, 1);
  CHECK(alpha.hears(beta, 1) == strings{"began 1", "attach 1", "send 1 ready by session"});
  alpha.lost(1);
  beta.lost(1);
  SUBCASE("when the same side dials again") {
    alpha.after(100ms);
    alpha.opened(2, true);
    beta.opened(2, false);
    beta.hears(alpha, 2);
    CHECK(alpha.hears(beta, 2) == strings{"attach 2 resumed", "send 2 ready by session"});
    CHECK(beta.hears(alpha, 2) == strings{"began 1", "attach 2"});
  }
  SUBCASE("when the other side dials") {
    beta.after(100ms);
    beta.opened(2, true);
    alpha.opened(2, false);
    alpha.hears(beta, 2);
    CHECK(beta.hears(alpha, 2) == strings{"began 1", "attach 2", "send 2 ready by session"});
    CHECK(alpha.hears(beta, 2) == strings{"attach 2 resumed"});
  }
}

TEST_CASE("a session that ends while a handshake is under way is not taken up by it") {
  pair p;
  p.alpha.lost(1);
  p.beta.lost(1);
  SUBCASE("at the dialler") {
    p.alpha.after(9'999ms);
    p.alpha.opened(3, true);
    p.beta.opened(3, false);
    p.beta.hears(p.alpha, 3);
    CHECK(p.alpha.after(1ms)[0] ==
          "ended 1 unreachable: node beta could not be reached for 10000 ms");
    CHECK(p.alpha.hears(p.beta, 3)[0] == "close 3: the session it was for has ended meanwhile");
  }
  SUBCASE("at the acceptor") {
    p.beta.after(9'999ms);
    p.alpha.opened(3, true);
    p.beta.opened(3, false);
    p.beta.hears(p.alpha, 3);
    p.alpha.hears(p.beta, 3);
    CHECK(p.beta.after(1ms)[0] ==
          "ended 1 unreachable: node alpha could not be reached for 10000 ms");
    CHECK(p.beta.hears(p.alpha, 3)[0] == "close 3: the session it was for has ended meanwhile");
    CHECK_FALSE(p.beta.a.in_session());
    // And then both take the next one.
    p.alpha.lost(3);
    p.alpha.after(100ms);
    p.alpha.opened(4, true);
    p.beta.opened(4, false);
    p.beta.hears(p.alpha, 4);
    CHECK(p.alpha.hears(p.beta, 4)[0] == "ended 1 peer_forgot: node beta had ended the session");
    CHECK(p.beta.hears(p.alpha, 4) == strings{"began 2", "attach 4"});
  }
}

TEST_CASE("nobody listens: the session ends at once, and dialling goes on") {
  pair p;
  p.pass(3s);
  CHECK(p.alpha.lost(1) == strings{"detach 1", "dial"});
  CHECK(p.alpha.dial_failed(true) ==
        strings{"ended 1 refused: nobody listens at node beta's address: connection refused"});
  CHECK(p.alpha.idle() >= 25ms);
  CHECK(p.alpha.idle() <= 50ms);
}

TEST_CASE("a dial that fails in another way leaves the session alone") {
  pair p;
  p.pass(3s);
  p.alpha.lost(1);
  CHECK(p.alpha.dial_failed(false).empty());
  CHECK(p.alpha.a.in_session());
}

TEST_CASE("a refused dial ends nothing while the peer shows that it lives") {
  pair p;
  p.pass(3s);
  p.alpha.lost(1);
  p.beta.lost(1);
  p.beta.opened(3, true);
  p.alpha.opened(3, false);
  p.alpha.hears(p.beta, 3);
  CHECK(p.alpha.dial_failed(true).empty());
  CHECK(p.alpha.a.in_session());
}

TEST_CASE("without a link the session ends after the session limit and not before") {
  pair p;
  p.alpha.lost(1);
  p.alpha.dial_failed();
  p.alpha.after(9'999ms);
  CHECK(p.alpha.a.in_session());
  p.alpha.after(1ms);
  CHECK_FALSE(p.alpha.a.in_session());
}

TEST_CASE("a link in time saves the session, whatever comes after the old limit") {
  pair p;
  p.alpha.lost(1);
  p.beta.lost(1);
  p.alpha.after(9s);
  p.beta.after(9s);
  join(p.alpha, p.beta, 3);
  CHECK(p.alpha.after(5s).empty());
  CHECK(p.alpha.a.in_session());
  CHECK(p.alpha.a.link() == 3);
}

TEST_CASE("the pauses between dials double up to their limit, with a jitter of at most half") {
  for (const std::uint64_t random : {std::uint64_t{0}, std::uint64_t{12'345}, ~std::uint64_t{0}}) {
    party alpha{"alpha", "beta"};
    alpha.random = random;
    CHECK(alpha.start() == strings{"dial"});
    std::int64_t most = 50;
    for (int n = 0; n < 200; ++n) {
      CHECK(alpha.dial_failed().empty());
      CHECK(alpha.idle().count() >= most / 2);
      CHECK(alpha.idle().count() <= most);
      CHECK(alpha.after(alpha.idle()) == strings{"dial"});
      most = std::min<std::int64_t>(2 * most, 2'000);
    }
  }
}

TEST_CASE("the jitter spreads over its whole range") {
  std::set<std::int64_t> seen;
  for (std::uint64_t random = 0; random < 10'000; ++random) {
    party alpha{"alpha", "beta"};
    alpha.start();
    alpha.random = random;
    alpha.dial_failed();
    seen.insert(alpha.idle().count());
  }
  CHECK(*seen.begin() == 25);
  CHECK(*seen.rbegin() == 50);
  CHECK(seen.size() == 26);
}

TEST_CASE("links that do not live long do not make a busy loop") {
  pair p;
  p.beta.lost(1);
  int dials = 0;
  const auto begin = p.alpha.now;
  link_id link = 10;
  p.alpha.lost(1);
  while (p.alpha.now < begin + 60s) {
    ++dials;
    p.alpha.opened(++link, true);
    p.beta.opened(link, false);
    p.beta.hears(p.alpha, link);
    p.alpha.hears(p.beta, link);
    p.beta.hears(p.alpha, link);
    p.alpha.lost(link);
    p.beta.lost(link);
    p.alpha.after(std::max(p.alpha.idle(), 1ms));
  }
  CHECK(dials < 80);
  CHECK(p.alpha.a.in_session());
  // One that does resets the pauses.
  p.alpha.opened(++link, true);
  p.beta.opened(link, false);
  p.beta.hears(p.alpha, link);
  p.alpha.hears(p.beta, link);
  p.alpha.after(2s);
  CHECK(p.alpha.lost(link) == strings{"detach " + std::to_string(link), "dial"});
}

TEST_CASE("a dial that is never answered is given up") {
  party alpha{"alpha", "beta"};
  alpha.start();
  CHECK(alpha.idle() == 5s);
  CHECK(alpha.after(5s).empty());
  CHECK(alpha.after(50ms) == strings{"dial"});
  // The answer comes late: a link is a link.
  CHECK(alpha.opened(1, true) == strings{"send 1 hello"});
  CHECK(alpha.opened(2, true) == strings{"close 2: it is not needed any more"});
}

TEST_CASE("a handshake has a deadline, on both sides") {
  party alpha{"alpha", "beta"}, beta{"beta", "alpha"};
  alpha.start();
  alpha.opened(1, true);
  CHECK(alpha.idle() == 5s);
  CHECK(alpha.after(5s) == strings{"close 1: the handshake has not come to an end in time"});
  CHECK(alpha.idle() > 0s);

  beta.start();
  beta.dial_failed();
  beta.opened(1, false);
  CHECK(beta.after(4s) == strings{"dial"});
  CHECK(beta.hears(alpha, 1) == strings{"send 1 welcome"});
  CHECK(beta.after(4'999ms).empty());
  CHECK(beta.after(1ms).front() == "close 1: the handshake has not come to an end in time");
}

TEST_CASE("a hello twice, or anything else out of place, closes its link and nothing more") {
  pair p;
  p.alpha.lost(1);
  p.alpha.opened(2, true);
  const auto hello = p.alpha.sent[2];
  p.beta.opened(2, false);
  p.beta.hears(2, hello);
  CHECK(p.beta.hears(2, hello) == strings{"close 2: a handshake frame is out of place"});
  p.beta.opened(3, false);
  CHECK(p.beta.hears(3, whole_frame(frame_kind::ready, {})) ==
        strings{"close 3: a handshake frame is out of place"});
  CHECK(p.beta.a.link() == 1);
  CHECK(p.alpha.hears(2, hello)[0] == "close 2: a frame is out of place");
}

TEST_CASE("a handshake frame on the session's link ends the session") {
  pair p;
  CHECK(p.beta.hears(1, p.alpha.sent[1]) ==
        strings{"detach 1", "close 1: a handshake frame comes after the handshake",
                "ended 1 violation: a handshake frame comes after the handshake"});
}

TEST_CASE("garbage in the place of a handshake closes its link and nothing more") {
  pair p;
  const auto garbage = frame_of(frame_kind::hello, "GET / HTTP/1.1");
  p.beta.opened(2, false);
  const auto did = p.beta.hears(2, garbage);
  REQUIRE(did.size() == 3);
  CHECK(
      did[0].starts_with("note node beta refuses node alpha (malformed): a hello cannot be read"));
  CHECK(did[1] == "send 2 refuse");
  CHECK(did[2].starts_with("close 2: it was refused: a hello cannot be read"));

  p.alpha.lost(1);
  for (const auto what : {frame_kind::welcome, frame_kind::refuse}) {
    p.alpha.after(2s);
    p.alpha.opened(3, true);
    const auto heard = p.alpha.hears(3, frame_of(what, "\xc1\xff\xff"));
    CHECK(heard[1].starts_with("close 3: "));
    CHECK(p.alpha.a.in_session());
  }
  CHECK(p.beta.a.link() == 1);
}

TEST_CASE("frames of links that nobody knows change nothing") {
  pair p;
  CHECK(p.beta.hears(77, p.alpha.sent[1]).empty());
  CHECK(p.beta.lost(77).empty());
  CHECK(p.beta.hears(1, frame_of(frame_kind::heartbeat, "")).empty());
}

TEST_CASE("goodbye ends the session at once, and is told as such") {
  pair p;
  p.pass(3s);
  p.alpha.a.stop("the operator wants it", p.alpha.now);
  CHECK(p.alpha.did() == strings{"send 1 goodbye by session"});
  CHECK_FALSE(p.alpha.a.over());
  CHECK(p.beta.hears(p.alpha, 1) ==
        strings{"detach 1", "close 1: the peer said goodbye",
                "ended 1 peer_stopped: node alpha has stopped: the operator wants it"});
  CHECK(p.beta.idle() >= 25ms);
  CHECK(p.alpha.lost(1) == strings{"detach 1", "ended 1 stopped: node alpha has stopped"});
  CHECK(p.alpha.a.over());
  CHECK(p.alpha.idle() < 0ms);
}

TEST_CASE("a goodbye that the peer does not answer is not waited for longer than the farewell") {
  pair p;
  p.alpha.a.stop("", p.alpha.now);
  p.alpha.did();
  CHECK(p.alpha.idle() == association::farewell);
  CHECK(p.alpha.after(association::farewell) ==
        strings{"detach 1", "close 1: the peer has not closed the link in time",
                "ended 1 stopped: node alpha has stopped"});
  CHECK(p.alpha.a.over());
}

TEST_CASE("the end of the farewell does not keep other deadlines from being kept") {
  limits bounds;
  bounds.handshake_deadline = 500ms;
  party alpha{"alpha", "beta", 1, bounds}, beta{"beta", "alpha", 1, bounds};
  beta.start();
  beta.dial_failed();
  join(alpha, beta, 1);
  alpha.a.stop("", alpha.now);
  alpha.did();
  alpha.opened(2, false);
  CHECK(alpha.after(500ms) == strings{"detach 1",
                                      "close 1: the peer has not closed the link in time",
                                      "ended 1 stopped: node alpha has stopped",
                                      "close 2: the handshake has not come to an end in time"});
  CHECK(alpha.idle() < 0ms);
}

TEST_CASE("two nodes may say goodbye to each other") {
  pair p;
  p.alpha.a.stop("", p.alpha.now);
  p.beta.a.stop("", p.beta.now);
  p.alpha.did();
  p.beta.did();
  CHECK(p.beta.hears(p.alpha, 1) ==
        strings{"detach 1", "close 1: both nodes stop", "ended 1 stopped: node beta has stopped"});
  CHECK(p.beta.a.over());
}

TEST_CASE("a node that stops closes what is under way, and refuses what comes") {
  pair p;
  p.alpha.lost(1);
  p.alpha.opened(2, true);
  p.alpha.a.stop("", p.alpha.now);
  CHECK(p.alpha.did() ==
        strings{"close 2: this node is stopping", "ended 1 stopped: node alpha has stopped"});
  CHECK(p.alpha.a.over());
  p.beta.lost(1);
  p.beta.opened(3, true);
  p.alpha.opened(3, false);
  CHECK(p.alpha.hears(p.beta, 3) ==
        strings{"send 3 refuse", "close 3: it was refused: node alpha is stopping"});
  CHECK(p.beta.hears(p.alpha, 3) == strings{"ended 1 peer_stopped: node alpha is stopping",
                                            "close 3: it was refused: node alpha is stopping"});
}

TEST_CASE("a node that never started stops without a word") {
  party alpha{"alpha", "beta"};
  alpha.a.stop("", alpha.now);
  CHECK(alpha.did().empty());
  CHECK(alpha.a.over());
}

TEST_CASE("the owner may end a session that is no use") {
  pair p;
  p.alpha.a.end(session_end::violation, "an ack lies", p.alpha.now);
  CHECK(p.alpha.did() ==
        strings{"detach 1", "close 1: an ack lies", "ended 1 violation: an ack lies"});
  CHECK(p.alpha.a.session() == 2);
  CHECK(p.alpha.idle() >= 25ms);
}

TEST_CASE("a peer that claims to have what was never sent gets no session") {
  pair p;
  p.alpha.lost(1);
  p.beta.lost(1);
  p.alpha.after(10s);
  p.beta.after(10s);
  REQUIRE(p.alpha.a.session() == 2);
  hello h;
  SUBCASE("as a dialler") {
    p.beta.opened(3, true);
    h = *read_hello(std::span{p.beta.sent[3]}.subspan(frame_header));
    h.has = {.user = 1, .bulk = 0};
    p.alpha.opened(3, false);
    p.alpha.hears(3, write(h));
    CHECK(p.alpha.hears(3, write(ready{2})) ==
          strings{"note node beta claims to have received what was never sent",
                  "close 3: the peer claims to have received what was never sent"});
  }
  SUBCASE("as an acceptor") {
    p.alpha.opened(3, true);
    p.beta.opened(3, false);
    p.beta.hears(p.alpha, 3);
    auto w = *read_welcome(std::span{p.beta.sent[3]}.subspan(frame_header));
    w.has = {.user = 1, .bulk = 0};
    CHECK(p.alpha.hears(3, write(w))[1] ==
          "close 3: the peer claims to have received what was never sent");
  }
  CHECK_FALSE(p.alpha.a.in_session());
}

TEST_CASE("a dialler that is ready for another session than agreed on is not attached") {
  pair p;
  p.alpha.lost(1);
  p.alpha.opened(3, true);
  p.beta.opened(3, false);
  p.beta.hears(p.alpha, 3);
  CHECK(p.beta.hears(3, write(ready{2}))[1] ==
        "close 3: it is ready for a session that was not agreed on");
  CHECK(p.beta.a.link() == 1);
}

TEST_CASE("while a welcomed peer is waited for nobody dials, and when it has gone somebody does") {
  pair p;
  p.alpha.lost(1);
  p.alpha.opened(2, true);
  p.beta.lost(1);
  p.beta.dial_failed();
  p.beta.opened(2, false);
  p.beta.hears(p.alpha, 2);
  CHECK(p.beta.after(3s).empty());
  CHECK(p.beta.lost(2) == strings{"dial"});
}

TEST_CASE("of many links that come in at once only a few are kept") {
  pair p;
  p.alpha.lost(1);
  p.alpha.opened(2, true);
  const auto hello = p.alpha.sent[2];
  for (link_id link = 10; link < 14; ++link) {
    p.beta.opened(link, false);
    p.beta.hears(link, hello);
  }
  CHECK(p.beta.opened(14, false) == strings{"close 10: newer links have come"});
}

TEST_CASE("a configuration that differs is reported once per session, and not more") {
  auto other = identity_of("beta", 1);
  other.digest = 100;
  party alpha{"alpha", "beta"}, beta{other, "alpha"};
  beta.start();
  beta.dial_failed();
  alpha.start();
  alpha.opened(1, true);
  beta.opened(1, false);
  beta.hears(alpha, 1);
  CHECK(alpha.hears(beta, 1) ==
        strings{"began 1", "digest differs", "attach 1", "send 1 ready by session"});
  CHECK(alpha.action(kind::digest_differs).peer.digest == 100);
  CHECK(beta.hears(alpha, 1) == strings{"began 1", "digest differs", "attach 1"});
  alpha.lost(1);
  alpha.after(100ms);
  beta.lost(1);
  alpha.opened(2, true);
  beta.opened(2, false);
  beta.hears(alpha, 2);
  CHECK(alpha.hears(beta, 2) == strings{"attach 2 resumed", "send 2 ready by session"});
}

TEST_CASE("the newest version and the features that both have are used") {
  auto old = identity_of("alpha", 1), recent = identity_of("beta", 1);
  old.newest = 3;
  recent.oldest = 2;
  recent.newest = 5;
  old.features = {"a", "b"};
  recent.features = {"b", "c"};
  party alpha{old, "beta"}, beta{recent, "alpha"};
  beta.start();
  beta.dial_failed();
  alpha.start();
  alpha.opened(1, true);
  beta.opened(1, false);
  beta.hears(alpha, 1);
  alpha.hears(beta, 1);
  CHECK(alpha.action(kind::attach).peer.protocol == 3);
  CHECK(alpha.action(kind::attach).peer.features == strings{"b"});
  beta.hears(alpha, 1);
  CHECK(beta.action(kind::attach).peer.protocol == 3);
  CHECK(beta.action(kind::attach).peer.features == strings{"b"});
}

TEST_CASE("a peer that refuses is dialled seldom, and said to do so once") {
  party alpha{"alpha", "beta"};
  alpha.start();
  const auto no = write(refuse{refusal::unknown_node, "the configuration knows no node alpha"});
  alpha.opened(1, true);
  CHECK(alpha.hears(1, no) ==
        strings{"note node beta refuses node alpha (unknown_node): the configuration knows no node "
                "alpha",
                "close 1: it was refused: the configuration knows no node alpha"});
  CHECK(alpha.idle() == 1s);
  alpha.after(1s);
  alpha.opened(2, true);
  CHECK(alpha.hears(2, no) ==
        strings{"close 2: it was refused: the configuration knows no node alpha"});
}

TEST_CASE("a certificate of another node is refused, on both sides") {
  party alpha{"alpha", "beta"}, beta{"beta", "alpha"};
  alpha.start();
  CHECK(alpha.opened(1, true, "gamma") ==
        strings{"note node alpha has dialled node beta, and who answers has the certificate of "
                "\"gamma\"",
                "close 1: the certificate is another node's"});
  alpha.after(2s);
  alpha.opened(2, true, "beta");
  beta.opened(2, false, "gamma");
  CHECK(beta.hears(alpha, 2) ==
        strings{"note node beta refuses node alpha (certificate): the certificate is node "
                "\"gamma\"'s, and not \"alpha\"'s",
                "send 2 refuse",
                "close 2: it was refused: the certificate is node \"gamma\"'s, and not "
                "\"alpha\"'s"});
  party good{"beta", "alpha"};
  good.opened(3, false, "alpha");
  good.start();
  CHECK(good.hears(3, alpha.sent[2]) == strings{"send 3 welcome"});
}

TEST_CASE("a node that answers at another one's address is not taken for it") {
  party alpha{"alpha", "beta"}, gamma{"gamma", "alpha"};
  gamma.start();
  alpha.start();
  alpha.opened(1, true);
  gamma.opened(1, false);
  gamma.hears(alpha, 1);
  CHECK(read_refuse(std::span{gamma.sent[1]}.subspan(frame_header))->code == refusal::wrong_node);
  auto w = welcome{.protocol = 1,
                   .cluster = "shop",
                   .from = "gamma",
                   .to = "alpha",
                   .incarnation = {1, 1},
                   .session = 1};
  CHECK(alpha.hears(1, write(w))[1] ==
        "close 1: its welcome was not accepted: node \"gamma\" answers at node beta's address: "
        "check the addresses in the configuration");
}
