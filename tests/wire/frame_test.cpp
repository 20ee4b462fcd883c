// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace coppice::wire;
using namespace wire_tools;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;

namespace {

/// The reader of an incoming link whose handshake is done.
struct open_reader {
  limits bounds;
  arrivals in{bounds};
  frame_reader reader{false};
  listener hear;

  explicit open_reader(limits l = {}) : bounds{l} { reader.open(in, {}); }
  bool feed(std::span<const std::byte> bytes) { return reader.feed(bytes, hear); }
  std::string failure() const { return reader.failure() ? reader.failure() : ""; }
};

std::string failure_of(bool outgoing, std::span<const std::byte> bytes) {
  frame_reader reader{outgoing};
  listener hear;
  reader.feed(bytes, hear);
  return reader.failure() ? reader.failure() : "";
}

}  // namespace

TEST_CASE("a frame's header is its kind and the length of its payload, big-endian") {
  const auto frame = frame_of(frame_kind::gossip, std::string(0x123, 'x'));
  REQUIRE(frame.size() == 4 + 0x123);
  CHECK(frame[0] == std::byte{7});
  CHECK(frame[1] == std::byte{0});
  CHECK(frame[2] == std::byte{1});
  CHECK(frame[3] == std::byte{0x23});
  CHECK(payload_size(frame.data()) == 0x123);
}

TEST_CASE("an ack carries both counts, big-endian, and what follows them is left alone") {
  auto payload = write_ack({.user = 0x0102030405060708, .bulk = 9});
  CHECK(payload[0] == std::byte{1});
  CHECK(payload[7] == std::byte{8});
  CHECK(payload[15] == std::byte{9});
  CHECK(read_ack(payload) == received{0x0102030405060708, 9});
  CHECK_FALSE(read_ack(std::span{payload}.first(15)));
  std::vector<std::byte> longer(payload.begin(), payload.end());
  longer.push_back(std::byte{1});
  CHECK(read_ack(longer) == received{0x0102030405060708, 9});
}

TEST_CASE("messages and other frames are handed over in the order in which they come") {
  open_reader r;
  CHECK(r.feed(frames({{frame_kind::user, "a"},
                       {frame_kind::heartbeat, ""},
                       {frame_kind::bulk, "b"},
                       {frame_kind::user, ""},
                       {frame_kind::ack, "0123456789abcdef"}})));
  CHECK(r.hear.heard == strings{"user:a", "heartbeat:", "bulk:b", "user:", "ack:0123456789abcdef"});
  CHECK(r.in.counts() == received{2, 1});
}

TEST_CASE("it does not matter where the bytes are cut") {
  const auto bytes = frames({{frame_kind::user, "abc"},
                             {frame_kind::user_more, "long "},
                             {frame_kind::bulk, "x"},
                             {frame_kind::heartbeat, ""},
                             {frame_kind::user, "message"}});
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    CAPTURE(step);
    open_reader r;
    for (std::size_t at = 0; at < bytes.size(); at += step)
      CHECK(r.feed(std::span{bytes}.subspan(at, std::min(step, bytes.size() - at))));
    CHECK(r.hear.heard == strings{"user:abc", "bulk:x", "heartbeat:", "user:long message"});
    CHECK(r.in.counts() == received{3, 1});
    CHECK(r.in.held() == 0);
  }
}

TEST_CASE("a message that lies in one frame in the bytes that came is not copied") {
  open_reader r;
  const auto bytes = frame_of(frame_kind::user, "here");
  const std::byte* seen = nullptr;
  r.reader.feed(bytes, [&](frame_kind, std::span<const std::byte> payload) {
    seen = payload.data();
    return true;
  });
  CHECK(seen == bytes.data() + frame_header);
}

TEST_CASE("the pieces of both lanes' messages may come in turn") {
  open_reader r;
  CHECK(r.feed(frames({{frame_kind::user_more, "us"},
                       {frame_kind::bulk_more, "bu"},
                       {frame_kind::user, "er"},
                       {frame_kind::bulk_more, "l"},
                       {frame_kind::bulk, "k"}})));
  CHECK(r.hear.heard == strings{"user:user", "bulk:bulk"});
}

TEST_CASE("a message may begin on one link and end on the next, with no frame twice") {
  open_reader first;
  first.feed(frames({{frame_kind::user, "1"}, {frame_kind::user_more, "2"}}));
  // The next link's handshake told the peer of one frame; two had come when it was done.
  frame_reader next{false};
  listener hear;
  next.open(first.in, {.user = 1, .bulk = 0});
  CHECK(next.feed(frames({{frame_kind::user_more, "2"}, {frame_kind::user, "3"}}), hear));
  CHECK(hear.heard == strings{"user:23"});
  CHECK(first.in.counts() == received{3, 0});
}

