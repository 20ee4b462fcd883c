// SPDX-License-Identifier: BSD-3-Clause

// Not under ThreadSanitizer: what passes through a CAF actor's own mailbox, CAF's printer's too, is
// handed over by CAF's library, which is not instrumented, so each message looks like a race. Our
// side of it, an enqueue from any thread, is what outside_test shows.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPPICE_UNDER_TSAN
#endif
#endif
#if !defined(__SANITIZE_THREAD__) && !defined(COPPICE_UNDER_TSAN)

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <caf/all.hpp>

#include <coppice/actors/caf/interop.hpp>
#include <coppice/actors/testing/executor.hpp>
#include <coppice/actors/testing/probe.hpp>

#include "scripted_actor.hpp"

using coppice::caf_child;
using coppice::caf_events;
using coppice::caf_handle;
using coppice::caf_system;
using coppice::errc;
using coppice::exit_reason;
using coppice::outside;
using coppice::ref;
using coppice::testing::executor;
using coppice::testing::probe;
using scripted::kind;
using namespace std::chrono_literals;

namespace interop {

struct reserved {
  std::string sku;
  int left;
};
struct reserve {
  using reply = reserved;
  std::string sku;
  int quantity;
};
struct restock {
  int quantity;
};
struct give_up {};
struct unheard_of {};
struct unlisted {};

}  // namespace interop

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(interop::reserved)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(interop::reserve)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(interop::restock)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(interop::give_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(interop::unheard_of)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(interop::unlisted)

using namespace interop;

namespace {

class inventory : public coppice::actor<reserve, restock, give_up> {
 public:
  explicit inventory(int stock) : stock_(stock) {}

  coppice::task<coppice::result<reserved>> on(const reserve& r) {
    if (r.quantity < 0) throw std::runtime_error{"who takes less than nothing?"};
    if (r.quantity > stock_) co_return coppice::fail("only " + std::to_string(stock_) + " left");
    if (r.sku == "slow") {
      auto fetching = pause(1h);
      co_await fetching;
    }
    stock_ -= r.quantity;
    co_return reserved{r.sku, stock_};
  }
  void on(const restock& r) { stock_ += r.quantity; }
  void on(const give_up&) { stop(exit_reason::failed("nothing sells")); }

 private:
  int stock_;
};
using stock_ref = inventory::address;

void name_events(coppice::system& s) { caf_events<reserve, restock, give_up, unheard_of>(s); }

template <class F>
bool eventually(F condition) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// What a CAF actor was told; its own thread writes, the test reads when it is idle.
struct heard {
  std::vector<std::string> lines;
};
using heard_ptr = std::shared_ptr<heard>;

std::string text(const caf::error& e) {
  if (!e) return "none";
  if (e == caf::exit_reason::kill) return "kill";
  if (e == caf::exit_reason::user_shutdown) return "user_shutdown";
  if (e == caf::sec::unexpected_message) return "unexpected_message";
  if (e == caf::sec::request_receiver_down) return "request_receiver_down";
  if (e == caf::sec::request_timeout) return "request_timeout";
  return caf::to_string(e);
}

bool contains(const std::string& whole, std::string_view part) {
  return whole.find(part) != std::string::npos;
}

/// Spawns a CAF actor; with an argument, because without one CAF's spawn dereferences null.
template <class F>
caf::actor spawn_caf(coppice::system& s, F body) {
  return caf_system(s).spawn([body](caf::event_based_actor* self, int) { return body(self); }, 0);
}

/// Asks `stock` once and keeps the outcome.
template <class E>
void ask_from_caf(executor& run, const stock_ref& stock, E event, heard_ptr to) {
  spawn_caf(run.system(), [handle = caf_handle(stock), event, to](caf::event_based_actor* self) {
    self->request(handle, caf::infinite, event)
        .then([to](const reserved& r) { to->lines.push_back("left " + std::to_string(r.left)); },
              [to](const caf::error& e) { to->lines.push_back(text(e)); });
  });
}

/// Monitors `stock` and keeps the reason of its end.
/// The CAF actor lives as long as somebody holds it.
template <class Ref>
[[nodiscard]] caf::actor monitor_from_caf(executor& run, const Ref& stock, heard_ptr to) {
  auto monitor =
      spawn_caf(run.system(),
                [handle = caf_handle(stock), to](caf::event_based_actor* self) -> caf::behavior {
                  self->set_down_handler([self, to](const caf::down_msg& down) {
                    to->lines.push_back("down " + text(down.reason));
                    self->quit();
                  });
                  self->monitor(handle);
                  return {[](caf::unit_t) {}};
                });
  run.run_until_idle();
  return monitor;
}

}  // namespace

// ---- CAF actors talk to ours ----------------------------------------------------------------

TEST_CASE("a scoped_actor sends, requests and gets answers and errors") {
  coppice::system system{{.workers = 2}};
  name_events(system);
  const auto stock = system.spawn<inventory>({.id = "stock"}, 10);
  caf::scoped_actor self{caf_system(system)};
  const caf::actor handle = caf_handle(stock);
  self->send(handle, restock{5});
  int left = 0;
  std::string failure;
  const auto ask = [&](auto event) {
    failure.clear();
    self->request(handle, caf::infinite, event)
        .receive([&](const reserved& r) { left = r.left; },
                 [&](const caf::error& e) { failure = text(e); });
  };
  ask(reserve{"nails", 3});
  CHECK(left == 12);
  CHECK(failure.empty());
  ask(reserve{"nails", 100});
  CHECK(contains(failure, "only 12 left"));
  ask(unheard_of{});
  CHECK(failure == "unexpected_message");
  ask(unlisted{});
  CHECK(failure == "unexpected_message");
  bool confirmed = false;
  self->request(handle, caf::infinite, restock{1})
      .receive([&] { confirmed = true; }, [&](const caf::error& e) { failure = text(e); });
  CHECK(confirmed);
  ask(reserve{"nails", -1});
  CHECK(contains(failure, "less than nothing"));
  ask(reserve{"nails", 1});
  CHECK(failure == "request_receiver_down");
}

TEST_CASE("an event_based_actor sends, requests and gets answers and errors") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    executor run{seed};
    name_events(run.system());
    const auto stock = run.system().spawn<inventory>({.id = "stock"}, 10);
    auto to = std::make_shared<heard>();
    ask_from_caf(run, stock, reserve{"nails", 3}, to);
    run.run_until_idle();
    ask_from_caf(run, stock, reserve{"nails", 100}, to);
    run.run_until_idle();
    ask_from_caf(run, stock, unheard_of{}, to);
    run.run_until_idle();
    ask_from_caf(run, stock, unlisted{}, to);
    run.run_until_idle();
    ask_from_caf(run, stock, reserve{"nails", -1}, to);
    run.run_until_idle();
    ask_from_caf(run, stock, reserve{"nails", 1}, to);
    run.run_until_idle();
    REQUIRE(to->lines.size() == 6);
    CHECK(to->lines[0] == "left 7");
    CHECK(contains(to->lines[1], "only 7 left"));
    CHECK(to->lines[2] == "unexpected_message");
    CHECK(to->lines[3] == "unexpected_message");
    CHECK(contains(to->lines[4], "less than nothing"));
    CHECK(to->lines[5] == "request_receiver_down");
  }
}

