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

struct note {
  std::string text;
};
struct counted {
  int notes;
  std::uint32_t incarnation;
};
struct count {
  using reply = counted;
};

/// Keeps notes in memory, so that each incarnation starts with none; "crash" makes it throw.
class desk : public actor<note, count> {
 public:
  explicit desk(record to, std::string title = "desk") : seen_(std::move(to)), title_(title) {
    seen_.add("made " + title_ + ' ' + std::to_string(incarnation()));
    title_ += " (used)";
  }
  void on(const note& n) {
    if (n.text == "crash") throw std::runtime_error{"planted"};
    ++notes_;
    seen_.add(n.text + " by " + std::to_string(incarnation()));
  }
  counted on(const count&) { return {notes_, incarnation()}; }

 private:
  record seen_;
  std::string title_;
  int notes_ = 0;
};

/// Completes its start after a second.
class late_desk : public desk {
 public:
  using desk::desk;
  task<> started() {
    auto setting_up = pause(1s);
    co_await setting_up;
  }
};

}  // namespace

TEST_CASE("an address is given out before anything runs behind it") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto front = run.system().spawn<desk>({.id = "front"}, seen);
    CHECK(front);
    CHECK(front.path() == "/front");
    CHECK(seen.text().empty());
    run.send(front, note{"early"});
    run.run_until_idle();
    CHECK(seen.text() == "made desk 1, early by 1");
  }
}

TEST_CASE("each incarnation is made of copies of the same arguments, and numbered from 1") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    tools::kept<desk, record, std::string> front{run.system(), {}, seen, long_text()};
    run.run_until_idle();
    for (int i = 0; i < 2; ++i) {
      run.send(front.child(), note{"crash"});
      run.run_until_idle();
    }
    CHECK(seen.text() ==
          "made " + long_text() + " 1, made " + long_text() + " 2, made " + long_text() + " 3");
    CHECK(run.ask(front.child(), count{}).value().incarnation == 3);
  }
}

TEST_CASE("an event that arrives before the start is complete waits for it") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto front = run.system().spawn<late_desk>({.id = "front"}, seen);
    run.run_until_idle();
    run.send(front, note{"early"});
    auto in_time = run.begin_ask(front, count{}, 2s);
    auto too_late = run.begin_ask(front, count{}, 500ms);
    run.advance(900ms);
    CHECK(seen.text() == "made desk 1");
    run.advance(200ms);
    CHECK(seen.text() == "made desk 1, early by 1");
    REQUIRE(in_time.answered());
    CHECK(in_time.take().value().notes == 1);
    REQUIRE(too_late.answered());
    CHECK(too_late.take().error().code() == errc::expired);
  }
}

TEST_CASE("an address that starts takes events up to its capacity") {
  testing::executor run{1};
  record seen;
  const auto front = run.system().spawn<late_desk>({.id = "front", .capacity = 2}, seen);
  run.run_until_idle();
  for (const char* text : {"1", "2", "3"}) run.send(front, note{text});
  CHECK(dead(run.system(), dead_letter_reason::overflow) == 1);
  run.advance(2s);
  CHECK(seen.text() == "made desk 1, 1 by 1, 2 by 1");
}

TEST_CASE("an actor that is restarted alone keeps its address and its mailbox") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    tools::kept<desk, record> front{run.system(), {}, seen};
    run.run_until_idle();
    const auto before = front.child();
    const auto number = before.number();
    for (const char* text : {"1", "2", "crash", "3", "4"}) run.send(before, note{text});
    run.run_until_idle();
    CHECK(seen.text() == "made desk 1, 1 by 1, 2 by 1, made desk 2, 3 by 2, 4 by 2");
    CHECK(before.number() == number);
    CHECK(dead(run.system(), dead_letter_reason::crashed) == 1);
    CHECK(run.ask(before, count{}).value().notes == 2);
  }
}

