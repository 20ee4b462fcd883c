// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "party.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <stdexcept>

/// A few nodes, joined by links that delay, stall, break and lie, on a clock that is moved by hand.
/// Each node is what the real one is without its sockets and actors: per peer an association, a
/// session and its arrivals; per link a frame_reader; and a reception. All that happens follows
/// from a seed.
namespace simulation {

using namespace coppice::wire;
using namespace std::chrono_literals;
using time_point = association::time_point;
using std::chrono::milliseconds;

struct failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};
inline void demand(bool holds, const std::string& what) {
  if (!holds) throw failure{what};
}

/// What happened in all runs, to show that the faults did.
struct tally {
  std::uint64_t messages = 0, resumed = 0, dials = 0, links = 0, skipped = 0, unconfirmed = 0;
  std::uint64_t full = 0;
  std::map<session_end, std::uint64_t> ended{};
  std::map<std::string, std::uint64_t> refusals{};
};

class world;

/// The outgoing half of one session, as its sender and its receiver have seen it.
struct stream {
  int from, to;
  std::uint64_t sent[2]{}, delivered[2]{};
  bool ended = false;
  std::uint64_t receiver = 0;
};

/// A TCP connection. End 0 has dialled.
struct connection {
  struct chunk {
    time_point at;
    std::vector<std::byte> bytes;
  };
  struct direction {
    std::deque<chunk> flying{};
    std::size_t bytes = 0;
    time_point last{};
    bool finished = false;  ///< its writer has closed it
  };
  std::uint64_t id;
  int node[2];
  std::uint64_t incarnation[2];
  bool open[2]{};  ///< the end's owner uses it
  bool silent = false;  ///< nothing arrives any more, and nobody is told
  direction way[2]{};  ///< way[0] leads from end 0 to end 1
};
inline link_id link_of(const connection& c, int end) {
  return c.id * 2 + static_cast<unsigned>(end);
}

/// One process of a node.
class process {
 public:
  process(world& w, int node, std::uint64_t incarnation);

  void start();
  void opened(connection& c, int end);
  void dial_failed(int peer, bool refused);
  void bytes(link_id link, std::span<const std::byte> bytes);
  void closed(link_id link);
  void writable(link_id link);
  void tick();
  void send_some();
  void stop();
  bool stopped() const;

  struct peering {
    int peer;
    std::unique_ptr<association> a{};
    std::unique_ptr<session> out{};
    std::unique_ptr<arrivals> in{};
    std::uint64_t stream = 0;  ///< what is sent in the present session
    std::uint64_t hears = 0;  ///< the stream that is heard in it
    std::uint64_t receiver = 0;  ///< the number of the present receiving session
    std::uint64_t next[2]{};  ///< what must come next of that stream
    time_point heard{}, beaten{};
    std::uint64_t dials = 0, dials_when_calm = 0;
    time_point began{};
  };
  peering& with(int peer) { return peers_.at(peer); }
  std::map<int, peering>& peerings() { return peers_; }
  std::uint64_t incarnation() const { return incarnation_; }

 private:
  struct end {
    connection* c;
    int side;
    std::shared_ptr<frame_reader> reader;
    int peer;  ///< -1: it has not said yet
  };

  void act(peering& p);
  void carry_out(peering& p, association::action& x);
  void take(link_id link, frame_kind kind, std::span<const std::byte> payload);
  void hear_message(peering& p, lane where, std::span<const std::byte> payload);
  void account(peering& p);
  void flush(peering& p);
  void shut(link_id link);

  world& world_;
  int node_;
  std::uint64_t incarnation_;
  reception reception_;
  std::map<int, peering> peers_{};
  std::map<link_id, end> ends_{};
  bool stopping_ = false;
};

