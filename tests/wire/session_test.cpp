// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <random>

using namespace coppice::wire;
using namespace wire_tools;
using strings = std::vector<std::string>;

namespace {

limits small_buffer(std::size_t bytes) {
  limits l;
  l.send_buffer_bytes = bytes;
  return l;
}

strings read(std::span<const std::byte> bytes) {
  limits bounds;
  arrivals in{bounds};
  frame_reader reader{true};
  reader.open(in, {});
  listener hear;
  CHECK(reader.feed(bytes, hear));
  return hear.heard;
}

bool send(session& s, std::string_view message, lane where = lane::user) {
  return s.send(where, bytes_of(message));
}

strings unacknowledged(const session& s) {
  strings all;
  s.each_unacknowledged([&](lane where, std::span<const std::byte> payload) {
    listener l;
    l(where == lane::user ? frame_kind::user : frame_kind::bulk, payload);
    all.push_back(l.heard.front());
  });
  return all;
}

/// A session with a link that has taken nothing yet.
struct linked : session {
  explicit linked(const limits& l = {}) : session{l} { attach({}); }
};

}  // namespace

TEST_CASE("messages go out in the order in which they were sent") {
  linked s;
  CHECK(send(s, "1"));
  CHECK(send(s, "2"));
  CHECK(s.anything_to_write());
  CHECK(read(drain(s)) == strings{"user:1", "user:2"});
  CHECK_FALSE(s.anything_to_write());
}

TEST_CASE("small messages of one lane go out as one piece") {
  linked s;
  for (int i = 0; i < 500; ++i) send(s, "a message");
  std::span<const std::byte> pieces[4];
  CHECK(s.gather(pieces) == 1);
  CHECK(pieces[0].size() == 500 * 13);
}

TEST_CASE("a long message goes out in pieces, between which the other lane's pass") {
  linked s;
  send(s, std::string(3 * max_frame, 'b'), lane::bulk);
  send(s, "small");
  send(s, std::string(2 * max_frame + 1, 'u'));
  strings kinds;
  const auto bytes = drain(s);
  for (std::size_t at = 0; at < bytes.size(); at += 4 + payload_size(bytes.data() + at))
    kinds.emplace_back(name(static_cast<frame_kind>(bytes[at])));
  // A run of user frames may be as long as one large frame.
  CHECK(kinds ==
        strings{"user", "bulk_more", "user_more", "bulk_more", "user_more", "bulk", "user"});
  CHECK(read(bytes) == strings{"user:small", "bulk:98304", "user:65537"});
}

TEST_CASE("control frames go first, but not into a frame that has begun") {
  linked s;
  send(s, "first");
  send(s, "second");
  auto bytes = drain(s, 5);
  s.control(frame_kind::heartbeat, {});
  s.control(frame_kind::ack, bytes_of("0123456789abcdef"));
  const auto rest = drain(s);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  CHECK(read(bytes) == strings{"user:first", "heartbeat:", "ack:0123456789abcdef", "user:second"});
}

TEST_CASE("control frames are lost with the link, and without one") {
  session s{limits{}};
  CHECK_FALSE(s.control(frame_kind::heartbeat, {}));
  s.attach({});
  CHECK(s.control(frame_kind::heartbeat, {}));
  s.detach();
  s.attach({});
  CHECK(drain(s).empty());
}

