// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "keeper.hpp"
#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::dead;
using tools::long_text;
using tools::record;
using tools::seeds;
using tools::tracer;

namespace {

struct done {};
struct work {
  std::string text;
  using reply = done;
};
struct note {
  std::string text;
};
struct traced_work {
  tracer end;
  using reply = done;
};
struct answered_late {};
struct never {
  using reply = answered_late;
};

/// Keeps requests and never answers, without giving up the duty either.
class silent : public actor<never> {
 public:
  void on(const never&, reply_slot<answered_late> slot) { slots_.push_back(std::move(slot)); }

 private:
  std::vector<reply_slot<answered_late>> slots_;
};

/// Notes the order in which everything of it is destroyed. Its turns suspend three frames deep.
class layered : public actor<traced_work, note> {
 public:
  layered(record to, ref<never> who) : seen_(to), who_(who), object_(to, "object") {}

  task<done> on(const traced_work&) {
    tracer mine{seen_, "outer frame"};
    auto aside = ask(who_, never{}, 1h);
    auto next = middle();
    co_await next;
    co_return done{};
  }
  void on(const note& n) {
    if (n.text == "crash") throw std::runtime_error{"planted"};
    if (n.text == "stop") stop();
  }
  void stopping(const exit_reason& why) { seen_.add("stopping " + std::string{name(why.what())}); }

 private:
  task<> middle() {
    tracer mine{seen_, "middle frame"};
    send_after(1h, note{"timer"});
    ask(who_, never{}, 1h).then([end = tracer{seen_, "continuation"}](auto) {});
    auto next = inner();
    co_await next;
  }
  task<> inner() {
    tracer mine{seen_, "inner frame"};
    auto asked = ask(who_, never{}, 1h);
    auto answer = co_await asked;
    if (!answer) throw std::runtime_error{"no answer"};
  }

  record seen_;
  ref<never> who_;
  tracer object_;
};

/// One with `started` and `stopping` in either form, steered by its arguments.
struct behaviour {
  bool fail_start = false;
  bool fail_stop = false;
  int start_ms = 0;  ///< zero: plain
  int stop_ms = 0;
};

class plain_life : public actor<note> {
 public:
  plain_life(record to, behaviour b) : seen_(to), how_(b), object_(to, "object") {
    seen_.add("made");
  }
  void started() {
    if (how_.fail_start) throw std::runtime_error{"no start"};
    seen_.add("started");
  }
  void on(const note& n) {
    if (n.text == "crash") throw std::runtime_error{"planted"};
    if (n.text == "stop") stop();
    if (n.text == "fail") stop(exit_reason::failed("out of paper"));
    seen_.add(n.text);
  }
  void stopping(const exit_reason& why) {
    seen_.add("stopping " + std::string{name(why.what())});
    if (how_.fail_stop) throw std::runtime_error{"no stop"};
  }

 protected:
  record seen_;
  behaviour how_;
  tracer object_;
};

class waiting_life : public actor<note> {
 public:
  waiting_life(record to, behaviour b) : seen_(to), how_(b), object_(to, "object") {
    seen_.add("made");
  }
  task<> started() {
    tracer frame{seen_, "start frame"};
    auto nap = pause(std::chrono::milliseconds{how_.start_ms});
    co_await nap;
    if (how_.fail_start) throw std::runtime_error{"no start"};
    seen_.add("started");
  }
  task<> on(const note& n) {
    tracer frame{seen_, "frame of " + n.text};
    auto nap = pause(100ms);
    co_await nap;
    if (n.text == "crash") throw std::runtime_error{"planted"};
    if (n.text == "stop") stop();
    seen_.add(n.text);
  }
  task<> stopping(const exit_reason& why) {
    tracer frame{seen_, "stop frame"};
    seen_.add("stopping " + std::string{name(why.what())});
    auto nap = pause(std::chrono::milliseconds{how_.stop_ms});
    co_await nap;
    if (how_.fail_stop) throw std::runtime_error{"no stop"};
    seen_.add("stopped");
  }

 private:
  record seen_;
  behaviour how_;
  tracer object_;
};

template <class T>
struct life {
  explicit life(std::uint64_t seed, behaviour b = {})
      : run(seed, {.watch = &told}), one(run.system().spawn<T>({.id = "one"}, seen, b)) {
    run.run_until_idle();
  }
  record seen;
  tools::observed told;
  testing::executor run;
  ref<note> one;
};

}  // namespace

