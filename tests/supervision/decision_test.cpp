// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/decision.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace coppice;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using kind = action::kind;

namespace {

exit_reason crash() { return exit_reason{exit_reason::kind::crashed, make_cause("no paper")}; }

child_spec child_with(coppice::restart restart, coppice::shutdown shutdown = 5s,
                      bool keep_mailbox = true) {
  child_spec p;
  p.restart = restart;
  p.shutdown = shutdown;
  p.keep_mailbox = keep_mailbox;
  return p;
}

std::string in_words(const action& a) {
  const std::string child = std::to_string(a.child) + '#' + std::to_string(a.incarnation);
  switch (a.what) {
    case kind::start: return "start " + child + (a.drop_mailbox ? " afresh" : "");
    case kind::stop: return "stop " + child;
    case kind::kill: return "kill " + child;
    case kind::hold: return "hold " + child;
    case kind::remove: return "remove " + child;
    case kind::retry_later: return "retry " + child;
    case kind::report:
      if (a.about == report_context::progress) return "";
      return std::string{name(a.about)} + ' ' + child;
    case kind::answer:
      return "answer " + std::to_string(a.call) + ' ' +
             (a.code != errc{} ? std::string{name(a.code)}
              : a.running      ? "running"
                               : "done");
    case kind::rest: return "rest";
    case kind::up: return "up";
    case kind::fail_start: return "fail_start";
    case kind::exit: return "exit " + std::string{name(a.reason.what())};
    case kind::stuck: return "stuck " + child;
  }
  return "?";
}

/// A decision on virtual time whose actions are read as words; deadlines are kept apart.
struct supervisor {
  explicit supervisor(supervisor_spec spec, std::vector<child_spec> children = {})
      : mind(spec, {[](const void*, child_index c) { return "/shop/c" + std::to_string(c); }}) {
    for (const auto& c : children) mind.add(c);
  }

  /// What was to be done since the last call.
  std::string done() {
    std::string words;
    for (const action& a : out) {
      if (a.which != deadline_kind::none) armed[a.child] = a;
      if (a.what == kind::exit || a.what == kind::fail_start || a.what == kind::report)
        last_reason = a.reason;
      const std::string word = in_words(a);
      if (!word.empty()) words += (words.empty() ? "" : ", ") + word;
    }
    out.clear();
    return words;
  }
  std::string begin() { return mind.begin(now, out), done(); }
  std::string judged(child_index c) { return mind.judge(c, last(c), now, out), done(); }
  std::string started(child_index c) { return mind.started(c, last(c), now, out), done(); }
  std::string start_failed(child_index c) {
    return mind.start_failed(c, last(c), crash(), now, out), done();
  }
  std::string ended(child_index c, exit_reason why) {
    return mind.ended(c, last(c), std::move(why), now, out), done();
  }
  std::string crashed(child_index c) { return ended(c, crash()); }
  std::string stopped(child_index c) { return ended(c, exit_reason::shutdown()); }
  std::string retry(child_index c) { return mind.retry(c, last(c), now, out), done(); }
  std::string stop() { return mind.stop(exit_reason::shutdown(), now, out), done(); }
  std::string late(child_index c) {
    const action a = armed.at(c);
    armed.erase(c);
    now += a.after;
    return mind.deadline(c, a.incarnation, a.which, now, out), done();
  }
  std::uint32_t last(child_index c) const { return mind.view(c).incarnation; }

  /// Brings all children up.
  supervisor& all_up() {
    begin();
    for (child_index c = mind.first(); c != no_child; c = mind.next(c)) started(c);
    REQUIRE(mind.up());
    return *this;
  }

  decision mind;
  milliseconds now{0};
  std::vector<action> out;
  std::map<child_index, action> armed;
  exit_reason last_reason;
};

std::vector<child_spec> permanent_children(std::size_t n) {
  return std::vector<child_spec>(n, child_with(permanent));
}

}  // namespace

TEST_CASE("a supervisor without children is up at once and exits at once") {
  supervisor s{{}};
  CHECK(s.begin() == "up");
  CHECK(s.stop() == "exit shutdown");
  CHECK(s.mind.over());
}

TEST_CASE("children start in order, each complete before the next, and only then it is up") {
  supervisor s{{}, permanent_children(3)};
  CHECK(s.begin() == "start 0#1");
  CHECK(s.started(0) == "start 1#1");
  CHECK_FALSE(s.mind.up());
  CHECK(s.started(1) == "start 2#1");
  CHECK(s.started(2) == "up");
  CHECK(s.mind.up());
  CHECK_FALSE(s.mind.busy());
}

