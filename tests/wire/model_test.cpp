// SPDX-License-Identifier: BSD-3-Clause
// Nodes that send to each other at random live through random faults of the network and of each
// other. COPPICE_SEED=N replays one run, and tells it; COPPICE_SECONDS=N gives the test more time.
#include "simulation.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace simulation;

namespace {

void fault(world& w) {
  const int a = static_cast<int>(w.below(static_cast<std::uint64_t>(w.size())));
  const int b =
      (a + 1 + static_cast<int>(w.below(static_cast<std::uint64_t>(w.size() - 1)))) % w.size();
  const auto length = w.one_in(3) ? w.between(10, 15'000) : w.between(10, 2'000);
  switch (w.below(12)) {
    case 0: w.cut(a, b, length); break;
    case 1:
      w.cut(a, b, length);
      w.cut(b, a, length);
      break;
    case 2: w.suspend(a, length); break;
    case 3: {
      if (!w.running(a)) break;
      w.kill(a, w.one_in(3));
      w.at(w.now + w.between(0, 3'000), [&w, a] {
        if (!w.running(a)) w.start(a);
      });
      break;
    }
    case 4: {
      process* p = w.running(a);
      if (!p) break;
      w.for_process(a, p->incarnation(), [](process& it) { it.stop(); });
      w.at(w.now + w.between(600, 3'000), [&w, a] {
        if (!w.running(a)) w.start(a);
      });
      break;
    }
    default: w.break_one();
  }
}

void expect_agreement(world& w) {
  for (int a = 0; a < w.size(); ++a) {
    for (int b = a + 1; b < w.size(); ++b) {
      const std::string both = world::name(a) + " and " + world::name(b);
      auto& one = w.running(a)->with(b);
      auto& other = w.running(b)->with(a);
      demand(one.a->link() != no_link && other.a->link() != no_link, both + " have no link");
      demand(one.a->link() / 2 == other.a->link() / 2, both + " use different links");
      demand(one.a->session() == other.a->session(), both + " are in different sessions");
      for (auto* p : {&one, &other}) {
        const stream& s = w.streams.at(p->stream);
        for (int l : {0, 1})
          demand(s.sent[l] == s.delivered[l], both + ": a message was not delivered");
        demand(p->out->buffered() == 0, both + ": a message was not acknowledged");
        demand(p->dials_when_calm <= 30, both + " dial although nothing is wrong");
      }
    }
  }
}

/// Throws what is wrong.
void run(std::uint64_t seed, tally& counts, bool traced) {
  const int nodes = seed % 3 == 0 ? 3 : 2;
  world w{seed, nodes, counts, traced};
  for (int n = 0; n < nodes; ++n) w.at(w.now + w.between(0, 200), [&w, n] { w.start(n); });
  const auto end = w.now + w.between(2'000, 25'000);
  const auto rate = w.between(50, 3'000);
  while (w.now < end) {
    w.run_until(std::min(end, w.now + w.between(1, 2 * rate.count())));
    fault(w);
  }
  w.heal();
  w.run_until(w.now + 1s);
  for (int n = 0; n < nodes; ++n)
    if (!w.running(n)) w.start(n);
  // The longest way back: a silent link, a dial that hangs, a handshake that hangs, the pauses.
  const auto latest = w.now + 25s;
  for (bool agreed = false; !agreed && w.now < latest;) {
    w.run_until(w.now + 1s);
    try {
      expect_agreement(w);
      agreed = true;
    } catch (const failure&) {
    }
  }
  w.run_until(w.now + 1s);
  expect_agreement(w);
}

double number_in(const char* variable, double otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::atof(text) : otherwise;
}

}  // namespace

TEST_CASE("whatever happens to links and nodes, a session loses, doubles and reorders nothing") {
  if (const char* one = std::getenv("COPPICE_SEED")) {
    tally counts;
    CHECK_NOTHROW(run(std::strtoull(one, nullptr, 10), counts, true));
    return;
  }
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::duration<double>{number_in("COPPICE_SECONDS", 2)};
  tally counts;
  std::uint64_t seed =
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  seed %= 1'000'000'000;
  std::uint64_t seeds = 0;
  for (; std::chrono::steady_clock::now() < until; ++seed, ++seeds) {
    try {
      run(seed, counts, false);
    } catch (const failure& wrong) {
      FAIL("seed ", seed, ": ", std::string{wrong.what()}, "\nCOPPICE_SEED=", seed,
           " test_wire --source-file=*/wire/model_test.cpp");
    }
  }
  std::printf(
      "%llu seeds: %llu messages, %llu links by %llu dials, %llu resumed, %llu unconfirmed",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(counts.messages),
      static_cast<unsigned long long>(counts.links), static_cast<unsigned long long>(counts.dials),
      static_cast<unsigned long long>(counts.resumed),
      static_cast<unsigned long long>(counts.unconfirmed));
  std::printf("; full %llu, skipped %llu", static_cast<unsigned long long>(counts.full),
              static_cast<unsigned long long>(counts.skipped));
  for (const auto& [why, times] : counts.ended)
    std::printf("; %s %llu", name(why).data(), static_cast<unsigned long long>(times));
  for (const auto& [code, times] : counts.refusals)
    std::printf("; refused: %s %llu", code.c_str(), static_cast<unsigned long long>(times));
  std::printf("\n");
  CHECK(seeds > 0);
}
