// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/node.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "process.hpp"

using namespace coppice;
using namespace std::chrono_literals;

namespace {

struct doubled {
  int n;
};
struct twice {
  int n;
  using reply = doubled;
};
class calculator : public actor<twice> {
 public:
  doubled on(const twice& t) { return {t.n * 2}; }
};

class refuses_to_start : public actor<twice> {
 public:
  void started() { throw std::runtime_error("no ink"); }
  doubled on(const twice& t) { return {t.n}; }
};

class throws_when_made : public actor<twice> {
 public:
  throws_when_made() { throw std::runtime_error("no paper"); }
  doubled on(const twice& t) { return {t.n}; }
};

struct block {};
class blocker : public actor<block> {
 public:
  /// For ever: this is what no supervisor can mend.
  void on(const block&) {
    blocked = true;
    blocked.notify_all();
    for (;;) std::this_thread::sleep_for(1h);
  }
  /// A stop would overtake an event that is not in hand yet.
  static void wait() { blocked.wait(false); }

 private:
  static inline std::atomic<bool> blocked = false;
};

node_options quiet(std::string name = "shop") {
  node_options o;
  o.name = std::move(name);
  o.workers = 2;
  o.log.level = log_level::off;
  return o;
}

std::string start_error(children::builder build) {
  node shop{quiet(), std::move(build)};
  const auto up = shop.start();
  return up ? std::string{"it has started"} : to_string(up.error().why());
}

}  // namespace

TEST_CASE("a node starts its tree, answers, and stops it") {
  ref<twice> at;
  node shop{quiet(), [&](children& c) { at = c.add<calculator>("calculator"); }};
  REQUIRE(shop.start());
  CHECK(at.path() == "/shop/calculator");
  CHECK(shop.outside().ask(at, twice{21}, 5s).value().n == 42);
  CHECK_FALSE(shop.ended());
  const tree_node tree = shop.tree();
  REQUIRE(tree.children.size() == 1);
  CHECK(tree.children[0].state == "running");
  CHECK(shop.stop(10s));
  REQUIRE(shop.ended());
  CHECK(shop.ended()->clean());
}

TEST_CASE("a node is started once and stopped once") {
  node shop{quiet(), [](children& c) { c.add<calculator>("calculator"); }};
  REQUIRE(shop.start());
  CHECK(shop.start().error().message() == "invalid: a node is started once");
  CHECK(shop.stop(10s));
  CHECK(shop.stop(10s).error().message() == "invalid: a node is stopped once");
}

// On the thread of the node's links it would have been an abort.
TEST_CASE("a handler that stops its own node is refused, and the node goes on") {
  struct stopped_by {
    std::string outcome;
  };
  struct stop_it {
    using reply = stopped_by;
  };
  struct hasty : actor<stop_it> {
    explicit hasty(std::unique_ptr<node>* whole) : whole_(whole) {}
    stopped_by on(const stop_it&) { return {(*whole_)->stop(1s).error().message()}; }
    std::unique_ptr<node>* whole_;
  };
  ref<stop_it> at;
  std::unique_ptr<node> shop;
  shop = std::make_unique<node>(quiet(), [&](children& c) { at = c.add<hasty>("hasty", &shop); });
  REQUIRE(shop->start());
  for (int i = 0; i < 2; ++i) {
    const auto said = shop->outside().ask(at, stop_it{}, 10s);
    REQUIRE(said);
    CHECK_MESSAGE(said->outcome.starts_with("cycle: a node waits for its handlers"), said->outcome);
  }
  CHECK(shop->stop(10s));
}

TEST_CASE("a node that was never started stops at once, and its destructor does nothing") {
  {
    node shop{quiet(), [](children&) {}};
  }
  node shop{quiet(), [](children&) {}};
  CHECK(shop.stop(10s));
  CHECK_FALSE(shop.ended());
  CHECK(shop.tree().children.empty());
}