// ---- start ----------------------------------------------------------------------------------

TEST_CASE("a start is complete when a plain started returns") {
  for (const auto seed : seeds) {
    life<plain_life> x{seed};
    x.run.send(x.one, note{"first"});
    x.run.run_until_idle();
    CHECK(x.seen.text() == "made, started, first");
  }
}

TEST_CASE("a start is complete when the task of started has ended") {
  for (const auto seed : seeds) {
    life<waiting_life> x{seed, {.start_ms = 500}};
    x.run.send(x.one, note{"first"});
    x.run.advance(499ms);
    CHECK(x.seen.text() == "made");
    x.run.advance(1s);
    CHECK(x.seen.text() == "made, started, start frame, first, frame of first");
  }
}

TEST_CASE("a supervisor hears of a start when it is complete, not before") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    tools::kept<waiting_life, record, behaviour> one{
        run.system(), {}, record{}, behaviour{.start_ms = 500}};
    run.advance(499ms);
    CHECK(one.reports.text().empty());
    run.advance(3ms);
    CHECK(one.reports.text() == "started 1");
  }
}

TEST_CASE("a throw in started destroys the incarnation without stopping: the start failed") {
  for (const auto seed : seeds) {
    life<plain_life> plain{seed, {.fail_start = true}};
    CHECK(plain.seen.text() == "made, object");
    REQUIRE(plain.told.orphans.size() == 1);
    CHECK(plain.told.orphans[0].find("/one start_failed: ") == 0);
    CHECK(plain.told.orphans[0].find("no start") != std::string::npos);

    life<waiting_life> waiting{seed, {.fail_start = true, .start_ms = 10}};
    waiting.run.advance(20ms);
    CHECK(waiting.seen.text() == "made, start frame, object");
    REQUIRE(waiting.told.orphans.size() == 1);
    CHECK(waiting.told.orphans[0].find("/one start_failed: ") == 0);
  }
}

TEST_CASE("a throw in the constructor is a failed start") {
  struct unmakable : actor<note> {
    explicit unmakable(record to) : part(to, "part") { throw std::runtime_error{"no parts"}; }
    void on(const note&) {}
    void stopping(const exit_reason&) { std::terminate(); }
    tracer part;
  };
  record seen;
  tools::observed told;
  testing::executor run{1, {.watch = &told}};
  (void)run.system().spawn<unmakable>({.id = "one"}, seen);
  run.run_until_idle();
  CHECK(seen.text() == "part");
  REQUIRE(told.orphans.size() == 1);
  CHECK(told.orphans[0].find("/one start_failed: ") == 0);
  CHECK(told.orphans[0].find("no parts") != std::string::npos);
}

TEST_CASE("an actor may ask and set timers while it starts") {
  struct eager : actor<note> {
    eager(record to, ref<work> from) : seen(std::move(to)), helper(std::move(from)) {}
    task<> started() {
      send_after(5ms, note{"timer"});
      auto asked = ask(helper, work{long_text()}, 1s);
      auto answer = co_await asked;
      seen.add(answer ? "answered" : "refused");
    }
    void on(const note& n) { seen.add(n.text); }
    record seen;
    ref<work> helper;
  };
  struct worker : actor<work> {
    task<done> on(const work&) {
      auto nap = pause(10ms);
      co_await nap;
      co_return done{};
    }
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto helper = run.system().spawn<worker>({.id = "worker"});
    (void)run.system().spawn<eager>({.id = "eager"}, seen, helper);
    run.advance(20ms);
    CHECK(seen.text() == "answered, timer");
  }
}

// ---- turns ----------------------------------------------------------------------------------

TEST_CASE("a suspended turn holds its actor, not others") {
  for (const auto seed : seeds) {
    life<waiting_life> x{seed};
    x.run.advance(1ms);
    record other;
    const auto neighbour = x.run.system().spawn<plain_life>({.id = "other"}, other, behaviour{});
    x.run.send(x.one, note{"first"});
    x.run.send(x.one, note{"second"});
    x.run.run_until_idle();
    x.seen.clear();
    x.run.send(neighbour, note{"meanwhile"});
    x.run.run_until_idle();
    CHECK(other.text() == "made, started, meanwhile");
    CHECK(x.seen.text().empty());
    x.run.advance(101ms);
    CHECK(x.seen.text() == "first, frame of first");
    x.run.advance(101ms);
    CHECK(x.seen.text() == "first, frame of first, second, frame of second");
  }
}

