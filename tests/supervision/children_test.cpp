// SPDX-License-Identifier: BSD-3-Clause
// The builder: what it gives out, what it refuses, and with which words.
#include "stage.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace stage;

namespace {

/// Why a tree built so could not be started; also that nothing was left running.
std::string failure(const children::builder& build) {
  world w;
  w.open(build);
  CHECK_FALSE(w.tree->up());
  CHECK(w.alive == 0);
  const auto up = w.tree->wait_until_up(0ms);
  CHECK_FALSE(up);
  return w.ended();
}

const std::string unbuilt = "start_failed: the children could not be built (at /shop#1), because ";

}  // namespace

TEST_CASE("the builder gives out addresses before anything runs") {
  world w;
  address a;
  std::string path;
  bool ran = true;
  w.open([&, h = w.habits("a")](children& s) {
    a = s.add<worker>("a", h);
    path = a.path();
    ran = w.alive > 0;
    w.run.send(a, crash());  // waits for the start
  });
  CHECK(path == "/shop/a");
  CHECK_FALSE(ran);
  CHECK(w.log.take() == "a1 starts, a1 runs, a1 stops, a1 ends, a2 starts, a2 runs");
}

TEST_CASE("children start in the order of the builder, those of a supervisor below in its place") {
  for (const auto seed : seeds) {
    CAPTURE(seed);
    world w{seed};
    w.open([&, a = w.habits("a"), b = w.habits("b"), c = w.habits("c")](children& s) {
      s.add<worker>("a", a);
      s.supervise("desk", [b](children& d) { d.add<worker>("b", b); });
      s.add<worker>("c", c);
    });
    CHECK(w.log.take() == "a1 starts, a1 runs, b1 starts, b1 runs, c1 starts, c1 runs");
    w.stop();
    CHECK(w.log.take() == "c1 stops, c1 ends, b1 stops, b1 ends, a1 stops, a1 ends");
  }
}

TEST_CASE("the builder of a supervisor runs once for each of its starts") {
  world w;
  int shop = 0, desk = 0;
  address a;
  w.open([&, h = w.habits("a")](children& s) {
    ++shop;
    s.supervise("desk", [&, h](children& d) {
      ++desk;
      d.intensity(1, 1s);
      a = d.add<worker>("a", h);
    });
  });
  w.tell(a, crash());
  CHECK(desk == 1);
  w.tell(a, crash());
  CHECK(desk == 2);
  CHECK(shop == 1);
}

TEST_CASE("two children with one id are refused") {
  CHECK(failure([](children& s) {
          s.add<worker>("till", std::make_shared<habit>());
          s.add<worker>("till", std::make_shared<habit>());
        }) == unbuilt +
                  "invalid, because two children have the id 'till'; ids are unique among "
                  "siblings (at /shop)");
  CHECK(failure([](children& s) {
          s.add<worker>("till", std::make_shared<habit>());
          s.supervise("till", [](children&) {});
        }) == unbuilt +
                  "invalid, because two children have the id 'till'; ids are unique among "
                  "siblings (at /shop)");
}

