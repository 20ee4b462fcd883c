// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/testing/simulation.hpp>
#include <coppice/supervision/supervised_tree.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

/// Actors that send to, ask and watch actors of other nodes without end, and a ledger that knows
/// what all of them have done, and so sees what should not have happened.
namespace workload {

using namespace coppice;
using namespace std::chrono_literals;
using coppice::testing::simulated_node;
using coppice::testing::simulation;
using span = std::chrono::microseconds;

struct note;
struct question;
using crew_ref = ref<note, question>;

/// A ref on its way, and what its sender knows of it.
struct pointer {
  crew_ref to;
  std::uint32_t node = 0, slot = 0;
  std::uint64_t who = 0;  ///< the incarnation that it was learned from; 0: it is by path
};
struct note {
  static constexpr std::string_view name = "simulation.note";
  std::uint64_t sender = 0;
  std::uint64_t stream = 0, number = 0;
  std::string load;
  pointer whom;
};
struct answer {
  std::uint64_t number = 0;
};
struct question {
  static constexpr std::string_view name = "simulation.question";
  std::uint64_t number = 0;
  std::uint32_t think_ms = 0;
  std::string load;
  using reply = answer;
};
struct fall {};
struct turn {};
struct rest {};

/// The actors of a node: the first of them are supervised, the others spawned by themselves.
constexpr std::uint32_t supervised = 2, slots = 4;

inline std::string path_of(std::uint32_t slot) {
  return slot < supervised ? "/crew/s" + std::to_string(slot) : "/w" + std::to_string(slot);
}
inline std::string load_for(std::uint64_t stream, std::uint64_t number, std::size_t size) {
  return std::string(size, static_cast<char>('a' + (stream * 7 + number) % 26));
}

class ledger {
 public:
  /// One incarnation of an actor.
  struct being {
    std::size_t node;
    std::uint64_t life;
    std::uint32_t slot;
    std::uint64_t address;  ///< unique; the same for all incarnations behind one address
    std::uint32_t incarnation;
    bool ended = false;
    span ended_at{0};
  };
  struct totals {
    std::uint64_t notes = 0, received = 0, gaps = 0, asks = 0, answers = 0, notices = 0, refs = 0;
    std::map<errc, std::uint64_t> failures{};
  };

  explicit ledger(simulation& run) : run_(run), epochs_(run.size() * slots) {}

  void fail(const std::string& what) {
    if (broken.empty()) {
      broken = what;
      run_.note("BROKEN: " + what);
    }
  }

  // ---- beings -------------------------------------------------------------------------------
  std::uint64_t born(std::size_t node, std::uint64_t life, std::uint32_t slot,
                     std::uint64_t address, std::uint32_t incarnation) {
    beings_.push_back({node, life, slot, address, incarnation});
    ++epoch(node, slot);
    run_.note(run_[node].name() + path_of(slot) + "#" + std::to_string(incarnation) +
              " runs at address " + std::to_string(address));
    return beings_.size();
  }
  void died(std::uint64_t uid) {
    being& b = of(uid);
    if (b.ended) return;
    b.ended = true;
    b.ended_at = run_.now();
    ++epoch(b.node, b.slot);
  }
  /// The process of a node is gone; what its actors still do is nothing.
  void gone(std::size_t node) {
    for (std::uint64_t uid = 1; uid <= beings_.size(); ++uid)
      if (of(uid).node == node) died(uid);
  }
  const being& look(std::uint64_t uid) const { return beings_.at(uid - 1); }
  bool has_ended(std::size_t node, std::uint32_t slot, std::uint64_t address,
                 std::uint32_t incarnation, std::size_t times) const {
    std::size_t found = 0;
    for (const being& b : beings_)
      if (b.node == node && b.slot == slot && b.ended && b.incarnation == incarnation &&
          (address == 0 || b.address == address))
        ++found;
    return found >= times;
  }
  /// When its last incarnation ended; nothing: one runs, or may come.
  std::optional<span> address_ended(std::uint64_t address) const {
    std::optional<span> at;
    for (const being& b : beings_) {
      if (b.address != address) continue;
      if (!b.ended) return std::nullopt;
      const bool over =
          b.slot >= supervised || run_[b.node].life() != b.life || !run_[b.node].running();
      if (!over) return std::nullopt;
      at = std::max(at.value_or(span{0}), b.ended_at);
    }
    return at;
  }

