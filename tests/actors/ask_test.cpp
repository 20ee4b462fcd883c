// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/ask.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "keeper.hpp"
#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::long_text;
using tools::record;
using tools::seeds;

namespace {

struct reserved {
  std::string sku;
  int left;
};
struct reserve {
  std::string sku;
  int quantity;
  using reply = reserved;
};
struct deliver {};  // makes a late warehouse answer
struct glance {};   // any other event

/// Answers at once, with an error, never, or with a throw, by what is asked for.
class inventory : public actor<reserve> {
 public:
  result<reserved> on(const reserve& r) {
    if (r.quantity < 0) throw std::runtime_error{"a negative quantity"};
    if (r.quantity > 100) return fail("only 100 left");
    return reserved{r.sku, 100 - r.quantity};
  }
};

/// Keeps the duty to answer until it is told to deliver.
class warehouse : public actor<reserve, deliver> {
 public:
  void on(reserve r, reply_slot<reserved> slot) {
    if (r.quantity == 0) return;
    if (r.quantity < 0) throw std::runtime_error{"a negative quantity"};
    slots_.push_back(std::move(slot));
  }
  void on(const deliver&) {
    for (auto& slot : slots_) slot.answer(reserved{"delivered", 1});
    for (auto& slot : slots_) slot.answer(reserved{"twice", 2});
    slots_.clear();
  }

 private:
  std::vector<reply_slot<reserved>> slots_;
};

using stock = ref<reserve>;

/// Handles nothing for half a second after each glance.
class sleeper : public actor<glance, reserve> {
 public:
  explicit sleeper(record to) : seen_(std::move(to)) {}
  task<> on(const glance&) {
    auto nap = pause(500ms);
    co_await nap;
  }
  reserved on(const reserve& r) {
    seen_.add("handled " + r.sku);
    return {r.sku, 0};
  }

 private:
  record seen_;
};

struct order {
  stock from;
  reserve what;
  int deadline_ms;
};
std::string text(const result<reserved>& answer) {
  return answer ? answer->sku + ' ' + std::to_string(answer->left)
                : std::string{name(answer.error().code())};
}

/// Asks as a coroutine.
class waiting_customer : public actor<order, glance> {
 public:
  explicit waiting_customer(record to) : seen_(std::move(to)) {}
  task<> on(const order& o) {
    auto asked = ask(o.from, o.what, std::chrono::milliseconds{o.deadline_ms});
    auto answer = co_await asked;
    seen_.add(text(answer));
  }
  void on(const glance&) { seen_.add("glance"); }

 private:
  record seen_;
};

/// Asks with a continuation.
class continuing_customer : public actor<order, glance> {
 public:
  explicit continuing_customer(record to) : seen_(std::move(to)) {}
  void on(const order& o) {
    ask(o.from, o.what, std::chrono::milliseconds{o.deadline_ms})
        .then([this](result<reserved> answer) { seen_.add(text(answer)); });
  }
  void on(const glance&) { seen_.add("glance"); }

 private:
  record seen_;
};

using customers = ref<order, glance>;

/// What both customers must see of the same order.
template <class Act>
void both_see(const std::string& expected, Act act) {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    {
      testing::executor run{seed};
      record seen;
      act(run, run.system().spawn<waiting_customer>({.id = "waiting"}, seen));
      CHECK(seen.text() == expected);
    }
    {
      testing::executor run{seed};
      record seen;
      act(run, run.system().spawn<continuing_customer>({.id = "continuing"}, seen));
      CHECK(seen.text() == expected);
    }
  }
}

}  // namespace

TEST_CASE("a request is answered with what its handler returned") {
  both_see(long_text() + " 93", [](testing::executor& run, const customers& customer) {
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    run.send(customer, order{stock, {long_text(), 7}, 200});
    run.run_until_idle();
  });
}

TEST_CASE("a handler's own error is answered as failed") {
  both_see("failed", [](testing::executor& run, const customers& customer) {
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    run.send(customer, order{stock, {"nails", 101}, 200});
    run.run_until_idle();
  });
}