TEST_CASE("control frames that a link does not take are bounded") {
  linked s;
  const std::string payload(1'020, 'g');
  int taken = 0;
  while (s.control(frame_kind::gossip, bytes_of(payload))) ++taken;
  CHECK(taken == 64);
  drain(s);
  CHECK(s.control(frame_kind::gossip, bytes_of(payload)));
}

TEST_CASE("without a link messages are kept, and nothing is there to write") {
  session s{limits{}};
  CHECK(send(s, "1"));
  CHECK_FALSE(s.anything_to_write());
  CHECK(drain(s).empty());
  CHECK(s.attach({}));
  CHECK(read(drain(s)) == strings{"user:1"});
}

TEST_CASE("what the peer acknowledges is freed") {
  linked s;
  send(s, std::string(60, 'u'));
  send(s, std::string(96, 'b'), lane::bulk);
  CHECK(s.buffered() == 164);
  drain(s);
  CHECK(s.buffered() == 164);
  CHECK(s.acknowledged({.user = 1, .bulk = 0}));
  CHECK(s.buffered() == 100);
  CHECK(s.peer_has() == received{1, 0});
  CHECK(s.acknowledged({.user = 1, .bulk = 1}));
  CHECK(s.buffered() == 0);
  CHECK(s.peer_has() == received{1, 1});
}

TEST_CASE("a peer that acknowledges what was never sent, or less than before, lies") {
  linked s;
  send(s, "1");
  send(s, "2");
  CHECK_FALSE(s.acknowledged({.user = 1, .bulk = 0}));
  drain(s, 6);
  CHECK(s.acknowledged({.user = 1, .bulk = 0}));
  CHECK_FALSE(s.acknowledged({.user = 2, .bulk = 0}));
  CHECK_FALSE(s.acknowledged({.user = 1, .bulk = 1}));
  CHECK_FALSE(s.acknowledged({.user = 0, .bulk = 0}));
  CHECK_FALSE(s.acknowledged({.user = ~0ull, .bulk = ~0ull}));
  CHECK(s.buffered() == 5);
  CHECK(unacknowledged(s) == strings{"user:2"});
}

TEST_CASE("a lie about one lane changes nothing of the other") {
  linked s;
  send(s, "1");
  drain(s);
  CHECK_FALSE(s.acknowledged({.user = 1, .bulk = 1}));
  CHECK(s.buffered() == 5);
}

TEST_CASE("a new link goes on with the first frame that the peer lacks") {
  linked s;
  for (const char* m : {"1", "2", "3", "4"}) send(s, m);
  send(s, "b", lane::bulk);
  drain(s);
  s.detach();
  send(s, "5");
  CHECK(s.attach({.user = 2, .bulk = 1}));
  CHECK(read(drain(s)) == strings{"user:3", "user:4", "user:5"});
}

TEST_CASE("a new link begins with a whole frame, wherever the old one has stopped") {
  const std::string message(100, 'm');
  for (std::size_t cut = 0; cut <= 3 * 104; ++cut) {
    linked s;
    for (int i = 0; i < 3; ++i) send(s, message);
    drain(s, cut);
    s.detach();
    CHECK(s.attach({.user = cut / 104, .bulk = 0}));
    CHECK(read(drain(s)).size() == 3 - cut / 104);
  }
}

TEST_CASE("a new link is refused if the peer claims what was never sent") {
  linked s;
  send(s, "1");
  send(s, "2");
  drain(s, 5);
  s.detach();
  CHECK_FALSE(s.attach({.user = 2, .bulk = 0}));
  CHECK_FALSE(s.attach({.user = 0, .bulk = 1}));
  CHECK_FALSE(s.attached());
  CHECK(s.attach({.user = 1, .bulk = 0}));
  CHECK(read(drain(s)) == strings{"user:2"});
}

TEST_CASE("a new link is refused if the peer lacks what it had acknowledged") {
  linked s;
  send(s, "1");
  drain(s);
  s.acknowledged({.user = 1, .bulk = 0});
  s.detach();
  CHECK_FALSE(s.attach({}));
}

TEST_CASE("what was written to an older link may be acknowledged before it is written again") {
  linked s;
  for (const char* m : {"1", "2", "3"}) send(s, m);
  drain(s);
  s.detach();
  CHECK(s.attach({}));
  // The older link's bytes have arrived after all.
  CHECK(s.acknowledged({.user = 3, .bulk = 0}));
  CHECK(s.buffered() == 0);
  CHECK(read(drain(s)) == strings{"user:1", "user:2", "user:3"});
  send(s, "4");
  CHECK(read(drain(s)) == strings{"user:4"});
  CHECK(s.acknowledged({.user = 4, .bulk = 0}));
}

TEST_CASE("what is acknowledged and has to be written again is kept until it is written") {
  linked s;
  const std::string message(max_frame, 'm');
  for (int i = 0; i < 6; ++i) send(s, message);
  drain(s);
  s.detach();
  CHECK(s.attach({}));
  CHECK(s.acknowledged({.user = 5, .bulk = 0}));
  CHECK(read(drain(s)) == strings(6, "user:32768"));
  CHECK(unacknowledged(s) == strings{"user:32768"});
}

TEST_CASE("a full buffer refuses and takes nothing, until the peer acknowledges") {
  linked s{small_buffer(1'000)};
  int taken = 0;
  while (send(s, std::string(96, 'm'))) ++taken;
  CHECK(taken == 10);
  CHECK(s.buffered() == 1'000);
  CHECK_FALSE(send(s, ""));
  CHECK(read(drain(s)).size() == 10);
  CHECK_FALSE(s.has_room(lane::user, 0));
  s.acknowledged({.user = 1, .bulk = 0});
  CHECK(s.has_room(lane::user, 96));
  CHECK_FALSE(s.has_room(lane::user, 97));
  CHECK(send(s, std::string(96, 'm')));
}

TEST_CASE("what waits in one lane takes no room from the other") {
  limits bounds = small_buffer(100'000);
  bounds.message_bytes = 200'000;
  linked s{bounds};
  CHECK(send(s, std::string(200'000, 'b'), lane::bulk));
  CHECK_FALSE(send(s, "", lane::bulk));
  CHECK(send(s, std::string(50'000, 'm')));
  CHECK_FALSE(s.has_room(lane::user, 50'000));
  CHECK(read(drain(s)) == strings{"user:50000", "bulk:200000"});
}

TEST_CASE("what may use the reserve is taken when the buffer is full, until that is full too") {
  linked s{small_buffer(1'000)};
  while (send(s, std::string(96, 'm'))) {
  }
  const std::string owed(46, 'o');
  int taken = 0;
  while (s.send(lane::user, bytes_of(owed), 500)) ++taken;
  CHECK(taken == 10);
  CHECK(s.buffered() == 1'500);
}

TEST_CASE("a message larger than the buffer is taken when nothing else waits") {
  limits bounds = small_buffer(100'000);
  bounds.message_bytes = 200'000;
  linked s{bounds};
  CHECK_FALSE(s.has_room(lane::user, 200'001));
  CHECK_FALSE(send(s, std::string(200'001, 'm')));
  send(s, "1");
  CHECK_FALSE(send(s, std::string(200'000, 'm')));
  drain(s);
  s.acknowledged({.user = 1, .bulk = 0});
  CHECK(send(s, std::string(200'000, 'm')));
  CHECK_FALSE(s.has_room(lane::user, 0));
  CHECK(read(drain(s)) == strings{"user:200000"});
}

TEST_CASE("all that is not acknowledged as a whole can be named, by its first frame, in order") {
  linked s;
  send(s, "1");
  send(s, std::string(10 * max_frame, 'l'));
  send(s, "b", lane::bulk);
  send(s, "3");
  CHECK(unacknowledged(s) == strings{"user:1", "user:32768", "user:3", "bulk:b"});
  drain(s);
  s.acknowledged({.user = 1, .bulk = 0});
  CHECK(unacknowledged(s) == strings{"user:32768", "user:3", "bulk:b"});
  // Part of it has arrived, and the chunk with its first frame is free.
  s.acknowledged({.user = 10, .bulk = 1});
  CHECK(s.memory() < 6 * 64 * 1024);
  CHECK(unacknowledged(s) == strings{"user:32768", "user:3"});
  s.acknowledged({.user = 11, .bulk = 1});
  CHECK(unacknowledged(s) == strings{"user:3"});
  s.acknowledged({.user = 12, .bulk = 1});
  CHECK(unacknowledged(s).empty());
}

TEST_CASE("a message of which nothing is left to acknowledge is not named with a later one") {
  linked s;
  // Two chunks; the second one ends with the long message's end and a small one.
  send(s, std::string(2 * max_frame + 10, 'l'));
  send(s, "small");
  for (int i = 0; i < 2; ++i) send(s, std::string(max_frame, 'x'));
  send(s, "last");
  drain(s);
  s.acknowledged({.user = 3, .bulk = 0});
  CHECK(unacknowledged(s) == strings{"user:small", "user:32768", "user:32768", "user:last"});
  s.acknowledged({.user = 5, .bulk = 0});
  CHECK(unacknowledged(s) == strings{"user:32768", "user:last"});
  s.acknowledged({.user = 6, .bulk = 0});
  CHECK(unacknowledged(s) == strings{"user:last"});
}

TEST_CASE("what was gathered stays where it is until it is written, whatever is called meanwhile") {
  linked s;
  const std::string message(1'000, 'm');
  for (int i = 0; i < 200; ++i) send(s, message);
  std::span<const std::byte> pieces[8];
  const std::size_t filled = s.gather(pieces);
  REQUIRE(filled == 4);
  for (int i = 0; i < 200; ++i) send(s, message, lane::bulk);
  s.control(frame_kind::heartbeat, {});
  // The peer is faster than the one who reports what was written.
  CHECK(s.acknowledged({.user = 150, .bulk = 0}));
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < filled; ++i)
    bytes.insert(bytes.end(), pieces[i].begin(), pieces[i].end());
  CHECK(read(bytes) == strings(200, "user:1000"));
  s.wrote(bytes.size());
  CHECK(s.memory() < 10 * 64 * 1024);
  CHECK(read(drain(s)).front() == "heartbeat:");
}

TEST_CASE("a link may be lost and replaced while it is written to") {
  linked s;
  const std::string message(1'000, 'm');
  for (int i = 0; i < 200; ++i) send(s, message);
  std::span<const std::byte> pieces[8];
  const std::size_t filled = s.gather(pieces);
  s.detach();
  CHECK(s.attach({.user = 190, .bulk = 0}));
  // Still the old link's writer.
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < filled; ++i)
    bytes.insert(bytes.end(), pieces[i].begin(), pieces[i].end());
  CHECK(read(bytes).size() == 200);
  s.wrote(700);
  CHECK(read(drain(s)).size() == 10);
}

TEST_CASE("random sends, cuts, losses and acknowledgements lose, double and reorder nothing") {
  std::mt19937 random{4711};
  for (int round = 0; round < 15; ++round) {
    limits bounds = small_buffer(300'000);
    bounds.message_bytes = 150'000;
    session s{bounds};
    arrivals in{bounds};
    received told;
    std::deque<std::string> expected[2];
    std::uint64_t heard = 0, sent = 0;
    auto reader = std::make_unique<frame_reader>(true);
    std::vector<std::byte> line;
    const auto hear = [&](frame_kind kind, std::span<const std::byte> payload) {
      if (kind == frame_kind::heartbeat) return true;
      auto& lane = expected[kind == frame_kind::bulk];
      REQUIRE_FALSE(lane.empty());
      CHECK(lane.front() == text_of(payload));
      lane.pop_front();
      ++heard;
      return true;
    };
    for (int step = 0; step < 2'000; ++step) {
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const auto where = random() % 3 == 0 ? lane::bulk : lane::user;
          std::string message(random() % 10 == 0 ? random() % 140'000 : random() % 300, 'm');
          message += std::to_string(++sent);
          if (s.send(where, bytes_of(message))) expected[where == lane::bulk].push_back(message);
          break;
        }
        case 3:
          if (random() % 8 == 0) {
            s.detach();
            line.clear();
          } else if (random() % 2 == 0) {
            s.control(frame_kind::heartbeat, {});
          }
          break;
        case 4:
          if (!s.attached()) {
            told = in.counts();
            REQUIRE(s.attach(told));
            reader = std::make_unique<frame_reader>(true);
            reader->open(in, told);
          }
          break;
        case 5: {
          const auto bytes = drain(s, random() % 100'000, 1 + random() % 5);
          line.insert(line.end(), bytes.begin(), bytes.end());
          break;
        }
        case 6: {
          const std::size_t part = line.empty() ? 0 : random() % line.size() + 1;
          REQUIRE(reader->feed(std::span{line}.first(part), hear));
          line.erase(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(part));
          break;
        }
        default:
          if (s.attached()) REQUIRE(s.acknowledged(in.counts()));
      }
      CHECK(s.buffered() <= 2 * bounds.send_buffer_bytes);
      // At worst a third of each chunk is left unused, and there are a few to spare.
      CHECK(s.memory() <= 3 * bounds.send_buffer_bytes + 8 * 66'000);
    }
    CHECK(heard > 100);
  }
}
