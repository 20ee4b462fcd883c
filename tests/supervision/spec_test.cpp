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