TEST_CASE("a request whose handler throws is answered crashed, with the cause") {
  both_see("crashed", [](testing::executor& run, const customers& customer) {
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    run.send(customer, order{stock, {"nails", -1}, 200});
    run.run_until_idle();
  });
  testing::executor run{1};
  const auto stock = run.system().spawn<inventory>({.id = "stock"});
  const auto answer = run.ask(stock, reserve{"nails", -1});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code() == errc::crashed);
  CHECK_FALSE(answer.error().not_executed());
  CHECK(answer.error().message().find("a negative quantity") != std::string::npos);
  CHECK(answer.error().message().find("/stock") != std::string::npos);
}

TEST_CASE("asking an address that has ended is answered gone") {
  both_see("gone", [](testing::executor& run, const customers& customer) {
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    run.run_until_idle();
    run.system().stop(stock);
    run.run_until_idle();
    run.send(customer, order{stock, {long_text(), 1}, 200});
    run.run_until_idle();
  });
}

TEST_CASE("asking nobody is answered gone") {
  both_see("gone", [](testing::executor& run, const customers& customer) {
    run.send(customer, order{{}, {long_text(), 1}, 200});
    run.run_until_idle();
  });
}

TEST_CASE("a request that waits when the address ends is answered gone") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    run.run_until_idle();
    auto first = run.begin_ask(stock, reserve{long_text(), -1});
    auto second = run.begin_ask(stock, reserve{long_text(), 1});
    run.run_until_idle();
    REQUIRE(first.answered());
    REQUIRE(second.answered());
    CHECK(first.take().error().code() == errc::crashed);
    const auto answer = second.take();
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code() == errc::gone);
    CHECK(answer.error().not_executed());
  }
}

TEST_CASE("a request to a full mailbox is answered overloaded") {
  both_see("overloaded", [](testing::executor& run, const customers& customer) {
    const auto busy = run.system().spawn<sleeper>({.id = "busy", .capacity = 1}, record{});
    run.send(busy, glance{});
    run.run_until_idle();
    run.send(busy, glance{});
    run.send(customer, order{busy, {long_text(), 1}, 200});
    run.run_until_idle();
  });
}

TEST_CASE("no answer by the deadline is a timeout, not a millisecond early") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    record seen;
    const auto late = run.system().spawn<warehouse>({.id = "late"});
    const auto waiting = run.system().spawn<waiting_customer>({.id = "waiting"}, seen);
    const auto continuing = run.system().spawn<continuing_customer>({.id = "continuing"}, seen);
    run.send(waiting, order{late, {long_text(), 1}, 200});
    run.send(continuing, order{late, {long_text(), 1}, 200});
    run.run_until_idle();
    run.advance(200ms);
    CHECK(seen.text().empty());
    run.advance(1ms);
    CHECK(seen.text() == "timeout, timeout");
  }
}

TEST_CASE("an answer that comes after the deadline vanishes") {
  both_see("timeout, glance", [](testing::executor& run, const customers& customer) {
    const auto late = run.system().spawn<warehouse>({.id = "late"});
    run.send(customer, order{late, {long_text(), 1}, 200});
    run.advance(201ms);
    run.send(late, deliver{});
    run.run_until_idle();
    run.send(customer, glance{});
    run.run_until_idle();
  });
}

TEST_CASE("a request whose deadline passed in the mailbox is not executed: expired") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    record seen;
    const auto busy = run.system().spawn<sleeper>({.id = "busy"}, seen);
    run.send(busy, glance{});
    run.run_until_idle();
    auto early = run.begin_ask(busy, reserve{"early", 1}, 300ms);
    auto patient = run.begin_ask(busy, reserve{"patient", 1}, 900ms);
    run.advance(600ms);
    REQUIRE(early.answered());
    const auto answer = early.take();
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code() == errc::expired);
    CHECK(answer.error().not_executed());
    CHECK(text(patient.take()) == "patient 0");
    CHECK(seen.text() == "handled patient");
  }
}

TEST_CASE("a deadline of zero is over within a millisecond") {
  both_see("timeout", [](testing::executor& run, const customers& customer) {
    const auto late = run.system().spawn<warehouse>({.id = "late"});
    run.send(customer, order{late, {long_text(), 1}, 0});
    run.run_until_idle();
    run.advance(1ms);
  });
}

