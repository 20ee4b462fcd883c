// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/codec.hpp>
#include <coppice/runtime/cluster/cluster_private.hpp>
#include <coppice/runtime/cluster/peer_session_private.hpp>
#include <coppice/runtime/config/config.hpp>

#include <algorithm>
#include <utility>

namespace coppice {

using namespace std::chrono_literals;
using weight = cluster_options::weight;
using wire::association_action;
using wire::frame_kind;

namespace {

constexpr auto actors_period = 100ms;
constexpr std::size_t most_followers = 1'000;
/// A gossip frame fits into one frame.
constexpr std::size_t longest_config = std::size_t{24} * 1'024;

std::uint64_t chance() {
  static thread_local std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

wire::incarnation_id as_wire(const node_incarnation& x) { return {x.high, x.low}; }
node_incarnation from_wire(const wire::incarnation_id& x) { return {x.high, x.low}; }

}  // namespace

// ---- a peer -----------------------------------------------------------------------------------

struct cluster_shell::connection {
  wire::link_id id;
  wire::link_ptr link;
  wire::frame_reader reader;
  peer* of = nullptr;  ///< whose association knows it
  bool carries = false;  ///< the session
};

struct cluster_shell::peer {
  peer(std::uint32_t i, const cluster_options::entry& e, detail::cluster_log& log,
       std::uint32_t lines_per_second)
      : index(i),
        entry(e),
        offences(log.limit("what node " + e.name + " has sent", lines_per_second)),
        notes(log.limit("node " + e.name, 2 * lines_per_second)) {}

  const std::uint32_t index;  ///< in the mind's list
  const cluster_options::entry& entry;
  wire::counterpart* actors = nullptr;

  // Of the carrier's thread.
  std::optional<wire::association> machine;
  std::optional<wire::arrivals> arrivals;
  std::optional<wire::incarnation_id> met;  ///< in the last session
  bool tell_config = false;  ///< its own differs: once there is a link
  bool config_comes = false;  ///< for the same reason, once
  detail::cluster_log::subject& offences;  ///< lines about what it has done
  detail::cluster_log::subject& notes;  ///< and about what has become of it
  time_point::duration silent{0};  ///< so long has this node run and heard nothing over the link
  node_incarnation linked{};  ///< whose the last link was

  const std::shared_ptr<peer_session> session = std::make_shared<peer_session>();