class world {
 public:
  world(std::uint64_t seed, int nodes, tally& counts, bool traced)
      : random{seed}, counts_{counts}, traced_{traced}, nodes_(static_cast<std::size_t>(nodes)) {
    bounds.message_bytes = 256 * 1024;
    bounds.send_buffer_bytes = 512 * 1024;
    bounds.ack_every_bytes = 32 * 1024;
    if (one_in(2)) bounds.session_limit = between(500, 4'000);
    if (one_in(2)) bounds.connect_deadline = bounds.handshake_deadline = 1s;
    slow = random() % 3 == 0;
  }

  // ---- the clock --------------------------------------------------------------------------
  time_point now{1h};
  std::mt19937_64 random;
  limits bounds{};
  bool calm = false;  ///< there are no faults any more
  bool slow = false;  ///< the links take hundreds of milliseconds

  std::uint64_t below(std::uint64_t n) { return random() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  milliseconds between(std::int64_t low, std::int64_t high) {
    return milliseconds{
        low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)))};
  }
  milliseconds delay() { return slow ? between(50, 400) : between(0, one_in(10) ? 100 : 3); }

  void at(time_point when, std::function<void()> what) {
    events_.push({when, ++order_, std::move(what)});
  }
  void run_until(time_point end) {
    while (!events_.empty() && events_.top().when <= end) {
      auto e = std::move(const_cast<event&>(events_.top()));
      events_.pop();
      now = e.when;
      e.what();
    }
    now = end;
  }

  // ---- nodes ------------------------------------------------------------------------------
  static std::string name(int node) { return std::string{"node-"} + static_cast<char>('a' + node); }
  int size() const { return static_cast<int>(nodes_.size()); }
  process* running(int node) { return nodes_[index(node)].process.get(); }

  /// Runs `what` for the process that is there now, when it is not suspended; not for a later one.
  template <class F>
  void for_process(int node, std::uint64_t incarnation, F what) {
    auto& n = nodes_[index(node)];
    if (!n.process || n.process->incarnation() != incarnation) return;
    if (n.suspended_until <= now && n.deferred.empty()) return what(*n.process);
    n.deferred.push_back([this, node, incarnation, what = std::move(what)]() mutable {
      auto& process = nodes_[index(node)].process;
      if (process && process->incarnation() == incarnation) what(*process);
    });
  }

  void start(int node) {
    auto& n = nodes_[index(node)];
    trace("%s starts", name(node).c_str());
    n.process = std::make_unique<process>(*this, node, ++incarnations_);
    n.listens_from = now + (one_in(3) ? between(0, 300) : 0ms);
    n.powered = true;
    n.process->start();
    tick(node, n.process->incarnation());
  }
  /// The process is gone. Its peers are told by its kernel, unless that is gone too.
  void kill(int node, bool with_power) {
    auto& n = nodes_[index(node)];
    if (!n.process) return;
    trace("%s is killed%s", name(node).c_str(), with_power ? ", machine and all" : "");
    n.powered = !with_power;
    const auto incarnation = n.process->incarnation();
    n.process.reset();
    for (auto& [id, c] : connections_) {
      for (int end : {0, 1}) {
        if (c->node[end] != node || c->incarnation[end] != incarnation || !c->open[end]) continue;
        c->open[end] = false;
        if (with_power) c->silent = true;
        else finish(*c, end);
      }
    }
  }
  void suspend(int node, milliseconds length) {
    trace("%s is suspended for %d ms", name(node).c_str(), static_cast<int>(length.count()));
    auto& n = nodes_[index(node)];
    n.suspended_until = std::max(n.suspended_until, now + length);
    at(n.suspended_until, [this, node] { resume(node); });
  }
  /// What has been put off meanwhile comes in its order.
  void resume(int node) {
    auto& n = nodes_[index(node)];
    while (n.suspended_until <= now && !n.deferred.empty()) {
      auto next = std::move(n.deferred.front());
      n.deferred.pop_front();
      next();
    }
  }
  void tick(int node, std::uint64_t incarnation) {
    for_process(node, incarnation, [this, node, incarnation](process& p) {
      p.tick();
      if (!calm) p.send_some();
      if (p.stopped()) return kill(node, false);
      at(now + 10ms, [this, node, incarnation] { tick(node, incarnation); });
    });
  }

  // ---- the network ------------------------------------------------------------------------
  bool cut(int from, int to) const { return cuts_.contains({from, to}); }
  void cut(int from, int to, milliseconds length) {
    trace("no way from %s to %s for %d ms", name(from).c_str(), name(to).c_str(),
          static_cast<int>(length.count()));
    cuts_.insert({from, to});
    at(now + length, [this, from, to] {
      if (const auto one = cuts_.find({from, to}); one != cuts_.end()) cuts_.erase(one);
    });
  }
  /// Breaks a connection between any two nodes.
  void break_one() {
    std::vector<connection*> open;
    for (auto& [id, c] : connections_)
      if (c->open[0] || c->open[1]) open.push_back(c.get());
    if (open.empty()) return;
    connection& c = *open[below(open.size())];
    if (one_in(3)) {
      trace("link %llu falls silent", id(c));
      c.silent = true;
      return;
    }
    if (const int end = static_cast<int>(below(2)); one_in(3) && c.open[end]) {
      trace("link %llu is lost for one end, what that has written arrives all the same", id(c));
      tell_closed(c.id, end);
      if (!one_in(3)) at(now + between(0, 3'000), [this, &c, end] { finish(c, end); });
      return;
    }
    trace("link %llu is reset", id(c));
    c.silent = true;
    const bool both = !one_in(3);
    const int told = static_cast<int>(below(2));
    for (int end : {0, 1})
      if (both || end == told) at(now + delay(), [this, i = c.id, end] { tell_closed(i, end); });
  }
  void heal() {
    calm = true;
    cuts_.clear();
    for (int n = 0; n < size(); ++n) {
      nodes_[index(n)].suspended_until = now;
      resume(n);
    }
  }

  void dial(int from, int to) {
    ++counts_.dials;
    try_dial(from, running(from)->incarnation(), to, now + bounds.connect_deadline);
  }
  /// How many bytes are taken.
  std::size_t write(connection& c, int end, std::span<const std::byte> bytes, bool all) {
    auto& way = c.way[end];
    constexpr std::size_t window = 64 * 1024;
    std::size_t room = way.bytes < window ? window - way.bytes : 0;
    if (all) room = bytes.size();
    room = std::min(room, bytes.size());
    for (std::size_t done = 0; done < room;) {
      const std::size_t piece = std::min<std::size_t>(room - done, 1 + below(20'000));
      const auto part = bytes.subspan(done, piece);
      way.last = std::max(way.last, now + delay());
      way.flying.push_back({way.last, {part.begin(), part.end()}});
      way.bytes += piece;
      done += piece;
      at(way.last, [this, i = c.id, end] { deliver(i, end); });
    }
    return room;
  }
  /// The end's owner closes it.
  void close(connection& c, int end) {
    c.open[end] = false;
    finish(c, end);
  }

  std::uint64_t new_number() { return ++numbers_; }
  std::map<std::uint64_t, stream> streams{};
  tally& counts() { return counts_; }

  void trace(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    if (!traced_) return;
    std::printf("%7lld  ",
                static_cast<long long>(
                    (std::chrono::duration_cast<milliseconds>(now - time_point{1h})).count()));
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
    std::printf("\n");
  }

 private:
  struct event {
    time_point when;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const event& other) const {
      return std::pair{when, order} > std::pair{other.when, other.order};
    }
  };
  struct machine {
    std::unique_ptr<class process> process{};
    time_point suspended_until{};
    std::deque<std::function<void()>> deferred{};
    time_point listens_from{};
    bool powered = true;
  };
  static std::size_t index(int node) { return static_cast<std::size_t>(node); }
  static unsigned long long id(const connection& c) { return c.id; }

  void try_dial(int from, std::uint64_t incarnation, int to, time_point deadline) {
    const auto fail = [this, from, incarnation, to](bool refused) {
      trace("%s cannot reach %s: %s", name(from).c_str(), name(to).c_str(),
            refused ? "refused" : "no answer");
      for_process(from, incarnation, [to, refused](process& p) { p.dial_failed(to, refused); });
    };
    at(now + delay(), [this, from, incarnation, to, deadline, fail] {
      auto& target = nodes_[index(to)];
      if (cut(from, to) || cut(to, from) || !target.powered) {
        // The kernel tries again, until the deadline.
        if (now + 1s > deadline) at(std::max(now, deadline), [fail] { fail(false); });
        else at(now + 1s, [=, this] { try_dial(from, incarnation, to, deadline); });
        return;
      }
      if (!target.process || target.listens_from > now) {
        at(now + delay(), [fail] { fail(true); });
        return;
      }
      auto c = std::make_unique<connection>();
      c->id = new_number();
      c->node[0] = from;
      c->node[1] = to;
      c->incarnation[0] = incarnation;
      c->incarnation[1] = target.process->incarnation();
      ++counts_.links;
      const auto number = c->id;
      connections_[number] = std::move(c);
      trace("link %llu leads from %s to %s", static_cast<unsigned long long>(number),
            name(from).c_str(), name(to).c_str());
      tell_opened(number, 1);
      at(now + delay(), [this, number] { tell_opened(number, 0); });
    });
  }
  void tell_opened(std::uint64_t number, int end) {
    connection& c = *connections_.at(number);
    const auto* p = running(c.node[end]);
    if (!p || p->incarnation() != c.incarnation[end]) return finish(c, end);
    c.open[end] = true;
    for_process(c.node[end], c.incarnation[end], [&c, end](process& owner) {
      if (c.open[end]) owner.opened(c, end);
    });
  }
  void finish(connection& c, int end) {
    auto& way = c.way[end];
    if (way.finished) return;
    way.finished = true;
    way.last = std::max(way.last, now + delay());
    at(way.last, [this, i = c.id, end] { deliver(i, end); });
  }
  void deliver(std::uint64_t number, int end) {
    connection& c = *connections_.at(number);
    auto& way = c.way[end];
    if (c.silent) return;
    if (cut(c.node[end], c.node[1 - end])) {
      at(now + 50ms, [this, number, end] { deliver(number, end); });
      return;
    }
    while (!way.flying.empty() && way.flying.front().at <= now) {
      auto bytes = std::move(way.flying.front().bytes);
      way.flying.pop_front();
      way.bytes -= bytes.size();
      if (c.open[1 - end]) {
        for_process(c.node[1 - end], c.incarnation[1 - end],
                    [link = link_of(c, 1 - end), bytes = std::move(bytes)](process& p) {
                      p.bytes(link, bytes);
                    });
      }
      if (c.open[end])
        for_process(c.node[end], c.incarnation[end],
                    [link = link_of(c, end)](process& p) { p.writable(link); });
    }
    if (way.flying.empty() && way.finished && way.last <= now) tell_closed(number, 1 - end);
  }
  void tell_closed(std::uint64_t number, int end) {
    connection& c = *connections_.at(number);
    if (!c.open[end]) return;
    for_process(c.node[end], c.incarnation[end], [&c, end](process& p) {
      if (!c.open[end]) return;
      c.open[end] = false;
      p.closed(link_of(c, end));
    });
  }

  std::priority_queue<event> events_{};
  std::uint64_t order_ = 0;
  std::uint64_t numbers_ = 0;
  std::uint64_t incarnations_ = 0;
  tally& counts_;
  bool traced_;
  std::vector<machine> nodes_;
  std::map<std::uint64_t, std::unique_ptr<connection>> connections_{};
  std::multiset<std::pair<int, int>> cuts_{};
};

// ---- a process ----------------------------------------------------------------------------------

inline std::vector<std::string> names(int count) {
  std::vector<std::string> all;
  for (int n = 0; n < count; ++n) all.push_back(world::name(n));
  return all;
}

inline process::process(world& w, int node, std::uint64_t incarnation)
    : world_{w},
      node_{node},
      incarnation_{incarnation},
      reception_{wire_tools::identity_of(world::name(node), incarnation), names(w.size()),
                 w.bounds} {
  for (int peer = 0; peer < w.size(); ++peer) {
    if (peer == node) continue;
    auto& p = peers_[peer];
    p.peer = peer;
    p.a = std::make_unique<association>(
        wire_tools::identity_of(world::name(node), incarnation), world::name(peer), w.bounds,
        association::ports{.random = [&w] { return w.random(); },
                           .arrived = [&p] { return p.in ? p.in->counts() : received{}; }});
  }
}

inline void process::start() {
  for (auto& [peer, p] : peers_) {
    p.began = world_.now;
    p.a->start(world_.now);
    act(p);
  }
}

inline void process::opened(connection& c, int side) {
  const link_id link = link_of(c, side);
  const int peer = side == 0 ? c.node[1] : -1;
  ends_.emplace(link, end{&c, side, std::make_shared<frame_reader>(side == 0), peer});
  if (side == 1) {
    if (const auto out = reception_.opened(link, "", world_.now)) shut(out->link);
    return;
  }
  auto& p = with(peer);
  p.a->link_opened(link, true, "", world_.now);
  act(p);
}

inline void process::dial_failed(int peer, bool refused) {
  auto& p = with(peer);
  p.a->dial_failed(refused, refused ? "refused" : "no answer", world_.now);
  act(p);
}

inline void process::bytes(link_id link, std::span<const std::byte> bytes) {
  const auto at = ends_.find(link);
  if (at == ends_.end()) return;
  if (at->second.peer >= 0) with(at->second.peer).heard = world_.now;
  // The link may be closed by what it hands over.
  const auto reader = at->second.reader;
  const auto hand_over = [&](frame_kind kind, std::span<const std::byte> payload) {
    take(link, kind, payload);
    return ends_.contains(link);
  };
  if (reader->feed(bytes, hand_over)) {
    if (const int peer = ends_.at(link).peer; peer >= 0) flush(with(peer));
  } else if (reader->failure() != nullptr) {
    throw failure{std::string{"a reader has failed: "} + reader->failure()};
  }
}

inline void process::take(link_id link, frame_kind kind, std::span<const std::byte> payload) {
  auto& e = ends_.find(link)->second;
  if (e.peer < 0) {
    const auto v = reception_.said_hello(link, payload);
    demand(!v.peer.empty(), "the reception has refused: " + v.why);
    e.peer = v.peer.back() - 'a';
    auto& p = with(e.peer);
    p.a->link_opened(link, false, v.certificate_name, world_.now);
    p.a->frame(link, kind, payload, world_.now);
    return act(p);
  }
  auto& p = with(e.peer);
  switch (kind) {
    case frame_kind::user: return hear_message(p, lane::user, payload);
    case frame_kind::bulk: return hear_message(p, lane::bulk, payload);
    case frame_kind::ack: {
      const auto counts = read_ack(payload);
      return demand(counts && p.out->acknowledged(*counts), "an ack lies");
    }
    case frame_kind::refuse:
      ++world_.counts().refusals[std::string{name(read_refuse(payload)->code)}];
      [[fallthrough]];
    default: p.a->frame(link, kind, payload, world_.now); act(p);
  }
}

inline void process::hear_message(peering& p, lane where, std::span<const std::byte> payload) {
  demand(p.a->in_session() && p.in, "a message is delivered after the session's end");
  std::uint64_t head[3];
  demand(payload.size() >= sizeof head, "a message is too short");
  std::memcpy(head, payload.data(), sizeof head);
  demand(head[2] == payload.size(), "a message has another size than it had");
  for (std::size_t i = sizeof head; i < payload.size(); i += 997)
    demand(payload[i] == static_cast<std::byte>(head[1]), "a message has another content");
  stream& s = world_.streams.at(head[0]);
  demand(s.to == node_ && s.from == p.peer, "a message goes astray");
  if (p.hears == 0 && s.receiver == 0) {
    p.hears = head[0];
    s.receiver = p.receiver;
  }
  demand(p.hears == head[0] && s.receiver == p.receiver,
         "messages of one session are delivered in another one");
  auto& next = p.next[static_cast<int>(where)];
  demand(head[1] == next,
         "message " + std::to_string(head[1]) + " is delivered instead of " + std::to_string(next));
  ++next;
  s.delivered[static_cast<int>(where)] = next;
  ++world_.counts().messages;
}

inline void process::closed(link_id link) {
  const auto at = ends_.find(link);
  if (at == ends_.end()) return;
  const int peer = at->second.peer;
  ends_.erase(at);
  if (peer < 0) return reception_.closed(link);
  auto& p = with(peer);
  p.a->link_closed(link, false, "closed", world_.now);
  act(p);
}

inline void process::writable(link_id link) {
  const auto at = ends_.find(link);
  if (at != ends_.end() && at->second.peer >= 0) flush(with(at->second.peer));
}

inline void process::shut(link_id link) {
  const auto at = ends_.find(link);
  if (at == ends_.end()) return;
  connection& c = *at->second.c;
  const int side = at->second.side;
  ends_.erase(at);
  world_.close(c, side);
}

inline void process::act(peering& p) {
  for (auto& x : p.a->take_actions()) carry_out(p, x);
  flush(p);
}

inline void process::carry_out(peering& p, association::action& x) {
  using kind = association::action::kind;
  const std::string who = world::name(node_) + " with " + world::name(p.peer);
  switch (x.what) {
    case kind::dial:
      ++p.dials;
      p.dials_when_calm += world_.calm;
      demand(p.dials <= 20 + static_cast<std::uint64_t>((world_.now - p.began) / 200ms),
             who + " dials without end");
      world_.dial(node_, p.peer);
      break;
    case kind::send: {
      world_.trace("%s: sends %s on %llu", who.c_str(), name(x.frame).data(),
                   static_cast<unsigned long long>(x.link));
      if (x.by_session) {
        demand(p.out && p.out->control(x.frame, x.payload()), "the session takes no control frame");
      } else if (const auto at = ends_.find(x.link); at != ends_.end()) {
        world_.write(*at->second.c, at->second.side, x.bytes, true);
      }
      break;
    }
    case kind::close:
      world_.trace("%s: closes %llu: %s", who.c_str(), static_cast<unsigned long long>(x.link),
                   x.text.c_str());
      shut(x.link);
      break;
    case kind::session_began:
      world_.trace("%s: session %llu began", who.c_str(),
                   static_cast<unsigned long long>(x.session));
      demand(!p.out, "a session begins before the last one has ended");
      p.out = std::make_unique<session>(world_.bounds);
      p.in = std::make_unique<arrivals>(world_.bounds);
      p.stream = world_.new_number();
      p.receiver = world_.new_number();
      p.hears = 0;
      p.next[0] = p.next[1] = 0;
      world_.streams[p.stream] = {node_, p.peer};
      break;
    case kind::attach: {
      world_.trace("%s: link %llu carries session %llu%s, peer has %llu/%llu, told %llu/%llu",
                   who.c_str(), static_cast<unsigned long long>(x.link),
                   static_cast<unsigned long long>(x.session), x.resumed ? ", resumed" : "",
                   static_cast<unsigned long long>(x.by_peer.user),
                   static_cast<unsigned long long>(x.by_peer.bulk),
                   static_cast<unsigned long long>(x.told.user),
                   static_cast<unsigned long long>(x.told.bulk));
      demand(p.out->attach(x.by_peer), "a handshake's counts lie");
      world_.counts().resumed += x.resumed;
      world_.counts().skipped += p.in->counts() != x.told;
      const auto at = ends_.find(x.link);
      demand(at != ends_.end(), "the session is attached to a link that is gone");
      at->second.reader->open(*p.in, x.told);
      p.heard = world_.now;
      break;
    }
    case kind::detach:
      world_.trace("%s: detached", who.c_str());
      p.out->detach();
      break;
    case kind::session_ended:
      world_.trace("%s: session %llu ended: %s", who.c_str(),
                   static_cast<unsigned long long>(x.session), x.text.c_str());
      ++world_.counts().ended[x.reason];
      account(p);
      p.out.reset();
      p.in.reset();
      break;
    case kind::digest_differs: demand(false, "the digests differ"); break;
    case kind::note: world_.trace("%s: %s", who.c_str(), x.text.c_str()); break;
  }
}

/// What is not unconfirmed at a session's end has been delivered.
inline void process::account(peering& p) {
  stream& s = world_.streams.at(p.stream);
  s.ended = true;
  std::uint64_t first[2]{s.sent[0], s.sent[1]}, expected[2]{~0ull, ~0ull};
  p.out->each_unacknowledged([&](lane where, std::span<const std::byte> payload) {
    const int l = static_cast<int>(where);
    std::uint64_t head[2];
    std::memcpy(head, payload.data(), sizeof head);
    demand(head[0] == p.stream, "an unconfirmed message is not of this session");
    if (expected[l] == ~0ull) first[l] = expected[l] = head[1];
    demand(head[1] == expected[l]++, "the unconfirmed messages are not in order");
    ++world_.counts().unconfirmed;
  });
  for (int l : {0, 1}) {
    demand(expected[l] == ~0ull || expected[l] == s.sent[l], "an unconfirmed message is missing");
    demand(s.delivered[l] >= first[l], "a message is confirmed and was not delivered");
  }
}

inline void process::flush(peering& p) {
  if (!p.out || !p.out->anything_to_write()) return;
  const auto at = ends_.find(p.a->link());
  if (at == ends_.end()) return;
  std::span<const std::byte> pieces[5];
  for (;;) {
    const std::size_t filled = p.out->gather(pieces);
    if (filled == 0) return;
    std::size_t taken = 0;
    bool all = true;
    for (std::size_t i = 0; i < filled && all; ++i) {
      const std::size_t n = world_.write(*at->second.c, at->second.side, pieces[i], false);
      taken += n;
      all = n == pieces[i].size();
    }
    p.out->wrote(taken);
    if (!all) return;
  }
}

inline void process::tick() {
  for (const auto& out : reception_.time(world_.now)) shut(out.link);
  for (auto& [peer, p] : peers_) {
    if (const auto next = p.a->next(); next && *next <= world_.now) {
      p.a->time(world_.now);
      act(p);
      const auto then = p.a->next();
      demand(!then || *then > world_.now, "an association wants to be called without end");
    }
    const link_id link = p.a->link();
    if (link == no_link) continue;
    if (world_.now - p.heard > 1'500ms) {
      world_.trace("%s hears nothing of %s", world::name(node_).c_str(), world::name(peer).c_str());
      shut(link);
      p.a->link_closed(link, false, "nothing was heard", world_.now);
      act(p);
      continue;
    }
    if (world_.now - p.beaten >= 200ms) {
      p.beaten = world_.now;
      p.out->control(frame_kind::heartbeat, {});
    }
    if (p.in->ack_due(world_.now))
      p.out->control(frame_kind::ack, write_ack(p.in->ack(world_.now)));
    flush(p);
    demand(p.out->buffered() <= 2 * world_.bounds.send_buffer_bytes,
           "the send buffers are too large");
    demand(p.out->memory() <= 3 * world_.bounds.send_buffer_bytes + 16 * 66'000,
           "a session takes too much memory");
    demand(p.in->held() <= 2 * world_.bounds.message_bytes, "too much is held for messages");
  }
}

inline void process::send_some() {
  for (auto& [peer, p] : peers_) {
    if (stopping_ || !p.out || !world_.one_in(3)) continue;
    for (auto n = world_.below(world_.one_in(10) ? 40 : 3); n > 0; --n) {
      const auto where = world_.one_in(3) ? lane::bulk : lane::user;
      const std::size_t size = 24 + world_.below(world_.one_in(40)  ? 200'000
                                                 : world_.one_in(4) ? 5'000
                                                                    : 100);
      stream& s = world_.streams.at(p.stream);
      auto& number = s.sent[static_cast<int>(where)];
      std::vector<std::byte> message(size, static_cast<std::byte>(number));
      const std::uint64_t head[3]{p.stream, number, size};
      std::memcpy(message.data(), head, sizeof head);
      if (p.out->send(where, message)) ++number;
      else ++world_.counts().full;
    }
    flush(p);
  }
}

inline void process::stop() {
  world_.trace("%s stops", world::name(node_).c_str());
  stopping_ = true;
  for (auto& [peer, p] : peers_) {
    p.a->stop("", world_.now);
    act(p);
  }
}

inline bool process::stopped() const {
  return stopping_ && std::all_of(peers_.begin(), peers_.end(),
                                  [](const auto& p) { return p.second.a->over(); });
}

}  // namespace simulation
