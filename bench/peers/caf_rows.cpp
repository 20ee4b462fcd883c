// SPDX-License-Identifier: BSD-3-Clause

// The rows on raw CAF 0.17.6, written as a CAF user who cares about speed would write them:
// `event_based_actor`, plain integers as messages, nothing looked up twice.
// Usage: bench_caf_rows ROW [stealing|sharing]

#include "rows.hpp"

#include <caf/all.hpp>

#include <malloc.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace coppice::bench;
using caf::actor;
using caf::actor_config;
using caf::behavior;
using caf::event_based_actor;
using std::uint64_t;

using crash_atom = caf::atom_constant<caf::atom("crash")>;
using start_atom = caf::atom_constant<caf::atom("start")>;
using stop_atom = caf::atom_constant<caf::atom("stop")>;

void end(const actor& which) { caf::anon_send_exit(which, caf::exit_reason::user_shutdown); }

// ---- ping_pong, ring -----------------------------------------------------------------------

class hopper : public event_based_actor {
 public:
  hopper(actor_config& config, gate& finished) : event_based_actor(config), done_(finished) {}

  behavior make_behavior() override {
    return {[this](const actor& next) { next_ = next; },
            [this](uint64_t hops_left) {
              if (hops_left == 0) done_.open();
              else send(next_, hops_left - 1);
            }};
  }

  void on_exit() override { next_ = nullptr; }

 private:
  gate& done_;
  actor next_;
};

double hops_per_second(caf::actor_system& system, uint64_t actors, uint64_t hops) {
  gate done;
  std::vector<actor> hoppers;
  for (uint64_t i = 0; i < actors; ++i) hoppers.push_back(system.spawn<hopper>(std::ref(done)));
  for (uint64_t i = 0; i < actors; ++i) caf::anon_send(hoppers[i], hoppers[(i + 1) % actors]);
  // One round outside the measurement: every actor knows its neighbour afterwards.
  caf::anon_send(hoppers[0], actors);
  done.wait();
  stopwatch watch;
  caf::anon_send(hoppers[0], hops);
  done.wait();
  auto seconds = watch.seconds();
  for (auto& each : hoppers) end(each);
  return static_cast<double>(hops) / seconds;
}

void ping_pong(caf::actor_system& system) {
  report("ping_pong", hops_per_second(system, 2, 2 * ping_pong_round_trips), "msgs/s");
}

void ring(caf::actor_system& system) {
  report("ring", hops_per_second(system, ring_actors, ring_hops), "hops/s");
}

// ---- ask -----------------------------------------------------------------------------------

class echo : public event_based_actor {
 public:
  using event_based_actor::event_based_actor;

  behavior make_behavior() override {
    return {[](uint64_t number) { return number; }};
  }
};

class asker : public event_based_actor {
 public:
  asker(actor_config& config, actor peer, gate& finished)
      : event_based_actor(config), peer_(std::move(peer)), done_(finished) {}

  behavior make_behavior() override {
    return {[this](uint64_t round_trips) {
      left_ = round_trips;
      ask_next();
    }};
  }

 private:
  void ask_next() {
    request(peer_, std::chrono::seconds(5), left_).then([this](uint64_t) {
      if (--left_ > 0) {
        ask_next();
      } else {
        done_.open();
        quit();
      }
    });
  }

  actor peer_;
  gate& done_;
  uint64_t left_ = 0;
};

void ask(caf::actor_system& system) {
  gate done;
  auto peer = system.spawn<echo>();
  auto from = system.spawn<asker>(peer, std::ref(done));
  stopwatch watch;
  caf::anon_send(from, ask_round_trips);
  done.wait();
  report("ask", static_cast<double>(ask_round_trips) / watch.seconds(), "asks/s");
  end(peer);
}

// ---- fan_in_4 ------------------------------------------------------------------------------

class counter : public event_based_actor {
 public:
  counter(actor_config& config, uint64_t expected, gate& finished)
      : event_based_actor(config), left_(expected), done_(finished) {}

  behavior make_behavior() override {
    return {[this](uint64_t) {
      if (--left_ == 0) {
        done_.open();
        quit();
      }
    }};
  }

 private:
  uint64_t left_;
  gate& done_;
};

