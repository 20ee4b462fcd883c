// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/testing/network_private.hpp>

#include <algorithm>
#include <utility>

namespace coppice::testing {

using namespace std::chrono_literals;

namespace {

/// What a reader is given at once, as a real carrier's buffer has it.
constexpr std::size_t read_bytes = std::size_t{256} * 1024;
/// A kernel sends again what was not confirmed: soon at first, then less often.
constexpr timeline::span sent_again{400'000};

}  // namespace

class network::simulated_link final : public wire::link {
 public:
  simulated_link(network& of, std::uint64_t id, int side, wire::link_info info)
      : network_(of), id_(id), side_(side), info_(std::move(info)) {}

  std::size_t write(std::span<const std::span<const std::byte>> pieces) noexcept override {
    return network_.write(id_, side_, pieces);
  }
  void close(std::string_view why) noexcept override {
    network_.close(id_, side_, std::string{why});
  }
  const wire::link_info& info() const noexcept override { return info_; }

 private:
  network& network_;
  const std::uint64_t id_;
  const int side_;
  const wire::link_info info_;
};

network::network(timeline& time, std::vector<std::string> names, const simulated_network& how,
                 std::chrono::milliseconds connect_deadline, ports uses)
    : time_(time),
      names_(std::move(names)),
      how_(how),
      connect_deadline_(connect_deadline),
      uses_(std::move(uses)),
      machines_(names_.size()),
      paths_(names_.size() * names_.size()) {}

network::~network() = default;

network::span network::latency() { return how_.delay + time_.any(how_.jitter); }

network::connection* network::find(std::uint64_t link) {
  const auto at = connections_.find(link);
  return at == connections_.end() ? nullptr : &at->second;
}

void network::forget_if_over(std::uint64_t link) {
  const connection* c = find(link);
  if (c && c->ends[0].over && c->ends[1].over) connections_.erase(link);
}

// ---- machines and processes -------------------------------------------------------------------

void network::listen(std::size_t node, std::uint64_t life) {
  machines_[node] = {true, life};
  // What has been sent to the process before it meets a machine that does not know it.
  for (auto& [id, c] : connections_)
    for (int side : {0, 1})
      if (c.ends[side].node == node) schedule(id, 1 - side);
}

void network::lost(std::size_t node, crash how) {
  machines_[node] = {how == crash::killed, 0};
  std::erase_if(dials_, [&](const auto& d) { return d.second.node == node; });
  std::vector<std::uint64_t> all;
  for (auto& [id, c] : connections_) {
    for (int side : {0, 1}) {
      end& mine = c.ends[side];
      if (mine.node != node || mine.over) continue;
      const bool was_open = std::exchange(mine.open, false);
      mine.over = true;
      c.ways[1 - side].scheduled = false;
      if (!was_open) continue;
      if (how == crash::powered_off) {
        c.ways[side].flying.clear();
      } else if (time_.one_in(2)) {
        append(c, side, {{}, {}, true});
        schedule(id, side);
      } else {
        all.push_back(id);
      }
    }
  }
  for (const std::uint64_t id : all) reset(id, "the connection was reset by the peer");
  std::erase_if(connections_,
                [](const auto& c) { return c.second.ends[0].over && c.second.ends[1].over; });
}

void network::closed(std::size_t node, wire::link_events& events) {
  machines_[node].listens = 0;
  std::vector<std::uint64_t> all;
  for (auto& [id, c] : connections_) all.push_back(id);
  for (const std::uint64_t id : all) {
    connection& c = *find(id);
    for (int side : {0, 1}) {
      end& mine = c.ends[side];
      if (mine.node != node || mine.over) continue;
      if (std::exchange(mine.open, false) && !c.broken) {
        append(c, side, {{}, {}, true});
        schedule(id, side);
      }
      mine.over = true;
      const auto keep = mine.link;
      if (mine.told) events.on_closed(*keep, false, "this node stops");
    }
    forget_if_over(id);
  }
  std::vector<std::size_t> to;
  for (const auto& [id, d] : dials_)
    if (d.node == node) to.push_back(d.to);
  std::erase_if(dials_, [&](const auto& d) { return d.second.node == node; });
  for (const std::size_t peer : to) events.on_dial_failed(names_[peer], false, "this node stops");
}

bool network::busy(std::size_t node) const {
  return std::any_of(dials_.begin(), dials_.end(),
                     [&](const auto& d) { return d.second.node == node; }) ||
         std::any_of(connections_.begin(), connections_.end(), [&](const auto& c) {
           return (c.second.ends[0].node == node && !c.second.ends[0].over) ||
                  (c.second.ends[1].node == node && !c.second.ends[1].over);
         });
}

std::size_t network::links(std::size_t a, std::size_t b) const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(), [&](const auto& each) {
        const connection& c = each.second;
        return ((c.ends[0].node == a && c.ends[1].node == b) ||
                (c.ends[0].node == b && c.ends[1].node == a)) &&
               c.ends[0].open && c.ends[1].open && !c.broken;
      }));
}

