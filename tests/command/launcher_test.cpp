// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/launcher.hpp>

#include <doctest/doctest.h>

#include <signal.h>

#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace coppice::command;
using namespace std::chrono_literals;

namespace {

/// Three nodes and a clock. What the launcher wants is done, and written down.
struct scene {
  launcher l{{"alpha", "beta", "gamma"}, {}, [this] { return chance; }};
  double chance = 0;
  launcher::time_point now{};
  std::string done;      ///< what was done since the last look
  bool starts = true;    ///< starting succeeds

  static constexpr const char* names[] = {"alpha", "beta", "gamma"};
  static constexpr std::size_t alpha = 0, beta = 1, gamma = 2;

  void carry_out() {
    for (bool more = true; more;) {
      more = false;
      for (const launch_action& a : l.take_actions()) {
        more = true;
        const std::string who = a.about_all ? "" : std::string{names[a.node]} + ": ";
        switch (a.what) {
          case launch_action::kind::say: done += who + a.text + '\n'; break;
          case launch_action::kind::signal:
            done += who + "signal " + std::to_string(a.signal) + '\n';
            break;
          case launch_action::kind::start:
            done += who + "start\n";
            if (starts) l.started(a.node, now);
            break;
        }
      }
    }
  }
  std::string look() {
    carry_out();
    return std::exchange(done, {});
  }
  void begin() {
    l.begin(now);
    look();
  }
  std::string ends(std::size_t node, process_end how) {
    l.ended(node, how, now);
    return look();
  }
  std::string interrupt() {
    l.interrupt(now);
    return look();
  }
  /// The clock moves to when the launcher wants to be called.
  std::chrono::milliseconds wait() {
    REQUIRE(l.next());
    const auto pause = *l.next() - now;
    now = *l.next();
    l.time(now);
    return std::chrono::duration_cast<std::chrono::milliseconds>(pause);
  }
};

constexpr process_end crashed{.code = 0, .signal = SIGSEGV};
constexpr process_end killed{.code = 0, .signal = SIGKILL};

}  // namespace

TEST_CASE_FIXTURE(scene, "all nodes are started, in their order") {
  l.begin(now);
  CHECK(look() == "alpha: start\nbeta: start\ngamma: start\n");
  CHECK(!l.finished());
  CHECK(!l.next());
}

TEST_CASE_FIXTURE(scene, "a node that dies is started again, and the others are left alone") {
  begin();
  CHECK(ends(beta, killed) == "beta: killed by SIGKILL; again in 0.1 s\n");
  CHECK(wait() == 100ms);
  CHECK(look() == "beta: start\n");
  CHECK(!l.next());
}

TEST_CASE_FIXTURE(scene, "a node is not started before its pause is over") {
  begin();
  ends(beta, killed);
  now += 99ms;
  l.time(now);
  CHECK(look().empty());
  now += 1ms;
  l.time(now);
  CHECK(look() == "beta: start\n");
}