class producer : public event_based_actor {
 public:
  producer(actor_config& config, actor target)
      : event_based_actor(config), target_(std::move(target)) {}

  behavior make_behavior() override {
    return {[this](uint64_t count) {
      for (uint64_t i = 0; i < count; ++i) send(target_, i);
      quit();
    }};
  }

 private:
  actor target_;
};

void fan_in_4(caf::actor_system& system) {
  gate done;
  auto target = system.spawn<counter>(fan_in_events, std::ref(done));
  std::vector<actor> producers;
  for (uint64_t i = 0; i < fan_in_senders; ++i) producers.push_back(system.spawn<producer>(target));
  auto before = resident_bytes();
  stopwatch watch;
  for (auto& each : producers) caf::anon_send(each, fan_in_events / fan_in_senders);
  done.wait();
  report("fan_in_4", static_cast<double>(fan_in_events) / watch.seconds(), "events/s");
  report("fan_in_4_rss", (peak_resident_bytes() - before) / (1024.0 * 1024.0), "MiB");
}

// ---- bytes, restart_1: a supervisor written by hand on monitors ----------------------------

// What the exception was travels in the error's context; CAF's own handler would print it.
caf::error record_exception(caf::scheduled_actor*, std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    return caf::make_error(caf::sec::runtime_error, std::string(typeid(e).name()),
                           std::string(e.what()));
  } catch (...) {
    return caf::make_error(caf::sec::runtime_error, std::string("unknown exception"));
  }
}

class worker : public event_based_actor {
 public:
  worker(actor_config& config, actor tester)
      : event_based_actor(config), tester_(std::move(tester)) {}

  behavior make_behavior() override {
    set_exception_handler(record_exception);
    send(tester_, actor{this});
    return {[](crash_atom) { throw std::runtime_error("boom"); }};
  }

  void on_exit() override { tester_ = nullptr; }

 private:
  actor tester_;
};

class supervisor : public event_based_actor {
 public:
  supervisor(actor_config& config, actor tester)
      : event_based_actor(config), tester_(std::move(tester)) {}

  behavior make_behavior() override {
    set_down_handler([this](const caf::down_msg& down) { restart(down); });
    return {[this](start_atom, const std::string& id) { start(children_[id]); },
            [this](stop_atom) {
              for (auto& entry : children_) {
                demonitor(entry.second.handle);
                send_exit(entry.second.handle, caf::exit_reason::user_shutdown);
              }
              children_.clear();
              by_actor_.clear();
              quit();
            }};
  }

  void on_exit() override { tester_ = nullptr; }

 private:
  struct child {
    actor handle;
    caf::error last_cause;
  };

  void start(child& which) {
    which.handle = spawn<worker, caf::monitored>(tester_);
    by_actor_.emplace(which.handle.id(), &which);
  }

  void restart(const caf::down_msg& down) {
    auto found = by_actor_.find(down.source.id());
    if (found == by_actor_.end()) return;
    auto* which = found->second;
    by_actor_.erase(found);
    which->last_cause = down.reason;
    start(*which);
  }

  actor tester_;
  std::unordered_map<std::string, child> children_;
  std::unordered_map<caf::actor_id, child*> by_actor_;
};

// Opens the gate when so many children have announced themselves; crashes each before that.
class tester : public event_based_actor {
 public:
  tester(actor_config& config, gate& finished) : event_based_actor(config), done_(finished) {}

  behavior make_behavior() override {
    return {[this](uint64_t expected, bool crash) {
              left_ = expected;
              crash_ = crash;
            },
            [this](const actor& child) {
              if (--left_ == 0) done_.open();
              else if (crash_) caf::anon_send(child, crash_atom::value);
            }};
  }

 private:
  gate& done_;
  uint64_t left_ = 0;
  bool crash_ = false;
};

// An id of 12 characters.
std::string child_id(uint64_t number) {
  auto digits = std::to_string(number);
  return "child-" + std::string(6 - digits.size(), '0') + digits;
}