// ---- dials ------------------------------------------------------------------------------------

void network::dial(std::size_t node, std::uint64_t life, const std::string& peer) {
  const auto to =
      static_cast<std::size_t>(std::find(names_.begin(), names_.end(), peer) - names_.begin());
  const std::uint64_t id = ++last_;
  dials_.emplace(id, dialled{node, life, to, time_.now() + connect_deadline_});
  uses_.tell(node, "dials " + peer);
  time_.after(latency(), [this, id] { attempt(id); });
}

void network::attempt(std::uint64_t id) {
  const auto at = dials_.find(id);
  if (at == dials_.end()) return;
  const dialled& d = at->second;
  const machine& there = machines_[d.to];
  const dial_fate fate = way(d.node, d.to).fate;
  if (fate == dial_fate::hangs || is_cut(d.node, d.to) || is_cut(d.to, d.node) || !there.powered) {
    if (time_.now() >= d.deadline) return dial_ends(id, false, "the connection timed out");
    const auto again = std::min(time_.now() + 1ms + time_.any(sent_again), d.deadline);
    time_.at(again, [this, id] { attempt(id); });
  } else if (fate == dial_fate::fails) {
    dial_ends(id, false, "there is no route to the host");
  } else if (fate == dial_fate::refused || there.listens == 0) {
    dial_ends(id, true, "the connection was refused");
  } else {
    connect(id);
  }
}

void network::dial_ends(std::uint64_t id, bool refused, const std::string& why) {
  const dialled d = dials_.at(id);
  time_.after(latency(), [=, this] {
    uses_.run(d.node, d.life, [=, this](wire::link_events& events) {
      if (dials_.erase(id) == 0) return;
      uses_.tell(d.node, "cannot dial " + names_[d.to] + ": " + why);
      events.on_dial_failed(names_[d.to], refused, why);
    });
  });
}

void network::connect(std::uint64_t id) {
  const dialled d = dials_.at(id);
  const std::uint64_t link = ++last_;
  connection& c = connections_[link];
  const std::size_t nodes[] = {d.node, d.to};
  for (int side : {0, 1}) {
    end& e = c.ends[side];
    e.node = nodes[side];
    e.life = side == 0 ? d.life : machines_[d.to].listens;
    wire::link_info info;
    info.address = names_[nodes[1 - side]] + ":7000";
    info.outgoing = side == 0;
    if (side == 0) info.dialled = names_[d.to];
    e.link = std::make_shared<simulated_link>(*this, link, side, std::move(info));
  }
  // The one who is dialled may be told later: its kernel has answered for it.
  time_.after(time_.any(how_.tardiness), [this, link, to = d.to, life = c.ends[1].life] {
    uses_.run(to, life, [this, link](wire::link_events& events) { opened(link, 1, events); });
  });
  time_.after(latency(), [=, this] {
    uses_.run(d.node, d.life, [=, this](wire::link_events& events) {
      if (dials_.erase(id) == 0) return;
      const connection* now = find(link);
      if (now && now->ends[0].open) return opened(link, 0, events);
      events.on_dial_failed(names_[d.to], false, "the connection was reset by the peer");
    });
  });
}

void network::opened(std::uint64_t link, int side, wire::link_events& events) {
  connection* c = find(link);
  if (!c || !c->ends[side].open) return;
  end& mine = c->ends[side];
  mine.told = true;
  const auto opened = mine.link;
  uses_.tell(mine.node, "link " + std::to_string(link) + (side == 0 ? " to " : " from ") +
                            names_[c->ends[1 - side].node]);
  events.on_open(opened);
  if (c = find(link); c) schedule(link, 1 - side);
}

// ---- bytes ------------------------------------------------------------------------------------

