// SPDX-License-Identifier: BSD-3-Clause
// Mistakes that our templates explain, one for each value of CASE. A line `// expect: ...` holds
// the sentence that must be the compiler's first error; run.sh compiles each case with
// -fsyntax-only. CASE 0 is the positive control: all that the mistakes are mistakes of, right.

#include <any>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <coppice/actors/codec/ref_codec.hpp>
#include <coppice/actors/outside.hpp>
#include <coppice/actors/system.hpp>
#if !CASE || CASE > 30
#include <coppice/supervision/children.hpp>
#endif

using namespace coppice;
using namespace std::chrono_literals;

#if !CASE
struct hire {
  std::string who;
  using reply = ref<struct moved_in>;
};
struct moved_in {};
struct guest : actor<moved_in> {
  explicit guest(hire) {}
  void on(const moved_in&) {}
};
dynamic_ref<hire> right(children& c) { return c.dynamic<guest, hire>("guests"); }
#endif

struct reserved {
  int left;
};
struct reserve {
  std::string sku;
  using reply = reserved;
};
struct opened {
  std::string by;
};
struct closed {};

class shop : public actor<reserve, opened, ended, exit_signal> {
 public:
  explicit shop(std::string name) : name_(std::move(name)) {}
  reserved on(const reserve&) { return {1}; }
  task<> on(const opened& o) {
    auto asked = ask(self(), reserve{o.by}, 1s);
    auto answer = co_await asked;
    if (!answer) send(self(), opened{name_});
    send_after(1s, opened{});
    watch(self());
    trap_exits();
  }
  void on(const ended&) {}
  void on(const exit_signal&) {}

 private:
  std::string name_;
};

struct parted {
  std::vector<std::optional<opened>> who;
  ref<opened> to;
};
template <class E>
inline constexpr bool may_leave = detail::checked_to_travel<E>();
static_assert(may_leave<parted>);

inline void right(coppice::system& s) {
  const ref<reserve, opened> both = s.spawn<shop>({.id = "shop"}, std::string{"corner shop"});
  const ref<opened> narrow = both;
  outside{s}.send(narrow, opened{"me"});
  (void)outside{s}.ask(both, reserve{"nails"}, 1s);
}

#if CASE == 1
// expect: an event is a plain aggregate: no constructors, no private members
struct wrong {
  explicit wrong(int x) : value(x) {}
  int value;
};
void mistake(outside o, ref<wrong> to) { o.send(to, wrong{1}); }

#elif CASE == 2
// expect: an event has no virtual functions
struct wrong {
  virtual void f() {}
};
void mistake(outside o, ref<wrong> to) { o.send(to, wrong{}); }

#elif CASE == 3
// expect: an event has no base class
struct wrong : opened {
  int more;
};
void mistake(outside o, ref<wrong> to) { o.send(to, wrong{{"me"}, 1}); }

#elif CASE == 4
// expect: an event holds no pointers
struct wrong {
  std::string name;
  const char* text;
};
void mistake(outside o, ref<wrong> to) { o.send(to, wrong{"", ""}); }

#elif CASE == 5
// expect: an event has no C array
struct wrong {
  std::string name;
  char text[8];
};
void mistake(outside o, ref<wrong> to) { o.send(to, wrong{}); }

#elif CASE == 6
// expect: a reply is a struct of its own
struct wrong {
  using reply = int;
};
void mistake(outside o, ref<wrong> to) { (void)o.ask(to, wrong{}, 1s); }

#elif CASE == 7
// expect: an event is a struct of its own, not a built-in type
void mistake(outside o, ref<int> to) { o.send(to, 1); }

#elif CASE == 8
// expect: does not accept this event
void mistake(outside o, ref<opened> to) { o.send(to, closed{}); }

#elif CASE == 9
// expect: does not accept this event
struct mistake : actor<opened> {
  explicit mistake(ref<opened> to) : to_(to) {}
  void on(const opened&) { send(to_, closed{}); }
  ref<opened> to_;
};

#elif CASE == 10
// expect: this ref accepts an event that the other one does not
void mistake(ref<opened> narrow) { ref<opened, reserve> wide = narrow; }

#elif CASE == 11
// expect: only a request can be asked
void mistake(outside o, ref<opened> to) { (void)o.ask(to, opened{}, 1s); }