TEST_CASE("between two incarnations an address takes events up to its capacity") {
  testing::executor run{1};
  record seen;
  tools::kept<desk, record> front{run.system(), {.capacity = 2, .at_once = false}, seen};
  run.run_until_idle();
  run.send(front.child(), note{"crash"});
  run.run_until_idle();
  for (const char* text : {"1", "2", "3"}) run.send(front.child(), note{text});
  run.run_until_idle();
  CHECK(dead(run.system(), dead_letter_reason::overflow) == 1);
  run.send(front.parent, tools::start_again{});
  run.run_until_idle();
  CHECK(seen.text() == "made desk 1, made desk 2, 1 by 2, 2 by 2");
}

TEST_CASE("a spawned actor's address ends with it, for ever") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    const auto front = run.system().spawn<desk>({.id = "front"}, seen);
    run.send(front, note{"crash"});
    run.run_until_idle();
    const auto answer = run.ask(front, count{});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code() == errc::gone);
    const auto refused = run.offer(front, note{"more"});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == errc::gone);
    run.send(front, note{"more"});
    CHECK(dead(run.system(), dead_letter_reason::gone) == 1);
  }
}

TEST_CASE("the same id later is another address with another number") {
  testing::executor run{1};
  record seen;
  const auto first = run.system().spawn<desk>({.id = "front"}, seen);
  run.run_until_idle();
  run.system().stop(first);
  run.run_until_idle();
  const auto second = run.system().spawn<desk>({.id = "front"}, seen);
  run.run_until_idle();
  CHECK(first != second);
  CHECK(first.path() == second.path());
  CHECK(first.number() != second.number());
  CHECK_FALSE(run.ask(first, count{}));
  CHECK(run.ask(second, count{}));
}

TEST_CASE("a ref that outlives its actor keeps the address's memory, not the actor") {
  testing::executor run{1};
  record seen;
  struct traced : actor<note> {
    explicit traced(record to) : end(std::move(to), "object gone") {}
    void on(const note&) {}
    tools::tracer end;
  };
  const auto front = run.system().spawn<traced>({.id = "front"}, seen);
  run.run_until_idle();
  run.system().stop(front);
  run.run_until_idle();
  CHECK(seen.text() == "object gone");
  CHECK(front.path() == "/front");
}

TEST_CASE("what is sent to nobody is a dead letter, an ask is answered gone") {
  testing::executor run{1};
  const ref<note, count> nobody;
  run.send(nobody, note{long_text()});
  CHECK(dead(run.system(), dead_letter_reason::gone) == 1);
  CHECK(run.offer(nobody, note{long_text()}).error().code() == errc::gone);
  CHECK(run.ask(nobody, count{}).error().code() == errc::gone);

  struct sender : actor<note> {
    explicit sender(record to) : seen(std::move(to)) {}
    void on(const note& n) {
      send(ref<note>{}, note{n.text});
      seen.add(std::string{name(offer(ref<note>{}, note{n.text}).error().code())});
    }
    record seen;
  };
  record seen;
  const auto from = run.system().spawn<sender>({.id = "sender"}, seen);
  run.send(from, note{long_text()});
  run.run_until_idle();
  CHECK(dead(run.system(), dead_letter_reason::gone) == 2);
  CHECK(seen.text() == "gone");
}

TEST_CASE("a path lists the ids from the root down") {
  testing::executor run{1};
  record seen;
  tools::kept<desk, record> front{run.system(), {}, seen};
  run.run_until_idle();
  CHECK(front.parent.path() == "/keeper");
  CHECK(front.child().path() == "/keeper/child");
}

TEST_CASE("spawn refuses a wrong id or capacity with a sentence") {
  testing::executor run{1};
  const auto refusal = [&](spawn_options options) -> std::string {
    try {
      (void)run.system().spawn<desk>(std::move(options), record{}, long_text());
    } catch (const bad_result& e) {
      return e.what();
    }
    return {};
  };
  CHECK(refusal({.id = ""}).find("invalid: ") == 0);
  CHECK(refusal({.id = "a/b"}).find("invalid: ") == 0);
  CHECK(refusal({.id = std::string(65, 'x')}).find("invalid: ") == 0);
  CHECK(refusal({.id = "x", .capacity = 0}).find("1 to 60000") != std::string::npos);
  CHECK(refusal({.id = "x", .capacity = 60'001}).find("1 to 60000") != std::string::npos);
  CHECK(refusal({.id = std::string(64, 'x'), .capacity = 60'000}).empty());
}
