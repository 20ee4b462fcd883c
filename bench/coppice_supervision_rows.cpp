// SPDX-License-Identifier: BSD-3-Clause
#include "coppice_supervision_rows.hpp"

#include "coppice_house.hpp"

#include <coppice/supervision/calls.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace coppice::bench {

namespace {

using std::uint64_t;

// ---- numbered children, and who crashes them ------------------------------------------------

struct numbered_ready {
  ref<crash> who;
  uint64_t number;
};
struct crash_all {
  uint64_t first_few;
  uint64_t times;
  uint64_t expected;
};

class numbered_victim : public actor<crash> {
 public:
  numbered_victim(ref<numbered_ready> tester, uint64_t number)
      : tester_(std::move(tester)), number_(number) {}

  void started() { send(tester_, numbered_ready{self(), number_}); }
  void on(const crash&) { throw std::runtime_error("boom"); }

 private:
  ref<numbered_ready> tester_;
  uint64_t number_;
};

/// Opens the gate when so many children have announced themselves, and crashes the first few,
/// each so many times.
class drill : public actor<crash_all, numbered_ready> {
 public:
  drill(gate* finished, uint64_t expected)
      : done_(finished), awaited_(expected), known_(expected) {}

  void on(const crash_all& event) {
    awaited_ = event.expected;
    for (uint64_t i = 0; i < event.first_few; ++i) {
      known_[i].crashes_left = event.times;
      crash_one(known_[i]);
    }
  }
  void on(const numbered_ready& event) {
    auto& child = known_[event.number];
    child.address = event.who;
    if (child.crashes_left > 0) crash_one(child);
    if (--awaited_ == 0) done_->open();
  }

 private:
  struct target {
    ref<crash> address;
    uint64_t crashes_left = 0;
  };

  void crash_one(target& which) {
    --which.crashes_left;
    send(which.address, crash{});
  }

  gate* done_;
  uint64_t awaited_;
  std::vector<target> known_;
};

/// A tester, and beside it a supervisor of so many children, all of which have announced
/// themselves when this is constructed.
class drilled_house {
 public:
  drilled_house(strategy chosen, uint64_t count)
      : all_([=, this](children& bench) {
          auto tester = bench.add<drill>("tester", &done_, count);
          tester_ = tester;
          bench.supervise("group", [=](children& group) {
            group.strategy(chosen).intensity(endless_restarts, 1s);
            for (uint64_t i = 0; i < count; ++i) group.add<numbered_victim>(child_id(i), tester, i);
          });
        }) {
    done_.wait();
  }

  /// Until so many announcements have come; seconds.
  double crash_first(uint64_t first_few, uint64_t times, uint64_t expected) {
    stopwatch watch;
    all_.send(tester_, crash_all{first_few, times, expected});
    done_.wait();
    return watch.seconds();
  }

  /// Every child has been started anew so often, and nothing was lost.
  void check_restarts(uint64_t restarts) {
    auto tree = all_.snapshot();
    const auto& group = tree.children.at(1).children;
    check(std::all_of(group.begin(), group.end(),
                      [=](const tree_node& child) { return child.incarnation == restarts + 1; }),
          "restarts were not recorded");
    check(group.at(0).last_reason.find("boom") != std::string::npos, "the cause was not recorded");
    all_.check_nothing_lost();
  }

 private:
  gate done_;
  ref<crash_all> tester_;
  house all_;
};

}  // namespace

// ---- restart_1000, one_for_all ---------------------------------------------------------------

void restart_1000() {
  constexpr auto crashes = restart_children * crashes_per_child;
  drilled_house all(one_for_one, restart_children);
  auto seconds = all.crash_first(restart_children, crashes_per_child, crashes);
  report("restart_1000", static_cast<double>(crashes) / seconds, "restarts/s");
  all.check_restarts(crashes_per_child);
}

void one_for_all() {
  drilled_house all(coppice::one_for_all, group_children);
  std::vector<double> samples;
  for (uint64_t i = 0; i < group_restarts; ++i)
    samples.push_back(1e3 * all.crash_first(1, 1, group_children));
  report("one_for_all", percentile(samples, 50), "ms");
  all.check_restarts(group_restarts);
}

// ---- start, stop, million --------------------------------------------------------------------

namespace {

struct open_desk {
  uint64_t number;
  using reply = ref<crash>;
};
struct open_all {
  uint64_t count;
};

class desk : public actor<crash> {
 public:
  explicit desk(open_desk arguments) : number_(arguments.number) {}

  void on(const crash&) { throw std::runtime_error("desk " + std::to_string(number_)); }

