// SPDX-License-Identifier: BSD-3-Clause
// Random trees live through random failures and calls, and all that can be seen of them is compared
// with a reference model of OTP after each step.
#include "scripted_tree.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <rapidcheck/detail/TestListenerAdapter.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <unordered_map>

using namespace stage;

// ---- what is generated ------------------------------------------------------------------------

namespace {

/// Numbers from which a child or a step is made once it is known what there is. Zero is always the
/// simplest choice, so that rapidcheck's shrinking leads somewhere.
struct gene {
  unsigned what = 0, where = 0, which = 0, a = 0, b = 0, c = 0, d = 0;
};
struct genome {
  std::uint64_t seed = 0;  ///< of the executor
  gene top{};
  std::vector<gene> children{}, steps{};
};
// The script of a failed case is printed instead.
void showValue(const genome& g, std::ostream& os) {
  os << g.children.size() << " children, " << g.steps.size() << " steps";
}

rc::Gen<gene> any_gene() {
  const auto number = rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0u, 1'000u));
  return rc::gen::build<gene>(rc::gen::set(&gene::what, number), rc::gen::set(&gene::where, number),
                              rc::gen::set(&gene::which, number), rc::gen::set(&gene::a, number),
                              rc::gen::set(&gene::b, number), rc::gen::set(&gene::c, number),
                              rc::gen::set(&gene::d, number));
}

rc::Gen<genome> any_genome(int children, int steps) {
  const auto some = [](int most) {
    return rc::gen::resize(most, rc::gen::container<std::vector<gene>>(any_gene()));
  };
  return rc::gen::build<genome>(
      rc::gen::set(&genome::seed,
                   rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::uint64_t>(0, 1'000))),
      rc::gen::set(&genome::top, any_gene()), rc::gen::set(&genome::children, some(children)),
      rc::gen::set(&genome::steps, some(steps)));
}

reference::rules rules_of(unsigned how, unsigned much, bool roomy) {
  constexpr strategy strategies[] = {one_for_one, one_for_all, rest_for_one};
  constexpr auto_shutdown when[] = {auto_shutdown::never, auto_shutdown::never,
                                    auto_shutdown::any_significant, auto_shutdown::all_significant};
  reference::rules r;
  r.strategy = strategies[how % 3];
  r.otp = how / 3 % 2 == 1;
  r.auto_shutdown = when[how / 6 % 4];
  // The tree at whose top it stands should live for some time.
  if (roomy && how % 5 != 0) r.auto_shutdown = auto_shutdown::never;
  r.restarts = roomy && much % 8 != 0 ? 10 + much % 90 : much % 5;
  r.period = std::chrono::seconds{1 + much / 20 % 5};
  return r;
}

/// A child; its role, if it is to be a supervisor, as far as that is allowed.
reference::child child_of(const gene& g, std::string id, bool may_supervise, bool may_be_wrong,
                          auto_shutdown of) {
  constexpr coppice::restart restarts[] = {permanent, transient, temporary};
  reference::child c;
  c.id = std::move(id);
  if (may_supervise && g.what % 3 == 1) c.what = role::supervisor;
  if (g.what % 9 == 2) c.what = role::dynamic;
  c.restart = restarts[g.a % 3];
  c.significant = g.b % 3 != 0;
  if (!may_be_wrong || g.b % 8 != 7)
    c.significant &= of != auto_shutdown::never && c.restart != permanent;
  if (c.what != role::worker) {
    c.shutdown = g.c % 5 == 4 ? brutal_kill : infinity;
    c.own = rules_of(g.d, g.c, false);
  } else {
    c.shutdown = g.c % 5 == 4 ? brutal_kill : coppice::shutdown{5s};
    c.throws_at_stop = g.c % 7 == 6;
  }
  if (c.what == role::dynamic) {
    c.own.auto_shutdown = auto_shutdown::never;
    reference::child made;
    made.restart = restarts[g.which % 3];
    made.shutdown = g.which % 5 == 4 ? brutal_kill : coppice::shutdown{5s};
    c.children.push_back(made);
  }
  return c;
}

/// How the next starts turn out: mostly well.
std::deque<outcome> script_of(unsigned number) {
  std::deque<outcome> script;
  for (; number > 0; number /= 4)
    script.push_back(number % 4 == 3   ? outcome::failure
                     : number % 4 == 2 ? outcome::decline
                                       : outcome::success);
  return script;
}

// ---- one case ---------------------------------------------------------------------------------

std::string ended(const real_tree& t) {
  const auto why = t.tree->ended();
  return why ? std::string{coppice::name(why->what())} : "has not ended";
}
std::string ended(const reference::tree& t) {
  return t.root.over ? std::string{coppice::name(t.root.why)} : "has not ended";
}

std::string lines(const std::vector<std::string>& all) {
  std::string text;
  for (const auto& l : all) text += (text.empty() ? "" : ", ") + l;
  return text;
}
std::string lines(std::map<std::string, std::vector<std::string>> all, bool sorted = false) {
  std::string text;
  for (auto& [who, what] : all) {
    if (sorted) std::sort(what.begin(), what.end());
    text += "  " + who + ": " + lines(what) + '\n';
  }
  return text;
}

/// What a case does, for people, and where the tree and the model part.
class script {
 public:
  void add(const std::string& line) { text_ += line + '\n'; }
  void compare(const std::string& what, const std::string& expected, const std::string& found) {
    if (expected == found) return;
    RC_FAIL(text_ + "-- " + what + "\nexpected: " + expected + "\nfound:    " + found);
  }
  /// All that is to be seen.
  void compare(reference::tree& model, real_tree& real) {
    const auto trace = model.take_trace();
    const auto diary = real.take_lines();
    const std::string wrong = reference::mismatch(trace, diary);
    if (!wrong.empty())
      compare("the order of starts and stops (" + wrong + ')', reference::text(trace),
              lines(diary));
    compare("the reports", lines(model.take_reports(), true),
            lines(std::exchange(real.told.all, {}), true));
    compare("the end of the tree", ended(model), ended(real));
    compare("the children", '\n' + model.states(), '\n' + real.states());
    compare("workers alive", std::to_string(model.workers_alive()), std::to_string(real.alive()));
  }

 private:
  std::string text_;
};

/// And how the first starts turn out.
reference::child tree_of(const genome& g, std::map<std::string, std::deque<outcome>>& scripts) {
  reference::child root;
  root.id = "shop";
  root.what = role::supervisor;
  root.own = rules_of(g.top.a, g.top.b, true);
  struct place {
    std::vector<std::size_t> path;  ///< from the root, by position
    std::string name;
  };
  std::vector<place> supervisors{{{}, "/shop"}};
  const auto at = [&root](const place& p) {
    reference::child* c = &root;
    for (const std::size_t i : p.path) c = &c->children[i];
    return c;
  };
  for (const gene& each : g.children) {
    const place parent = supervisors[each.where % supervisors.size()];
    reference::child* of = at(parent);
    std::string id{static_cast<char>('a' + of->children.size())};
    const std::string name = parent.name + '/' + id;
    if (each.which % 16 == 15) scripts[name] = script_of(each.which / 16);
    of->children.push_back(
        child_of(each, std::move(id), parent.path.size() < 2, false, of->own.auto_shutdown));
    if (of->children.back().what != role::supervisor) continue;
    supervisors.push_back({parent.path, name});
    supervisors.back().path.push_back(of->children.size() - 1);
  }
  return root;
}

std::string script_text(const std::deque<outcome>& all) {
  std::string text;
  for (const outcome o : all)
    text += o == outcome::success ? " succeeds" : o == outcome::failure ? " fails" : " declines";
  return text;
}

std::string_view call_name(message::kind what) {
  constexpr std::string_view names[] = {"start_child",   "start_dynamic", "terminate_child",
                                        "restart_child", "delete_child",  "which_child",
                                        "get_childspec", "count_children"};
  return names[static_cast<int>(what) - static_cast<int>(message::kind::start_child)];
}

/// A tree, its model and the steps that are taken with both.
class performance {
 public:
  explicit performance(const genome& g) : top_(tree_of(g, first_)), model_(top_), real_(g.seed) {
    script_.add("seed " + std::to_string(g.seed) + ", tree:\n" + reference::text(top_, ""));
    for (const auto& [path, starts] : first_)
      script_.add("first starts of " + path + ':' + script_text(starts));
    model_.scripts = real_.scripts = first_;
  }
  void open() {
    model_.now = real_.run().now();
    model_.open();
    real_.open(top_);
    script_.compare(model_, real_);
  }
  bool over() const { return model_.root.over; }

  void step(const gene& g) {
    model_.now = real_.run().now();
    const auto all = model_.all();
    std::vector<reference::member*> workers, below, supervisors;
    for (auto* m : all) {
      if (m != &model_.root) below.push_back(m);
      if (m->spec.what != role::worker) supervisors.push_back(m);
      else if (m->is == reference::state::running) workers.push_back(m);
    }
    const unsigned what = g.what % 20;
    if (what < 5) {
      if (!workers.empty()) leave(*workers[g.where % workers.size()], g);
    } else if (what < 7) {
      std::erase_if(below, [](auto* m) { return m->is != reference::state::running; });
      if (g.b % 50 == 49) below.assign(1, &model_.root);
      else if (auto* m = model_.find(asked_); m && m != &model_.root && g.a % 3 == 2)
        std::erase_if(below, [m](auto* other) { return other != m; });
      if (!below.empty()) kill(below[g.where % below.size()]->path);
    } else if (what < 10) {
      if (below.empty()) return;
      set_script(below[g.where % below.size()]->path, g.a);
      return;
    } else if (what < 11) {
      const milliseconds time{g.a % 4 * 500 + g.b % 3 * 333};
      script_.add("advance " + std::to_string(time.count()) + " ms");
      real_.run().advance(time);
      model_.now = real_.run().now();
    } else {
      // Calls that have to do with each other are about the same child.
      const auto same = std::find_if(supervisors.begin(), supervisors.end(),
                                     [&](auto* m) { return m->path == asked_; });
      again_ = g.c % 2 == 1 && same != supervisors.end();
      const auto& to = again_ ? *same : supervisors[g.where % supervisors.size()];
      asked_ = to->path;
      call(*to, g);
    }
    script_.compare(model_, real_);
  }

  void stop() {
    if (!over()) {
      script_.add("stop");
      model_.stop();
      real_.tree->request_stop();
      real_.run().run_until_idle();
      script_.compare(model_, real_);
    }
    script_.compare("workers left", "0", std::to_string(real_.alive()));
  }

 private:
  void leave(const reference::member& m, const gene& g) {
    const exit_reason reasons[] = {exit_reason{exit_reason::kind::crashed}, exit_reason::normal(),
                                   exit_reason::shutdown(), exit_reason::shutdown("x"),
                                   exit_reason::failed("x")};
    const exit_reason why = reasons[g.a % 5];
    const std::string path = m.path;
    script_.add(path + " ends: " + why.text());
    model_.exit(path, why.what());
    real_.run().send(real_.at<address>(path), g.a % 5 == 0 ? crash() : halt(why));
    real_.run().run_until_idle();
  }
  void kill(std::string path) {
    script_.add("kill " + path);
    model_.kill(path);
    stage::kill(real_.at<ref<>>(path));
    real_.run().run_until_idle();
  }
  void set_script(const std::string& path, unsigned number) {
    const auto starts = script_of(number);
    script_.add("next starts of " + path + ':' + script_text(starts));
    model_.scripts[path] = starts;
    real_.scripts[path] = starts;
  }
  /// The id of one of its children, or one that is not there.
  std::string id_of(const reference::member& s, unsigned which) {
    if (again_ && !about_.empty()) return about_;
    if (s.children.empty() || which % 8 == 7)
      return s.spec.what == role::dynamic ? std::to_string(which % 4) : "nobody";
    return std::next(s.children.begin(), which % s.children.size())->spec.id;
  }
  void call(const reference::member& s, const gene& g) {
    using kind = message::kind;
    const std::string path = s.path;
    message m{.what = kind::start_child};
    constexpr kind kinds[] = {kind::start_child,     kind::terminate_child, kind::restart_child,
                              kind::delete_child,    kind::which_child,     kind::get_childspec,
                              kind::count_children,  kind::start_child,     kind::terminate_child,
                              kind::terminate_child, kind::restart_child};
    m.what = kinds[g.a % std::size(kinds)];
    // What takes a child away and puts another in its place.
    if (again_ && g.d % 3 == 2 && last_ == kind::terminate_child) m.what = kind::delete_child;
    if (again_ && g.d % 3 == 2 && last_ == kind::delete_child) m.what = kind::start_child;
    last_ = m.what;
    if (s.spec.what == role::dynamic && m.what == kind::start_child && g.b % 5 != 4)
      m.what = kind::start_dynamic;
    std::string added, how;
    const bool by_address = g.d % 2 == 1;
    if (m.what == kind::start_child) {
      m.id = again_ || g.b % 3 == 2 ? id_of(s, g.which)
                                    : std::string{static_cast<char>('a' + g.which % 6)};
      gene like = g;
      like.what = g.d;
      m.spec = child_of(like, m.id, path.find('/', 6) == path.npos, true, s.spec.own.auto_shutdown);
      if (m.spec.what == role::dynamic) m.spec = {.id = m.id};
      if (m.spec.what == role::supervisor) {
        like.what = 0;
        m.spec.children.push_back(child_of(like, "a", false, false, m.spec.own.auto_shutdown));
      }
      how = '\n' + reference::text(m.spec, path);
      if (g.c % 4 == 3 && s.is == reference::state::running) set_script(path + '/' + m.id, g.c);
    } else if (m.what == kind::start_dynamic) {
      added = path + '/' + std::to_string(s.numbered + 1);
      if (g.c % 4 == 3 && s.is == reference::state::running) set_script(added, g.c);
    } else if (m.what != kind::count_children) {
      m.id = id_of(s, g.which);
      how = ' ' + m.id;
    }
    script_.add(path + ": " + std::string{call_name(m.what)} + how);
    about_ = m.id;
    const pending answer = begin(real_, path, m, added, by_address);
    real_.run().run_until_idle();
    const std::string expected = model_.call(path, m);
    script_.compare("the answer", expected, answer());
  }

  script script_;
  bool again_ = false;  ///< the last call was about
  std::string asked_{};  ///< this supervisor's
  std::string about_{};  ///< child
  message::kind last_ = message::kind::count_children;
  std::map<std::string, std::deque<outcome>> first_;
  reference::child top_;
  reference::tree model_;
  real_tree real_;
};

/// One supervisor under `otp` and workers that take their time: what comes while it is busy waits.
class queue {
 public:
  explicit queue(const genome& g) : top_(of(g)), model_(top_), real_(g.seed) {
    script_.add("seed " + std::to_string(g.seed) + ", tree:\n" + reference::text(top_, ""));
    model_.open();
    real_.open(top_);
    settle();
    script_.compare("the children", '\n' + model_.states(), '\n' + real_.states());
  }
  bool over() const { return model_.root.over; }

  /// What one gene puts into a round; a round ends with one that says so.
  void step(const gene& g) {
    const auto children = std::distance(model_.root.children.begin(), model_.root.children.end());
    const auto nth = [&](unsigned n) {
      return std::next(model_.root.children.begin(), n % children);
    };
    if (g.what % 8 == 0) return play();
    if (children > 0 && g.what % 8 == 1) {
      const auto starts = script_of(g.a);
      round_.push_back({});
      round_.back().path = nth(g.where)->path;
      round_.back().starts = starts;
    } else if (children > 0 && g.what % 8 < 4) {
      round_.push_back({});
      round_.back().path = nth(g.where)->path;
      round_.back().kill = true;
    } else {
      using kind = message::kind;
      constexpr kind kinds[] = {kind::which_child,     kind::terminate_child, kind::restart_child,
                                kind::delete_child,    kind::start_child,     kind::count_children,
                                kind::terminate_child, kind::restart_child,   kind::which_child};
      message m{.what = kinds[g.a % std::size(kinds)]};
      m.id = children > 0 && g.which % 9 != 8 ? nth(g.which)->spec.id : "x";
      if (m.what == kind::start_child) {
        m.spec = slow(g, g.b % 2 == 0 ? m.id : "y");
        m.id = m.spec.id;
      }
      round_.push_back({});
      round_.back().call = m;
      // Whether one that is killed at the same time is alive is anybody's guess.
      round_.back().at =
          g.c % 3 == 0 && m.what != kind::count_children ? 0ms : milliseconds{50 + g.d % 12 * 100};
    }
  }
  /// Carries the round out, each way in which the kills in it can be noticed.
  void play();
  void stop() {
    play();
    if (!over()) {
      real_.tree->request_stop();
      settle();
      model_.stop();
      script_.compare("the end of the tree", ended(model_), ended(real_));
    }
    script_.compare("workers left", "0", std::to_string(real_.alive()));
  }
  std::uint64_t steps = 0;

 private:
  struct item {
    std::string path{};
    bool kill = false;
    std::optional<std::deque<outcome>> starts{};
    std::optional<message> call{};
    milliseconds at{0};
  };
  static reference::child slow(const gene& g, std::string id) {
    constexpr milliseconds times[] = {0ms, 100ms, 300ms, 1'000ms, 0ms, 6'000ms};
    reference::child c;
    c.id = std::move(id);
    c.restart = g.a % 3 == 0 ? permanent : g.a % 3 == 1 ? transient : temporary;
    c.shutdown = g.b % 5 == 4 ? brutal_kill : coppice::shutdown{5s};
    c.start_takes = times[g.c % 4];
    c.stop_takes = times[g.d % 6];
    return c;
  }
  static reference::child of(const genome& g) {
    reference::child root;
    root.id = "shop";
    root.what = role::supervisor;
    root.own = rules_of(g.top.a, 0, false);
    root.own.otp = true;
    root.own.auto_shutdown = auto_shutdown::never;
    // Longer than any case: what a few milliseconds change is not the concern here.
    root.own.restarts = 3 + g.top.b % 20;
    root.own.period = 10h;
    for (const gene& each : g.children)
      root.children.push_back(
          slow(each, std::string{static_cast<char>('a' + root.children.size())}));
    return root;
  }
  void settle() { real_.run().advance(300s); }
  /// All that can be seen of a model when a round is over.
  static std::string seen(const reference::tree& t, std::size_t calls) {
    std::string text = "ended: " + ended(t) + '\n' + t.states();
    for (std::size_t i = 0; i < calls; ++i) {
      const auto a = t.answers.find(static_cast<int>(i));
      text +=
          std::to_string(i) + ": " + (a == t.answers.end() ? "no supervisor" : a->second) + '\n';
    }
    return text;
  }

  script script_;
  reference::child top_;
  reference::tree model_;
  real_tree real_;
  std::vector<item> round_;
};

void queue::play() {
  if (round_.empty() || over()) return;
  const auto round = std::exchange(round_, {});
  std::vector<const item*> calls;
  std::vector<std::string> kills;
  for (const item& i : round) {
    if (i.starts) {
      script_.add("next starts of " + i.path + ':' + script_text(*i.starts));
      model_.scripts[i.path] = real_.scripts[i.path] = *i.starts;
    } else if (i.kill) {
      const reference::member* m = model_.find(i.path);
      const bool twice = std::find(kills.begin(), kills.end(), i.path) != kills.end();
      if (kills.size() < 3 && !twice && m && m->is == reference::state::running)
        kills.push_back(i.path);
    } else {
      calls.push_back(&i);
    }
  }
  std::stable_sort(calls.begin(), calls.end(), [](auto* x, auto* y) { return x->at < y->at; });

  // Those calls that are there first, then the kills, then the others in their time.
  std::vector<pending> answers;
  std::vector<std::pair<milliseconds, message>> posted;
  milliseconds time{0};
  const auto post = [&](const item& i) {
    message m = *i.call;
    m.number = static_cast<int>(answers.size());
    script_.add(
        "at " + std::to_string(i.at.count()) + " ms: " + std::string{call_name(m.what)} + ' ' +
        m.id +
        (m.what == message::kind::start_child ? '\n' + reference::text(m.spec, "/shop") : ""));
    answers.push_back(begin(real_, "/shop", m, "", false));
    posted.emplace_back(i.at, std::move(m));
  };
  std::size_t next = 0;
  for (; next < calls.size() && calls[next]->at == 0ms; ++next) post(*calls[next]);
  for (const auto& path : kills) {
    script_.add("at 0 ms: kill " + path);
    stage::kill(real_.at<ref<>>(path));
  }
  real_.run().run_until_idle();
  for (; next < calls.size(); ++next) {
    real_.run().advance(calls[next]->at - time);
    time = calls[next]->at;
    post(*calls[next]);
    real_.run().run_until_idle();
  }
  settle();

  std::string found = "ended: " + ended(real_) + '\n' + real_.states();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    std::string a = answers[i]();
    // That it has ended is seen behind the calls, so that OTP shows it as there.
    if (const auto at = a.find(" ended#"); at != a.npos) a.replace(at, 7, " running#");
    const bool nobody = a == "gone" || a == "crashed" || a == "stopped";
    found += std::to_string(i) + ": " + (nobody ? "no supervisor" : a) + '\n';
  }
  // Several that are killed at once are noticed in any order.
  std::sort(kills.begin(), kills.end());
  std::string expected;
  const reference::tree before = model_;
  do {
    model_ = before;
    model_.answers.clear();
    model_.now = 0ms;
    for (const auto& [at, m] : posted)
      if (at == 0ms) model_.root.mailbox.push_back(m);
      else model_.post_call(at, m);
    for (const auto& path : kills) model_.post_kill(path);
    model_.settle();
    const std::string one = seen(model_, answers.size());
    if (one == found) break;
    expected += (expected.empty() ? "\n" : "or\n") + one;
  } while (std::next_permutation(kills.begin(), kills.end()));
  if (!kills.empty() || !posted.empty()) steps += kills.size() + posted.size();
  if (seen(model_, answers.size()) != found)
    script_.compare("what came of it", expected, '\n' + found);
  real_.take_lines();
}

struct tally {
  std::uint64_t cases = 0, steps = 0;
} played;

void play(const genome& g) {
  performance p{g};
  p.open();
  ++played.cases;
  for (const gene& step : g.steps) {
    if (p.over()) break;
    p.step(step);
    ++played.steps;
  }
  p.stop();
}

void play_queue(const genome& g) {
  queue q{g};
  ++played.cases;
  for (const gene& step : g.steps) {
    if (q.over()) break;
    q.step(step);
  }
  q.stop();
  played.steps += q.steps;
}

// ---- by time budget ---------------------------------------------------------------------------

constexpr auto longest_shrinking = 20s;

/// Cases until the time is over. `COPPICE_MODEL_SEED` is what a failure tells to repeat it.
template <class F>
void check_for(milliseconds budget, const std::string& what, F property) {
  const char* only = std::getenv("COPPICE_MODEL_SEED");
  const bool soak = std::getenv("COPPICE_SOAK") != nullptr;
  std::uint64_t seed = only ? std::strtoull(only, nullptr, 10) : soak ? std::random_device{}() : 1;
  const auto begun = std::chrono::steady_clock::now();
  const auto until = begun + (soak ? 20 * budget : budget);
  played = {};
  do {
    rc::detail::TestParams with;
    with.seed = seed;
    with.maxSuccess = 50;
    // Shrinking goes on for as long as it finds something, and ends when nothing fails any more.
    std::optional<std::chrono::steady_clock::time_point> enough;
    std::string smallest;
    const auto until_enough = [&] {
      if (enough && std::chrono::steady_clock::now() > *enough) return;
      try {
        property();
      } catch (const rc::detail::CaseResult& r) {
        if (!enough) enough = std::chrono::steady_clock::now() + longest_shrinking;
        smallest = r.description;
        throw;
      }
    };
    rc::detail::TestListenerAdapter silent;
    // With the environment's RC_PARAMS out of the way: the seed alone is what repeats a failure.
    const auto found =
        rc::detail::checkTestable(until_enough, rc::detail::TestMetadata{what, what}, with, silent,
                                  std::unordered_map<std::string, rc::detail::Reproduce>{});
    if (!smallest.empty()) {
      FAIL(smallest << "\nrepeat: COPPICE_MODEL_SEED=" << seed
                    << " test_supervision --source-file=*model_test.cpp --test-case='" << what
                    << "'");
    }
    REQUIRE_MESSAGE(found.template is<rc::detail::SuccessResult>(), "seed " << seed);
    ++seed;
  } while (!only && std::chrono::steady_clock::now() < until);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%s: %llu cases, %llu steps, %.0f steps a second\n", what.c_str(),
              static_cast<unsigned long long>(played.cases),
              static_cast<unsigned long long>(played.steps),
              static_cast<double>(played.steps) / took.count());
}

}  // namespace

TEST_CASE("a random tree in random trouble does what OTP does") {
  check_for(4s, "a random tree in random trouble does what OTP does",
            [] { play(*any_genome(13, 30)); });
}

TEST_CASE("what comes while a supervisor under otp is busy waits its turn") {
  check_for(2s, "what comes while a supervisor under otp is busy waits its turn",
            [] { play_queue(*any_genome(6, 30)); });
}
