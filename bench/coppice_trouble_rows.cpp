// SPDX-License-Identifier: BSD-3-Clause

#include "coppice_trouble_rows.hpp"

#include "coppice_nodes.hpp"
#include "peers/bare_sockets.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <new>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace coppice::bench {

namespace {

using clock = std::chrono::steady_clock;

double ms_between(clock::time_point a, clock::time_point b) {
  return std::chrono::duration<double, std::milli>(b - a).count();
}

// ---- a node that is killed, or hangs ----------------------------------------------------------

struct present {
  static constexpr std::string_view name = "bench.present";
};

class resident : public actor<present> {
 public:
  void on(const present&) {}
};

/// When this node heard what.
struct hearsay {
  work met, suspected, given_up;
  clock::time_point suspect, unreachable;
};

class witness : public actor<member_changed> {
 public:
  explicit witness(hearsay* told) : told_(told) {}
  void on(const member_changed& m) {
    if (m.node != "beta") return;
    if (m.to == opinion::up) told_->met.done();
    if (m.to == opinion::suspect && m.from != opinion::suspect) {
      told_->suspect = clock::now();
      told_->suspected.done();
    }
    if (m.to == opinion::unreachable) {
      told_->unreachable = clock::now();
      told_->given_up.done();
    }
  }

