// SPDX-License-Identifier: BSD-3-Clause
// What is promised of particular troubles, one at a time.
#include <coppice/runtime/testing/simulation.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

using namespace coppice;
using namespace coppice::testing;
using namespace std::chrono_literals;

namespace {

struct counted {
  int number = 0;
};
struct count {
  static constexpr std::string_view name = "scenario.count";
  int number = 0;
  std::string load;
  using reply = counted;
};
struct mark {
  static constexpr std::string_view name = "scenario.mark";
  int number = 0;
};

class store : public actor<count, mark> {
 public:
  explicit store(std::vector<int>* seen, int more = 0) : seen_(*seen), more_(more) {}
  counted on(const count& c) { return {c.number + more_}; }
  void on(const mark& m) { seen_.push_back(m.number); }

 private:
  std::vector<int>& seen_;
  const int more_;
};
using store_ref = ref<count, mark>;

struct introduce {
  static constexpr std::string_view name = "scenario.introduce";
  store_ref whom;
};
class holder : public actor<introduce> {
 public:
  explicit holder(std::vector<store_ref>* held) : held_(*held) {}
  void on(const introduce& i) { held_.push_back(i.whom); }

 private:
  std::vector<store_ref>& held_;
};

class watcher : public actor<ended> {
 public:
  watcher(store_ref whom, std::vector<ended>* told) : whom_(std::move(whom)), told_(*told) {}
  void started() { watch(whom_); }
  void on(const ended& e) { told_.push_back(e); }

 private:
  const store_ref whom_;
  std::vector<ended>& told_;
};

/// Two or three nodes with a store on each.
struct stage {
  explicit stage(std::vector<std::string> nodes = {"alpha", "beta"}, simulation_options o = {})
      : seen(nodes.size()), stores(nodes.size()), run(complete(std::move(o), std::move(nodes))) {}