 private:
  uint64_t number_;
};

/// Asks for so many children, for the next one when the one before has started.
class opener : public actor<open_all> {
 public:
  opener(dynamic_ref<open_desk> desks, gate* finished)
      : desks_(std::move(desks)), done_(finished) {}

  task<> on(const open_all& event) {
    for (uint64_t i = 0; i < event.count; ++i) {
      auto asked = ask(desks_, open_desk{i}, 5s);
      auto started = co_await asked;
      started.value();
    }
    done_->open();
  }

 private:
  dynamic_ref<open_desk> desks_;
  gate* done_;
};

/// A supervisor of dynamic children, and beside it who asks for them.
class dynamic_house {
 public:
  /// Seconds.
  double start(uint64_t count) {
    stopwatch watch;
    all_.send(opener_, open_all{count});
    done_.wait();
    return watch.seconds();
  }
  double stop() {
    stopwatch watch;
    all_.ask(parent_, terminate_child{"desks"});
    return watch.seconds();
  }
  double snapshot(uint64_t expected) {
    stopwatch watch;
    auto tree = all_.snapshot();
    auto seconds = watch.seconds();
    check(tree.children.at(0).children.size() == expected, "children are missing");
    return seconds;
  }
  void check_nothing_lost() const { all_.check_nothing_lost(); }

 private:
  gate done_;
  ref<open_all> opener_;
  supervisor_ref parent_;
  house all_{[this](children& bench) {
    auto desks = bench.dynamic<desk, open_desk>("desks");
    opener_ = bench.add<opener>("opener", desks, &done_);
    parent_ = bench.self();
  }};
};

double us_per_child(double seconds) {
  return 1e6 * seconds / static_cast<double>(dynamic_children);
}

}  // namespace

void start() {
  dynamic_house all;
  report("start", us_per_child(all.start(dynamic_children)), "us");
  all.snapshot(dynamic_children);
  all.check_nothing_lost();
}

void stop() {
  dynamic_house all;
  all.start(dynamic_children);
  report("stop", us_per_child(all.stop()), "us");
  all.snapshot(0);
  all.check_nothing_lost();
}

void million() {
  constexpr uint64_t count = 1'000'000;
  constexpr double mebibyte = 1024.0 * 1024.0;
  dynamic_house all;
  auto before = resident_bytes();
  auto start = all.start(count);
  auto grown = resident_bytes() - before;
  auto snapshot = all.snapshot(count);
  auto peak = peak_resident_bytes() - before;
  auto stop = all.stop();
  report("million", start + snapshot + stop, "s");
  report("million_start", start, "s");
  report("million_snapshot", snapshot, "s");
  report("million_stop", stop, "s");
  report("million_rss", grown / mebibyte, "MiB");
  report("million_peak_rss", peak / mebibyte, "MiB");
  all.check_nothing_lost();
}

// ---- snapshot_beside_ping_pong ---------------------------------------------------------------

namespace {

class idler : public actor<hop> {
 public:
  void on(const hop&) {}
};

}  // namespace

void snapshot_beside_ping_pong() {
  constexpr uint64_t hops = 20 * ping_pong_round_trips;
  gate done;
  ref<meet, hop> ping, pong;
  house all([&](children& bench) {
    ping = bench.add<hopper>("ping", &done);
    pong = bench.add<hopper>("pong", &done);
    bench.supervise("idle", [](children& idle) {
      for (uint64_t i = 0; i < snapshot_children; ++i) idle.add<idler>(child_id(i));
    });
  });
  all.send(ping, meet{pong});
  all.send(pong, meet{ping});
  auto hops_per_second = [&] {
    stopwatch watch;
    all.send(ping, hop{hops});
    done.wait();
    return static_cast<double>(hops) / watch.seconds();
  };
  hops_per_second();  // every actor knows its neighbour afterwards
  auto alone = hops_per_second();

  std::atomic<bool> over{false};
  uint64_t snapshots = 0;
  bool complete = true;
  stopwatch watch;
  std::thread taker([&] {
    for (; !over; ++snapshots)
      complete = complete && all.snapshot().children.at(2).children.size() == snapshot_children;
  });
  auto beside = hops_per_second();
  over = true;
  taker.join();
  auto seconds = watch.seconds();
  check(complete, "a snapshot was not complete");
  report("snapshot_beside_ping_pong", beside, "msgs/s");
  report("ping_pong_without_snapshots", alone, "msgs/s");
  report("snapshots_taken", static_cast<double>(snapshots) / seconds, "snapshots/s");
}

}  // namespace coppice::bench
