// SPDX-License-Identifier: BSD-3-Clause
// What compilers get wrong about coroutines. The constructs that Coppice allows are asserted; the
// others run in a child process, because they corrupt memory where they are wrong, and their state
// on this compiler is printed. docs/coroutines.md tells users which is which.
//
// A tiny coroutine type of its own keeps the library out of the picture.
#include <coroutine>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

namespace {

/// How many parts live. Each construct must leave none, and never destroy one twice.
int alive = 0;
/// What destroyed a part that was none any more.
bool destroyed_twice = false;

class part {
 public:
  explicit part(int value) : value_(value) { ++alive; }
  part(const part& other) : value_(other.value_) { ++alive; }
  part(part&& other) noexcept : value_(other.value_) { ++alive; }
  part& operator=(const part&) = default;
  ~part() {
    if (mark_ != lives) destroyed_twice = true;
    mark_ = 0;
    --alive;
  }
  int value() const { return value_; }

 private:
  static constexpr unsigned lives = 0xc0ffee;
  // Volatile, so that the mark of a dead part is written and read all the same.
  volatile unsigned mark_ = lives;
  int value_;
};

struct event {
  part content;
  int quantity = 1;
};

std::coroutine_handle<> suspended;

struct wait {
  int value;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> h) const noexcept { suspended = h; }
  int await_resume() const noexcept { return value; }
};

wait ask(event e) { return {e.content.value() + e.quantity}; }
wait ask_by_reference(const event& e) { return {e.content.value() + e.quantity}; }
wait ask_number(int value) { return {value}; }
int add(int a, int b) { return a + b; }

