// SPDX-License-Identifier: BSD-3-Clause
#include "saboteur.hpp"

#include <chrono>
#include <cstdio>
#include <utility>

namespace shop {

namespace {

using namespace std::chrono_literals;

constexpr auto glance = 2ms;
constexpr auto patience = 5s;
constexpr auto glances_of_patience = patience / glance;
constexpr auto glances_at_a_victim = 500ms / glance;

}  // namespace

void saboteur::started() {
  next_at_ = lines_between_;
  send_every(glance, look_around{});
}

coppice::task<> saboteur::on(const look_around&) {
  if (targets_.empty()) co_return;
  auto counting = ask(audit_, count_up{}, patience);
  auto counted = co_await counting;
  if (!counted || counted->shipped + counted->refused + counted->lost < next_at_) co_return;
  const target t = std::move(targets_.front());
  targets_.pop_front();
  auto crashing = crash(t);
  co_await crashing;
  next_at_ += lines_between_;
}

gone_home saboteur::on(const go_home&) {
  for (const target& t : std::exchange(targets_, {}))
    std::fprintf(stderr, "orders: crash %s: not done, the orders had ended before\n",
                 t.path.c_str());
  return {};
}

/// Children also crash by plants meanwhile. Whoever is killed, or stopped by its supervisor, shows
/// in the reason.
void saboteur::on(const coppice::ended& e) {
  fate& f = fates_[e.path];
  f.incarnation = e.incarnation;
  f.gone = e.gone;
  const bool killed = e.reason.what() == coppice::exit_reason::kind::killed;
  if (f.touched == 0 && (killed || e.reason.clean())) {
    f.touched = e.incarnation;
    f.killed = killed;
  }
}

coppice::task<> saboteur::crash(target t) {
  for (auto glances = glances_of_patience; glances > 0; --glances) {
    auto listing = ask(t.supervisor, coppice::which_children{}, patience);
    auto before = co_await listing;
    if (before && !before->children.empty()) {
      for (const auto& child : before->children) {
        fates_[child.address.path()] = fate{child.incarnation - 1};
        watch(child.address);
      }
      const bool any = t.child == "*";
      coppice::child_info victim = before->children.back();
      for (const auto& child : before->children)
        if (!any && child.id == t.child) victim = child;

      auto killing = kill(victim);
      const bool killed = co_await killing;
      if (killed && !any) {
        auto waiting = all_back(t, victim.address.path());
        const bool back = co_await waiting;
        if (!back) std::fprintf(stderr, "orders: crash %s: not all are back\n", t.path.c_str());
      }
      if (killed) tell(t, *before);
      for (const auto& child : before->children) unwatch(child.address);
      fates_.clear();
      if (killed) co_return;
    }
    // Its order may have ended first: then it is another one's turn.
    auto breath = pause(glance);
    co_await breath;
  }
  std::fprintf(stderr, "orders: crash %s: nobody was there to be killed\n", t.path.c_str());
}

/// Kills and waits for the notice. False: it had ended by itself.
coppice::task<bool> saboteur::kill(coppice::child_info victim) {
  const std::string path = victim.address.path();
  exit(victim.address, coppice::exit_reason::kill());
  for (auto glances = glances_at_a_victim; glances > 0; --glances) {
    const fate& f = fates_[path];
    if (f.killed) co_return true;
    if (f.gone) co_return false;
    auto breath = pause(glance);
    co_await breath;
  }
  co_return false;
}

/// Waits until all children run again and the notices of all their former incarnations are here.
coppice::task<bool> saboteur::all_back(target t, std::string victim) {
  for (auto glances = glances_of_patience; glances > 0; --glances) {
    auto listing = ask(t.supervisor, coppice::which_children{}, patience);
    auto now = co_await listing;
    bool back = now.has_value();
    if (back) {
      for (const auto& child : now->children) {
        const fate& f = fates_[child.address.path()];
        if (child.state != coppice::child_state::running || f.incarnation + 1 < child.incarnation)
          back = false;
        if (child.address.path() == victim && child.incarnation <= f.touched) back = false;
      }
    }
    if (back) co_return true;
    auto breath = pause(glance);
    co_await breath;
  }
  co_return false;
}

void saboteur::tell(const target& t, const coppice::child_list& of) const {
  const std::string crash =
      "orders: crash " + t.path + " (" + std::string{coppice::name(of.strategy)} + "): ";
  std::string others;
  for (const coppice::child_info& child : of.children) {
    const fate& f = fates_.at(child.address.path());
    if (f.touched == 0) {
      others += (others.empty() ? "" : ", ") + child.id;
    } else if (f.gone && f.killed) {
      std::fprintf(stderr, "%s%s #%u killed; it does not come back\n", crash.c_str(),
                   child.id.c_str(), f.touched);
    } else if (!f.gone) {
      std::fprintf(stderr, "%s%s #%u -> #%u, %s\n", crash.c_str(), child.id.c_str(), f.touched,
                   f.touched + 1, f.killed ? "killed" : "stopped and started with it");
    }
  }
  if (!others.empty() && of.strategy != coppice::strategy::simple_one_for_one)
    std::fprintf(stderr, "%snot touched: %s\n", crash.c_str(), others.c_str());
}

}  // namespace shop