void bytes(caf::actor_system& system) {
  // In batches: a long queue makes CAF's stealing quadratic, and this row is not about time.
  constexpr uint64_t batch = 1000;
  gate done;
  auto watcher = system.spawn<tester>(std::ref(done));
  auto parent = system.spawn<supervisor>(watcher);
  auto start_batch = [&](uint64_t first) {
    caf::anon_send(watcher, batch, false);
    for (uint64_t i = first; i < first + batch; ++i)
      caf::anon_send(parent, start_atom::value, child_id(i));
    done.wait();
  };
  start_batch(0);  // what is needed once is not a child's cost
  malloc_trim(0);
  auto before = resident_bytes();
  for (uint64_t first = batch; first < batch + idle_children; first += batch) start_batch(first);
  malloc_trim(0);
  report("bytes", (resident_bytes() - before) / static_cast<double>(idle_children), "bytes");
  std::fflush(stdout);
  // Ending 100,000 actors is no part of the row and takes seconds under stealing.
  std::_Exit(0);
}

void restart_1(caf::actor_system& system) {
  gate done;
  auto watcher = system.spawn<tester>(std::ref(done));
  auto parent = system.spawn<supervisor>(watcher);
  stopwatch watch;
  caf::anon_send(watcher, restart_crashes + 1, true);
  caf::anon_send(parent, start_atom::value, child_id(0));
  done.wait();
  report("restart_1", static_cast<double>(restart_crashes) / watch.seconds(), "restarts/s");
  caf::anon_send(parent, stop_atom::value);
  end(watcher);
}

// ---- restart_1000, one_for_all: supervisors of numbered children ----------------------------

class numbered_worker : public event_based_actor {
 public:
  numbered_worker(actor_config& config, actor tester, uint64_t number)
      : event_based_actor(config), tester_(std::move(tester)), number_(number) {}

  behavior make_behavior() override {
    set_exception_handler(record_exception);
    send(tester_, actor{this}, number_);
    return {[](crash_atom) { throw std::runtime_error("boom"); }};
  }

  void on_exit() override { tester_ = nullptr; }

 private:
  actor tester_;
  uint64_t number_;
};

// Opens the gate when so many children have announced themselves, and crashes the first few, each
// so many times.
class drill : public event_based_actor {
 public:
  drill(actor_config& config, gate& finished, uint64_t expected)
      : event_based_actor(config), done_(finished), awaited_(expected) {}

  behavior make_behavior() override {
    return {[this](uint64_t expected) { awaited_ = expected; },
            [this](crash_atom, uint64_t first_few, uint64_t times, uint64_t expected) {
              awaited_ = expected;
              for (uint64_t i = 0; i < first_few; ++i) {
                known_[i].crashes_left = times;
                crash(known_[i]);
              }
            },
            [this](const actor& child, uint64_t number) {
              if (number >= known_.size()) known_.resize(number + 1);
              known_[number].handle = child;
              if (known_[number].crashes_left > 0) crash(known_[number]);
              if (--awaited_ == 0) done_.open();
            }};
  }

  void on_exit() override { known_.clear(); }

 private:
  struct target {
    actor handle;
    uint64_t crashes_left = 0;
  };

  static void crash(target& which) {
    --which.crashes_left;
    caf::anon_send(which.handle, crash_atom::value);
  }

  gate& done_;
  uint64_t awaited_;
  std::vector<target> known_;
};

enum class strategy { one_for_one, one_for_all };

// Children in the order of their start. One for all: stops those that are left in reverse order,
// the next one when the last is down, and starts all in order.
class group_supervisor : public event_based_actor {
 public:
  group_supervisor(actor_config& config, strategy chosen, actor tester)
      : event_based_actor(config), strategy_(chosen), tester_(std::move(tester)) {}

  behavior make_behavior() override {
    set_down_handler([this](const caf::down_msg& down) { child_is_down(down); });
    return {[this](start_atom, uint64_t children) {
              for (uint64_t i = 0; i < children; ++i) children_.push_back({child_id(i), {}, {}});
              start_all();
            },
            [this](stop_atom) {
              stopping_ = true;
              stop_next();
            }};
  }

  void on_exit() override { tester_ = nullptr; }

 private:
  struct child {
    std::string id;
    actor handle;
    caf::error last_cause;
  };

  void start(uint64_t index) {
    children_[index].handle = spawn<numbered_worker, caf::monitored>(tester_, index);
    by_actor_.emplace(children_[index].handle.id(), index);
  }