TEST_CASE("a failed start stops what had started in reverse and fails with the chain") {
  supervisor s{{}, permanent_children(4)};
  s.begin();
  s.started(0);
  s.started(1);
  CHECK(s.start_failed(2) == "start_error 2#1, stop 1#1");
  CHECK(s.stopped(1) == "stop 0#1");
  CHECK(s.stopped(0) == "fail_start");
  CHECK(s.last_reason.text() ==
        "shutdown: failed to start child c2, because crashed (at /shop/c2#1), because no paper");
  CHECK(s.mind.over());
}

TEST_CASE("a child that ends while it is starting has failed to start, even normally") {
  supervisor s{{}, permanent_children(1)};
  s.begin();
  CHECK(s.ended(0, exit_reason::normal()) == "start_error 0#1, fail_start");
}

TEST_CASE("a child that misses its start deadline is killed and has failed to start") {
  supervisor s{{}, permanent_children(2)};
  s.begin();
  s.started(0);
  CHECK(s.armed.at(1).which == deadline_kind::start);
  CHECK(s.armed.at(1).after == 5s);
  CHECK(s.late(1) == "kill 1#1");
  CHECK(s.started(1) == "");
  CHECK(s.ended(1, exit_reason::killed()) == "start_error 1#1, stop 0#1");
  CHECK(s.stopped(0) == "fail_start");
  CHECK(s.last_reason.text() ==
        "shutdown: failed to start child c1, because start_failed (at /shop/c1#1), because it "
        "had not started within 5000 ms");
}

TEST_CASE("a child that ends while its siblings still start is judged when all are up") {
  supervisor s{{}, permanent_children(2)};
  s.begin();
  s.started(0);
  CHECK(s.crashed(0) == "");
  CHECK(s.mind.state(0) == child_state::ended);
  CHECK(s.started(1) == "up, child_terminated 0#1, start 0#2");
}

TEST_CASE("children stop in reverse, one at a time") {
  supervisor s{{}, permanent_children(3)};
  s.all_up();
  CHECK(s.stop() == "stop 2#1");
  CHECK(s.stopped(2) == "stop 1#1");
  CHECK(s.stopped(1) == "stop 0#1");
  CHECK(s.stopped(0) == "exit shutdown");
}

TEST_CASE("it exits with the reason its parent gave") {
  supervisor s{{}, permanent_children(1)};
  s.all_up();
  s.mind.stop(exit_reason::failed("tired"), s.now, s.out);
  CHECK(s.stopped(0) == "stop 0#1, exit failed");
}

TEST_CASE("each child is stopped by its own policy") {
  supervisor s{{.stuck_limit = 30s},
               {child_with(permanent, infinity), child_with(permanent, brutal_kill),
                child_with(permanent, 2s)}};
  s.all_up();
  CHECK(s.stop() == "stop 2#1");
  CHECK(s.armed.at(2).which == deadline_kind::shutdown);
  CHECK(s.armed.at(2).after == 2s);
  CHECK(s.stopped(2) == "kill 1#1");
  CHECK(s.armed.at(1).which == deadline_kind::stuck);
  CHECK(s.ended(1, exit_reason::killed()) == "stop 0#1");
  CHECK(s.armed.at(0).which == deadline_kind::stuck);
  CHECK(s.armed.at(0).after == 30s);
  CHECK(s.late(0) == "stuck 0#1");
  CHECK(s.stopped(0) == "exit shutdown");
}

TEST_CASE("a child that misses its shutdown deadline is killed, waited for, then stuck") {
  supervisor s{{}, permanent_children(1)};
  s.all_up();
  s.stop();
  CHECK(s.late(0) == "kill 0#1");
  CHECK(s.armed.at(0).after == 30s);
  CHECK(s.late(0) == "stuck 0#1");
  CHECK_FALSE(s.mind.over());
  CHECK(s.ended(0, exit_reason::killed()) == "shutdown_error 0#1, exit shutdown");
}

TEST_CASE("a stopped child that ends with another reason is reported and nothing else changes") {
  supervisor s{{}, {child_with(permanent), child_with(transient)}};
  s.all_up();
  s.stop();
  CHECK(s.ended(1, exit_reason::normal()) == "stop 0#1");
  CHECK(s.ended(0, exit_reason::normal()) == "shutdown_error 0#1, exit shutdown");
}

TEST_CASE("under one_for_one only the child that ended is restarted") {
  supervisor s{{}, permanent_children(3)};
  s.all_up();
  CHECK(s.crashed(1) == "child_terminated 1#1, start 1#2");
  CHECK(s.mind.state(0) == child_state::running);
  CHECK(s.started(1) == "");
  CHECK(s.mind.view(1).restarts == 1);
}