class job {
 public:
  struct promise_type {
    int result = 0;
    job get_return_object() {
      return job{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_value(int value) noexcept { result = value; }
    void unhandled_exception() const noexcept { std::terminate(); }
  };

  explicit job(std::coroutine_handle<promise_type> h) : handle_(h) {}
  job(job&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  ~job() {
    if (handle_) handle_.destroy();
  }
  bool done() const { return handle_.done(); }
  int result() const { return handle_.promise().result; }

 private:
  std::coroutine_handle<promise_type> handle_;
};

// ---- allowed ----------------------------------------------------------------------------------

job named_awaitable(part p) {
  auto asked = ask(event{p, 1});
  auto answer = co_await asked;
  co_return answer;
}
job named_event(part p) {
  event e{p, 1};
  auto asked = ask(std::move(e));
  co_await asked;
  co_return 42;
}
job in_an_if(part p) {
  auto asked = ask(event{p, 1});
  if (auto answer = co_await asked; answer > 1) co_return answer;
  co_return 0;
}
job in_a_loop(part p) {
  int sum = 0;
  for (int i = 0; i < 6; ++i) {
    auto asked = ask(event{part{p.value() - 35}, 1});
    auto answer = co_await asked;
    sum += answer;
  }
  co_return sum;
}
job in_a_try(part p) {
  int got = 0;
  try {
    auto asked = ask(event{p, 1});
    auto answer = co_await asked;
    if (answer) throw answer;
  } catch (const int& answer) {
    got = answer;
  }
  co_return got;
}
job switch_on_a_variable(part p) {
  auto asked = ask(event{p, 1});
  auto answer = co_await asked;
  switch (answer) {
    case 42: co_return 42;
    default: co_return 0;
  }
}
job side_by_side(part p) {
  auto first = ask(event{p, 1});
  auto second = ask(event{p, 2});
  auto a = co_await second;
  auto b = co_await first;
  co_return a + b - 43;
}

// ---- not allowed ------------------------------------------------------------------------------

job temporary_aggregate(part p) {
  int answer = co_await ask(event{p, 1});
  co_return answer;
}
job temporary_aggregate_by_reference(part p) {
  int answer = co_await ask_by_reference(event{p, 1});
  co_return answer;
}
job braces_as_an_argument(part p) {
  int answer = co_await ask({p, 1});
  co_return answer;
}
job designated_braces(part p) {
  int answer = co_await ask({.content = p, .quantity = 1});
  co_return answer;
}
job lambda_with_a_copy(part p) {
  int answer = co_await ask_number([p] { return p.value() + 1; }());
  co_return answer;
}
job comma_behind(part p) {
  int answer = (co_await ask(event{p, 1}), 42);
  co_return answer;
}
job await_in_braces(part p) {
  event e{p, co_await ask_number(1)};
  co_return e.content.value() + e.quantity;
}
job switch_on_an_await(part p) {
  switch (co_await ask_number(p.value())) {
    case 41: co_return 42;
    default: co_return 1;
  }
}
job await_as_an_argument(part p) {
  co_return add(co_await ask_number(p.value()), co_await ask_number(1));
}
job await_in_a_loop_condition(part p) {
  int rounds = 0;
  while (co_await ask_number(rounds) < p.value()) ++rounds;
  co_return rounds + 1;
}
job await_in_a_loop_with_an_empty_body(part p) {
  while (co_await ask_number(p.value()) != 41) {
  }
  co_return 42;
}
job await_in_a_choice(part p) {
  int answer = p.value() == 41 ? co_await ask_number(42) : co_await ask_number(0);
  co_return answer;
}
job await_in_a_return(part p) { co_return co_await ask_number(p.value() + 1); }
job choice_by_an_await_in_a_return(part p) {
  co_return co_await ask_number(p.value()) == 41 ? 42 : 0;
}

/// An `await_transform` that hands out a reference to the awaitable that it was given.
struct referring {
  struct counter {
    int value;
    int suspensions = 0;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept {
      ++suspensions;
      suspended = h;
    }
    int await_resume() const noexcept { return value; }
    counter(int v) : value(v) {}
    counter(const counter&) = default;
  };
  struct promise_type {
    int result = 0;
    referring get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    counter& await_transform(counter& x) noexcept { return x; }
    void return_value(int value) noexcept { result = value; }
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};
referring reference_from_await_transform() {
  referring::counter once{41};
  int answer = co_await once;
  co_return answer + once.suspensions;
}

/// A chain of coroutines that hand over to each other by symmetric transfer.
struct transferring {
  struct promise_type {
    std::coroutine_handle<> caller;
    transferring get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct back {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(
            std::coroutine_handle<promise_type> h) const noexcept {
          return h.promise().caller ? h.promise().caller : std::noop_coroutine();
        }
        void await_resume() const noexcept {}
      };
      return back{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) const noexcept {
    handle.promise().caller = h;
    return handle;
  }
  void await_resume() const noexcept {}
};
transferring nothing() { co_return; }
transferring many_transfers() {
  for (int i = 0; i < 1'000'000; ++i) {
    auto next = nothing();
    co_await next;
    next.handle.destroy();
  }
}

// ---- how they are run -------------------------------------------------------------------------

/// Runs a construct to its end: 42, and nothing left over, is right.
bool runs_right(job (*construct)(part)) {
  alive = 0;
  destroyed_twice = false;
  bool right;
  {
    job j = construct(part{41});
    for (int i = 0; i < 100 && !j.done(); ++i) suspended.resume();
    right = j.done() && j.result() == 42;
  }
  return right && alive == 0 && !destroyed_twice;
}

/// Destroys it where it has suspended first.
bool is_destroyed_right(job (*construct)(part)) {
  alive = 0;
  destroyed_twice = false;
  { job j = construct(part{41}); }
  return alive == 0 && !destroyed_twice;
}

/// Whether `act` is true in a child process of its own, which may crash, hang or overflow.
template <class Act>
bool right_in_a_child(Act act) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    for (const int signal_number : {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGALRM, SIGTERM})
      std::signal(signal_number, SIG_DFL);
    alarm(10);
    // What is said of a known defect would only alarm the reader.
    if (!std::freopen("/dev/null", "w", stderr) || !std::freopen("/dev/null", "w", stdout))
      _exit(2);
    _exit(act() ? 0 : 1);
  }
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

void print(const char* construct, bool right) {
  std::printf("  %-45s %s\n", construct, right ? "right" : "WRONG");
}

struct construct {
  const char* text;
  job (*run)(part);
};

constexpr construct allowed[] = {
    {"auto a = ask(event{...}); auto r = co_await a;", &named_awaitable},
    {"event e{...}; auto a = ask(std::move(e));", &named_event},
    {"if (auto r = co_await a; r)", &in_an_if},
    {"a loop", &in_a_loop},
    {"a try block", &in_a_try},
    {"auto r = co_await a; switch (r)", &switch_on_a_variable},
    {"several side by side", &side_by_side},
};

constexpr construct refused[] = {
    {"co_await ask(event{...})", &temporary_aggregate},
    {"co_await ask(event{...}), by reference", &temporary_aggregate_by_reference},
    {"co_await ask({...})", &braces_as_an_argument},
    {"co_await ask({.content = ...})", &designated_braces},
    {"co_await f([copy] { ... }())", &lambda_with_a_copy},
    {"co_await ask(event{...}), other", &comma_behind},
    {"event e{copy, co_await a}", &await_in_braces},
    {"switch (co_await a)", &switch_on_an_await},
    {"f(co_await a, co_await b)", &await_as_an_argument},
    {"while (co_await a)", &await_in_a_loop_condition},
    {"while (co_await a) {}", &await_in_a_loop_with_an_empty_body},
    {"r = b ? co_await a : co_await c", &await_in_a_choice},
    {"co_return co_await a", &await_in_a_return},
    {"co_return co_await a ? b : c", &choice_by_an_await_in_a_return},
};

}  // namespace

TEST_CASE("the constructs that coppice allows are right on this compiler") {
  for (const construct& each : allowed) {
    CAPTURE(each.text);
    CHECK(runs_right(each.run));
    CHECK(is_destroyed_right(each.run));
  }
}

TEST_CASE("the state of the constructs that coppice refuses is known") {
#if defined(__clang__)
  std::printf("coroutine constructs, clang %s\n", __clang_version__);
#else
  std::printf("coroutine constructs, g++ %s\n", __VERSION__);
#endif
  for (const construct& each : refused)
    print(each.text,
          right_in_a_child([&] { return runs_right(each.run) && is_destroyed_right(each.run); }));
  print("an await_transform that returns a reference", right_in_a_child([] {
          auto x = reference_from_await_transform();
          suspended.resume();
          const bool right = x.handle.promise().result == 42;
          x.handle.destroy();
          return right;
        }));
  print("1,000,000 symmetric transfers", right_in_a_child([] {
          auto x = many_transfers();
          x.handle.resume();
          const bool right = x.handle.done();
          x.handle.destroy();
          return right;
        }));
}

TEST_CASE("a construct that goes wrong is noticed") {
  CHECK_FALSE(right_in_a_child([] {
    std::abort();
    return true;
  }));
  CHECK_FALSE(right_in_a_child([] {
    alive = 0;
    const part p{1};
    return alive == 0;
  }));
  CHECK(right_in_a_child([] { return true; }));
}
