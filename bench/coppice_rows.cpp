// SPDX-License-Identifier: BSD-3-Clause

// Our rows: all actors are supervised, with default limits, counters and reports.
// Usage: bench_coppice_rows ROW | --list | --list-guards

#include "coppice_guards.hpp"
#include "coppice_house.hpp"
#include "coppice_supervision_rows.hpp"

#include <malloc.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace coppice::bench;
using coppice::actor;
using coppice::children;
using coppice::ref;
using coppice::task;
using std::uint64_t;

// ---- ping_pong, ring -----------------------------------------------------------------------

double hops_per_second(uint64_t actors, uint64_t hops) {
  gate done;
  std::vector<hopper::address> hoppers;
  house all([&](children& bench) {
    for (uint64_t i = 0; i < actors; ++i) hoppers.push_back(bench.add<hopper>(child_id(i), &done));
  });
  for (uint64_t i = 0; i < actors; ++i) all.send(hoppers[i], meet{hoppers[(i + 1) % actors]});
  // One round outside the measurement: every actor knows its neighbour afterwards.
  all.send(hoppers[0], hop{actors});
  done.wait();
  stopwatch watch;
  all.send(hoppers[0], hop{hops});
  done.wait();
  auto seconds = watch.seconds();
  all.check_nothing_lost();
  return static_cast<double>(hops) / seconds;
}

void ping_pong() { report("ping_pong", hops_per_second(2, 2 * ping_pong_round_trips), "msgs/s"); }

void ring() { report("ring", hops_per_second(ring_actors, ring_hops), "hops/s"); }

// ---- ask -----------------------------------------------------------------------------------

struct answer {
  uint64_t number;
};
struct question {
  uint64_t number;
  using reply = answer;
};
struct go {
  uint64_t count;
};

class echo : public actor<question> {
 public:
  answer on(const question& event) { return {event.number}; }
};

class asker : public actor<go> {
 public:
  asker(ref<question> peer, gate* finished) : peer_(std::move(peer)), done_(finished) {}

  task<> on(const go& event) {
    for (auto left = event.count; left > 0; --left) {
      auto asked = ask(peer_, question{left}, 5s);
      auto got = co_await asked;
      if (got.value().number != left) stop(coppice::exit_reason::failed("a wrong answer"));
    }
    done_->open();
  }

 private:
  ref<question> peer_;
  gate* done_;
};

void ask() {
  gate done;
  ref<go> from;
  house all([&](children& bench) {
    auto peer = bench.add<echo>("echo");
    from = bench.add<asker>("asker", peer, &done);
  });
  stopwatch watch;
  all.send(from, go{ask_round_trips});
  done.wait();
  report("ask", static_cast<double>(ask_round_trips) / watch.seconds(), "asks/s");
  all.check_nothing_lost();
}

// ---- fan_in_4 ------------------------------------------------------------------------------

struct item {
  uint64_t number;
};

class counter : public actor<item> {
 public:
  counter(uint64_t expected, gate* finished) : left_(expected), done_(finished) {}

  void on(const item&) {
    if (--left_ == 0) done_->open();
  }

 private:
  uint64_t left_;
  gate* done_;
};

class producer : public actor<go> {
 public:
  explicit producer(ref<item> target) : target_(std::move(target)) {}

  task<> on(const go& event) {
    for (uint64_t i = 0; i < event.count;) {
      if (offer(target_, item{i})) {
        ++i;
        continue;
      }
      auto free = room(target_, 5s);
      auto waited = co_await free;
      waited.value();
    }
  }

 private:
  ref<item> target_;
};

void fan_in_4() {
  gate done;
  std::vector<ref<go>> producers;
  house all([&](children& bench) {
    auto target = bench.add<counter>("counter", fan_in_events, &done);
    for (uint64_t i = 0; i < fan_in_senders; ++i)
      producers.push_back(bench.add<producer>(child_id(i), target));
  });
  auto before = resident_bytes();
  stopwatch watch;
  for (auto& each : producers) all.send(each, go{fan_in_events / fan_in_senders});
  done.wait();
  report("fan_in_4", static_cast<double>(fan_in_events) / watch.seconds(), "events/s");
  report("fan_in_4_rss", (peak_resident_bytes() - before) / (1024.0 * 1024.0), "MiB");
  all.check_nothing_lost();
}