TEST_CASE("a reply slot that is destroyed without an answer is answered unanswered") {
  both_see("unanswered", [](testing::executor& run, const customers& customer) {
    const auto careless = run.system().spawn<warehouse>({.id = "careless"});
    run.send(customer, order{careless, {long_text(), 0}, 200});
    run.run_until_idle();
  });
}

TEST_CASE("a reply slot whose handler throws is answered crashed") {
  both_see("crashed", [](testing::executor& run, const customers& customer) {
    const auto careless = run.system().spawn<warehouse>({.id = "careless"});
    run.send(customer, order{careless, {long_text(), -1}, 200});
    run.run_until_idle();
  });
}

TEST_CASE("a stored reply slot is answered by a later turn, once") {
  both_see("delivered 1", [](testing::executor& run, const customers& customer) {
    const auto late = run.system().spawn<warehouse>({.id = "late"});
    run.send(customer, order{late, {long_text(), 1}, 200});
    run.run_until_idle();
    run.send(late, deliver{});
    run.send(late, deliver{});
    run.run_until_idle();
  });
}

TEST_CASE("a stored reply slot of an actor that ends is answered unanswered") {
  both_see("unanswered", [](testing::executor& run, const customers& customer) {
    const auto late = run.system().spawn<warehouse>({.id = "late"});
    run.send(customer, order{late, {long_text(), 1}, 200});
    run.run_until_idle();
    run.system().stop(late);
    run.run_until_idle();
  });
}

TEST_CASE("a reply slot may be moved, and is empty afterwards") {
  struct mover : actor<reserve> {
    void on(reserve r, reply_slot<reserved> slot) {
      reply_slot<reserved> other{std::move(slot)};
      empty_after_move = !slot && other;
      slot = std::move(other);
      empty_after_move = empty_after_move && !other && slot;
      slot.answer(reserved{r.sku, empty_after_move ? 1 : 0});
      slot.answer(fail("a second answer goes nowhere"));
    }
    bool empty_after_move = false;
  };
  testing::executor run{1};
  const auto late = run.system().spawn<mover>({.id = "late"});
  CHECK(text(run.ask(late, reserve{"moved", 1})) == "moved 1");
}

TEST_CASE("a reply slot put in the place of another leaves that one unanswered") {
  struct last_only : actor<reserve, deliver> {
    void on(reserve, reply_slot<reserved> slot) {
      if (kept) *kept = std::move(slot);
      else kept.emplace(std::move(slot));
    }
    void on(const deliver&) { kept->answer(result<reserved>{fail("sold out")}); }
    std::optional<reply_slot<reserved>> kept;
  };
  testing::executor run{1};
  const auto stock = run.system().spawn<last_only>({.id = "stock"});
  run.run_until_idle();
  auto first = run.begin_ask(stock, reserve{"first", 1});
  run.run_until_idle();
  CHECK_FALSE(first.answered());
  auto second = run.begin_ask(stock, reserve{"second", 1});
  run.run_until_idle();
  REQUIRE(first.answered());
  CHECK(text(first.take()) == "unanswered");
  run.send(stock, deliver{});
  run.run_until_idle();
  REQUIRE(second.answered());
  CHECK(text(second.take()) == "failed");
}

TEST_CASE("a request that was sent one-way has an empty reply slot") {
  struct counter : actor<reserve> {
    explicit counter(record to) : seen(std::move(to)) {}
    void on(const reserve& r, reply_slot<reserved> slot) {
      seen.add(r.sku + (slot ? " asked" : " sent"));
      slot.answer(reserved{});
    }
    record seen;
  };
  testing::executor run{1};
  record seen;
  const auto stock = run.system().spawn<counter>({.id = "stock"}, seen);
  run.send(stock, reserve{"nails", 1});
  run.run_until_idle();
  (void)run.ask(stock, reserve{"nails", 1});
  CHECK(seen.text() == "nails sent, nails asked");
}

