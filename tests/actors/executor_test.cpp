// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <coppice/actors/testing/executor.hpp>
#include <coppice/actors/testing/probe.hpp>

using coppice::ref;
using coppice::testing::executor;
using namespace std::chrono_literals;

namespace {

struct ball {
  int bounces;
};
struct meet {
  ref<ball> who;
};
struct sum {
  int value;
};
struct add {
  using reply = sum;
  int one, other;
};
struct remind {
  int after_ms;
  int number;
};
struct rung {
  int number;
};

using trace = std::vector<std::string>;

/// Passes balls on to everybody else and writes each into the trace.
class player : public coppice::actor<ball, meet> {
 public:
  explicit player(std::shared_ptr<trace> t) : trace_(std::move(t)) {}
  void on(const meet& m) { friends_.push_back(m.who); }
  void on(const ball& b) {
    trace_->push_back(path() + " " + std::to_string(b.bounces));
    if (b.bounces)
      for (const auto& f : friends_) send(f, ball{b.bounces - 1});
  }

 private:
  std::shared_ptr<trace> trace_;
  std::vector<ref<ball>> friends_;
};

class adder : public coppice::actor<add> {
 public:
  coppice::task<sum> on(const add& a) {
    if (a.one < 0) {
      auto thinking = pause(std::chrono::milliseconds{-a.one});
      co_await thinking;
    }
    co_return sum{a.one + a.other};
  }
};

class bell : public coppice::actor<remind, rung> {
 public:
  bell(executor* run, std::shared_ptr<trace> t) : run_(run), trace_(std::move(t)) {}
  void on(const remind& r) { send_after(std::chrono::milliseconds{r.after_ms}, rung{r.number}); }
  void on(const rung& r) {
    trace_->push_back(std::to_string(r.number) + " at " + std::to_string(run_->now().count()));
  }

 private:
  executor* run_;
  std::shared_ptr<trace> trace_;
};

trace play(std::uint64_t seed) {
  executor run{seed};
  auto t = std::make_shared<trace>();
  std::vector<ref<ball, meet>> players;
  for (const char* id : {"ann", "bob", "cid"})
    players.push_back(run.system().spawn<player>({.id = id}, t));
  for (const auto& one : players)
    for (const auto& other : players)
      if (!(one == other)) run.send(one, meet{other});
  run.run_until_idle();
  for (const auto& one : players) run.send(one, ball{3});
  CHECK(run.run_until_idle());
  return *t;
}

}  // namespace

TEST_CASE("the same seed gives the same run, other seeds give others") {
  std::set<trace> different;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const trace first = play(seed);
    CHECK(first.size() == 3 * (1 + 2 + 4 + 8));
    CHECK(first == play(seed));
    different.insert(first);
  }
  CHECK(different.size() > 10);
}

TEST_CASE("a step runs one slice of one ready actor, and says when none is ready") {
  executor run;
  coppice::testing::probe<rung> one{run.system(), {.id = "one"}};
  coppice::testing::probe<rung> other{run.system(), {.id = "other"}};
  run.run_until_idle();
  CHECK_FALSE(run.step());
  run.send(one.address(), rung{1});
  run.send(other.address(), rung{2});
  CHECK(one.count<rung>() + other.count<rung>() == 0);
  CHECK(run.step());
  CHECK(one.count<rung>() + other.count<rung>() == 1);
  CHECK(run.step());
  CHECK(one.count<rung>() + other.count<rung>() == 2);
  CHECK_FALSE(run.step());
}

TEST_CASE("running until idle gives up after the given number of steps") {
  executor run;
  auto t = std::make_shared<trace>();
  const auto one = run.system().spawn<player>({.id = "one"}, t);
  const auto other = run.system().spawn<player>({.id = "other"}, t);
  run.send(one, meet{other});
  run.send(other, meet{one});
  run.run_until_idle();
  run.send(one, ball{1'000});
  CHECK_FALSE(run.run_until_idle(10));
  CHECK(run.run_until_idle());
  CHECK(t->size() == 1'001);
}

TEST_CASE("time stands still but for advance, which fires timers in order, each at its time") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    executor run{seed};
    auto t = std::make_shared<trace>();
    const auto one = run.system().spawn<bell>({.id = "one"}, &run, t);
    const auto other = run.system().spawn<bell>({.id = "other"}, &run, t);
    run.run_until_idle();
    const auto start = run.now();
    run.send(one, remind{300, 3});
    run.send(other, remind{100, 1});
    run.send(one, remind{200, 2});
    run.send(other, remind{86'400'000, 9});
    run.run_until_idle();
    CHECK(run.now() == start);
    CHECK(t->empty());
    run.advance(150ms);
    CHECK(t->size() == 1);
    CHECK(run.now() == start + 150ms);
    run.advance(24h);
    const auto at = [&](int ms) { return std::to_string(start.count() + ms); };
    // One millisecond more: the one in which a timer is set has begun already.
    CHECK(*t ==
          trace{"1 at " + at(101), "2 at " + at(201), "3 at " + at(301), "9 at " + at(86'400'001)});
  }
}

TEST_CASE("ask runs until the answer is there and moves time only as far as needed") {
  executor run;
  const auto desk = run.system().spawn<adder>({.id = "desk"});
  const auto start = run.now();
  const auto at_once = run.ask(desk, add{1, 2}, 1s);
  REQUIRE(at_once);
  CHECK(at_once->value == 3);
  CHECK(run.now() == start);
  const auto later = run.ask(desk, add{-100, 1}, 1s);
  REQUIRE(later);
  CHECK(later->value == -99);
  CHECK(run.now() - start >= 100ms);
  CHECK(run.now() - start <= 102ms);
}

TEST_CASE("ask gives up at its deadline with timeout, and the late answer is freed") {
  executor run;
  const auto desk = run.system().spawn<adder>({.id = "desk"});
  const auto late = run.ask(desk, add{-2'000, 1}, 1s);
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == coppice::errc::timeout);
  run.advance(5s);
  CHECK(run.ask(desk, add{2, 2}).value().value == 4);
}

TEST_CASE("asking nobody, or an address that has ended, answers gone") {
  executor run;
  const auto nobody = run.ask(ref<add>{}, add{1, 1});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code() == coppice::errc::gone);
  const auto desk = run.system().spawn<adder>({.id = "desk"});
  run.system().stop(desk);
  run.run_until_idle();
  const auto ended = run.ask(desk, add{1, 1});
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code() == coppice::errc::gone);
}

TEST_CASE("a question is on its way until it is answered") {
  executor run;
  const auto desk = run.system().spawn<adder>({.id = "desk"});
  auto question = run.begin_ask(desk, add{-50, 10});
  CHECK_FALSE(question.answered());
  run.run_until_idle();
  CHECK_FALSE(question.answered());
  run.advance(60ms);
  REQUIRE(question.answered());
  CHECK(question.take().value().value == -40);
}

TEST_CASE("questions that nobody takes, or that outlive the executor, leak nothing") {
  using question = executor::question<add>;
  std::optional<question> untaken, open;
  {
    executor run;
    const auto desk = run.system().spawn<adder>({.id = "desk"});
    (void)run.begin_ask(desk, add{-50, 10});
    untaken = run.begin_ask(desk, add{1, 1});
    run.advance(1s);
    CHECK(untaken->answered());
    open = run.begin_ask(desk, add{-60'000, 1}, 100s);
    run.run_until_idle();
    CHECK_FALSE(open->answered());
  }
  CHECK(open->answered());
}
