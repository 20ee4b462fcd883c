// SPDX-License-Identifier: BSD-3-Clause
#include <functional>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

#include <coppice/actors/detail/core.hpp>

#include "keeper.hpp"
#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::dead;
using tools::long_text;
using tools::record;
using tools::seeds;

namespace {

class clock_user;

/// Runs `act` inside the actor.
struct call {
  std::function<void(clock_user&)> act;
};
struct rang {
  std::string text;
};

class clock_user : public actor<call, rang> {
 public:
  explicit clock_user(record to) : seen(std::move(to)) {}
  task<> on(const call& c) {
    c.act(*this);
    if (!busy) co_return;
    auto nap = pause(busy_for);
    co_await nap;
    busy = false;
  }
  void on(const rang& r) { seen.add(r.text); }

  using actor::cancel;
  using actor::send_after;
  using actor::send_every;

  record seen;
  static constexpr timer no_timer{};
  timer kept;
  bool busy = false;
  milliseconds busy_for{0};
};

struct one_clock {
  explicit one_clock(std::uint64_t seed)
      : run(seed), user(run.system().spawn<clock_user>({.id = "user", .capacity = 2}, seen)) {}
  void in(std::function<void(clock_user&)> act) {
    run.send(user, call{std::move(act)});
    run.run_until_idle();
  }
  record seen;
  testing::executor run;
  clock_user::address user;
};

}  // namespace

TEST_CASE("a timer delivers its event after its delay, not a millisecond early") {
  for (const auto seed : seeds) {
    one_clock x{seed};
    x.in([](clock_user& u) { u.send_after(100ms, rang{long_text()}); });
    x.run.advance(100ms);
    CHECK(x.seen.text().empty());
    x.run.advance(1ms);
    CHECK(x.seen.text() == long_text());
    x.run.advance(1h);
    CHECK(x.seen.size() == 1);
  }
}

TEST_CASE("timers fire in the order of their deadlines") {
  for (const auto seed : seeds) {
    one_clock x{seed};
    x.in([](clock_user& u) {
      for (const int ms : {30, 10, 20, 500, 40})
        u.send_after(std::chrono::milliseconds{ms}, rang{std::to_string(ms)});
    });
    x.run.advance(1s);
    CHECK(x.seen.text() == "10, 20, 30, 40, 500");
  }
}

TEST_CASE("a fired timer's event waits behind what is in the mailbox, and is not counted") {
  for (const auto seed : seeds) {
    one_clock x{seed};
    x.in([](clock_user& u) {
      u.send_after(10ms, rang{"timer"});
      u.busy = true;
      u.busy_for = 100ms;
    });
    x.run.send(x.user, rang{"first"});
    x.run.send(x.user, rang{"second"});
    CHECK_FALSE(x.run.offer(x.user, rang{"too many"}));
    x.run.advance(50ms);
    CHECK(detail_ref::get(x.user)->depth() == 2);
    x.run.advance(100ms);
    CHECK(x.seen.text() == "first, second, timer");
  }
}

TEST_CASE("a cancelled timer never delivers, even if it has fired already") {
  for (const auto seed : seeds) {
    one_clock x{seed};
    x.in([](clock_user& u) { u.kept = u.send_after(100ms, rang{"cancelled"}); });
    x.in([](clock_user& u) {
      CHECK(u.cancel(u.kept));
      CHECK_FALSE(u.cancel(u.kept));
      CHECK_FALSE(u.cancel(clock_user::no_timer));
    });
    x.run.advance(1s);

    // This one fires while its actor is busy; what waits in front of it cancels it.
    x.in([](clock_user& u) {
      u.kept = u.send_after(10ms, rang{"fired"});
      u.busy = true;
      u.busy_for = 100ms;
    });
    x.run.send(x.user, call{[](clock_user& u) { CHECK(u.cancel(u.kept)); }});
    x.run.advance(1s);
    CHECK(x.seen.text().empty());
  }
}