TEST_CASE("each form of a request's handler answers") {
  struct plain : actor<reserve> {
    reserved on(reserve r) { return {r.sku, 1}; }
  };
  struct fallible : actor<reserve> {
    result<reserved> on(reserve&& r) { return reserved{std::move(r.sku), 2}; }
  };
  struct waits : actor<reserve> {
    task<reserved> on(const reserve& r) {
      auto nap = pause(1ms);
      co_await nap;
      co_return reserved{r.sku, 3};
    }
  };
  struct waits_and_fails : actor<reserve> {
    task<result<reserved>> on(const reserve&) {
      auto nap = pause(1ms);
      co_await nap;
      co_return fail("sold out");
    }
  };
  testing::executor run{1};
  const auto ask = [&](const stock& from) { return text(run.ask(from, reserve{"nails", 1})); };
  CHECK(ask(run.system().spawn<plain>({.id = "plain"})) == "nails 1");
  CHECK(ask(run.system().spawn<fallible>({.id = "fallible"})) == "nails 2");
  CHECK(ask(run.system().spawn<waits>({.id = "waits"})) == "nails 3");
  CHECK(ask(run.system().spawn<waits_and_fails>({.id = "fails"})) == "failed");
}

TEST_CASE("several asks of one turn run side by side") {
  struct buyer : actor<order> {
    explicit buyer(record to) : seen(std::move(to)) {}
    task<> on(const order& o) {
      auto first = ask(o.from, reserve{"first", 1}, 200ms);
      auto second = ask(o.from, reserve{"second", 2}, 200ms);
      auto third = ask(o.from, reserve{"third", 3}, 200ms);
      auto of_third = co_await third;
      auto of_first = co_await first;
      auto of_second = co_await second;
      seen.add(text(of_first) + ", " + text(of_second) + ", " + text(of_third));
    }
    record seen;
  };
  struct slow_stock : actor<reserve, deliver> {
    explicit slow_stock(record to) : seen(std::move(to)) {}
    void on(reserve r, reply_slot<reserved> slot) {
      seen.add("asked " + r.sku);
      slots.push_back(std::move(slot));
    }
    void on(const deliver&) {
      for (int i = 3; i-- > 0; slots.pop_back()) slots.back().answer(reserved{"done", i});
    }
    record seen;
    std::vector<reply_slot<reserved>> slots;
  };
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    record seen;
    const auto from = run.system().spawn<slow_stock>({.id = "stock"}, seen);
    const auto customer = run.system().spawn<buyer>({.id = "buyer"}, seen);
    run.send(customer, order{from, {}, 0});
    run.run_until_idle();
    CHECK(seen.text() == "asked first, asked second, asked third");
    seen.clear();
    run.send(from, deliver{});
    run.run_until_idle();
    CHECK(seen.text() == "done 0, done 1, done 2");
  }
}

TEST_CASE("an awaited ask holds the actor, a continuation does not") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    record waited, continued;
    const auto late = run.system().spawn<warehouse>({.id = "late"});
    const auto waiting = run.system().spawn<waiting_customer>({.id = "waiting"}, waited);
    const auto continuing = run.system().spawn<continuing_customer>({.id = "cont"}, continued);
    for (const customers& customer : {customers{waiting}, customers{continuing}}) {
      run.send(customer, order{late, {long_text(), 1}, 200});
      run.send(customer, glance{});
    }
    run.run_until_idle();
    run.send(late, deliver{});
    run.run_until_idle();
    CHECK(waited.text() == "delivered 1, glance");
    CHECK(continued.text() == "glance, delivered 1");
  }
}

TEST_CASE("a throw in a continuation is a crash") {
  struct fragile : actor<order> {
    void on(const order& o) {
      ask(o.from, o.what, 200ms).then([](result<reserved> answer) { (void)answer.value(); });
    }
  };
  for (const auto seed : seeds) {
    CAPTURE(seed);
    tools::observed seen;
    testing::executor run{seed, {.watch = &seen}};
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    const auto customer = run.system().spawn<fragile>({.id = "fragile"});
    run.send(customer, order{stock, {"nails", 101}, 0});
    run.run_until_idle();
    REQUIRE(seen.orphans.size() == 1);
    CHECK(seen.orphans[0].find("/fragile crashed") == 0);
    CHECK(seen.orphans[0].find("only 100 left") != std::string::npos);
  }
}