#elif CASE == 12
// expect: only a request can be asked
struct mistake : actor<opened> {
  void on(const opened&) { auto asked = ask(self(), opened{}, 1s); }
};

#elif CASE == 13
// expect: lists an event for which it has no public `on(const E&)`
struct wrong : actor<opened, closed> {
  void on(const opened&) {}
};
void mistake(coppice::system& s) { (void)s.spawn<wrong>({.id = "wrong"}); }

#elif CASE == 14
// expect: lists an event for which it has no public `on(const E&)`
class wrong : public actor<opened> {
  void on(const opened&) {}
};
void mistake(coppice::system& s) { (void)s.spawn<wrong>({.id = "wrong"}); }

#elif CASE == 15
// expect: a request's handler returns its reply R, result<R>, task<R> or task<result<R>>
struct wrong : actor<reserve> {
  int on(const reserve&) { return 1; }
};
void mistake(coppice::system& s) { (void)s.spawn<wrong>({.id = "wrong"}); }

#elif CASE == 16
// expect: a one-way event's handler returns nothing or task<>
struct wrong : actor<opened> {
  int on(const opened&) { return 1; }
};
void mistake(coppice::system& s) { (void)s.spawn<wrong>({.id = "wrong"}); }

#elif CASE == 17
// expect: a handler with a reply slot returns nothing
struct wrong : actor<reserve> {
  reserved on(const reserve&, reply_slot<reserved>) { return {1}; }
};
void mistake(coppice::system& s) { (void)s.spawn<wrong>({.id = "wrong"}); }

#elif CASE == 18
// expect: name what you wait for
struct mistake : actor<opened> {
  explicit mistake(ref<reserve> to) : to_(to) {}
  task<> on(const opened&) { auto answer = co_await ask(to_, reserve{}, 1s); }
  ref<reserve> to_;
};

#elif CASE == 19
// expect: a task can wait for asks, tasks, pauses and room only
struct foreign {
  bool await_ready() { return true; }
  void await_suspend(std::coroutine_handle<>) {}
  void await_resume() {}
};
struct mistake : actor<opened> {
  task<> on(const opened&) {
    foreign other;
    co_await other;
  }
};

#elif CASE == 20
// expect: an actor that watches lists coppice::ended among its events
struct mistake : actor<opened> {
  void on(const opened&) { watch(self()); }
};

#elif CASE == 21
// expect: an actor that traps exits lists coppice::exit_signal among its events
struct mistake : actor<opened> {
  void on(const opened&) { trap_exits(); }
};

#elif CASE == 22
// expect: an actor's timer delivers one of its own events
struct mistake : actor<opened> {
  void on(const opened&) { send_after(1s, closed{}); }
};

#elif CASE == 23
// expect: an actor's timer delivers one of its own events
struct mistake : actor<opened> {
  void on(const opened&) { send_every("beat", 1s, closed{}); }
};

#elif CASE == 24
// expect: the actor cannot be constructed from these arguments
void mistake(coppice::system& s) { (void)s.spawn<shop>({.id = "shop"}, 1, 2); }

#elif CASE == 25
// expect: constructor arguments are copied into each incarnation
struct wrong : actor<opened> {
  explicit wrong(const std::unique_ptr<int>&) {}
  void on(const opened&) {}
};
void mistake(coppice::system& s) {
  (void)s.spawn<wrong>({.id = "wrong"}, std::make_unique<int>(1));
}

#elif CASE == 26
// expect: a continuation takes a result of the reply and returns nothing
struct mistake : actor<opened> {
  explicit mistake(ref<reserve> to) : to_(to) {}
  void on(const opened&) {
    ask(to_, reserve{}, 1s).then([](int) {});
  }
  ref<reserve> to_;
};

#elif CASE == 27
// expect: an actor class derives from coppice::actor<Events...>
struct wrong {
  using address = ref<opened>;
};
void mistake(coppice::system& s) { (void)s.spawn<wrong>({.id = "wrong"}); }

#elif CASE == 28
// expect: a periodic timer's event is copied each period
struct parcel {
  std::unique_ptr<int> content;
};
struct mistake : actor<parcel> {
  void on(const parcel&) { send_every(1s, parcel{}); }
};

