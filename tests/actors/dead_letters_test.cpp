// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/caf/interop.hpp>
#include <coppice/actors/detail/core.hpp>
#include <coppice/actors/outside.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

#include <caf/all.hpp>

#include "keeper.hpp"
#include "tools.hpp"

using namespace std::chrono_literals;
using coppice::dead_letter_counts;
using coppice::dead_letter_reason;
using coppice::errc;
using tools::dead;

struct dead_letters_stranger {
  int number;
};
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(dead_letters_stranger)

namespace {

struct parcel {
  int number;
};
struct receipt {
  int number;
};
struct signed_parcel {
  int number;
  using reply = receipt;
};
struct drop_it {
  using reply = receipt;
};
struct burn {};

class desk : public coppice::actor<parcel, signed_parcel, burn, drop_it> {
 public:
  explicit desk(std::shared_ptr<int> handled) : handled_(std::move(handled)) {}
  void on(const parcel&) { ++*handled_; }
  receipt on(const signed_parcel& p) { return {p.number}; }
  void on(const burn&) { throw std::runtime_error{"on fire"}; }
  receipt on(const drop_it&) { throw std::runtime_error{"dropped"}; }

 private:
  std::shared_ptr<int> handled_;
};

std::uint64_t sum(const dead_letter_counts& counts) {
  std::uint64_t all = 0;
  for (const std::uint64_t n : counts) all += n;
  return all;
}

struct fixture {
  tools::observed seen;
  coppice::testing::executor run{1, {.watch = &seen}};
  std::shared_ptr<int> handled = std::make_shared<int>(0);

  auto spawn(std::uint32_t capacity = 10'000,
             coppice::overflow on_full = coppice::overflow::reject) {
    auto x =
        run.system().spawn<desk>({.id = "desk", .capacity = capacity, .on_full = on_full}, handled);
    run.run_until_idle();
    return x;
  }
  /// This many by this reason, and none by any other.
  void expect(dead_letter_reason why, std::uint64_t count) {
    CHECK(dead(run.system(), why) == count);
    CHECK(sum(run.system().dead_letters()) == count);
  }
};

}  // namespace

TEST_CASE("what is handled is no dead letter") {
  fixture f;
  const auto desk = f.spawn();
  for (int i = 0; i < 100; ++i) f.run.send(desk, parcel{i});
  CHECK(f.run.ask(desk, signed_parcel{1}));
  CHECK(*f.handled == 100);
  CHECK(sum(f.run.system().dead_letters()) == 0);
  CHECK(f.seen.letters.empty());
}

TEST_CASE("what a full mailbox refuses is counted as `overflow`, with path and event") {
  for (const auto policy : {coppice::overflow::reject, coppice::overflow::drop_newest}) {
    fixture f;
    const auto desk = f.spawn(5, policy);
    for (int i = 0; i < 12; ++i) f.run.send(desk, parcel{i});
    f.run.run_until_idle();
    CHECK(*f.handled == 5);
    f.expect(dead_letter_reason::overflow, 7);
    REQUIRE(f.seen.letters.size() == 7);
    CHECK(f.seen.letters[0].why == dead_letter_reason::overflow);
    CHECK(f.seen.letters[0].to == "/desk");
    CHECK(f.seen.letters[0].event.find("parcel") != std::string::npos);
  }
}

TEST_CASE("what an `offer` tells its sender is no dead letter") {
  fixture f;
  const auto desk = f.spawn(1);
  CHECK(f.run.offer(desk, parcel{1}));
  const auto refused = f.run.offer(desk, parcel{2});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == errc::overloaded);
  CHECK(sum(f.run.system().dead_letters()) == 0);
}

TEST_CASE("a refused request is an answer, not a dead letter") {
  fixture f;
  const auto desk = f.spawn(1);
  f.run.send(desk, parcel{1});
  auto refused = f.run.begin_ask(desk, signed_parcel{2});
  REQUIRE(refused.answered());
  CHECK(refused.take().error().code() == errc::overloaded);
  CHECK(sum(f.run.system().dead_letters()) == 0);
}

TEST_CASE("what makes room for newer events is counted as `evicted`") {
  fixture f;
  const auto desk = f.spawn(5, coppice::overflow::drop_oldest);
  for (int i = 0; i < 8; ++i) f.run.send(desk, parcel{i});
  f.run.run_until_idle();
  CHECK(*f.handled == 5);
  f.expect(dead_letter_reason::evicted, 3);
}

TEST_CASE("an event in hand at a crash is counted as `crashed`, those behind it as `gone`") {
  fixture f;
  const auto desk = f.spawn();
  f.run.send(desk, burn{});
  for (int i = 0; i < 4; ++i) f.run.send(desk, parcel{i});
  f.run.run_until_idle();
  CHECK(dead(f.run.system(), dead_letter_reason::crashed) == 1);
  CHECK(dead(f.run.system(), dead_letter_reason::gone) == 4);
  CHECK(sum(f.run.system().dead_letters()) == 5);
  for (int i = 0; i < 3; ++i) f.run.send(desk, parcel{i});
  CHECK(dead(f.run.system(), dead_letter_reason::gone) == 7);
}