// ---- bytes, restart_1 ----------------------------------------------------------------------

class idler : public actor<crash> {
 public:
  explicit idler(ref<ready> tester) : tester_(std::move(tester)) {}
  void on(const crash&) {}

 private:
  ref<ready> tester_;
};

children::builder idlers(uint64_t first, uint64_t count) {
  return [=](children& bench) {
    for (auto i = first; i < first + count; ++i) bench.add<idler>(child_id(i), ref<ready>{});
  };
}

void bytes() {
  constexpr uint64_t warm_up = 1000;
  house all(idlers(0, warm_up));  // what is needed once is not a child's cost
  malloc_trim(0);
  auto before = resident_bytes();
  coppice::supervised_tree tree(all.system(), "idle", idlers(warm_up, idle_children),
                                &all.reports());
  tree.wait_until_up(60s).value();
  malloc_trim(0);
  report("bytes", (resident_bytes() - before) / static_cast<double>(idle_children), "bytes");
  // Ending 100,000 actors is no part of the row.
  std::_Exit(0);
}

void restart_1() {
  gate done;
  ref<crashes> from;
  house all([&](children& bench) {
    bench.intensity(endless_restarts, 1s);
    auto tester = bench.add<crasher>("tester", &done);
    bench.add<victim>(child_id(0), tester);
    from = tester;
  });
  stopwatch watch;
  all.send(from, crashes{restart_crashes});
  done.wait();
  report("restart_1", static_cast<double>(restart_crashes) / watch.seconds(), "restarts/s");
  auto child = all.snapshot().children.at(1);
  check(child.restarts == restart_crashes, "restarts were not recorded");
  check(child.last_reason.find("boom") != std::string::npos, "the cause was not recorded");
  all.check_nothing_lost();
}

// ---- idle_wake -----------------------------------------------------------------------------

struct wake {
  uint64_t sent_ns;
};

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

class sleeper : public actor<wake> {
 public:
  sleeper(double* micros, gate* finished) : micros_(micros), done_(finished) {}

  void on(const wake& event) {
    *micros_ = static_cast<double>(now_ns() - event.sent_ns) / 1e3;
    done_->open();
  }

 private:
  double* micros_;
  gate* done_;
};

void idle_wake() {
  gate done;
  double micros = 0;
  ref<wake> target;
  house all([&](children& bench) { target = bench.add<sleeper>("sleeper", &micros, &done); });
  std::vector<double> samples;
  for (uint64_t i = 0; i < wake_samples; ++i) {
    std::this_thread::sleep_for(wake_gap);
    all.send(target, wake{now_ns()});
    done.wait();
    samples.push_back(micros);
  }
  report("idle_wake", percentile(samples, 50), "us");
  report("idle_wake_p99", percentile(samples, 99), "us");
}

constexpr row<> rows[] = {
    {"ping_pong", ping_pong}, {"ask", ask},     {"fan_in_4", fan_in_4},
    {"ring", ring},           {"bytes", bytes}, {"restart_1", restart_1},
    {"idle_wake", idle_wake},
};

}  // namespace

int main(int argc, char** argv) {
  std::string_view name = argc == 2 ? argv[1] : "";
  if (name == "--list") {
    list_rows(rows);
    list_rows(supervision_rows);
    return 0;
  }
  if (name == "--list-guards") {
    std::fputs(guard_names, stdout);
    return 0;
  }
  auto* found = find_row(rows, name);
  if (found == nullptr) found = find_row(supervision_rows, name);
  if (found == nullptr) found = find_row(guards, name);
  if (found == nullptr) {
    std::fprintf(stderr, "usage: bench_coppice_rows ROW | --list | --list-guards\n");
    return 2;
  }
  try {
    found->run();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s: %s\n", argv[1], failure.what());
    return 1;
  }
  return 0;
}