  // ---- notes --------------------------------------------------------------------------------
  std::uint64_t open_stream(std::uint64_t sender, std::size_t node, std::uint32_t slot) {
    streams_.push_back({sender, node, slot, {}, 0});
    return streams_.size();
  }
  note next_note(std::uint64_t stream_id, std::size_t size) {
    stream& s = streams_.at(stream_id - 1);
    const being& from = look(s.sender);
    note n;
    n.sender = s.sender;
    n.stream = stream_id;
    n.number = s.notes.size();
    n.load = load_for(stream_id, n.number, size);
    sent x;
    x.size = size;
    x.session = s.node == from.node || run_[from.node].in_session_with(s.node);
    x.ends = ends(from.node, s.node);
    x.epoch = epoch(s.node, s.slot);
    x.letters = {letters(from.node), letters(s.node)};
    s.notes.push_back(x);
    ++counts.notes;
    return n;
  }
  void received(const note& n, std::uint64_t by) {
    being& reader = of(by);
    if (reader.ended) return;
    ++counts.received;
    if (n.stream == 0 || n.stream > streams_.size()) return fail("a note of no stream");
    stream& s = streams_.at(n.stream - 1);
    const being& from = look(s.sender);
    const std::string what = run_[from.node].name() + path_of(from.slot) + "#" +
                             std::to_string(from.incarnation) + " to " + run_[s.node].name() +
                             path_of(s.slot) + ", stream " + std::to_string(n.stream) + ", note " +
                             std::to_string(n.number);
    if (n.sender != s.sender || n.number >= s.notes.size() ||
        n.load != load_for(n.stream, n.number, s.notes[n.number].size))
      return fail(what + ": not what was sent");
    if (reader.node != s.node || reader.slot != s.slot) return fail(what + ": to somebody else");
    if (n.number < s.next)
      return fail(what + (s.notes[n.number].received ? ": twice" : ": out of order"));
    for (std::uint64_t k = s.next; k < n.number; ++k) {
      const sent& lost = s.notes[k];
      ++counts.gaps;
      if (lost.session && lost.ends == ends(from.node, s.node) &&
          lost.epoch == epoch(s.node, s.slot) && lost.letters[0] == letters(from.node) &&
          lost.letters[1] == letters(s.node))
        return fail(what + ": number " + std::to_string(k) + " is silently lost");
    }
    s.notes[n.number].received = true;
    s.next = n.number + 1;
  }
  /// Notes between processes that still run and that nobody has received.
  std::uint64_t lost() const {
    std::uint64_t n = 0;
    for (const stream& s : streams_) {
      const being& from = look(s.sender);
      if (!run_[from.node].running() || run_[from.node].life() != from.life) continue;
      if (run_[from.node].life() > 1 || run_[s.node].life() > 1) continue;
      n += static_cast<std::uint64_t>(
          std::count_if(s.notes.begin(), s.notes.end(), [](const sent& x) { return !x.received; }));
    }
    return n;
  }

