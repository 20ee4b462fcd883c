// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/caf/interop.hpp>
#include <coppice/actors/outside.hpp>
#include <coppice/actors/system.hpp>

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <caf/all.hpp>

using namespace std::chrono_literals;

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool under_thread_sanitizer = true;
#elif defined(__has_feature)
constexpr bool under_thread_sanitizer = __has_feature(thread_sanitizer);
#else
constexpr bool under_thread_sanitizer = false;
#endif

/// How long a test waits for what should come at once.
constexpr auto hang = 60s;

/// Counts, and lets others wait for a count.
class tally {
 public:
  void add() {
    std::lock_guard lock{guard_};
    ++count_;
    changed_.notify_all();
  }
  bool wait_for(int count, std::chrono::milliseconds limit = hang) {
    std::unique_lock lock{guard_};
    return changed_.wait_for(lock, limit, [&] { return count_ >= count; });
  }
  int count() {
    std::lock_guard lock{guard_};
    return count_;
  }

 private:
  std::mutex guard_;
  std::condition_variable changed_;
  int count_ = 0;
};
using shared_tally = std::shared_ptr<tally>;

struct pong {
  int number;
};
struct ping {
  int number;
  using reply = pong;
};

/// Answers at once.
class echo : public coppice::actor<ping> {
 public:
  pong on(const ping& p) { return {p.number + 1}; }
};

/// Passes each request on.
class relay : public coppice::actor<ping> {
 public:
  explicit relay(coppice::ref<ping> to) : to_(std::move(to)) {}
  coppice::task<coppice::result<pong>> on(const ping& p) {
    auto asked = ask(to_, ping{p.number + 1}, hang);
    auto answer = co_await asked;
    co_return answer;
  }

 private:
  coppice::ref<ping> to_;
};

/// Holds the thread that runs it until `until` has reached `count`.
struct hold {
  shared_tally entered, until;
  int count;
};

class holder : public coppice::actor<hold> {
 public:
  void on(const hold& h) {
    h.entered->add();
    if (!h.until->wait_for(h.count, 2 * hang)) throw std::runtime_error{"held for ever"};
  }
};

struct note {
  shared_tally seen;
};

class noting : public coppice::actor<note> {
 public:
  void on(const note& n) { n.seen->add(); }
};

