// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include <coppice/actors/outside.hpp>
#include <coppice/actors/system.hpp>

using coppice::errc;
using coppice::outside;
using coppice::ref;
using namespace std::chrono_literals;

namespace {

struct doubled {
  std::shared_ptr<int> value;  ///< allocated, so that a lost answer is a leak
};
struct twice {
  using reply = doubled;
  int value;
};
struct later {
  using reply = doubled;
  int value;
  int after_ms;
};
struct noted {
  int number;
};
struct break_down {
  using reply = doubled;
};
struct refuse {
  using reply = doubled;
};
struct keep {
  using reply = doubled;
};

class desk : public coppice::actor<twice, later, break_down, refuse, keep> {
 public:
  doubled on(const twice& t) { return {std::make_shared<int>(2 * t.value)}; }
  coppice::task<doubled> on(const later& l) {
    auto thinking = pause(std::chrono::milliseconds{l.after_ms});
    co_await thinking;
    co_return doubled{std::make_shared<int>(2 * l.value)};
  }
  doubled on(const break_down&) { throw std::runtime_error{"out of paper"}; }
  coppice::result<doubled> on(const refuse&) { return coppice::fail("not today"); }
  void on(keep, coppice::reply_slot<doubled>) {}
};

/// Stays in the handler of its first event until the gate opens.
class gated : public coppice::actor<noted> {
 public:
  struct gate {
    std::atomic<bool> open{false}, entered{false};
    std::atomic<int> handled{0};
  };
  explicit gated(std::shared_ptr<gate> g) : gate_(std::move(g)) {}
  void on(const noted&) {
    gate_->entered = true;
    while (!gate_->open) std::this_thread::yield();
    ++gate_->handled;
  }

 private:
  std::shared_ptr<gate> gate_;
};

template <class F>
bool eventually(F condition) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

errc code(const coppice::result<doubled>& r) {
  REQUIRE_FALSE(r);
  return r.error().code();
}

}  // namespace