TEST_CASE("an ask that is never awaited forgets its answer") {
  struct careless : actor<order> {
    void on(const order& o) { auto forgotten = ask(o.from, o.what, 200ms); }
  };
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    const auto customer = run.system().spawn<careless>({.id = "careless"});
    for (int i = 0; i < 10; ++i) run.send(customer, order{stock, {long_text(), 1}, 0});
    run.run_until_idle();
    run.advance(1s);
    CHECK(detail_ref::get(customer)->state() == detail::cell_state::running);
  }
}

TEST_CASE("an ask may be awaited after its answer has come") {
  struct patient : actor<order> {
    explicit patient(record to) : seen(std::move(to)) {}
    task<> on(const order& o) {
      auto asked = ask(o.from, o.what, 10s);
      auto nap = pause(1s);
      co_await nap;
      auto answer = co_await asked;
      seen.add(text(answer));
    }
    record seen;
  };
  testing::executor run{1};
  record seen;
  const auto stock = run.system().spawn<inventory>({.id = "stock"});
  const auto customer = run.system().spawn<patient>({.id = "patient"}, seen);
  run.send(customer, order{stock, {long_text(), 1}, 0});
  run.advance(2s);
  CHECK(seen.text() == long_text() + " 99");
}

TEST_CASE("an answer for an asker that has crashed or stopped reaches nobody") {
  struct buyer : actor<order, deliver> {
    explicit buyer(record to) : seen(std::move(to)) {}
    void on(const order& o) {
      if (incarnation() == 1)
        ask(o.from, o.what, 10s).then([this](result<reserved>) { seen.add("stale answer"); });
      else ask(o.from, o.what, 10s).then([this](result<reserved> a) { seen.add(text(a)); });
    }
    void on(const deliver&) { throw std::runtime_error{"planted"}; }
    record seen;
  };
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    record seen;
    const auto late = run.system().spawn<warehouse>({.id = "late"});
    tools::kept<buyer, record> customer{run.system(), {}, seen};
    run.send(customer.child(), order{late, {"first", 1}, 0});
    run.run_until_idle();
    run.send(customer.child(), deliver{});
    run.send(customer.child(), order{late, {"second", 1}, 0});
    run.run_until_idle();
    run.send(late, deliver{});
    run.run_until_idle();
    CHECK(seen.text() == "delivered 1");
  }
}

TEST_CASE("an ask to an actor in an immediate restart is answered by the next incarnation") {
  both_see("nails 99", [](testing::executor& run, const customers& customer) {
    tools::kept<inventory> stock{run.system()};
    run.run_until_idle();
    auto crash = run.begin_ask(stock.child(), reserve{"bad", -1});
    run.send(customer, order{stock.child(), {"nails", 1}, 200});
    run.run_until_idle();
    REQUIRE(crash.answered());
    CHECK(text(crash.take()) == "crashed");
    CHECK(detail_ref::get(stock.child())->incarnation() == 2);
  });
}

TEST_CASE("an actor waits for at most 1000 answers at a time") {
  struct greedy : actor<order> {
    explicit greedy(record to) : seen(std::move(to)) {}
    void on(const order& o) {
      for (int i = 0; i < 1'010; ++i)
        ask(o.from, reserve{"nails", 1}, 200ms).then([this](result<reserved> a) {
          ++(a ? answered : a.error().code() == errc::limit ? refused : other);
          if (answered + refused + other == 1'010)
            seen.add(std::to_string(answered) + ' ' + std::to_string(refused));
        });
    }
    record seen;
    int answered = 0, refused = 0, other = 0;
  };
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    record seen;
    const auto stock = run.system().spawn<inventory>({.id = "stock"});
    const auto customer = run.system().spawn<greedy>({.id = "greedy"}, seen);
    run.send(customer, order{stock, {}, 0});
    run.run_until_idle();
    CHECK(seen.text() == "1000 10");
    run.send(customer, order{stock, {}, 0});
    run.run_until_idle();
    CHECK(seen.size() == 1);  // the counts go on: all waits of the first order are over
  }
}