void network::append(connection& c, int from, piece p) {
  direction& d = c.ways[from];
  const std::size_t rate = std::max<std::size_t>(how_.bandwidth, 1);
  d.sent =
      std::max(d.sent, time_.now()) + span{static_cast<span::rep>(p.bytes.size() * 1'000 / rate)};
  d.arrived = std::max(d.arrived, d.sent + latency());
  p.arrives = d.arrived;
  d.bytes += p.bytes.size();
  d.flying.push_back(std::move(p));
}

std::size_t network::write(std::uint64_t link, int side,
                           std::span<const std::span<const std::byte>> pieces) {
  connection* c = find(link);
  if (!c || !c->ends[side].open) return 0;
  direction& d = c->ways[side];
  std::size_t offered = 0;
  for (const auto& p : pieces) offered += p.size();
  const std::size_t room = how_.room - std::min(how_.room, d.bytes);
  std::size_t taken = std::min(offered, room);
  if (taken > 0 && time_.one_in(how_.short_writes)) taken = time_.any(taken + 1);
  if (taken < offered && !d.blocked) {
    d.blocked = true;
    if (taken < room) writable_soon(link, side, time_.any(span{2'000}));
  }
  if (c->broken) {
    d.bytes += taken;  // into the void
    return taken;
  }
  std::vector<std::byte> all;
  all.reserve(taken);
  for (const auto& p : pieces) {
    const auto part = p.first(std::min(p.size(), taken - all.size()));
    all.insert(all.end(), part.begin(), part.end());
  }
  for (std::size_t at = 0; at < taken;) {
    std::size_t size = taken - at;
    if (how_.in_pieces && time_.one_in(3))
      size = 1 + time_.any(time_.one_in(2) ? std::min<std::size_t>(size, 16) : size);
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(at);
    append(*c, side, {{}, {from, from + static_cast<std::ptrdiff_t>(size)}, false});
    at += size;
  }
  schedule(link, side);
  return taken;
}

void network::close(std::uint64_t link, int side, const std::string& why) {
  connection* c = find(link);
  if (!c || !c->ends[side].open) return;
  end& mine = c->ends[side];
  mine.open = false;
  if (!c->broken) {
    append(*c, side, {{}, {}, true});
    schedule(link, side);
  }
  uses_.tell(mine.node, "closes link " + std::to_string(link) + ": " + why);
  time_.after(time_.any(span{100}), [=, this, node = mine.node, life = mine.life] {
    uses_.run(node, life, [=, this](wire::link_events& events) {
      connection* now = find(link);
      if (!now || now->ends[side].over) return;
      now->ends[side].over = true;
      const auto keep = now->ends[side].link;
      forget_if_over(link);
      events.on_closed(*keep, false, why);
    });
  });
}

void network::schedule(std::uint64_t link, int from) {
  connection* c = find(link);
  if (!c) return;
  direction& d = c->ways[from];
  if (d.scheduled || d.flying.empty()) return;
  d.scheduled = true;
  time_.at(d.flying.front().arrives, [this, link, from] { arrive(link, from); });
}

void network::arrive(std::uint64_t link, int from) {
  connection* c = find(link);
  if (!c) return;
  direction& d = c->ways[from];
  d.scheduled = false;
  if (c->broken || d.flying.empty()) return;
  if (d.flying.front().arrives > time_.now()) return schedule(link, from);
  const end& to = c->ends[1 - from];
  const machine& there = machines_[to.node];
  // Both are tried again when it can be otherwise.
  if (is_cut(c->ends[from].node, to.node) || !there.powered) return;
  if (!to.open) {
    if (there.listens != to.life && c->ends[from].open)
      return reset(link, "the connection was reset by the peer");
    d.bytes -= d.flying.front().bytes.size();
    d.flying.pop_front();
    return schedule(link, from);
  }
  if (!to.told) return;  // `opened` comes back here
  d.scheduled = true;
  uses_.run(to.node, to.life,
            [this, link, from](wire::link_events& events) { deliver(link, from, events); });
}

void network::deliver(std::uint64_t link, int from, wire::link_events& events) {
  connection* c = find(link);
  if (!c) return;
  direction& d = c->ways[from];
  d.scheduled = false;
  if (c->broken || d.flying.empty()) return;
  if (d.flying.front().last)
    return end_link(link, 1 - from, false, "the peer has closed the link", events);
  std::vector<std::byte> bytes = std::move(d.flying.front().bytes);
  d.flying.pop_front();
  const bool together = !how_.in_pieces || time_.one_in(2);
  while (together && !d.flying.empty() && !d.flying.front().last &&
         d.flying.front().arrives <= time_.now() && bytes.size() < read_bytes) {
    bytes.insert(bytes.end(), d.flying.front().bytes.begin(), d.flying.front().bytes.end());
    d.flying.pop_front();
  }
  d.bytes -= bytes.size();
  if (d.blocked && d.bytes <= how_.room / 2) writable_soon(link, from, latency());
  const end& to = c->ends[1 - from];
  if (to.open) {
    time_.happened(bytes.size());
    for (const std::byte b : bytes) time_.happened(std::to_integer<std::uint64_t>(b));
    const auto keep = to.link;
    events.on_bytes(*keep, bytes);
  }
  schedule(link, from);
}

void network::writable_soon(std::uint64_t link, int side, span after) {
  time_.after(after, [this, link, side] {
    const connection* c = find(link);
    if (!c) return;
    uses_.run(c->ends[side].node, c->ends[side].life, [=, this](wire::link_events& events) {
      connection* now = find(link);
      if (!now || !now->ends[side].open || !now->ways[side].blocked) return;
      now->ways[side].blocked = false;
      const auto keep = now->ends[side].link;
      events.on_writable(*keep);
    });
  });
}

// ---- ends -------------------------------------------------------------------------------------

void network::end_link(std::uint64_t link, int side, bool refused, const std::string& why,
                       wire::link_events& events) {
  connection* c = find(link);
  if (!c || !c->ends[side].open) return;
  end& mine = c->ends[side];
  mine.open = false;
  mine.over = true;
  const auto keep = mine.link;
  const bool told = mine.told;
  uses_.tell(mine.node, "link " + std::to_string(link) + " is closed: " + why);
  schedule(link, 1 - side);  // what still comes is thrown away
  forget_if_over(link);
  if (told) events.on_closed(*keep, refused, why);
}

void network::reset(std::uint64_t link, const std::string& why) {
  connection* c = find(link);
  if (!c || c->broken) return;
  c->broken = true;
  for (int side : {0, 1}) {
    c->ways[side].flying.clear();
    c->ways[side].bytes = 0;
  }
  for (int side : {0, 1}) tell_reset(link, side, why, true);
}

void network::tell_reset(std::uint64_t link, int side, std::string why, bool needs_path) {
  connection* c = find(link);
  if (!c || !c->ends[side].open) return;
  end& mine = c->ends[side];
  if (needs_path && is_cut(c->ends[1 - side].node, mine.node)) {
    mine.reset = std::move(why);
    return;
  }
  time_.after(needs_path ? latency() : span{0},
              [this, link, side, why, node = mine.node, life = mine.life] {
                uses_.run(node, life, [=, this](wire::link_events& events) {
                  end_link(link, side, false, why, events);
                });
              });
}

void network::reset(std::size_t a, std::size_t b) {
  for (const auto& [id, c] : connections_)
    if ((c.ends[0].node == a && c.ends[1].node == b) ||
        (c.ends[0].node == b && c.ends[1].node == a))
      reset(id, "the connection was reset");
}

void network::give_up(std::size_t at, std::size_t other) {
  for (auto& [id, c] : connections_) {
    for (int side : {0, 1}) {
      if (c.ends[side].node != at || c.ends[1 - side].node != other || c.broken) continue;
      c.broken = true;
      for (direction& d : c.ways) {
        d.flying.clear();
        d.bytes = 0;
      }
      tell_reset(id, side, "the connection timed out", false);
      tell_reset(id, 1 - side, "the connection was reset by the peer", true);
    }
  }
}

void network::mend(std::size_t from, std::size_t to) {
  if (std::exchange(way(from, to).open, true)) return;
  for (auto& [id, c] : connections_) {
    for (int side : {0, 1}) {
      if (c.ends[side].node != to || c.ends[1 - side].node != from) continue;
      if (!c.ends[side].reset.empty())
        tell_reset(id, side, std::exchange(c.ends[side].reset, {}), true);
      direction& d = c.ways[1 - side];
      const auto again = time_.now() + time_.any(sent_again);
      for (piece& p : d.flying) p.arrives = std::max(p.arrives, again);
      d.arrived = std::max(d.arrived, again);
      schedule(id, 1 - side);
    }
  }
}

}  // namespace coppice::testing
