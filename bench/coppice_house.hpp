// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "rows.hpp"

#include <coppice/actors/outside.hpp>
#include <coppice/supervision/supervised_tree.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

/// What our rows, guards and ledger share: a supervised tree set up as a node sets it up, and the
/// actors that more than one of them needs.
namespace coppice::bench {

using namespace std::chrono_literals;

inline void check(bool holds, const char* sentence) {
  if (!holds) throw std::runtime_error(sentence);
}

/// What a node does with reports: so many a second become text, the others are counted; of starts
/// it makes nothing unless it logs at the level `debug`.
class report_keeper : public supervision_observer {
 public:
  void on_report(const supervisor_report& report) noexcept override {
    if (report.about == report_context::progress) return;
    auto now = std::chrono::steady_clock::now();
    std::lock_guard guard(mutex_);
    if (now - window_ >= 1s) {
      window_ = now;
      in_window_ = 0;
    }
    if (++in_window_ > most_per_second) {
      ++left_out_;
      return;
    }
    if (lines_.size() == most_kept) lines_.pop_front();
    lines_.push_back(std::string(name(report.about)) + " " + report.child() + " " +
                     report.reason.text());
  }

 private:
  static constexpr int most_per_second = 100;
  static constexpr std::size_t most_kept = 100;

  std::mutex mutex_;
  std::chrono::steady_clock::time_point window_;
  int in_window_ = 0;
  std::uint64_t left_out_ = 0;
  std::deque<std::string> lines_;
};

/// A system and a tree in it, with default limits, reports and counters.
class house {
 public:
  explicit house(children::builder build, unsigned workers = 0)
      : system_({.workers = workers, .watch = &observer_}),
        tree_(system_, "bench", std::move(build), &reports_) {
    if (auto up = tree_.wait_until_up(60s); !up) throw std::runtime_error(up.error().message());
  }

  template <class E, class... Es>
  void send(const ref<Es...>& to, E event) {
    outside_.send(to, std::move(event));
  }
  template <class E, class... Es>
  typename E::reply ask(const ref<Es...>& to, E event) {
    return outside_.ask(to, std::move(event), 60s).value();
  }
  tree_node snapshot() { return tree_.snapshot(60s); }
  coppice::system& system() { return system_; }
  supervision_observer& reports() { return reports_; }

  /// No figure counts for which events were lost; the one that crashes its handler is no loss.
  void check_nothing_lost() const {
    auto lost = system_.dead_letters();
    lost[static_cast<std::size_t>(dead_letter_reason::crashed)] = 0;
    check(std::accumulate(lost.begin(), lost.end(), std::uint64_t{0}) == 0, "events were lost");
  }

  ~house() { tree_.stop(30s); }

 private:
  observer observer_;
  report_keeper reports_;
  coppice::system system_;
  outside outside_{system_};
  supervised_tree tree_;
};

/// An id of 12 characters.
inline std::string child_id(std::uint64_t number) {
  auto digits = std::to_string(number);
  return "child-" + std::string(6 - digits.size(), '0') + digits;
}

// ---- hoppers: ping_pong, ring and whatever needs a busy pair ----------------------------------

struct hop {
  std::uint64_t left;
};
struct meet {
  ref<hop> next;
};

class hopper : public actor<meet, hop> {
 public:
  explicit hopper(gate* finished) : done_(finished) {}

  void on(const meet& event) { next_ = event.next; }
  void on(const hop& event) {
    if (event.left == 0) done_->open();
    else send(next_, hop{event.left - 1});
  }

 private:
  gate* done_;
  ref<hop> next_;
};

// ---- an actor that is crashed as soon as it is there -------------------------------------------

struct crash {};
struct ready {
  ref<crash> who;
};
struct crashes {
  std::uint64_t count;
};

class victim : public actor<crash> {
 public:
  explicit victim(ref<ready> tester) : tester_(std::move(tester)) {}

  void started() { send(tester_, ready{self()}); }
  void on(const crash&) { throw std::runtime_error("boom"); }

 private:
  ref<ready> tester_;
};

/// Crashes a victim so many times, each time when it has started, and opens the gate.
class crasher : public actor<crashes, ready> {
 public:
  explicit crasher(gate* finished) : done_(finished) {}

  void on(const crashes& event) {
    left_ = event.count;
    go_on();
  }
  void on(const ready& event) {
    victim_ = event.who;
    if (left_ > 0 && --left_ == 0) done_->open();
    else if (left_ > 0) go_on();
  }

 private:
  void go_on() { send(victim_, crash{}); }

  gate* done_;
  ref<crash> victim_;
  std::uint64_t left_ = 0;
};

/// For what crashes on purpose: more restarts than any row asks for.
inline constexpr unsigned endless_restarts = 1'000'000;

}  // namespace coppice::bench