  void start_all() {
    for (uint64_t i = 0; i < children_.size(); ++i) start(i);
    left_to_stop_ = children_.size();
  }

  void child_is_down(const caf::down_msg& down) {
    auto found = by_actor_.find(down.source.id());
    if (found == by_actor_.end()) return;
    auto index = found->second;
    by_actor_.erase(found);
    children_[index].handle = nullptr;
    if (stopping_) return stop_next();
    children_[index].last_cause = down.reason;
    if (strategy_ == strategy::one_for_one) return start(index);
    stopping_ = restarting_ = true;
    stop_next();
  }

  void stop_next() {
    while (left_to_stop_ > 0) {
      const auto& next = children_[--left_to_stop_].handle;
      if (next) return send_exit(next, caf::exit_reason::user_shutdown);
    }
    if (!restarting_) return quit();
    stopping_ = restarting_ = false;
    start_all();
  }

  strategy strategy_;
  actor tester_;
  std::vector<child> children_;
  std::unordered_map<caf::actor_id, uint64_t> by_actor_;
  uint64_t left_to_stop_ = 0;
  bool stopping_ = false;
  bool restarting_ = false;
};

void restart_1000(caf::actor_system& system) {
  constexpr auto crashes = restart_children * crashes_per_child;
  gate done;
  auto tester = system.spawn<drill>(std::ref(done), restart_children);
  auto parent = system.spawn<group_supervisor>(strategy::one_for_one, tester);
  caf::anon_send(parent, start_atom::value, restart_children);
  done.wait();
  stopwatch watch;
  caf::anon_send(tester, crash_atom::value, restart_children, crashes_per_child, crashes);
  done.wait();
  report("restart_1000", static_cast<double>(crashes) / watch.seconds(), "restarts/s");
  caf::anon_send(parent, stop_atom::value);
  end(tester);
}

void one_for_all(caf::actor_system& system) {
  gate done;
  auto tester = system.spawn<drill>(std::ref(done), group_children);
  auto parent = system.spawn<group_supervisor>(strategy::one_for_all, tester);
  caf::anon_send(parent, start_atom::value, group_children);
  done.wait();
  std::vector<double> samples;
  for (uint64_t i = 0; i < group_restarts; ++i) {
    stopwatch watch;
    caf::anon_send(tester, crash_atom::value, uint64_t{1}, uint64_t{1}, group_children);
    done.wait();
    samples.push_back(1e3 * watch.seconds());
  }
  report("one_for_all", percentile(samples, 50), "ms");
  caf::anon_send(parent, stop_atom::value);
  end(tester);
}

// ---- start, stop: a supervisor of dynamic children -------------------------------------------

// Keeps of each child what its restart would need.
class dynamic_supervisor : public event_based_actor {
 public:
  dynamic_supervisor(actor_config& config, actor tester, gate& finished)
      : event_based_actor(config), tester_(std::move(tester)), done_(finished) {}

  behavior make_behavior() override {
    set_down_handler([this](const caf::down_msg& down) {
      auto found = children_.find(down.source.id());
      if (found == children_.end()) return;
      auto number = found->second.number;
      children_.erase(found);
      if (!stopping_) start(number);
      else if (children_.empty()) all_are_down();
    });
    return {[this](start_atom, uint64_t first, uint64_t count) {
              for (auto i = first; i < first + count; ++i) start(i);
            },
            [this](stop_atom) {
              stopping_ = true;
              for (auto& [key, each] : children_)
                send_exit(each.handle, caf::exit_reason::user_shutdown);
            }};
  }

  void on_exit() override { tester_ = nullptr; }

 private:
  struct child {
    actor handle;
    uint64_t number;
  };

  void start(uint64_t number) {
    auto handle = spawn<numbered_worker, caf::monitored>(tester_, number);
    auto key = handle.id();
    children_.emplace(key, child{std::move(handle), number});
  }

  void all_are_down() {
    done_.open();
    quit();
  }

  actor tester_;
  gate& done_;
  std::unordered_map<caf::actor_id, child> children_;
  bool stopping_ = false;
};