TEST_CASE("under one_for_one children restart side by side, and calls wait only if serial") {
  for (const bool serial : {false, true}) {
    supervisor s{{.serial = serial}, permanent_children(2)};
    s.all_up();
    CHECK(s.crashed(0) == (serial ? "" : "child_terminated 0#1, start 0#2"));
    if (serial) CHECK(s.judged(0) == "child_terminated 0#1, start 0#2");
    CHECK(s.mind.busy() == serial);
    CHECK(s.crashed(1) == (serial ? "" : "child_terminated 1#1, start 1#2"));
    if (serial) CHECK(s.judged(1) == "child_terminated 1#1, start 1#2");
    s.started(1);
    CHECK(s.mind.busy() == serial);
    s.started(0);
    CHECK_FALSE(s.mind.busy());
  }
}

TEST_CASE("a call whose start fails while the child's group is restarted is answered") {
  supervisor s{{.strategy = one_for_all}, permanent_children(3)};
  s.all_up();
  s.mind.terminate_child(1, no_call, s.out);
  CHECK(s.done() == "stop 1#1");
  CHECK(s.stopped(1) == "hold 1#1");
  s.mind.restart_child(1, 7, s.out);
  CHECK(s.done() == "start 1#2 afresh");
  CHECK(s.crashed(0) == "child_terminated 0#1, stop 2#1");
  CHECK(s.start_failed(1) == "answer 7 failed");
  CHECK(s.stopped(2) == "start 0#2 afresh");
}

TEST_CASE("a child restarted alone keeps its mailbox unless its spec drops it") {
  supervisor s{{}, {child_with(permanent), child_with(permanent, 5s, false)}};
  s.all_up();
  CHECK(s.crashed(0) == "child_terminated 0#1, start 0#2");
  CHECK(s.crashed(1) == "child_terminated 1#1, start 1#2 afresh");
}

TEST_CASE("a child whose address is taken over goes on counting and starts afresh") {
  supervisor s{{}};
  s.mind.add(child_with(permanent), 7);
  CHECK(s.begin() == "start 0#8 afresh");
}

TEST_CASE("a transient child that ended cleanly stays stopped and may be heard of no more") {
  supervisor s{{}, {child_with(transient)}};
  s.all_up();
  CHECK(s.ended(0, exit_reason::normal()) == "hold 0#1");
  CHECK(s.mind.state(0) == child_state::stopped);
  CHECK(s.ended(0, exit_reason::normal()) == "");
  CHECK(s.stop() == "exit shutdown");
}

TEST_CASE("a temporary child that ended loses its spec and touches no sibling and no budget") {
  supervisor s{{.strategy = one_for_all, .intensity = {0, 5s}},
               {child_with(permanent), child_with(temporary), child_with(temporary)}};
  s.all_up();
  CHECK(s.crashed(1) == "child_terminated 1#1, remove 1#1");
  CHECK(s.ended(2, exit_reason::normal()) == "remove 2#1");
  CHECK(s.mind.size() == 1);
  CHECK(s.mind.state(0) == child_state::running);
}

TEST_CASE("a removed child's place is used again, behind all others") {
  supervisor s{{}, {child_with(temporary), child_with(permanent)}};
  s.all_up();
  s.crashed(0);
  CHECK(s.mind.add(child_with(permanent)) == 0);
  CHECK(s.mind.first() == 1);
  CHECK(s.mind.next(1) == 0);
  CHECK(s.mind.next(0) == no_child);
  CHECK(s.mind.view(0).last_reason == nullptr);
}

TEST_CASE("under one_for_all the others stop in reverse, then all start in order") {
  supervisor s{{.strategy = one_for_all}, permanent_children(3)};
  s.all_up();
  CHECK(s.crashed(1) == "child_terminated 1#1, stop 2#1");
  CHECK(s.stopped(2) == "stop 0#1");
  CHECK(s.stopped(0) == "start 0#2 afresh");
  CHECK(s.started(0) == "start 1#2 afresh");
  CHECK(s.started(1) == "start 2#2 afresh");
  CHECK(s.mind.busy());
  CHECK(s.started(2) == "");
  CHECK_FALSE(s.mind.busy());
}

TEST_CASE("a group's restart brings back what was stopped and ends what is temporary") {
  supervisor s{{.strategy = one_for_all},
               {child_with(transient), child_with(permanent), child_with(temporary)}};
  s.all_up();
  CHECK(s.ended(0, exit_reason::normal()) == "hold 0#1");
  CHECK(s.crashed(1) == "child_terminated 1#1, stop 2#1");
  CHECK(s.stopped(2) == "remove 2#1, start 0#2 afresh");
  CHECK(s.started(0) == "start 1#2 afresh");
  CHECK(s.started(1) == "");
}

