// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "local_cluster.hpp"

#include <coppice/actors/codec/reader.hpp>
#include <coppice/actors/codec/writer.hpp>
#include <coppice/runtime/wire/exchange_private.hpp>
#include <coppice/runtime/wire/handshake.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "carriers.hpp"

/// One that speaks the protocol of nodes, knows its rules, and keeps to none of them.
namespace local {

using bytes = std::vector<std::byte>;
using coppice::wire::frame_kind;
using coppice::wire::message_kind;

inline bytes operator+(bytes a, const bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline bytes raw(std::initializer_list<int> values) {
  bytes all;
  for (const int x : values) all.push_back(static_cast<std::byte>(x));
  return all;
}
inline bytes repeated(int value, std::size_t times) {
  return bytes(times, static_cast<std::byte>(value));
}
inline std::string_view text_of(const bytes& x) {
  return {reinterpret_cast<const char*>(x.data()), x.size()};
}
/// A header, whether or not what it announces is allowed.
inline bytes header(int kind, std::size_t payload) {
  bytes x(coppice::wire::frame_header);
  coppice::wire::write_header(x.data(), static_cast<frame_kind>(kind), payload);
  return x;
}
/// Frames of the user lane that are one message.
inline bytes pieces(const bytes& message) {
  bytes all;
  for (std::size_t at = 0;;) {
    const std::size_t n = std::min(coppice::wire::max_frame, message.size() - at);
    const bool last = at + n == message.size();
    all =
        std::move(all) + coppice::wire::whole_frame(last ? frame_kind::user : frame_kind::user_more,
                                                    std::span{message}.subspan(at, n));
    at += n;
    if (last) return all;
  }
}
/// A message that begins with its kind and these numbers, and what `rest` writes.
inline bytes message(message_kind what, std::initializer_list<std::uint64_t> numbers,
                     const std::function<void(coppice::detail::writer&)>& rest = {}) {
  bytes all;
  coppice::detail::writer to{all};
  to.unsigned_integer(static_cast<std::uint64_t>(what));
  for (const std::uint64_t x : numbers) to.unsigned_integer(x);
  if (rest) rest(to);
  return all;
}

/// A link to a node, by a valid certificate if there is TLS, with which everything else is wrong.
class intruder {
 public:
  struct handle {
    std::uint64_t number = 0;  ///< zero: refused
    std::map<std::string, std::uint64_t> events{};  ///< their indices
  };

  intruder(const coppice::wire::socket_options& options, const std::string& address,
           std::string name = "gamma")
      : name_(std::move(name)), side_(options) {
    side_.ear.when_bytes = [this](coppice::wire::link&, std::span<const std::byte> some) {
      std::lock_guard lock{guard_};
      rest_.insert(rest_.end(), some.begin(), some.end());
      take_frames();
      changed_.notify_all();
    };
    side_.start("");
    side_.carrier.dial("alpha", address);
    link_ = side_.ear.opened();
  }

  /// Until all is taken, or the other side has had enough.
  void say(const bytes& all) {
    std::span<const std::byte> left{all};
    while (!left.empty()) {
      const int before = side_.ear.now().writable;
      left = left.subspan(link_->write({&left, 1}));
      if (left.empty()) return;
      REQUIRE(
          side_.ear.until([&](const auto& h) { return h.writable > before || !h.closed.empty(); }));
      if (!side_.ear.now().closed.empty()) return;
    }
  }
  void hang_up() { link_->close("enough"); }
  bool hung_up_on() {
    return side_.ear.until([](const auto& h) { return !h.closed.empty(); });
  }
  bool still_there() { return side_.ear.now().closed.empty(); }

  coppice::wire::hello hello() const {
    coppice::wire::hello h;
    h.newest = h.oldest = coppice::wire::newest_protocol;
    h.cluster = "test";
    h.from = name_;
    h.to = "alpha";
    h.incarnation = {7, life_};
    h.message_bytes = std::size_t{1} << 24;
    return h;
  }
  /// As a node does it that is a good one.
  void join() {
    say(coppice::wire::write(hello()));
    const auto answer = coppice::wire::read_welcome(next(frame_kind::welcome));
    REQUIRE(answer);
    session = answer->session;
    say(coppice::wire::write(coppice::wire::ready{session}));
  }
  /// Or else the other's buffer is full in the end, and answers are lost.
  void acknowledge() {
    coppice::wire::received counts;
    {
      std::lock_guard lock{guard_};
      counts.user = received_;
    }
    const auto payload = coppice::wire::write_ack(counts);
    say(coppice::wire::whole_frame(frame_kind::ack, payload));
  }
  /// Asks for an actor, and waits for the answer.
  handle resolve(std::string_view path) {
    acknowledge();
    const std::uint64_t asked = ++correlation_;
    say(pieces(message(message_kind::resolve, {asked, 0, 0}, [&](auto& to) { to.text(path); })));
    for (;;) {
      const bytes answer = next(frame_kind::user);
      coppice::detail::reader from{answer, 1 << 20};
      std::uint64_t kind = 0, to = 0, number = 0;
      std::size_t events = 0;
      handle found;
      REQUIRE((from.unsigned_integer(kind) && from.unsigned_integer(to)));
      if (to != asked) continue;
      if (kind != static_cast<std::uint64_t>(message_kind::resolved)) return found;
      REQUIRE((from.unsigned_integer(found.number) && from.unsigned_integer(number) &&
               from.array(events)));
      for (std::size_t i = 0; i < events; ++i) {
        std::size_t fields = 0;
        std::string_view event;
        REQUIRE((from.array(fields) && from.text(event)));
        while (--fields > 0) REQUIRE(from.skip());
        found.events[std::string{event}] = i;
      }
      return found;
    }
  }
  /// Waits for a message that begins with these; others are passed over.
  void hears(message_kind what, std::uint64_t number) {
    for (std::uint64_t kind = 0, first = 0;;) {
      const bytes some = next(frame_kind::user);
      coppice::detail::reader from{some, 1 << 20};
      if (from.unsigned_integer(kind) && from.unsigned_integer(first) && first == number &&
          kind == static_cast<std::uint64_t>(what))
        return;
    }
  }
  /// Everything that was sent before has been read: what is asked afterwards is answered.
  bool answered() { return resolve("/store").number != 0; }

  std::uint64_t session = 0;

 private:
  /// The payload of the next frame of that kind; others are passed over.
  bytes next(frame_kind wanted) {
    std::unique_lock lock{guard_};
    for (;;) {
      REQUIRE(changed_.wait_for(lock, tools::patience, [&] { return !heard_.empty(); }));
      const auto [kind, payload] = std::move(heard_.front());
      heard_.pop_front();
      if (kind == wanted) return payload;
    }
  }
  void take_frames() {
    std::span<const std::byte> left{rest_};
    const auto whole = [&] {
      constexpr auto first = coppice::wire::frame_header;
      return left.size() >= first && left.size() - first >= coppice::wire::payload_size(&left[0]);
    };
    while (whole()) {
      const auto kind = static_cast<frame_kind>(left[0]);
      const auto payload =
          left.subspan(coppice::wire::frame_header, coppice::wire::payload_size(&left[0]));
      heard_.emplace_back(kind, bytes{payload.begin(), payload.end()});
      if (kind == frame_kind::user || kind == frame_kind::user_more) ++received_;
      left = left.subspan(coppice::wire::frame_header + payload.size());
    }
    rest_.erase(rest_.begin(), rest_.end() - static_cast<std::ptrdiff_t>(left.size()));
  }

  static inline std::uint64_t lives_ = 0;
  const std::uint64_t life_ = ++lives_;
  const std::string name_;
  std::uint64_t correlation_ = 1u << 31;  // not among those that are forged
  std::mutex guard_;
  std::condition_variable changed_;
  bytes rest_;
  std::deque<std::pair<frame_kind, bytes>> heard_;
  std::uint64_t received_ = 0;  ///< frames that are to be acknowledged
  tools::side side_;
  coppice::wire::link_ptr link_;
};

}  // namespace local