TEST_CASE("a message no actor of ours understands is a counted dead letter") {
  executor run;
  name_events(run.system());
  const auto stock = run.system().spawn<inventory>({.id = "stock"}, 10);
  run.run_until_idle();
  caf::anon_send(caf_handle(stock), unheard_of{});
  caf::anon_send(caf_handle(stock), 4711);
  run.run_until_idle();
  const auto unknown = static_cast<std::size_t>(coppice::dead_letter_reason::unknown_event);
  CHECK(run.system().dead_letters()[unknown] == 2);
}

TEST_CASE("a full mailbox bounces a CAF actor's request and one-way event with an error") {
  executor run;
  name_events(run.system());
  const auto stock = run.system().spawn<inventory>({.id = "stock", .capacity = 2}, 10);
  run.run_until_idle();
  auto slow = std::make_shared<heard>();
  ask_from_caf(run, stock, reserve{"slow", 1}, slow);
  run.run_until_idle();
  auto to = std::make_shared<heard>();
  for (int i = 0; i < 3; ++i) ask_from_caf(run, stock, reserve{"nails", 1}, to);
  run.run_until_idle();
  REQUIRE(to->lines.size() == 1);
  CHECK(contains(to->lines[0], "overloaded"));
  auto one_way = std::make_shared<heard>();
  ask_from_caf(run, stock, restock{1}, one_way);
  run.run_until_idle();
  REQUIRE(one_way->lines.size() == 1);
  CHECK(contains(one_way->lines[0], "overloaded"));
  run.advance(61min);
  CHECK(slow->lines == std::vector<std::string>{"left 9"});
  CHECK(to->lines.size() == 3);
}

