// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/testing/executor.hpp>
#include <coppice/runtime/wire/exchange.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Two nodes, `alpha` and `beta`, whose exchanges are joined by queues in memory: no session, no
/// socket. Messages move when the test says so.
namespace two_nodes {

using namespace std::chrono_literals;
using bytes = std::vector<std::byte>;

/// One direction of one session.
class pipe final : public coppice::wire::outlet {
 public:
  outcome send(coppice::wire::lane on, std::span<const std::byte> message,
               outlet::room in) noexcept override {
    if (closed) return outcome::closed;
    if (message.size() > 100'000) return outcome::too_large;
    if (messages.size() >= places + (in == outlet::room::reserve ? reserve : 0))
      return outcome::full;
    ++counts[static_cast<std::size_t>(on)];
    messages.push_back({on, {message.begin(), message.end()}});
    return outcome::taken;
  }
  void flush() noexcept override { ++flushes; }

  struct sent {
    coppice::wire::lane on;
    bytes text;
  };
  std::deque<sent> messages;  ///< of both lanes, in the order in which they were sent
  std::array<std::size_t, 2> counts{};  ///< of messages so far, by lane
  std::size_t places = 100'000, reserve = 100'000;
  std::size_t flushes = 0;
  bool closed = false;
};

struct spawned_only final : coppice::wire::directory {
  explicit spawned_only(coppice::system& s) : home(s) {}
  void find(std::string path,
            std::function<void(coppice::detail::cell_ptr, bool)> answer) override {
    answer(coppice::detail::spawned(home, std::string_view{path}.substr(1)), true);
  }
  coppice::system& home;
};

struct watcher_of_letters final : coppice::observer {
  void on_dead_letter(const coppice::dead_letter& d) noexcept override { letters.push_back(d); }
  std::vector<coppice::dead_letter> letters;
};

struct node {
  node(std::string its_name, std::string of_the_other, std::uint64_t seed,
       coppice::wire::limits limits, bool two_lanes)
      : run(seed, {.watch = &told}), here(run.system()) {
    coppice::wire::exchange_options options;
    options.node = std::move(its_name);
    options.peers = {of_the_other, "gamma"};
    options.limits = limits;
    options.allowed = [this](std::string_view, std::string_view path, std::string_view event) {
      return !allowed || allowed(path, event);
    };
    if (two_lanes) options.bulk = [](std::string_view path) { return path.starts_with("/bulk"); };
    options.offended = [this](std::string_view, std::string_view what) {
      offences.emplace_back(what);
    };
    actors.emplace(run.system(), here, std::move(options));
    other = actors->peer(of_the_other);
  }

  template <class... Es>
  coppice::ref<Es...> at(std::string_view place) {
    auto x = actors->address(place);
    return coppice::detail_ref::make<coppice::ref<Es...>>(x.value().get());
  }
  std::uint64_t dead(coppice::dead_letter_reason why) {
    return run.system().dead_letters()[static_cast<std::size_t>(why)];
  }

  watcher_of_letters told;
  coppice::testing::executor run;
  spawned_only here;
  std::function<bool(std::string_view path, std::string_view event)> allowed;
  std::vector<std::string> offences;
  std::optional<coppice::wire::exchange> actors;
  coppice::wire::counterpart* other = nullptr;
  std::shared_ptr<pipe> out;
};

struct stage {
  /// With `two_lanes` what begins with `/bulk` is addressed over the bulk lane.
  explicit stage(std::uint64_t seed = 1, coppice::wire::limits limits = {}, bool two_lanes = false)
      : alpha("alpha", "beta", seed, limits, two_lanes),
        beta("beta", "alpha", seed + 1, limits, two_lanes) {}
  ~stage() {
    alpha.actors->stop();
    beta.actors->stop();
    alpha.run.run_until_idle();
    beta.run.run_until_idle();
  }

  void connect() {
    alpha.out = std::make_shared<pipe>();
    beta.out = std::make_shared<pipe>();
    alpha.actors->began(*alpha.other, alpha.out);
    beta.actors->began(*beta.other, beta.out);
    settle();
  }
  /// The session ends; what is in the pipes is lost.
  void cut(bool beta_restarted = false) {
    for (node* n : {&alpha, &beta}) {
      n->out->closed = true;
      for (const auto& m : n->out->messages) n->actors->unconfirmed(*n->other, m.text);
      n->out->messages.clear();
    }
    alpha.actors->ended(*alpha.other, "the cable was cut", beta_restarted);
    beta.actors->ended(*beta.other, "the cable was cut", false);
    settle();
  }

  bool deliver(node& from, node& to) {
    if (!from.out) return false;
    auto& all = from.out->messages;
    const auto next = std::find_if(all.begin(), all.end(),
                                   [this](const pipe::sent& m) { return m.on != stopped; });
    if (next == all.end()) return false;
    const pipe::sent m = std::move(*next);
    all.erase(next);
    to.actors->message(*to.other, m.on, m.text);
    return true;
  }
  /// Until nothing moves any more; time stands still.
  void settle() {
    for (bool moved = true; moved;) {
      alpha.run.run_until_idle();
      beta.run.run_until_idle();
      moved = deliver(alpha, beta);
      moved = deliver(beta, alpha) || moved;
    }
  }
  void advance(std::chrono::milliseconds time) {
    for (; time > 0ms; time -= 10ms) {
      alpha.run.advance(std::min(time, 10ms));
      beta.run.advance(std::min(time, 10ms));
      alpha.actors->time();
      beta.actors->time();
      settle();
    }
  }
  /// Asks from alpha, and lets time pass until the answer is there.
  template <class E, class... Es>
  coppice::result<typename E::reply> ask(const coppice::ref<Es...>& to, E event,
                                         std::chrono::milliseconds deadline = 1s) {
    auto asked = alpha.run.begin_ask(to, std::move(event), deadline);
    settle();
    for (auto left = deadline + 2s; !asked.answered() && left > 0ms; left -= 10ms) advance(10ms);
    if (!asked.answered()) return coppice::error{coppice::errc::timeout, "no answer at all"};
    return asked.take();
  }

  node alpha, beta;
  std::optional<coppice::wire::lane> stopped;  ///< nothing of that lane arrives
};

}  // namespace two_nodes
