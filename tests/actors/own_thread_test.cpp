// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/outside.hpp>
#include <coppice/actors/system.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr auto hang = 60s;

class gate {
 public:
  void open() {
    std::lock_guard lock{guard_};
    open_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock{guard_};
    return changed_.wait_for(lock, hang, [&] { return open_; });
  }

 private:
  std::mutex guard_;
  std::condition_variable changed_;
  bool open_ = false;
};
using shared_gate = std::shared_ptr<gate>;

struct answer {
  int number;
  std::uint64_t thread;
};
struct question {
  int number;
  using reply = answer;
};
struct block {
  shared_gate entered, until;
};
struct fail {};
struct later {
  shared_gate fired;
};

std::uint64_t this_thread() { return std::hash<std::thread::id>{}(std::this_thread::get_id()); }

class resident : public coppice::actor<question, block, fail, later> {
 public:
  answer on(const question& q) { return {q.number, this_thread()}; }
  void on(const block& b) {
    b.entered->open();
    if (!b.until->wait()) throw std::runtime_error{"blocked for ever"};
  }
  void on(const fail&) { throw std::runtime_error{"as asked"}; }
  void on(const later& l) {
    if (armed_) return l.fired->open();
    armed_ = true;
    send_after(2ms, l);
  }

 private:
  bool armed_ = false;
};

class asker : public coppice::actor<question> {
 public:
  explicit asker(coppice::ref<question> to) : to_(std::move(to)) {}
  coppice::task<coppice::result<answer>> on(const question& q) {
    auto asked = ask(to_, question{q.number}, hang);
    auto got = co_await asked;
    if (!got) co_return got.error();
    co_return answer{got->number + 1, this_thread()};
  }

 private:
  coppice::ref<question> to_;
};

coppice::spawn_options on_own_thread(std::string id) {
  return {.id = std::move(id), .own_thread = true};
}

/// Threads of this process that run one actor each.
int own_threads() {
  int found = 0;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream comm{each.path() / "comm"};
    std::string name;
    // A thread that has ended meanwhile has no name.
    if (std::getline(comm, name) && name.starts_with("coppice.own")) ++found;
  }
  return found;
}

template <class Condition>
bool eventually(Condition holds) {
  const auto until = std::chrono::steady_clock::now() + hang;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Waits for a thread to be free if need be.
std::optional<coppice::ref<question, block, fail, later>> spawn_when_free(coppice::system& s,
                                                                          const char* id) {
  std::optional<coppice::ref<question, block, fail, later>> made;
  eventually([&] {
    try {
      made = s.spawn<resident>(on_own_thread(id));
    } catch (const coppice::bad_result&) {
    }
    return made.has_value();
  });
  return made;
}

}  // namespace

TEST_CASE("an actor on its own thread that blocks does not disturb the others") {
  coppice::system system{{.workers = 1, .spare_workers = 0}};
  coppice::outside from_outside{system};
  const auto blocking = system.spawn<resident>(on_own_thread("blocking"));
  const auto rest = system.spawn<resident>({.id = "rest"});
  const auto entered = std::make_shared<gate>(), until = std::make_shared<gate>();
  from_outside.send(blocking, block{entered, until});
  REQUIRE(entered->wait());
  for (int i = 0; i < 100; ++i) CHECK(from_outside.ask(rest, question{i}, hang));
  until->open();
  CHECK(from_outside.ask(blocking, question{1}, hang));
}

TEST_CASE("an actor on its own thread is always run by that thread, and by no worker") {
  coppice::system system{{.workers = 2}};
  coppice::outside from_outside{system};
  const auto own = system.spawn<resident>(on_own_thread("own"));
  const auto rest = system.spawn<resident>({.id = "rest"});
  const auto through = system.spawn<asker>({.id = "through"}, own);
  const auto first = from_outside.ask(own, question{0}, hang);
  REQUIRE(first);
  for (int i = 0; i < 50; ++i) {
    const auto again = from_outside.ask(own, question{i}, hang);
    REQUIRE(again);
    CHECK(again->thread == first->thread);
    const auto worker = from_outside.ask(rest, question{i}, hang);
    REQUIRE(worker);
    CHECK(worker->thread != first->thread);
    const auto passed_on = from_outside.ask(through, question{i}, hang);
    REQUIRE(passed_on);
    CHECK(passed_on->number == i + 1);
    CHECK(passed_on->thread != first->thread);
  }
}

TEST_CASE("an actor on its own thread asks others and sets timers") {
  coppice::system system{{.workers = 1}};
  coppice::outside from_outside{system};
  const auto rest = system.spawn<resident>({.id = "rest"});
  const auto own = system.spawn<asker>(on_own_thread("own"), rest);
  const auto timed = system.spawn<resident>(on_own_thread("timed"));
  for (int i = 0; i < 50; ++i) {
    const auto got = from_outside.ask(own, question{i}, hang);
    REQUIRE(got);
    CHECK(got->number == i + 1);
  }
  const auto fired = std::make_shared<gate>();
  from_outside.send(timed, later{fired});
  CHECK(fired->wait());
}

TEST_CASE("the number of own threads is bounded, with an error that says so") {
  coppice::system system{{.workers = 1, .own_threads = 2}};
  coppice::outside from_outside{system};
  const auto a = system.spawn<resident>(on_own_thread("a"));
  const auto b = system.spawn<resident>(on_own_thread("b"));
  CHECK_THROWS_WITH_AS(system.spawn<resident>(on_own_thread("c")),
                       doctest::Contains("threads for actors of their own are in use; see "
                                         "system_options::own_threads"),
                       coppice::bad_result);
  CHECK(from_outside.ask(a, question{1}, hang));
  CHECK(from_outside.ask(b, question{1}, hang));
}

TEST_CASE("an own thread ends with its actor, however that ends, and its place is free again") {
  coppice::system system{{.workers = 1, .own_threads = 1}};
  coppice::outside from_outside{system};
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const auto own = spawn_when_free(system, "own");
    REQUIRE(own);
    REQUIRE(from_outside.ask(*own, question{round}, hang));
    CHECK(own_threads() == 1);
    if (round % 2) system.stop(*own);
    else from_outside.send(*own, fail{});
    CHECK(eventually([] { return own_threads() == 0; }));
  }
}

TEST_CASE("an actor that follows one that has just ended on its own thread is run") {
  coppice::system system{{.workers = 1}};
  coppice::outside from_outside{system};
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    // Without a ref the memory of the ended one is free at once, perhaps for the next one.
    auto own = spawn_when_free(system, "own");
    REQUIRE(own);
    from_outside.send(*own, fail{});
    const auto r = from_outside.ask(*own, question{round}, hang);
    REQUIRE_FALSE(r);
    REQUIRE(r.error().code() == coppice::errc::gone);
    own.reset();
    const auto next = spawn_when_free(system, "next");
    REQUIRE(next);
    REQUIRE(from_outside.ask(*next, question{round}, hang));
    system.stop(*next);
  }
}

TEST_CASE("a system stops its own threads too, whatever they wait for") {
  for (int round = 0; round < 10; ++round) {
    coppice::system system{{.workers = 1}};
    for (int i = 0; i < 5; ++i) system.spawn<resident>(on_own_thread(std::to_string(i)));
    CHECK(system.stop(hang).empty());
  }
  CHECK(eventually([] { return own_threads() == 0; }));
}