TEST_CASE("a CAF actor's request that waits when the address ends is told so") {
  executor run;
  name_events(run.system());
  const auto stock = run.system().spawn<inventory>({.id = "stock"}, 10);
  auto to = std::make_shared<heard>();
  ask_from_caf(run, stock, reserve{"slow", 1}, to);
  run.run_until_idle();
  ask_from_caf(run, stock, reserve{"nails", 1}, to);
  run.run_until_idle();
  CHECK(to->lines.empty());
  caf::anon_send_exit(caf_handle(stock), caf::exit_reason::kill);
  run.run_until_idle();
  REQUIRE(to->lines.size() == 2);
  std::sort(to->lines.begin(), to->lines.end());
  CHECK(to->lines.front() == "request_receiver_down");
  CHECK(contains(to->lines.back(), "crashed"));
}

TEST_CASE("a CAF monitor fires when the address ends, with the reason") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    executor run{seed};
    name_events(run.system());
    const auto stock = run.system().spawn<inventory>({.id = "stock"}, 10);
    auto to = std::make_shared<heard>();
    const auto monitor = monitor_from_caf(run, stock, to);
    std::string expected;
    switch (seed % 4) {
      case 0:
        run.send(stock, give_up{});
        expected = "nothing sells";
        break;
      case 1:
        run.system().stop(stock, exit_reason::normal());
        expected = "down none";
        break;
      case 2:
        run.system().stop(stock);
        expected = "down user_shutdown";
        break;
      case 3:
        caf::anon_send_exit(caf_handle(stock), caf::exit_reason::kill);
        expected = "down kill";
        break;
    }
    run.run_until_idle();
    REQUIRE(to->lines.size() == 1);
    CHECK(contains(to->lines[0], expected));
  }
}

TEST_CASE("a CAF monitor of an address that has ended fires at once, with what CAF can know") {
  for (const bool known_before : {true, false}) {
    executor run;
    const auto stock = run.system().spawn<inventory>({.id = "stock"}, 10);
    if (known_before) static_cast<void>(caf_handle(stock));
    run.system().stop(stock);
    run.run_until_idle();
    auto to = std::make_shared<heard>();
    const auto monitor = monitor_from_caf(run, stock, to);
    REQUIRE(to->lines.size() == 1);
    CHECK(contains(to->lines[0], known_before ? "user_shutdown" : "unknown"));
  }
}

TEST_CASE("between threads, a handle for CAF and the end of its actor do not miss each other") {
  constexpr std::uint64_t times = 2'000;
  coppice::system home{{.workers = 2}};
  std::atomic<std::uint64_t> told{0}, told_why{0};
  for (std::uint64_t i = 0; i < times; ++i) {
    const auto stock = home.spawn<inventory>({.id = "stock"}, 10);
    caf::actor before;
    if (i % 2 == 0) before = caf_handle(stock);
    home.stop(stock);
    for (std::uint64_t wait = 0; wait < i % 200; ++wait)
      std::atomic_signal_fence(std::memory_order_seq_cst);
    caf_handle(stock)->attach_functor([&](const caf::error& why) {
      told_why += why == caf::exit_reason::user_shutdown;
      ++told;
    });
  }
  CHECK(eventually([&] { return told == times; }));
  CHECK(told_why >= times / 2);
}

TEST_CASE("a CAF monitor stays quiet over a restart and fires at the address's end") {
  executor run;
  auto worker = scripted::drive(run.system(), "worker");
  worker.cell->start(false);
  run.run_until_idle();
  auto to = std::make_shared<heard>();
  const auto monitor = monitor_from_caf(run, worker.at, to);
  scripted::tell(run, worker, scripted::crash);
  run.run_until_idle();
  worker.cell->start(false);
  run.run_until_idle();
  CHECK(to->lines.empty());
  worker.end();
  run.run_until_idle();
  CHECK(to->lines == std::vector<std::string>{"down user_shutdown"});
}