  simulation_options complete(simulation_options o, std::vector<std::string> nodes) {
    o.seed = 1;
    o.nodes = std::move(nodes);
    o.on_start = [this](simulated_node& n) {
      stores[n.index()] =
          n.system().spawn<store>({.id = "store", .capacity = 60'000}, &seen[n.index()]);
    };
    o.on_end = [this](simulated_node& n) {
      stores[n.index()] = {};
      if (at_end) at_end();
    };
    o.on_log = [this](simulated_node& n, const std::string& line) {
      log.push_back(n.name() + ": " + line);
    };
    if (std::getenv("COPPICE_SEED")) o.tell = [](const std::string& s) { std::puts(s.c_str()); };
    return o;
  }
  void meet() {
    run.start();
    REQUIRE(run.advance_until([&] { return run.all_up(); }, 10s));
  }
  store_ref far(std::size_t at, std::size_t of) {
    return run[at].cluster().at<count, mark>(run[of].name() + ":/store").value();
  }
  result<counted> ask(std::size_t at, std::size_t of, int number,
                      std::chrono::milliseconds deadline = 2s) {
    auto asked = run[at].run().begin_ask(far(at, of), count{number, {}}, deadline);
    if (!run.advance_until([&] { return asked.answered(); }, deadline + 2s))
      return error{errc::timeout, "no answer at all"};
    return asked.take();
  }
  std::uint64_t ended(std::size_t at, std::size_t of) { return run[at].sessions_ended_with(of); }
  std::size_t logged(const std::string& part) const {
    return static_cast<std::size_t>(std::count_if(log.begin(), log.end(), [&](const auto& line) {
      return line.find(part) != std::string::npos;
    }));
  }

  std::vector<std::vector<int>> seen;
  std::vector<store_ref> stores;
  std::function<void()> at_end;
  std::vector<std::string> log;
  simulation run;
};

}  // namespace

TEST_CASE(
    "a reset between two live nodes fails no ask and loses no event while buffers have room") {
  stage s;
  s.meet();
  const auto far = s.far(0, 1);
  std::vector<executor::question<count>> asked;
  constexpr int rounds = 60;
  for (int i = 0; i < rounds; ++i) {
    for (int k = 0; k < 10; ++k) s.run[0].run().send(far, mark{i * 10 + k});
    asked.push_back(
        s.run[0].run().begin_ask(far, count{i, std::string(i % 7 == 0 ? 90'000 : 100, 'x')}, 10s));
    s.run.advance(std::chrono::microseconds{s.run.any(5'000)});
    if (i % 3 == 0) s.run.reset(0, 1);
    s.run.advance(std::chrono::microseconds{s.run.any(5'000)});
  }
  REQUIRE(s.run.advance_until([&] { return s.seen[1].size() == rounds * 10; }, 20s));
  s.run.advance(1s);
  for (int i = 0; i < rounds * 10; ++i) REQUIRE(s.seen[1][static_cast<std::size_t>(i)] == i);
  for (int i = 0; i < rounds; ++i) {
    REQUIRE(asked[static_cast<std::size_t>(i)].answered());
    const auto r = asked[static_cast<std::size_t>(i)].take();
    REQUIRE(r);
    CHECK(r->number == i);
  }
  CHECK(s.ended(0, 1) == 0);
  CHECK(s.ended(1, 0) == 0);
  CHECK(s.run[0].cluster().traffic().reconnects > 0);
}

TEST_CASE("a peer that swallows everything ends the session at its limit") {
  stage s;
  s.meet();
  CHECK(s.ask(0, 1, 0));
  const auto limit = wire::limits{}.session_limit;
  s.run.cut(1, 0);
  s.run.dials(0, 1, dial_fate::hangs);
  const auto from = s.run.now();
  auto asked = s.run[0].run().begin_ask(s.far(0, 1), count{1, {}}, 60s);
  s.run[0].run().send(s.far(0, 1), mark{1});
  REQUIRE(s.run.advance_until([&] { return asked.answered(); }, 60s));
  CHECK(asked.take().error().code() == errc::disconnected);
  CHECK(s.run.now() - from >= limit - 1s);
  // Unreachable first; then the limit runs.
  CHECK(s.run.now() - from <= liveness_options{}.unreachable_after + limit + 3s);
  CHECK(s.ended(0, 1) == 1);
  CHECK(
      s.run[0].system().dead_letters()[static_cast<std::size_t>(dead_letter_reason::unconfirmed)] >=
      1);
}

TEST_CASE("a killed node that is back within one heartbeat rejoins cleanly") {
  stage s;
  s.meet();
  const std::string before = s.run[0].cluster().members()[1].incarnation;
  CHECK(s.ask(0, 1, 1));
  s.run.end(1, crash::killed);
  s.run.advance(50ms);
  s.run.start(1);
  REQUIRE(s.run.advance_until([&] { return s.run.all_up(); }, 5s));
  CHECK(s.run[0].cluster().members()[1].incarnation != before);
  CHECK(s.ended(0, 1) == 1);
  const auto again = s.ask(0, 1, 2);
  REQUIRE(again);
  CHECK(again->number == 2);
  CHECK(s.run.links(0, 1) == 1);
}

TEST_CASE("an asymmetric partition is noticed by the side that hears nothing") {
  stage s{{"alpha", "beta", "gamma"}};
  s.meet();
  s.run.cut(1, 0);  // alpha does not hear beta
  CHECK(s.run.advance_until([&] { return s.run[0].opinion_of(1) == opinion::suspect; }, 4s));
  CHECK(s.run[1].opinion_of(0) == opinion::up);
  CHECK(s.run[2].opinion_of(1) == opinion::up);
  CHECK(s.run[2].opinion_of(0) == opinion::up);
  s.run.mend();
  CHECK(s.run.advance_until([&] { return s.run.all_up(); }, 5s));
}

TEST_CASE("a stopped node that goes on rejoins without restart") {
  stage s{{"alpha", "beta", "gamma"}};
  s.meet();
  s.run.stall(1, 60s);
  CHECK(s.run.advance_until([&] { return s.run[0].opinion_of(1) == opinion::unreachable; }, 20s));
  s.run.advance(15s);
  s.run.go_on(1);
  REQUIRE(s.run.advance_until([&] { return s.run.all_up(); }, 10s));
  CHECK(s.run[1].life() == 1);
  const auto r = s.ask(0, 1, 7);
  REQUIRE(r);
  CHECK(r->number == 7);
  for (const std::string& line : s.log) {
    INFO(line);
    CHECK_FALSE((line.starts_with("beta: node ") && line.find("is unreachable") != line.npos));
  }
}

TEST_CASE("a stop that is shorter than the session's limit loses nothing") {
  stage s;
  s.meet();
  s.run.stall(1, 8s);
  auto asked = s.run[0].run().begin_ask(s.far(0, 1), count{1, {}}, 20s);
  for (int i = 0; i < 100; ++i) s.run[0].run().send(s.far(0, 1), mark{i});
  REQUIRE(s.run.advance_until([&] { return asked.answered(); }, 20s));
  CHECK(asked.take());
  CHECK(s.run.advance_until([&] { return s.seen[1].size() == 100; }, 1s));
  CHECK(s.ended(0, 1) == 0);
  CHECK(s.ended(1, 0) == 0);
}

TEST_CASE("two nodes that dial each other at the same moment share one link") {
  for (std::uint64_t delay : {0u, 100u, 5'000u, 50'000u}) {
    simulation_options o;
    o.network.delay = std::chrono::microseconds{delay};
    o.network.jitter = std::chrono::microseconds{delay / 4};
    stage s{{"alpha", "beta"}, std::move(o)};
    s.meet();
    CHECK(s.run.links(0, 1) == 1);
    for (int i = 0; i < 20; ++i) {
      s.run.reset(0, 1);
      REQUIRE(s.run.advance_until([&] { return s.run.links(0, 1) == 1 && s.run.all_up(); }, 10s));
      s.run.advance(std::chrono::microseconds{s.run.any(3'000'000)});
      CHECK(s.run.links(0, 1) == 1);
    }
    CHECK(s.ended(0, 1) == 0);
    CHECK(s.ended(1, 0) == 0);
    CHECK(s.ask(0, 1, 1));
  }
}

TEST_CASE("a node that stops says goodbye, and its peers hold it for left") {
  stage s{{"alpha", "beta", "gamma"}};
  s.meet();
  s.run[1].run().send(s.far(1, 0), mark{1});
  s.run.advance(20ms);
  s.run.stop(1, 2s);
  CHECK(s.run.advance_until([&] { return !s.run[1].running(); }, 3s));
  s.run.advance(100ms);
  CHECK(s.run[0].opinion_of(1) == opinion::left);
  CHECK(s.run[2].opinion_of(1) == opinion::left);
  CHECK(s.seen[0] == std::vector<int>{1});
}

// A watch crossed the wire to an actor that had ended, and nobody answered it: the watcher waited
// for ever, and the entry stayed until the session's end.
TEST_CASE("a watch that arrives after the end of its actor is told of that end") {
  std::vector<ended> told;
  stage s;
  s.meet();
  const auto far = s.far(0, 1);
  CHECK(s.ask(0, 1, 1));
  s.run[1].system().stop(s.stores[1]);
  s.run.advance(100ms);
  s.run[0].system().spawn<watcher>({.id = "watcher"}, far, &told);
  CHECK(s.run.advance_until([&] { return !told.empty(); }, 2s));
  REQUIRE(told.size() == 1);
  CHECK(told[0].gone);
  CHECK(told[0].reason.what() == exit_reason::kind::noproc);
}

// A node takes a handle back when its peer releases it; the peer had been told of it twice, by an
// event and by its own question, and meant one of the two. The handle went to the next actor, and
// with it the other one's events.
TEST_CASE("an actor that a peer knows under two addresses is still reached when one is let go") {
  std::vector<store_ref> held;
  stage s;
  s.at_end = [&] { held.clear(); };
  s.meet();
  s.run[0].system().spawn<holder>({.id = "holder"}, &held);
  s.run[1].run().send(s.run[1].cluster().at<introduce>("alpha:/holder").value(),
                      introduce{s.stores[1]});
  REQUIRE(s.run.advance_until([&] { return held.size() == 1; }, 2s));
  CHECK(s.ask(0, 1, 1));
  const auto far = s.far(0, 1);
  held.clear();
  s.run.advance(25s);
  std::vector<int> others;
  s.run[1].system().spawn<store>({.id = "other"}, &others, 1'000);
  const auto other = s.run[0].cluster().at<count, mark>("beta:/other").value();
  auto asked = s.run[0].run().begin_ask(other, count{5, {}}, 1s);
  REQUIRE(s.run.advance_until([&] { return asked.answered(); }, 2s));
  CHECK(asked.take().value().number == 1'005);
  asked = s.run[0].run().begin_ask(far, count{6, {}}, 1s);
  REQUIRE(s.run.advance_until([&] { return asked.answered(); }, 2s));
  CHECK(asked.take().value().number == 6);
}

// The notice was given in the name of the first address that was found for the actor; whoever
// watched it by the other one threw it away.
TEST_CASE("the end of an actor with two addresses is told by the one under which it is watched") {
  for (const bool by_path : {false, true}) {
    CAPTURE(by_path);
    std::vector<store_ref> held;
    std::vector<ended> told;
    stage s;
    s.at_end = [&] { held.clear(); };
    s.meet();
    s.run[0].system().spawn<holder>({.id = "holder"}, &held);
    s.run[1].run().send(s.run[1].cluster().at<introduce>("alpha:/holder").value(),
                        introduce{s.stores[1]});
    REQUIRE(s.run.advance_until([&] { return held.size() == 1; }, 2s));
    CHECK(s.ask(0, 1, 1));
    const auto far = s.far(0, 1);
    s.run[0].system().spawn<watcher>({.id = "watcher"}, by_path ? far : held[0], &told);
    s.run.advance(100ms);
    s.run[1].system().stop(s.stores[1]);
    s.run.advance(1s);
    REQUIRE(told.size() == 1);
    CHECK(told[0].gone);
    CHECK(told[0].reason.what() == exit_reason::kind::shutdown);
  }
}

TEST_CASE("ten megabytes for an actor of the bulk lane hold up no ask of another") {
  for (const bool two_lanes : {false, true}) {
    CAPTURE(two_lanes);
    simulation_options o;
    o.network.bandwidth = 4'000;  // 4 MB a second
    if (two_lanes) o.bulk = {"/archive/*", "/large"};
    stage s{{"alpha", "beta"}, std::move(o)};
    s.meet();
    std::vector<int> none;
    s.run[1].system().spawn<store>({.id = "large"}, &none);
    const auto large = s.run[0].cluster().at<count, mark>("beta:/large").value();
    auto asked = s.run[0].run().begin_ask(large, count{1, std::string(10'000'000, 'x')}, 30s);
    s.run.advance(100ms);
    CHECK(s.ask(0, 1, 2, 20s));
    CHECK(asked.answered() == !two_lanes);
    REQUIRE(s.run.advance_until([&] { return asked.answered(); }, 20s));
    CHECK(asked.take().value().number == 1);
  }
}
