// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include <coppice/actors/testing/probe.hpp>

#include "scripted_actor.hpp"

// The ordering rule of end notices: nothing from an incarnation arrives after its end notice,
// nothing of it is missing before it but what was counted as a dead letter, and each incarnation
// is announced once.

using coppice::exit_reason;
using scripted::actor;
using scripted::address;
using scripted::executor;
using scripted::line;
using scripted::note;
using scripted::spawn;
using scripted::spawned;
using scripted::tell;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t overflowed(const coppice::dead_letter_counts& counts) {
  return counts[static_cast<std::size_t>(coppice::dead_letter_reason::overflow)];
}

/// What the sources have sent, by receiver, source and incarnation: written by the sources.
using sent_counts = std::map<std::tuple<int, std::uint64_t, std::uint32_t>, int>;

/// Sends `count` numbered notes to the receiver with that index.
std::function<void(actor&)> talk(std::shared_ptr<sent_counts> sent, int receiver, address to,
                                 int count) {
  return [sent, receiver, to, count](actor& a) {
    int& number = (*sent)[{receiver, a.self().number(), a.incarnation()}];
    for (int i = 0; i < count; ++i) a.tell(to, number++);
  };
}

/// One of the ways an actor ends by itself.
std::function<void(actor&)> leave(std::uint64_t how, std::function<void(actor&)> last_words) {
  return [how, last_words](actor& a) {
    last_words(a);
    switch (how % 4) {
      case 0: a.stop(); break;
      case 1: scripted::crash(a);
      case 2: a.exit(a.self(), exit_reason::failed("enough")); break;
      case 3: a.stop(exit_reason::shutdown("enough")); break;
    }
  };
}

struct history {
  std::uint32_t incarnation = 0;  ///< the last that was announced
  std::uint32_t talking = 0;      ///< the last that was heard
  int notices = 0;
  int heard = 0;
  int last_number = -1;
  bool gone = false;
};

/// Goes through what one receiver has seen and checks the rule, for every source.
std::map<std::uint64_t, history> check_order(const std::vector<line>& lines) {
  std::map<std::uint64_t, history> all;
  for (const line& l : lines) {
    if (l.what == line::a_note) {
      history& h = all[l.noted.sender];
      CHECK_FALSE(h.gone);
      CHECK(l.noted.incarnation > h.incarnation);
      CHECK(l.noted.incarnation >= h.talking);
      if (l.noted.incarnation > h.talking) h.last_number = -1;
      h.talking = l.noted.incarnation;
      CHECK(l.noted.number > h.last_number);
      h.last_number = l.noted.number;
      ++h.heard;
    } else if (l.what == line::an_end) {
      history& h = all[l.end.number];
      CHECK_FALSE(h.gone);
      if (l.end.gone) {
        CHECK(l.end.incarnation >= h.incarnation);
        h.gone = true;
      } else {
        CHECK(l.end.incarnation == h.incarnation + 1);
      }
      h.incarnation = l.end.incarnation;
      ++h.notices;
    } else {
      history& h = all[l.signal.number];
      CHECK(l.signal.linked);
      CHECK_FALSE(h.gone);
      h.gone = true;
      ++h.notices;
    }
  }
  return all;
}

}  // namespace

TEST_CASE("nothing of an actor arrives after its end notice and nothing is missing before it") {
  std::uint64_t dead_letters = 0;
  for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
    CAPTURE(seed);
    executor run{seed};
    std::mt19937_64 draw{seed};
    auto sent = std::make_shared<sent_counts>();
    // Small mailboxes: notices must get through full ones.
    const spawned watcher = spawn(run.system(), "watcher", 1 + draw() % 8);
    const spawned linked = spawn(run.system(), "linked", 1 + draw() % 8);
    const spawned killer = spawn(run.system(), "killer");
    tell(run, linked, [](actor& a) { a.trap_exits(); });
    run.run_until_idle();
    const address receivers[] = {watcher.at, linked.at};

    std::vector<spawned> sources;
    for (int i = 0; i < 4; ++i) {
      sources.push_back(spawn(run.system(), "source"));
      run.run_until_idle();
      tell(run, watcher, [at = sources[i].at](actor& a) { a.watch(at); });
      if (draw() % 2) tell(run, linked, [at = sources[i].at](actor& a) { a.link(at); });
      else tell(run, sources[i], [at = linked.at](actor& a) { a.link(at); });
      run.run_until_idle();
    }

    const auto something = [&] { return static_cast<int>(draw() % 5); };
    for (std::size_t next = 0; next < sources.size();) {
      const spawned& source = sources[draw() % sources.size()];
      const int to = draw() % 2;
      const auto words = talk(sent, to, receivers[to], something());
      switch (draw() % 8) {
        case 0: tell(run, sources[next++], leave(draw(), words)); break;
        case 1:
          if (draw() % 2) run.system().stop(sources[next++].at);
          else
            tell(run, killer,
                 [at = sources[next++].at](actor& a) { a.exit(at, exit_reason::kill()); });
          break;
        default: tell(run, source, words);
      }
      for (int steps = something(); steps; --steps) run.step();
    }
    run.run_until_idle();

    std::uint64_t said = 0, heard = 0;
    for (const auto& [whom, count] : *sent) said += count;
    for (const spawned* receiver : {&watcher, &linked}) {
      CAPTURE(receiver->at.path());
      const auto all = check_order(receiver->seen->lines);
      for (const spawned& source : sources) {
        const auto found = all.find(source.at.number());
        REQUIRE(found != all.end());
        CHECK(found->second.notices == 1);
        CHECK(found->second.gone);
        heard += found->second.heard;
      }
    }
    CHECK(said == heard + overflowed(run.system().dead_letters()));
    dead_letters += overflowed(run.system().dead_letters());
  }
  CHECK(dead_letters > 1'000);  // or the mailboxes were never full
}

