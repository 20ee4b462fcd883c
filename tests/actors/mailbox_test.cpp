// SPDX-License-Identifier: BSD-3-Clause
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

#include "keeper.hpp"
#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::dead;
using tools::long_text;
using tools::record;
using tools::seeds;

namespace {

struct item {
  int number;
  std::string text;
};
struct sum {
  int items;
};
struct total {
  using reply = sum;
};
struct hold {};

/// Counts items; a `hold` keeps it busy for a second.
class belt : public actor<item, total, hold> {
 public:
  explicit belt(record to) : seen_(std::move(to)) {}
  void on(const item& i) {
    ++items_;
    seen_.add(std::to_string(i.number));
  }
  sum on(const total&) { return {items_}; }
  task<> on(const hold&) {
    auto nap = pause(1s);
    co_await nap;
  }
  void stopping(const exit_reason&) { seen_.add("stopping"); }

 private:
  record seen_;
  int items_ = 0;
};

/// A belt that is busy, with a full mailbox behind it.
struct full_belt {
  full_belt(std::uint64_t seed, overflow policy)
      : run(seed, {.watch = &told}),
        to(run.system().spawn<belt>({.id = "belt", .capacity = 3, .on_full = policy}, seen)) {
    run.send(to, hold{});
    run.run_until_idle();
    for (int i = 1; i <= 3; ++i) run.send(to, item{i, long_text()});
  }
  record seen;
  tools::observed told;
  testing::executor run;
  belt::address to;
};

}  // namespace

TEST_CASE("a full mailbox rejects: offer tells, send counts, an ask is answered overloaded") {
  for (const auto seed : seeds) {
    full_belt x{seed, overflow::reject};
    const auto offered = x.run.offer(x.to, item{4, long_text()});
    REQUIRE_FALSE(offered);
    CHECK(offered.error().code() == errc::overloaded);
    CHECK(offered.error().not_executed());
    CHECK(dead(x.run.system(), dead_letter_reason::overflow) == 0);
    x.run.send(x.to, item{5, long_text()});
    CHECK(dead(x.run.system(), dead_letter_reason::overflow) == 1);
    auto asked = x.run.begin_ask(x.to, total{});
    REQUIRE(asked.answered());
    CHECK(asked.take().error().code() == errc::overloaded);
    x.run.advance(2s);
    CHECK(x.seen.text() == "1, 2, 3");
    CHECK(x.run.offer(x.to, item{6, {}}));
  }
}

TEST_CASE("a full mailbox that drops the newest reports it as taken, and counts it") {
  for (const auto seed : seeds) {
    full_belt x{seed, overflow::drop_newest};
    CHECK(x.run.offer(x.to, item{4, long_text()}));
    x.run.send(x.to, item{5, long_text()});
    CHECK(dead(x.run.system(), dead_letter_reason::overflow) == 2);
    auto asked = x.run.begin_ask(x.to, total{});
    REQUIRE(asked.answered());
    CHECK(asked.take().error().code() == errc::overloaded);
    x.run.advance(2s);
    CHECK(x.seen.text() == "1, 2, 3");
  }
}

TEST_CASE("a full mailbox that drops the oldest discards it instead of handling it") {
  for (const auto seed : seeds) {
    full_belt x{seed, overflow::drop_oldest};
    CHECK(x.run.offer(x.to, item{4, long_text()}));
    x.run.send(x.to, item{5, long_text()});
    x.run.advance(2s);
    CHECK(x.seen.text() == "3, 4, 5");
    CHECK(dead(x.run.system(), dead_letter_reason::evicted) == 2);
    CHECK(dead(x.run.system(), dead_letter_reason::overflow) == 0);
  }
}

TEST_CASE("a request evicted by drop_oldest is answered overloaded") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto to = run.system().spawn<belt>(
        {.id = "belt", .capacity = 2, .on_full = overflow::drop_oldest}, seen);
    run.send(to, hold{});
    run.run_until_idle();
    auto asked = run.begin_ask(to, total{});
    for (int i = 1; i <= 2; ++i) run.send(to, item{i, long_text()});
    run.advance(2s);
    REQUIRE(asked.answered());
    const auto answer = asked.take();
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code() == errc::overloaded);
    CHECK(answer.error().not_executed());
    CHECK(seen.text() == "1, 2");
  }
}

