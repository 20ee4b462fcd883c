// SPDX-License-Identifier: BSD-3-Clause
#include "coppice_guards.hpp"

#include "coppice_house.hpp"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <thread>
#include <vector>

#include <coppice/actors/detail/core.hpp>

namespace coppice::bench {

namespace {

using std::uint64_t;

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

double cpu_seconds() {
  std::timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

}  // namespace

// ---- idle_cpu ------------------------------------------------------------------------------

namespace {

class idle_one : public actor<hop> {
 public:
  void on(const hop&) {}
};

}  // namespace

void idle_cpu() {
  constexpr uint64_t actors = 10'000;
  house all([](children& bench) {
    for (uint64_t i = 0; i < actors; ++i) bench.add<idle_one>(child_id(i));
  });
  std::this_thread::sleep_for(500ms);
  stopwatch watch;
  auto before = cpu_seconds();
  std::this_thread::sleep_for(2s);
  report("idle_cpu", 100 * (cpu_seconds() - before) / watch.seconds(), "%");
}

// ---- fairness_p99 --------------------------------------------------------------------------

namespace {

struct stamp {
  uint64_t sent_ns;
};

class third_one : public actor<stamp> {
 public:
  third_one(std::vector<double>* micros, std::size_t wanted, gate* finished)
      : micros_(micros), wanted_(wanted), done_(finished) {}

  void on(const stamp& event) {
    micros_->push_back(static_cast<double>(now_ns() - event.sent_ns) / 1e3);
    if (micros_->size() == wanted_) done_->open();
  }

 private:
  std::vector<double>* micros_;
  std::size_t wanted_;
  gate* done_;
};

}  // namespace

void fairness_p99() {
  constexpr std::size_t wanted = 2000;
  constexpr uint64_t for_ever = ~uint64_t{0};
  gate done;
  std::vector<double> micros;
  ref<meet, hop> ping, pong;
  ref<stamp> third;
  house all(
      [&](children& bench) {
        ping = bench.add<hopper>("ping", &done);
        pong = bench.add<hopper>("pong", &done);
        third = bench.add<third_one>("third", &micros, wanted, &done);
      },
      2);
  all.send(ping, meet{pong});
  all.send(pong, meet{ping});
  all.send(ping, hop{for_ever});
  for (std::size_t i = 0; i < wanted; ++i) {
    std::this_thread::sleep_for(200us);
    all.send(third, stamp{now_ns()});
  }
  done.wait();
  report("fairness_p99", percentile(micros, 99), "us");
}

// ---- timers --------------------------------------------------------------------------------

namespace {

struct nanoseconds {
  uint64_t count;
};
struct arm_all {
  std::uint32_t count;
  using reply = nanoseconds;
};
struct cancel_all {
  using reply = nanoseconds;
};
struct due {
  uint64_t number;
};

class timekeeper : public actor<arm_all, cancel_all, due> {
 public:
  nanoseconds on(const arm_all& event) {
    armed_.reserve(event.count);
    auto start = now_ns();
    for (std::uint32_t i = 0; i < event.count; ++i)  // deadlines in no order
      armed_.push_back(send_after(1h + std::chrono::milliseconds(i * 7919U % event.count), due{i}));
    return {now_ns() - start};
  }
  nanoseconds on(const cancel_all&) {
    auto start = now_ns();
    for (auto& each : armed_) cancel(each);
    return {now_ns() - start};
  }
  void on(const due&) {}