TEST_CASE("one end is one counted restart, and deaths before the group's stop are absorbed") {
  supervisor s{{.strategy = one_for_all, .intensity = {1, 5s}}, permanent_children(4)};
  s.all_up();
  CHECK(s.crashed(3) == "child_terminated 3#1, stop 2#1");
  CHECK(s.crashed(0) == "");
  CHECK(s.crashed(1) == "");
  CHECK(s.stopped(2) == "shutdown_error 1#1, shutdown_error 0#1, start 0#2 afresh");
  for (child_index c : {0u, 1u, 2u, 3u}) s.started(c);
  CHECK_FALSE(s.mind.busy());
  CHECK(s.mind.history().size() == 1);
}

TEST_CASE("a child that ends after its group has started it is judged when the group is back") {
  supervisor s{{.strategy = one_for_all}, permanent_children(2)};
  s.all_up();
  s.crashed(1);
  CHECK(s.stopped(0) == "start 0#2 afresh");
  CHECK(s.started(0) == "start 1#2 afresh");
  CHECK(s.crashed(0) == "");
  CHECK(s.started(1) == "child_terminated 0#2, stop 1#2");
}

TEST_CASE("a failed restart is reported, retried through the mailbox's tail and counted again") {
  supervisor s{{.intensity = {3, 5s}}, permanent_children(2)};
  s.all_up();
  CHECK(s.crashed(0) == "child_terminated 0#1, start 0#2");
  CHECK(s.start_failed(0) == "start_error 0#2, retry 0#2");
  CHECK(s.mind.state(0) == child_state::restarting);
  CHECK(s.retry(0) == "start 0#3");
  CHECK(s.start_failed(0) == "start_error 0#3, retry 0#3");
  CHECK(s.retry(0) == "start 0#4");
  CHECK(s.start_failed(0) == "start_error 0#4, retry 0#4");
  CHECK(s.retry(0) == "shutdown 0#4, stop 1#1");
  CHECK(s.stopped(1) == "exit exhausted");
}

TEST_CASE("a stale retry changes nothing") {
  supervisor s{{}, permanent_children(1)};
  s.all_up();
  s.crashed(0);
  s.start_failed(0);
  const auto old = s.last(0);
  s.retry(0);
  s.mind.retry(0, old, s.now, s.out);
  CHECK(s.done() == "");
  s.start_failed(0);
  s.mind.retry(0, old, s.now, s.out);
  CHECK(s.done() == "");
}

TEST_CASE("in a group the sibling that fails to start is the one that is restarting") {
  supervisor s{{.strategy = one_for_all}, permanent_children(3)};
  s.all_up();
  s.crashed(0);
  s.stopped(2);
  CHECK(s.stopped(1) == "start 0#2 afresh");
  CHECK(s.started(0) == "start 1#2 afresh");
  CHECK(s.start_failed(1) == "start_error 1#2, retry 1#2");
  CHECK(s.mind.state(0) == child_state::running);
  CHECK(s.mind.state(1) == child_state::restarting);
  CHECK(s.mind.state(2) == child_state::stopped);
  CHECK(s.retry(1) == "stop 0#2");
  CHECK(s.stopped(0) == "start 0#3 afresh");
  CHECK(s.started(0) == "start 1#3 afresh");
  CHECK(s.started(1) == "start 2#2 afresh");
  CHECK(s.started(2) == "");
}

TEST_CASE("a death that a group's stop has absorbed stays so when the group cannot start") {
  supervisor s{{.strategy = one_for_all}, permanent_children(4)};
  s.all_up();
  CHECK(s.crashed(3) == "child_terminated 3#1, stop 2#1");
  CHECK(s.crashed(1) == "");
  CHECK(s.stopped(2) == "shutdown_error 1#1, stop 0#1");
  CHECK(s.stopped(0) == "start 0#2 afresh");
  CHECK(s.start_failed(0) == "start_error 0#2, retry 0#2");
  CHECK(s.mind.state(1) == child_state::stopped);
}

TEST_CASE("another crash before the retry restarts the group and makes the retry stale") {
  supervisor s{{.strategy = one_for_all}, permanent_children(2)};
  s.all_up();
  s.crashed(1);
  s.stopped(0);
  s.started(0);
  CHECK(s.start_failed(1) == "start_error 1#2, retry 1#2");
  CHECK(s.crashed(0) == "child_terminated 0#2, start 0#3 afresh");
  CHECK(s.retry(1) == "");
  CHECK(s.started(0) == "start 1#3 afresh");
}

