// SPDX-License-Identifier: BSD-3-Clause
#include "local_cluster.hpp"

#include <doctest/doctest.h>

#include <atomic>

using namespace coppice;
using namespace std::chrono_literals;
using local::eventually;

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
  int number = 0;
};

class store : public actor<take, note> {
 public:
  explicit store(std::vector<int>* notes = nullptr) : notes_(notes) {}
  left on(const take& t) { return {stock_ -= t.pieces}; }
  void on(const note& n) {
    if (notes_) notes_->push_back(n.number);
  }

 private:
  std::vector<int>* notes_;
  int stock_ = 100;
};

/// Takes long to encode.
struct parcel {
  static constexpr std::string_view name = "test.parcel";
  std::vector<int> pieces;
  using reply = left;
};

class depot : public actor<parcel> {
 public:
  left on(const parcel& p) { return {static_cast<int>(p.pieces.size())}; }
};

struct report {};

/// Sends, and stays in its handler until that has arrived.
class stubborn : public actor<report> {
 public:
  stubborn(ref<note> to, std::atomic<int>* arrived) : to_(std::move(to)), arrived_(arrived) {}
  void on(const report&) {
    for (int i = 1; i <= 2; ++i) {
      send(to_, note{i});
      eventually([&] { return *arrived_ == i; });
    }
  }

 private:
  ref<note> to_;
  std::atomic<int>* arrived_;
};

class arrivals : public actor<note> {
 public:
  explicit arrivals(std::atomic<int>* last) : last_(last) {}
  void on(const note& n) { *last_ = n.number; }

 private:
  std::atomic<int>* last_;
};

}  // namespace

TEST_CASE("nodes find each other, and an ask crosses the wire and comes back") {
  local::cluster c{2};
  REQUIRE(c.all_up());
  c[1].system->spawn<store>({.id = "store"});
  const auto far = c[0].cluster->find<take, note>("beta:/store", 5s);
  REQUIRE(far);
  CHECK(c[0].outside().ask(*far, take{3}, 5s).value().pieces == 97);
  CHECK(far->path() == "beta:/store");
}

TEST_CASE("what is found must be there, must take the events, and must be on a node there is") {
  struct unheard {
    int x = 0;
  };
  local::cluster c{2};
  REQUIRE(c.all_up());
  c[1].system->spawn<store>({.id = "store"});
  CHECK(c[0].cluster->find<take>("beta:/nobody", 1s).error().code() == errc::stopped);
  CHECK(c[0].cluster->find<unheard>("beta:/store", 5s).error().code() == errc::unknown_event);
  CHECK(c[0].cluster->find<take>("delta:/store", 5s).error().code() == errc::invalid);
  CHECK(c[0].cluster->find<take>("/store", 5s).error().code() == errc::invalid);
  c[0].system->spawn<store>({.id = "own"});
  const auto own = c[0].cluster->find<take>("alpha:/own", 5s);
  REQUIRE(own);
  CHECK(c[0].outside().ask(*own, take{1}, 5s).value().pieces == 99);
}

