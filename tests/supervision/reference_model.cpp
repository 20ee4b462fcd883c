// SPDX-License-Identifier: BSD-3-Clause
#include "reference_model.hpp"

#include <algorithm>
#include <utility>

namespace reference {

using coppice::strategy;

// ---- words ------------------------------------------------------------------------------------

std::string_view name(state s) {
  constexpr std::string_view names[] = {"stopped", "running", "ended", "restarting"};
  return names[static_cast<int>(s)];
}

std::string row(const std::string& path, std::string_view state, std::uint32_t incarnation,
                std::uint32_t restarts, bool supervisor) {
  return path + ' ' + std::string{state} + '#' + std::to_string(incarnation) + " r" +
         std::to_string(restarts) + (supervisor ? " supervisor" : " worker");
}

std::string counts(std::uint32_t specs, std::uint32_t active, std::uint32_t supervisors,
                   std::uint32_t workers) {
  return std::to_string(specs) + " specs, " + std::to_string(active) + " active, " +
         std::to_string(supervisors) + " supervisors, " + std::to_string(workers) + " workers";
}

namespace {

std::string_view restart_name(coppice::restart r) {
  constexpr std::string_view names[] = {"permanent", "transient", "temporary"};
  return names[static_cast<int>(r)];
}

std::string shutdown_text(coppice::shutdown s) {
  if (s == coppice::brutal_kill) return "brutal_kill";
  if (s == coppice::infinity) return "infinity";
  return std::to_string(s.deadline().count()) + " ms";
}

/// One that has ended is there until its supervisor notices.
std::string row_of(const member& m) {
  return row(m.path, name(m.is == state::ended ? state::running : m.is), m.incarnation, m.restarts,
             m.spec.what != role::worker);
}

bool is_clean(reason why) { return why == reason::normal || why == reason::shutdown; }

std::string label(const member& m) { return m.path + '#' + std::to_string(m.incarnation); }

member make(const child& spec, const std::string& parent) {
  return {.spec = spec, .path = parent + '/' + spec.id};
}

}  // namespace

std::string spec_text(const std::string& id, coppice::restart restart, bool significant,
                      coppice::shutdown shutdown, bool supervisor) {
  return id + ": " + std::string{restart_name(restart)} + (supervisor ? " supervisor" : " worker") +
         (significant ? ", significant" : "") + ", shutdown " + shutdown_text(shutdown);
}

std::string text(const child& c, const std::string& parent) {
  const std::string path = parent + '/' + c.id;
  std::string all =
      "  " + spec_text(path, c.restart, c.significant, c.shutdown, c.what != role::worker);
  if (c.throws_at_stop) all += ", throws when it stops";
  if (c.start_takes.count() > 0)
    all += ", starts in " + std::to_string(c.start_takes.count()) + " ms";
  if (c.stop_takes.count() > 0) all += ", stops in " + std::to_string(c.stop_takes.count()) + " ms";
  if (c.what != role::worker) {
    constexpr std::string_view when[] = {"", ", any_significant", ", all_significant"};
    all += std::string{"; "} + (c.own.otp ? "otp" : "ours") + ", " +
           (c.what == role::dynamic ? "dynamic" : std::string{coppice::name(c.own.strategy)}) +
           ", " + std::to_string(c.own.restarts) + " restarts in " +
           std::to_string(c.own.period.count()) + " ms" +
           std::string{when[static_cast<int>(c.own.auto_shutdown)]};
  }
  all += '\n';
  for (const child& below : c.children) all += text(below, path);
  return all;
}

// ---- what happened ----------------------------------------------------------------------------

std::string text(const trace& t) {
  if (!t.line.empty()) return t.line;
  std::string all;
  for (const trace& part : t.parts) {
    const std::string one = text(part);
    if (!one.empty()) all += (all.empty() ? "" : t.side_by_side ? " | " : ", ") + one;
  }
  return t.side_by_side && t.parts.size() > 1 ? "[" + all + "]" : all;
}

namespace {

struct range {
  std::size_t first = SIZE_MAX, last = 0;
};

/// Where the lines of `t` stand; `wrong` tells of the first that stands where it cannot.
range place(const trace& t, std::map<std::string, std::deque<std::size_t>>& where,
            std::string& wrong) {
  range all;
  if (!t.line.empty()) {
    auto& places = where[t.line];
    if (places.empty()) {
      if (wrong.empty()) wrong = "missing: " + t.line;
      return all;
    }
    all = {places.front(), places.front()};
    places.pop_front();
    return all;
  }
  for (const trace& part : t.parts) {
    const range r = place(part, where, wrong);
    if (r.first > r.last) continue;
    if (!t.side_by_side && all.first <= all.last && r.first < all.last && wrong.empty())
      wrong = "too early: " + text(part);
    all = {std::min(all.first, r.first), std::max(all.last, r.last)};
  }
  return all;
}

}  // namespace

std::string mismatch(const trace& expected, const std::vector<std::string>& lines) {
  std::map<std::string, std::deque<std::size_t>> where;
  for (std::size_t i = 0; i < lines.size(); ++i) where[lines[i]].push_back(i);
  std::string wrong;
  place(expected, where, wrong);
  if (wrong.empty())
    for (const auto& [line, left] : where)
      if (!left.empty()) return "unexpected: " + line;
  return wrong;
}

void tree::say(const std::string& line) { trace_.parts.push_back({.line = line}); }

template <class F>
void tree::side_by_side(std::list<member>& all, F each) {
  trace block{.side_by_side = true};
  for (member& m : all) {
    trace outer = std::exchange(trace_, {});
    each(m);
    block.parts.push_back(std::exchange(trace_, std::move(outer)));
  }
  trace_.parts.push_back(std::move(block));
}

void tree::report(const member& supervisor, const char* about, const member& of, reason why) {
  reports_[supervisor.path].push_back(std::string{about} + ' ' + label(of) + ' ' +
                                      std::string{coppice::name(why)});
}

trace tree::take_trace() { return std::exchange(trace_, {}); }

std::map<std::string, std::vector<std::string>> tree::take_reports() {
  return std::exchange(reports_, {});
}

// ---- the tree ---------------------------------------------------------------------------------

tree::tree(const child& r) : root(make(r, "")) {}

namespace {

void collect(member& m, std::vector<member*>& into) {
  into.push_back(&m);
  if (m.spec.what == role::worker || m.is != state::running) return;
  for (member& c : m.children) collect(c, into);
}

void show(const member& s, std::string& into) {
  std::vector<const member*> children;
  for (const member& c : s.children) children.push_back(&c);
  // Ours: in the order of the start; under otp newest first, as OTP has it.
  if (s.spec.own.otp) std::reverse(children.begin(), children.end());
  for (const member* c : children) {
    into += row_of(*c) + '\n';
    if (c->spec.what != role::worker && c->is == state::running) show(*c, into);
  }
}

std::uint32_t alive(const member& m) {
  if (m.is != state::running) return 0;
  if (m.spec.what == role::worker) return 1;
  std::uint32_t all = 0;
  for (const member& c : m.children) all += alive(c);
  return all;
}

auto find_child(member& s, std::string_view id) {
  return std::find_if(s.children.begin(), s.children.end(),
                      [&](const member& m) { return m.spec.id == id; });
}

}  // namespace

std::vector<member*> tree::all() {
  std::vector<member*> found;
  collect(root, found);
  return found;
}

member* tree::find(const std::string& path) {
  for (member* m : all())
    if (m->path == path) return m;
  return nullptr;
}

std::string tree::states() const {
  std::string text;
  if (root.is == state::running) show(root, text);
  return text;
}

std::uint32_t tree::workers_alive() const { return alive(root); }

// ---- start and stop ---------------------------------------------------------------------------

outcome tree::start(member& m) {
  // Ours: an attempt has a number of its own, whatever becomes of it.
  ++m.incarnation;
  if (m.spec.what != role::worker) return start_supervisor(m);
  say(label(m) + " starts");
  now += m.spec.start_takes;
  auto& script = scripts[m.path];
  const outcome how = script.empty() ? outcome::success : script.front();
  if (!script.empty()) script.pop_front();
  if (how != outcome::failure) say(label(m) + " runs");
  if (how != outcome::success) say(label(m) + " ends");
  m.is = how == outcome::success ? state::running : state::stopped;
  return how;
}

outcome tree::start_supervisor(member& m) {
  if (m.spec.what == role::supervisor) {
    say(m.path + " builds");
    auto& script = scripts[m.path];
    const outcome how = script.empty() ? outcome::success : script.front();
    if (!script.empty()) script.pop_front();
    m.is = state::stopped;
    if (how == outcome::failure) return how;
    if (how == outcome::decline) {
      m.children.clear();
      return how;
    }
  }
  m.mailbox.clear();
  m.restart_times.clear();
  m.over = false;
  // Ours: a child that is built again keeps its address, hence goes on counting.
  std::list<member> former = std::exchange(m.children, {});
  if (m.spec.what == role::supervisor)
    for (const child& spec : m.spec.children) {
      const auto before = std::find_if(former.begin(), former.end(),
                                       [&](const member& f) { return f.spec.id == spec.id; });
      m.children.push_back(before == former.end() ? make(spec, m.path) : std::move(*before));
      m.children.back().restarts = 0;
    }
  for (auto c = m.children.begin(); c != m.children.end();) {
    const outcome how = start(*c);
    if (how == outcome::failure) {
      report(m, "start_error", *c, reason::start_failed);
      stop_children(m);
      is_down(m);
      return outcome::failure;
    }
    if (how == outcome::decline && c->spec.restart == coppice::temporary) c = m.children.erase(c);
    else ++c;
  }
  m.is = state::running;
  return outcome::success;
}

/// What has become of a supervisor's children when it is down.
void tree::is_down(member& s) {
  s.is = state::stopped;
  // Ours: these addresses end; the others are taken over when it is built again.
  s.children.remove_if([&](const member& c) {
    return c.added || s.spec.what == role::dynamic || c.spec.restart == coppice::temporary;
  });
  for (member& c : s.children) c.is = state::stopped;
}

void tree::stop(member& s, member& m) {
  const state was = std::exchange(m.is, state::stopped);
  if (was != state::running) return;
  const bool brutal = m.spec.shutdown == coppice::brutal_kill;
  if (m.spec.what != role::worker) {
    if (brutal) return kill(m);
    stop_children(m);
    is_down(m);
    return;
  }
  if (brutal) return say(label(m) + " ends");
  say(label(m) + " stops");
  const bool late = m.spec.shutdown.what() == coppice::shutdown::kind::within &&
                    m.spec.stop_takes > m.spec.shutdown.deadline();
  now += late ? m.spec.shutdown.deadline() : m.spec.stop_takes;
  say(label(m) + " ends");
  if (late) report(s, "shutdown_error", m, reason::killed);
  else if (m.spec.throws_at_stop) report(s, "shutdown_error", m, reason::crashed);
}

void tree::stop_children(member& s) {
  if (s.spec.what == role::dynamic) {
    const milliseconds begun = now;
    milliseconds last = now;
    side_by_side(s.children, [&](member& c) {
      now = begun;
      stop(s, c);
      last = std::max(last, now);
    });
    now = last;
    return;
  }
  for (auto c = s.children.rbegin(); c != s.children.rend(); ++c) stop(s, *c);
}

void tree::kill(member& m) {
  const state was = std::exchange(m.is, state::stopped);
  if (m.spec.what == role::worker) {
    if (was == state::running) say(label(m) + " ends");
    return;
  }
  // Ours: its parent hears of it when all below it are down as well.
  side_by_side(m.children, [&](member& c) {
    if (c.is == state::running) kill(c);
  });
  is_down(m);
}

// ---- a child's exit ---------------------------------------------------------------------------

void tree::judge(member& s, member& m, reason why) {
  m.is = state::stopped;
  const bool clean = is_clean(why);
  const bool again =
      m.spec.restart == coppice::permanent || (m.spec.restart == coppice::transient && !clean);
  if (again || !clean) report(s, "child_terminated", m, why);
  if (again) return restart(s, m);
  const member before = m;
  if (m.spec.restart == coppice::temporary || s.spec.what == role::dynamic)
    s.children.remove_if([&](const member& c) { return &c == &m; });
  check_significant(s, before);
}

void tree::check_significant(member& s, const member& m) {
  if (!m.spec.significant || s.spec.own.auto_shutdown == coppice::auto_shutdown::never) return;
  const bool others = std::any_of(s.children.begin(), s.children.end(), [&](const member& c) {
    return c.spec.significant && c.is != state::stopped;
  });
  if (s.spec.own.auto_shutdown == coppice::auto_shutdown::any_significant || !others)
    shut_down(s, reason::shutdown);
}

void tree::shut_down(member& s, reason why) {
  stop_children(s);
  is_down(s);
  s.over = true;
  s.why = why;
}

bool tree::too_many(member& s) {
  // Ours: to the millisecond; under otp in whole seconds.
  const std::int64_t unit = s.spec.own.otp ? 1'000 : 1;
  const std::int64_t time = now.count() / unit;
  const std::int64_t period = s.spec.own.period.count() / unit;
  std::erase_if(s.restart_times, [&](std::int64_t t) { return t < time - period; });
  s.restart_times.push_back(time);
  return s.restart_times.size() > s.spec.own.restarts;
}

void tree::restart(member& s, member& m) {
  ++m.restarts;
  if (too_many(s)) {
    report(s, "shutdown", m, reason::exhausted);
    // Ours: a reason of its own, which is not clean; under otp a plain shutdown.
    return shut_down(s, s.spec.own.otp ? reason::shutdown : reason::exhausted);
  }
  if (s.spec.what == role::supervisor && s.spec.own.strategy != coppice::one_for_one)
    return restart_group(s, m);
  start_again(s, m);
  if (s.spec.what == role::dynamic)
    s.children.remove_if([](const member& c) { return c.is == state::stopped; });
}

void tree::restart_group(member& s, member& m) {
  m.is = state::stopped;
  const auto dead =
      std::find_if(s.children.begin(), s.children.end(), [&](const member& c) { return &c == &m; });
  const bool rest = s.spec.own.strategy == coppice::rest_for_one;
  const std::ptrdiff_t before = rest ? std::distance(s.children.begin(), dead) : 0;
  for (auto c = s.children.end(); std::distance(s.children.begin(), c) > before;) {
    --c;
    stop(s, *c);
    if (c->spec.restart == coppice::temporary) c = s.children.erase(c);
  }
  for (auto c = std::next(s.children.begin(), before); c != s.children.end(); ++c)
    if (!start_again(s, *c)) return;
}

/// False: it has failed, and will be tried again.
bool tree::start_again(member& s, member& m) {
  if (start(m) != outcome::failure) return true;
  report(s, "start_error", m, reason::start_failed);
  m.is = state::restarting;
  arrive();
  // Ours: a retry belongs to the attempt that has failed.
  s.mailbox.push_back(
      {.what = message::kind::retry, .id = m.spec.id, .incarnation = m.incarnation});
  return false;
}

// ---- the mailbox ------------------------------------------------------------------------------

/// What has arrived at the supervisor at the top by now.
void tree::arrive() {
  while (!arrivals_.empty() && arrivals_.front().first <= now) {
    root.mailbox.push_back(arrivals_.front().second);
    arrivals_.pop_front();
  }
}

void tree::handle(member& s, const message& m) {
  if (m.what != message::kind::ended && m.what != message::kind::retry) {
    answers[m.number] = answer(s, m);
    return;
  }
  const auto c = find_child(s, m.id);
  if (c == s.children.end() || c->incarnation != m.incarnation) return;
  if (m.what == message::kind::retry && c->is == state::restarting) restart(s, *c);
  if (m.what == message::kind::ended && c->is == state::ended) judge(s, *c, m.why);
}

/// All that a supervisor has to do, and then its parent if that was its end.
void tree::drain(const std::string& path) {
  member& s = *find(path);
  for (;;) {
    arrive();
    if (s.mailbox.empty() || s.over) break;
    const message m = s.mailbox.front();
    s.mailbox.pop_front();
    handle(s, m);
  }
  if (!s.over || path == root.path) return;
  s.is = state::ended;
  const std::string parent = path.substr(0, path.rfind('/'));
  find(parent)->mailbox.push_back(
      {.what = message::kind::ended, .id = s.spec.id, .incarnation = s.incarnation, .why = s.why});
  s.over = false;
  drain(parent);
}

void tree::open() {
  const outcome how = start(root);
  if (how == outcome::success) return;
  root.over = true;
  root.why = how == outcome::failure ? reason::start_failed : reason::normal;
}

void tree::exit(const std::string& path, reason why) {
  member& m = *find(path);
  say(label(m) + " stops");
  say(label(m) + " ends");
  // Ours: a throw while it stops is the reason of a clean exit only.
  if (is_clean(why) && m.spec.throws_at_stop) why = reason::crashed;
  m.is = state::ended;
  const std::string parent = path.substr(0, path.rfind('/'));
  find(parent)->mailbox.push_back(
      {.what = message::kind::ended, .id = m.spec.id, .incarnation = m.incarnation, .why = why});
  drain(parent);
}

void tree::kill(const std::string& path) {
  member& m = *find(path);
  kill(m);
  if (&m == &root) {
    m.over = true;
    m.why = reason::killed;
    return;
  }
  m.is = state::ended;
  const std::string parent = path.substr(0, path.rfind('/'));
  find(parent)->mailbox.push_back({.what = message::kind::ended,
                                   .id = m.spec.id,
                                   .incarnation = m.incarnation,
                                   .why = reason::killed});
  drain(parent);
}

std::string tree::call(const std::string& path, message m) {
  member& s = *find(path);
  // Ours: the address of a supervisor that does not run is there, and says so.
  if (s.is != state::running) return "stopped";
  m.number = -1;
  s.mailbox.push_back(std::move(m));
  drain(path);
  return answers[-1];
}

void tree::stop() {
  stop_children(root);
  is_down(root);
  root.over = true;
  root.why = reason::shutdown;
}

void tree::post_kill(const std::string& path) {
  member& m = *find(path);
  m.is = state::ended;
  root.mailbox.push_back({.what = message::kind::ended,
                          .id = m.spec.id,
                          .incarnation = m.incarnation,
                          .why = reason::killed});
}

void tree::post_call(milliseconds at, message m) { arrivals_.emplace_back(at, std::move(m)); }

void tree::settle() {
  for (;;) {
    drain(root.path);
    if (arrivals_.empty() || root.over) break;
    now = arrivals_.front().first;
  }
  arrivals_.clear();
}

// ---- calls ------------------------------------------------------------------------------------

namespace {

/// Ours: a number that a dynamic child once had answers as a dead pid does in OTP.
bool was_there(const member& s, const std::string& id) {
  if (s.spec.what != role::dynamic || id.find_first_not_of("0123456789") != id.npos) return false;
  const unsigned long number = std::stoul(id);
  return number > 0 && number <= s.numbered;
}

}  // namespace

std::string tree::answer(member& s, const message& m) {
  using kind = message::kind;
  switch (m.what) {
    case kind::start_child: return start_child(s, m);
    case kind::start_dynamic: return start_dynamic(s);
    case kind::terminate_child: return terminate_child(s, m);
    case kind::restart_child: return restart_child(s, m);
    case kind::delete_child: return delete_child(s, m);
    case kind::which_child: {
      const auto c = find_child(s, m.id);
      return c == s.children.end() ? "not_found" : row_of(*c);
    }
    case kind::get_childspec: {
      const auto c = find_child(s, m.id);
      if (c == s.children.end()) {
        if (!was_there(s, m.id)) return "not_found";
        const child& made = s.spec.children.front();
        return spec_text("", made.restart, made.significant, made.shutdown, false);
      }
      return spec_text(m.id, c->spec.restart, c->spec.significant, c->spec.shutdown,
                       c->spec.what != role::worker);
    }
    case kind::count_children: {
      std::uint32_t active = 0, supervisors = 0, workers = 0;
      for (const member& c : s.children) {
        if (c.is == state::running) ++active;
        ++(c.spec.what == role::worker ? workers : supervisors);
      }
      const auto all = static_cast<std::uint32_t>(s.children.size());
      return counts(s.spec.what == role::dynamic ? 1 : all, active, supervisors, workers);
    }
    default: return "no call";
  }
}

std::string tree::start_child(member& s, const message& m) {
  if (s.spec.what == role::dynamic) return "simple_one_for_one";
  if (m.spec.significant && (s.spec.own.auto_shutdown == coppice::auto_shutdown::never ||
                             m.spec.restart == coppice::permanent))
    return "invalid";
  const auto known = find_child(s, m.spec.id);
  if (known != s.children.end()) {
    const bool runs = known->is == state::running || known->is == state::ended;
    return runs ? "already_started" : "already_present";
  }
  s.children.push_back(make(m.spec, s.path));
  member& c = s.children.back();
  c.added = true;
  const outcome how = start(c);
  const std::string number = '#' + std::to_string(c.incarnation);
  // Ours: a start that fails by a call is told to its caller only.
  if (how == outcome::failure) {
    s.children.pop_back();
    return "failed";
  }
  if (how == outcome::decline && m.spec.restart == coppice::temporary) s.children.pop_back();
  return (how == outcome::success ? "runs" : "declined") + number;
}

std::string tree::start_dynamic(member& s) {
  // Ours: dynamic children have numbers, where OTP knows them by pid alone.
  child spec = s.spec.children.front();
  spec.id = std::to_string(++s.numbered);
  s.children.push_back(make(spec, s.path));
  const outcome how = start(s.children.back());
  if (how != outcome::success) s.children.pop_back();
  if (how == outcome::failure) return "failed";
  return how == outcome::success ? "runs" : "declined";
}

std::string tree::terminate_child(member& s, const message& m) {
  const auto c = find_child(s, m.id);
  if (c == s.children.end()) return was_there(s, m.id) ? "done" : "not_found";
  stop(s, *c);
  if (c->spec.restart == coppice::temporary || s.spec.what == role::dynamic) s.children.erase(c);
  return "done";
}

std::string tree::restart_child(member& s, const message& m) {
  if (s.spec.what == role::dynamic) return "simple_one_for_one";
  const auto c = find_child(s, m.id);
  if (c == s.children.end()) return "not_found";
  if (c->is == state::running || c->is == state::ended) return "running";
  if (c->is == state::restarting) return "restarting";
  const outcome how = start(*c);
  if (how == outcome::failure) return "failed";
  return (how == outcome::success ? "runs#" : "declined#") + std::to_string(c->incarnation);
}

std::string tree::delete_child(member& s, const message& m) {
  if (s.spec.what == role::dynamic) return "simple_one_for_one";
  const auto c = find_child(s, m.id);
  if (c == s.children.end()) return "not_found";
  if (c->is == state::running || c->is == state::ended) return "running";
  if (c->is == state::restarting) return "restarting";
  s.children.erase(c);
  return "done";
}

}  // namespace reference
