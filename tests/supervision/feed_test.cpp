// SPDX-License-Identifier: BSD-3-Clause
// The tree as a stream: a snapshot, then what changes, and the view that is made of both.
#include "stage.hpp"

#include <doctest/doctest.h>

#include <coppice/supervision/feed.hpp>

#include <random>
#include <thread>

using namespace coppice;
using namespace stage;

namespace {

// ---- a view by hand -----------------------------------------------------------------------------

tree_node node(std::string path, std::string state, std::uint64_t version,
               std::vector<tree_node> children = {}) {
  tree_node n;
  n.path = std::move(path);
  n.state = std::move(state);
  n.incarnation = 1;
  n.version = version;
  n.children = std::move(children);
  return n;
}
tree_change change(std::uint64_t version, std::string parent, std::string id, child_state state,
                   std::uint32_t incarnation = 1, child_kind kind = child_kind::worker) {
  tree_change c{version, std::move(parent), {}};
  c.child.id = std::move(id);
  c.child.state = state;
  c.child.incarnation = incarnation;
  c.child.kind = kind;
  c.child.version = version;
  return c;
}

/// Structure, states, incarnations and restarts: `/shop running#1 (a running#2 r1, b stopped#1)`.
std::string outline(const tree_node& n, bool top = true) {
  std::string text = top ? n.path : n.path.substr(n.path.rfind('/') + 1);
  if (!top) text += ' ' + n.state + '#' + std::to_string(n.incarnation);
  if (n.restarts) text += " r" + std::to_string(n.restarts);
  if (n.children.empty()) return text;
  text += " (";
  for (std::size_t i = 0; i < n.children.size(); ++i)
    text += (i ? ", " : "") + outline(n.children[i], false);
  return text + ')';
}

// ---- a tree that is followed --------------------------------------------------------------------

/// Asks while everything goes on: only until the answer is there.
result<child_list> ask_meanwhile(world& w, const supervisor_ref& whom) {
  auto asked = w.run.begin_ask(whom, which_children{});
  while (!asked.answered() && w.run.step()) {
  }
  if (!asked.answered()) return error{errc::timeout, "no answer", whom.path()};
  return asked.take();
}

void fill(world& w, tree_node& at, const supervisor_ref& from) {
  auto list = ask_meanwhile(w, from);
  if (!list) {
    at.state = "no answer";
    return;
  }
  if (list->newest_first) std::reverse(list->children.begin(), list->children.end());
  for (const child_info& c : list->children) {
    at.children.push_back(as_tree_node(c, at.path));
    if (c.kind == child_kind::supervisor && c.state == child_state::running)
      fill(w, at.children.back(), detail_ref::make<supervisor_ref>(detail_ref::get(c.address)));
  }
}
/// What `supervised_tree::snapshot` does, which cannot be used on this executor: it blocks.
tree_node snapshot(world& w) {
  tree_node top = node(w.tree->root().path(), "running", 0);
  fill(w, top, w.tree->root());
  return top;
}

/// Brings a view up to date.
void read(tree_feed& feed, tree_view& view, world& w) {
  auto news = feed.take(0ms);
  if (news.lost) view.reset(snapshot(w));
  for (const tree_change& c : news.changes) view.apply(c);
}

}  // namespace

// ---- the view, by itself ------------------------------------------------------------------------

TEST_CASE("a view shows a snapshot, and then what has changed since") {
  tree_view view;
  view.reset(
      node("/shop", "running", 0, {node("/shop/a", "running", 3), node("/shop/b", "running", 3)}));
  CHECK(outline(view.tree()) == "/shop (a running#1, b running#1)");
  view.apply(change(4, "/shop", "a", child_state::starting, 2));
  view.apply(change(5, "/shop", "c", child_state::running));
  CHECK(outline(view.tree()) == "/shop (a starting#2, b running#1, c running#1)");
  CHECK(view.size() == 4);
  view.reset(node("/shop", "running", 0, {node("/shop/z", "running", 9)}));
  CHECK(outline(view.tree()) == "/shop (z running#1)");
  CHECK(view.size() == 2);
}

