// SPDX-License-Identifier: BSD-3-Clause
#include "actors_here.hpp"

#include <coppice/runtime/wire/handle_table_private.hpp>

#include <doctest/doctest.h>

#include <vector>

using coppice::detail::cell_ptr;
using coppice::wire::handle_table;
using coppice::wire::lane;

TEST_CASE("an actor keeps its handle however often the peer is told of it, and no other has it") {
  actors_here some;
  handle_table t{10};
  const auto first = t.tell_of(some[0].get());
  const auto second = t.tell_of(some[1].get());
  CHECK(first != 0);
  CHECK(second != first);
  CHECK(t.tell_of(some[0].get()) == first);
  REQUIRE(t.find(first));
  CHECK(t.find(first)->who == some[0]);
  CHECK(t.find(second)->who == some[1]);
}

TEST_CASE("a handle that was never given leads to nobody") {
  actors_here some;
  handle_table t{10};
  t.tell_of(some[0].get());
  CHECK_FALSE(t.find(0));
  CHECK_FALSE(t.find(2));
  CHECK_FALSE(t.find(0xffff'ffff));
  CHECK_FALSE(t.give_back(0, lane::user, 1));
  CHECK_FALSE(t.give_back(2, lane::user, 1));
}

TEST_CASE("a handle is kept until it has come back over both lanes as often as it was told") {
  actors_here some;
  handle_table t{10};
  const auto handle = t.tell_of(some[0].get());
  t.tell_of(some[0].get());
  CHECK_FALSE(t.give_back(handle, lane::user, 2));
  CHECK_FALSE(t.give_back(handle, lane::bulk, 1));
  CHECK(t.find(handle));
  CHECK(t.give_back(handle, lane::bulk, 1) == some[0]);
  CHECK_FALSE(t.find(handle));
}

// Told once more while it was on its way back: the peer uses it.
TEST_CASE("a handle that was told of again before it came back is kept") {
  actors_here some;
  handle_table t{10};
  const auto handle = t.tell_of(some[0].get());
  CHECK_FALSE(t.give_back(handle, lane::user, 1));
  CHECK(t.tell_of(some[0].get()) == handle);
  CHECK_FALSE(t.give_back(handle, lane::bulk, 1));
  CHECK(t.find(handle));
}

TEST_CASE("a peer that gives back more than it was told takes no other's handle away") {
  actors_here some;
  handle_table t{10};
  const auto handle = t.tell_of(some[0].get());
  CHECK_FALSE(t.give_back(handle, lane::user, 1'000'000));
  CHECK(t.give_back(handle, lane::bulk, 1'000'000) == some[0]);
  CHECK_FALSE(t.give_back(handle, lane::user, 1));
  CHECK(t.tell_of(some[1].get()) == handle);
  CHECK_FALSE(t.give_back(handle, lane::user, 1));
  CHECK(t.find(handle));
}

TEST_CASE("a handle that has come back is the next actor's, with nothing left of the last one's") {
  actors_here some;
  handle_table t{10};
  const std::vector<bool> allowed{true, false};
  const auto handle = t.tell_of(some[0].get(), &allowed);
  CHECK(t.find(handle)->allowed == allowed);
  t.give_back(handle, lane::user, 1);
  t.give_back(handle, lane::bulk, 1);
  CHECK(t.tell_of(some[1].get()) == handle);
  CHECK(t.find(handle)->who == some[1]);
  CHECK(t.find(handle)->allowed.empty());
  CHECK(t.tell_of(some[0].get()) != handle);
}

TEST_CASE("beyond the limit no actor gets a handle, until one comes back") {
  actors_here some;
  handle_table t{2};
  const auto first = t.tell_of(some[0].get());
  t.tell_of(some[1].get());
  CHECK(t.tell_of(some[2].get()) == 0);
  CHECK(t.tell_of(some[0].get()) == first);  // it has one
  t.give_back(first, lane::user, 2);
  t.give_back(first, lane::bulk, 2);
  CHECK(t.tell_of(some[2].get()) == first);
}

TEST_CASE("an actor that a peer knows by a handle is held, and not after that") {
  actors_here some;
  handle_table t{10};
  const auto handle = t.tell_of(some[0].get());
  CHECK_FALSE(some[0]->held_only_by(2));  // by this test and by the system
  t.give_back(handle, lane::user, 1);
  t.give_back(handle, lane::bulk, 1);
  CHECK(some[0]->held_only_by(2));
}