 private:
  std::vector<timer> armed_;
};

}  // namespace

void timers() {
  constexpr std::uint32_t each_arms = 100'000;
  constexpr uint64_t keepers = 10;
  constexpr double all_timers = 1'000'000;
  static_assert(each_arms * keepers == all_timers);
  std::vector<timekeeper::address> timekeepers;
  house all([&](children& bench) {
    for (uint64_t i = 0; i < keepers; ++i)
      timekeepers.push_back(bench.add<timekeeper>(child_id(i)));
  });
  malloc_trim(0);
  auto before = resident_bytes();
  uint64_t spent = 0;
  for (auto& each : timekeepers) spent += all.ask(each, arm_all{each_arms}).count;
  auto grown = resident_bytes() - before;
  for (auto& each : timekeepers) spent += all.ask(each, cancel_all{}).count;
  report("timers", static_cast<double>(spent) / all_timers, "ns");
  report("timers_bytes", grown / all_timers, "bytes");
}

// ---- cost_ledger ---------------------------------------------------------------------------

namespace {

void ledger(std::string_view feature, double ns, double bytes) {
  auto name = "ledger:" + std::string(feature);
  report(name, ns, "ns");
  report(name, bytes, "bytes");
}

/// What `with` takes longer than `without`, each of which measures nanoseconds per event: the
/// median of the differences of runs side by side. May come out below zero by the noise.
template <class With, class Without>
double added(With with, Without without) {
  constexpr int pairs = 9;
  std::vector<double> differences;
  for (int i = 0; i < pairs; ++i) {
    auto base = without();
    differences.push_back(with() - base);
  }
  return std::max(0.0, percentile(differences, 50));
}

/// Nanoseconds per turn of a loop.
template <class Body>
double looped(uint64_t turns, Body body) {
  auto start = now_ns();
  for (uint64_t i = 0; i < turns; ++i) body();
  return static_cast<double>(now_ns() - start) / static_cast<double>(turns);
}

/// The memory of one envelope: the pool's blocks have fixed sizes.
constexpr double block(std::size_t size) {
  return static_cast<double>((size + detail::block_step - 1) / detail::block_step *
                             detail::block_step);
}

// Bounded mailbox: the lane alone, one thread. Notices travel through it uncounted, which is
// what an unbounded mailbox would be. The bound's counter is part of a word that is there anyway.
void bounded_mailbox() {
  constexpr uint64_t events = 2'000'000;
  auto through_lane = [](bool counted) {
    detail::lane mailbox;
    auto event = std::make_unique<detail::event_node<hop>>(hop{0});
    mailbox.accept();
    return looped(events, [&] {
      mailbox.push(event.get(), counted, 10'000);
      mailbox.take();
      if (counted) mailbox.consumed(1);
    });
  };
  ledger("bounded_mailbox",
         added([&] { return through_lane(true); }, [&] { return through_lane(false); }), 0);
}

// Counters: what a handled event costs in stores for the actor's count and for the watchdog.
void counters() {
  constexpr uint64_t events = 10'000'000;
  std::atomic<uint64_t> handled{0};
  detail::slice_mark mark;
  auto* event = &detail::event_type_of<hop>;
  auto with = [&] {
    return looped(events, [&] {
      handled.store(handled.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      mark.event.store(event, std::memory_order_relaxed);
      asm volatile("" ::: "memory");
    });
  };
  auto without = [&] { return looped(events, [] { asm volatile("" ::: "memory"); }); };
  ledger("counters", added(with, without), 0);
}

struct price {
  double ns;
};
struct ask_deadline_price {
  using reply = price;
};

// Deadline: inside an actor, a wait with one is entered and forgotten against a wait without one,
// which the runtime uses for itself; beside it what the receiver compares.
class deadline_keeper : public actor<ask_deadline_price> {
 public:
  price on(const ask_deadline_price&) {
    constexpr uint64_t asks = 2'000'000;
    detail::credit_node question;
    uint64_t expired = 0;
    auto with = [&] {
      return looped(asks, [&] {
        detail::waiting wait;
        question.until = cell_->deadline_in(5'000);
        cell_->expect(wait, question.until);
        if (question.until <= cell_->now()) ++expired;
        wait.forget();
      });
    };
    auto without = [&] {
      return looped(asks, [&] {
        detail::waiting wait;
        cell_->expect(wait, 0);
        wait.forget();
      });
    };
    auto ns = added(with, without);
    check(expired == 0, "5 s have passed in an instant");
    return {ns};
  }
};

void deadline() {
  ref<ask_deadline_price> keeper;
  house all([&](children& bench) { keeper = bench.add<deadline_keeper>("keeper"); });
  ledger("deadline", all.ask(keeper, ask_deadline_price{}).ns,
         sizeof(detail::request::until) + sizeof(detail::waiting::until));
}

class watcher : public actor<meet, ended> {
 public:
  void on(const meet& event) { watch(event.next); }
  void on(const ended&) {}
};

class crash_watcher : public actor<ready, ended> {
 public:
  void on(const ready& event) { watch(event.who); }
  void on(const ended&) {}
};

// Watch: a pair plays ping-pong on one worker, watched by a third actor or not. An event of a
// watched actor does nothing more than any other, so that this is zero but for the noise.
double watched_hops(bool watched) {
  constexpr uint64_t hops = 500'000;
  gate done;
  ref<meet, hop> ping, pong;
  ref<meet> guard;
  house all(
      [&](children& bench) {
        ping = bench.add<hopper>("ping", &done);
        pong = bench.add<hopper>("pong", &done);
        guard = bench.add<watcher>("guard");
      },
      1);
  if (watched) {
    all.send(guard, meet{ping});
    all.send(guard, meet{pong});
  }
  all.send(ping, meet{pong});
  all.send(pong, meet{ping});
  all.send(ping, hop{100});
  done.wait();
  auto start = now_ns();
  all.send(ping, hop{hops});
  done.wait();
  return static_cast<double>(now_ns() - start) / static_cast<double>(hops);
}

// End notice: what a crash costs more per watcher, on one worker.
double watched_crashes(uint64_t watchers) {
  constexpr uint64_t count = 300;
  gate done;
  ref<crashes> from;
  ref<crash> target;
  std::vector<ref<ready>> guards;
  house all(
      [&](children& bench) {
        bench.intensity(endless_restarts, 1s);
        auto tester = bench.add<crasher>("tester", &done);
        target = bench.add<victim>("victim", tester);
        from = tester;
        for (uint64_t i = 0; i < watchers; ++i)
          guards.push_back(bench.add<crash_watcher>(child_id(i)));
      },
      1);
  for (auto& each : guards) all.send(each, ready{target});
  all.send(from, crashes{1});
  done.wait();
  auto start = now_ns();
  all.send(from, crashes{count});
  done.wait();
  return static_cast<double>(now_ns() - start) / static_cast<double>(count);
}

void watch() {
  ledger("watch", added([] { return watched_hops(true); }, [] { return watched_hops(false); }), 0);
  constexpr uint64_t watchers = 100;
  ledger("end_notice",
         added([] { return watched_crashes(watchers); }, [] { return watched_crashes(0); }) /
             static_cast<double>(watchers),
         block(sizeof(detail::notice_node<ended>)));
}

}  // namespace

void cost_ledger() {
  bounded_mailbox();
  deadline();
  counters();
  watch();
}

}  // namespace coppice::bench
