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
#include <map>
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

/// A child. Writes into the diary: `a1 starts` (constructed), `a1 runs` or `a1 declines` (its
/// start is complete), `a1 stops` and `a1 stopped` (its `stopping`), `a1 ends` (destroyed).
class worker : public coppice::actor<act, question, linger> {
 public:
  explicit worker(habit_ptr h) : here_(*this, std::move(h)) {}

  coppice::task<> started() {
    if (here_.of->start_takes > 0ms) {
      auto start = pause(here_.of->start_takes);
      co_await start;
    }
    if (here_.of->at_start) here_.of->at_start(*this);
    note(declines_ ? "declines" : "runs");
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
  void decline() {
    declines_ = true;
    ignore();
  }
  std::stop_token token() { return cell_->stop_token(); }

  using coppice::actor_base::ask;
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
  bool declines_ = false;
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

/// From now on starts are declined.
inline void decline_starts(habit& h) {
  h.at_start = [](worker& w) { w.decline(); };
}
/// Starts succeed again.
inline void allow_starts(habit& h) { h.at_start = nullptr; }
/// The next start does this, which happens while nobody else runs, and fails: what is asked here
/// finds the child `restarting`, for the retry is queued behind it.
inline void fail_start_and(habit& h, std::function<void()> meanwhile) {
  h.at_start = [first = std::make_shared<bool>(true), meanwhile = std::move(meanwhile)](worker&) {
    if (!std::exchange(*first, false)) return;
    meanwhile();
    throw std::runtime_error("no start");
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

// ---- answers in words
// ----------------------------------------------------------------------------

inline std::string in_words(const coppice::done&) { return "done"; }
inline std::string in_words(const coppice::child_address& c) {
  return c.id + '#' + std::to_string(c.incarnation) + (c.running ? " runs" : " declines");
}
inline std::string in_words(const coppice::child_info& c) {
  return c.id + ' ' + std::string{coppice::name(c.state)} + '#' + std::to_string(c.incarnation);
}
inline std::string in_words(const coppice::child_list& l) {
  std::string text;
  for (const auto& c : l.children) text += (text.empty() ? "" : ", ") + in_words(c);
  return text;
}
inline std::string in_words(const coppice::child_counts& c) {
  return std::to_string(c.specs) + " specs, " + std::to_string(c.active) + " active, " +
         std::to_string(c.supervisors) + " supervisors, " + std::to_string(c.workers) + " workers";
}
inline std::string in_words(const coppice::child_spec& s) { return "spec of " + s.id; }
inline std::string in_words(const address& a) { return a ? a.path() : "nobody"; }

/// The answer, or the code of the error.
template <class R>
std::string said(const coppice::result<R>& r) {
  return r ? in_words(*r) : std::string{coppice::name(r.error().code())};
}
template <class E>
std::string said(coppice::testing::executor::question<E>& q) {
  return q.answered() ? said(q.take()) : "no answer";
}
/// A question that is asked in the middle of something.
template <class E>
using later = std::optional<coppice::testing::executor::question<E>>;
template <class E>
std::string said(later<E>& q) {
  return q ? said(*q) : "not asked";
}

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
  template <class E, class... Es>
  void tell(const coppice::ref<Es...>& to, E event) {
    run.send(to, std::move(event));
    run.run_until_idle();
  }
  /// What a supervisor tells of its children.
  std::vector<coppice::child_info> rows(const coppice::supervisor_ref& of) {
    auto answered = run.ask(of, coppice::which_children{}, 1ms);
    return answered ? std::move(answered->children) : std::vector<coppice::child_info>{};
  }
  template <class E, class... Es>
  std::string ask(const coppice::ref<Es...>& whom, E event) {
    return said(run.ask(whom, std::move(event)));
  }
  /// `a running#1, b stopped#2`.
  std::string states(const coppice::supervisor_ref& of) {
    coppice::child_list all;
    all.children = rows(of);
    return in_words(all);
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

/// Rules under which the number of restarts is not the point.
inline coppice::supervisor_spec patient(coppice::supervisor_spec rules,
                                        coppice::strategy how = coppice::one_for_one) {
  rules.strategy = how;
  rules.intensity.restarts = 100;
  return rules;
}
/// Ours and OTP's, for what holds under both.
inline std::vector<coppice::supervisor_spec> both_rules(
    coppice::strategy how = coppice::one_for_one) {
  return {patient({}, how), patient(coppice::otp, how)};
}

/// A world whose tree is one supervisor with a worker for each spec.
struct family : world {
  explicit family(std::uint64_t seed = 1) : world(seed) {}
  family(std::uint64_t seed, coppice::supervisor_spec rules, std::vector<coppice::child_spec> specs)
      : world(seed) {
    open_with(std::move(rules), std::move(specs));
  }
  void open_with(coppice::supervisor_spec rules, std::vector<coppice::child_spec> specs) {
    open([this, rules = std::move(rules), specs = std::move(specs)](coppice::children& s) {
      s.spec() = rules;
      self = s.self();
      for (const auto& spec : specs) at[spec.id] = s.add<worker>(spec, of(spec.id));
    });
    log.take();
  }
  /// How the child with this id behaves, also one that is not there yet.
  habit_ptr of(const std::string& id) {
    habit_ptr& h = habits_[id];
    if (!h) h = habits(id);
    return h;
  }
  template <class E>
  std::string call(E event) {
    return ask(self, std::move(event));
  }
  /// Asks for a new child.
  coppice::detail::start_child_call hiring(coppice::child_spec spec) {
    const habit_ptr h = of(spec.id);
    return coppice::start_child<worker>(std::move(spec), h);
  }
  std::string states() { return world::states(self); }

  coppice::supervisor_ref self;
  std::map<std::string, address> at;

 private:
  std::map<std::string, habit_ptr> habits_;
};

/// Starts a dynamic worker whose behaviour is in the event.
struct hire {
  habit_ptr habits;
  using reply = address;
};
class hired : public worker {
 public:
  explicit hired(const hire& h) : worker(h.habits) {}
};

/// A world with a dynamic supervisor, `/shop/staff`.
struct crew : world {
  explicit crew(std::uint64_t seed = 1, coppice::dynamic_spec spec = {}) : world(seed) {
    spec.own.id = "staff";
    open([this, spec](coppice::children& s) {
      s.intensity(100, 5s);
      shop = s.self();
      staff = s.dynamic<hired, hire>(spec);
    });
  }
  /// Starts one that runs.
  address add(const std::string& name) {
    auto started = run.ask(staff, hire{of(name)});
    return started ? *started : address{};
  }
  habit_ptr of(const std::string& name) {
    habit_ptr& h = habits_[name];
    if (!h) h = habits(name);
    return h;
  }
  template <class E>
  std::string call(E event) {
    return ask(staff, std::move(event));
  }
  std::string states() { return world::states(staff); }

  coppice::supervisor_ref shop;
  coppice::dynamic_ref<hire> staff;

 private:
  std::map<std::string, habit_ptr> habits_;
};

}  // namespace stage
