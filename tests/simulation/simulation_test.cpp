// SPDX-License-Identifier: BSD-3-Clause
// Clusters of two to four nodes live through random faults of their network, their machines and
// their actors, while those send, ask and watch; all that is promised of that is checked all the
// time, see workload.hpp.
#include "workload.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

using namespace coppice::testing;
using namespace workload;
using coppice::liveness_options;

namespace {

struct failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct tally {
  std::uint64_t seeds = 0, sessions = 0, reconnects = 0, faults = 0, lives = 0, opinions = 0;
  ledger::totals all;
};

class world {
 public:
  world(std::uint64_t seed, tally& counts, std::function<void(const std::string&)> tell = {})
      : owned_(std::make_unique<simulation>(options(seed, std::move(tell)))),
        run_(*owned_),
        book_(run_),
        crew_(run_.size()),
        counts_(counts) {
    crew_.begin(book_);
  }
  ~world() { owned_.reset(); }  // tells the others what ends
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  void live() {
    run_.start();
    until_broken(1s + span{run_.any(2'000'000)}, false);
    until_broken(4s + span{run_.any(6'000'000)}, true);
    heal();
    need(within(settling(), 50ms, [&] { return run_.all_up(); }),
         "the nodes have not come together again within the limit");
    check();
    const auto told = opinions_;
    until_broken(3s, false);
    need(told == opinions_, "opinions change although all is well");
    need(run_.all_up(), "not everybody is up although all is well");
    for (std::size_t a = 0; a < run_.size(); ++a)
      for (std::size_t b = a + 1; b < run_.size(); ++b)
        need(run_.links(a, b) == 1, run_[a].name() + " and " + run_[b].name() + " have " +
                                        std::to_string(run_.links(a, b)) + " links");
    rest();
    counts();
  }
  std::uint64_t digest() const { return run_.digest(); }

 private:
  simulation_options options(std::uint64_t seed, std::function<void(const std::string&)> tell) {
    std::mt19937_64 chance{seed};
    const auto any = [&](std::uint64_t below) { return chance() % below; };
    simulation_options o;
    o.seed = seed;
    const char* names[] = {"alpha", "beta", "gamma", "delta"};
    o.nodes.assign(names, names + 2 + any(3));
    o.limits.message_bytes = 512 * 1024;
    o.limits.send_buffer_bytes = any(2) ? 256 * 1024 : 2 * 1024 * 1024;
    o.limits.ack_every_bytes = any(2) ? 8 * 1024 : 64 * 1024;
    o.limits.connect_deadline = o.limits.handshake_deadline = 700ms;
    o.limits.session_limit = any(2) ? 1'500ms : 3'000ms;
    o.limits.reconnect_most = 400ms;
    if (any(2)) o.liveness = loopback_liveness;
    switch (any(3)) {
      case 0: break;
      case 1: o.network.delay = 2ms, o.network.jitter = 10ms; break;
      default: o.network.delay = 20ms, o.network.jitter = 5ms, o.network.room = 24 * 1024; break;
    }
    if (any(3) == 0) o.network.bandwidth = 4'000;  // 4 MB a second
    if (any(2)) o.bulk = {"/crew/s1", "/w3"};
    o.on_start = [this](simulated_node& n) {
      ++counts_.lives;
      crew_.start(n);
    };
    o.on_end = [this](simulated_node& n) {
      const auto t = n.cluster().traffic();
      counts_.sessions += t.sessions_begun;
      counts_.reconnects += t.reconnects;
      crew_.end(n);
    };
    o.on_log = [this](simulated_node& n, const std::string& line) { judged(n, line); };
    o.tell = std::move(tell);
    liveness_ = o.liveness;
    limits_ = o.limits;
    return o;
  }

