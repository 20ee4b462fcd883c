// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/task.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::long_text;
using tools::record;
using tools::seeds;
using tools::tracer;

namespace {

struct doubled {
  int value;
};
struct twice {
  int value;
  std::string text = long_text();
  using reply = doubled;
};
struct go {
  int number = 0;
};

class calculator : public actor<twice> {
 public:
  result<doubled> on(const twice& t) {
    if (t.value < 0) return fail("negative");
    return doubled{2 * t.value};
  }
};

/// What all actors of this file have: somebody to ask and a record.
template <class... Es>
class asking : public actor<Es...> {
 public:
  asking(record to, ref<twice> who) : seen(std::move(to)), calculator_at(std::move(who)) {}

 protected:
  task<int> doubled_of(int value) {
    tracer mine{seen, "end of " + std::to_string(value)};
    auto asked = this->ask(calculator_at, twice{value}, 1s);
    auto answer = co_await asked;
    co_return answer.value().value;
  }

  record seen;
  ref<twice> calculator_at;
};

/// Runs an actor of class T with one `go`, under each seed.
template <class T>
void each_seed(const std::string& expected, tools::observed* told = nullptr,
               std::chrono::milliseconds time = 2s) {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    record seen;
    testing::executor run{seed, {.watch = told}};
    const auto who = run.system().spawn<calculator>({.id = "calculator"});
    const auto one = run.system().spawn<T>({.id = "one"}, seen, who);
    run.send(one, go{});
    run.advance(time);
    CHECK(seen.text() == expected);
  }
}

}  // namespace

TEST_CASE("a nested task gives its value to the one that awaits it") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto first = doubled_of(1);
      int sum = co_await first;
      auto second = doubled_of(20);
      sum += co_await second;
      seen.add(std::to_string(sum));
    }
  };
  each_seed<one>("end of 1, end of 20, 42");
}

TEST_CASE("a nested task starts when it is awaited, not when it is made") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto later = noted("later");
      auto sooner = noted("sooner");
      seen.add("made");
      co_await sooner;
      co_await later;
    }
    task<> noted(std::string what) {
      seen.add(what);
      co_return;
    }
  };
  each_seed<one>("made, sooner, later");
}

TEST_CASE("a task that is never awaited never runs, and what it was given is destroyed") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto never = noted(tracer{seen, "argument destroyed"});
      seen.add("end");
      co_return;
    }
    task<> noted(tracer) {
      seen.add("ran");
      co_return;
    }
  };
  each_seed<one>("end, argument destroyed");
}

TEST_CASE("parameters by value live as long as the nested task") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto work = later(long_text("by value"));
      co_await work;
    }
    task<> later(std::string text) {
      auto nap = pause(100ms);
      co_await nap;
      seen.add(text);
    }
  };
  each_seed<one>(long_text("by value"));
}

TEST_CASE("an exception travels through nested tasks to the one that catches it") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      tracer mine{seen, "outer"};
      auto next = middle();
      bool caught = false;
      try {
        co_await next;
      } catch (const bad_result& e) {
        seen.add(std::string{name(e.error().code())});
        caught = true;
      }
      if (caught) {
        auto more = doubled_of(21);
        auto value = co_await more;
        seen.add(std::to_string(value));
      }
    }
    task<> middle() {
      tracer mine{seen, "middle"};
      auto next = doubled_of(-1);
      auto value = co_await next;
      seen.add(std::to_string(value));
    }
  };
  each_seed<one>("end of -1, middle, failed, end of 21, 42, outer");
}

TEST_CASE("an exception that nobody catches crashes the actor, with its cause") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      tracer mine{seen, "outer"};
      auto next = doubled_of(-1);
      co_await next;
    }
  };
  tools::observed told;
  each_seed<one>("end of -1, outer", &told);
  REQUIRE(told.orphans.size() == std::size(seeds));
  CHECK(told.orphans[0].find("/one crashed: ") == 0);
  CHECK(told.orphans[0].find("failed") != std::string::npos);
  CHECK(told.orphans[0].find("negative") != std::string::npos);
}

TEST_CASE("an exception of a nested task's first slice reaches the one that awaits") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto next = throws();
      try {
        co_await next;
      } catch (const std::runtime_error& e) {
        seen.add(e.what());
      }
    }
    task<> throws() {
      throw std::runtime_error{"at once"};
      co_return;
    }
  };
  each_seed<one>("at once");
}

TEST_CASE("ten thousand nested tasks, one inside the other or in a row, need no stack") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto deep = depth(10'000);
      int sum = co_await deep;
      for (int i = 0; i < 10'000; ++i) {
        auto again = depth(0);
        sum += co_await again;
      }
      seen.add(std::to_string(sum));
    }
    task<int> depth(int left) {
      if (left == 0) co_return 1;
      auto next = depth(left - 1);
      int below = co_await next;
      co_return below;
    }
  };
  each_seed<one>("10001");
}