TEST_CASE("a change that the snapshot shows already leaves the view alone") {
  tree_view view;
  view.reset(node("/shop", "running", 0, {node("/shop/a", "running", 7)}));
  view.apply(change(5, "/shop", "a", child_state::stopping));
  view.apply(change(6, "/shop", "a", child_state::removed));
  view.apply(change(7, "/shop", "a", child_state::starting));
  CHECK(outline(view.tree()) == "/shop (a running#1)");
  view.apply(change(8, "/shop", "a", child_state::stopped));
  CHECK(outline(view.tree()) == "/shop (a stopped#1)");
}

TEST_CASE("a removed child is gone from a view; one of the same id comes in at the end") {
  tree_view view;
  view.reset(
      node("/shop", "running", 0, {node("/shop/a", "running", 1), node("/shop/b", "running", 1)}));
  view.apply(change(2, "/shop", "a", child_state::removed));
  view.apply(change(3, "/shop", "a", child_state::removed));
  CHECK(outline(view.tree()) == "/shop (b running#1)");
  view.apply(change(4, "/shop", "a", child_state::running));
  CHECK(outline(view.tree()) == "/shop (b running#1, a running#1)");
}

TEST_CASE("what is below a supervisor that does not run is not there in a view") {
  const auto desk = [](std::uint64_t version, child_state state, std::uint32_t incarnation) {
    return change(version, "/shop", "desk", state, incarnation, child_kind::supervisor);
  };
  tree_view view;
  view.reset(node("/shop", "running", 0,
                  {node("/shop/desk", "running", 1,
                        {node("/shop/desk/a", "running", 1),
                         node("/shop/desk/b", "running", 1, {node("/shop/desk/b/c", "", 1)})})}));
  view.apply(desk(2, child_state::stopping, 1));
  CHECK(view.size() == 5);
  view.apply(desk(3, child_state::stopped, 1));
  CHECK(outline(view.tree()) == "/shop (desk stopped#1)");
  CHECK(view.size() == 2);
  view.apply(desk(4, child_state::starting, 2));
  view.apply(change(5, "/shop/desk", "a", child_state::running, 2));
  view.apply(desk(6, child_state::running, 2));
  CHECK(outline(view.tree()) == "/shop (desk running#2 (a running#2))");
  view.apply(desk(7, child_state::removed, 2));
  view.apply(change(8, "/shop/desk", "a", child_state::stopped, 2));  // nobody knows its parent
  CHECK(outline(view.tree()) == "/shop");
  CHECK(view.size() == 1);
}

TEST_CASE("changes below a supervisor's former incarnation do not show in a later snapshot") {
  tree_view view;
  view.reset(
      node("/shop", "running", 0,
           {node("/shop/desk", "running", 8,
                 {node("/shop/desk/a", "running", 9), node("/shop/desk/b", "running", 9)})}));
  view.apply(change(2, "/shop/desk", "e", child_state::running));
  view.apply(change(3, "/shop/desk", "b", child_state::running));
  view.apply(change(5, "/shop", "desk", child_state::ended, 1, child_kind::supervisor));
  view.apply(change(6, "/shop/desk", "b", child_state::starting, 2));
  CHECK(outline(view.tree()) == "/shop (desk running#1 (a running#1, b running#1))");
  CHECK(view.size() == 4);
}

// ---- the stream ---------------------------------------------------------------------------------

TEST_CASE("changes are numbered without gaps, and tell each state of each child in order") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    for (const auto& rules : both_rules()) {
      family w{seed, rules, {{.id = "a"}, {.id = "b"}}};
      auto feed = w.tree->follow();
      w.call(which_children{});
      w.tell(w.at["a"], crash());
      w.call(terminate_child{"b"});
      w.call(delete_child{"b"});
      std::string told;
      std::uint64_t last = 0;
      for (const auto& c : feed.take(0ms).changes) {
        if (last) CHECK(c.version == last + 1);
        last = c.version;
        CHECK(c.child.version == c.version);
        CHECK(c.parent == "/shop");
        const std::string one = c.child.id + ' ' + std::string{name(c.child.state)};
        if (!told.ends_with(one)) told += (told.empty() ? "" : ", ") + one;  // some come twice
      }
      CHECK(told == (rules.serial
                         ? "a ended, a starting, a running, b stopping, b stopped, b removed"
                         : "a starting, a running, b stopping, b stopped, b removed"));
      CHECK(feed.take(0ms).changes.empty());
    }
  }
}

