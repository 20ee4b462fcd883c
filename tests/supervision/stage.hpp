// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/testing/executor.hpp>
#include <coppice/supervision/detail/supervisor.hpp>
#include <coppice/supervision/supervised_tree.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

/// What the tests of the supervisor actor share: children that do what they are told and note
/// what becomes of them, an observer that keeps all reports, and a tree on virtual time.
namespace stage {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// The order of what is ready is drawn from these; what a test claims holds for each.
inline constexpr std::uint64_t seeds[] = {1, 2, 3, 4, 5, 6, 7, 8};

/// How long a test on threads waits for what should come soon.
inline constexpr auto hang = 60s;

/// Lines, in the order in which they were written, by any thread.
class diary {
 public:
  void add(std::string line) {
    std::lock_guard lock{guard_};
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  /// All lines since the last call, joined by ", ".
  std::string take() {
    std::lock_guard lock{guard_};
    std::string all;
    for (const std::string& line : lines_) all += (all.empty() ? "" : ", ") + line;
    lines_.clear();
    return all;
  }
  std::vector<std::string> lines() {
    std::lock_guard lock{guard_};
    return lines_;
  }
  bool wait_for(const std::string& line, milliseconds limit = hang) {
    std::unique_lock lock{guard_};
    return changed_.wait_for(
        lock, limit, [&] { return std::find(lines_.begin(), lines_.end(), line) != lines_.end(); });
  }

 private:
  std::mutex guard_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

/// Holds up a handler until a test lets it go.
class barrier {
 public:
  ~barrier() { open(); }
  void open() {
    std::lock_guard lock{guard_};
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock{guard_};
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  /// Until somebody is held up here.
  bool wait_until_inside(int count = 1) {
    std::unique_lock lock{guard_};
    return changed_.wait_for(lock, hang, [&] { return inside_ >= count; });
  }

 private:
  std::mutex guard_;
  std::condition_variable changed_;
  bool open_ = false;
  int inside_ = 0;
};

class worker;

/// How the incarnations of one child behave. Shared by them and the test.
struct habit {
  std::string name;
  diary* log = nullptr;
  std::atomic<int>* alive = nullptr;  ///< incarnations of all children that exist now
  milliseconds start_takes{0};
  milliseconds stop_takes{0};
  std::function<void(worker&)> at_start;  ///< a throw: the start fails
  std::function<void(worker&)> at_stop;
  std::atomic<int> own_alive{0};  ///< incarnations of this child: at most one
};
using habit_ptr = std::shared_ptr<habit>;

struct act {
  std::function<void(worker&)> what;
};
struct answer {
  int number;
  std::uint32_t incarnation;
};
struct question {
  int number = 0;
  using reply = answer;
};
/// Is in hand for so long.
struct linger {
  milliseconds time;
};

/// A child. Writes into the diary: `a1 starts` (constructed), `a1 runs` (start complete),
/// `a1 stops` and `a1 stopped` (its `stopping`), `a1 ends` (destroyed).
class worker : public coppice::actor<act, question, linger> {
 public:
  explicit worker(habit_ptr h) : here_(*this, std::move(h)) {}

  coppice::task<> started() {
    if (here_.of->start_takes > 0ms) {
      auto start = pause(here_.of->start_takes);
      co_await start;
    }
    if (here_.of->at_start) here_.of->at_start(*this);
    note("runs");
  }
  coppice::task<> stopping(const coppice::exit_reason&) {
    note("stops");
    if (here_.of->stop_takes > 0ms) {
      auto stop = pause(here_.of->stop_takes);
      co_await stop;
      note("stopped");
    }
    if (here_.of->at_stop) here_.of->at_stop(*this);
  }
  void on(const act& a) { a.what(*this); }
  answer on(const question& q) { return {q.number, incarnation()}; }
  coppice::task<> on(const linger& l) {
    auto lingering = pause(l.time);
    co_await lingering;
    note("lingered");
  }

  void note(const std::string& what) { here_.note(what); }
  std::stop_token token() { return cell_->stop_token(); }

  using coppice::actor_base::exit;
  using coppice::actor_base::link;
  using coppice::actor_base::stop;

 private:
  /// Notes both ends of an incarnation, also of one whose construction is not completed.
  struct presence {
    presence(worker& w, habit_ptr h)
        : of(std::move(h)), label(of->name + std::to_string(w.incarnation())) {
      if (of->alive) ++*of->alive;
      if (++of->own_alive > 1) note("IS NOT ALONE");
      note("starts");
    }
    ~presence() {
      note("ends");
      --of->own_alive;
      if (of->alive) --*of->alive;
    }
    void note(const std::string& what) const {
      if (of->log) of->log->add(label + ' ' + what);
    }
    habit_ptr of;
    std::string label;
  };
  presence here_;
};
using address = worker::address;

inline act crash(std::string why = "boom") {
  return {[why = std::move(why)](worker&) { throw std::runtime_error(why); }};
}
inline act halt(coppice::exit_reason why = coppice::exit_reason::normal()) {
  return {[why = std::move(why)](worker& w) { w.stop(why); }};
}
/// `times` starts fail from now on, for instance because of `why`.
inline void fail_starts(habit& h, int times, const std::string& why = "no start") {
  h.at_start = [left = std::make_shared<int>(times), why](worker&) {
    if (*left > 0) {
      --*left;
      throw std::runtime_error(why);
    }
  };
}

/// Keeps what the supervisors report.
struct reports : coppice::supervision_observer {
  void on_report(const coppice::supervisor_report& r) noexcept override {
    const std::string number = '#' + std::to_string(r.incarnation);
    const std::string about{coppice::name(r.about)};
    all.add(about + ' ' + r.supervisor() + ' ' + r.child() + number + ' ' + r.reason.text());
    if (r.about == coppice::report_context::progress) return;
    const std::string path = r.child();
    brief.add(about + ' ' + path.substr(path.rfind('/') + 1) + number + ' ' +
              std::string{coppice::name(r.reason.what())});
  }
  void on_stuck(const std::string& path) noexcept override { stuck.add(path); }

  diary all;    ///< `child_terminated /shop /shop/a#1 crashed: ...`
  diary brief;  ///< the same as `child_terminated a#1 crashed`, without progress
  diary stuck;
};

/// The supervisor of a child.
inline coppice::supervisor_ref supervisor_of(coppice::detail::cell* child) {
  return coppice::detail_ref::make<coppice::supervisor_ref>(child->parent());
}
template <class... Es>
coppice::supervisor_ref supervisor_of(const coppice::ref<Es...>& child) {
  return supervisor_of(coppice::detail_ref::get(child));
}

/// Kills from outside what is behind an address.
template <class... Es>
void kill(const coppice::ref<Es...>& x) {
  coppice::detail_ref::get(x)->kill(coppice::exit_reason::killed());
}

/// A tree called `shop` on virtual time.
struct world {
  explicit world(std::uint64_t seed = 1) : run(seed) {}

  habit_ptr habits(std::string name) {
    auto h = std::make_shared<habit>();
    h->name = std::move(name);
    h->log = &log;
    h->alive = &alive;
    return h;
  }
  void open(coppice::children::builder build) {
    tree =
        std::make_unique<coppice::supervised_tree>(run.system(), "shop", std::move(build), &told);
    run.run_until_idle();
  }
  /// Sends and lets everything settle.
  template <class E>
  void tell(const address& to, E event) {
    run.send(to, std::move(event));
    run.run_until_idle();
  }
  /// What a supervisor tells of its children.
  std::vector<coppice::child_info> rows(const coppice::supervisor_ref& of) {
    auto answered = run.ask(of, coppice::which_children{}, 1ms);
    return answered ? std::move(answered->children) : std::vector<coppice::child_info>{};
  }
  /// `a running#1, b stopped#2`.
  std::string states(const coppice::supervisor_ref& of) {
    std::string text;
    for (const auto& n : rows(of))
      text += (text.empty() ? "" : ", ") + n.id + ' ' + std::string{coppice::name(n.state)} + '#' +
              std::to_string(n.incarnation);
    return text;
  }
  std::string ended() const {
    const auto why = tree->ended();
    return why ? why->text() : "has not ended";
  }
  std::uint64_t dead(coppice::dead_letter_reason why) {
    return run.system().dead_letters()[static_cast<std::size_t>(why)];
  }
  void stop(coppice::exit_reason why = coppice::exit_reason::shutdown()) {
    tree->request_stop(std::move(why));
    run.run_until_idle();
  }

  diary log;
  reports told;
  std::atomic<int> alive{0};
  coppice::testing::executor run;
  std::unique_ptr<coppice::supervised_tree> tree;
};

}  // namespace stage