TEST_CASE("a turn may wait in loops, conditions and try blocks") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      int sum = 0;
      for (int i = 0; i < 3; ++i) {
        auto asked = ask(calculator_at, twice{i}, 1s);
        if (auto answer = co_await asked; answer && answer->value > 1) {
          auto nap = pause(10ms);
          co_await nap;
          sum += answer->value;
        }
      }
      while (sum < 10) {
        auto asked = ask(calculator_at, twice{sum}, 1s);
        auto answer = co_await asked;
        sum = answer.value().value;
      }
      seen.add(std::to_string(sum));
    }
  };
  each_seed<one>("12");
}

TEST_CASE("what is waited for may be made by one frame and awaited by another") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto asked = ask(calculator_at, twice{21}, 1s);
      auto next = take(asked);
      auto value = co_await next;
      seen.add(std::to_string(value));
    }
    task<int> take(asked<twice>& made) {
      auto answer = co_await made;
      co_return answer.value().value;
    }
  };
  each_seed<one>("42");
}

TEST_CASE("a pause lasts as long as it says, in virtual time") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      for (int i = 0; i < 3; ++i) {
        auto nap = pause(10min);
        co_await nap;
        seen.add(std::to_string(i));
      }
    }
  };
  each_seed<one>("", nullptr, 10min);
  each_seed<one>("0", nullptr, 10min + 1ms);
  each_seed<one>("0, 1, 2", nullptr, 31min);
}

TEST_CASE("a stop lets nested tasks end") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      stop();
      auto next = doubled_of(21);
      int value = co_await next;
      auto more = doubled_of(value);
      value = co_await more;
      seen.add(std::to_string(value));
    }
    void stopping(const exit_reason& why) { seen.add(std::string{name(why.what())}); }
  };
  each_seed<one>("end of 21, end of 42, 84, normal");
}

TEST_CASE("tasks that were made but not awaited are destroyed with the frame that holds them") {
  struct one : asking<go> {
    using asking::asking;
    task<> on(const go&) {
      auto never = held(tracer{seen, "never started"});
      auto running = held(tracer{seen, "suspended"});
      co_await running;
      co_await never;
    }
    task<> held(tracer) {
      auto nap = pause(1h);
      co_await nap;
    }
  };
  each_seed<one>("");
  record seen;
  {
    testing::executor run{1};
    const auto one_ref = run.system().spawn<one>({.id = "one"}, seen, ref<twice>{});
    run.send(one_ref, go{});
    run.advance(1s);
    detail_ref::get(one_ref)->kill(exit_reason::killed());
    run.run_until_idle();
    CHECK(seen.text() == "suspended, never started");
  }
}

TEST_CASE("asks of several turns and continuations do not mix up their answers") {
  struct one : actor<go, interleaved<twice>> {
    one(record to, ref<twice> who) : seen(std::move(to)), calculator_at(std::move(who)) {}
    task<> on(const go& g) {
      auto asked = ask(calculator_at, twice{g.number}, 1s);
      ask(calculator_at, twice{100 + g.number}, 1s).then([this, n = g.number](auto answer) {
        counted(answer && answer->value == 2 * (100 + n));
      });
      auto answer = co_await asked;
      counted(answer && answer->value == 2 * g.number);
    }
    task<doubled> on(const twice& t) {
      auto asked = ask(calculator_at, twice{t.value}, 1s);
      auto answer = co_await asked;
      co_return doubled{answer.value().value};
    }
    void counted(bool right) {
      if (right && ++rights == 40) seen.add("all right");
    }
    record seen;
    ref<twice> calculator_at;
    int rights = 0;
  };
  for (const auto seed : seeds) {
    CAPTURE(seed);
    record seen;
    testing::executor run{seed};
    const auto who = run.system().spawn<calculator>({.id = "calculator"});
    const auto x = run.system().spawn<one>({.id = "one"}, seen, who);
    std::vector<testing::executor::question<twice>> asked;
    for (int i = 0; i < 20; ++i) {
      run.send(x, go{i});
      asked.push_back(run.begin_ask(x, twice{1'000 + i}));
      run.step();
    }
    run.run_until_idle();
    CHECK(seen.text() == "all right");
    for (int i = 0; i < 20; ++i) {
      REQUIRE(asked[static_cast<std::size_t>(i)].answered());
      CHECK(asked[static_cast<std::size_t>(i)].take().value().value == 2 * (1'000 + i));
    }
  }
}