TEST_CASE("several foreign threads ask at once and each gets its own answers") {
  coppice::system system{{.workers = 2}};
  const auto at = system.spawn<desk>({.id = "desk"});
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t, handle = outside{system}]() mutable {
      for (int i = 0; i < 200; ++i) {
        const auto answer = handle.ask(at, twice{t * 1'000 + i}, 30s);
        if (answer && *answer->value == 2 * (t * 1'000 + i)) ++right;
      }
    });
  for (auto& t : threads) t.join();
  CHECK(right == 800);
}

TEST_CASE("an ask from outside times out by its own clock, and the late answer is freed") {
  coppice::system system{{.workers = 2}};
  outside test{system};
  const auto at = system.spawn<desk>({.id = "desk"});
  const auto before = std::chrono::steady_clock::now();
  CHECK(code(test.ask(at, later{1, 200}, 20ms)) == errc::timeout);
  CHECK(std::chrono::steady_clock::now() - before >= 20ms);
  const auto next = test.ask(at, twice{3}, 30s);  // behind the late one
  REQUIRE(next);
  CHECK(*next->value == 6);
}

TEST_CASE("an ask from outside whose deadline passes in the mailbox is never executed") {
  coppice::system system{{.workers = 2}};
  outside test{system};
  const auto at = system.spawn<desk>({.id = "desk"});
  std::thread occupying{[&] { CHECK(test.ask(at, later{1, 1'000}, 30s)); }};
  CHECK(eventually([&] { return coppice::detail_ref::get(at)->handled() == 1; }));  // it is in hand
  CHECK(code(test.ask(at, break_down{}, 0ms)) == errc::timeout);
  occupying.join();
  CHECK(test.ask(at, twice{1}, 30s));  // `break_down` has expired, or this would be `gone`
}

TEST_CASE("an ask from outside tells a crash, a refusal, an abandoned slot and an ended address") {
  coppice::system system{{.workers = 2}};
  outside test{system};
  const auto at = system.spawn<desk>({.id = "desk"});
  const auto refused = test.ask(at, refuse{}, 30s);
  CHECK(code(refused) == errc::failed);
  CHECK(refused.error().message().find("not today") != std::string::npos);
  CHECK(code(test.ask(at, keep{}, 30s)) == errc::unanswered);
  const auto crashed = test.ask(at, break_down{}, 30s);
  CHECK(code(crashed) == errc::crashed);
  CHECK(crashed.error().message().find("out of paper") != std::string::npos);
  CHECK(eventually([&] { return code(test.ask(at, twice{1}, 30s)) == errc::gone; }));
  CHECK(code(test.ask(ref<twice>{}, twice{1}, 30s)) == errc::gone);
}

TEST_CASE("offer tells whether an event was taken, send counts what was refused") {
  coppice::system system{{.workers = 2}};
  outside test{system};
  auto gate = std::make_shared<gated::gate>();
  const auto at = system.spawn<gated>({.id = "gated", .capacity = 2}, gate);
  test.send(at, noted{0});
  REQUIRE(eventually([&] { return gate->entered.load(); }));
  CHECK(test.offer(at, noted{1}));
  CHECK(test.offer(at, noted{2}));
  const auto refused = test.offer(at, noted{3});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == errc::overloaded);
  CHECK(refused.error().not_executed());
  test.send(at, noted{4});
  gate->open = true;
  CHECK(eventually([&] { return gate->handled == 3; }));
  const auto overflow = static_cast<std::size_t>(coppice::dead_letter_reason::overflow);
  CHECK(system.dead_letters()[overflow] == 1);
  const auto nobody = test.offer(ref<noted>{}, noted{5});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code() == errc::gone);
  test.send(ref<noted>{}, noted{6});
  const auto gone = static_cast<std::size_t>(coppice::dead_letter_reason::gone);
  CHECK(system.dead_letters()[gone] == 1);
}

TEST_CASE("room from outside blocks until what is in the mailbox has been handled") {
  coppice::system system{{.workers = 2}};
  outside test{system};
  auto gate = std::make_shared<gated::gate>();
  const auto at = system.spawn<gated>({.id = "gated", .capacity = 2}, gate);
  test.send(at, noted{0});
  REQUIRE(eventually([&] { return gate->entered.load(); }));
  test.send(at, noted{1});
  test.send(at, noted{2});
  const auto full = test.room(at, 10ms);
  REQUIRE_FALSE(full);
  CHECK(full.error().code() == errc::timeout);
  std::thread opens{[&] { gate->open = true; }};
  CHECK(test.room(at, 30s));
  CHECK(gate->handled == 3);
  opens.join();
  const auto nobody = test.room(ref<noted>{}, 1s);
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code() == errc::gone);
}

TEST_CASE("a thousand answers that come too late are freed") {
  coppice::system system{{.workers = 2}};
  const auto at = system.spawn<desk>({.id = "desk"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, handle = outside{system}]() mutable {
      for (int i = 0; i < 250; ++i) {
        const auto answer = handle.ask(at, twice{i}, 0ms);  // answered or not: either is fine
        if (answer) CHECK(*answer->value == 2 * i);
      }
    });
  for (auto& t : threads) t.join();
}

TEST_CASE("a thread that waits for an answer is answered when the system stops") {
  auto system = std::make_unique<coppice::system>(coppice::system_options{.workers = 2});
  outside test{*system};
  errc outcome{};
  std::thread asks;
  {
    const auto at = system->spawn<desk>({.id = "desk"});
    asks = std::thread{[&, at] { outcome = code(test.ask(at, later{1, 600'000}, 600s)); }};
    REQUIRE(eventually([&] { return coppice::detail_ref::get(at)->handled() == 1; }));
  }
  CHECK(system->stop(2s).empty());
  asks.join();
  CHECK((outcome == errc::crashed || outcome == errc::gone));
}