  // ---- asks ---------------------------------------------------------------------------------
  std::uint64_t asked(std::uint64_t by, std::chrono::milliseconds deadline) {
    asks_.push_back({by, run_.now(), deadline, run_[of(by).node].stalled_for()});
    open_.insert(asks_.size());
    ++counts.asks;
    return asks_.size();
  }
  void handled(std::uint64_t number, std::uint64_t by) {
    if (of(by).ended) return;
    ask& a = asks_.at(number - 1);
    if (++a.handled > 1) fail("ask " + std::to_string(number) + " is handled twice");
    if (a.never)
      fail("ask " + std::to_string(number) + " is handled, and its asker was told that it is not");
  }
  void answered(std::uint64_t number, const result<answer>& outcome) {
    ask& a = asks_.at(number - 1);
    if (of(a.by).ended) return;
    const std::string what = "ask " + std::to_string(number);
    if (a.done) return fail(what + " is answered twice");
    a.done = true;
    open_.erase(number);
    late(number);
    if (outcome) {
      ++counts.answers;
      if (outcome->number != number || a.handled != 1) fail(what + " has another's answer");
      return;
    }
    ++counts.failures[outcome.error().code()];
    a.never = outcome.error().not_executed();
    if (a.never && a.handled)
      fail(what +
           " was handled, and its asker is told that it was not: " + outcome.error().message());
  }
  /// Whether all asks that should have ended have.
  void look_at_asks() {
    for (auto i = open_.begin(); i != open_.end();) {
      const std::uint64_t number = *i;
      if (of(asks_.at(number - 1).by).ended) {
        i = open_.erase(i);
        continue;
      }
      ++i;
      late(number);
    }
  }
  std::size_t open_asks() const { return open_.size(); }

  // ---- watches ------------------------------------------------------------------------------
  /// Of an address, or by path if that is 0.
  std::size_t watches(std::uint64_t by, std::uint64_t address) {
    watches_.push_back({by, address, run_.now()});
    return watches_.size() - 1;
  }
  void watch_over(std::size_t which) { watches_[which].over = true; }
  /// Whoever watched something that has ended has been told.
  void look_at_watches() {
    for (const watch& w : watches_) {
      if (w.over || w.address == 0 || of(w.by).ended) continue;
      const auto at = address_ended(w.address);
      // With its process an address ends only for those who know it by nothing but this ref; the
      // others are told `unreachable`, and find whoever has the path then.
      const auto whose = std::find_if(beings_.begin(), beings_.end(),
                                      [&](const being& b) { return b.address == w.address; });
      if (whose->slot < supervised || run_[whose->node].life() != whose->life) continue;
      if (at && std::max(*at, w.since) + 4s < run_.now())
        fail(run_[of(w.by).node].name() + path_of(of(w.by).slot) + " has never been told that " +
             "address " + std::to_string(w.address) + " has ended");
    }
  }

  simulation& run_of() { return run_; }

  std::string broken;
  bool quiet = false;
  totals counts;

 private:
  struct letter_count {
    std::uint64_t life = 0, letters = 0;
    bool operator==(const letter_count&) const = default;
  };
  struct sent {
    std::size_t size = 0;
    bool session = false, received = false;
    std::uint64_t ends = 0, epoch = 0;
    std::array<letter_count, 2> letters{};
  };
  struct stream {
    std::uint64_t sender;
    std::size_t node;
    std::uint32_t slot;
    std::vector<sent> notes;
    std::uint64_t next;
  };
  struct watch {
    std::uint64_t by, address;
    span since;
    bool over = false;  ///< its last notice has come, or it was given up
  };
  struct ask {
    std::uint64_t by;
    span at;
    std::chrono::milliseconds deadline;
    span stalled;
    bool done = false, never = false;
    unsigned handled = 0;
  };