 private:
  hearsay* told_;
};

/// A pair of nodes in which the other one is signalled, `after` it has been met. When that was.
/// `end_of_socket`: the other process has a bare socket besides; when that reads as ended.
clock::time_point signal_other(std::string_view profile, int number,
                               std::chrono::milliseconds after, hearsay& told,
                               clock::time_point* end_of_socket = nullptr) {
  const cluster_on_loopback all{{.profile = profile}};
  const bare_listener listener;
  const far_node beta{all, "beta", [](children& c) { c.add<resident>("resident"); },
                      [&](node&) {
                        if (end_of_socket) echo_numbers(bare_socket{listener.accept()});
                      }};
  std::optional<bare_socket> bare;
  if (end_of_socket) bare.emplace(listener.connect());
  ref<member_changed> follower;
  node alpha{all.options("alpha"),
             [&](children& c) { follower = c.add<witness>("witness", &told); }};
  alpha.start().value();
  alpha.find<present>("beta:/bench/resident").value();
  alpha.cluster().follow(follower);
  told.met.wait();
  std::this_thread::sleep_for(after);
  const auto begin = clock::now();
  beta.signal(number);
  if (bare) {
    std::uint64_t none = 0;
    check(!bare->read(none), "a killed process has answered");
    *end_of_socket = clock::now();
  }
  told.given_up.wait();
  return begin;
}

/// SIGKILL of a process to the end of what is read from it.
double kill_to_end_of_socket() {
  const bare_listener listener;
  const forked other{[&] {
    const bare_socket here{listener.accept()};
    echo_numbers(here);
  }};
  const bare_socket socket{listener.connect()};
  std::uint64_t number = 0;
  socket.write(number);
  check(socket.read(number), "the bare socket is gone too early");
  const auto begin = clock::now();
  other.signal(SIGKILL);
  check(!socket.read(number), "a killed process has answered");
  return ms_between(begin, clock::now());
}

/// Stops the other node so many times, at moments spread over a heartbeat.
void report_hangs(std::string_view profile, std::uint64_t times, const std::string& suffix) {
  std::vector<double> suspect, unreachable;
  for (std::uint64_t i = 0; i < times; ++i) {
    hearsay told;
    const auto begin = signal_other(profile, SIGSTOP, 500ms + 200ms * i / times, told);
    told.suspected.wait();
    suspect.push_back(ms_between(begin, told.suspect));
    unreachable.push_back(ms_between(begin, told.unreachable));
  }
  report("hang_to_suspect" + suffix, percentile(suspect, 50), "ms");
  report("hang_to_unreachable" + suffix, percentile(unreachable, 50), "ms");
}

// ---- a slow receiver --------------------------------------------------------------------------

struct piece {
  static constexpr std::string_view name = "bench.piece";
  std::string content;
};

/// What the receiver's process tells the sender's, in memory that both see.
struct ledger {
  std::atomic<std::uint64_t> handled_of_pushy{0}, handled_of_patient{0}, dead{0};
  std::atomic<double> growth{0};  // of resident memory at its peak, bytes
  std::atomic<bool> begun{false}, hurry{false};
};

class shared_ledger {
 public:
  shared_ledger()
      : memory_(::mmap(nullptr, sizeof(ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) {
    check(memory_ != MAP_FAILED, "no shared memory");
    ::new (memory_) ledger;
  }
  shared_ledger(const shared_ledger&) = delete;
  shared_ledger& operator=(const shared_ledger&) = delete;
  ~shared_ledger() { ::munmap(memory_, sizeof(ledger)); }

  ledger& operator*() const { return *static_cast<ledger*>(memory_); }
  ledger* operator->() const { return &**this; }

 private:
  void* memory_;
};

/// Handles ten, and pauses for 10 ms: at most 1,000 a second.
class slow : public actor<piece> {
 public:
  slow(std::atomic<std::uint64_t>* handled, const std::atomic<bool>* hurry)
      : handled_(handled), hurry_(hurry) {}
  task<> on(const piece&) {
    if (handled_->fetch_add(1) % 10 != 9 || *hurry_) co_return;
    auto rest = pause(10ms);
    co_await rest;
  }

 private:
  std::atomic<std::uint64_t>* handled_;
  const std::atomic<bool>* hurry_;
};

struct go_on {};

/// Sends without ever looking at what becomes of it.
class pushy : public actor<go_on> {
 public:
  pushy(ref<piece> to, std::chrono::seconds time, std::uint64_t* sent, work* all)
      : to_(std::move(to)), time_(time), sent_(sent), all_(all) {}
  void on(const go_on&) {
    if (*sent_ == 0) until_ = clock::now() + time_;
    if (clock::now() >= until_) return all_->done();
    for (int i = 0; i < 100; ++i) send(to_, piece{std::string(piece_bytes, 'x')});
    *sent_ += 100;
    send(self(), go_on{});
  }

 private:
  ref<piece> to_;
  std::chrono::seconds time_;
  std::uint64_t* sent_;
  work* all_;
  clock::time_point until_;
};

/// Sends as much as there is room for.
class patient : public actor<go_on> {
 public:
  patient(ref<piece> to, std::chrono::seconds time, std::uint64_t* sent, work* all)
      : to_(std::move(to)), time_(time), sent_(sent), all_(all) {}
  task<> on(const go_on&) {
    for (const auto until = clock::now() + time_; clock::now() < until;) {
      auto room_again = room(to_, 60s);
      for (int i = 0; i < 1'000; ++i) send(to_, piece{std::string(piece_bytes, 'x')});
      *sent_ += 1'000;
      if (auto there = co_await room_again; !there) {
        all_->failed("the patient sender waited for room: " + there.error().message());
        co_return;
      }
    }
    all_->done();
  }

 private:
  ref<piece> to_;
  std::chrono::seconds time_;
  std::uint64_t* sent_;
  work* all_;
};

std::uint64_t dead_letters(node& of) {
  const auto all = of.metrics().dead_letters;
  return std::accumulate(all.begin(), all.end(), std::uint64_t{0});
}

/// The receiver's process: writes into the ledger what there is to see from outside.
void keep_ledger(ledger& to, node& here) {
  double idle = resident_bytes();
  for (;; std::this_thread::sleep_for(20ms)) {
    if (!to.begun) idle = resident_bytes();
    to.growth = peak_resident_bytes() - idle;
    to.dead = dead_letters(here);
  }
}

/// Each event that was sent has to end as handled or as a dead letter of either node, and none of
/// the patient sender's is lost.
void check_books(ledger& of, node& sender, std::uint64_t pushed, std::uint64_t fitted) {
  of.hurry = true;
  const auto until = clock::now() + 30s;
  std::uint64_t ended = 0;
  while (ended != pushed + fitted && clock::now() < until) {
    std::this_thread::sleep_for(50ms);
    ended = of.handled_of_pushy + of.handled_of_patient + of.dead + dead_letters(sender);
  }
  check(ended == pushed + fitted, "the books do not balance: " + std::to_string(pushed + fitted) +
                                      " events sent, " + std::to_string(ended) +
                                      " handled or dead letters");
  check(of.handled_of_patient == fitted, "events of the patient sender were lost");
}

}  // namespace

void kill_to_unreachable(std::chrono::seconds) {
  std::vector<double> ours, bare, bare_of_node;
  for (std::uint64_t i = 0; i < kills; ++i) {
    hearsay told, told_again;
    auto begin = signal_other("default", SIGKILL, 50ms, told);
    ours.push_back(ms_between(begin, told.unreachable));
    bare.push_back(kill_to_end_of_socket());
    clock::time_point ended;
    begin = signal_other("default", SIGKILL, 50ms, told_again, &ended);
    bare_of_node.push_back(ms_between(begin, ended));
  }
  report("kill_to_end_of_socket", percentile(bare_of_node, 50), "ms");
  report("kill_to_unreachable", percentile(ours, 50), "ms");
  report_reference("kill_to_unreachable", percentile(bare, 50), "ms");
}

void hang_to_suspect(std::chrono::seconds) { report_hangs("default", 3, ""); }
void hang_to_suspect_loopback(std::chrono::seconds) { report_hangs("loopback", 11, "_loopback"); }

void slow_receiver(std::chrono::seconds time) {
  const shared_ledger books;
  const cluster_on_loopback all{{}};
  const far_node beta{all, "beta",
                      [&](children& c) {
                        c.add<slow>("of-pushy", &books->handled_of_pushy, &books->hurry);
                        c.add<slow>("of-patient", &books->handled_of_patient, &books->hurry);
                      },
                      [&](node& here) { keep_ledger(*books, here); }};
  std::uint64_t pushed = 0, fitted = 0;
  work pushing, fitting;
  ref<go_on> pusher, fitter;
  node alpha{
      all.options("alpha"), [&](children& c) {
        auto at = [&](const char* place) { return alpha.cluster().at<piece>(place).value(); };
        pusher = c.add<pushy>("pushy", at("beta:/bench/of-pushy"), time, &pushed, &pushing);
        fitter = c.add<patient>("patient", at("beta:/bench/of-patient"), time, &fitted, &fitting);
      }};
  alpha.start().value();
  alpha.find<piece>("beta:/bench/of-pushy").value();
  alpha.find<piece>("beta:/bench/of-patient").value();
  std::this_thread::sleep_for(200ms);
  const double idle = resident_bytes();
  books->begun = true;
  alpha.outside().send(pusher, go_on{});
  alpha.outside().send(fitter, go_on{});
  pushing.wait();
  fitting.wait();
  const double growth = peak_resident_bytes() - idle;
  const double receiver_growth = books->growth;
  const auto handled = books->handled_of_pushy + books->handled_of_patient;
  check_books(*books, alpha, pushed, fitted);
  const auto seconds = static_cast<double>(time.count());
  report("slow_receiver", receiver_growth / 1048576, "MiB");
  report("slow_receiver_sender", growth / 1048576, "MiB");
  report("slow_receiver_sent", static_cast<double>(pushed + fitted) / seconds, "events/s");
  report("slow_receiver_handled", static_cast<double>(handled) / seconds, "events/s");
}

}  // namespace coppice::bench