std::chrono::microseconds cpu_time() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) {
    return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

// ---- the third beside a busy pair -----------------------------------------------------------

/// Written by the one worker alone; atomic because the test reads it.
using event_count = std::shared_ptr<std::atomic<std::uint64_t>>;

struct ball {
  bool last;
};
struct partner {
  coppice::ref<ball> other;
};
struct call {
  std::uint64_t sent_at;
};
struct call_at {
  coppice::ref<call> third;
};

class player : public coppice::actor<ball, partner, call_at> {
 public:
  explicit player(event_count counted) : events_(std::move(counted)) {}
  void on(const partner& p) { other_ = p.other; }
  void on(const ball& b) {
    events_->fetch_add(1, std::memory_order_relaxed);
    send(other_, b);
  }
  void on(const call_at& c) { send(c.third, call{events_->load()}); }

 private:
  event_count events_;
  coppice::ref<ball> other_;
};

class third : public coppice::actor<call> {
 public:
  third(event_count counted, event_count handled_at, event_count longest, shared_tally served)
      : events_(std::move(counted)),
        handled_at_(std::move(handled_at)),
        longest_(std::move(longest)),
        served_(std::move(served)) {}
  void on(const call& c) {
    handled_at_->store(events_->load());
    longest_->store(std::max(longest_->load(), events_->load() - c.sent_at));
    served_->add();
  }

 private:
  event_count events_, handled_at_, longest_;
  shared_tally served_;
};

struct court {
  explicit court(int balls) {
    a = system.spawn<player>({.id = "a"}, events);
    b = system.spawn<player>({.id = "b"}, events);
    c = system.spawn<third>({.id = "c"}, events, handled_at, longest, served);
    from_outside.send(a, partner{b});
    from_outside.send(b, partner{a});
    for (int i = 0; i < balls; ++i) from_outside.send(a, ball{false});
  }
  ~court() {
    system.stop(a);
    system.stop(b);
  }

  static event_count zero() { return std::make_shared<std::atomic<std::uint64_t>>(0); }

  event_count events = zero(), handled_at = zero(), longest = zero();
  shared_tally served = std::make_shared<tally>();
  coppice::system system{{.workers = 1, .spare_workers = 0}};
  coppice::outside from_outside{system};
  coppice::ref<ball, partner, call_at> a, b;
  coppice::ref<call> c;
};

/// Sends on what it receives, and does not return until it has been handled.
class insisting : public coppice::actor<note> {
 public:
  explicit insisting(coppice::ref<note> next) : next_(std::move(next)) {}
  void on(const note& n) {
    send(next_, n);
    if (!n.seen->wait_for(1, 2 * hang)) throw std::runtime_error{"held for ever"};
  }

 private:
  coppice::ref<note> next_;
};

/// Has more events than a slice takes, and at the first wakes one that blocks until all are done.
struct work {
  shared_tally done;
};
class busy : public coppice::actor<hold, work> {
 public:
  explicit busy(coppice::ref<hold> blocked) : blocked_(std::move(blocked)) {}
  void on(const hold& h) {
    h.entered->add();
    if (!h.until->wait_for(h.count, 2 * hang)) throw std::runtime_error{"held for ever"};
  }
  void on(const work& w) {
    if (w.done->count() == 0) send(blocked_, hold{std::make_shared<tally>(), w.done, event_number});
    w.done->add();
  }
  static constexpr int event_number = 300;

 private:
  coppice::ref<hold> blocked_;
};

class stalls : public coppice::observer {
 public:
  void on_stall(const coppice::stall& s) noexcept override {
    {
      std::lock_guard lock{guard_};
      seen_.push_back(s);
    }
    count.add();
  }
  std::vector<coppice::stall> seen() {
    std::lock_guard lock{guard_};
    return seen_;
  }
  tally count;

 private:
  std::mutex guard_;
  std::vector<coppice::stall> seen_;
};

// ---- a process that cannot end its actors ---------------------------------------------------

struct child_result {
  std::string output;
  int status = -1;
};

/// Runs one of the test cases below, which end their process, in a process of its own.
child_result run_child(const char* test_case) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const std::string filter = std::string{"--test-case="} + test_case;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    execl("/proc/self/exe", "child", "--no-skip", filter.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  REQUIRE(child > 0);
  close(ends[1]);
  child_result r;
  char buffer[512];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    r.output.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  waitpid(child, &r.status, 0);
  return r;
}

class stubborn : public coppice::actor<note> {
 public:
  void on(const note& n) {
    n.seen->add();
    tally never;
    (void)never.wait_for(1);
  }
};

}  // namespace

TEST_CASE("no wake-up is lost when threads outside ask parked actors over and over") {
  constexpr int threads = 3, each = 600;
  coppice::system system{{.workers = 4}};
  std::vector<coppice::ref<ping>> actors;
  for (int i = 0; i < 4; ++i)
    actors.push_back(system.spawn<echo>({.id = "echo" + std::to_string(i)}));
  for (int i = 0; i < 4; ++i)
    actors.push_back(system.spawn<relay>({.id = "relay" + std::to_string(i)},
                                         actors[static_cast<std::size_t>(i)]));
  std::atomic<int> answered{0};
  std::vector<std::thread> askers;
  for (int t = 0; t < threads; ++t)
    askers.emplace_back([&, t] {
      coppice::outside from_outside{system};
      for (int i = 0; i < each; ++i) {
        // Each question is asked when the last answer is there: the actors park in between.
        const auto& to = actors[static_cast<std::size_t>(i * threads + t) % actors.size()];
        const auto r = from_outside.ask(to, ping{i}, hang);
        if (!r) return;
        answered.fetch_add(1);
      }
    });
  for (auto& t : askers) t.join();
  CHECK(answered.load() == threads * each);
}