TEST_CASE("an event listed as interleaved is handled while a turn waits") {
  struct done_so_far {
    int count;
  };
  struct look {
    using reply = done_so_far;
  };
  struct busy : actor<note, interleaved<look>> {
    task<> on(const note&) {
      auto nap = pause(100ms);
      co_await nap;
      ++count;
    }
    done_so_far on(const look&) { return {count}; }
    int count = 0;
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    const auto one = run.system().spawn<busy>({.id = "busy"});
    run.run_until_idle();
    for (int round = 0; round < 3; ++round) {
      // The look lies behind two notes: it is taken out of the mailbox together with them.
      run.send(one, note{"first"});
      run.send(one, note{"second"});
      auto early = run.begin_ask(one, look{});
      run.run_until_idle();
      REQUIRE(early.answered());
      CHECK(early.take().value().count == 2 * round);
      auto later = run.begin_ask(one, look{});
      run.run_until_idle();
      REQUIRE(later.answered());
      CHECK(later.take().value().count == 2 * round);
      run.advance(101ms);
      auto last = run.begin_ask(one, look{});
      run.run_until_idle();
      CHECK(last.take().value().count == 2 * round + 1);
      run.advance(101ms);
    }
  }
}

TEST_CASE("an interleaved event that an actor sends itself by timer is handled meanwhile") {
  struct tick {};
  struct busy : actor<note, interleaved<tick>> {
    explicit busy(record to) : seen(std::move(to)) {}
    task<> on(const note&) {
      send_after(10ms, tick{});
      auto nap = pause(100ms);
      co_await nap;
      seen.add("turn over");
    }
    void on(const tick&) { seen.add("tick"); }
    record seen;
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto one = run.system().spawn<busy>({.id = "busy"}, seen);
    for (int round = 0; round < 2; ++round) {
      run.send(one, note{"first"});
      run.advance(200ms);
      CHECK(seen.text() == "tick, turn over");
      seen.clear();
    }
  }
}

TEST_CASE("an interleaved turn may wait itself, and the turns end in any order") {
  struct short_one {};
  struct busy : actor<note, interleaved<short_one>> {
    explicit busy(record to) : seen(std::move(to)) {}
    task<> on(const note& n) {
      auto nap = pause(100ms);
      co_await nap;
      seen.add(n.text);
    }
    task<> on(const short_one&) {
      auto nap = pause(40ms);
      co_await nap;
      seen.add("short");
    }
    record seen;
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto one = run.system().spawn<busy>({.id = "busy"}, seen);
    run.send(one, note{"long"});
    run.send(one, note{"next"});
    run.send(one, short_one{});
    run.advance(80ms);
    run.send(one, short_one{});
    run.advance(200ms);
    CHECK(seen.text() == "short, long, short, next");
  }
}

TEST_CASE("the event of a suspended turn lives as long as the turn") {
  struct reader : actor<note> {
    explicit reader(record to) : seen(std::move(to)) {}
    task<> on(const note& n) {
      auto nap = pause(100ms);
      co_await nap;
      seen.add(n.text);
    }
    record seen;
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto one = run.system().spawn<reader>({.id = "one"}, seen);
    run.send(one, note{long_text()});
    run.advance(200ms);
    CHECK(seen.text() == long_text());
  }
}

// ---- the end of an incarnation ----------------------------------------------------------------

namespace {

/// The order in which `layered` falls apart when `act` ends it with its turn suspended.
template <class Act>
std::string order_of_end(std::uint64_t seed, Act act) {
  record seen;
  {
    testing::executor run{seed};
    const auto who = run.system().spawn<silent>({.id = "silent"});
    const auto one = run.system().spawn<layered>({.id = "one"}, seen, who);
    run.run_until_idle();
    auto answer = run.begin_ask(one, traced_work{{seen, "event"}}, 1h);
    run.run_until_idle();
    CHECK(seen.text().empty());
    act(run, one, who);
  }
  return seen.text();
}

const std::string falls_apart = "continuation, inner frame, middle frame, outer frame, ";

}  // namespace