TEST_CASE("a child that cannot start fails the node's start, which names it and why") {
  const auto text = start_error([](children& c) {
    c.add<calculator>("calculator");
    c.supervise("printing", [](children& p) { p.add<refuses_to_start>("printer"); });
  });
  CHECK_MESSAGE(text.find("/shop/printing/printer") != std::string::npos, text);
  CHECK_MESSAGE(text.find("std::runtime_error: no ink") != std::string::npos, text);
}

TEST_CASE("a factory that throws fails the node's start, which names the child and why") {
  const auto text = start_error([](children& c) { c.add<throws_when_made>("printer"); });
  CHECK_MESSAGE(text.find("/shop/printer") != std::string::npos, text);
  CHECK_MESSAGE(text.find("std::runtime_error: no paper") != std::string::npos, text);
}

TEST_CASE("a builder that throws fails the node's start with what it threw") {
  const auto text = start_error([](children&) { throw std::runtime_error("no plan"); });
  CHECK_MESSAGE(text.find("the builder threw: no plan") != std::string::npos, text);
}

TEST_CASE("two children with one id fail the node's start with a sentence") {
  const auto text = start_error([](children& c) {
    c.add<calculator>("calculator");
    c.add<calculator>("calculator");
  });
  CHECK_MESSAGE(text.find("two children have the id 'calculator'; ids are unique among siblings") !=
                    std::string::npos,
                text);
}

TEST_CASE("a wrong name of the node is an error of its start") {
  node shop{quiet("a/b"), [](children&) {}};
  const auto up = shop.start();
  REQUIRE_FALSE(up);
  CHECK(up.error().code() == errc::invalid);
}

TEST_CASE("stop returns within its deadline although a handler blocks, and names its path") {
  tools::process child{[] {
    ref<block> at;
    node_options options = quiet();
    options.log.level = log_level::info;
    node shop{options, [&](children& c) {
                c.add<calculator>("calculator");
                at = c.add<blocker>("printer");
              }};
    if (!shop.start()) return 1;
    shop.outside().send(at, block{});
    blocker::wait();
    const auto begin = std::chrono::steady_clock::now();
    const auto stopped = shop.stop(2s);
    const auto taken = std::chrono::steady_clock::now() - begin;
    std::printf("%s\n", stopped ? "stopped" : stopped.error().message().c_str());
    std::printf("%s\n", taken < 10s ? "in time" : "late");
    std::fflush(stdout);
    ::_exit(3);
  }};
  CHECK(child.exit_code() == 3);
  const std::string& said = child.output();
  CHECK_MESSAGE(said.find("timeout: did not return from a handler by the deadline: /shop/printer\n"
                          "in time\n") != std::string::npos,
                said);
  CHECK_MESSAGE(said.find("stuck at the end: /shop/printer did not return from a handler within "
                          "the deadline of 2000 ms") != std::string::npos,
                said);
}

TEST_CASE("a node destroyed beside a blocking handler leaves the process with code 70") {
  tools::process child{[] {
    ref<block> at;
    node_options options = quiet();
    options.stop_deadline = 1s;
    node shop{options, [&](children& c) { at = c.add<blocker>("printer"); }};
    if (!shop.start()) return 1;
    shop.outside().send(at, block{});
    blocker::wait();
    return 0;
  }};
  CHECK(child.exit_code() == 70);
}

TEST_CASE("a child that outlasts its kill by the stuck limit ends the process with code 70") {
  tools::process child{[] {
    ref<block> at;
    node_options options = quiet();
    options.log.level = log_level::info;
    node shop{options, [&](children& c) {
                c.spec().stuck_limit = 300ms;
                at = c.add<blocker>({.id = "printer", .shutdown = 100ms});
              }};
    if (!shop.start()) return 1;
    shop.outside().send(at, block{});
    blocker::wait();
    (void)shop.stop(20s);
    return 0;
  }};
  CHECK(child.exit_code() == 70);
  CHECK_MESSAGE(child.output().find("path=/shop/printer is stuck: it was told to stop, or "
                                    "killed, and has not ended within the stuck limit; a C++ "
                                    "thread cannot be killed: leaving the process with code 70") !=
                    std::string::npos,
                child.output());
}
