// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/exit_reason.hpp>
#include <coppice/actors/result.hpp>

#include <memory>
#include <string>

#include <doctest/doctest.h>

using namespace coppice;

TEST_CASE("a result holds a value or an error") {
  result<int> good{7};
  CHECK(good);
  CHECK(*good == 7);
  CHECK(good.value_or(1) == 7);

  const result<int> bad{fail("no such article")};
  CHECK_FALSE(bad);
  CHECK(bad.value_or(1) == 1);
  CHECK(bad.error().code() == errc::failed);
  CHECK(bad.error().message() == "failed: no such article");
}

TEST_CASE("a result may hold what cannot be copied") {
  result<std::unique_ptr<int>> owned{std::make_unique<int>(7)};
  const std::unique_ptr<int> taken = std::move(owned).value();
  CHECK(*taken == 7);
  CHECK_FALSE(*owned);
}

TEST_CASE("the value of an error is a throw that carries the error") {
  const auto thrown_by = [](auto&& act) {
    try {
      act();
    } catch (const bad_result& e) {
      return std::string{e.what()} + " " + std::string{name(e.error().code())};
    }
    return std::string{"nothing"};
  };
  const result<int> bad{error{errc::timeout, "no answer", "/shop/stock"}};
  CHECK(thrown_by([&] { (void)bad.value(); }) == "timeout: no answer (at /shop/stock) timeout");
  CHECK(thrown_by([&] { (void)*bad; }) == "timeout: no answer (at /shop/stock) timeout");
  const result<void> nothing{error{errc::gone}};
  CHECK(thrown_by([&] { nothing.value(); }) == "gone gone");
}

TEST_CASE("a result of nothing is a success by default") {
  const result<void> done;
  CHECK(done);
  done.value();
  CHECK_FALSE(result<void>{fail("no")});
}

TEST_CASE("the codes up to moved say that the event was not executed") {
  for (const errc code :
       {errc::overloaded, errc::restarting, errc::stopped, errc::gone, errc::expired, errc::cycle,
        errc::unknown_event, errc::denied, errc::parked, errc::moved}) {
    CAPTURE(name(code));
    CHECK(error{code}.not_executed());
  }
  for (const errc code :
       {errc::crashed, errc::timeout, errc::disconnected, errc::unanswered, errc::failed}) {
    CAPTURE(name(code));
    CHECK_FALSE(error{code}.not_executed());
  }
}

TEST_CASE("each code has a name of its own") {
  std::string seen = " ";
  for (auto i = static_cast<int>(errc::overloaded); i <= static_cast<int>(errc::limit); ++i) {
    const std::string text = ' ' + std::string{name(static_cast<errc>(i))} + ' ';
    CHECK(text.size() > 3);
    CHECK(seen.find(text) == std::string::npos);
    seen += text;
  }
}

TEST_CASE("a chain of causes reads from the near end to the root") {
  const cause_ptr root = make_cause("the disk is full", "/shop/ledger", 7);
  const cause_ptr near = make_cause("no receipt", "/shop/till", 2, root);
  CHECK(to_string(near) ==
        "no receipt (at /shop/till#2), because the disk is full (at /shop/ledger#7)");
  CHECK(error{errc::failed, near}.message() == "failed: " + to_string(near));
  CHECK(to_string(nullptr).empty());
}

TEST_CASE("a chain of causes is bounded, and keeps its root") {
  cause_ptr chain;
  for (int i = 0; i < 100; ++i) chain = make_cause(std::to_string(i), {}, 0, chain);
  int depth = 0;
  const cause* last = nullptr;
  for (const cause* c = chain.get(); c; c = c->because.get()) {
    ++depth;
    last = c;
  }
  CHECK(depth == max_cause_depth);
  CHECK(last->what == "0");
}

TEST_CASE("normal and shutdown are clean exits, all others are not") {
  CHECK(exit_reason{}.clean());
  CHECK(exit_reason::normal().clean());
  CHECK(exit_reason::shutdown().clean());
  CHECK(exit_reason::shutdown("for the night").clean());
  CHECK_FALSE(exit_reason::kill().clean());
  CHECK_FALSE(exit_reason::killed().clean());
  CHECK_FALSE(exit_reason::failed("out of paper").clean());
  CHECK_FALSE(exit_reason{exit_reason::kind::exhausted}.clean());
}

TEST_CASE("an exit reason reads as its kind and its causes") {
  CHECK(exit_reason::normal().text() == "normal");
  CHECK(exit_reason::failed("out of paper").text() == "failed: out of paper");
  CHECK(exit_reason{exit_reason::kind::crashed, make_cause("no ink", "/shop/printer", 3)}.text() ==
        "crashed: no ink (at /shop/printer#3)");
}