TEST_CASE_FIXTURE(scene, "pauses double up to ten seconds, and it is tried for ever") {
  begin();
  std::vector<std::int64_t> pauses;
  for (int i = 0; i < 100; ++i) {
    ends(alpha, crashed);
    pauses.push_back(wait().count());
    REQUIRE(look() == "alpha: start\n");
  }
  CHECK(std::vector<std::int64_t>(pauses.begin(), pauses.begin() + 9) ==
        std::vector<std::int64_t>{100, 200, 400, 800, 1'600, 3'200, 6'400, 10'000, 10'000});
  CHECK(pauses.back() == 10'000);
}

TEST_CASE_FIXTURE(scene, "chance adds up to a quarter to a pause and takes nothing away") {
  begin();
  chance = 0.999;
  ends(alpha, crashed);
  CHECK(wait() == 124ms);
  chance = 0.5;
  look();
  ends(alpha, crashed);
  CHECK(wait() == 225ms);
}

TEST_CASE_FIXTURE(scene, "a node that ran for ten seconds begins anew with the shortest pause") {
  begin();
  for (int i = 0; i < 5; ++i) {
    ends(alpha, crashed);
    wait();
    look();
  }
  now += 9'999ms;
  ends(alpha, crashed);
  CHECK(wait() == 3'200ms);
  look();
  now += 10s;
  ends(alpha, crashed);
  CHECK(wait() == 100ms);
}

TEST_CASE_FIXTURE(scene, "a node that ends as it was asked to stays down") {
  begin();
  CHECK(ends(alpha, {.code = 0}) ==
        "alpha: has ended as it was asked to (exit code 0); it is not started again\n");
  CHECK(ends(beta, {.signal = SIGTERM}) ==
        "beta: has ended as it was asked to (killed by SIGTERM); it is not started again\n");
  CHECK(!l.next());
  CHECK(!l.finished());
  CHECK(ends(gamma, {.code = 130}) ==
        "gamma: has ended as it was asked to (exit code 130: a second signal while it was "
        "stopping); it is not started again\nno node is left\n");
  CHECK(l.finished());
  CHECK(l.exit_code() == 0);
}

TEST_CASE_FIXTURE(scene,
                  "a node with a wrong command line or config is told once, the others go on") {
  begin();
  CHECK(ends(alpha, {.code = 2}) ==
        "alpha: exit code 2: its command line or its config is wrong; it is not started again\n");
  CHECK(!l.next());
  CHECK(ends(beta, {.code = 1}) ==
        "beta: exit code 1: it could not start, or its tree gave up; again in 0.1 s\n");
  wait();
  CHECK(look() == "beta: start\n");
  interrupt();
  ends(beta, {.code = 0});
  ends(gamma, {.code = 0});
  CHECK(l.finished());
  CHECK(l.exit_code() == 2);
}

TEST_CASE_FIXTURE(
    scene, "a program that is not there is told once, one that cannot start now is tried again") {
  starts = false;
  l.begin(now);
  look();
  l.could_not_start(alpha, "/bin/none: No such file or directory", true, now);
  l.could_not_start(beta, "fork: Resource temporarily unavailable", false, now);
  l.started(gamma, now);
  CHECK(look() ==
        "alpha: could not be started: /bin/none: No such file or directory; it is not tried "
        "again\n"
        "beta: could not be started: fork: Resource temporarily unavailable; again in 0.1 s\n");
  CHECK(wait() == 100ms);
  CHECK(look() == "beta: start\n");
}

TEST_CASE_FIXTURE(scene, "an interrupt stops all nodes, the last one first") {
  begin();
  CHECK(interrupt() ==
        "stopping alpha, beta, gamma; once more kills\n"
        "gamma: signal 15\nbeta: signal 15\nalpha: signal 15\n");
  CHECK(ends(gamma, {.code = 0}) == "gamma: has stopped\n");
  CHECK(ends(alpha, {.code = 0}) == "alpha: has stopped\n");
  CHECK(!l.finished());
  CHECK(ends(beta, {.signal = SIGTERM}) == "beta: has stopped\n");
  CHECK(l.finished());
  CHECK(l.exit_code() == 0);
  CHECK(!l.next());
}

TEST_CASE_FIXTURE(scene, "a node that waits for its next start is not started once all stop") {
  begin();
  ends(beta, killed);
  CHECK(interrupt() ==
        "stopping alpha, gamma; once more kills\ngamma: signal 15\nalpha: signal 15\n");
  now += 1s;
  l.time(now);
  CHECK(look().empty());
  ends(alpha, {.code = 0});
  ends(gamma, {.code = 0});
  CHECK(l.finished());
  CHECK(l.exit_code() == 0);
}

TEST_CASE_FIXTURE(scene, "an interrupt while nothing runs ends it at once") {
  begin();
  ends(alpha, killed);
  ends(beta, killed);
  ends(gamma, killed);
  CHECK(interrupt().empty());
  CHECK(l.finished());
  CHECK(l.exit_code() == 0);
}

TEST_CASE_FIXTURE(scene, "a node that was just being started is stopped when it is") {
  starts = false;
  l.begin(now);
  look();
  l.started(alpha, now);
  l.started(beta, now);
  interrupt();
  CHECK(!l.finished());
  l.started(gamma, now);
  CHECK(look() == "gamma: signal 15\n");
  interrupt();
  CHECK(!l.finished());
}

TEST_CASE_FIXTURE(scene, "what has not stopped by the deadline is named and killed") {
  begin();
  interrupt();
  ends(beta, {.code = 0});
  CHECK(wait() == 35s);
  CHECK(look() ==
        "not stopped within 35.0 s: alpha, gamma; killing\ngamma: signal 9\nalpha: signal 9\n");
  CHECK(ends(alpha, killed) == "alpha: has ended: killed by SIGKILL\n");
  ends(gamma, killed);
  CHECK(l.finished());
  CHECK(l.exit_code() == 1);
}

TEST_CASE_FIXTURE(scene, "what cannot even be killed is named and left behind") {
  begin();
  interrupt();
  ends(beta, {.code = 0});
  ends(gamma, {.code = 0});
  wait();
  look();
  CHECK(wait() == 5s);
  CHECK(look() == "not even killed: alpha; left behind\n");
  CHECK(l.finished());
  CHECK(l.exit_code() == 1);
}

TEST_CASE_FIXTURE(scene, "a second interrupt kills, a third does nothing more") {
  begin();
  interrupt();
  ends(alpha, {.code = 0});
  CHECK(interrupt() == "killing beta, gamma\ngamma: signal 9\nbeta: signal 9\n");
  CHECK(interrupt().empty());
  ends(beta, killed);
  ends(gamma, killed);
  CHECK(l.finished());
  CHECK(l.exit_code() == 130);
}

TEST_CASE_FIXTURE(scene, "a node that ends badly while it stops makes the whole end badly") {
  begin();
  interrupt();
  CHECK(ends(alpha, {.code = 70}) ==
        "alpha: has ended: exit code 70: an actor did not return from its handler\n");
  ends(beta, {.code = 0});
  ends(gamma, {.code = 0});
  CHECK(l.exit_code() == 1);
}

TEST_CASE("how a process ended is said in words") {
  CHECK(to_string(process_end{.code = 3}) == "exit code 3");
  CHECK(to_string(process_end{.signal = SIGKILL}) == "killed by SIGKILL");
  CHECK(to_string(process_end{.signal = 200}) == "killed by 200");
}

TEST_CASE(
    "whatever happens, only what runs is signalled, only what does not is started, and an "
    "interrupt is the end") {
  for (unsigned seed = 1; seed <= 2'000; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    launcher l{{"a", "b", "c", "d"}, {}, [&] { return static_cast<double>(random() % 100) / 100; }};
    launcher::time_point now{};
    std::set<std::size_t> running, starting;
    bool interrupted = false;
    const auto carry_out = [&] {
      for (const launch_action& a : l.take_actions()) {
        if (a.what == launch_action::kind::signal) REQUIRE(running.contains(a.node));
        if (a.what != launch_action::kind::start) continue;
        REQUIRE(!running.contains(a.node));
        REQUIRE(!starting.contains(a.node));
        REQUIRE(!interrupted);
        starting.insert(a.node);
      }
    };
    const auto some = [&](const std::set<std::size_t>& of) {
      return *std::next(of.begin(), static_cast<std::ptrdiff_t>(random() % of.size()));
    };
    l.begin(now);
    carry_out();
    for (int step = 0; step < 200 && !l.finished(); ++step) {
      switch (random() % (step < 100 ? 5 : 6)) {
        case 0:
          if (running.empty()) break;
          {
            const std::size_t n = some(running);
            running.erase(n);
            const process_end ends[] = {{0, 0}, {1, 0}, {2, 0}, {70, 0}, {0, 9}, {0, 15}, {0, 11}};
            l.ended(n, ends[random() % std::size(ends)], now);
          }
          break;
        case 1:
        case 2:
          if (starting.empty()) break;
          {
            const std::size_t n = some(starting);
            starting.erase(n);
            if (random() % 8) {
              running.insert(n);
              l.started(n, now);
            } else {
              l.could_not_start(n, "no", random() % 2, now);
            }
          }
          break;
        case 3: now += std::chrono::milliseconds{random() % 15'000}; break;
        case 4:
          if (l.next() && *l.next() > now) now = *l.next();
          break;
        default: interrupted = true; l.interrupt(now);
      }
      l.time(now);
      carry_out();
      if (!interrupted && !l.finished())
        REQUIRE((l.next() || !running.empty() || !starting.empty()));
    }
    if (!interrupted) l.interrupt(now);
    interrupted = true;
    carry_out();
    for (const std::size_t n : starting) {
      running.insert(n);
      l.started(n, now);
    }
    starting.clear();
    for (int i = 0; i < 3 && !l.finished(); ++i) {
      now += std::chrono::minutes{1};
      l.time(now);
      carry_out();
    }
    REQUIRE(l.finished());
    REQUIRE(!l.next());
  }
}