TEST_CASE("a reader that is too slow is told how many changes it has lost: the oldest") {
  family w{1, patient({}), {{.id = "a"}}};
  auto feed = w.tree->follow(4);
  auto patient_one = w.tree->follow(1'000);
  w.call(which_children{});
  for (int i = 0; i < 5; ++i) w.tell(w.at["a"], crash());
  const auto all = patient_one.take(0ms);
  CHECK(all.lost == 0);
  const auto rest = feed.take(0ms);
  CHECK(rest.changes.size() == 4);
  CHECK(rest.lost == all.changes.size() - 4);
  CHECK(rest.changes.back().version == all.changes.back().version);
  CHECK(feed.take(0ms).lost == 0);
}

TEST_CASE("a reader that is gone is no reader; another one may follow later") {
  family w{1, patient({}), {{.id = "a"}}};
  {
    auto feed = w.tree->follow();
    w.call(which_children{});
    w.tell(w.at["a"], crash());
    CHECK_FALSE(feed.take(0ms).changes.empty());
  }
  for (int i = 0; i < 3; ++i) w.tell(w.at["a"], crash());
  auto feed = w.tree->follow();
  tree_view view;
  view.reset(snapshot(w));
  w.tell(w.at["a"], crash());
  read(feed, view, w);
  CHECK(outline(view.tree()) == "/shop (a running#6 r5)");
}

TEST_CASE("a view that begins while a supervisor starts shows its children when it has started") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    const auto a = w.habits("a"), b = w.habits("b");
    supervisor_ref desk;
    w.open([&](children& s) {
      desk = s.supervise("desk", [=](children& d) {
        d.add<worker>("a", a);
        d.add<worker>("b", b);
      });
    });
    b->start_takes = 100ms;
    kill(desk);
    w.run.run_until_idle();
    auto feed = w.tree->follow();
    tree_view view;
    view.reset(snapshot(w));
    CHECK(outline(view.tree()) == "/shop (desk starting#2 r1)");
    w.run.advance(200ms);
    read(feed, view, w);
    CHECK(outline(view.tree()) == "/shop (desk running#2 r1 (a running#2, b running#2))");
  }
}

// ---- together -----------------------------------------------------------------------------------

namespace {

/// A tree of three levels that all kinds of things happen to.
struct turmoil : world {
  turmoil(std::uint64_t seed, const supervisor_spec& rules) : world(seed), dice(seed) {
    open([this, rules](children& s) {
      s.spec() = rules;
      s.spec().intensity.restarts = 100'000;
      shop = s.self();
      add(s, {.id = "a"});
      add(s, {.id = "b", .restart = transient});
      desk = s.supervise("desk", [this, rules](children& d) {
        d.spec() = rules;
        d.spec().intensity = {1, 1s};
        d.strategy(rules.serial ? one_for_all : rest_for_one);
        add(d, {.id = "c"});
        add(d, {.id = "d", .restart = transient});
        add(d, {.id = "t", .restart = temporary});
      });
      staff = s.dynamic<hired, hire>({.own = {.id = "staff"}, .supervisor = patient(rules)});
    });
  }
  void add(children& to, child_spec spec) {
    const auto h = habits(spec.id);
    spec.start_deadline = 1s;
    living.push_back(to.add<worker>(spec, h));
    all.push_back(h);
  }
  unsigned roll(unsigned sides) { return static_cast<unsigned>(dice() % sides); }
  supervisor_ref any_supervisor() { return roll(2) ? shop : desk; }
  std::string any_id() { return std::string(1, "abcdexyz"[roll(8)]); }

  void something_happens() {
    switch (roll(12)) {
      case 0:
      case 1:
      case 2: run.send(living[roll(static_cast<unsigned>(living.size()))], crash()); break;
      case 3: run.send(living[roll(static_cast<unsigned>(living.size()))], halt()); break;
      case 4: fail_starts(*all[roll(static_cast<unsigned>(all.size()))], 1); break;
      case 5: run.begin_ask(any_supervisor(), terminate_child{any_id()}); break;
      case 6: run.begin_ask(any_supervisor(), restart_child{any_id()}); break;
      case 7: run.begin_ask(any_supervisor(), delete_child{any_id()}); break;
      case 8:
        run.begin_ask(any_supervisor(),
                      start_child<worker>({.id = any_id(), .restart = transient}, habits("n")));
        break;
      case 9: run.begin_ask(staff, hire{habits("h")}); break;
      case 10: run.begin_ask(staff, terminate_child{std::to_string(1 + roll(9))}); break;
      case 11:
        if (roll(4) == 0) kill(desk);
        else run.advance(milliseconds{roll(300)});
        break;
    }
    for (auto steps = roll(20); steps > 0 && run.step(); --steps) {
    }
  }

