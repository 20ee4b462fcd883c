// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/exchange_private.hpp>

#include "two_nodes.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <stdexcept>

using namespace coppice;
using namespace std::chrono_literals;
using two_nodes::stage;
using wire::message_kind;

namespace {

struct left {
  int pieces = 0;
};
struct take {
  static constexpr std::string_view name = "test.take";
  int pieces = 0;
  using reply = left;
};
struct note {
  static constexpr std::string_view name = "test.note";
  std::string text;
};
struct crash {
  static constexpr std::string_view name = "test.crash";
  using reply = left;
};
struct go {
  static constexpr std::string_view name = "test.go";
  using reply = left;
};
struct told {
  std::string text;
};
struct tell_all {
  static constexpr std::string_view name = "test.tell_all";
  using reply = told;
};
struct unnamed {};
struct report_to {
  static constexpr std::string_view name = "test.report_to";
  ref<note> whom;
  std::string text;
};

/// Answers, keeps notes, crashes.
class store : public actor<take, note, crash, report_to, unnamed> {
 public:
  explicit store(std::vector<std::string>* notes) : notes_(notes) {}
  result<left> on(const take& t) {
    if (t.pieces > stock_) return fail("not so many are left");
    stock_ -= t.pieces;
    return left{stock_};
  }
  void on(const note& n) { notes_->push_back(n.text); }
  left on(const crash&) { throw std::runtime_error{"fire"}; }
  void on(const report_to& r) { send(r.whom, note{r.text + " from " + path()}); }
  void on(const unnamed&) {}

 private:
  std::vector<std::string>* notes_;
  int stock_ = 10;
};

struct shop : stage {
  using stage::stage;
  ref<take, note, crash, report_to> far() {
    return alpha.at<take, note, crash, report_to>("beta:/store");
  }
  ref<take, note, crash, report_to, unnamed> open() {
    return beta.run.system().spawn<store>({.id = "store"}, &notes);
  }
  std::vector<std::string> notes;
};

}  // namespace

TEST_CASE("an event is handled by the actor elsewhere, and an ask is answered from there") {
  shop s;
  s.open();
  s.connect();
  s.alpha.run.send(s.far(), note{"hello"});
  s.settle();
  CHECK(s.notes == std::vector<std::string>{"hello"});
  CHECK(s.ask(s.far(), take{3}).value().pieces == 7);
  CHECK(s.far().path() == "beta:/store");
}

TEST_CASE("what is sent before the nodes have met arrives in its order") {
  shop s;
  s.open();
  for (int i = 0; i < 5; ++i) s.alpha.run.send(s.far(), note{std::to_string(i)});
  auto asked = s.alpha.run.begin_ask(s.far(), take{1}, 1s);
  s.alpha.run.run_until_idle();
  CHECK(s.notes.empty());
  s.connect();
  CHECK(s.notes == std::vector<std::string>{"0", "1", "2", "3", "4"});
  REQUIRE(asked.answered());
  CHECK(asked.take().value().pieces == 9);
}

TEST_CASE("a handler's own refusal comes back as failed, with its reason and the node") {
  shop s;
  s.open();
  s.connect();
  const auto r = s.ask(s.far(), take{11});
  REQUIRE(!r);
  CHECK(r.error().code() == errc::failed);
  CHECK(r.error().message().find("not so many are left") != std::string::npos);
}

TEST_CASE("an ask whose actor crashes is told crashed, with the place on its node") {
  shop s;
  s.open();
  s.connect();
  const auto r = s.ask(s.far(), crash{});
  REQUIRE(!r);
  CHECK(r.error().code() == errc::crashed);
  CHECK(r.error().message().find("beta:/store") != std::string::npos);
  CHECK(r.error().message().find("fire") != std::string::npos);
}

TEST_CASE("an ask for an actor that is not there is told stopped, and once it is there answered") {
  shop s;
  s.connect();
  CHECK(s.ask(s.far(), take{1}).error().code() == errc::stopped);
  s.open();
  s.advance(200ms);
  CHECK(s.ask(s.far(), take{1}).value().pieces == 9);
}

TEST_CASE("an address that has ended is gone, for good") {
  shop s;
  const auto here = s.open();
  s.connect();
  const auto far = s.far();
  CHECK(s.ask(far, take{1}));
  s.beta.run.system().stop(here);
  s.settle();
  const auto r = s.ask(far, take{1});
  CHECK(r.error().code() == errc::gone);
}

TEST_CASE("an ask without an answer ends by its deadline, and nothing is left of it") {
  shop s;
  s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  auto asked = s.alpha.run.begin_ask(s.far(), take{1}, 100ms);
  s.alpha.run.run_until_idle();
  s.alpha.out->messages.clear();  // a peer that swallows everything
  CHECK(s.alpha.actors->counts().pending_asks == 1);
  s.advance(2s);
  REQUIRE(asked.answered());
  CHECK(s.alpha.actors->counts().pending_asks == 0);
}

TEST_CASE("asks in hand when a session ends are told disconnected") {
  shop s;
  s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  auto asked = s.alpha.run.begin_ask(s.far(), take{1}, 1s);
  s.alpha.run.run_until_idle();
  s.cut();
  REQUIRE(asked.answered());
  const auto r = asked.take();
  CHECK(r.error().code() == errc::disconnected);
  CHECK_FALSE(r.error().not_executed());
  CHECK(r.error().message().find("the cable was cut") != std::string::npos);
}