TEST_CASE("events arrive in their order, however many") {
  local::cluster c{2};
  REQUIRE(c.all_up());
  std::vector<int> notes;
  c[1].system->spawn<store>({.id = "store", .capacity = 60'000}, &notes);
  const auto far = c[0].cluster->find<take, note>("beta:/store", 5s).value();
  constexpr int many = 20'000;
  for (int i = 0; i < many; ++i) {
    while (!c[0].outside().offer(far, note{i})) std::this_thread::yield();
    if (i % 5'000 == 4'999) CHECK(c[0].outside().ask(far, take{0}, 10s));
  }
  CHECK(c[0].outside().ask(far, take{0}, 10s));
  REQUIRE(notes.size() == many);
  for (int i = 0; i < many; ++i) REQUIRE(notes[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("what a handler has sent leaves although the handler does not return") {
  local::cluster c{2};
  REQUIRE(c.all_up());
  std::atomic<int> last{0};
  c[1].system->spawn<arrivals>({.id = "arrivals"}, &last);
  const auto far = c[0].cluster->find<note>("beta:/arrivals", 5s).value();
  spawn_options how{.id = "stubborn"};
  SUBCASE("on a worker") {}
  SUBCASE("on a thread to itself") { how.own_thread = true; }
  const auto busy = c[0].system->spawn<stubborn>(how, far, &last);
  c[0].outside().send(busy, report{});
  CHECK(eventually([&] { return last == 2; }));
}

TEST_CASE("a node that stops says goodbye, and is told as left") {
  local::cluster c{3};
  REQUIRE(c.all_up());
  c[1].system->spawn<store>({.id = "store"});
  const auto far = c[0].cluster->find<take>("beta:/store", 5s).value();
  c.nodes[1].reset();
  CHECK(eventually([&] { return c[0].opinion_of("beta") == opinion::left; }));
  CHECK(eventually([&] { return c[2].opinion_of("beta") == opinion::left; }));
  const auto r = c[0].outside().ask(far, take{1}, 2s);
  CHECK(r.error().code() == errc::unreachable);
}

TEST_CASE("a node that comes back is another incarnation, and refs by path lead to its actors") {
  local::cluster c{2};
  REQUIRE(c.all_up());
  c[1].system->spawn<store>({.id = "store"});
  const auto far = c[0].cluster->find<take>("beta:/store", 5s).value();
  CHECK(c[0].outside().ask(far, take{10}, 5s).value().pieces == 90);
  const std::string before = c[0].cluster->members()[1].incarnation;
  c.nodes[1].reset();
  c.nodes[1] = c.make(1);
  c[1].system->spawn<store>({.id = "store"});
  c[1].shell().start().value();
  REQUIRE(c.all_up());
  CHECK(c[0].cluster->members()[1].incarnation != before);
  CHECK(eventually([&] {
    const auto r = c[0].outside().ask(far, take{1}, 2s);
    return r && r->pieces == 99;
  }));
}

TEST_CASE("a path leads to the actor of a node that stopped in order and was started again") {
  local::cluster c{2};
  REQUIRE(c.all_up());
  const auto there = c[1].system->spawn<store>({.id = "store"});
  const auto far = c[0].cluster->at<take>("beta:/store").value();
  CHECK(c[0].outside().ask(far, take{10}, 5s).value().pieces == 90);
  SUBCASE("when it has said that the actor has ended") {
    c[1].system->stop(there);
    CHECK(eventually([&] {
      const auto r = c[0].outside().ask(far, take{1}, 2s);
      return !r && r.error().code() == errc::gone;
    }));
  }
  SUBCASE("when it has only said goodbye") {}
  c.nodes[1].reset();
  c.nodes[1] = c.make(1);
  c[1].system->spawn<store>({.id = "another"});  // so that the numbers of the addresses differ
  c[1].system->spawn<store>({.id = "store"});
  c[1].shell().start().value();
  REQUIRE(c.all_up());
  CHECK(eventually([&] {
    const auto r = c[0].outside().ask(far, take{1}, 2s);
    return r && r->pieces == 99;
  }));
}

TEST_CASE("asks that are being written when their session ends are answered like the others") {
  local::cluster c{2};
  REQUIRE(c.all_up());
  c[1].system->spawn<depot>({.id = "depot"});
  const auto far = c[0].cluster->find<parcel>("beta:/depot", 5s).value();
  constexpr int pieces = 20'000;
  std::atomic<bool> enough{false};
  std::atomic<int> asked{0}, answered{0}, in_vain{0};
  std::vector<std::thread> askers;
  for (int i = 0; i < 2; ++i)
    askers.emplace_back([&, handle = c[0].outside()]() mutable {
      while (!enough) {
        ++asked;
        const auto answer = handle.ask(far, parcel{std::vector<int>(pieces, 7)}, 10s);
        if (!answer) ++in_vain;
        else if (answer->pieces == pieces) ++answered;
      }
    });
  for (int life = 0; life < 8; ++life) {
    const int before = answered;
    CHECK(eventually([&] { return answered > before + 20; }));
    c.nodes[1].reset();
    c.nodes[1] = c.make(1);
    c[1].system->spawn<depot>({.id = "depot"});
    c[1].shell().start().value();
  }
  enough = true;
  for (auto& each : askers) each.join();
  CHECK(answered + in_vain == asked);
}

TEST_CASE("actors can follow what is thought of the other nodes") {
  struct follower : actor<member_changed> {
    explicit follower(std::atomic<int>* seen) : seen_(seen) {}
    void on(const member_changed& m) {
      if (m.node == "beta" && m.to == opinion::up) seen_->fetch_or(1);
      if (m.node == "beta" && m.to == opinion::left) seen_->fetch_or(2);
    }
    std::atomic<int>* seen_;
  };
  local::cluster c{2};
  std::atomic<int> seen{0};
  c[0].cluster->follow(c[0].system->spawn<follower>({.id = "follower"}, &seen));
  CHECK(eventually([&] { return seen.load() == 1; }));
  c.nodes[1].reset();
  CHECK(eventually([&] { return seen.load() == 3; }));
}

TEST_CASE("nodes with different configurations meet, and both say where they differ") {
  int n = 0;
  local::cluster c{2, [&n](cluster_options& o) {
                     o.digest = static_cast<std::uint64_t>(++n);
                     o.canonical =
                         "cluster.name = \"test\"\nlimits.session_limit_ms = " + std::to_string(n) +
                         "000\n";
                   }};
  REQUIRE(c.all_up());
  CHECK(eventually(
      [&] { return c[0].logged("session_limit_ms") && c[1].logged("session_limit_ms"); }));
}

TEST_CASE("an actor elsewhere that is not allowed to be asked denies it") {
  local::cluster c{2, [](cluster_options& o) {
                     for (auto& e : o.nodes) e.roles = {e.name == "alpha" ? "guest" : "host"};
                     o.allow = {{{"guest"}, {"/open/**", "/open"}, {"test.*"}}};
                   }};
  REQUIRE(c.all_up());
  c[1].system->spawn<store>({.id = "open"});
  c[1].system->spawn<store>({.id = "secret"});
  const auto open = c[0].cluster->at<take>("beta:/open").value();
  const auto secret = c[0].cluster->at<take>("beta:/secret").value();
  CHECK(c[0].outside().ask(open, take{1}, 5s));
  CHECK(c[0].outside().ask(secret, take{1}, 5s).error().code() == errc::denied);
}
