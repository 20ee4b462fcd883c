// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/launcher.hpp>

#include <signal.h>
#include <string.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace coppice::command {

using std::chrono::milliseconds;

namespace {

constexpr int exit_usage = 2;
constexpr int exit_killed = 130;

std::string in_seconds(milliseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(time.count()) / 1000);
  return text;
}

/// The exit codes of `coppice::program`.
const char* meaning_of(int code) {
  switch (code) {
    case 1: return "it could not start, or its tree gave up";
    case 2: return "its command line or its config is wrong";
    case 70: return "an actor did not return from its handler";
    case 130: return "a second signal while it was stopping";
    default: return nullptr;
  }
}

/// Somebody wanted it to end.
bool as_asked(const process_end& how) {
  if (how.signal) return how.signal == SIGTERM || how.signal == SIGINT;
  return how.code == 0 || how.code == exit_killed;
}

}  // namespace

std::string to_string(const process_end& how) {
  if (how.signal) {
    const char* name = sigabbrev_np(how.signal);
    return "killed by " + (name ? std::string{"SIG"} + name : std::to_string(how.signal));
  }
  std::string text = "exit code " + std::to_string(how.code);
  if (const char* meaning = meaning_of(how.code)) text += std::string{": "} + meaning;
  return text;
}

launcher::launcher(std::vector<std::string> names, launch_options options,
                   std::function<double()> random)
    : options_(options), random_(std::move(random)) {
  for (std::string& name : names) nodes_.push_back({.name = std::move(name)});
}

// ---- what happens -----------------------------------------------------------------------------

void launcher::begin(time_point now) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].since = now;
    start(i);
  }
}

void launcher::started(std::size_t at, time_point now) {
  node& n = nodes_[at];
  n.state = state::running;
  n.since = now;
  // It was on its way when the end was called.
  if (phase_ == phase::stopping) signal(at, SIGTERM);
  if (phase_ == phase::killing) signal(at, SIGKILL);
}

void launcher::could_not_start(std::size_t at, const std::string& why, bool for_good,
                               time_point now) {
  if (!for_good && phase_ == phase::up) return again(at, "could not be started: " + why, now);
  nodes_[at].state = state::down;
  refused_ = refused_ || for_good;
  say(at, "could not be started: " + why + (for_good ? "; it is not tried again" : ""));
}

void launcher::ended(std::size_t at, process_end how, time_point now) {
  node& n = nodes_[at];
  const std::string text = to_string(how);
  const bool stopping = phase_ != phase::up;
  if (!stopping && !as_asked(how) && !(how.signal == 0 && how.code == exit_usage)) {
    if (now - n.since >= options_.steady_after) n.failures = 0;
    return again(at, text, now);
  }
  n.state = state::down;
  if (how.signal == 0 && how.code == exit_usage) {
    refused_ = true;
    say(at, text + "; it is not started again");
  } else if (stopping) {
    const bool well = how.signal == 0 ? how.code == 0 : how.signal == SIGTERM;
    badly_ = badly_ || !well;
    say(at, well ? "has stopped" : "has ended: " + text);
  } else {
    say(at, "has ended as it was asked to (" + text + "); it is not started again");
  }
  if (!stopping && finished()) say_all("no node is left");
}

void launcher::interrupt(time_point now) {
  if (phase_ == phase::killing) return;
  if (phase_ == phase::stopping) {
    interrupted_twice_ = true;
    say_all("killing " + names_of_the_alive());
    return kill_all(now);
  }
  phase_ = phase::stopping;
  deadline_ = now + options_.stop_deadline;
  for (node& n : nodes_)
    if (n.state == state::waiting) n.state = state::down;
  if (finished()) return;
  say_all("stopping " + names_of_the_alive() + "; once more kills");
  for (std::size_t i = nodes_.size(); i-- > 0;)
    if (nodes_[i].state == state::running) signal(i, SIGTERM);
}

void launcher::time(time_point now) {
  if (phase_ == phase::up) {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].state == state::waiting && nodes_[i].since <= now) start(i);
    return;
  }
  if (finished() || now < deadline_) return;
  if (phase_ == phase::stopping) {
    say_all("not stopped within " + in_seconds(options_.stop_deadline) + ": " +
            names_of_the_alive() + "; killing");
    return kill_all(now);
  }
  say_all("not even killed: " + names_of_the_alive() + "; left behind");
  for (node& n : nodes_)
    if (alive(n)) n.state = state::abandoned;
}

// ---- what to do -------------------------------------------------------------------------------

void launcher::again(std::size_t at, const std::string& why, time_point now) {
  node& n = nodes_[at];
  milliseconds pause = options_.first_pause;
  for (int i = 0; i < n.failures && pause < options_.longest_pause; ++i) pause *= 2;
  pause = std::min(pause, options_.longest_pause);
  pause += milliseconds{
      static_cast<std::int64_t>(static_cast<double>(pause.count()) * options_.jitter * random_())};
  ++n.failures;
  n.state = state::waiting;
  n.since = now + pause;
  say(at, why + "; again in " + in_seconds(pause));
}

void launcher::kill_all(time_point now) {
  phase_ = phase::killing;
  deadline_ = now + options_.kill_deadline;
  badly_ = true;
  for (std::size_t i = nodes_.size(); i-- > 0;)
    if (nodes_[i].state == state::running) signal(i, SIGKILL);
}

void launcher::start(std::size_t at) {
  nodes_[at].state = state::starting;
  actions_.push_back({.what = launch_action::kind::start, .node = at});
}

void launcher::signal(std::size_t at, int number) {
  actions_.push_back({.what = launch_action::kind::signal, .node = at, .signal = number});
}

void launcher::say(std::size_t at, std::string text) {
  actions_.push_back({.node = at, .text = std::move(text)});
}

void launcher::say_all(std::string text) {
  actions_.push_back({.text = std::move(text), .about_all = true});
}

std::vector<launch_action> launcher::take_actions() { return std::exchange(actions_, {}); }

// ---- what is so -------------------------------------------------------------------------------

bool launcher::alive(const node& n) const {
  return n.state == state::running || n.state == state::starting;
}

std::string launcher::names_of_the_alive() const {
  std::string names;
  for (const node& n : nodes_)
    if (alive(n)) names += (names.empty() ? "" : ", ") + n.name;
  return names;
}

std::optional<launcher::time_point> launcher::next() const {
  if (finished()) return std::nullopt;
  if (phase_ != phase::up) return deadline_;
  std::optional<time_point> first;
  for (const node& n : nodes_)
    if (n.state == state::waiting && (!first || n.since < *first)) first = n.since;
  return first;
}

bool launcher::finished() const {
  return std::all_of(nodes_.begin(), nodes_.end(), [](const node& n) {
    return n.state == state::down || n.state == state::abandoned;
  });
}

int launcher::exit_code() const {
  if (interrupted_twice_) return exit_killed;
  if (badly_) return 1;
  return refused_ ? exit_usage : 0;
}

}  // namespace coppice::command
