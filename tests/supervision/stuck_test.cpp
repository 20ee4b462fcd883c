// SPDX-License-Identifier: BSD-3-Clause
// A child that does not return from a handler: a C++ thread cannot be killed, so it is named,
// nothing takes its place, and everybody else goes on. All on threads.
#include "stage.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace coppice;
using namespace stage;

namespace {

habit_ptr plain(const std::string& name, diary* log = nullptr) {
  auto h = std::make_shared<habit>();
  h->name = name;
  h->log = log;
  return h;
}

const tree_node* find(const tree_node& from, const std::string& path) {
  if (from.path == path) return &from;
  for (const tree_node& child : from.children)
    if (const tree_node* found = find(child, path)) return found;
  return nullptr;
}

std::string state(supervised_tree& tree, const std::string& path) {
  const tree_node all = tree.snapshot(hang);
  const tree_node* found = find(all, path);
  return found ? found->state + '#' + std::to_string(found->incarnation) : "is not there";
}

/// The incarnation that answers; asks that a group's restart has dropped are asked again.
std::uint32_t answered_by(outside& from, const address& child) {
  const auto until = std::chrono::steady_clock::now() + hang;
  auto told = from.ask(child, question{}, hang);
  while (!told && told.error().not_executed() && std::chrono::steady_clock::now() < until)
    told = from.ask(child, question{}, hang);
  return told ? told->incarnation : 0;
}

}  // namespace

TEST_CASE("a group with a stuck child waits for it: named, not replaced, its supervisor answers") {
  for (const bool own_thread : {false, true}) {
    CAPTURE(own_thread);
    barrier held;
    reports told;
    const auto hb = plain("b");
    coppice::system home{{.workers = 2, .stall_limit = 20ms}};
    address a, b, other;
    supervised_tree tree{home, "shop",
                         [&](children& s) {
                           s.supervise("desk", [&](children& d) {
                             d.strategy(one_for_all);
                             d.spec().stuck_limit = 30ms;
                             a = d.add<worker>("a", plain("a"));
                             b = d.add<worker>(
                                 {.id = "b", .shutdown = 10ms, .own_thread = own_thread}, hb);
                           });
                           other = s.add<worker>("other", plain("other"));
                         },
                         &told};
    REQUIRE(tree.wait_until_up(hang));
    outside from{home};
    from.send(b, act{[&](worker&) { held.pass(); }});
    REQUIRE(held.wait_until_inside());
    from.send(a, crash());
    REQUIRE(told.stuck.wait_for("/shop/desk/b"));
    CHECK(state(tree, "/shop/desk/b") == "killing#1");
    CHECK(state(tree, "/shop/desk/a") == "stopped#1");
    CHECK(state(tree, "/shop/desk") == "running#1");
    CHECK(hb->own_alive == 1);

    from.send(other, crash());
    const auto again = from.ask(other, question{}, hang);
    REQUIRE(again);
    CHECK(again->incarnation == 2);

    held.open();
    CHECK(answered_by(from, b) == 2);
    CHECK(answered_by(from, a) == 2);
    CHECK(hb->own_alive == 1);
    CHECK(told.stuck.take() == "/shop/desk/b");
    REQUIRE(tree.stop(hang));
  }
}

TEST_CASE("a child stuck in its start is killed, named and not replaced; siblings are restarted") {
  barrier held;
  reports told;
  const auto hb = plain("b");
  std::atomic<bool> block{false};
  hb->at_start = [&](worker&) {
    if (block.exchange(false)) held.pass();
  };
  coppice::system home{{.workers = 2, .stall_limit = 20ms}};
  address a, b;
  supervised_tree tree{home, "shop",
                       [&](children& s) {
                         s.intensity(100, 1min);
                         s.spec().stuck_limit = 30ms;
                         a = s.add<worker>("a", plain("a"));
                         b = s.add<worker>({.id = "b", .start_deadline = 20ms}, hb);
                       },
                       &told};
  REQUIRE(tree.wait_until_up(hang));
  outside from{home};
  block = true;
  from.send(b, crash());
  REQUIRE(held.wait_until_inside());
  REQUIRE(told.stuck.wait_for("/shop/b"));
  for (std::uint32_t i = 2; i < 5; ++i) {
    from.send(a, crash());
    const auto again = from.ask(a, question{}, hang);
    REQUIRE(again);
    CHECK(again->incarnation == i);
    CHECK(state(tree, "/shop/b") == "killing#2");
  }
  CHECK(hb->own_alive == 1);
  held.open();
  CHECK(answered_by(from, b) >= 3);
  REQUIRE(tree.stop(hang));
}

TEST_CASE("a stop of the tree does not wait longer than its deadline for a stuck child") {
  barrier held;
  reports told;
  diary log;
  coppice::system home{{.workers = 2, .stall_limit = 20ms}};
  address b;
  supervised_tree tree{home, "shop",
                       [&](children& s) {
                         s.spec().stuck_limit = 30ms;
                         s.add<worker>("a", plain("a", &log));
                         b = s.add<worker>({.id = "b", .shutdown = 10ms}, plain("b"));
                         s.add<worker>("c", plain("c", &log));
                       },
                       &told};
  REQUIRE(tree.wait_until_up(hang));
  outside{home}.send(b, act{[&](worker&) { held.pass(); }});
  REQUIRE(held.wait_until_inside());
  CHECK_FALSE(tree.stop(300ms));
  REQUIRE(told.stuck.wait_for("/shop/b"));
  CHECK(log.wait_for("c1 ends"));
  held.open();
  const auto why = tree.wait_until_ended(hang);
  REQUIRE(why);
  CHECK(why->what() == exit_reason::kind::killed);  // past the deadline the rest is killed
  CHECK(log.lines().back() == "a1 ends");
}

TEST_CASE("the stop token of a child in a slice is raised before it is killed") {
  reports told;
  std::atomic<bool> inside{false}, raised{false};
  const auto h = plain("b");
  coppice::system home{{.workers = 2, .stall_limit = 20ms}};
  address b;
  supervised_tree tree{
      home, "shop", [&](children& s) { b = s.add<worker>({.id = "b", .shutdown = infinity}, h); },
      &told};
  REQUIRE(tree.wait_until_up(hang));
  outside{home}.send(b, act{[&](worker& w) {
                       const auto token = w.token();
                       inside = true;
                       while (!token.stop_requested()) std::this_thread::yield();
                       raised = true;
                     }});
  while (!inside) std::this_thread::yield();
  REQUIRE(tree.stop(hang));
  CHECK(raised);
}