TEST_CASE("a mailbox that drops the oldest is bounded even if its actor takes nothing") {
  testing::executor run{1};
  record seen;
  const auto to = run.system().spawn<belt>(
      {.id = "belt", .capacity = 3, .on_full = overflow::drop_oldest}, seen);
  run.send(to, hold{});
  run.run_until_idle();
  for (int i = 1; i <= 100; ++i) run.send(to, item{i, long_text()});
  CHECK(detail_ref::get(to)->depth() <= 6);
  run.advance(2s);
  CHECK(seen.size() == 3);
  const auto counts = run.system().dead_letters();
  std::uint64_t lost = 0;
  for (const auto n : counts) lost += n;
  CHECK(lost == 97);
}

TEST_CASE("room is there when all that was in the mailbox has been handled") {
  struct producer : actor<hold> {
    producer(record note, belt::address x) : seen(std::move(note)), to(std::move(x)) {}
    task<> on(const hold&) {
      auto refused = offer(to, item{4, long_text()});
      seen.add(refused ? "taken" : "refused");
      auto free = room(to, 5s);
      auto there = co_await free;
      seen.add(there ? "room" : "none");
      auto now = offer(to, item{4, long_text()});
      seen.add(now ? "taken" : "refused");
    }
    record seen;
    belt::address to;
  };
  for (const auto seed : seeds) {
    full_belt x{seed, overflow::reject};
    const auto from = x.run.system().spawn<producer>({.id = "from"}, x.seen, x.to);
    x.run.send(from, hold{});
    x.run.run_until_idle();
    CHECK(x.seen.text() == "refused");
    x.run.advance(2s);
    CHECK(x.seen.text() == "refused, 1, 2, 3, room, taken, 4");
  }
}

TEST_CASE("an actor that waits for room in its own mailbox is told at once") {
  struct narcissus : actor<hold> {
    explicit narcissus(record note) : seen(std::move(note)) {}
    task<> on(const hold&) {
      auto free = room(self(), 5s);
      auto there = co_await free;
      seen.add(there ? "room" : std::string{name(there.error().code())});
    }
    record seen;
  };
  testing::executor run{1};
  record seen;
  const auto it = run.system().spawn<narcissus>({.id = "pool"}, seen);
  run.send(it, hold{});
  run.run_until_idle();
  CHECK(seen.text() == "cycle");
}

TEST_CASE("waiting for room ends with its deadline, or with the address") {
  struct producer : actor<hold> {
    producer(record note, belt::address x) : seen(std::move(note)), to(std::move(x)) {}
    task<> on(const hold&) {
      auto free = room(to, 100ms);
      auto there = co_await free;
      seen.add(there ? "room" : std::string{name(there.error().code())});
    }
    record seen;
    belt::address to;
  };
  for (const auto seed : seeds) {
    full_belt x{seed, overflow::reject};
    record seen;
    const auto from = x.run.system().spawn<producer>({.id = "from"}, seen, x.to);
    x.run.send(from, hold{});
    x.run.advance(100ms);
    CHECK(seen.text().empty());
    x.run.advance(1ms);
    CHECK(seen.text() == "timeout");
    seen.clear();
    x.run.send(from, hold{});
    x.run.run_until_idle();
    detail_ref::get(x.to)->kill(exit_reason::killed());
    x.run.run_until_idle();
    CHECK(seen.text() == "gone");
    seen.clear();
    x.run.send(from, hold{});
    x.run.run_until_idle();
    CHECK(seen.text() == "gone");
  }
}