TEST_CASE("half a frame that came on a lost link does not count") {
  open_reader first;
  const auto bytes = frame_of(frame_kind::user, "whole");
  first.feed(std::span{bytes}.first(6));
  CHECK(first.in.counts() == received{});
  frame_reader next{true};
  listener hear;
  next.open(first.in, {});
  CHECK(next.feed(bytes, hear));
  CHECK(hear.heard == strings{"user:whole"});
}

TEST_CASE("before the handshake is done nothing but the handshake is taken") {
  const std::string place = "a handshake frame is out of place";
  const std::string early = "a frame comes before the handshake is done";
  for (const auto kind : {frame_kind::heartbeat, frame_kind::ack, frame_kind::goodbye,
                          frame_kind::gossip, frame_kind::user, frame_kind::bulk_more}) {
    CHECK(failure_of(false, frame_of(kind, "")) == early);
    CHECK(failure_of(true, frame_of(kind, "")) == early);
  }
  for (const auto kind : {frame_kind::welcome, frame_kind::refuse, frame_kind::ready})
    CHECK(failure_of(false, frame_of(kind, "")) == place);
  for (const auto kind : {frame_kind::hello, frame_kind::ready})
    CHECK(failure_of(true, frame_of(kind, "")) == place);
  CHECK(failure_of(false, frame_of(frame_kind::hello, "")).empty());
  CHECK(failure_of(true, frame_of(frame_kind::welcome, "")).empty());
  CHECK(failure_of(true, frame_of(frame_kind::refuse, "")).empty());
}

TEST_CASE("a hello comes once, and nothing follows it but a ready") {
  CHECK(failure_of(false, frames({{frame_kind::hello, ""}, {frame_kind::hello, ""}})) ==
        "a handshake frame is out of place");
  CHECK(failure_of(false, frames({{frame_kind::hello, ""}, {frame_kind::user, "x"}})) ==
        "a frame comes before the handshake is done");
  // Taken, but the reader was not opened.
  CHECK(failure_of(
            false,
            frames({{frame_kind::hello, ""}, {frame_kind::ready, ""}, {frame_kind::user, "x"}})) ==
        "a frame comes before the handshake is done");
  CHECK(failure_of(true, frames({{frame_kind::welcome, ""}, {frame_kind::heartbeat, ""}})) ==
        "a frame comes before the handshake is done");
}

TEST_CASE("the reader may be opened while it hands over the last frame of the handshake") {
  limits bounds;
  arrivals in{bounds};
  frame_reader reader{true};
  listener hear;
  CHECK(reader.feed(frames({{frame_kind::welcome, "w"}, {frame_kind::user, "x"}}),
                    [&](frame_kind kind, std::span<const std::byte> payload) {
                      if (kind == frame_kind::welcome) reader.open(in, {});
                      return hear(kind, payload);
                    }));
  CHECK(hear.heard == strings{"welcome:w", "user:x"});
}

TEST_CASE("a handshake frame after the handshake ends the link") {
  for (const auto kind :
       {frame_kind::hello, frame_kind::welcome, frame_kind::refuse, frame_kind::ready}) {
    open_reader r;
    CHECK_FALSE(r.feed(frames({{kind, ""}, {frame_kind::user, "x"}})));
    CHECK(r.failure() == "a handshake frame comes after the handshake");
    CHECK(r.hear.heard.empty());
  }
}

TEST_CASE("a kind that does not exist ends the link, whatever its place") {
  for (int kind = 0; kind < 256; ++kind) {
    if ((kind >= 1 && kind <= 8) || (kind >= 0x10 && kind <= 0x13)) continue;
    const std::byte header[] = {std::byte(kind), {}, {}, {}};
    CHECK(failure_of(false, header) == "a frame is of a kind that does not exist");
    CHECK(failure_of(true, header) == "a frame is of a kind that does not exist");
    open_reader r;
    CHECK_FALSE(r.feed(header));
    CHECK(r.failure() == "a frame is of a kind that does not exist");
  }
}