  being& of(std::uint64_t uid) { return beings_.at(uid - 1); }
  std::uint64_t& epoch(std::size_t node, std::uint32_t slot) {
    return epochs_[node * slots + slot];
  }
  std::uint64_t ends(std::size_t a, std::size_t b) const {
    return run_[a].sessions_ended_with(b) + run_[b].sessions_ended_with(a);
  }
  /// Letters that are counted for other reasons than a session's end.
  letter_count letters(std::size_t node) const {
    simulated_node& n = run_[node];
    if (!n.running()) return {n.life(), 0};
    const auto all = n.system().dead_letters();
    std::uint64_t sum = 0;
    for (const auto why :
         {dead_letter_reason::overflow, dead_letter_reason::restarting, dead_letter_reason::stopped,
          dead_letter_reason::gone, dead_letter_reason::crashed})
      sum += all[static_cast<std::size_t>(why)];
    return {n.life(), sum};
  }
  void late(std::uint64_t number) {
    const ask& a = asks_.at(number - 1);
    const simulated_node& n = run_[of(a.by).node];
    if (n.stalled()) return;
    constexpr span bound = 50ms;
    const span took = run_.now() - a.at - (n.stalled_for() - a.stalled);
    if (took > a.deadline + bound)
      fail("ask " + std::to_string(number) + " has not ended within its deadline of " +
           std::to_string(a.deadline.count()) + " ms");
  }

  simulation& run_;
  std::vector<being> beings_;
  std::vector<stream> streams_;
  std::vector<ask> asks_;
  std::set<std::uint64_t> open_;
  std::vector<watch> watches_;
  std::vector<std::uint64_t> epochs_;
};

/// One of the crew.
class walker : public actor<note, question, fall, turn, rest, ended> {
 public:
  walker(ledger* book, std::size_t node, std::uint64_t life, std::uint32_t slot, std::uint64_t home)
      : book_(*book), node_(node), life_(life), slot_(slot), home_(home) {}
  ~walker() {
    if (uid_) book_.died(uid_);
  }

  void started() {
    uid_ = book_.born(node_, life_, slot_, home_, incarnation());
    again();
  }

  void on(const turn&) {
    if (book_.quiet) return;
    act();
    again();
  }
  /// Lets go of everything and everybody.
  void on(const rest&) {
    for (contact& c : contacts_)
      if (c.watched && !c.gone) give_up(c);
    contacts_.clear();
  }
  void on(const fall&) { throw std::runtime_error("it falls"); }

  void on(const note& n) {
    book_.received(n, uid_);
    const auto& from = book_.look(n.sender);
    for (const contact& c : contacts_) follows(c, from);
    for (const contact& c : buried_) follows(c, from);
    if (n.whom.to && n.whom.to != crew_ref{self()} && !book_.quiet && contacts_.size() < 8 &&
        any(2) == 0) {
      ++book_.counts.refs;
      meet(n.whom.to, n.whom.node, n.whom.slot, n.whom.who);
    }
  }

  task<answer> on(question q) {
    book_.handled(q.number, uid_);
    if (q.think_ms) {
      auto thinking = pause(std::chrono::milliseconds{q.think_ms});
      co_await thinking;
    }
    co_return answer{q.number};
  }

  void on(const ended& e) {
    const auto at = std::find_if(contacts_.begin(), contacts_.end(),
                                 [&](const contact& c) { return c.watched && e.of(c.to); });
    if (at == contacts_.end()) {
      if (!watched_once_.contains(e.number)) book_.fail(me() + " is told of " + e.path);
      return;
    }
    contact& c = *at;
    ++book_.counts.notices;
    const std::string what = me() + " is told of " + e.path + "#" + std::to_string(e.incarnation) +
                             " (" + e.reason.text() + (e.gone ? ", gone)" : ")");
    run().note(what);
    if (c.gone) return book_.fail(what + ": after its last notice");
    if (e.reason.what() == exit_reason::kind::unreachable) {
      ++c.unreachable;
      const bool own_end = e.reason.text().find("this node stops") != std::string::npos;
      if (!own_end && c.unreachable > run()[node_].sessions_ended_with(c.node) - c.ends + 1)
        book_.fail(what + ": more often than sessions have ended");
      return;
    }
    const bool again = std::find(c.told.begin(), c.told.end(), e.incarnation) != c.told.end();
    // A supervised actor's address leads on to the next life of its node, which counts anew.
    const std::uint64_t home = c.slot < supervised ? 0 : c.home;
    if (e.reason.what() != exit_reason::kind::noproc) {
      const auto times = static_cast<std::size_t>(
          std::count(c.told.begin(), c.told.end(), e.incarnation) + (e.gone && again ? 0 : 1));
      if (!book_.has_ended(c.node, c.slot, home, e.incarnation, times))
        book_.fail(what + (again ? ": twice" : ": it has not ended"));
      c.told.push_back(e.incarnation);
    } else if (c.home && !book_.address_ended(c.home)) {
      book_.fail(what + ": its address has not ended");
    }
    if (!e.gone) return;
    c.gone = true;
    book_.watch_over(c.watch);
    c.to = {};
    buried_.push_back(std::move(c));
    contacts_.erase(at);
  }