TEST_CASE("four senders that wait for room lose nothing, and each one's order is kept") {
  struct sink : actor<item> {
    explicit sink(std::shared_ptr<std::vector<int>> to) : got(std::move(to)) {}
    void on(const item& i) { got->push_back(i.number); }
    std::shared_ptr<std::vector<int>> got;
  };
  struct producer : actor<hold> {
    producer(int f, ref<item> x) : first(f), to(std::move(x)) {}
    task<> on(const hold&) {
      for (int i = 0; i < 500; ++i) {
        for (;;) {
          auto taken = offer(to, item{first + i, long_text()});
          if (taken) break;
          auto free = room(to, 1h);
          auto there = co_await free;
          if (!there) co_return;
        }
      }
    }
    int first;
    ref<item> to;
  };
  for (const auto seed : seeds) {
    testing::executor run{seed};
    auto got = std::make_shared<std::vector<int>>();
    const auto to = run.system().spawn<sink>({.id = "sink", .capacity = 16}, got);
    for (int i = 0; i < 4; ++i)
      run.send(run.system().spawn<producer>({.id = "from" + std::to_string(i)}, i * 1'000, to),
               hold{});
    CHECK(run.run_until_idle());
    REQUIRE(got->size() == 2'000);
    int next[4] = {0, 1'000, 2'000, 3'000};
    for (const int number : *got) CHECK(number == next[number / 1'000]++);
    for (const auto n : run.system().dead_letters()) CHECK(n == 0);
  }
}

TEST_CASE("a stop, a kill and an answer overtake a full mailbox") {
  for (const auto seed : seeds) {
    full_belt stopped{seed, overflow::reject};
    stopped.run.system().stop(stopped.to);
    stopped.run.advance(2s);
    CHECK(stopped.seen.text() == "stopping");
    CHECK(dead(stopped.run.system(), dead_letter_reason::gone) == 3);

    full_belt killed{seed, overflow::reject};
    detail_ref::get(killed.to)->kill(exit_reason::killed());
    killed.run.run_until_idle();
    CHECK(killed.seen.text().empty());
    CHECK(dead(killed.run.system(), dead_letter_reason::gone) == 3);
    CHECK(dead(killed.run.system(), dead_letter_reason::crashed) == 1);

    struct asker : actor<item> {
      asker(record note, ref<total> x) : seen(std::move(note)), whom(std::move(x)) {}
      task<> on(const item& i) {
        auto asked = ask(whom, total{}, 1s);
        auto answer = co_await asked;
        seen.add(answer ? "answered " + std::to_string(i.number) : "refused");
      }
      record seen;
      ref<total> whom;
    };
    testing::executor run{seed};
    record seen;
    const auto to = run.system().spawn<belt>({.id = "belt"}, record{});
    const auto from = run.system().spawn<asker>({.id = "asker", .capacity = 2}, seen, to);
    run.run_until_idle();
    run.send(from, item{1, {}});
    run.step();
    run.send(from, item{2, {}});
    run.send(from, item{3, {}});
    CHECK_FALSE(run.offer(from, item{4, {}}));
    run.run_until_idle();
    CHECK(seen.text() == "answered 1, answered 2, answered 3");
  }
}

TEST_CASE("dead letters are counted exactly, their stream is limited and tells what it left out") {
  tools::observed told;
  testing::executor run{1, {.watch = &told}};
  const ref<item> nobody;
  for (int i = 0; i < 1'000; ++i) run.send(nobody, item{i, long_text()});
  CHECK(dead(run.system(), dead_letter_reason::gone) == 1'000);
  CHECK(told.letters.size() == 10);
  CHECK(told.letters[0].why == dead_letter_reason::gone);
  CHECK(told.letters[0].event.find("item") != std::string::npos);
  CHECK(told.letters[0].to.empty());

  run.advance(1'001ms);
  record seen;
  const auto one = run.system().spawn<belt>({.id = "belt"}, seen);
  run.run_until_idle();
  run.system().stop(one);
  run.run_until_idle();
  run.send(one, item{1, {}});
  REQUIRE(told.letters.size() == 11);
  CHECK(told.letters[10].left_out == 990);
  CHECK(told.letters[10].to == "/belt");
  CHECK(dead(run.system(), dead_letter_reason::gone) == 1'001);
}