TEST_CASE("no wake-up is lost when threads outside send in bursts") {
  constexpr int bursts = 150, threads = 3, actors = 6, each = 4;
  coppice::system system{{.workers = 4}};
  std::vector<coppice::ref<note>> all;
  for (int i = 0; i < actors; ++i)
    all.push_back(system.spawn<noting>({.id = "n" + std::to_string(i)}));
  std::vector<std::thread> senders;
  std::atomic<int> complete{0};
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&] {
      coppice::outside from_outside{system};
      for (int b = 0; b < bursts; ++b) {
        const auto seen = std::make_shared<tally>();
        for (int i = 0; i < actors * each; ++i)
          from_outside.send(all[static_cast<std::size_t>(i) % all.size()], note{seen});
        if (!seen->wait_for(actors * each)) return;
        complete.fetch_add(1);
      }
    });
  for (auto& t : senders) t.join();
  CHECK(complete.load() == bursts * threads);
}

TEST_CASE("beside a pair that plays for ever a third actor is served within 256 of its events") {
  for (const int balls : {1, 32}) {
    CAPTURE(balls);
    court c{balls};
    for (int i = 1; i <= 200; ++i) {
      c.from_outside.send(c.a, call_at{c.c});
      REQUIRE(c.served->wait_for(i));
    }
    CHECK(c.longest->load() <= 256);
  }
}

TEST_CASE("an event from outside is handled within 256 events of a pair that plays for ever") {
  for (const int balls : {1, 32}) {
    CAPTURE(balls);
    court c{balls};
    for (int i = 1; i <= 200; ++i) {
      c.from_outside.send(c.c, call{0});
      // Read after the send, so that it does not count what this thread sleeps before it.
      const std::uint64_t sent_at = c.events->load();
      REQUIRE(c.served->wait_for(i));
      const std::uint64_t handled_at = c.handled_at->load();
      CHECK(handled_at <= sent_at + 256);
    }
  }
}

TEST_CASE("an event in the slot behind a handler that blocks is run by another worker") {
  coppice::system system{{.workers = 2, .spare_workers = 0}};
  const auto next = system.spawn<noting>({.id = "next"});
  const auto first = system.spawn<insisting>({.id = "first"}, next);
  for (int i = 0; i < 20; ++i) {
    const auto seen = std::make_shared<tally>();
    coppice::outside{system}.send(first, note{seen});
    CHECK(seen->wait_for(1));
  }
}

TEST_CASE("an actor in the ring behind a handler that blocks is run by another worker") {
  coppice::system system{{.workers = 2, .spare_workers = 0}};
  coppice::outside from_outside{system};
  const auto blocked = system.spawn<holder>({.id = "blocked"});
  const auto first = system.spawn<busy>({.id = "busy"}, blocked);
  for (int i = 0; i < 5; ++i) {
    const auto entered = std::make_shared<tally>(), open = std::make_shared<tally>();
    const auto done = std::make_shared<tally>();
    from_outside.send(first, hold{entered, open, 1});
    REQUIRE(entered->wait_for(1));
    for (int k = 0; k < busy::event_number; ++k) from_outside.send(first, work{done});
    open->add();
    CHECK(done->wait_for(busy::event_number));
  }
}

TEST_CASE("with all workers stuck a spare one runs the rest; spare ones come back each time") {
  coppice::system system{{.workers = 2, .spare_workers = 2, .stall_limit = 20ms}};
  coppice::outside from_outside{system};
  const auto rest = system.spawn<echo>({.id = "rest"});
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const auto entered = std::make_shared<tally>(), open = std::make_shared<tally>();
    for (int i = 0; i < 2; ++i) {
      // New ones each time: an old one may still be run by a worker that is about to leave.
      const auto id = std::to_string(round) + (i ? "b" : "a");
      from_outside.send(system.spawn<holder>({.id = id}), hold{entered, open, 1});
    }
    REQUIRE(entered->wait_for(2));
    const auto answered = from_outside.ask(rest, ping{round}, hang);
    open->add();
    REQUIRE(answered);
  }
  CHECK(system.workers() <= 4);
}