TEST_CASE("exit messages from CAF end an actor of ours, or reach it if it traps") {
  executor run;
  const auto one = scripted::spawn(run.system(), "one");
  const auto trapping = scripted::spawn(run.system(), "trapping");
  const auto watcher = scripted::spawn(run.system(), "watcher");
  scripted::tell(run, trapping, [](scripted::actor& a) { a.trap_exits(); });
  scripted::tell(run, watcher, [=](scripted::actor& a) {
    a.watch(one.at);
    a.watch(trapping.at);
  });
  run.run_until_idle();
  for (const auto& x : {one, trapping})
    caf::anon_send_exit(caf_handle(x.at), caf::exit_reason::user_shutdown);
  run.run_until_idle();
  auto ends = watcher.seen->ends();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].of(one.at));
  CHECK(ends[0].reason.what() == kind::shutdown);
  REQUIRE(trapping.seen->signals().size() == 1);
  CHECK(trapping.seen->signals()[0].reason.what() == kind::shutdown);
  caf::anon_send_exit(caf_handle(trapping.at), caf::exit_reason::kill);
  run.run_until_idle();
  ends = watcher.seen->ends();
  REQUIRE(ends.size() == 2);
  CHECK(ends[1].of(trapping.at));
  CHECK(ends[1].reason.what() == kind::killed);
}

TEST_CASE("a CAF actor and ours are linked: the end of either ends the other") {
  for (const bool ours_first : {true, false}) {
    executor run;
    const auto one = scripted::spawn(run.system(), "one");
    const auto watcher = scripted::spawn(run.system(), "watcher");
    auto to = std::make_shared<heard>();
    scripted::tell(run, watcher, [one](scripted::actor& a) { a.watch(one.at); });
    run.run_until_idle();
    const caf::actor other = spawn_caf(
        run.system(),
        [handle = caf_handle(one.at), to](caf::event_based_actor* self) -> caf::behavior {
          self->attach_functor([to](const caf::error& why) { to->lines.push_back(text(why)); });
          self->link_to(handle);
          return {[self](int) { self->quit(caf::exit_reason::user_shutdown); }};
        });
    run.run_until_idle();
    if (ours_first) scripted::tell(run, one, scripted::crash);
    else caf::anon_send(other, 1);
    run.run_until_idle();
    REQUIRE(to->lines.size() == 1);
    REQUIRE(watcher.seen->ends().size() == 1);
    if (ours_first) CHECK(contains(to->lines[0], "out of paper"));
    else CHECK(watcher.seen->ends()[0].reason.what() == kind::shutdown);
  }
}

TEST_CASE("a handle keeps the address's memory, not the actor") {
  executor run;
  caf::actor handle;
  {
    const auto stock = run.system().spawn<inventory>({.id = "stock"}, 10);
    handle = caf_handle(stock);
    run.system().stop(stock);
  }
  run.run_until_idle();
  CHECK(handle->id() != 0);
  caf::anon_send(handle, restock{1});
  run.run_until_idle();
}

// ---- a CAF actor as a child of ours -----------------------------------------------------------

namespace {

/// A CAF actor that does what `inventory` does.
caf::behavior caf_inventory(caf::stateful_actor<int>* self, int stock, heard_ptr to) {
  self->state = stock;
  self->attach_functor([to](const caf::error& why) { to->lines.push_back(text(why)); });
  return {
      [self](const reserve& r) -> caf::result<reserved> {
        if (r.quantity < 0) throw std::runtime_error{"who takes less than nothing?"};
        if (r.sku == "never") return self->make_response_promise();
        if (r.quantity > self->state)
          return caf::make_error(caf::sec::invalid_argument, "too much");
        self->state -= r.quantity;
        return reserved{r.sku, self->state};
      },
      [self](const restock& r) { self->state += r.quantity; },
      [self](const give_up&) { self->quit(); },
  };
}

using child = caf_child<reserve, restock, give_up>;

child::spawner inventory_spawner(int stock, heard_ptr to) {
  return [stock, to](caf::actor_system& s) { return s.spawn(caf_inventory, stock, to); };
}

}  // namespace

TEST_CASE("a CAF actor behind a stable address receives events and answers requests") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    executor run{seed};
    auto to = std::make_shared<heard>();
    const auto stock = run.system().spawn<child>({.id = "stock"}, inventory_spawner(10, to));
    run.send(stock, restock{5});
    const auto answer = run.ask(stock, reserve{"nails", 3});
    REQUIRE(answer);
    CHECK(answer->left == 12);
    const auto refused = run.ask(stock, reserve{"nails", 100});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == errc::failed);
    CHECK(contains(refused.error().message(), "too much"));
  }
}