  /// What a node thinks of another, from its log.
  void judged(simulated_node& judge, const std::string& line) {
    for (std::size_t of = 0; of < run_.size(); ++of) {
      const std::string before = "node " + run_[of].name() + " is ";
      if (of == judge.index() || !line.starts_with(before)) continue;
      ++opinions_;
      if (line.find("silent for") == std::string::npos) return;
      const bool suspect = line.compare(before.size(), 7, "suspect") == 0;
      const auto needed = suspect ? liveness_.suspect_after : liveness_.unreachable_after;
      // Of each stall so much may go unnoticed.
      const span unnoticed = liveness_.late_after + liveness_.heartbeat + 10ms;
      const span silence =
          judge.ran_within(judge.cluster().members()[of].silent_for + 1ms, unnoticed);
      if (silence < needed)
        book_.fail(judge.name() + " has run for only " + std::to_string(silence.count() / 1'000) +
                   " ms without hearing " + run_[of].name() + ", and says: " + line);
      return;
    }
  }

  void check() {
    if (book_.broken.empty()) book_.look_at_asks();
    if (!book_.broken.empty()) throw failure{book_.broken};
  }
  void need(bool holds, const std::string& what) {
    check();
    if (holds) return;
    run_.note("BROKEN: " + what);
    throw failure{what};
  }
  void until_broken(span time, bool with_faults) {
    const span end = run_.now() + time;
    while (run_.now() < end) {
      const span step = std::min(end - run_.now(), span{20'000 + run_.any(400'000)});
      run_.advance(step);
      if (with_faults) misfortune();
      check();
    }
  }

  /// To look costs more than what happens between two looks, hence not at each event.
  template <class Condition>
  bool within(span limit, span step, Condition holds) {
    const span until = run_.now() + limit;
    while (!holds()) {
      if (run_.now() >= until) return false;
      run_.advance(step);
      check();
    }
    return true;
  }