TEST_CASE("more stuck handlers than spare workers are bridged when the first ones return") {
  coppice::system system{{.workers = 2, .spare_workers = 1, .stall_limit = 20ms}};
  coppice::outside from_outside{system};
  std::vector<coppice::ref<hold>> holders;
  for (int i = 0; i < 3; ++i)
    holders.push_back(system.spawn<holder>({.id = "holder" + std::to_string(i)}));
  const auto rest = system.spawn<echo>({.id = "rest"});
  for (int round = 0; round < 5; ++round) {
    const auto entered = std::make_shared<tally>();
    const auto open_one = std::make_shared<tally>(), open_all = std::make_shared<tally>();
    from_outside.send(holders[0], hold{entered, open_one, 1});
    from_outside.send(holders[1], hold{entered, open_all, 1});
    from_outside.send(holders[2], hold{entered, open_all, 1});
    REQUIRE(entered->wait_for(3));
    open_one->add();
    const auto answered = from_outside.ask(rest, ping{round}, hang);
    open_all->add();
    REQUIRE(answered);
  }
}

TEST_CASE("a stall is reported with path and event, once, also in a system that slept") {
  stalls seen;
  {
    coppice::system system{{.workers = 2, .stall_limit = 20ms, .watch = &seen}};
    coppice::outside from_outside{system};
    const auto stuck = system.spawn<holder>({.id = "stuck"});
    const auto rest = system.spawn<echo>({.id = "rest"});
    for (int round = 1; round <= 3; ++round) {
      CAPTURE(round);
      const auto entered = std::make_shared<tally>(), open = std::make_shared<tally>();
      REQUIRE(from_outside.ask(rest, ping{1}, hang));
      // Long enough for workers and clock to fall asleep; shorter would only test less.
      CHECK_FALSE(open->wait_for(1, 50ms));
      from_outside.send(stuck, hold{entered, open, 1});
      REQUIRE(entered->wait_for(1));
      CHECK(seen.count.wait_for(round));
      open->add();
      REQUIRE(from_outside.ask(rest, ping{1}, hang));
    }
  }
  const auto all = seen.seen();
  CHECK(all.size() == 3);
  for (const coppice::stall& s : all) {
    CHECK(s.path == "/stuck");
    CHECK(s.event.find("hold") != std::string::npos);
    CHECK(s.running >= 20ms);
  }
}