TEST_CASE("a CAF child that does not answer lets its asker down after its deadline") {
  executor run;
  auto to = std::make_shared<heard>();
  const auto stock = run.system().spawn<child>({.id = "stock"}, inventory_spawner(10, to));
  const auto start = run.now();
  const auto answer = run.ask(stock, reserve{"never", 1}, 60s);
  REQUIRE_FALSE(answer);
  CHECK((answer.error().code() == errc::timeout || answer.error().code() == errc::failed));
  CHECK(run.now() - start <= child::request_deadline + 10ms);
}

TEST_CASE("a CAF child's normal end and its crash end the incarnation with the reason") {
  for (const bool crash : {false, true}) {
    executor run;
    auto to = std::make_shared<heard>();
    probe<coppice::ended> watcher{run.system()};
    const auto stock = run.system().spawn<child>({.id = "stock"}, inventory_spawner(10, to));
    watcher.watch(stock);
    run.run_until_idle();
    if (crash) {
      const auto answer = run.ask(stock, reserve{"nails", -1});
      REQUIRE_FALSE(answer);
      CHECK_FALSE(answer.error().not_executed());
    } else {
      run.send(stock, give_up{});
    }
    run.advance(10ms);
    const auto end = watcher.next<coppice::ended>();
    REQUIRE(end);
    CHECK(end->reason.what() == (crash ? kind::failed : kind::normal));
    if (crash) CHECK(contains(end->reason.text(), "CAF"));
  }
}

TEST_CASE("a stop tells the CAF child to exit and waits for it") {
  executor run;
  auto to = std::make_shared<heard>();
  const auto stock = run.system().spawn<child>({.id = "stock"}, inventory_spawner(10, to));
  run.run_until_idle();
  run.system().stop(stock);
  run.advance(10ms);
  CHECK(to->lines == std::vector<std::string>{"user_shutdown"});
  CHECK_FALSE(run.offer(stock, restock{1}));
}

TEST_CASE("a CAF child that ignores its exit is killed at the shutdown deadline") {
  executor run;
  auto to = std::make_shared<heard>();
  const auto stubborn = run.system().spawn<child>({.id = "stubborn"}, [to](caf::actor_system& s) {
    return s.spawn(
        [](caf::event_based_actor* self, heard_ptr told) -> caf::behavior {
          self->attach_functor([told](const caf::error& why) { told->lines.push_back(text(why)); });
          self->set_exit_handler([](const caf::exit_msg&) {});
          return {[](const restock&) {}};
        },
        to);
  });
  run.run_until_idle();
  run.system().stop(stubborn);
  run.advance(4s);
  CHECK(to->lines.empty());
  run.advance(2s);
  CHECK(to->lines == std::vector<std::string>{"kill"});
}

TEST_CASE("a kill of the incarnation takes the CAF child along") {
  executor run;
  auto to = std::make_shared<heard>();
  const auto stock = run.system().spawn<child>({.id = "stock"}, inventory_spawner(10, to));
  run.run_until_idle();
  caf::anon_send_exit(caf_handle(stock), caf::exit_reason::kill);
  run.run_until_idle();
  CHECK(to->lines == std::vector<std::string>{"kill"});
}

TEST_CASE("a full mailbox does not hide the end of a CAF child") {
  executor run;
  auto to = std::make_shared<heard>();
  const auto stock =
      run.system().spawn<child>({.id = "stock", .capacity = 1}, inventory_spawner(10, to));
  run.run_until_idle();
  run.send(stock, give_up{});
  run.run_until_idle();
  const auto other =
      run.system().spawn<child>({.id = "other", .capacity = 1}, inventory_spawner(10, to));
  run.run_until_idle();
  // Its mailbox is filled from within the end of the CAF actor itself.
  bool refused = false;
  for (int i = 0; i < 5 && !refused; ++i) {
    run.send(other, give_up{});
    while (run.offer(other, restock{1})) {
    }
    run.step();
    refused = !run.offer(other, restock{1});
  }
  run.run_until_idle();
  const auto ended = run.offer(other, restock{1});
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code() == errc::gone);
}

TEST_CASE("a function that spawns no CAF actor is a failed start") {
  executor run;
  probe<coppice::ended> watcher{run.system()};
  const auto none =
      run.system().spawn<child>({.id = "none"}, [](caf::actor_system&) { return caf::actor{}; });
  watcher.watch(none);
  run.run_until_idle();
  const auto end = watcher.next<coppice::ended>();
  REQUIRE(end);
  CAPTURE(end->reason.text());
  CHECK((end->reason.what() == kind::start_failed || end->reason.what() == kind::noproc));
}