TEST_CASE("events that the peer had not confirmed when the session ended are counted") {
  shop s;
  s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  for (int i = 0; i < 3; ++i) s.alpha.run.send(s.far(), note{"lost"});
  s.alpha.run.run_until_idle();
  s.cut();
  CHECK(s.alpha.dead(dead_letter_reason::unconfirmed) == 3);
}

TEST_CASE("while a node is known to be unreachable nothing waits for it") {
  shop s;
  s.open();
  const auto far = s.far();
  auto before = s.alpha.run.begin_ask(far, take{1}, 1s);
  s.alpha.run.send(far, note{"waits"});
  s.settle();
  CHECK_FALSE(before.answered());
  s.alpha.actors->unreachable(*s.alpha.other, "nobody listens there");
  s.settle();
  REQUIRE(before.answered());
  const auto r = before.take();
  CHECK(r.error().code() == errc::unreachable);
  CHECK(r.error().not_executed());
  CHECK(s.alpha.dead(dead_letter_reason::unreachable) == 1);
  s.connect();
  CHECK(s.ask(far, take{1}).value().pieces == 9);
}

TEST_CASE("a ref in an event leads back to the one who sent it") {
  struct listener : actor<note> {
    explicit listener(std::vector<std::string>* heard) : heard_(heard) {}
    void on(const note& n) { heard_->push_back(n.text); }
    std::vector<std::string>* heard_;
  };
  shop s;
  s.open();
  s.connect();
  std::vector<std::string> heard;
  const auto here = s.alpha.run.system().spawn<listener>({.id = "ear"}, &heard);
  s.alpha.run.send(s.far(), report_to{here, "all well"});
  s.settle();
  CHECK(heard == std::vector<std::string>{"all well from /store"});
}

TEST_CASE("a ref that comes home is the actor itself") {
  shop s;
  const auto here = s.open();
  s.connect();
  const auto far = s.far();
  CHECK(s.ask(far, take{1}));
  // alpha tells beta's store to report to beta's store.
  s.alpha.run.send(far, report_to{far, "mirror"});
  s.settle();
  CHECK(s.notes == std::vector<std::string>{"mirror from /store"});
}

TEST_CASE("an event without a name stays where it is, and the one who sends it is told why") {
  shop s;
  s.open();
  s.connect();
  s.alpha.run.send(s.alpha.at<unnamed>("beta:/store"), unnamed{});
  s.settle();
  CHECK(s.alpha.dead(dead_letter_reason::unknown_event) == 1);
}

TEST_CASE("what a node may not send is denied to it, on its side and on the other") {
  shop s;
  s.open();
  s.beta.allowed = [](std::string_view, std::string_view event) { return event != "test.take"; };
  s.connect();
  CHECK(s.ask(s.far(), take{1}).error().code() == errc::denied);
  s.alpha.run.send(s.far(), note{"allowed"});
  s.settle();
  CHECK(s.notes.size() == 1);
}

TEST_CASE("a full mailbox elsewhere refuses the ask as overloaded") {
  struct slow : actor<take> {
    left on(const take&) { return {}; }
  };
  stage s;
  const auto here = s.beta.run.system().spawn<slow>({.id = "slow", .capacity = 1});
  s.connect();
  const auto far = s.alpha.at<take>("beta:/slow");
  CHECK(s.ask(far, take{1}));
  outside{s.beta.run.system()}.suspend(here);
  s.settle();
  auto first = s.alpha.run.begin_ask(far, take{1}, 1s);
  auto second = s.alpha.run.begin_ask(far, take{1}, 1s);
  s.settle();
  REQUIRE(second.answered());
  CHECK(second.take().error().code() == errc::overloaded);
  outside{s.beta.run.system()}.resume(here);
  s.settle();
  REQUIRE(first.answered());
  CHECK(first.take());
}

TEST_CASE(
    "with the send buffer full events wait, and when there is room again they go on in order") {
  shop s;
  s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  s.alpha.out->places = 2;
  for (int i = 0; i < 6; ++i) s.alpha.run.send(s.far(), note{std::to_string(i)});
  s.alpha.run.run_until_idle();
  CHECK(s.alpha.out->messages.size() == 2);
  for (int i = 0; i < 5; ++i) {
    s.settle();
    s.alpha.actors->drained(*s.alpha.other);
  }
  s.settle();
  CHECK(s.notes == std::vector<std::string>{"0", "1", "2", "3", "4", "5"});
}

