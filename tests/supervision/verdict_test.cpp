// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/verdict.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace coppice;
using next = verdict::next;

namespace {

std::vector<exit_reason> clean() {
  return {exit_reason::normal(), exit_reason::shutdown(), exit_reason::shutdown("enough")};
}

std::vector<exit_reason> unclean() {
  using kind = exit_reason::kind;
  return {exit_reason::killed(),       exit_reason::kill(),       exit_reason::failed("no paper"),
          exit_reason{kind::crashed},  exit_reason{kind::noproc}, exit_reason{kind::start_failed},
          exit_reason{kind::exhausted}};
}

bool is(verdict v, next then, bool reported) { return v.then == then && v.reported == reported; }

}  // namespace

TEST_CASE("a permanent child is restarted and reported whatever its reason") {
  for (const auto& reason : clean()) CHECK(is(judge(permanent, reason), next::restart, true));
  for (const auto& reason : unclean()) CHECK(is(judge(permanent, reason), next::restart, true));
}

TEST_CASE("a transient child that ended cleanly stays stopped without a report") {
  for (const auto& reason : clean()) CHECK(is(judge(transient, reason), next::keep, false));
}

TEST_CASE("a transient child that did not end cleanly is restarted and reported") {
  for (const auto& reason : unclean()) CHECK(is(judge(transient, reason), next::restart, true));
}

TEST_CASE("a transient supervisor that gave up is restarted unless it says shutdown as in OTP") {
  CHECK(judge(transient, exit_reason{exit_reason::kind::exhausted}).then == next::restart);
  CHECK(judge(transient, exit_reason::shutdown()).then == next::keep);
}

TEST_CASE("a temporary child loses its spec and is reported only when it did not end cleanly") {
  for (const auto& reason : clean()) CHECK(is(judge(temporary, reason), next::remove, false));
  for (const auto& reason : unclean()) CHECK(is(judge(temporary, reason), next::remove, true));
}

TEST_CASE("of a stopped permanent child only a plain shutdown is ordinary") {
  const shutdown soon{std::chrono::seconds{5}};
  CHECK(ordinary_stop(permanent, soon, exit_reason::shutdown()));
  CHECK_FALSE(ordinary_stop(permanent, soon, exit_reason::normal()));
  CHECK_FALSE(ordinary_stop(permanent, soon, exit_reason::shutdown("x")));
  for (const auto& reason : unclean()) CHECK_FALSE(ordinary_stop(permanent, soon, reason));
}

TEST_CASE("of a stopped transient or temporary child any clean reason is ordinary") {
  for (auto kind : {transient, temporary}) {
    for (const auto& reason : clean()) CHECK(ordinary_stop(kind, infinity, reason));
    for (const auto& reason : unclean()) CHECK_FALSE(ordinary_stop(kind, infinity, reason));
  }
}

TEST_CASE("killed is the ordinary end of a child that is killed without being asked") {
  CHECK(ordinary_stop(permanent, brutal_kill, exit_reason::killed()));
  CHECK_FALSE(ordinary_stop(permanent, brutal_kill, exit_reason::kill()));
}