  void misfortune() {
    ++counts_.faults;
    const std::size_t n = run_.any(run_.size());
    const std::size_t other = (n + 1 + run_.any(run_.size() - 1)) % run_.size();
    switch (run_.any(16)) {
      case 0:
      case 1: run_.reset(n, other); break;
      case 2: run_.cut(n, other); break;
      case 3: run_.cut(n, other), run_.cut(other, n); break;
      case 4:
        for (std::size_t i = 0; i < run_.size(); ++i) {
          run_.cut(n, i);
          if (run_.any(2)) run_.cut(i, n);
        }
        break;
      case 5:
      case 6:
        for (std::size_t a = 0; a < run_.size(); ++a)
          for (std::size_t b = 0; b < run_.size(); ++b)
            if (run_.any(3)) run_.mend(a, b);
        break;
      case 7: run_.give_up(n, other); break;
      case 8: run_.stall(n, span{run_.any(run_.any(2) ? 300'000 : 4'000'000)}); break;
      case 9: run_.end(n, run_.any(3) ? crash::killed : crash::powered_off); break;
      case 10: run_.stop(n, std::chrono::milliseconds{50 + run_.any(1'000)}); break;
      case 11: run_.dials(n, other, static_cast<dial_fate>(run_.any(4))); break;
      case 12:
      case 13:
        if (run_[n].running() && !run_[n].stalled())
          crew_.fell(run_, n, static_cast<std::uint32_t>(run_.any(slots)));
        break;
      default: run_.start(n); break;
    }
  }

  void heal() {
    run_.note("all is well again");
    run_.mend();
    for (std::size_t i = 0; i < run_.size(); ++i) {
      for (std::size_t j = 0; j < run_.size(); ++j) run_.dials(i, j, dial_fate::works);
      run_.go_on(i);
    }
    // Those that are stopping have to come to their end first.
    for (std::size_t round = 0; round < 15; ++round) {
      run_.start();
      run_.advance(100ms);
    }
  }
  /// A dial and a handshake that hang, a pause before the next one, what is on its way, doubt.
  span settling() const {
    return 2 * (limits_.connect_deadline + limits_.handshake_deadline) + limits_.session_limit +
           3 * limits_.reconnect_most + liveness_.doubt_for + 3s;
  }

  /// Nothing more is sent, and nothing remains.
  void rest() {
    run_.note("all rest");
    book_.quiet = true;
    until_broken(5s, false);
    book_.look_at_watches();
    need(book_.open_asks() == 0, std::to_string(book_.open_asks()) + " asks have not ended");
    std::uint64_t letters = 0;
    for (std::size_t i = 0; i < run_.size(); ++i)
      for (const std::uint64_t n : run_[i].system().dead_letters()) letters += n;
    need(book_.lost() <= letters, std::to_string(book_.lost()) + " notes are lost, and only " +
                                      std::to_string(letters) + " dead letters are counted");
    crew_.rest_all(run_);
    const bool nothing = within(40s, 500ms, [&] { return remains().empty(); });
    need(nothing, "what remains: " + remains());
  }
  std::string remains() {
    std::string left;
    for (std::size_t i = 0; i < run_.size(); ++i) {
      const auto t = run_[i].cluster().traffic();
      if (t.proxies) left += run_[i].name() + ": " + std::to_string(t.proxies) + " proxies; ";
      if (t.pending_asks)
        left += run_[i].name() + ": " + std::to_string(t.pending_asks) + " asks; ";
      for (const member& m : run_[i].cluster().members())
        if (m.buffered_bytes)
          left += run_[i].name() + ": " + std::to_string(m.buffered_bytes) + " bytes for " +
                  m.name + "; ";
    }
    return left;
  }

  void counts() {
    ++counts_.seeds;
    counts_.opinions += opinions_;
    const auto& c = book_.counts;
    auto& all = counts_.all;
    all.notes += c.notes;
    all.received += c.received;
    all.gaps += c.gaps;
    all.asks += c.asks;
    all.answers += c.answers;
    all.notices += c.notices;
    all.refs += c.refs;
    for (const auto& [code, n] : c.failures) all.failures[code] += n;
  }

  liveness_options liveness_;
  coppice::wire::limits limits_;
  std::unique_ptr<simulation> owned_;
  simulation& run_;
  ledger book_;
  crew crew_;
  tally& counts_;
  std::uint64_t opinions_ = 0;
};

/// Also where the machine has no time to give.
constexpr std::uint64_t fewest_seeds = 5;

}  // namespace

TEST_CASE("a cluster keeps its promises through all that can happen to it") {
  const char* only = std::getenv("COPPICE_SEED");
  const bool soak = std::getenv("COPPICE_SOAK") != nullptr;
  std::uint64_t seed = only ? std::strtoull(only, nullptr, 10) : soak ? std::random_device{}() : 1;
  const auto until = std::chrono::steady_clock::now() + (soak ? 180s : 6s);
  std::function<void(const std::string&)> aloud;
  if (only) aloud = [](const std::string& line) { std::puts(line.c_str()); };
  tally counts;
  do {
    try {
      world w{seed, counts, aloud};
      w.live();
    } catch (const std::runtime_error& f) {
      FAIL(std::string{f.what()} << "\nreplay: ./dev replay " << seed);
    }
    ++seed;
  } while (!only && (counts.seeds < fewest_seeds || std::chrono::steady_clock::now() < until));

  const auto n = [](std::uint64_t x) { return static_cast<unsigned long long>(x); };
  std::printf("%llu seeds: %llu lives, %llu faults, %llu sessions, %llu resumed, %llu opinions\n",
              n(counts.seeds), n(counts.lives), n(counts.faults), n(counts.sessions),
              n(counts.reconnects), n(counts.opinions));
  std::printf(
      "%llu notes, %llu received, %llu lost and told; %llu asks, %llu answered; "
      "%llu notices; %llu refs passed on\n",
      n(counts.all.notes), n(counts.all.received), n(counts.all.gaps), n(counts.all.asks),
      n(counts.all.answers), n(counts.all.notices), n(counts.all.refs));
  for (const auto& [code, times] : counts.all.failures)
    std::printf("  %llu asks: %s\n", n(times), std::string{coppice::name(code)}.c_str());
}

TEST_CASE("the same seed is the same run, to the byte") {
  tally counts;
  for (const std::uint64_t seed : {3u, 4u}) {
    std::vector<std::string> stories[2];
    std::uint64_t digests[2]{};
    for (int i : {0, 1}) {
      world w{seed, counts, [&](const std::string& line) { stories[i].push_back(line); }};
      try {
        w.live();
      } catch (const failure&) {
        // It is the other case's to say so.
      }
      digests[i] = w.digest();
    }
    for (std::size_t i = 0; i < std::min(stories[0].size(), stories[1].size()); ++i)
      REQUIRE(stories[0][i] == stories[1][i]);
    CHECK(digests[0] == digests[1]);
  }
}