TEST_CASE("the end of an earlier incarnation's CAF actor does not touch the next incarnation") {
  executor run;
  auto to = std::make_shared<heard>();
  using made_by = coppice::detail::factory<child, child::spawner>;
  made_by factory{{inventory_spawner(10, to)}};
  auto& home = coppice::detail::system_access::of(run.system());
  const coppice::detail::cell_ptr cell = coppice::detail::cell_layout::make(
      home, *home.caf_system, coppice::detail::actor_type_of<child>,
      {&coppice::detail::factory_type_of<child, child::spawner>, &factory}, "stock", {}, nullptr,
      0);
  const auto stock = coppice::detail_ref::make<child::address>(cell.get());
  cell->start(false);
  run.run_until_idle();
  cell->kill(exit_reason::killed());
  cell->start(false);
  run.run_until_idle();
  CHECK(to->lines == std::vector<std::string>{"kill"});
  const auto answer = run.ask(stock, reserve{"nails", 1});
  REQUIRE(answer);
  CHECK(answer->left == 9);
  CHECK(cell->incarnation() == 2);
  cell->tell(coppice::detail::control::end, exit_reason::shutdown());
  run.run_until_idle();
}

// ---- time and threads -------------------------------------------------------------------------

TEST_CASE("CAF's delayed messages follow virtual time") {
  executor run;
  std::vector<std::int64_t> ticks;
  const auto start = run.now();
  spawn_caf(run.system(), [&](caf::event_based_actor* self) -> caf::behavior {
    self->delayed_send(self, 10ms, 1);
    return {[&, self](int n) {
      ticks.push_back((run.now() - start).count());
      if (n < 5) self->delayed_send(self, 10ms, n + 1);
    }};
  });
  run.run_until_idle();
  CHECK(ticks.empty());
  run.advance(25ms);
  CHECK(ticks == std::vector<std::int64_t>{10, 20});
  run.advance(1s);
  CHECK(ticks == std::vector<std::int64_t>{10, 20, 30, 40, 50});
}

TEST_CASE("a CAF request to an actor of ours times out in virtual time") {
  executor run;
  name_events(run.system());
  const auto stock = run.system().spawn<inventory>({.id = "stock"}, 10);
  auto to = std::make_shared<heard>();
  spawn_caf(run.system(), [handle = caf_handle(stock), to](caf::event_based_actor* self) {
    self->request(handle, 100ms, reserve{"slow", 1})
        .then([to](const reserved&) { to->lines.push_back("answered"); },
              [to](const caf::error& e) { to->lines.push_back(text(e)); });
  });
  run.advance(99ms);
  CHECK(to->lines.empty());
  run.advance(10ms);
  REQUIRE(to->lines.size() == 1);
  CHECK(to->lines[0] != "answered");
  run.advance(2h);
  CHECK(to->lines.size() == 1);
}

TEST_CASE("between threads, CAF actors and ours ask each other many times at once") {
  coppice::system system{{.workers = 3}};
  name_events(system);
  const auto ours = system.spawn<inventory>({.id = "ours"}, 100'000);
  auto to = std::make_shared<heard>();
  const auto theirs = system.spawn<child>({.id = "theirs"}, inventory_spawner(100'000, to));
  std::atomic<int> answered{0};
  constexpr int asked_each = 100;
  for (int i = 0; i < 4; ++i)
    spawn_caf(system, [&, handle = caf_handle(ours)](caf::event_based_actor* self) {
      for (int k = 0; k < asked_each; ++k)
        self->request(handle, caf::infinite, reserve{"nails", 1}).then([&](const reserved&) {
          ++answered;
        });
    });
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, handle = outside{system}]() mutable {
      for (int k = 0; k < asked_each; ++k)
        if (handle.ask(theirs, reserve{"nails", 1}, 30s)) ++answered;
    });
  for (auto& t : threads) t.join();
  CHECK(eventually([&] { return answered == 6 * asked_each; }));
  caf::scoped_actor self{caf_system(system)};
  self->monitor(caf_handle(theirs));
  self->monitor(caf_handle(ours));
  system.stop(ours);
  system.stop(theirs);
  for (int i = 0; i < 2; ++i)
    self->receive([&](const caf::down_msg& down) { CHECK(text(down.reason) == "user_shutdown"); });
}

#endif
