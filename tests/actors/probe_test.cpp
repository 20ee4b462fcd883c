// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/testing/probe.hpp>

#include <chrono>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;

namespace {

struct ping {
  int number;
};
struct pong {
  int number;
};

class door : public actor<ping> {
 public:
  explicit door(ref<ping, pong> to) : to_(std::move(to)) {}
  void on(const ping& p) {
    if (p.number < 0) stop(exit_reason::failed("told to"));
    send(to_, pong{p.number});
    send(to_, p);
  }

 private:
  ref<ping, pong> to_;
};

}  // namespace

TEST_CASE("a probe keeps what it receives, each type in order") {
  testing::executor run{1};
  testing::probe<ping, pong> seen{run.system()};
  CHECK_FALSE(seen.next<ping>());
  for (int i = 1; i <= 3; ++i) run.send(seen.address(), ping{i});
  run.send(seen.address(), pong{4});
  CHECK(seen.count<ping>() == 0);
  run.run_until_idle();
  CHECK(seen.count<ping>() == 3);
  CHECK(seen.next<pong>()->number == 4);
  CHECK(seen.next<ping>()->number == 1);
  CHECK(seen.next<ping>()->number == 2);
  CHECK(seen.count<ping>() == 1);
  CHECK_FALSE(seen.next<pong>());
}

TEST_CASE("a probe watches another actor") {
  for (const auto seed : tools::seeds) {
    testing::executor run{seed};
    testing::probe<ping, pong, ended> seen{run.system()};
    const auto one = run.system().spawn<door>({.id = "door"}, seen.address());
    seen.watch(one);
    run.run_until_idle();
    run.send(one, ping{-1});
    run.run_until_idle();
    const auto notice = seen.next<ended>();
    REQUIRE(notice);
    CHECK(notice->of(one));
    CHECK(notice->reason.what() == exit_reason::kind::failed);
    CHECK(notice->gone);
    CHECK(seen.next<pong>()->number == -1);
  }
}

TEST_CASE("a probe that lists exit signals traps them, linked as it is") {
  for (const auto seed : tools::seeds) {
    testing::executor run{seed};
    testing::probe<ping, pong, exit_signal> seen{run.system()};
    const auto one = run.system().spawn<door>({.id = "door"}, seen.address());
    seen.link(one);
    run.run_until_idle();
    run.send(one, ping{-1});
    run.run_until_idle();
    const auto signal = seen.next<exit_signal>();
    REQUIRE(signal);
    CHECK(signal->linked);
    CHECK(signal->number == one.number());
    run.send(seen.address(), ping{1});
    run.run_until_idle();
    CHECK(seen.count<ping>() == 2);
  }
}

TEST_CASE("several probes live in one system under names of their own") {
  testing::executor run{1};
  testing::probe<ping> first{run.system(), {.id = "first"}};
  testing::probe<ping> second{run.system(), {.id = "second"}};
  CHECK(first.address().path() == "/first");
  run.send(second.address(), ping{2});
  run.run_until_idle();
  CHECK(first.count<ping>() == 0);
  CHECK(second.count<ping>() == 1);
}

TEST_CASE("a probe works in a system with threads") {
  coppice::system s{{.workers = 2}};
  testing::probe<ping, pong> seen{s};
  const auto one = s.spawn<door>({.id = "door"}, seen.address());
  outside{s}.send(one, ping{7});
  std::optional<pong> got;
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (!got && std::chrono::steady_clock::now() < limit) {
    got = seen.next<pong>();
    std::this_thread::yield();
  }
  REQUIRE(got);
  CHECK(got->number == 7);
}