TEST_CASE("a crash destroys frames innermost first, then runs stopping, then object and event") {
  for (const auto seed : seeds) {
    // The ask of the inner frame is answered: its actor ends, the frame throws.
    const auto order = order_of_end(seed, [](testing::executor& run, auto&, auto& who) {
      run.system().stop(who);
      run.run_until_idle();
    });
    CHECK(order == falls_apart + "stopping crashed, object, event");
  }
}

TEST_CASE("a kill destroys asks, frames innermost first, object, event, without stopping") {
  for (const auto seed : seeds) {
    const auto order = order_of_end(seed, [](testing::executor& run, auto& one, auto&) {
      detail_ref::get(one)->kill(exit_reason::killed());
      run.run_until_idle();
    });
    CHECK(order == falls_apart + "object, event");
  }
}

TEST_CASE("a stop whose deadline passes before the turn ends is a kill") {
  for (const auto seed : seeds) {
    const auto order = order_of_end(seed, [](testing::executor& run, auto& one, auto&) {
      run.system().stop(one);
      run.advance(6s);
    });
    CHECK(order == falls_apart + "object, event");
  }
}

TEST_CASE("the end of a program with a suspended turn leaves nothing of it") {
  for (const auto seed : seeds) {
    const auto order = order_of_end(seed, [](auto&, auto&, auto&) {});
    // The one it asks may end first; then its turn crashes, and `stopping` is run.
    const bool crashed = order.find("stopping") != std::string::npos;
    CHECK(order == falls_apart + (crashed ? "stopping crashed, object, event" : "object, event"));
  }
}

TEST_CASE("a request in hand at a crash, a kill or a missed deadline is answered crashed") {
  for (const auto seed : seeds) {
    for (const int way : {0, 1, 2}) {
      testing::executor run{seed};
      record seen;
      const auto who = run.system().spawn<silent>({.id = "silent"});
      const auto one = run.system().spawn<layered>({.id = "one"}, seen, who);
      run.run_until_idle();
      auto answer = run.begin_ask(one, traced_work{{seen, "event"}}, 1h);
      run.run_until_idle();
      if (way == 0) run.system().stop(who);
      if (way == 1) detail_ref::get(one)->kill(exit_reason::killed());
      if (way == 2) run.system().stop(one);
      run.advance(6s);
      REQUIRE(answer.answered());
      const auto outcome = answer.take();
      REQUIRE_FALSE(outcome);
      CHECK(outcome.error().code() == errc::crashed);
      CHECK(outcome.error().message().find("/one#1") != std::string::npos);
    }
  }
}

TEST_CASE("a one-way event in hand at a crash is a dead letter") {
  for (const auto seed : seeds) {
    life<plain_life> plain{seed};
    plain.run.send(plain.one, note{"crash"});
    plain.run.run_until_idle();
    CHECK(plain.seen.text() == "made, started, stopping crashed, object");
    CHECK(dead(plain.run.system(), dead_letter_reason::crashed) == 1);

    life<waiting_life> waiting{seed};
    waiting.run.advance(1ms);
    waiting.seen.clear();
    waiting.run.send(waiting.one, note{"crash"});
    waiting.run.advance(1s);
    CHECK(waiting.seen.text() == "frame of crash, stopping crashed, stopped, stop frame, object");
    CHECK(dead(waiting.run.system(), dead_letter_reason::crashed) == 1);
  }
}

TEST_CASE("events behind a crash of an address that ends are dead letters and answered gone") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto who = run.system().spawn<silent>({.id = "silent"});
    const auto one = run.system().spawn<layered>({.id = "one"}, seen, who);
    run.run_until_idle();
    run.send(one, note{"crash"});
    run.send(one, note{"waits"});
    auto asked = run.begin_ask(one, traced_work{{seen, "event"}});
    run.run_until_idle();
    CHECK(seen.text() == "stopping crashed, object, event");
    CHECK(dead(run.system(), dead_letter_reason::gone) == 1);
    REQUIRE(asked.answered());
    CHECK(asked.take().error().code() == errc::gone);
  }
}

// ---- stop -----------------------------------------------------------------------------------