  std::mt19937 dice;
  supervisor_ref shop, desk;
  dynamic_ref<hire> staff;
  std::vector<address> living;
  std::vector<habit_ptr> all;
};

}  // namespace

TEST_CASE("whatever happens, a view that is fed by the stream equals a fresh snapshot at rest") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed)
    for (const auto& rules : both_rules()) {
      CAPTURE(seed);
      CAPTURE(rules.serial);
      turmoil w{seed, rules};
      for (unsigned before = w.roll(30); before > 0; --before) w.something_happens();
      auto feed = w.tree->follow(seed % 3 ? 10'000 : 8);
      tree_view view;
      view.reset(snapshot(w));  // in the middle of something
      for (int i = 0; i < 120; ++i) {
        w.something_happens();
        if (w.roll(10) == 0) read(feed, view, w);
        if (w.roll(40) == 0) view.reset(snapshot(w));
      }
      w.run.advance(10s);
      read(feed, view, w);
      CHECK(outline(view.tree()) == outline(snapshot(w)));
    }
}

TEST_CASE("on threads a view that follows a tree equals its snapshot at rest") {
  for (const auto& rules : both_rules()) {
    coppice::system home{{.workers = 2}};
    const auto h = std::make_shared<habit>();
    h->own_alive = -1'000;  // shared by all
    std::vector<address> some;
    supervised_tree tree{home, "shop", [&](children& s) {
                           s.spec() = rules;
                           s.spec().intensity.restarts = 100'000;
                           for (const char* id : {"a", "b", "c"})
                             some.push_back(s.add<worker>(id, h));
                           s.supervise("desk", [&](children& d) {
                             d.intensity(100'000, 1s);
                             for (const char* id : {"d", "e"}) some.push_back(d.add<worker>(id, h));
                           });
                         }};
    REQUIRE(tree.wait_until_up(hang));
    std::atomic<bool> done{false};
    std::thread trouble{[&] {
      outside asker{home};
      for (int i = 0; i < 500; ++i) {
        asker.send(some[static_cast<std::size_t>(i) % some.size()], crash());
        if (i % 10 == 0) {
          const std::string id = "x" + std::to_string(i);
          (void)asker.ask(tree.root(), start_child<worker>({.id = id}, h), hang);
          if (i % 20 == 0) (void)asker.ask(tree.root(), terminate_child{id}, hang);
        }
      }
      done = true;
    }};
    auto feed = tree.follow(50);
    tree_view view;
    view.reset(tree.snapshot(hang));
    const auto catch_up = [&](milliseconds wait) {
      auto news = feed.take(wait);
      if (news.lost) view.reset(tree.snapshot(hang));
      for (const tree_change& c : news.changes) view.apply(c);
      return !news.changes.empty();
    };
    while (!done) catch_up(10ms);
    trouble.join();
    std::string at_rest = outline(tree.snapshot(hang));
    for (const auto until = std::chrono::steady_clock::now() + hang;
         outline(view.tree()) != at_rest && std::chrono::steady_clock::now() < until;) {
      catch_up(10ms);
      at_rest = outline(tree.snapshot(hang));
    }
    CHECK(outline(view.tree()) == at_rest);
    CHECK(tree.stop(hang));
  }
}

TEST_CASE("the top of a tree is told of as well, when it is up and when it has ended") {
  world w;
  const auto a = w.habits("a");
  a->start_takes = 10ms;
  w.open([&](children& s) { s.add<worker>("a", a); });
  auto feed = w.tree->follow();
  tree_view view;
  view.reset(node("/shop", "starting", 0));
  w.run.advance(20ms);
  for (const tree_change& c : feed.take(0ms).changes) view.apply(c);
  CHECK(view.tree().state == "running");
  CHECK(outline(view.tree()) == "/shop (a running#1)");
  w.stop();
  for (const tree_change& c : feed.take(0ms).changes) view.apply(c);
  CHECK(view.tree().state == "ended");
  CHECK(view.tree().last_reason == "shutdown");
  CHECK(outline(view.tree()) == "/shop");
}
