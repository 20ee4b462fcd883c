// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/spec.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

std::string said(const result<void>& r) { return r ? std::string{} : r.error().message(); }

}  // namespace

TEST_CASE("specs need no more than an id, and durations convert to a shutdown policy") {
  CHECK(validate(child_spec{.id = "checkout", .shutdown = 0s, .capacity = 10'000}));
  CHECK(validate(child_spec{.id = "sub", .shutdown = infinity}));
  CHECK(validate(supervisor_spec{}));
}

TEST_CASE("a child's spec that cannot be meant is refused with what to change") {
  CHECK(said(validate(child_spec{})) ==
        "invalid: a child has no id: give it one, as in {.id = \"checkout\"}");
  CHECK(said(validate(child_spec{.shutdown = -1ms, .start_deadline = 0ms, .capacity = 0})) ==
        said(validate(child_spec{})));  // the first mistake is the one that is told
  CHECK(said(validate(child_spec{.id = std::string(65, 'x')})) ==
        "invalid: the child id that begins with \"xxxxxxxxxxxxxxxx\" has 65 bytes: use at most "
        "64");
  CHECK(said(validate(child_spec{.id = "a\nb"})) ==
        "invalid: a child id has a control character at byte 2: use printable text");
  CHECK(said(validate(child_spec{.id = "a/b"})) ==
        "invalid: child \"a/b\": an id may not contain '/', which separates the ids in a path");
  CHECK(said(validate(child_spec{.id = "a", .capacity = 60'001})) ==
        "invalid: child \"a\": the capacity is 60001: choose 1 to 60000");
  CHECK(said(validate(child_spec{.id = "a", .start_deadline = 0ms})) ==
        "invalid: child \"a\": the start deadline is 0 ms: choose 1 ms to 86400000 ms (24 h)");
  CHECK(said(validate(child_spec{.id = "a", .shutdown = -1ms})) ==
        "invalid: child \"a\": the shutdown deadline is -1 ms: choose 0 ms to 86400000 ms (24 h), "
        "coppice::infinity or coppice::brutal_kill");
}

TEST_CASE("a supervisor's spec that cannot be meant is refused with what to change") {
  CHECK(said(validate(supervisor_spec{.intensity = {2'000'000, 5s}})) ==
        "invalid: the supervisor's intensity allows 2000000 restarts: choose at most 1000000");
  CHECK(said(validate(supervisor_spec{.per_child = intensity{1, 0ms}})) ==
        "invalid: the period of the children's intensity is 0 ms: choose 1 ms to 86400000 ms "
        "(24 h)");
  CHECK(said(validate(supervisor_spec{.intensity = {1, 1500ms}, .window = window::otp_seconds})) ==
        "invalid: the period of the supervisor's intensity is 1500 ms: under OTP's rule choose "
        "whole seconds");
  CHECK(said(validate(supervisor_spec{.stuck_limit = 0ms})) ==
        "invalid: the stuck limit is 0 ms: choose 1 ms to 86400000 ms (24 h)");
}

TEST_CASE("what a significant child's supervisor does not allow is refused with what to change") {
  const supervisor_spec never{}, any{.auto_shutdown = auto_shutdown::any_significant};
  const child_spec plain{.id = "a"};
  const child_spec permanent_one{.id = "a", .significant = true};
  const child_spec transient_one{.id = "a", .restart = transient, .significant = true};
  const child_spec temporary_one{.id = "a", .restart = temporary, .significant = true};
  CHECK(validate(plain, never));
  CHECK(validate(plain, any));
  CHECK(validate(transient_one, any));
  CHECK(validate(temporary_one, any));
  CHECK(
      said(validate(permanent_one, any)) ==
      "invalid: child \"a\": a permanent child cannot be significant, for it never ends for good: "
      "make it transient or temporary");
  for (const child_spec& spec : {permanent_one, transient_one, temporary_one})
    CHECK(said(validate(spec, never)) ==
          "invalid: child \"a\": it is significant, but its supervisor's auto_shutdown is never: "
          "set that to any_significant or all_significant");
}

TEST_CASE("a dynamic supervisor's spec that cannot be meant is refused with what to change") {
  const auto staff = [](child_spec like, supervisor_spec rules = {}, std::uint32_t most = 10) {
    return said(validate(dynamic_spec{{.id = "staff"}, std::move(like), rules, most}));
  };
  CHECK(staff({}) == "");
  CHECK(staff({}, otp) == "");
  CHECK(said(validate(dynamic_spec{})) ==
        "invalid: a child has no id: give it one, as in {.id = \"checkout\"}");
  CHECK(staff({.capacity = 0}) ==
        "invalid: child \"of staff\": the capacity is 0: choose 1 to 60000");
  CHECK(staff({}, {.stuck_limit = 0ms}) ==
        "invalid: the stuck limit is 0 ms: choose 1 ms to 86400000 ms (24 h)");
  CHECK(staff({}, {.auto_shutdown = auto_shutdown::all_significant}) ==
        "invalid: child \"staff\": a dynamic supervisor's auto_shutdown is never: its children "
        "come and go");
  CHECK(staff({.restart = transient, .significant = true}).find("cannot be significant") !=
        std::string::npos);
  CHECK(staff({}, {}, 0) == "invalid: child \"staff\": at most 0 children: choose 1 to 10000000");
  CHECK(staff({}, {}, 10'000'001) ==
        "invalid: child \"staff\": at most 10000001 children: choose 1 to 10000000");
}

TEST_CASE("what is left to default is OTP's, where otp is asked for") {
  const child_spec child{.id = "a"};
  CHECK(child.restart == permanent);
  CHECK(child.shutdown == 5s);
  CHECK_FALSE(child.significant);
  CHECK(child.kind == child_kind::worker);
  CHECK(otp.strategy == one_for_one);
  CHECK(otp.intensity == intensity{1, 5s});
  CHECK(otp.auto_shutdown == auto_shutdown::never);
  CHECK(supervisor_spec{}.intensity == intensity{3, 5s});
}
