// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/peer_session_private.hpp>

#include "tools.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

using namespace coppice::wire;
using namespace std::chrono_literals;
using namespace wire_tools;
using coppice::peer_session;
using outcome = outlet::outcome;
using room = outlet::room;
using strings = std::vector<std::string>;

namespace {

/// Takes as many bytes as it is told to, and keeps them.
class wire_end final : public link {
 public:
  std::size_t write(std::span<const std::span<const std::byte>> pieces) noexcept override {
    ++writes;
    std::size_t now = 0;
    for (const auto& piece : pieces) {
      const auto part = piece.first(std::min(piece.size(), takes - now));
      written.insert(written.end(), part.begin(), part.end());
      now += part.size();
    }
    takes -= now;
    if (meanwhile) std::exchange(meanwhile, {})();
    return now;
  }
  void close(std::string_view) noexcept override {}
  const link_info& info() const noexcept override { return info_; }

  strings frames() const {
    limits bounds;
    arrivals in{bounds};
    frame_reader reader{true};
    reader.open(in, {});
    listener hear;
    CHECK(reader.feed(written, hear));
    return hear.heard;
  }

  std::vector<std::byte> written;
  std::size_t takes = 1'000'000;
  std::size_t writes = 0;
  std::function<void()> meanwhile;  ///< what happens while the next write is under way

 private:
  link_info info_{};
};

struct town {
  explicit town(std::size_t buffer = 1'000'000) {
    bounds.send_buffer_bytes = buffer;
    way = line->begin(bounds);
  }
  bool attach(received by_peer = {}) { return line->attach(carrier, by_peer, nullptr); }
  outcome send(std::string_view message, room in = room::ordinary) {
    return way->send(lane::user, bytes_of(message), in);
  }

  limits bounds{};
  const std::shared_ptr<peer_session> line = std::make_shared<peer_session>();
  std::shared_ptr<outlet> way;
  const std::shared_ptr<wire_end> carrier = std::make_shared<wire_end>();
};

}  // namespace

TEST_CASE("what opens a link at the other end goes out before what workers have sent") {
  town t;
  t.send("early");
  association_action ready{association_action::kind::send};
  ready.frame = frame_kind::heartbeat;
  ready.bytes = frame_of(ready.frame, "");
  REQUIRE(t.line->attach(t.carrier, {}, &ready));
  t.way->flush();
  CHECK(t.carrier->frames() == strings{"heartbeat:", "user:early"});
}

TEST_CASE("a peer that claims what was never sent gets no link") {
  town t;
  CHECK_FALSE(t.attach({1, 0}));
  CHECK_FALSE(t.line->link());
}

TEST_CASE("what is sent while no link is there goes out by the next one") {
  town t;
  t.send("1");
  t.way->flush();
  REQUIRE(t.attach());
  t.line->detach();
  t.send("2");
  t.line->control(frame_kind::heartbeat, {});  // is lost
  t.way->flush();
  CHECK(t.carrier->written.empty());
  REQUIRE(t.attach());
  t.way->flush();
  CHECK(t.carrier->frames() == strings{"user:1", "user:2"});
}

TEST_CASE("a link that is full is left alone until it says that it takes more") {
  town t;
  REQUIRE(t.attach());
  t.carrier->takes = 3;
  t.send("1");
  t.way->flush();
  t.send("2");
  t.way->flush();
  CHECK(t.carrier->writes == 1);
  t.carrier->takes = 100;
  const wire_end another;
  t.line->writable(another);
  CHECK(t.carrier->writes == 1);
  t.line->writable(*t.carrier);
  CHECK(t.carrier->frames() == strings{"user:1", "user:2"});
}

// Else nobody would ever write to it again.
TEST_CASE("a link that says so while it is being written to is written to at once") {
  town t;
  REQUIRE(t.attach());
  t.carrier->takes = 3;
  t.carrier->meanwhile = [&] {
    t.carrier->takes = 100;
    t.line->writable(*t.carrier);
  };
  t.send("1");
  t.way->flush();
  CHECK(t.carrier->frames() == strings{"user:1"});
}

TEST_CASE("what others send while one writes is written by that one") {
  town t;
  REQUIRE(t.attach());
  t.carrier->meanwhile = [&] {
    t.send("2");
    t.way->flush();
    CHECK(t.carrier->writes == 1);
  };
  t.send("1");
  t.way->flush();
  CHECK(t.carrier->frames() == strings{"user:1", "user:2"});
}

TEST_CASE("whoever found the buffer full is told once there is room, and once") {
  using acknowledgement = peer_session::acknowledgement;
  town t{100'000};
  REQUIRE(t.attach());
  const std::string large(40'000, 'x');
  std::uint64_t sent = 0;
  for (; t.send(large) == outcome::taken; t.way->flush()) ++sent;
  CHECK(sent == 2);
  const std::uint64_t both = 2 * sent;  // each takes two frames
  CHECK(t.line->acknowledged({both + 1, 0}) == acknowledgement::lie);
  CHECK(t.line->acknowledged({both, 0}) == acknowledgement::room_again);
  CHECK(t.line->acknowledged({both, 0}) == acknowledgement::taken);
}

TEST_CASE("what is owed may use a reserve, and when that is full too the peer must be told") {
  town t{1'000};
  const std::string part(600, 'x');
  CHECK(t.send(part) == outcome::taken);
  CHECK(t.send(part) == outcome::full);
  CHECK(t.send(part, room::reserve) == outcome::taken);
  CHECK(t.send(part, room::reserve) == outcome::taken);
  CHECK_FALSE(t.line->overrun());
  CHECK(t.send(part, room::reserve) == outcome::full);
  CHECK(t.line->overrun());
  CHECK_FALSE(t.line->overrun());
}

TEST_CASE("a message that is larger than any may be waits for no room") {
  town t{1'000};
  t.send("1");
  CHECK(t.send(std::string(t.bounds.message_bytes + 1, 'x')) == outcome::too_large);
}

TEST_CASE("the way of a session that has ended leads into no other one") {
  town t;
  REQUIRE(t.attach());
  t.send("1");
  const auto last = t.line->end();
  REQUIRE(last);
  CHECK(last->buffered() > 0);
  CHECK(t.send("2") == outcome::closed);
  CHECK_FALSE(t.line->link());
  CHECK_FALSE(t.line->buffered());
  const auto next = t.line->begin(t.bounds);
  CHECK(t.send("3") == outcome::closed);
  CHECK(t.line->buffered() == 0u);
}

TEST_CASE("time counts as unconfirmed only while something waits and nothing of it is confirmed") {
  town t;
  REQUIRE(t.attach());
  CHECK(t.line->still_unconfirmed(1s) == 0s);
  t.send("1");
  t.send("2");
  t.way->flush();
  CHECK(t.line->still_unconfirmed(1s) == 1s);
  CHECK(t.line->still_unconfirmed(2s) == 3s);
  t.line->acknowledged({1, 0});
  CHECK(t.line->still_unconfirmed(1s) == 0s);
  CHECK(t.line->still_unconfirmed(1s) == 1s);
  t.line->acknowledged({2, 0});
  CHECK(t.line->still_unconfirmed(1s) == 0s);
  CHECK(t.line->still_unconfirmed(1s) == 0s);
}