void start(caf::actor_system& system) {
  gate done;
  auto tester = system.spawn<drill>(std::ref(done), dynamic_children);
  auto parent = system.spawn<dynamic_supervisor>(tester, std::ref(done));
  stopwatch watch;
  caf::anon_send(parent, start_atom::value, uint64_t{0}, dynamic_children);
  done.wait();
  report("start", 1e6 * watch.seconds() / static_cast<double>(dynamic_children), "us");
  std::_Exit(0);  // as in `bytes`
}

void stop(caf::actor_system& system) {
  constexpr uint64_t batch = 1000;  // as in `bytes`
  static_assert(dynamic_children % batch == 0);
  gate done;
  auto tester = system.spawn<drill>(std::ref(done), batch);
  auto parent = system.spawn<dynamic_supervisor>(tester, std::ref(done));
  for (uint64_t first = 0; first < dynamic_children; first += batch) {
    caf::anon_send(tester, batch);
    caf::anon_send(parent, start_atom::value, first, batch);
    done.wait();
  }
  end(tester);  // with the last handles besides the supervisor's
  caf::scoped_actor(system)->wait_for(tester);
  stopwatch watch;
  caf::anon_send(parent, stop_atom::value);
  done.wait();
  report("stop", 1e6 * watch.seconds() / static_cast<double>(dynamic_children), "us");
}

// ---- idle_wake -----------------------------------------------------------------------------

class sleeper : public event_based_actor {
 public:
  sleeper(actor_config& config, double& micros, gate& finished)
      : event_based_actor(config), micros_(micros), done_(finished) {}

  behavior make_behavior() override {
    return {[this](uint64_t sent_ns) {
      auto now = std::chrono::steady_clock::now().time_since_epoch();
      micros_ = static_cast<double>(static_cast<uint64_t>(now.count()) - sent_ns) / 1e3;
      done_.open();
    }};
  }

 private:
  double& micros_;
  gate& done_;
};

void idle_wake(caf::actor_system& system) {
  gate done;
  double micros = 0;
  auto target = system.spawn<sleeper>(std::ref(micros), std::ref(done));
  std::vector<double> samples;
  for (uint64_t i = 0; i < wake_samples; ++i) {
    std::this_thread::sleep_for(wake_gap);
    auto now = std::chrono::steady_clock::now().time_since_epoch();
    caf::anon_send(target, static_cast<uint64_t>(now.count()));
    done.wait();
    samples.push_back(micros);
  }
  report("idle_wake", percentile(samples, 50), "us");
  report("idle_wake_p99", percentile(samples, 99), "us");
  end(target);
}

constexpr row<caf::actor_system&> rows[] = {
    {"ping_pong", ping_pong},
    {"ask", ask},
    {"fan_in_4", fan_in_4},
    {"ring", ring},
    {"bytes", bytes},
    {"restart_1", restart_1},
    {"start", start},
    {"stop", stop},
    {"restart_1000", restart_1000},
    {"one_for_all", one_for_all},
    {"idle_wake", idle_wake},
};

struct config : caf::actor_system_config {
  explicit config(std::string_view policy) {
    set("scheduler.policy", policy == "sharing" ? caf::atom("sharing") : caf::atom("stealing"));
    // CAF's own default is at least 4 threads, which makes it slower on 2 cores.
    set("scheduler.max-threads",
        static_cast<uint64_t>(std::max(1U, std::thread::hardware_concurrency())));
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::string_view name = argc > 1 ? argv[1] : "";
  std::string_view policy = argc > 2 ? argv[2] : "stealing";
  if (argc == 2 && name == "--list") {
    list_rows(rows);
    return 0;
  }
  if (argc == 2 && name == "--version") {
    std::printf("CAF %d.%d.%d\n", CAF_VERSION / 10000, CAF_VERSION / 100 % 100, CAF_VERSION % 100);
    return 0;
  }
  auto* found = find_row(rows, name);
  if (argc > 3 || found == nullptr || (policy != "stealing" && policy != "sharing")) {
    std::fprintf(stderr, "usage: bench_caf_rows ROW [stealing|sharing] | --list | --version\n");
    return 2;
  }
  config settings(policy);
  caf::actor_system system(settings);
  found->run(system);
  return 0;
}