TEST_CASE("a child's wrong spec is refused with what to change") {
  const auto with = [](const child_spec& spec) {
    return failure([spec](children& s) { s.add<worker>(spec, std::make_shared<habit>()); });
  };
  CHECK(with({}) == unbuilt +
                        "invalid, because a child has no id: give it one, as in "
                        "{.id = \"checkout\"}");
  CHECK(with({.id = "a/b"}) ==
        unbuilt +
            "invalid, because child \"a/b\": an id may not contain '/', which separates "
            "the ids in a path");
  CHECK(with({.id = "a\nb"}) ==
        unbuilt +
            "invalid, because a child id has a control character at byte 2: use printable "
            "text");
  CHECK(with({.id = std::string(65, 'x')}) ==
        unbuilt +
            "invalid, because the child id that begins with \"xxxxxxxxxxxxxxxx\" has 65 "
            "bytes: use at most 64");
  CHECK(with({.id = "a", .capacity = 0}) ==
        unbuilt + "invalid, because child \"a\": the capacity is 0: choose 1 to 60000");
  CHECK(with({.id = "a", .capacity = 60'001}) ==
        unbuilt + "invalid, because child \"a\": the capacity is 60001: choose 1 to 60000");
  CHECK(with({.id = "a", .start_deadline = 0ms}) ==
        unbuilt +
            "invalid, because child \"a\": the start deadline is 0 ms: choose 1 ms to "
            "86400000 ms (24 h)");
  CHECK(with({.id = "a", .shutdown = -1ms}) ==
        unbuilt +
            "invalid, because child \"a\": the shutdown deadline is -1 ms: choose 0 ms to "
            "86400000 ms (24 h), coppice::infinity or coppice::brutal_kill");
}

TEST_CASE("a supervisor's wrong spec is refused with what to change") {
  CHECK(failure([](children& s) { s.intensity(3, 0ms); }) ==
        unbuilt +
            "invalid, because the period of the supervisor's intensity is 0 ms: choose "
            "1 ms to 86400000 ms (24 h)");
  CHECK(failure([](children& s) { s.spec().stuck_limit = 0ms; }) ==
        unbuilt + "invalid, because the stuck limit is 0 ms: choose 1 ms to 86400000 ms (24 h)");
  CHECK(failure([](children& s) { s.supervise("", [](children&) {}); }) ==
        unbuilt + "invalid, because a child has no id: give it one, as in {.id = \"checkout\"}");
}

TEST_CASE("a builder that throws fails the start of its supervisor, whatever it throws") {
  CHECK(failure([](children& s) {
          s.add<worker>("a", std::make_shared<habit>());
          throw std::runtime_error("no shop");
        }) == "start_failed: the builder threw: no shop (at /shop#1)");
  CHECK(failure([](children& s) {
          s.add<worker>("a", std::make_shared<habit>());
          throw 42;
        }) == "start_failed: the builder threw what is no std::exception (at /shop#1)");
  CHECK(failure([](children& s) {
          s.supervise("desk", [](children&) { throw std::runtime_error("no desk"); });
        }) ==
        "start_failed: failed to start child desk, because start_failed, because the "
        "builder threw: no desk (at /shop/desk#1)");
}

TEST_CASE("a factory that throws fails the start with its words and where it was") {
  CHECK(failure([](children& s) {
          auto h = std::make_shared<habit>();
          fail_starts(*h, 1, "no paper");
          s.add<worker>("printer", h);
        }) ==
        "start_failed: failed to start child printer, because start_failed, because "
        "std::runtime_error: no paper (at /shop/printer#1)");
}

TEST_CASE("a child on a thread of its own is refused when none is left") {
  coppice::system home{{.workers = 1, .own_threads = 1}};
  supervised_tree tree{home, "shop", [](children& s) {
                         s.add<worker>({.id = "a", .own_thread = true}, std::make_shared<habit>());
                         s.add<worker>({.id = "b", .own_thread = true}, std::make_shared<habit>());
                       }};
  const auto up = tree.wait_until_up(hang);
  REQUIRE_FALSE(up);
  CHECK(up.error().message() ==
        "failed: " + unbuilt +
            "limit, because all threads for actors of their own are in use; "
            "see system_options::own_threads");
}

TEST_CASE("a tree's own id is checked as a child's is") {
  testing::executor run;
  CHECK_THROWS_AS((supervised_tree{run.system(), "a/b", [](children&) {}}), bad_result);
}

TEST_CASE("a supervisor without children is up at once and stops at once") {
  world w;
  w.open([](children&) {});
  CHECK(w.tree->up());
  CHECK(w.tree->wait_until_up(0ms));
  w.stop();
  CHECK(w.ended() == "shutdown");
  CHECK_FALSE(w.tree->up());
}