  std::mutex guard;  ///< of what others see
  detail::peer_view seen{};
  std::string reason;
  time_point heard{};
};

// ---- life -------------------------------------------------------------------------------------

cluster_shell::cluster_shell(system& home, cluster_options options,
                             std::unique_ptr<wire::carrier> carrier)
    : home_(home),
      options_(std::move(options)),
      carrier_(std::move(carrier)),
      directory_(home),
      permissions_(options_.allow),
      log_(options_.node, options_.log),
      strangers_(log_.limit("connections that were refused", options_.lines_per_second)) {
  if (!options_.now) options_.now = [] { return std::chrono::steady_clock::now(); };
  if (!options_.random) options_.random = &chance;
  if (options_.nodes.empty()) options_.nodes.push_back({options_.node, {}, {}, {}, {}});
  incarnation_ = {options_.random(), options_.random() | 1};

  wire::identity me;
  me.cluster = options_.cluster;
  me.node = options_.node;
  me.incarnation = as_wire(incarnation_);
  me.digest = options_.digest;

  wire::exchange_options exchange;
  exchange.node = options_.node;
  exchange.limits = options_.limits;
  exchange.allowed = [this](std::string_view who, std::string_view path, std::string_view event) {
    const peer* p = find(who);
    return p && permissions_.allow(p->entry.roles, path, event);
  };
  if (!options_.bulk.empty())
    exchange.bulk = [this](std::string_view path) {
      return std::any_of(options_.bulk.begin(), options_.bulk.end(),
                         [&](const std::string& p) { return detail::path_matches(p, path); });
    };
  exchange.offended = [this](std::string_view who, std::string_view what) {
    if (peer* p = find(who)) offended(*p, what);
  };
  std::vector<std::string> names;
  for (const auto& e : options_.nodes) {
    if (e.name == options_.node) {
      own_ = &e;
      continue;
    }
    peers_.push_back(std::make_unique<peer>(static_cast<std::uint32_t>(peers_.size()), e, log_,
                                            options_.lines_per_second));
    exchange.peers.push_back(e.name);
    names.push_back(e.name);
  }
  detail::require(own_, "a node is one of its cluster's");
  actors_.emplace(home, directory_, std::move(exchange));
  for (const auto& p : peers_) {
    p->actors = actors_->peer(p->entry.name);
    p->machine.emplace(me, p->entry.name, options_.limits,
                       wire::association::ports{options_.random, [q = p.get()] {
                                                  return q->arrivals ? q->arrivals->counts()
                                                                     : wire::received{};
                                                }});
  }
  names.push_back(options_.node);
  reception_.emplace(me, names, options_.limits);
  names.pop_back();
  mind_.emplace(options_.liveness, options_.node, incarnation_, names, now());
}

cluster_shell::~cluster_shell() { stop(0ms); }

result<void> cluster_shell::start() {
  if (!carrier_) return {};
  if (auto listening = carrier_->start(own_->address, *this); !listening) return listening;
  {
    std::lock_guard lock{guard_};
    started_ = true;
  }
  carrier_->wake_at(now());  // the dials begin there, on the carrier's thread
  return {};
}

void cluster_shell::leave(std::chrono::milliseconds deadline) {
  std::lock_guard lock{guard_};
  if (!started_ || stopped_ || part_by_) return;
  part_by_ = now() + deadline / 2;
  carrier_->wake_at(now());
}

bool cluster_shell::has_left() const {
  std::lock_guard lock{guard_};
  return parted_;
}

void cluster_shell::stop(std::chrono::milliseconds deadline) {
  if (deadline > 0ms) leave(deadline);
  {
    std::unique_lock lock{guard_};
    if (std::exchange(stopped_, true)) return;
    if (started_ && deadline > 0ms) changed_.wait_for(lock, deadline, [this] { return parted_; });
  }
  if (started_) carrier_->stop();
  actors_->stop();
}

cluster_shell::time_point cluster_shell::now() const { return options_.now(); }

cluster_shell::peer* cluster_shell::find(std::string_view name) noexcept {
  for (const auto& p : peers_)
    if (p->entry.name == name) return p.get();
  return nullptr;
}

/// Someone who has not said, or not proven, who it is.
void cluster_shell::offended(std::string_view address, std::string_view what) {
  log_.say(strangers_, weight::warning,
           "node " + options_.node + ": from " + std::string{address} + ": " + std::string{what},
           now());
}

void cluster_shell::offended(peer& by, std::string_view what) {
  std::string address;
  if (const auto link = by.session->link()) address = " at " + link->info().address;
  log_.say(
      by.offences, weight::warning,
      "node " + options_.node + ": from node " + by.entry.name + address + ": " + std::string{what},
      now());
}

/// What has become of it.
void cluster_shell::note(peer& about, weight w, const std::string& text) {
  log_.say(about.notes, w, text, now());
}

// ---- links ------------------------------------------------------------------------------------

void cluster_shell::on_open(const wire::link_ptr& opened) {
  const time_point at = now();
  const wire::link_info& info = opened->info();
  const wire::link_id id = ++last_link_;
  auto& c = connections_[id];
  c.reset(new connection{id, opened, wire::frame_reader{info.outgoing}});
  opened->owner = c.get();
  if (!info.outgoing) {
    if (auto crowded = reception_->opened(id, info.certificate_name, at)) {
      const auto old = connections_.find(crowded->link);
      counts_.refused.fetch_add(1, std::memory_order_relaxed);
      if (old != connections_.end()) {
        offended(old->second->link->info().address, crowded->why);
        old->second->link->close(crowded->why);
      }
    }
    plan(at);
    return;
  }
  peer* p = find(info.dialled);
  if (!p) {
    opened->close("nobody asked for it");
    return;
  }
  c->of = p;
  p->machine->link_opened(id, true, info.certificate_name, at);
  carry_out(*p);
  plan(at);
}

void cluster_shell::on_bytes(wire::link& from, std::span<const std::byte> bytes) {
  auto* c = static_cast<connection*>(from.owner);
  if (!c) return;
  const time_point at = now();
  const bool goes_on = c->reader.feed(
      bytes, [&](frame_kind kind, std::span<const std::byte> x) { return on_frame(*c, kind, x); });
  if (c->carries && c->of) {
    peer& p = *c->of;
    detail::liveness_actions todo;
    mind_->heard(p.index, at, todo);
    p.silent = {};
    {
      std::lock_guard lock{p.guard};
      p.heard = at;
    }
    carry_out(todo);
    acknowledge_if_due(p, at);
  }
  if (goes_on || !c->reader.failure()) return;
  const std::string why = c->reader.failure();
  if (c->carries && c->of) {
    peer& p = *c->of;
    offended(p, why);
    p.machine->end(wire::session_end::violation, why, at);
    carry_out(p);
    return;
  }
  offended(from.info().address + (c->of ? ", as node " + c->of->entry.name : ""), why);
  counts_.refused.fetch_add(1, std::memory_order_relaxed);
  from.close(why);
}

/// False: nothing more is taken from that link.
bool cluster_shell::on_frame(connection& c, frame_kind kind, std::span<const std::byte> payload) {
  if (kind == frame_kind::user || kind == frame_kind::bulk) {
    const bool bulk = kind == frame_kind::bulk;
    actors_->message(*c.of->actors, bulk ? wire::lane::bulk : wire::lane::user, payload);
    return c.carries;
  }
  if (!c.of) return on_hello(c, payload);
  peer& p = *c.of;
  const time_point at = now();
  switch (kind) {
    case frame_kind::ack: {
      const auto counts = wire::read_ack(payload);
      using acknowledgement = peer_session::acknowledgement;
      const auto how = counts ? p.session->acknowledged(*counts) : acknowledgement::lie;
      if (how == acknowledgement::lie) {
        offended(p, "it acknowledges what was never sent");
        p.machine->end(wire::session_end::violation, "it acknowledges what was never sent", at);
        carry_out(p);
      } else if (how == acknowledgement::room_again) {
        actors_->drained(*p.actors);
      }
      break;
    }
    case frame_kind::heartbeat: break;
    case frame_kind::gossip: on_gossip(p, payload); break;
    default:
      p.machine->frame(c.id, kind, payload, at);
      carry_out(p);
      break;
  }
  return c.of != nullptr;
}

bool cluster_shell::on_hello(connection& c, std::span<const std::byte> payload) {
  const time_point at = now();
  const auto verdict = reception_->said_hello(c.id, payload);
  if (verdict.peer.empty()) {
    offended(c.link->info().address, verdict.why);
    counts_.refused.fetch_add(1, std::memory_order_relaxed);
    const std::span<const std::byte> answer{verdict.answer};
    c.link->write({&answer, 1});
    c.link->close(verdict.why);
    return false;
  }
  peer* p = find(verdict.peer);
  c.of = p;
  p->machine->link_opened(c.id, false, verdict.certificate_name, at);
  p->machine->frame(c.id, frame_kind::hello, payload, at);
  carry_out(*p);
  plan(at);
  return c.of != nullptr;
}

void cluster_shell::on_writable(wire::link& to) {
  auto* c = static_cast<connection*>(to.owner);
  if (c && c->of && c->carries) c->of->session->writable(to);
}

void cluster_shell::on_closed(wire::link& closed, bool refused, std::string_view why) {
  auto* c = static_cast<connection*>(closed.owner);
  if (!c) return;
  const time_point at = now();
  closed.owner = nullptr;
  reception_->closed(c->id);
  peer* p = c->of;
  const wire::link_id id = c->id;
  if (p) {
    p->machine->link_closed(id, refused, why, at);
    carry_out(*p);
  }
  connections_.erase(id);
  plan(at);
}

void cluster_shell::on_dial_failed(std::string_view name, bool refused, std::string_view why) {
  peer* p = find(name);
  if (!p) return;
  const time_point at = now();
  p->machine->dial_failed(refused, why, at);
  carry_out(*p);
  if (!p->machine->in_session()) {
    actors_->unreachable(*p->actors, "node " + p->entry.name + " at " + p->entry.address +
                                         " cannot be reached: " + std::string{why});
    if (refused) {
      detail::liveness_actions todo;
      mind_->refused(p->index, at, todo);
      carry_out(todo);
    }
  }
  plan(at);
}

void cluster_shell::on_refused(std::string_view address, std::string_view why) {
  counts_.refused.fetch_add(1, std::memory_order_relaxed);
  offended(address, why);
}

void cluster_shell::on_report(std::string_view what) {
  log_.say(weight::warning, std::string{what});
}

// ---- time -------------------------------------------------------------------------------------

void cluster_shell::on_time() {
  const time_point at = now();
  std::optional<time_point> part_by;
  {
    std::lock_guard lock{guard_};
    part_by = part_by_;
  }
  log_.time(at);
  for (const auto& p : peers_) {
    p->machine->start(at);
    if (const auto next = p->machine->next(); next && *next <= at) p->machine->time(at);
    carry_out(*p);
    acknowledge_if_due(*p, at);
  }
  for (const auto& late : reception_->time(at)) {
    counts_.refused.fetch_add(1, std::memory_order_relaxed);
    const auto c = connections_.find(late.link);
    if (c == connections_.end()) continue;
    offended(c->second->link->info().address, late.why);
    c->second->link->close(late.why);
  }
  if (mind_->next() <= at) {
    detail::liveness_actions todo;
    mind_->time(at, todo);
    carry_out(todo);
  }
  if (const auto since = at - actors_time_; since >= actors_period) {
    actors_time_ = at;
    actors_->time();
    give_up_the_overrun(at);
    // Coming late, it was this node that did not listen.
    give_up_the_silent(std::min<time_point::duration>(since, 2 * actors_period), at);
  }
  if (part_by) part(at);
  plan(at);
}

/// The peer will never know what has found no room for it: it must forget the rest as well.
void cluster_shell::give_up_the_overrun(time_point at) {
  for (const auto& p : peers_) {
    if (!p->session->overrun()) continue;
    p->machine->end(wire::session_end::unreachable,
                    "node " + p->entry.name +
                        " does not take what it is owed: answers and notices "
                        "for it have filled twice limits.send_buffer_bytes",
                    at);
    carry_out(*p);
  }
}

/// A link that takes everything and brings nothing is as good as none: the session ends at the same
/// limit, or those who wait for an answer would wait for ever.
void cluster_shell::give_up_the_silent(time_point::duration ran, time_point at) {
  const auto limit = std::max(options_.limits.session_limit, options_.liveness.unreachable_after);
  for (const auto& p : peers_) {
    if (p->machine->link() == wire::no_link) continue;
    p->silent += ran;
    const bool swallows = p->session->still_unconfirmed(ran) >= limit;
    if (p->silent < limit && !swallows) continue;
    p->silent = {};
    if (swallows) {
      p->machine->end(wire::session_end::violation,
                      "node " + p->entry.name + " has confirmed nothing for " +
                          std::to_string(limit.count()) + " ms of what it was sent",
                      at);
      carry_out(*p);
      continue;
    }
    p->machine->end(wire::session_end::unreachable,
                    "nothing was heard of node " + p->entry.name + " for " +
                        std::to_string(limit.count()) + " ms, over a link that takes everything",
                    at);
    carry_out(*p);
  }
}

/// Parts from all peers: when what was sent has been confirmed, or at the deadline.
void cluster_shell::part(time_point at) {
  time_point by;
  {
    std::lock_guard lock{guard_};
    by = *part_by_;
  }
  if (!parting_) {
    for (const auto& p : peers_)
      if (at < by && p->session->link() && p->session->buffered().value_or(0) > 0) return;
    parting_ = true;
    for (const auto& p : peers_) {
      p->machine->stop("node " + options_.node + " stops", at);
      carry_out(*p);
    }
  }
  const bool all =
      std::all_of(peers_.begin(), peers_.end(), [](const auto& p) { return p->machine->over(); });
  if (!all) return;
  std::lock_guard lock{guard_};
  parted_ = true;
  changed_.notify_all();
}

void cluster_shell::plan(time_point at) {
  if (peers_.empty()) return;
  time_point next = std::min(mind_->next(), at + actors_period);
  for (const auto& p : peers_)
    if (const auto t = p->machine->next()) next = std::min(next, *t);
  if (const auto t = reception_->next()) next = std::min(next, *t);
  carrier_->wake_at(next);
}

void cluster_shell::acknowledge_if_due(peer& p, time_point at) {
  if (!p.arrivals || !p.arrivals->ack_due(at) || !p.session->link()) return;
  p.session->control(frame_kind::ack, wire::write_ack(p.arrivals->ack(at)));
}

// ---- what the association wants ---------------------------------------------------------------

void cluster_shell::carry_out(peer& p) {
  bool any = false;
  for (auto todo = p.machine->take_actions(); !todo.empty(); todo = p.machine->take_actions()) {
    any = true;
    for (std::size_t i = 0; i < todo.size(); ++i) {
      if (todo[i].what != association_action::kind::attach) {
        carry_out(p, todo[i]);
        continue;
      }
      // `ready` opens the link at the other end: no worker may write before it.
      const bool more = i + 1 < todo.size() && todo[i + 1].by_session;
      attach(p, todo[i], more ? &todo[i + 1] : nullptr);
      if (more) ++i;
    }
  }
  if (!any) return;
  p.session->flush();
  if (!p.tell_config || !p.machine->link()) return;
  p.tell_config = false;
  gossip g;
  g.config = options_.canonical;
  send_gossip(p, g);
}

void cluster_shell::carry_out(peer& p, association_action& a) {
  using kind = association_action::kind;
  const auto known = connections_.find(a.link);
  connection* c = known == connections_.end() ? nullptr : known->second.get();
  switch (a.what) {
    case kind::dial: carrier_->dial(p.entry.name, p.entry.address); break;
    case kind::send:
      if (a.by_session) {
        p.session->control(a.frame, a.payload());
      } else if (c) {
        const std::span<const std::byte> bytes{a.bytes};
        if (c->link->write({&bytes, 1}) < bytes.size()) c->link->close("it takes no bytes");
      }
      break;
    case kind::close:
      if (!c) break;
      c->of = nullptr;
      c->carries = false;
      c->link->close(a.text);
      break;
    case kind::session_began: {
      counts_.begun.fetch_add(1, std::memory_order_relaxed);
      wire::limits bounds = options_.limits;
      if (a.peer.message_bytes)
        bounds.message_bytes = std::min<std::size_t>(bounds.message_bytes, a.peer.message_bytes);
      p.arrivals.emplace(options_.limits);
      const bool reborn = p.met && *p.met != a.peer.incarnation;
      p.met = a.peer.incarnation;
      actors_->began(*p.actors, p.session->begin(bounds), reborn);
      break;
    }
    case kind::attach: attach(p, a, nullptr); break;
    case kind::detach:
      if (c) c->carries = false;
      p.session->detach();
      break;
    case kind::session_ended: end_session(p, a); break;
    case kind::digest_differs:
      note(p, weight::warning,
           "node " + p.entry.name + " runs with another configuration than node " + options_.node);
      p.tell_config = options_.canonical.size() <= longest_config;
      p.config_comes = true;
      break;
    case kind::note: note(p, weight::warning, a.text); break;
  }
}

void cluster_shell::attach(peer& p, const association_action& a, const association_action* ready) {
  const auto c = connections_.find(a.link);
  const time_point at = now();
  if (c == connections_.end() || !p.session->attach(c->second->link, a.by_peer, ready)) {
    p.machine->end(wire::session_end::violation, "it claims to have received what was never sent",
                   at);
    return;  // the loop carries out what that means
  }
  {
    std::lock_guard lock{p.guard};
    p.heard = at;
  }
  p.linked = from_wire(a.peer.incarnation);
  c->second->carries = true;
  p.silent = {};
  c->second->reader.open(*p.arrivals, a.told);
  if (a.resumed) counts_.reconnects.fetch_add(1, std::memory_order_relaxed);
  detail::liveness_actions todo;
  mind_->connected(p.index, from_wire(a.peer.incarnation), at, todo);
  carry_out(todo);
}

void cluster_shell::end_session(peer& p, const association_action& a) {
  using wire::session_end;
  counts_.ended.fetch_add(1, std::memory_order_relaxed);
  const std::shared_ptr<wire::session> last = p.session->end();
  note(p, weight::info,
       "the session with node " + p.entry.name + " has ended (" + std::string{name(a.reason)} +
           "): " + a.text);
  std::uint64_t lost = 0;
  if (last)
    last->each_unacknowledged([&](wire::lane, std::span<const std::byte> message) {
      ++lost;
      actors_->unconfirmed(*p.actors, message);
    });
  actors_->ended(*p.actors, a.text, a.reason == session_end::peer_restarted);
  detail::liveness_actions todo;
  switch (a.reason) {
    case session_end::refused: mind_->refused(p.index, now(), todo); [[fallthrough]];
    case session_end::unreachable:
    case session_end::violation: actors_->unreachable(*p.actors, a.text); break;
    case session_end::peer_stopped:
      mind_->left(p.index, now(), todo);
      actors_->unreachable(*p.actors, a.text);
      break;
    default: break;
  }
  carry_out(todo);
}

// ---- what the mind wants ----------------------------------------------------------------------

void cluster_shell::carry_out(detail::liveness_actions& todo) {
  for (detail::liveness_action& each : todo) {
    if (std::holds_alternative<detail::send_heartbeats>(each)) {
      for (const auto& p : peers_) p->session->control(frame_kind::heartbeat, {});
    } else if (auto* q = std::get_if<detail::send_question>(&each)) {
      gossip g;
      g.question = std::move(q->what);
      send_gossip(*peers_[q->to], g);
    } else if (auto* r = std::get_if<detail::send_answer>(&each)) {
      gossip g;
      g.answer = std::move(r->what);
      send_gossip(*peers_[r->to], g);
    } else if (auto* o = std::get_if<detail::tell_opinion>(&each)) {
      peer& p = *peers_[o->peer];
      const opinion_change& change = o->what;
      wire::link_ptr silent;
      if (change.to == opinion::unreachable && change.incarnation == p.linked)
        silent = p.session->link();
      {
        std::lock_guard lock{p.guard};
        p.seen = {};
        p.seen.what = change.to;
        p.seen.incarnation = change.incarnation;
        p.seen.phi = change.phi;
        p.seen.partly_reachable = change.partly_reachable;
        p.reason = change.reason;
      }
      const bool bad = change.to == opinion::suspect || change.to == opinion::unreachable;
      note(p, bad ? weight::warning : weight::info,
           "node " + change.peer + " is " + std::string{name(change.to)} + ": " + change.reason);
      tell({change.peer, to_string(change.incarnation), change.from, change.to, change.reason});
      // The peer hangs, or the network swallows what is sent: no end of the connection would ever
      // be read. From now on it counts as lost, the session's limit runs, and another is tried.
      if (silent) silent->close("node " + change.peer + " has been silent for too long");
    } else if (auto* d = std::get_if<detail::tell_doubt>(&each)) {
      log_.say(weight::warning, d->reason);
    }
  }
}

void cluster_shell::send_gossip(peer& p, const gossip& g) {
  std::vector<std::byte> bytes;
  detail::writer to{bytes};
  detail::encode(to, g);
  if (bytes.size() <= wire::max_frame) p.session->control(frame_kind::gossip, bytes);
}

void cluster_shell::on_gossip(peer& p, std::span<const std::byte> payload) {
  gossip g;
  detail::reader from{payload, 4 * payload.size() + 1'024};
  if (!detail::decode(from, g)) {
    offended(p, std::string{"gossip that cannot be read: "} + from.failure());
    return;
  }
  detail::liveness_actions todo;
  if (g.question) mind_->asked(p.index, *g.question, now(), todo);
  if (g.answer) mind_->answered(p.index, *g.answer, now(), todo);
  carry_out(todo);
  if (g.config.empty() || !std::exchange(p.config_comes, false)) return;
  for (const std::string& line : difference(options_.canonical, g.config))
    log_.say(weight::warning, "configuration of node " + p.entry.name + ": " + line);
}

// ---- what others see --------------------------------------------------------------------------

void cluster_shell::tell(const member_changed& change) {
  std::vector<ref<member_changed>> all;
  {
    std::lock_guard lock{guard_};
    std::erase_if(followers_, [](const auto& f) {
      return detail_ref::get(f)->state() == detail::cell_state::ended;
    });
    all = followers_;
  }
  for (const auto& f : all)
    detail_ref::get(f)->send(new detail::event_node<member_changed>(member_changed{change}));
}

void cluster_shell::follow(const ref<member_changed>& who) {
  if (!who) return;
  {
    std::lock_guard lock{guard_};
    if (followers_.size() >= most_followers) return;
    followers_.push_back(who);
  }
  for (const member& m : members())
    detail_ref::get(who)->send(new detail::event_node<member_changed>(
        {m.name, m.incarnation, opinion::unknown, m.opinion, m.reason}));
}

std::vector<member> cluster_shell::members() const {
  std::vector<member> all;
  for (const auto& e : options_.nodes) {
    member m;
    m.name = e.name;
    m.zone = e.zone;
    m.roles = e.roles;
    m.address = e.address;
    m.http = e.http;
    if (&e == own_) {
      m.self = true;
      m.opinion = opinion::up;
      m.incarnation = to_string(incarnation_);
      m.reason = "it is this node";
      all.push_back(std::move(m));
      continue;
    }
    const auto p =
        std::find_if(peers_.begin(), peers_.end(), [&](const auto& q) { return &q->entry == &e; });
    std::lock_guard lock{(*p)->guard};
    const peer& x = **p;
    m.opinion = x.seen.what;
    if (x.seen.what != opinion::unknown) {
      m.incarnation = to_string(x.seen.incarnation);
      m.silent_for = std::chrono::duration_cast<std::chrono::milliseconds>(now() - x.heard);
    }
    m.phi = x.seen.phi;
    m.reason = x.reason;
    const auto buffered = x.session->buffered();
    m.session = buffered.has_value();
    m.buffered_bytes = buffered.value_or(0);
    all.push_back(std::move(m));
  }
  return all;
}

traffic cluster_shell::traffic() const {
  const wire::exchange_counts c = actors_->counts();
  coppice::traffic t;
  t.events_sent = c.events_sent;
  t.events_received = c.events_received;
  t.asks_sent = c.asks_sent;
  t.asks_received = c.asks_received;
  t.denied = c.denied;
  t.malformed = c.malformed;
  t.proxies = c.proxies;
  t.pending_asks = c.pending_asks;
  t.sessions_begun = counts_.begun.load(std::memory_order_relaxed);
  t.sessions_ended = counts_.ended.load(std::memory_order_relaxed);
  t.reconnects = counts_.reconnects.load(std::memory_order_relaxed);
  t.refused = counts_.refused.load(std::memory_order_relaxed);
  return t;
}

}  // namespace coppice
