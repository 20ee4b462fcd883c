// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/actor.hpp>
#include <coppice/actors/outside.hpp>
#include <coppice/runtime/wire/poller_private.hpp>

#include <doctest/doctest.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

std::string thread_name() {
  char name[16] = {};
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

struct work {
  std::shared_ptr<std::promise<std::string>> done{};
  std::shared_future<void> until{};
};

class worker : public actor<work> {
 public:
  void on(const work& w) {
    const std::string where = thread_name();
    if (w.done) w.done->set_value(where);
    if (w.until.valid()) w.until.wait();
  }
};

struct stall_watch final : observer {
  void on_stall(const stall& s) noexcept override {
    std::lock_guard lock{guard};
    paths.push_back(s.path);
  }
  std::mutex guard;
  std::vector<std::string> paths;
};

struct stage {
  stage() { polls.start(&detail::core_of(home), 50us); }
  ~stage() {
    boost::asio::post(io, [this] {
      guard.reset();
      io.stop();
    });
    polls.join();
  }

  /// As if the event had come in over a link. Where it was handled.
  std::future<std::string> arrives(const ref<work>& to, std::shared_future<void> until = {}) {
    auto done = std::make_shared<std::promise<std::string>>();
    auto answer = done->get_future();
    boost::asio::post(io, [this, to, until, done] { out.send(to, work{done, until}); });
    return answer;
  }
  /// Until the polling thread has run an actor itself: it does when it sees all workers asleep.
  bool runs_one_itself(const ref<work>& to) {
    for (const auto limit = std::chrono::steady_clock::now() + 10s;
         std::chrono::steady_clock::now() < limit;)
      if (arrives(to).get() == "coppice-wire") return true;
    return false;
  }

  /// One that does not return before `go_on`, on the thread that polls.
  bool blocks(const ref<work>& to, std::promise<void>& go_on) {
    // It may be handed to a worker after all; then once more.
    for (int i = 0; i < 100; ++i) {
      go_on = {};
      if (arrives(to, go_on.get_future()).get() == "coppice-wire") return true;
      go_on.set_value();
    }
    return false;
  }

  stall_watch told;
  coppice::system home{{.workers = 2, .stall_limit = 50ms, .watch = &told}};
  outside out{home};
  boost::asio::io_context io;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guard{
      io.get_executor()};
  wire::poller polls{io};
};

}  // namespace

TEST_CASE("a wait is a busy one when the wait before was short") {
  wire::busy_wait how{50us};
  CHECK(how.now() == 0us);
  how.came_after(49us);
  CHECK(how.now() == 50us);
  how.came_after(20us);
  CHECK(how.now() == 50us);
  how.came_after(50us);  // in vain
  CHECK(how.now() == 0us);
}

TEST_CASE("a wait that may be busy for no time never is") {
  wire::busy_wait how{0us};
  how.came_after(0us);
  CHECK(how.now() == 0us);
}

TEST_CASE("an actor that is woken while all workers sleep runs on the thread that polls") {
  stage s;
  CHECK(s.runs_one_itself(s.home.spawn<worker>({.id = "worker"})));
}

TEST_CASE("while an actor blocks there, what comes in goes on, and other actors do on workers") {
  stage s;
  const auto blocks = s.home.spawn<worker>({.id = "blocks"});
  const auto other = s.home.spawn<worker>({.id = "other"});
  REQUIRE(s.runs_one_itself(blocks));
  std::promise<void> go_on;
  REQUIRE(s.blocks(blocks, go_on));
  for (int i = 0; i < 100; ++i) {
    auto there = s.arrives(other);
    REQUIRE(there.wait_for(10s) == std::future_status::ready);
    CHECK(there.get() == "coppice.worker");
  }
  go_on.set_value();
}

TEST_CASE("an actor that blocks there is reported as a stall, once") {
  stage s;
  const auto blocks = s.home.spawn<worker>({.id = "blocks"});
  REQUIRE(s.runs_one_itself(blocks));
  std::promise<void> go_on;
  REQUIRE(s.blocks(blocks, go_on));
  const auto times = [&] {
    std::lock_guard lock{s.told.guard};
    return std::count(s.told.paths.begin(), s.told.paths.end(), "/blocks");
  };
  for (const auto limit = std::chrono::steady_clock::now() + 10s;
       times() == 0 && std::chrono::steady_clock::now() < limit;)
    std::this_thread::yield();
  CHECK(times() == 1);
  go_on.set_value();
}

TEST_CASE("handlers of the context never overlap, whoever runs them") {
  stage s;
  const auto to = s.home.spawn<worker>({.id = "worker"});
  std::atomic<int> inside{0}, most{0}, handled{0};
  std::promise<void> done;
  std::function<void()> step = [&] {
    const int now = ++inside;
    if (now > most) most = now;
    s.out.send(to, work{});
    --inside;
    if (++handled == 20'000) done.set_value();
    else boost::asio::post(s.io, step);
  };
  boost::asio::post(s.io, step);
  boost::asio::post(s.io, [&] { s.out.send(to, work{}); });
  done.get_future().wait();
  CHECK(most == 1);
}
