// SPDX-License-Identifier: BSD-3-Clause
// What a stranger says first: payloads of the handshake that may be anything, and an association
// whose links and peers do anything in any order.
#include "fuzz.hpp"

#include <coppice/runtime/wire/association.hpp>

#include <chrono>
#include <cstdint>
#include <set>

using namespace coppice::wire;
using fuzz::require;

namespace {

/// Takes its decisions from the input.
struct choices {
  const std::uint8_t* at;
  const std::uint8_t* end;
  unsigned next() { return at == end ? 0 : *at++; }
  std::span<const std::byte> bytes(std::size_t n) {
    n = std::min<std::size_t>(n, static_cast<std::size_t>(end - at));
    const auto taken = std::as_bytes(std::span{at, n});
    at += n;
    return taken;
  }
};

identity me() {
  identity who;
  who.cluster = "c";
  who.node = "b";
  who.incarnation = {1, 1};
  who.features = {"f"};
  return who;
}

void read_all(std::span<const std::byte> payload) {
  // What is missing of a shorter one takes its bytes when it is written.
  if (const auto x = read_hello(payload); x && payload.size() <= max_handshake - 64) {
    const auto again = write(*x);
    require(read_hello(std::span{again}.subspan(frame_header))->from == x->from,
            "a hello that is written again is another one");
    if (const auto no = objection(*x, me(), "a"))
      require(!no->text.empty() && no->text.size() < 500, "a refusal is no sentence");
  }
  if (const auto x = read_welcome(payload)) (void)objection(*x, me(), "a", "");
  (void)read_ready(payload);
  if (const auto x = read_refuse(payload))
    require(printable(x->text).size() <= 67, "too much goes into the log");
  (void)read_goodbye(payload);

  reception guests{me(), {"a", "b"}, limits{}};
  guests.opened(1, "", {});
  const auto v = guests.said_hello(1, payload);
  require(v.peer.empty() ? !v.why.empty() : v.peer == "a", "a guest is neither known nor refused");
}

/// A hello, welcome, ... that is nearly right.
std::vector<std::byte> nearly(frame_kind kind, choices& c) {
  const incarnation_id of_peer{2, c.next() % 3};
  const std::uint64_t number = c.next() % 4;
  const received has{c.next() % 2u, 0};
  switch (kind) {
    case frame_kind::hello: {
      hello h{.newest = 1, .oldest = 1, .cluster = "c", .from = "a", .to = "b"};
      h.incarnation = of_peer;
      h.to_incarnation = {1, c.next() % 2};
      h.session = number;
      h.has = has;
      return write(h);
    }
    case frame_kind::welcome: {
      welcome w{.protocol = 1, .cluster = "c", .from = "a", .to = "b"};
      w.incarnation = of_peer;
      w.session = number;
      w.has = has;
      return write(w);
    }
    case frame_kind::ready: return write(ready{number});
    case frame_kind::refuse: return write(refuse{static_cast<refusal>(c.next() % 12), "no"});
    default: return whole_frame(kind, write_goodbye({"bye"}));
  }
}

struct driver {
  choices c;
  association::time_point now{std::chrono::hours{1}};
  association a{me(),
                "a",
                limits{},
                {.random = [this] { return c.next(); }, .arrived = [] { return received{}; }}};
  std::set<link_id> links{};
  link_id last = 0;
  link_id attached = no_link;
  bool in_session = false;

  link_id some_link() { return last == 0 ? 1 : 1 + c.next() % last; }

  /// The rules of the game that the association keeps, whatever its peer does.
  void look() {
    using kind = association::action::kind;
    for (const auto& x : a.take_actions()) {
      switch (x.what) {
        case kind::send:
          require(links.contains(x.link), "something is sent to a link that is gone");
          break;
        case kind::close:
          require(links.erase(x.link) == 1, "a link is closed that is gone");
          require(x.link != attached, "a link is closed that still carries the session");
          break;
        case kind::session_began:
          require(!in_session && attached == no_link, "a session begins within another one");
          in_session = true;
          break;
        case kind::attach:
          require(in_session && attached == no_link && links.contains(x.link),
                  "a session is attached to what it cannot be");
          attached = x.link;
          break;
        case kind::detach:
          require(attached != no_link && attached == x.link,
                  "a session is detached from another link");
          attached = no_link;
          break;
        case kind::session_ended:
          require(in_session && attached == no_link, "a session ends that is not, or with a link");
          in_session = false;
          break;
        default: break;
      }
    }
    require(a.link() == attached && a.in_session() == in_session, "the actions do not tell all");
    require(!a.over() || (attached == no_link && !in_session), "something is left at the end");
  }

  void step() {
    now += std::chrono::milliseconds{c.next() % 16 * 10};
    switch (c.next() % 12) {
      case 0: a.start(now); break;
      case 1:
      case 2: {
        const bool outgoing = c.next() % 2 != 0;
        links.insert(++last);
        a.link_opened(last, outgoing, c.next() % 16 == 0 ? "z" : "", now);
        break;
      }
      case 3: {
        const auto link = some_link();
        links.erase(link);
        a.link_closed(link, c.next() % 4 == 0, "gone", now);
        break;
      }
      case 4: a.dial_failed(c.next() % 2 != 0, "no", now); break;
      case 5:
        now += std::chrono::seconds{c.next() % 16};
        a.time(now);
        if (const auto next = a.next()) require(*next > now, "it wants to be called for ever");
        break;
      case 6:
        if (c.next() % 8 == 0) a.stop("enough", now);
        else if (c.next() % 8 == 0) a.end(session_end::violation, "no", now);
        break;
      case 7: {
        const auto link = some_link();
        const auto kind = static_cast<frame_kind>(c.next());
        a.frame(link, kind, c.bytes(c.next()), now);
        break;
      }
      default: {
        constexpr frame_kind kinds[] = {frame_kind::hello,  frame_kind::welcome, frame_kind::ready,
                                        frame_kind::hello,  frame_kind::welcome, frame_kind::ready,
                                        frame_kind::refuse, frame_kind::goodbye};
        const auto kind = kinds[c.next() % 8];
        const auto link = c.next() % 2 ? last : some_link();
        const auto bytes = nearly(kind, c);
        a.frame(link, kind, std::span{bytes}.subspan(frame_header), now);
      }
    }
    look();
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  if (data[0] % 4 == 0) {
    read_all(fuzz::bytes(data + 1, size - 1));
    return 0;
  }
  driver d{{data + 1, data + size}};
  while (d.c.at != d.c.end) d.step();
  return 0;
}