TEST_CASE("a request in hand at a crash is answered `crashed` and is no dead letter") {
  fixture f;
  const auto desk = f.spawn();
  const auto r = f.run.ask(desk, drop_it{});
  REQUIRE_FALSE(r);
  CHECK(r.error().code() == errc::crashed);
  CHECK(sum(f.run.system().dead_letters()) == 0);
}

TEST_CASE("what is sent to nobody is counted as `gone`, without a path") {
  fixture f;
  for (int i = 0; i < 3; ++i) f.run.send(coppice::ref<parcel>{}, parcel{i});
  f.expect(dead_letter_reason::gone, 3);
  REQUIRE(f.seen.letters.size() == 3);
  CHECK(f.seen.letters[0].to.empty());
}

TEST_CASE("what is refused or dropped by a restart is counted as `restarting`") {
  fixture f;
  tools::kept<desk, std::shared_ptr<int>> shop{
      f.run.system(), {.reject_while_restarting = true, .at_once = false}, f.handled};
  f.run.run_until_idle();
  f.run.send(shop.child(), burn{});
  f.run.run_until_idle();
  for (int i = 0; i < 4; ++i) f.run.send(shop.child(), parcel{i});
  CHECK(dead(f.run.system(), dead_letter_reason::crashed) == 1);
  CHECK(dead(f.run.system(), dead_letter_reason::restarting) == 4);
  f.run.send(shop.parent, tools::start_again{});
  f.run.run_until_idle();
  f.run.send(shop.child(), parcel{1});
  f.run.run_until_idle();
  CHECK(*f.handled == 1);
  CHECK(sum(f.run.system().dead_letters()) == 5);
  *shop.address = {};  // the keeper's arguments refer to its own child
}

TEST_CASE("what is sent to an actor that is held stopped is counted as `stopped`") {
  fixture f;
  tools::kept<desk, std::shared_ptr<int>> shop{f.run.system(), {.at_once = false}, f.handled};
  f.run.run_until_idle();
  f.run.send(shop.child(), burn{});
  f.run.run_until_idle();
  coppice::detail_ref::get(shop.child())->tell(coppice::detail::control::hold);
  f.run.run_until_idle();
  for (int i = 0; i < 6; ++i) f.run.send(shop.child(), parcel{i});
  CHECK(dead(f.run.system(), dead_letter_reason::stopped) == 6);
  CHECK(sum(f.run.system().dead_letters()) == 7);
  *shop.address = {};
}

TEST_CASE("a CAF message that no event was named for is counted as `unknown_event`") {
  coppice::system system{{.workers = 1}};
  coppice::caf_events<dead_letters_stranger>(system);
  const auto handled = std::make_shared<int>(0);
  const auto x = system.spawn<desk>({.id = "desk"}, handled);
  caf::anon_send(coppice::caf_handle(x), dead_letters_stranger{1});
  CHECK(coppice::outside{system}.ask(x, signed_parcel{1}, 60s));
  CHECK(dead(system, dead_letter_reason::unknown_event) == 1);
  CHECK(sum(system.dead_letters()) == 1);
}

TEST_CASE("the stream is limited to ten records a second and tells what it left out") {
  fixture f;
  const auto lose = [&](int count) {
    for (int i = 0; i < count; ++i) f.run.send(coppice::ref<parcel>{}, parcel{i});
  };
  lose(25);
  REQUIRE(f.seen.letters.size() == 10);
  for (const auto& each : f.seen.letters) CHECK(each.left_out == 0);
  f.run.advance(999ms);
  lose(1);
  CHECK(f.seen.letters.size() == 10);
  f.run.advance(1ms);
  lose(2);
  REQUIRE(f.seen.letters.size() == 12);
  CHECK(f.seen.letters[10].left_out == 16);
  CHECK(f.seen.letters[11].left_out == 0);
  f.expect(dead_letter_reason::gone, 28);
}

TEST_CASE("dead letters from many threads are all counted") {
  constexpr int threads = 3, each = 5'000;
  coppice::detail::dead_letter_office office;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&] {
      for (int i = 0; i < each; ++i)
        office.note(static_cast<dead_letter_reason>(i % 5), nullptr, nullptr, 0, nullptr);
    });
  for (auto& t : senders) t.join();
  const auto counts = office.counts();
  for (std::size_t i = 0; i < 5; ++i) CHECK(counts[i] == threads * each / 5);
  CHECK(sum(counts) == threads * each);
}

TEST_CASE("each reason has a name of its own") {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < coppice::dead_letter_reasons; ++i) {
    const auto text = name(static_cast<dead_letter_reason>(i));
    CHECK(text != "unknown");
    CHECK(std::find(names.begin(), names.end(), text) == names.end());
    names.push_back(text);
  }
}
