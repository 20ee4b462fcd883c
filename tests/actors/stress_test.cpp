// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/outside.hpp>
#include <coppice/actors/system.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr auto hang = 60s;

/// What happened, over all threads. An event is `made` when it is sent and ends in exactly one of
/// three ways: its handler returns, it throws, or it is a dead letter.
struct ledger {
  std::atomic<std::uint64_t> made{0}, handled{0}, thrown{0};
  std::atomic<std::uint64_t> asked{0}, answered{0}, not_answered{0};
  std::atomic<std::uint64_t> watched{0}, notices{0}, timers{0};
};
using shared_ledger = std::shared_ptr<ledger>;

struct value {
  int number;
};
struct query {
  int number;
  using reply = value;
};
enum class act { nothing, pass_on, ask_one, wait_for_one, set_timer, crash, leave };

struct order {
  act what;
  int hops;
  std::uint64_t seed;
};
struct alarm {};
struct no_more {
  using reply = value;
};

using member = coppice::ref<order, query, no_more>;
struct meet {
  std::vector<member> others;
};

class worker : public coppice::actor<order, query, alarm, coppice::ended, no_more, meet> {
 public:
  explicit worker(shared_ledger books) : books_(std::move(books)) {}

  void on(const meet& m) {
    others_ = m.others;
    for (std::size_t i = 0; i < 2 && i < others_.size(); ++i) {
      watch(others_[(incarnation() + i * 7) % others_.size()]);
      books_->watched.fetch_add(1);
    }
  }

  coppice::task<> on(order o) {
    std::mt19937_64 random{o.seed};
    const auto other = [&] {
      return others_.empty() ? member{} : others_[random() % others_.size()];
    };
    switch (o.what) {
      case act::nothing: break;
      case act::pass_on:
        if (o.hops > 0) {
          books_->made.fetch_add(1);
          send(other(), order{act::pass_on, o.hops - 1, random()});
        }
        break;
      case act::ask_one:
        books_->asked.fetch_add(1);
        ask(other(), query{1}, hang).then([books = books_](coppice::result<value> r) {
          (r ? books->answered : books->not_answered).fetch_add(1);
        });
        break;
      case act::wait_for_one: {
        auto asked = ask(other(), query{1}, 200ms);
        const auto r = co_await asked;
        waits_ += r ? 1 : 0;
        break;
      }
      case act::set_timer: send_after(std::chrono::milliseconds{random() % 5}, alarm{}); break;
      case act::crash: books_->thrown.fetch_add(1); throw std::runtime_error{"as planned"};
      case act::leave: stop(); break;
    }
    books_->handled.fetch_add(1);
  }

  value on(const query& q) { return {q.number}; }
  value on(const no_more&) { return {waits_}; }
  void on(const alarm&) { books_->timers.fetch_add(1); }
  void on(const coppice::ended&) { books_->notices.fetch_add(1); }

 private:
  shared_ledger books_;
  std::vector<member> others_;
  int waits_ = 0;
};

std::uint64_t lost(const coppice::system& s) {
  std::uint64_t all = 0;
  for (const std::uint64_t n : s.dead_letters()) all += n;
  return all;
}

void run(std::uint64_t seed, bool with_ends) {
  constexpr int actors = 50, threads = 3, operations = 1'500;
  const auto books = std::make_shared<ledger>();
  std::atomic<std::uint64_t> asked{0}, ended_once{0};
  std::uint64_t dead = 0;
  {
    coppice::system system{{.workers = 4, .stall_limit = 10s}};
    coppice::outside setting_up{system};
    std::vector<worker::address> all;
    for (int i = 0; i < actors; ++i)
      all.push_back(system.spawn<worker>(
          {.id = "a" + std::to_string(i), .capacity = i % 5 ? 10'000u : 16u}, books));
    std::vector<member> others{all.begin(), all.end()};
    for (const auto& x : all) setting_up.send(x, meet{others});
    std::vector<std::thread> outsiders;
    for (int t = 0; t < threads; ++t)
      outsiders.emplace_back([&, t] {
        coppice::outside from_outside{system};
        std::mt19937_64 random{seed * 1'000 + static_cast<std::uint64_t>(t)};
        for (int i = 0; i < operations; ++i) {
          const member& to = others[random() % others.size()];
          const auto dice = random() % 1'000;
          if (dice < 60) {
            asked.fetch_add(1);
            (void)from_outside.ask(to, query{i}, hang);
            ended_once.fetch_add(1);
            continue;
          }
          const act what = dice < 500   ? act::pass_on
                           : dice < 650 ? act::nothing
                           : dice < 800 ? act::ask_one
                           : dice < 850 ? act::wait_for_one
                           : dice < 990 ? act::set_timer
                           : !with_ends ? act::nothing
                           : dice < 995 ? act::crash
                                        : act::leave;
          books->made.fetch_add(1);
          from_outside.send(to, order{what, static_cast<int>(random() % 20), random()});
        }
      });
    for (auto& t : outsiders) t.join();
    // Until each event has ended in one of its ways.
    const auto until = std::chrono::steady_clock::now() + hang;
    const auto ended = [&] { return books->handled.load() + lost(system) >= books->made.load(); };
    while (!ended() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    CHECK(ended());
    if (!with_ends)
      for (const auto& x : others) CHECK(setting_up.ask(x, no_more{}, hang));
    const auto settled = [&] {
      return books->answered.load() + books->not_answered.load() == books->asked.load();
    };
    // Continuations of those that have ended vanish with them.
    while (!with_ends && !settled() && std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    CHECK(system.stop(hang).empty());
    dead = lost(system);
  }
  CHECK(ended_once.load() == asked.load());
  CHECK(books->answered.load() + books->not_answered.load() <= books->asked.load());
  if (with_ends) {
    CHECK(books->thrown.load() > 0);
    CHECK(books->notices.load() > 0);
  } else {
    CHECK(books->answered.load() + books->not_answered.load() == books->asked.load());
    CHECK(books->thrown.load() == 0);
  }
  CHECK(books->timers.load() > 0);
  // A crash's event is a dead letter too, so `thrown` is among the dead.
  CHECK(books->handled.load() + dead == books->made.load());
}

}  // namespace

TEST_CASE("amid random events, asks, timers and watches every event and ask ends exactly once") {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    CAPTURE(seed);
    run(seed, false);
  }
}

TEST_CASE("amid random crashes and ends what was sent is what was handled and what was lost") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    run(seed, true);
  }
}