 private:
  struct contact {
    crew_ref to;
    std::size_t node;
    std::uint32_t slot;
    std::uint64_t who;  ///< of whom it is, when that is known
    std::uint64_t home;  ///< its address, when that is known
    std::uint64_t stream;
    bool watched = false, gone = false;
    std::uint64_t ends = 0;  ///< sessions with its node that had ended when it was watched
    std::uint64_t unreachable = 0;
    std::size_t watch = 0;  ///< in the ledger
    std::vector<std::uint32_t> told{};
  };

  simulation& run() { return book_.run_of(); }
  std::uint64_t any(std::uint64_t below) { return run().any(below); }
  std::string me() {
    return run()[node_].name() + path_of(slot_) + "#" + std::to_string(incarnation());
  }
  void again() { send_after(std::chrono::milliseconds{5 + any(120)}, turn{}); }

  void follows(const contact& c, const ledger::being& from) {
    if (!c.home || c.home != from.address) return;
    if (c.gone || std::find(c.told.begin(), c.told.end(), from.incarnation) != c.told.end())
      book_.fail(me() + " receives a note of " + path_of(from.slot) + "#" +
                 std::to_string(from.incarnation) + " after the notice of its end");
  }

  contact* meet(const crew_ref& to, std::size_t node, std::uint32_t slot, std::uint64_t who) {
    for (contact& c : contacts_)
      if (c.to == to) return &c;
    contacts_.push_back({to, node, slot, who, who ? book_.look(who).address : 0,
                         book_.open_stream(uid_, node, slot)});
    return &contacts_.back();
  }
  contact* somebody() {
    if (!contacts_.empty() && (contacts_.size() >= 8 || any(4) != 0))
      return &contacts_[any(contacts_.size())];
    const auto node = static_cast<std::size_t>((node_ + 1 + any(run().size() - 1)) % run().size());
    const auto slot = static_cast<std::uint32_t>(any(slots));
    auto at = run()[node_].cluster().at<note, question>(run()[node].name() + ":" + path_of(slot));
    if (!at) {
      book_.fail("no address: " + at.error().message());
      return nullptr;
    }
    return meet(*at, node, slot, 0);
  }
  std::size_t size() {
    return any(12) == 0 ? 20'000 + any(80'000) : any(3) == 0 ? any(4'000) : any(60);
  }

