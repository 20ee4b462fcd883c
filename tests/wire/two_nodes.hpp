// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/testing/executor.hpp>
#include <coppice/runtime/wire/exchange.hpp>

#include <deque>
#include <map>
#include <memory>
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
  outcome send(coppice::wire::lane, std::span<const std::byte> message,
               outlet::room in) noexcept override {
    if (closed) return outcome::closed;
    if (message.size() > 100'000) return outcome::too_large;
    if (messages.size() >= places && in == outlet::room::ordinary) return outcome::full;
    messages.emplace_back(message.begin(), message.end());
    return outcome::taken;
  }
  void flush() noexcept override { ++flushes; }

  std::deque<bytes> messages;
  std::size_t places = 100'000;
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
       coppice::wire::limits limits)
      : run(seed, {.watch = &told}), here(run.system()) {
    coppice::wire::exchange_options options;
    options.node = std::move(its_name);
    options.peers = {of_the_other, "gamma"};
    options.limits = limits;
    options.allowed = [this](std::string_view, std::string_view path, std::string_view event) {
      return !allowed || allowed(path, event);
    };
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
  explicit stage(std::uint64_t seed = 1, coppice::wire::limits limits = {})
      : alpha("alpha", "beta", seed, limits), beta("beta", "alpha", seed + 1, limits) {}
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
      for (const bytes& m : n->out->messages) n->actors->unconfirmed(*n->other, m);
      n->out->messages.clear();
    }
    alpha.actors->ended(*alpha.other, "the cable was cut", beta_restarted);
    beta.actors->ended(*beta.other, "the cable was cut", false);
    settle();
  }

  bool deliver(node& from, node& to) {
    if (!from.out || from.out->messages.empty()) return false;
    const bytes m = std::move(from.out->messages.front());
    from.out->messages.pop_front();
    to.actors->message(*to.other, m);
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
};

}  // namespace two_nodes
