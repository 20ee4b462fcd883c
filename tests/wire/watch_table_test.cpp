// SPDX-License-Identifier: BSD-3-Clause
#include "actors_here.hpp"

#include <coppice/runtime/wire/watch_table_private.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

using coppice::detail::cell_ptr;
using coppice::wire::watch_table;
using added = watch_table::added;

namespace {

/// One actor, `some[0]`, is watched by others of a peer, `some[1]` and `some[2]` being their
/// proxies; by which numbers they go over there is up to them.
struct table : watch_table {
  explicit table(std::size_t most = 10) : watch_table(most) {}

  added watch(std::uint64_t watcher, bool pinned = false, std::uint32_t incarnation = 1) {
    return add(watcher, some[1], some[0], incarnation, pinned);
  }
  bool give_up(std::uint64_t watcher, bool pinned) {
    return watch_table::give_up(watcher, watched(), pinned) == some[1];
  }
  std::uint64_t watched() const { return some[0]->number(); }

  actors_here some;
};

}  // namespace

TEST_CASE("an actor that is watched by both its addresses is watched until both are given up") {
  table t;
  CHECK(t.watch(7, false) == added::fresh);
  CHECK(t.watch(7, true) == added::again);
  CHECK_FALSE(t.give_up(7, false));
  CHECK(t.find(7, t.watched()));
  CHECK(t.give_up(7, true));
  CHECK_FALSE(t.find(7, t.watched()));
}

TEST_CASE("giving up an address that nothing was watched by changes nothing") {
  table t;
  t.watch(7, true);
  CHECK_FALSE(t.give_up(7, false));
  CHECK_FALSE(t.give_up(8, true));
  CHECK(t.find(7, t.watched()));
}

TEST_CASE("whoever watches again is told in the incarnation that did so last") {
  table t;
  t.watch(7, false, 1);
  CHECK(t.watch(7, false, 2) == added::again);
  REQUIRE(t.find(7, t.watched()));
  CHECK(t.find(7, t.watched())->incarnation == 2);
}

TEST_CASE("a watcher is one by its number, whichever of its proxies it comes by") {
  table t;
  t.watch(7);
  CHECK(t.add(7, t.some[2], t.some[0], 1, true) == added::again);
  REQUIRE(t.find(7, t.watched()));
  CHECK(t.find(7, t.watched())->watcher == t.some[1]);
}

TEST_CASE("a watch that is taken is there no more") {
  table t;
  t.watch(7, false, 3);
  const auto last = t.take(7, t.watched());
  REQUIRE(last);
  CHECK(last->watched == t.some[0]);
  CHECK(last->incarnation == 3);
  CHECK_FALSE(t.take(7, t.watched()));
}

TEST_CASE("beyond the limit nobody new watches, and who watches already goes on") {
  table t{2};
  CHECK(t.watch(7) == added::fresh);
  CHECK(t.watch(8) == added::fresh);
  CHECK(t.watch(9) == added::too_many);
  CHECK_FALSE(t.find(9, t.watched()));
  CHECK(t.watch(8, true) == added::again);
  CHECK(t.give_up(7, false));
  CHECK(t.watch(9) == added::fresh);
}

// A simulation's runs are compared event by event.
TEST_CASE("watches are gone through by the numbers of both, in whatever order they were made") {
  table t;
  t.add(9, t.some[1], t.some[2], 1, false);
  t.add(9, t.some[1], t.some[0], 2, false);
  t.add(8, t.some[1], t.some[2], 3, false);
  std::vector<std::uint32_t> order;
  t.each([&](const watch_table::watch& w) { order.push_back(w.incarnation); });
  REQUIRE(t.some[0]->number() < t.some[2]->number());
  CHECK(order == std::vector<std::uint32_t>{3, 2, 1});
}