TEST_CASE("with restarts each incarnation has its notice, and its events stay before it") {
  int incarnations = 0;
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    CAPTURE(seed);
    executor run{seed};
    std::mt19937_64 draw{seed};
    auto sent = std::make_shared<sent_counts>();
    const spawned watcher = spawn(run.system(), "watcher", 1 + draw() % 8);
    std::vector<scripted::driven> sources;
    sources.reserve(3);
    for (int i = 0; i < 3; ++i) {
      sources.push_back(scripted::drive(run.system(), "source"));
      sources.back().cell->start(false);
      tell(run, watcher, [at = sources.back().at](actor& a) { a.watch(at); });
      run.run_until_idle();
    }
    for (int act = 0; act < 40; ++act) {
      const auto& source = sources[draw() % sources.size()];
      const auto words = talk(sent, 0, watcher.at, static_cast<int>(draw() % 4));
      switch (draw() % 8) {
        case 0: tell(run, source, leave(draw(), words)); break;
        case 1: source.cell->kill(exit_reason::killed()); break;
        case 2: source.cell->stop(exit_reason::shutdown(), 0); break;
        default: tell(run, source, words);
      }
      for (auto steps = draw() % 6; steps; --steps) run.step();
      for (const auto& x : sources)
        if (x.cell->state() == coppice::detail::cell_state::down) x.cell->start(draw() % 2);
    }
    run.run_until_idle();
    for (auto& x : sources) x.end();
    run.run_until_idle();

    std::uint64_t said = 0, heard = 0;
    for (const auto& [whom, count] : *sent) said += count;
    const auto all = check_order(watcher.seen->lines);
    for (const auto& x : sources) {
      const auto found = all.find(x.at.number());
      REQUIRE(found != all.end());
      CHECK(found->second.gone);
      CHECK(found->second.incarnation == static_cast<std::uint32_t>(x.seen->started));
      incarnations += x.seen->started;
      heard += found->second.heard;
    }
    CHECK(said == heard + overflowed(run.system().dead_letters()));
  }
  CHECK(incarnations > 10'000);
}

TEST_CASE("the order of end notices holds between threads") {
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    coppice::system system{{.workers = 3}};
    coppice::outside test{system};
    // A probe locks what it keeps: this thread reads while the watcher runs.
    using probe = coppice::testing::probe<note, coppice::ended>;
    probe watcher{system, {.id = "watcher", .capacity = 64}};
    using talker = coppice::ref<note>;
    struct source : coppice::actor<note> {
      source(talker to, int how) : to_(to), how_(how) {}
      void on(const note&) {
        for (int i = 0; i < 20; ++i) send(to_, note{self().number(), incarnation(), i});
        if (how_ % 3 == 0) throw std::runtime_error{"out of paper"};
        if (how_ % 3 == 1) stop();
        if (how_ % 3 == 2) exit(self(), exit_reason::kill());
      }
      talker to_;
      int how_;
    };
    constexpr int sources = 6;
    std::vector<talker> all;
    for (int i = 0; i < sources; ++i) {
      all.push_back(system.spawn<source>({.id = "source"}, talker{watcher.address()}, i));
      watcher.watch(all.back());
    }
    std::vector<std::thread> outsiders;
    for (int t = 0; t < 2; ++t)
      outsiders.emplace_back([&, t] {
        for (int i = t; i < sources; i += 2) test.send(all[i], note{});
      });
    for (auto& t : outsiders) t.join();

    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (watcher.count<coppice::ended>() < sources) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::yield();
    }
    std::map<std::uint64_t, int> heard;
    while (const auto n = watcher.next<note>()) CHECK(n->number >= heard[n->sender]++);
    std::uint64_t total = 0;
    for (const auto& [who, count] : heard) total += count;
    CHECK(total + overflowed(system.dead_letters()) == 20 * sources);
    CHECK(watcher.count<coppice::ended>() == sources);
  }
}