TEST_CASE("a stop lets the suspended turn end, then runs stopping, then destroys") {
  for (const auto seed : seeds) {
    life<waiting_life> x{seed, {.stop_ms = 200}};
    x.run.advance(1ms);
    x.seen.clear();
    x.run.send(x.one, note{"first"});
    x.run.run_until_idle();
    x.run.send(x.one, note{"second"});
    x.run.system().stop(x.one);
    x.run.advance(50ms);
    CHECK(x.seen.text().empty());
    x.run.advance(2s);
    CHECK(x.seen.text() == "first, frame of first, stopping shutdown, stopped, stop frame, object");
    CHECK(dead(x.run.system(), dead_letter_reason::gone) == 1);
    CHECK(x.told.orphans.empty());
  }
}

TEST_CASE("a stop of an idle actor runs a plain stopping at once") {
  for (const auto seed : seeds) {
    life<plain_life> x{seed};
    x.run.system().stop(x.one);
    x.run.run_until_idle();
    CHECK(x.seen.text() == "made, started, stopping shutdown, object");
  }
}

TEST_CASE("a stopping that takes longer than what is left of the deadline is destroyed") {
  for (const auto seed : seeds) {
    life<waiting_life> x{seed, {.stop_ms = 60'000}};
    x.run.advance(1ms);
    x.seen.clear();
    x.run.system().stop(x.one);
    x.run.advance(4'999ms);
    CHECK(x.seen.text() == "stopping shutdown");
    x.run.advance(10ms);
    CHECK(x.seen.text() == "stopping shutdown, stop frame, object");
    REQUIRE(x.told.orphans.size() == 1);
    CHECK(x.told.orphans[0].find("/one killed: it did not stop within its deadline") == 0);
  }
}

TEST_CASE("a stop inside a handler takes effect when the turn is over") {
  for (const auto seed : seeds) {
    life<plain_life> plain{seed};
    plain.run.send(plain.one, note{"stop"});
    plain.run.send(plain.one, note{"second"});
    plain.run.run_until_idle();
    CHECK(plain.seen.text() == "made, started, stop, stopping normal, object");

    life<waiting_life> waiting{seed};
    waiting.run.advance(1ms);
    waiting.seen.clear();
    waiting.run.send(waiting.one, note{"stop"});
    waiting.run.send(waiting.one, note{"second"});
    waiting.run.advance(1s);
    CHECK(waiting.seen.text() ==
          "stop, frame of stop, stopping normal, stopped, stop frame, object");
  }
}

TEST_CASE("a stop with a reason of its own ends with that reason") {
  life<plain_life> x{1};
  x.run.send(x.one, note{"fail"});
  x.run.run_until_idle();
  REQUIRE(x.told.orphans.size() == 1);
  CHECK(x.told.orphans[0] == "/one failed: out of paper");
}

TEST_CASE("a throw in stopping becomes the reason of a clean exit only") {
  for (const auto seed : seeds) {
    life<plain_life> clean{seed, {.fail_stop = true}};
    clean.run.system().stop(clean.one);
    clean.run.run_until_idle();
    REQUIRE(clean.told.orphans.size() == 1);
    CHECK(clean.told.orphans[0].find("no stop") != std::string::npos);

    life<plain_life> crashed{seed, {.fail_stop = true}};
    crashed.run.send(crashed.one, note{"crash"});
    crashed.run.run_until_idle();
    REQUIRE(crashed.told.orphans.size() == 1);
    CHECK(crashed.told.orphans[0].find("planted") != std::string::npos);

    life<waiting_life> waiting{seed, {.fail_stop = true, .stop_ms = 10}};
    waiting.run.advance(1ms);
    waiting.run.send(waiting.one, note{"crash"});
    waiting.run.advance(1s);
    REQUIRE(waiting.told.orphans.size() == 1);
    CHECK(waiting.told.orphans[0].find("planted") != std::string::npos);

    life<waiting_life> stopped{seed, {.fail_stop = true, .stop_ms = 10}};
    stopped.run.advance(1ms);
    stopped.run.system().stop(stopped.one);
    stopped.run.advance(1s);
    REQUIRE(stopped.told.orphans.size() == 1);
    CHECK(stopped.told.orphans[0].find("no stop") != std::string::npos);
  }
}

TEST_CASE("a stop while the actor starts ends it without stopping") {
  for (const auto seed : seeds) {
    life<waiting_life> x{seed, {.start_ms = 500}};
    x.run.system().stop(x.one);
    x.run.run_until_idle();
    CHECK(x.seen.text() == "made, start frame, object");
  }
}

TEST_CASE("a kill during stopping destroys its frame") {
  for (const auto seed : seeds) {
    life<waiting_life> x{seed, {.stop_ms = 500}};
    x.run.advance(1ms);
    x.seen.clear();
    x.run.system().stop(x.one);
    x.run.run_until_idle();
    detail_ref::get(x.one)->kill(exit_reason::killed());
    x.run.run_until_idle();
    CHECK(x.seen.text() == "stopping shutdown, stop frame, object");
  }
}

// ---- stop tokens ------------------------------------------------------------------------------

namespace {

struct spin {};

/// Stays in one slice until its token is raised.
class spinner : public actor<spin> {
 public:
  explicit spinner(std::atomic<int>* stage, bool late) : stage_(stage), late_(late) {}
  void on(const spin&) {
    if (late_) {
      *stage_ = 1;
      while (*stage_ != 2) std::this_thread::yield();
      *stage_ = stop_token().stop_requested() ? 3 : 4;
      return;
    }
    const std::stop_token token = stop_token();
    *stage_ = 1;
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!token.stop_requested() && std::chrono::steady_clock::now() < limit)
      std::this_thread::yield();
    *stage_ = token.stop_requested() ? 3 : 4;
  }

 private:
  std::atomic<int>* stage_;
  bool late_;
};

int stage_after(bool late, bool kill) {
  std::atomic<int> stage{0};
  coppice::system s{{.workers = 1}};
  const auto one = s.spawn<spinner>({.id = "spinner"}, &stage, late);
  outside{s}.send(one, spin{});
  while (stage != 1) std::this_thread::yield();
  if (kill) detail_ref::get(one)->kill(exit_reason::killed());
  else s.stop(one);
  if (late) stage = 2;
  while (stage < 3) std::this_thread::yield();
  return stage;
}

}  // namespace

TEST_CASE("stop and kill raise the stop token while a slice runs") {
  CHECK(stage_after(false, false) == 3);
  CHECK(stage_after(false, true) == 3);
}

TEST_CASE("a stop token that is taken after the stop was asked for is raised already") {
  CHECK(stage_after(true, false) == 3);
  CHECK(stage_after(true, true) == 3);
}

TEST_CASE("the next incarnation's stop token is a fresh one") {
  struct holder : actor<note> {
    explicit holder(record to) : seen(std::move(to)) {}
    void on(const note& n) {
      token = stop_token();
      seen.add(token.stop_requested() ? "raised" : "fresh");
      if (n.text == "crash") throw std::runtime_error{"planted"};
    }
    record seen;
    std::stop_token token;
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    tools::kept<holder, record> one{run.system(), {}, seen};
    run.run_until_idle();
    detail_ref::get(one.child())->kill(exit_reason::killed());
    run.run_until_idle();
    run.send(one.child(), note{"crash"});
    run.send(one.child(), note{"again"});
    run.run_until_idle();
    CHECK(seen.text() == "fresh, fresh");
  }
}

// ---- everything at once -----------------------------------------------------------------------

TEST_CASE("nothing leaks when a program ends with everything in flight") {
  struct flood : actor<note, work> {
    explicit flood(ref<never> to) : who(std::move(to)) {}
    task<> on(const note& n) {
      for (int i = 0; i < 10; ++i) send_after(1h, note{long_text()});
      send_every(1h, note{n.text});
      ask(who, never{}, 1h).then([text = n.text](auto) {});
      auto one = ask(who, never{}, 1h);
      auto two = ask(who, never{}, 1h);
      auto inner = nested(long_text());
      co_await inner;
      auto answer = co_await one;
    }
    task<done> on(const work&) { co_return done{}; }
    task<> nested(std::string text) {
      auto nap = pause(1h);
      co_await nap;
      send(self(), note{text});
    }
    ref<never> who;
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    const auto who = run.system().spawn<silent>({.id = "silent"});
    std::vector<testing::executor::question<work>> asked;
    for (int i = 0; i < 5; ++i) {
      const auto one = run.system().spawn<flood>({.id = "flood", .capacity = 50}, who);
      for (int k = 0; k < 60; ++k) run.send(one, note{long_text()});
      asked.push_back(run.begin_ask(one, work{long_text()}));
      for (int k = 0; k < 5; ++k) run.step();
    }
  }
}