TEST_CASE("a periodic timer delivers a copy each period") {
  for (const auto seed : seeds) {
    one_clock x{seed};
    x.in([](clock_user& u) { u.kept = u.send_every(100ms, rang{long_text()}); });
    x.run.advance(1'001ms);
    CHECK(x.seen.size() == 10);
    x.in([](clock_user& u) { u.cancel(u.kept); });
    x.run.advance(1s);
    CHECK(x.seen.size() == 10);
  }
}

TEST_CASE("what a periodic timer owes while its event still waits is left out") {
  for (const auto seed : seeds) {
    one_clock x{seed};
    x.in([](clock_user& u) {
      u.send_every(100ms, rang{"tick"});
      u.busy = true;
      u.busy_for = 950ms;
    });
    x.run.advance(960ms);
    CHECK(x.seen.text() == "tick");
    x.run.advance(100ms);
    CHECK(x.seen.text() == "tick, tick");
  }
}

TEST_CASE("a named timer that is set again replaces the old one") {
  for (const auto seed : seeds) {
    one_clock x{seed};
    x.in([](clock_user& u) {
      u.send_after("idle", 100ms, rang{"first"});
      u.send_after("other", 100ms, rang{"other"});
      u.send_after("idle", 200ms, rang{"second"});
    });
    x.run.advance(150ms);
    CHECK(x.seen.text() == "other");
    x.in([](clock_user& u) { u.send_every("idle", 100ms, rang{"third"}); });
    x.run.advance(250ms);
    CHECK(x.seen.text() == "other, third, third");
    x.in([](clock_user& u) {
      CHECK(u.cancel("idle"));
      CHECK_FALSE(u.cancel("idle"));
    });
    x.run.advance(1s);
    CHECK(x.seen.size() == 3);
  }
}

TEST_CASE("an incarnation's timers end with it") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    tools::kept<clock_user, record> user{run.system(), {}, seen};
    run.run_until_idle();
    run.send(user.child(), call{[](clock_user& u) {
               u.send_after(10ms, rang{"old"});
               u.send_every("beat", 10ms, rang{"old beat"});
             }});
    run.run_until_idle();
    run.send(user.child(), call{[](clock_user& u) {
               u.send_after(5ms, rang{"old"});
               throw std::runtime_error{"planted"};
             }});
    run.advance(1s);
    CHECK(seen.text().empty());
    run.send(user.child(), call{[](clock_user& u) { u.send_after("beat", 5ms, rang{"new"}); }});
    run.advance(1s);
    CHECK(seen.text() == "new");
  }
}

TEST_CASE("a fired timer of an incarnation that crashed is not delivered to the next one") {
  for (const auto seed : seeds) {
    testing::executor run{seed};
    record seen;
    tools::kept<clock_user, record> user{run.system(), {}, seen};
    run.run_until_idle();
    run.send(user.child(), call{[](clock_user& u) {
               u.send_after(5ms, rang{"old"});
               u.busy = true;
               u.busy_for = 50ms;
             }});
    run.advance(10ms);
    detail_ref::get(user.child())->kill(exit_reason::killed());
    run.run_until_idle();
    run.send(user.child(), call{[](clock_user& u) { u.send_after(5ms, rang{"new"}); }});
    run.advance(1s);
    CHECK(seen.text() == "new");
  }
}

namespace {

struct leave {};
/// Sets a timer of an hour and ends.
class short_lived : public actor<leave, rang> {
 public:
  void on(const leave&) {
    send_after(1h, rang{"never"});
    stop();
  }
  void on(const rang&) {}
};

}  // namespace

TEST_CASE("deadlines of actors that have ended do not keep them") {
  testing::executor run;
  auto& clock = detail::core_of(run.system()).clock;
  for (int i = 0; i < 20'000; ++i) {
    const auto x = run.system().spawn<short_lived>({.id = "x"});
    run.send(x, leave{});
    run.run_until_idle();
    if (i % 100 == 0) run.advance(1ms);
  }
  run.advance(1ms);
  CHECK(clock.entries() < 2'048);
}

TEST_CASE("an actor that stops at once leaves no deadline behind") {
  testing::executor run;
  const auto x = run.system().spawn<clock_user>({.id = "x"}, record{});
  run.run_until_idle();
  run.system().stop(x);
  run.run_until_idle();
  CHECK(detail::core_of(run.system()).clock.entries() == 0);
}