#elif CASE == 29
// expect: an event must move and be destroyed without throwing
struct part {
  part() = default;
  part(const part&) {}
};
struct wrong {
  part first;
};
void mistake(outside o, ref<wrong> to) { o.send(to, wrong{}); }

#elif CASE == 30
// expect: `started` returns nothing or task<>
struct wrong : actor<opened> {
  void on(const opened&) {}
  int started() { return 1; }
};
void mistake(coppice::system& s) { (void)s.spawn<wrong>({.id = "wrong"}); }

#elif CASE == 31
// expect: the event that starts a dynamic child names as its reply a ref to it
struct hire {
  std::string who;
};
struct wrong : actor<opened> {
  explicit wrong(hire) {}
  void on(const opened&) {}
};
void mistake(children& c) { (void)c.dynamic<wrong, hire>("staff"); }

#elif CASE == 32
// expect: the reply of the event that starts a dynamic child is a ref that the child's own converts
struct hire {
  std::string who;
  using reply = reserved;
};
struct wrong : actor<opened> {
  explicit wrong(hire) {}
  void on(const opened&) {}
};
void mistake(children& c) { (void)c.dynamic<wrong, hire>("staff"); }

#elif CASE == 33
// expect: the actor cannot be constructed from these arguments
struct hire {
  std::string who;
  using reply = ref<opened>;
};
struct wrong : actor<opened> {
  explicit wrong(int, hire) {}
  void on(const opened&) {}
};
void mistake(children& c) { (void)c.dynamic<wrong, hire>("staff"); }

#elif CASE == 34
// expect: a pointer cannot leave the process
struct wrong {
  std::string name;
  std::vector<const char*> texts;
};
static_assert(may_leave<wrong>);

#elif CASE == 35
// expect: a smart pointer cannot leave the process
struct wrong {
  std::shared_ptr<int> counter;
};
static_assert(may_leave<wrong>);

#elif CASE == 36
// expect: a smart pointer cannot leave the process
struct inner {
  std::unique_ptr<opened> what;
};
struct wrong {
  int id;
  inner in;
};
static_assert(may_leave<wrong>);

#elif CASE == 37
// expect: a function cannot leave the process
struct wrong {
  std::function<void(int)> then;
};
static_assert(may_leave<wrong>);

#elif CASE == 38
// expect: a function cannot leave the process
struct less {
  explicit less(int) {}
  bool operator()(int, int) const { return true; }
};
struct wrong {
  std::optional<less> order;
};
static_assert(may_leave<wrong>);

#elif CASE == 39
// expect: a std::any cannot leave the process
struct wrong {
  int id;
  std::any what;
};
static_assert(may_leave<wrong>);

#elif CASE == 40
// expect: a view cannot leave the process
struct wrong {
  std::string_view name;
};
static_assert(may_leave<wrong>);

#elif CASE == 41
// expect: a view cannot leave the process
struct wrong {
  int id;
  std::span<const int> counts;
};
static_assert(may_leave<wrong>);

#elif CASE == 42
// expect: a long double cannot leave the process
struct wrong {
  long double weight;
};
static_assert(may_leave<wrong>);

#elif CASE == 43
// expect: an enum that leaves the process is an `enum class`
enum color { red, green };
struct wrong {
  color paint;
};
static_assert(may_leave<wrong>);

#elif CASE == 44
// expect: only a time of std::chrono::system_clock means anything
struct wrong {
  std::chrono::steady_clock::time_point when;
};
static_assert(may_leave<wrong>);

#elif CASE == 45
// expect: what leaves the process must be default-constructible
struct article {
  int& count;
};
struct wrong {
  std::vector<article> all;
};
static_assert(may_leave<wrong>);

#elif CASE == 46
// expect: what leaves the process has no base class
struct invoice : opened {
  int total;
};
struct wrong {
  std::vector<invoice> all;
};
static_assert(may_leave<wrong>);

#elif CASE == 47
// expect: what leaves the process has no C array
struct label {
  int id;
  char text[8];
};
struct wrong {
  std::vector<label> all;
};
static_assert(may_leave<wrong>);

#elif CASE == 48
// expect: this type cannot leave the process
struct wrong {
  std::thread::id who;
};
static_assert(may_leave<wrong>);

#elif CASE == 49
// expect: what leaves the process is neither const nor a reference
struct wrong {
  const int id = 1;
  std::string name;
};
static_assert(may_leave<wrong>);

#endif