TEST_CASE("a supervisor out of budget reports it, stops all children and names the causes") {
  supervisor s{{.intensity = {1, 5s}}, permanent_children(2)};
  s.all_up();
  s.crashed(0);
  s.started(0);
  s.now += 5s;
  CHECK(s.crashed(0) == "child_terminated 0#2, shutdown 0#2, stop 1#1");
  CHECK(s.stopped(1) == "exit exhausted");
  CHECK(s.last_reason.text() ==
        "exhausted: the children needed more than 1 restarts in 5000 ms, the supervisor's limit, "
        "because crashed (at /shop/c0#2), because no paper");
}

TEST_CASE("a child out of its own budget takes its supervisor down, its siblings' do not count") {
  supervisor s{{.intensity = {100, 5s}, .per_child = intensity{1, 5s}}, permanent_children(3)};
  s.all_up();
  for (child_index c : {0u, 1u, 2u}) {
    s.crashed(c);
    s.started(c);
  }
  CHECK(s.crashed(1) == "child_terminated 1#2, shutdown 1#2, stop 2#2");
  s.stopped(2);
  CHECK(s.stopped(0) == "exit exhausted");
  CHECK(s.last_reason.text() ==
        "exhausted: child c1 needed more than 1 restarts in 5000 ms, the limit of each child, "
        "because crashed (at /shop/c1#2), because no paper");
}

TEST_CASE("where OTP's rule is asked for, a supervisor that gives up exits with shutdown") {
  supervisor s{{.intensity = {0, 5s}, .exhausted_is_shutdown = true}, permanent_children(1)};
  s.all_up();
  CHECK(s.crashed(0) == "child_terminated 0#1, shutdown 0#1, exit shutdown");
  CHECK(s.last_reason.why() == nullptr);
}

TEST_CASE("a cause that already names the child's place does not name it twice") {
  supervisor s{{.intensity = {0, 5s}}, permanent_children(1)};
  s.all_up();
  s.ended(0, exit_reason{exit_reason::kind::crashed, make_cause("no paper", "/shop/c0", 1)});
  CHECK(s.last_reason.text() ==
        "exhausted: the children needed more than 0 restarts in 5000 ms, the supervisor's limit, "
        "because crashed, because no paper (at /shop/c0#1)");
}

TEST_CASE("restarts that are further apart than the period go on for ever") {
  supervisor s{{.intensity = {1, 5s}}, permanent_children(1)};
  s.all_up();
  for (int i = 0; i < 100; ++i) {
    s.now += 5001ms;
    s.crashed(0);
    s.started(0);
  }
  CHECK(s.mind.view(0).restarts == 100);
}

TEST_CASE("a stop while children start stops those that started and the one that is starting") {
  supervisor s{{}, permanent_children(3)};
  s.begin();
  s.started(0);
  CHECK(s.stop() == "stop 1#1");
  CHECK(s.started(1) == "");
  CHECK(s.stopped(1) == "stop 0#1");
  CHECK(s.stopped(0) == "exit shutdown");
}

TEST_CASE("a stop during a rollback makes it an exit") {
  supervisor s{{}, permanent_children(2)};
  s.begin();
  s.started(0);
  s.start_failed(1);
  CHECK(s.stop() == "");
  CHECK(s.stopped(0) == "exit shutdown");
}

TEST_CASE("a stop during a group's restart replaces it and asks nobody twice") {
  supervisor s{{.strategy = one_for_all}, permanent_children(3)};
  s.all_up();
  CHECK(s.crashed(2) == "child_terminated 2#1, stop 1#1");
  CHECK(s.stop() == "");
  CHECK(s.stopped(1) == "stop 0#1");
  CHECK(s.stopped(0) == "exit shutdown");
}

TEST_CASE("a stop cancels a retry that waits") {
  supervisor s{{}, permanent_children(2)};
  s.all_up();
  s.crashed(1);
  s.start_failed(1);
  CHECK(s.stop() == "stop 0#1");
  CHECK(s.retry(1) == "");
  CHECK(s.stopped(0) == "exit shutdown");
}

TEST_CASE("a child that fails to start before a stop has reached it is not retried") {
  supervisor s{{}, permanent_children(2)};
  s.all_up();
  s.crashed(0);
  CHECK(s.stop() == "stop 1#1");
  CHECK(s.start_failed(0) == "start_error 0#2");
  CHECK(s.stopped(1) == "exit shutdown");
}