TEST_CASE("a system of idle actors uses no CPU") {
  coppice::system system{{.workers = 4}};
  coppice::outside from_outside{system};
  std::vector<coppice::ref<ping>> actors;
  for (int i = 0; i < 1'000; ++i) actors.push_back(system.spawn<echo>({.id = std::to_string(i)}));
  for (const auto& a : actors) REQUIRE(from_outside.ask(a, ping{1}, hang));
  // One quiet window of several will do: a machine has other things to do as well.
  auto least = std::chrono::microseconds::max();
  for (int i = 0; i < 5 && least >= 6ms; ++i) {
    const auto before = cpu_time();
    tally never;
    CHECK_FALSE(never.wait_for(1, 300ms));
    least = std::min(least, cpu_time() - before);
  }
  CHECK(least < 6ms);
}

// CAF's own mailboxes order what they carry, but in a library that ThreadSanitizer does not see
// into: between two CAF actors it reports every message.
TEST_CASE("CAF's event-based actors, blocking actors and delayed messages run unchanged" *
          doctest::skip(under_thread_sanitizer)) {
  coppice::system system{{.workers = 2}};
  caf::actor_system& caf_system = coppice::caf_system(system);
  SUBCASE("requests between event-based actors and from a scoped one") {
    const caf::actor adder = caf_system.spawn([](caf::event_based_actor*) -> caf::behavior {
      return {[](int a, int b) { return a + b; }};
    });
    const caf::actor front =
        caf_system.spawn([adder](caf::event_based_actor* self) -> caf::behavior {
          return {[self, adder](int a) { return self->delegate(adder, a, 1); }};
        });
    caf::scoped_actor self{caf_system};
    int sum = 0;
    for (int i = 0; i < 200; ++i)
      self->request(front, std::chrono::seconds{60}, i)
          .receive([&](int answer) { sum += answer; },
                   [](const caf::error&) { FAIL("no answer"); });
    CHECK(sum == 200 * 199 / 2 + 200);
    caf::anon_send_exit(front, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(adder, caf::exit_reason::user_shutdown);
    self->wait_for(front, adder);
  }
  SUBCASE("a busy one gives way to others") {
    const caf::actor busy = caf_system.spawn([](caf::event_based_actor* self) -> caf::behavior {
      self->send(self, 1);
      return {[self](int n) { self->send(self, n + 1); }};
    });
    const auto rest = system.spawn<echo>({.id = "rest"});
    for (int i = 0; i < 20; ++i) CHECK(coppice::outside{system}.ask(rest, ping{i}, hang));
    caf::anon_send_exit(busy, caf::exit_reason::user_shutdown);
  }
  SUBCASE("a blocking one, on its own thread") {
    const auto seen = std::make_shared<tally>();
    const caf::actor blocking = caf_system.spawn([seen](caf::blocking_actor* self) {
      for (int i = 0; i < 3; ++i) self->receive([&](int) { seen->add(); });
    });
    for (int i = 0; i < 3; ++i) caf::anon_send(blocking, i);
    CHECK(seen->wait_for(3));
    caf::scoped_actor { caf_system } -> wait_for(blocking);
  }
  SUBCASE("delayed messages to oneself, while all else sleeps") {
    const auto seen = std::make_shared<tally>();
    caf_system.spawn([seen](caf::event_based_actor* self) -> caf::behavior {
      self->delayed_send(self, 5ms, 3);
      return {[self, seen](int left) {
        seen->add();
        if (left > 1) self->delayed_send(self, 5ms, left - 1);
        else self->quit();
      }};
    });
    CHECK(seen->wait_for(3));
  }
  SUBCASE("a request that nobody answers times out") {
    const caf::actor mute = caf_system.spawn([](caf::event_based_actor* self) -> caf::behavior {
      const auto kept = std::make_shared<caf::response_promise>();
      return {[self, kept](int) { *kept = self->make_response_promise(); }};
    });
    caf::scoped_actor self{caf_system};
    bool timed_out = false;
    self->request(mute, 20ms, 1)
        .receive([](int) {},
                 [&](const caf::error& e) { timed_out = e == caf::sec::request_timeout; });
    CHECK(timed_out);
    caf::anon_send_exit(mute, caf::exit_reason::user_shutdown);
    self->wait_for(mute);
  }
}

TEST_CASE("a system stops whatever its actors are doing") {
  for (int round = 0; round < 10; ++round) {
    const auto seen = std::make_shared<tally>();
    coppice::system system{{.workers = 3}};
    const auto inner = system.spawn<echo>({.id = "echo"});
    const auto outer = system.spawn<relay>({.id = "relay"}, inner);
    const auto noted = system.spawn<noting>({.id = "noting"});
    coppice::outside from_outside{system};
    for (int i = 0; i < 100; ++i) {
      from_outside.send(outer, ping{i});
      from_outside.send(noted, note{seen});
    }
    CHECK(system.stop(hang).empty());
    CHECK(system.stop(hang).empty());
  }
}

TEST_CASE("child: stops while two actors are stuck" * doctest::skip()) {
  const auto entered = std::make_shared<tally>();
  auto* system = new coppice::system{{.workers = 1, .stall_limit = 10ms}};
  const auto a = system->spawn<stubborn>({.id = "first"});
  const auto b = system->spawn<stubborn>({.id = "second", .own_thread = true});
  system->spawn<echo>({.id = "idle"});
  coppice::outside from_outside{*system};
  from_outside.send(a, note{entered});
  from_outside.send(b, note{entered});
  const bool both = entered->wait_for(2);
  std::string text = both ? "stuck:" : "not entered";
  const auto before = std::chrono::steady_clock::now();
  auto paths = system->stop(200ms);
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) text += " " + path;
  text += std::chrono::steady_clock::now() - before < 30s ? " in time\n" : " late\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) std::_Exit(2);
  delete system;  // leaves the process
  std::_Exit(0);
}

TEST_CASE("a stop returns in time with the paths of the stuck, and then the process ends") {
  const child_result r = run_child("child: stops while two actors are stuck");
  CAPTURE(r.output);
  CHECK(r.output.find("stuck: /first /second in time") != std::string::npos);
  CHECK(r.output.find("actors did not return from a handler: ") != std::string::npos);
  CHECK((WIFEXITED(r.status) && WEXITSTATUS(r.status) == EXIT_FAILURE));
}