TEST_CASE("an event larger than a message may be is refused with the limit's name") {
  shop s;
  s.open();
  s.connect();
  s.alpha.run.send(s.far(), note{std::string(200'000, 'x')});
  s.settle();
  CHECK(s.notes.empty());
  CHECK(s.alpha.dead(dead_letter_reason::overflow) == 1);
}

TEST_CASE("two nodes' actors that ask each other are told of the cycle, with its places") {
  struct ring : actor<go> {
    explicit ring(ref<go> next) : next_(next) {}
    task<result<left>> on(const go&) {
      auto asked = ask(next_, go{}, 500ms);
      auto answer = co_await asked;
      co_return answer;
    }
    ref<go> next_;
  };
  stage s;
  s.connect();
  s.beta.run.system().spawn<ring>({.id = "ring"}, s.beta.at<go>("alpha:/ring"));
  const auto here = s.alpha.run.system().spawn<ring>({.id = "ring"}, s.alpha.at<go>("beta:/ring"));
  const auto r = s.ask(here, go{});
  REQUIRE(!r);
  CHECK(r.error().message().find("cycle") != std::string::npos);
  CHECK(r.error().message().find("/ring") != std::string::npos);
}

// ---- watches, links, signals ------------------------------------------------------------------

namespace {

/// Watches and links on request, and keeps what it is told.
class observer_of_one : public actor<note, ended, exit_signal> {
 public:
  observer_of_one(std::vector<std::string>* told, ref<take, crash> whom, bool linked)
      : told_(told), whom_(whom), linked_(linked) {}
  void started() {
    watch(whom_);
    if (!linked_) return;
    trap_exits();
    link(whom_);
  }
  void on(const note& n) { told_->push_back(n.text); }
  void on(const ended& e) {
    told_->push_back(e.path + "#" + std::to_string(e.incarnation) + " " +
                     std::string{name(e.reason.what())} + (e.gone ? ", gone" : ""));
    CHECK(e.of(whom_));
  }
  void on(const exit_signal& s) {
    told_->push_back("signal from " + s.path + ": " + std::string{name(s.reason.what())} +
                     (s.linked ? ", linked" : ""));
  }

 private:
  std::vector<std::string>* told_;
  ref<take, crash> whom_;
  bool linked_;
};

struct watching : shop {
  using shop::shop;
  auto watch(bool linked = false) {
    const auto x = alpha.run.system().spawn<observer_of_one>(
        {.id = "observer"}, &told, alpha.at<take, crash>("beta:/store"), linked);
    settle();
    return x;
  }
  std::vector<std::string> told;
};

}  // namespace

TEST_CASE("the end of a watched actor elsewhere is told once, with its incarnation and reason") {
  watching s;
  s.open();
  s.connect();
  s.watch();
  CHECK(s.told.empty());
  (void)s.ask(s.far(), crash{});
  CHECK(s.told == std::vector<std::string>{"beta:/store#1 crashed, gone"});
}

TEST_CASE("a watch made before the nodes have met holds once they have") {
  watching s;
  const auto here = s.open();
  s.watch();
  s.connect();
  s.beta.run.system().stop(here);
  s.settle();
  CHECK(s.told == std::vector<std::string>{"beta:/store#1 shutdown, gone"});
}

TEST_CASE("when the session ends a watcher is told unreachable, not ended, and watches on") {
  watching s;
  const auto here = s.open();
  s.connect();
  s.watch();
  s.cut();
  CHECK(s.told == std::vector<std::string>{"beta:/store#0 unreachable"});
  s.connect();
  s.told.clear();
  s.beta.run.system().stop(here);
  s.settle();
  CHECK(s.told == std::vector<std::string>{"beta:/store#1 shutdown, gone"});
}

TEST_CASE("a watch beyond the limit is told at once that nobody will tell it") {
  struct watcher : actor<ended> {
    watcher(std::vector<std::string>* told, std::vector<ref<take>> all) : told_(told), all_(all) {}
    void started() {
      for (const auto& each : all_) watch(each);
    }
    void on(const ended& e) { told_->push_back(e.path + " " + std::string{name(e.reason.what())}); }
    std::vector<std::string>* told_;
    std::vector<ref<take>> all_;
  };
  std::vector<std::string> first, second;
  shop s{1, {.remote_addresses = 3}};
  s.open();
  const auto other = s.beta.run.system().spawn<store>({.id = "other"}, &s.notes);
  s.connect();
  const std::vector<ref<take>> all{s.alpha.at<take>("beta:/store"),
                                   s.alpha.at<take>("beta:/other")};
  s.alpha.run.system().spawn<watcher>({.id = "first"}, &first, all);
  s.settle();
  s.alpha.run.system().spawn<watcher>({.id = "second"}, &second, all);
  s.settle();
  CHECK(first.empty());
  CHECK(second == std::vector<std::string>{"beta:/other unreachable"});
  s.beta.run.system().stop(other);
  s.settle();
  CHECK(first == std::vector<std::string>{"beta:/other shutdown"});
  CHECK(second == std::vector<std::string>{"beta:/other unreachable"});
}

TEST_CASE("a watch that was given up is not told") {
  struct fickle : actor<note, ended> {
    fickle(std::vector<std::string>* told, ref<take> whom) : told_(told), whom_(whom) {}
    void started() { watch(whom_); }
    void on(const note&) { unwatch(whom_); }
    void on(const ended&) { told_->push_back("ended"); }
    std::vector<std::string>* told_;
    ref<take> whom_;
  };
  watching s;
  const auto here = s.open();
  s.connect();
  const auto x = s.alpha.run.system().spawn<fickle>({.id = "fickle"}, &s.told,
                                                    s.alpha.at<take>("beta:/store"));
  s.settle();
  s.alpha.run.send(x, note{});
  s.settle();
  s.beta.run.system().stop(here);
  s.settle();
  CHECK(s.told.empty());
}

TEST_CASE("nothing of an actor elsewhere arrives behind its end notice") {
  struct last_words : actor<report_to, crash> {
    void on(const report_to& r) {
      for (int i = 0; i < 5; ++i) send(r.whom, note{r.text + std::to_string(i)});
      stop();
    }
    left on(const crash&) { return {}; }
  };
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    stage s{seed};
    s.beta.run.system().spawn<last_words>({.id = "speaker"});
    struct ear : actor<note, ended> {
      ear(std::vector<std::string>* told, ref<report_to> whom) : told_(told), whom_(whom) {}
      void started() { watch(whom_); }
      void on(const note& n) { told_->push_back(n.text); }
      void on(const ended&) { told_->push_back("ended"); }
      std::vector<std::string>* told_;
      ref<report_to> whom_;
    };
    std::vector<std::string> told;
    s.connect();
    const auto far = s.alpha.at<report_to>("beta:/speaker");
    const auto here = s.alpha.run.system().spawn<ear>({.id = "ear"}, &told, far);
    s.settle();
    s.alpha.run.send(far, report_to{here, "w"});
    s.settle();
    CHECK(told == std::vector<std::string>{"w0", "w1", "w2", "w3", "w4", "ended"});
  }
}

TEST_CASE("a link to an actor elsewhere carries its crash, and one from here its own end") {
  watching s;
  s.open();
  s.connect();
  s.watch(true);
  (void)s.ask(s.far(), crash{});
  REQUIRE(s.told.size() == 2);
  CHECK((s.told[0] == "signal from beta:/store: crashed, linked" ||
         s.told[1] == "signal from beta:/store: crashed, linked"));
}

TEST_CASE("an actor that is linked to one elsewhere takes it along when it ends") {
  watching s;
  s.open();
  s.connect();
  const auto far = s.far();
  const auto here = s.watch(true);
  CHECK(s.ask(far, take{1}));
  s.alpha.run.system().stop(here, exit_reason::failed("enough"));
  s.settle();
  CHECK(s.ask(far, take{1}).error().code() == errc::gone);
}

TEST_CASE("when the session ends linked actors receive the signal unreachable") {
  watching s;
  s.open();
  s.connect();
  s.watch(true);
  s.cut();
  CHECK(std::count(s.told.begin(), s.told.end(), "signal from beta:/store: unreachable, linked") ==
        1);
}

TEST_CASE("an exit signal to an actor elsewhere ends it, if the node may send such signals") {
  struct killer : actor<note> {
    explicit killer(ref<take> whom) : whom_(whom) {}
    void on(const note&) { exit(whom_, exit_reason::kill()); }
    ref<take> whom_;
  };
  shop s;
  s.open();
  bool may = false;
  s.beta.allowed = [&](std::string_view, std::string_view event) {
    return may || event != "coppice.exit";
  };
  s.connect();
  const auto far = s.far();
  CHECK(s.ask(far, take{1}));
  const auto x =
      s.alpha.run.system().spawn<killer>({.id = "killer"}, s.alpha.at<take>("beta:/store"));
  s.alpha.run.send(x, note{});
  s.settle();
  CHECK(s.ask(far, take{1}));
  CHECK(s.beta.offences.size() == 1);
  may = true;
  s.alpha.run.send(x, note{});
  s.settle();
  CHECK(s.ask(far, take{1}).error().code() == errc::gone);
}

// Its node was not asked for it before, and the signal was lost.
TEST_CASE("an exit signal to an actor elsewhere that nobody has addressed before arrives") {
  struct killer : actor<note> {
    explicit killer(ref<take> whom) : whom_(whom) {}
    void on(const note&) { exit(whom_, exit_reason::kill()); }
    ref<take> whom_;
  };
  for (const bool met : {true, false}) {
    CAPTURE(met);
    shop s;
    s.open();
    if (met) s.connect();
    const auto x =
        s.alpha.run.system().spawn<killer>({.id = "killer"}, s.alpha.at<take>("beta:/store"));
    s.alpha.run.send(x, note{});
    s.settle();
    if (!met) s.connect();
    CHECK(s.ask(s.far(), take{1}).error().code() != errc{});
  }
}

// What has no room in the send buffer would not come again: the watcher would wait for ever.
TEST_CASE("watches, links and answers pass a send buffer that is full of events") {
  watching s;
  const auto here = s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  s.alpha.out->places = 0;
  s.beta.out->places = 0;
  s.watch(true);
  auto asked = s.alpha.run.begin_ask(s.far(), take{1});
  s.alpha.out->places = 1;
  s.settle();
  s.alpha.actors->drained(*s.alpha.other);
  s.settle();
  REQUIRE(asked.answered());
  CHECK(asked.take());
  s.beta.out->places = 10;
  s.beta.run.system().stop(here);
  s.settle();
  REQUIRE(s.told.size() == 2);
  std::sort(s.told.begin(), s.told.end());
  CHECK(s.told[0] == "beta:/store#1 shutdown, gone");
  CHECK(s.told[1] == "signal from beta:/store: shutdown, linked");
}

// The notices came from the actor itself, which its watcher knew by another address.
TEST_CASE("an address on one's own node is watched and linked to like any other") {
  for (const bool among_others : {false, true}) {
    CAPTURE(among_others);
    watching s;
    const auto here = s.open();
    s.beta.run.system().spawn<observer_of_one>({.id = "observer"}, &s.told,
                                               s.beta.at<take, crash>("beta:/store"), true);
    s.settle();
    CHECK(s.told.empty());
    if (among_others) s.connect();
    s.beta.run.system().stop(here);
    s.settle();
    REQUIRE(s.told.size() == 2);
    std::sort(s.told.begin(), s.told.end());
    CHECK(s.told[0] == "beta:/store#1 shutdown, gone");
    CHECK(s.told[1] == "signal from beta:/store: shutdown, linked");
  }
}

// Who had been found under the path once was said to be there after it had ended.
TEST_CASE("an actor of one's own node that has ended is not found by its address any more") {
  using reach = wire::detail_wire::reach;
  shop s;
  const auto store_here = s.alpha.run.system().spawn<store>({.id = "store"}, &s.notes);
  const auto address = s.alpha.at<reach, take>("alpha:/store");
  CHECK(s.ask(address, take{1}).value().pieces == 9);
  CHECK(s.ask(address, reach{}));
  s.alpha.run.system().stop(store_here);
  s.settle();
  const auto found = s.ask(address, reach{});
  REQUIRE_FALSE(found);
  CHECK(found.error().code() == errc::stopped);
}

// ---- incarnations of nodes, and of builds -----------------------------------------------------

TEST_CASE("after a restart of its node a path leads to the new actor, and a pinned ref nowhere") {
  struct listener : actor<note, report_to> {
    explicit listener(std::vector<std::string>* heard) : heard_(heard) {}
    void on(const note& n) { heard_->push_back(n.text); }
    void on(const report_to& r) { kept_ = r.whom, send(kept_, note{"kept"}); }
    std::vector<std::string>* heard_;
    ref<note> kept_;
  };
  shop s;
  const auto old_one = s.open();
  s.connect();
  const auto far = s.far();
  CHECK(s.ask(far, take{1}).value().pieces == 9);
  s.beta.run.system().stop(old_one);
  s.beta.run.run_until_idle();
  s.beta.out->messages.clear();  // it was killed: nobody heard of it
  s.cut(true);
  s.open();
  s.connect();
  CHECK(s.ask(far, take{1}).value().pieces == 9);  // a fresh stock
}

namespace {

namespace old_build {
struct order {
  static constexpr std::string_view name = "test.order";
  std::string id;
  int pieces = 1;
  using reply = left;
};
struct retired {
  static constexpr std::string_view name = "test.retired";
};
}  // namespace old_build
namespace new_build {
struct order {
  static constexpr std::string_view name = "test.order";
  std::string id;
  int pieces = 1;
  std::string gift = "none";  // appended
  using reply = left;
};
}  // namespace new_build
namespace other_build {
struct order {
  static constexpr std::string_view name = "test.order";
  int id = 0;  // was a text
  int pieces = 1;
  using reply = left;
};
}  // namespace other_build

template <class Order>
struct desk : actor<Order> {
  explicit desk(std::vector<std::string>* seen) : seen_(seen) {}
  left on(const Order& o) {
    if constexpr (requires { o.gift; }) seen_->push_back(o.id + " " + o.gift);
    else seen_->push_back("?");
    return {o.pieces};
  }
  std::vector<std::string>* seen_;
};

}  // namespace

TEST_CASE("a build that has appended a field and one that has not understand each other") {
  stage s;
  std::vector<std::string> seen, seen_old;
  s.beta.run.system().spawn<desk<new_build::order>>({.id = "new"}, &seen);
  s.beta.run.system().spawn<desk<old_build::order>>({.id = "old"}, &seen_old);
  s.connect();
  CHECK(
      s.ask(s.alpha.at<old_build::order>("beta:/new"), old_build::order{"o-1", 2}).value().pieces ==
      2);
  CHECK(seen == std::vector<std::string>{"o-1 none"});
  CHECK(s.ask(s.alpha.at<new_build::order>("beta:/old"), new_build::order{"o-2", 3, "bow"})
            .value()
            .pieces == 3);
}

TEST_CASE("builds that disagree about an event are told where, before anything is sent") {
  stage s;
  std::vector<std::string> seen;
  s.beta.run.system().spawn<desk<new_build::order>>({.id = "new"}, &seen);
  s.connect();
  const auto r = s.ask(s.alpha.at<other_build::order>("beta:/new"), other_build::order{});
  REQUIRE(!r);
  CHECK(r.error().code() == errc::unknown_event);
  CHECK(r.error().message().find("disagree about the event test.order") != std::string::npos);
  s.alpha.run.send(s.alpha.at<old_build::retired>("beta:/new"), old_build::retired{});
  s.settle();
  CHECK(s.alpha.dead(dead_letter_reason::unknown_event) == 1);
  CHECK(seen.empty());
}

// ---- bounds and hostile bytes -----------------------------------------------------------------

TEST_CASE("bytes that are no message harm nothing and are told") {
  shop s;
  s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  std::uint64_t state = 7;
  const auto random = [&state] {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
  };
  for (int i = 0; i < 20'000; ++i) {
    two_nodes::bytes m(random() % 40);
    for (auto& b : m) b = static_cast<std::byte>(random());
    if (!m.empty()) m[0] = static_cast<std::byte>(random() % 18);
    if (m.size() > 1 && random() % 2) m[1] = std::byte{1};  // a handle that exists
    const auto on = random() % 2 ? wire::lane::bulk : wire::lane::user;
    s.beta.actors->message(*s.beta.other, on, m);
    s.alpha.actors->message(*s.alpha.other, on, m);
    if (i % 1'000 == 0) s.settle();
  }
  s.settle();
  CHECK(s.beta.offences.size() > 1'000);
  s.cut();
  s.connect();
  CHECK(s.ask(s.far(), take{0}));
}

TEST_CASE("asks beyond the limit are refused at once") {
  wire::limits tight;
  tight.pending_asks = 2;
  shop s{1, tight};
  s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  std::vector<testing::executor::question<take>> asked;
  for (int i = 0; i < 3; ++i) asked.push_back(s.alpha.run.begin_ask(s.far(), take{1}, 1s));
  s.alpha.run.run_until_idle();
  int refused = 0;
  for (auto& a : asked)
    if (a.answered() && a.take().error().code() == errc::limit) ++refused;
  CHECK(refused == 1);
}

TEST_CASE("proxies that nobody refers to are let go, on both sides") {
  shop s;
  s.open();
  s.connect();
  { CHECK(s.ask(s.far(), take{1})); }
  CHECK(s.alpha.actors->counts().proxies == 1);
  s.advance(5s);
  CHECK(s.alpha.actors->counts().proxies == 0);
  CHECK(s.ask(s.far(), take{1}));
}

TEST_CASE("a reply that is too long leaves the outcome unknown, since the handler has run") {
  struct long_winded : actor<tell_all> {
    told on(const tell_all&) { return {std::string(200'000, 'x')}; }
  };
  stage s;
  s.beta.run.system().spawn<long_winded>({.id = "long"});
  s.connect();
  const auto r = s.ask(s.alpha.at<tell_all>("beta:/long"), tell_all{});
  REQUIRE(!r);
  CHECK(r.error().code() == errc::unanswered);
  CHECK_FALSE(r.error().not_executed());
}

namespace {

/// Keeps what it is told, and watches anew, once, what is gone.
class stubborn : public actor<note, ended, exit_signal> {
 public:
  stubborn(std::vector<std::string>* told, ref<take> whom) : told_(told), whom_(whom) {}
  void started() {
    trap_exits();
    watch(whom_);
  }
  void on(const note& n) { told_->push_back(n.text); }
  void on(const ended& e) {
    told_->push_back("ended #" + std::to_string(e.incarnation) + ' ' +
                     std::string{name(e.reason.what())});
    if (told_->size() == 1 && e.gone) watch(whom_);
  }
  void on(const exit_signal& s) { told_->push_back("signal from " + s.path); }

 private:
  std::vector<std::string>* told_;
  ref<take> whom_;
};

struct heard {
  std::vector<std::string> told;
};

/// The watcher is suspended: what is forged waits for it.
struct forged : heard, shop {
  explicit forged(wire::limits bounds = {}) : shop(1, bounds) {
    here = open();
    connect();
    watcher = alpha.run.system().spawn<stubborn>({.id = "stubborn"}, &told,
                                                 alpha.at<take>("beta:/store"));
    settle();
    outside{alpha.run.system()}.suspend(watcher);
    settle();
  }
  void hear(message_kind what, const std::function<void(detail::writer&)>& rest) {
    two_nodes::bytes m;
    detail::writer to{m};
    to.unsigned_integer(static_cast<std::uint64_t>(what));
    to.unsigned_integer(1);  // the watcher's handle, the only one
    rest(to);
    alpha.actors->message(*alpha.other, wire::lane::user, m);
  }
  void hear_ended(std::uint32_t incarnation, bool gone, std::uint32_t watchers = 1) {
    hear(message_kind::ended, [&](detail::writer& to) {
      to.unsigned_integer(here.number());
      to.text("/store");
      to.unsigned_integer(incarnation);
      wire::put_reason(to, exit_reason::failed("it says so"), "beta");
      to.boolean(gone);
      to.unsigned_integer(watchers);  // incarnation
    });
  }
  void resume() {
    outside{alpha.run.system()}.resume(watcher);
    settle();
  }
  ref<take, note, crash, report_to, unnamed> here;
  ref<note> watcher;
};

}  // namespace

// All of them waited in the watcher's mailbox, and one was taken for the end of its next watch.
TEST_CASE("that an actor elsewhere is gone is taken once of each watch, however often it is said") {
  forged s;
  for (int i = 0; i < 1'000; ++i) s.hear_ended(1, true);
  s.resume();
  CHECK(s.told == std::vector<std::string>{"ended #1 failed", "ended #0 noproc"});
}

TEST_CASE("an end that a former incarnation of the watcher is told of leaves the new one's watch") {
  forged s;
  s.hear_ended(1, true, 0);
  s.beta.run.system().stop(s.here);
  s.resume();
  REQUIRE(!s.told.empty());
  CHECK(s.told.front() == "ended #1 shutdown");
}

TEST_CASE("of ends and signals that a node makes up so many wait as it may hold addresses") {
  forged s{{.remote_addresses = 5}};
  for (std::uint32_t i = 1; i <= 100; ++i) s.hear_ended(i, false);
  CHECK(s.alpha.dead(dead_letter_reason::overflow) == 95);
  s.resume();
  REQUIRE(s.told.size() == 5);
  CHECK(s.told.back() == "ended #5 failed");
  // What has been handled leaves room for more.
  for (int i = 0; i < 3; ++i)
    s.hear(message_kind::signal, [](detail::writer& to) {
      to.unsigned_integer(77);
      to.text("/killer");
      wire::put_reason(to, exit_reason::failed("it says so"), "beta");
      to.boolean(false);
    });
  s.settle();
  CHECK(s.told.size() == 8);
  CHECK(s.told.back() == "signal from beta:/killer");
  // And the last one has its place.
  outside{s.alpha.run.system()}.suspend(s.watcher);
  s.settle();
  for (std::uint32_t i = 11; i <= 20; ++i) s.hear_ended(i, false);
  s.hear_ended(20, true);
  s.resume();
  CHECK(s.told.size() == 14);
  CHECK(s.alpha.dead(dead_letter_reason::overflow) == 100);
  CHECK(s.alpha.offences.size() == 100);
}

TEST_CASE("a reply that finds even the reserve of the send buffer full is a dead letter") {
  shop s;
  s.open();
  s.connect();
  CHECK(s.ask(s.far(), take{1}));
  s.beta.out->places = s.beta.out->reserve = 0;
  auto asked = s.alpha.run.begin_ask(s.far(), take{1}, 1s);
  s.settle();
  CHECK(s.beta.dead(dead_letter_reason::overflow) == 1);
  REQUIRE(s.beta.told.letters.size() == 1);
  CHECK(s.beta.told.letters[0].event.find("take") != std::string::npos);
  s.cut();
  REQUIRE(asked.answered());
  CHECK(asked.take().error().code() == errc::disconnected);
}

// The permissions of the one were written down under a handle that was the other's by then.
TEST_CASE(
    "a handle that is given back while it is told does not lend its permissions to the next") {
  shop s;
  s.open();
  std::vector<std::string> secrets;
  s.beta.run.system().spawn<store>({.id = "vault"}, &secrets);
  s.connect();
  const auto says = [&](wire::lane on, message_kind what, std::vector<std::uint64_t> numbers,
                        std::string_view text = {}) {
    two_nodes::bytes m;
    detail::writer to{m};
    to.unsigned_integer(static_cast<std::uint64_t>(what));
    for (const std::uint64_t x : numbers) to.unsigned_integer(x);
    if (what == message_kind::event) to.array(1);
    if (!text.empty()) to.text(text);
    s.beta.actors->message(*s.beta.other, on, m);
  };
  bool once = false;
  s.beta.allowed = [&](std::string_view path, std::string_view) {
    if (path == "/store" && !std::exchange(once, true)) {
      for (const auto on : {wire::lane::user, wire::lane::bulk})
        says(on, message_kind::release, {1, 100});
      says(wire::lane::user, message_kind::resolve, {2, 0, 0}, "/vault");
    }
    return path != "/vault";
  };
  says(wire::lane::user, message_kind::resolve, {1, 0, 0}, "/store");
  for (const std::uint64_t handle : {1, 2})
    says(wire::lane::user, message_kind::event, {handle, 1}, "open up");
  s.settle();
  CHECK(secrets.empty());
  CHECK(s.notes == std::vector<std::string>{"open up"});
  CHECK(s.beta.dead(dead_letter_reason::denied) == 1);
}

// ---- two lanes --------------------------------------------------------------------------------

namespace {

struct begin_watch {};

/// Keeps what it is told, in its order; watches when it is told to.
class listener : public actor<note, begin_watch, ended> {
 public:
  listener(std::vector<std::string>* told, ref<crash> whom) : told_(told), whom_(whom) {}
  void on(const note& n) { told_->push_back(n.text); }
  void on(const begin_watch&) { watch(whom_); }
  void on(const ended& e) { told_->push_back("ended " + e.path + (e.gone ? ", gone" : "")); }

 private:
  std::vector<std::string>* told_;
  ref<crash> whom_;
};

struct two_lanes : shop {
  two_lanes() : shop(1, wire::limits{}, true) {}
  ref<take, note, crash, report_to> bulk() {
    return alpha.at<take, note, crash, report_to>("beta:/bulk");
  }
  auto open_bulk() { return beta.run.system().spawn<store>({.id = "bulk"}, &bulk_notes); }
  auto listen(const char* id, std::vector<std::string>& told) {
    return alpha.run.system().spawn<listener>({.id = id}, &told, alpha.at<crash>("beta:/store"));
  }
  std::vector<std::string> bulk_notes;
};
using counts = std::array<std::size_t, 2>;

}  // namespace

TEST_CASE("what goes to an actor of the bulk lane, and its answers, use no other lane") {
  two_lanes s;
  s.open();
  s.open_bulk();
  s.connect();
  s.alpha.run.send(s.bulk(), note{"hello"});
  CHECK(s.ask(s.bulk(), take{3}).value().pieces == 7);
  CHECK(s.ask(s.bulk(), take{30}).error().code() == errc::failed);
  CHECK(s.bulk_notes == std::vector<std::string>{"hello"});
  CHECK(s.alpha.out->counts == counts{0, 4});  // resolve, the event, two requests
  CHECK(s.beta.out->counts == counts{0, 3});
  CHECK(s.ask(s.far(), take{1}));
  CHECK(s.alpha.out->counts == counts{2, 4});
  CHECK(s.beta.out->counts == counts{2, 3});
}

TEST_CASE("what stands still in the bulk lane holds up nobody else, and keeps its order") {
  two_lanes s;
  s.open();
  s.open_bulk();
  s.connect();
  CHECK(s.ask(s.bulk(), take{1}));
  s.stopped = wire::lane::bulk;
  for (const char* text : {"1", "2", "3"}) s.alpha.run.send(s.bulk(), note{text});
  CHECK(s.ask(s.far(), take{1}));
  CHECK(s.bulk_notes.empty());
  s.stopped.reset();
  s.settle();
  CHECK(s.bulk_notes == std::vector<std::string>{"1", "2", "3"});
}

TEST_CASE("an end notice uses the lane of its watcher, behind what the actor has sent it") {
  two_lanes s;
  s.open();
  s.connect();
  std::vector<std::string> quick, slow;
  const auto a = s.listen("quick", quick);
  const auto b = s.listen("bulk", slow);
  for (const auto& each : {a, b}) {
    s.alpha.run.send(each, begin_watch{});
    s.alpha.run.send(s.far(), report_to{each, "1"});
    s.settle();
  }
  s.stopped = wire::lane::bulk;
  for (const auto& each : {a, b}) s.alpha.run.send(s.far(), report_to{each, "2"});
  CHECK(s.ask(s.far(), crash{}).error().code() == errc::crashed);
  const std::vector<std::string> all{"1 from /store", "2 from /store", "ended beta:/store, gone"};
  CHECK(quick == all);
  CHECK(slow == std::vector<std::string>{"1 from /store"});
  s.stopped.reset();
  s.settle();
  CHECK(slow == all);
}

// Its node had told the first watcher, and this one believed it.
TEST_CASE("who begins to watch an actor that has ended hears first what is on its way from it") {
  two_lanes s;
  s.open();
  s.connect();
  std::vector<std::string> quick, late;
  s.alpha.run.send(s.listen("quick", quick), begin_watch{});
  const auto b = s.listen("bulk", late);
  s.alpha.run.send(s.far(), report_to{b, "1"});
  s.settle();
  s.stopped = wire::lane::bulk;
  s.alpha.run.send(s.far(), report_to{b, "2"});
  CHECK(s.ask(s.far(), crash{}).error().code() == errc::crashed);
  CHECK(quick == std::vector<std::string>{"ended beta:/store, gone"});
  s.alpha.run.send(b, begin_watch{});
  s.settle();
  CHECK(late == std::vector<std::string>{"1 from /store"});
  s.stopped.reset();
  s.settle();
  CHECK(late ==
        std::vector<std::string>{"1 from /store", "2 from /store", "ended beta:/store, gone"});
}

// The handle was given back over the one lane, and taken by another actor, before the ref had come
// home over the other.
TEST_CASE("a ref that comes home late still leads to its actor") {
  two_lanes s;
  s.open();
  s.open_bulk();
  std::vector<std::string> others;
  s.beta.run.system().spawn<store>({.id = "other"}, &others);
  s.connect();
  CHECK(s.ask(s.bulk(), take{1}));
  CHECK(s.ask(s.far(), take{1}));
  s.stopped = wire::lane::bulk;
  s.alpha.run.send(s.bulk(), report_to{s.far(), "a note"});
  s.advance(3s);  // nobody here refers to it any more
  CHECK(s.ask(s.alpha.at<take>("beta:/other"), take{1}));
  s.stopped.reset();
  s.settle();
  CHECK(others.empty());
  CHECK(s.notes == std::vector<std::string>{"a note from /bulk"});
  // Given back over both lanes it is free: the next actor has one of the three.
  s.advance(3s);
  s.beta.run.system().spawn<store>({.id = "third"}, &others);
  auto asked = s.alpha.run.begin_ask(s.alpha.at<take>("beta:/third"), take{1}, 1s);
  s.alpha.run.run_until_idle();
  s.deliver(s.alpha, s.beta);
  s.beta.run.run_until_idle();
  REQUIRE(s.beta.out->messages.size() == 1);
  CHECK(s.beta.out->messages.front().text.at(2) <= std::byte{3});  // of a resolved, the handle
  s.settle();
  CHECK(asked.answered());
}

// The ref came home while its path was being asked for, and both were taken for one actor.
TEST_CASE("a ref to an actor that has ended leads to nobody else, whatever its path is asked for") {
  two_lanes s;
  const auto old = s.open_bulk();
  std::vector<std::string> none, fresh;
  s.alpha.run.system().spawn<store>({.id = "helper"}, &none);
  s.connect();
  const auto helper = s.beta.at<report_to>("alpha:/helper");
  s.beta.run.send(old, crash{});
  s.settle();
  s.beta.run.system().spawn<store>({.id = "bulk"}, &fresh);
  s.alpha.run.send(s.bulk(), note{"for whoever is there"});
  s.alpha.run.run_until_idle();
  REQUIRE(s.deliver(s.alpha, s.beta));
  s.beta.run.run_until_idle();
  s.stopped = wire::lane::bulk;  // the answer is on its way
  s.beta.run.send(helper, report_to{old, "for the old one"});
  s.settle();
  s.stopped.reset();
  s.settle();
  CHECK(fresh == std::vector<std::string>{"for whoever is there"});
  CHECK(s.bulk_notes.empty());
  CHECK(s.beta.dead(dead_letter_reason::gone) == 1);
}