TEST_CASE("a significant child whose restart has failed is still there") {
  child_spec key = child_with(transient);
  key.significant = true;
  supervisor s{{.auto_shutdown = auto_shutdown::all_significant}, {key, key}};
  s.all_up();
  s.crashed(0);
  CHECK(s.start_failed(0) == "start_error 0#2, retry 0#2");
  CHECK(s.ended(1, exit_reason::normal()) == "hold 1#1");
  CHECK(s.retry(0) == "start 0#3");
  s.started(0);
  CHECK(s.ended(0, exit_reason::normal()) == "hold 0#3, exit shutdown");
}

TEST_CASE("a stop takes over a child that is being killed for its late start") {
  supervisor s{{}, permanent_children(1)};
  s.begin();
  CHECK(s.late(0) == "kill 0#1");
  CHECK(s.stop() == "");
  CHECK(s.ended(0, exit_reason::killed()) == "shutdown_error 0#1, exit shutdown");
}

TEST_CASE("a supervisor that is killed kills all children at once, even those it had asked") {
  supervisor s{{}, permanent_children(3)};
  s.all_up();
  CHECK(s.stop() == "stop 2#1");
  s.mind.kill(s.now, s.out);
  CHECK(s.done() == "kill 2#1, kill 1#1, kill 0#1");
  CHECK(s.ended(0, exit_reason::killed()) == "");
  CHECK(s.ended(2, exit_reason::killed()) == "");
  CHECK(s.ended(1, exit_reason::killed()) == "exit killed");
}

TEST_CASE("a stop before the beginning exits at once, and nothing begins after it") {
  supervisor s{{}, permanent_children(2)};
  CHECK(s.stop() == "exit shutdown");
  CHECK(s.begin() == "");
}

TEST_CASE("notices of former incarnations and second notices are ignored") {
  supervisor s{{}, permanent_children(1)};
  s.all_up();
  s.crashed(0);
  s.mind.ended(0, 1, crash(), s.now, s.out);
  s.mind.started(0, 1, s.now, s.out);
  s.mind.start_failed(0, 1, crash(), s.now, s.out);
  s.mind.deadline(0, 1, deadline_kind::start, s.now, s.out);
  s.mind.ended(99, 1, crash(), s.now, s.out);
  CHECK(s.done() == "");
  s.started(0);
  CHECK(s.started(0) == "");
  s.mind.deadline(0, 2, deadline_kind::start, s.now, s.out);
  CHECK(s.done() == "");
}

TEST_CASE("the last 16 failures are remembered, and of each child its own last one") {
  supervisor s{{.intensity = {1000, 5s}}, permanent_children(2)};
  s.all_up();
  for (int i = 0; i < 20; ++i) {
    s.now += 1ms;
    s.crashed(1);
    s.started(1);
  }
  const auto history = s.mind.history();
  REQUIRE(history.size() == decision::history_length);
  CHECK(history.front().incarnation == 5);
  CHECK(history.back().incarnation == 20);
  CHECK(history.back().at == 20ms);
  CHECK(s.mind.view(1).restarts == 20);
  CHECK(s.mind.view(1).started_at == 20ms);
  CHECK(s.mind.view(1).last_reason->text() == "crashed: no paper");
  CHECK(s.mind.view(0).last_reason == nullptr);
}

