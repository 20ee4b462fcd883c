// SPDX-License-Identifier: BSD-3-Clause
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::seeds;

namespace {

struct reached {
  std::string what;
};
struct peeked {};
struct peek {
  using reply = peeked;
};
struct go {
  std::vector<ref<go, peek>> way;  ///< who asks whom, the last one answers
  bool look = false;               ///< the last step is a peek
  using reply = reached;
};
struct go_on {  // starts a journey by a continuation, so that the first one does not wait
  std::vector<ref<go, peek>> way;
};

template <class Peek>
class traveller_of : public actor<go, Peek, go_on> {
 public:
  task<reached> on(const go& g) {
    if (g.way.empty()) co_return reached{"the end"};
    go rest{{g.way.begin() + 1, g.way.end()}, g.look};
    if (g.look && rest.way.empty()) {
      auto looked = this->ask(g.way.front(), peek{}, 1s);
      auto seen = co_await looked;
      reached r{seen ? "peeked" : seen.error().message()};
      co_return r;
    }
    auto asked = this->ask(g.way.front(), std::move(rest), 1s);
    auto answer = co_await asked;
    reached r{answer ? answer->what : answer.error().message()};
    co_return r;
  }
  peeked on(const peek&) { return {}; }
  void on(const go_on& g) {
    this->ask(g.way.front(), go{{g.way.begin() + 1, g.way.end()}}, 1s)
        .then([this](result<reached> r) { last = r ? r->what : r.error().message(); });
  }

  std::string last;
};
using traveller = traveller_of<peek>;
using open_traveller = traveller_of<interleaved<peek>>;

template <class T>
std::string journey(std::uint64_t seed, const std::vector<int>& stops, bool look = false) {
  testing::executor run{seed};
  std::vector<ref<go, peek>> actors;
  for (const char* id : {"a", "b", "c", "d"}) actors.push_back(run.system().spawn<T>({.id = id}));
  std::vector<ref<go, peek>> way;
  for (const int stop : stops) way.push_back(actors[static_cast<std::size_t>(stop)]);
  const auto answer = run.ask(way.front(), go{{way.begin() + 1, way.end()}, look});
  CHECK(run.now() < 100ms);  // a cycle is told at once, by no deadline
  return answer ? answer->what : answer.error().message();
}

bool names(const std::string& message, const std::string& chain) {
  return message.find("cycle: ") == 0 && message.find(chain) != std::string::npos;
}

}  // namespace

TEST_CASE("a chain of asks that meets nobody twice is answered") {
  for (const auto seed : seeds) CHECK(journey<traveller>(seed, {0, 1, 2, 3}) == "the end");
}

TEST_CASE("an actor that asks itself and waits is told of the cycle") {
  for (const auto seed : seeds) {
    const std::string told = journey<traveller>(seed, {0, 0});
    CAPTURE(told);
    CHECK(names(told, "/a -> /a"));
  }
}

TEST_CASE("two actors that ask each other are told of the cycle, with its chain") {
  for (const auto seed : seeds) {
    const std::string told = journey<traveller>(seed, {0, 1, 0});
    CAPTURE(told);
    CHECK(names(told, "/a -> /b -> /a"));
  }
}

TEST_CASE("a cycle over three actors is told with its whole chain") {
  for (const auto seed : seeds) {
    const std::string told = journey<traveller>(seed, {0, 1, 2, 0});
    CAPTURE(told);
    CHECK(names(told, "/a -> /b -> /c -> /a"));
  }
}

TEST_CASE("a cycle that does not include the first actor names those in it") {
  for (const auto seed : seeds) {
    const std::string told = journey<traveller>(seed, {0, 1, 2, 3, 1});
    CAPTURE(told);
    CHECK(names(told, "/b -> /c -> /d -> /b"));
    CHECK(told.find("/a ->") == std::string::npos);
  }
}

TEST_CASE("asking back with an interleaved event is no cycle") {
  for (const auto seed : seeds) {
    CHECK(journey<open_traveller>(seed, {0, 1, 0}, true) == "peeked");
    CHECK(journey<open_traveller>(seed, {0, 1, 2, 0}, true) == "peeked");
    CHECK(names(journey<traveller>(seed, {0, 1, 0}, true), "/a -> /b -> /a"));
  }
}

TEST_CASE("an actor that goes on by a continuation does not wait, so that it may be asked back") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    testing::executor run{seed};
    const auto a = run.system().spawn<traveller>({.id = "a"});
    const auto b = run.system().spawn<traveller>({.id = "b"});
    run.send(a, go_on{{b, a}});
    run.run_until_idle();
    run.advance(1ms);
    const auto* object = static_cast<traveller*>(detail_ref::get(a)->object());
    CHECK(object->last == "the end");
  }
}