TEST_CASE("a frame that is too long is refused at its header, before its bytes are taken") {
  const std::byte user[] = {std::byte{0x10}, std::byte{0}, std::byte{0x80}, std::byte{1}};
  open_reader r;
  CHECK_FALSE(r.feed(user));
  CHECK(r.failure() == "a frame is longer than allowed");
  open_reader in_two;
  CHECK(in_two.feed(std::span{user}.first(2)));
  CHECK_FALSE(in_two.feed(std::span{user}.last(2)));

  const std::byte gossip[] = {std::byte{7}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  open_reader g;
  CHECK_FALSE(g.feed(gossip));
  const std::byte hello[] = {std::byte{1}, std::byte{0}, std::byte{0x10}, std::byte{1}};
  CHECK(failure_of(false, hello) == "a handshake frame is longer than allowed");
  const auto longest = frame_of(frame_kind::hello, std::string(max_handshake, 'x'));
  CHECK(failure_of(false, longest).empty());

  open_reader most;
  CHECK(most.feed(frame_of(frame_kind::user, std::string(max_frame, 'x'))));
  CHECK(most.hear.heard == strings{"user:32768"});
}

TEST_CASE("a message may be as long as the limit and not one byte longer") {
  limits bounds;
  bounds.message_bytes = 100'000;
  const std::string piece(max_frame, 'x');
  const std::string last(100'000 - 3 * max_frame, 'y');
  open_reader r{bounds};
  for (int i = 0; i < 3; ++i) CHECK(r.feed(frame_of(frame_kind::bulk_more, piece)));
  CHECK(r.in.held() == 3 * max_frame);
  CHECK(r.feed(frame_of(frame_kind::bulk, last)));
  CHECK(r.hear.heard == strings{"bulk:100000"});
  for (int i = 0; i < 3; ++i) CHECK(r.feed(frame_of(frame_kind::bulk_more, piece)));
  CHECK_FALSE(r.feed(frame_of(frame_kind::bulk, last + 'y')));
  CHECK(r.failure() == "a message is longer than allowed");
}

TEST_CASE("after a failure nothing more is taken") {
  open_reader r;
  CHECK_FALSE(r.feed(frame_of(frame_kind::hello, "")));
  CHECK_FALSE(r.feed(frame_of(frame_kind::user, "x")));
  CHECK(r.hear.heard.empty());
}

TEST_CASE("whoever listens may stop, and nothing more is taken") {
  open_reader r;
  int heard = 0;
  const auto once = [&](frame_kind, std::span<const std::byte>) { return ++heard < 2; };
  const auto bytes =
      frames({{frame_kind::user, "1"}, {frame_kind::user, "2"}, {frame_kind::user, "3"}});
  CHECK_FALSE(r.reader.feed(bytes, once));
  CHECK_FALSE(r.reader.feed(bytes, once));
  CHECK(heard == 2);
  CHECK(r.reader.failure() == nullptr);
  CHECK(r.in.counts() == received{2, 0});
}

TEST_CASE("what has arrived is acknowledged after so many bytes, or so long") {
  limits bounds;
  bounds.ack_every_bytes = 10'000;
  open_reader r{bounds};
  const arrivals::time_point start{1h};
  CHECK_FALSE(r.in.ack_due(start));
  r.feed(frame_of(frame_kind::user, "x"));
  CHECK(r.in.ack_due(start));
  CHECK(r.in.ack(start) == received{1, 0});
  CHECK_FALSE(r.in.ack_due(start + 1h));
  r.feed(frame_of(frame_kind::user, "x"));
  CHECK_FALSE(r.in.ack_due(start + 49ms));
  CHECK(r.in.ack_due(start + 50ms));
  r.feed(frame_of(frame_kind::bulk, std::string(10'000, 'x')));
  CHECK(r.in.ack_due(start));
  CHECK(r.in.ack(start) == received{2, 1});
  CHECK_FALSE(r.in.ack_due(start));
}

TEST_CASE("frames that come twice after a change of links are acknowledged again") {
  open_reader first;
  first.feed(frame_of(frame_kind::user, "x"));
  const arrivals::time_point now{1h};
  CHECK(first.in.ack(now) == received{1, 0});
  frame_reader next{true};
  next.open(first.in, {});
  CHECK(first.in.ack_due(now + 50ms));
}

TEST_CASE("any bytes whatsoever are frames or a failure, and cost no more than they are") {
  std::mt19937 random{20261124};
  std::size_t messages = 0, failures = 0;
  for (int round = 0; round < 3'000; ++round) {
    limits bounds;
    bounds.message_bytes = 40'000;
    open_reader r{bounds};
    std::vector<std::byte> bytes;
    for (int frame = 0; frame < 20; ++frame) {
      const auto kinds = {0x10, 0x11, 0x12, 0x13, 4, 5, 6, 7};
      bytes.push_back(std::byte(random() % 40 == 0 ? random() % 256 : kinds.begin()[random() % 8]));
      const std::size_t size = random() % 8 == 0 ? random() % 40'000 : random() % 20;
      for (int shift : {16, 8, 0}) bytes.push_back(std::byte(size >> shift));
      bytes.resize(bytes.size() + std::min<std::size_t>(size, max_frame));
    }
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t step = std::min<std::size_t>(1 + random() % 5'000, bytes.size() - at);
      if (!r.feed(std::span{bytes}.subspan(at, step))) break;
      at += step;
      CHECK(r.in.held() <= 2 * bounds.message_bytes);
    }
    messages += r.hear.heard.size();
    failures += r.reader.failure() != nullptr;
  }
  CHECK(messages > 10'000);
  CHECK(failures > 500);
}