TEST_CASE("a group of 10,000 children is restarted in two orderly passes") {
  supervisor s{{.strategy = one_for_all}, permanent_children(10'000)};
  s.all_up();
  std::string next = s.crashed(5'000);
  for (child_index c = 10'000; c-- > 0;)
    if (c != 5'000) next = s.stopped(c);
  CHECK(next == "start 0#2 afresh");
  for (child_index c = 0; c < 10'000; ++c) next = s.started(c);
  CHECK(next == "");
  CHECK_FALSE(s.mind.busy());
}

namespace {

/// A world of children that start, fail, end, hang and obey at random, and checks at each step
/// what must hold whatever they do.
class world {
 public:
  explicit world(std::uint32_t seed) : random_(seed), spec_(any_spec()), mind_(spec_) {
    const unsigned children = below(7);
    for (unsigned i = 0; i < children; ++i) {
      const child_spec p = any_policy();
      temporary_.push_back(p.restart == coppice::restart::temporary);
      mind_.add(p);
    }
    bodies_.resize(children);
  }

  void run() {
    mind_.begin(now_, out_);
    carry_out();
    for (int i = 0; i < 400 && !over_; ++i) step();
    if (!over_ && !mind_.over()) {
      mind_.stop(exit_reason::shutdown(), now_, out_);
      asked_ = true;
      carry_out();
    }
    for (int i = 0; i < 400 && !over_; ++i) {
      REQUIRE(settle());  // else it would wait for ever
    }
    REQUIRE(over_);
    REQUIRE(mind_.over());
    poke_at_the_dead();
  }

 private:
  enum class life { down, starting, running, stopping, killed };
  struct body {
    life state = life::down;
    std::uint32_t incarnation = 0;
    deadline_kind armed = deadline_kind::none;
    milliseconds until{0};
    bool retry = false;
    bool stuck = false;
  };

  supervisor_spec any_spec() {
    supervisor_spec s;
    s.strategy = chance(2) ? one_for_one : one_for_all;
    s.intensity = {below(6), milliseconds{1 + random_() % 2000}};
    if (chance(3)) s.per_child = intensity{below(4), milliseconds{1 + random_() % 2000}};
    s.stuck_limit = milliseconds{1 + random_() % 1000};
    return s;
  }
  child_spec any_policy() {
    child_spec p;
    p.restart = static_cast<coppice::restart>(random_() % 3);
    const auto how = random_() % 4;
    p.shutdown = how == 0   ? brutal_kill
                 : how == 1 ? infinity
                            : coppice::shutdown{milliseconds{random_() % 100}};
    p.start_deadline = milliseconds{1 + random_() % 100};
    return p;
  }
  exit_reason any_reason() {
    switch (random_() % 4) {
      case 0: return exit_reason::normal();
      case 1: return exit_reason::shutdown();
      case 2: return exit_reason::killed();
      default: return crash();
    }
  }
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  bool chance(unsigned one_in) { return below(one_in) == 0; }

  void step() {
    now_ += milliseconds{random_() % 20};
    if (chance(150)) {
      asked_ = true;
      mind_.stop(exit_reason::shutdown(), now_, out_);
    } else if (chance(400)) {
      asked_ = killed_ = true;
      mind_.kill(now_, out_);
    } else if (!bodies_.empty()) {
      act(static_cast<child_index>(random_() % bodies_.size()), false);
    }
    carry_out();
  }

  /// Lets whatever is under way come to its end. False: nothing is.
  bool settle() {
    for (child_index c = 0; c < bodies_.size(); ++c) {
      const life s = bodies_[c].state;
      if (s != life::starting && s != life::stopping && s != life::killed) continue;
      act(c, true);
      carry_out();
      return true;
    }
    return false;
  }

  void act(child_index c, bool hurry) {
    body& b = bodies_[c];
    if (b.retry && chance(2)) {
      b.retry = false;
      mind_.retry(c, b.incarnation, now_, out_);
      return;
    }
    if (chance(6)) {  // something late from a former life
      if (chance(2)) mind_.ended(c, b.incarnation - 1, any_reason(), now_, out_);
      else mind_.deadline(c, b.incarnation - 1, deadline_kind::shutdown, now_, out_);
      REQUIRE(out_.empty());
    }
    switch (b.state) {
      case life::down: return;
      case life::starting:
        if (b.armed != deadline_kind::none && chance(3)) return fire(c);
        if (chance(3)) return down(c, chance(2) ? any_reason() : crash());
        b.state = life::running;
        mind_.started(c, b.incarnation, now_, out_);
        return;
      case life::running:
        if (chance(8)) down(c, any_reason());
        return;
      case life::stopping:
      case life::killed:
        if (b.armed != deadline_kind::none && chance(3)) return fire(c);
        if (!hurry && !chance(3)) return;
        down(c, b.state == life::killed ? exit_reason::killed() : any_reason());
        return;
    }
  }
  void fire(child_index c) {
    body& b = bodies_[c];
    now_ = std::max(now_, b.until);
    const auto which = std::exchange(b.armed, deadline_kind::none);
    mind_.deadline(c, b.incarnation, which, now_, out_);
    REQUIRE_FALSE(out_.empty());
  }
  void down(child_index c, exit_reason why) {
    body& b = bodies_[c];
    b.state = life::down;
    mind_.ended(c, b.incarnation, std::move(why), now_, out_);
  }

  void carry_out() {
    for (const action& a : out_) carry_out(a);
    out_.clear();
    for (child_index c = 0; c < bodies_.size(); ++c)
      if (!mind_.awaits(c, bodies_[c].incarnation, bodies_[c].armed))
        bodies_[c].armed = deadline_kind::none;
    if (mind_.up()) within_budget();
    unsigned moving = 0;
    bool agreed = true;
    bool bounded = true;
    for (child_index c = mind_.first(); c != no_child; c = mind_.next(c)) {
      const auto state = mind_.state(c);
      const body& b = bodies_[c];
      const bool moves = state == child_state::starting || state == child_state::stopping ||
                         state == child_state::killing;
      moving += moves;
      agreed = agreed && (b.state != life::down) == (moves || state == child_state::running);
      bounded = bounded && (!moves || b.armed != deadline_kind::none || b.stuck);
    }
    REQUIRE(agreed);
    REQUIRE(bounded);  // nothing is under way that no deadline ends
    // One plan, and a sequential one: no two children of a group are on the move.
    if (spec_.strategy == one_for_all && !killed_) REQUIRE(moving <= 1);
  }

  void carry_out(const action& a) {
    REQUIRE_FALSE(over_);  // nothing is to be done after the end
    body* b = a.child == no_child ? nullptr : &bodies_[a.child];
    do_it(a, b);
    if (a.which == deadline_kind::none) return;
    REQUIRE(b->incarnation == a.incarnation);
    b->armed = a.which;
    b->until = now_ + a.after;
  }
  void do_it(const action& a, body* b) {
    switch (a.what) {
      case kind::start:
        REQUIRE(b->state == life::down);
        REQUIRE(a.incarnation == b->incarnation + 1);
        REQUIRE_FALSE(asked_);
        *b = {};
        b->state = life::starting;
        b->incarnation = a.incarnation;
        if (!up_) REQUIRE(a.child == next_to_start_++);
        if (up_ && spec_.strategy == one_for_all) REQUIRE(a.drop_mailbox);
        last_asked_ = no_child;
        break;
      case kind::stop:
        REQUIRE((b->state == life::starting || b->state == life::running));
        b->state = life::stopping;
        in_reverse(a.child);
        break;
      case kind::kill:
        REQUIRE(b->state != life::down);
        if (b->state == life::running) in_reverse(a.child);
        b->state = life::killed;
        break;
      case kind::retry_later:
        REQUIRE(b->state == life::down);
        b->retry = true;
        break;
      case kind::remove: REQUIRE(temporary_[a.child]); break;
      case kind::hold: REQUIRE(b->state == life::down); break;
      case kind::stuck: b->stuck = true; break;
      case kind::report:
        if (a.about == report_context::shutdown) asked_ = true;
        if (a.about == report_context::start_error && !up_) asked_ = true;
        break;
      case kind::answer: FAIL("nobody has called"); break;
      case kind::rest: FAIL("there are not so many children"); break;
      case kind::up:
        REQUIRE_FALSE(up_);
        up_ = true;
        break;
      case kind::exit:
      case kind::fail_start:
        for (const body& each : bodies_) REQUIRE(each.state == life::down);
        REQUIRE((a.what == kind::exit || !up_));
        over_ = true;
        break;
    }
  }

  /// Children are asked in the exact reverse of the order in which they were started.
  void in_reverse(child_index c) {
    REQUIRE(c < last_asked_);
    last_asked_ = c;
  }

  void within_budget() {
    const auto history = mind_.history();
    const auto counted = [&](child_index whose, const intensity& limit) {
      const auto n = std::count_if(history.begin(), history.end(), [&](const auto& h) {
        return h.at >= now_ - limit.period && (whose == no_child || h.child == whose);
      });
      return static_cast<unsigned>(n);
    };
    REQUIRE(counted(no_child, spec_.intensity) <= spec_.intensity.restarts);
    if (!spec_.per_child) return;
    for (child_index c = 0; c < bodies_.size(); ++c)
      REQUIRE(counted(c, *spec_.per_child) <= spec_.per_child->restarts);
  }

  void poke_at_the_dead() {
    for (child_index c = 0; c < bodies_.size(); ++c) {
      mind_.started(c, bodies_[c].incarnation, now_, out_);
      mind_.ended(c, bodies_[c].incarnation, crash(), now_, out_);
      mind_.retry(c, bodies_[c].incarnation, now_, out_);
      mind_.deadline(c, bodies_[c].incarnation, deadline_kind::stuck, now_, out_);
    }
    mind_.stop(exit_reason::shutdown(), now_, out_);
    mind_.kill(now_, out_);
    REQUIRE(out_.empty());
  }

  std::mt19937 random_;
  supervisor_spec spec_;
  decision mind_;
  std::vector<body> bodies_;
  std::vector<bool> temporary_;
  std::vector<action> out_;
  milliseconds now_{0};
  child_index next_to_start_ = 0;
  child_index last_asked_ = no_child;
  bool asked_ = false;
  bool killed_ = false;
  bool up_ = false;
  bool over_ = false;
};

}  // namespace

TEST_CASE("whatever children do, a supervisor keeps order, keeps its budget and comes to an end") {
  for (std::uint32_t seed = 1; seed <= 2'000; ++seed) {
    CAPTURE(seed);
    world{seed}.run();
  }
}