  void act() {
    contact* c = somebody();
    if (!c) return;
    switch (any(10)) {
      default:
        for (std::uint64_t n = 1 + any(5); n > 0; --n) tell(*c, {});
        break;
      case 4:
      case 5: {
        const std::chrono::milliseconds deadline{20 + any(any(3) == 0 ? 3'000 : 400)};
        const std::uint64_t number = book_.asked(uid_, deadline);
        const auto think = static_cast<std::uint32_t>(any(4) == 0 ? any(60) : 0);
        ask(c->to, question{number, think, std::string(size(), 'q')}, deadline)
            .then([this, number](result<answer> r) { book_.answered(number, r); });
        break;
      }
      case 6:
        if (c->watched || !watched_once_.insert(c->to.number()).second) break;
        c->watched = true;
        c->ends = run()[node_].sessions_ended_with(c->node);
        c->watch = book_.watches(uid_, c->home);
        run().note(me() + " watches " + c->to.path() + ", address " + std::to_string(c->home));
        watch(c->to);
        break;
      case 7: tell(*c, {self(), static_cast<std::uint32_t>(node_), slot_, uid_}); break;
      case 8: {
        const contact& other = contacts_[any(contacts_.size())];
        tell(*c, {other.to, static_cast<std::uint32_t>(other.node), other.slot, other.who});
        break;
      }
      case 9:
        if (any(3) != 0) break;
        if (c->watched) give_up(*c);
        contacts_.erase(contacts_.begin() + (c - contacts_.data()));
        break;
    }
  }
  void give_up(contact& c) {
    unwatch(c.to);
    book_.watch_over(c.watch);
  }
  void tell(contact& c, pointer whom) {
    note n = book_.next_note(c.stream, size());
    n.whom = std::move(whom);
    send(c.to, std::move(n));
  }

  ledger& book_;
  const std::size_t node_;
  const std::uint64_t life_;
  const std::uint32_t slot_;
  const std::uint64_t home_;
  std::uint64_t uid_ = 0;
  std::vector<contact> contacts_, buried_;
  std::set<std::uint64_t> watched_once_;
};

/// The crew of all nodes.
class crew {
 public:
  explicit crew(std::size_t nodes) : nodes_(nodes) {}

  void begin(ledger& book) { book_ = &book; }
  void start(simulated_node& n) {
    on_board& here = nodes_[n.index()];
    here.tree = std::make_unique<supervised_tree>(
        n.system(), "crew", [this, &here, i = n.index(), life = n.life()](children& c) {
          c.intensity(1'000'000, 1s);
          for (std::uint32_t slot = 0; slot < supervised; ++slot)
            here.refs[slot] =
                c.add<walker>("s" + std::to_string(slot), book_, i, life, slot, ++addresses_);
        });
    n.run().run_until_idle();
    n.plant(here.tree->root());
    for (std::uint32_t slot = supervised; slot < slots; ++slot) spawn(n, slot);
  }
  void end(simulated_node& n) {
    book_->gone(n.index());
    nodes_[n.index()].refs = {};
    nodes_[n.index()].tree.reset();
  }
  void spawn(simulated_node& n, std::uint32_t slot) {
    nodes_[n.index()].refs[slot] = n.system().spawn<walker>(
        {.id = "w" + std::to_string(slot)}, book_, n.index(), n.life(), slot, ++addresses_);
  }
  /// An actor ends; one that nobody supervises is started anew after a while.
  void fell(simulation& run, std::size_t node, std::uint32_t slot) {
    simulated_node& n = run[node];
    run.note(n.name() + path_of(slot) + " falls");
    n.run().send(nodes_[node].refs[slot], fall{});
    if (slot < supervised) return;
    run.after(span{200 + run.any(600'000)}, [this, &run, node, slot, life = n.life()] {
      simulated_node& later = run[node];
      if (!later.running() || later.stalled() || later.life() != life) return;
      if (detail::spawned(later.system(), "w" + std::to_string(slot))) return;
      run.note(later.name() + path_of(slot) + " is started anew");
      spawn(later, slot);
    });
  }
  void rest_all(simulation& run) {
    for (std::size_t i = 0; i < run.size(); ++i)
      for (const auto& r : nodes_[i].refs) run[i].run().send(r, rest{});
  }

 private:
  struct on_board {
    std::unique_ptr<supervised_tree> tree;
    std::array<walker::address, slots> refs;
  };

  std::vector<on_board> nodes_;
  ledger* book_ = nullptr;
  std::uint64_t addresses_ = 0;
};

}  // namespace workload
