// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/liveness_options.hpp>

#include <doctest/doctest.h>

#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

using coppice::detection;
using coppice::errc;
using coppice::latest_suspicion;
using coppice::liveness_options;
using coppice::liveness_profile;
using coppice::loopback_liveness;
using coppice::validate;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

namespace {

std::string complaint(const liveness_options& o) {
  const auto checked = validate(o);
  return checked ? "none" : checked.error().message();
}

std::string text(milliseconds time) { return std::to_string(time.count()) + " ms"; }
std::string text(milliseconds from, milliseconds to) {
  return std::to_string(from.count()) + " to " + text(to);
}

}  // namespace

TEST_CASE("both profiles are valid and found by name") {
  CHECK(complaint({}) == "none");
  CHECK(complaint(loopback_liveness) == "none");
  CHECK(liveness_profile("default").value() == liveness_options{});
  CHECK(liveness_profile("loopback").value() == loopback_liveness);
  CHECK(liveness_profile("lan").error().message() ==
        "not_found: there is no liveness profile \"lan\": choose default or loopback");
}

TEST_CASE("an option outside its range is refused with a sentence that says what to choose") {
  CHECK(complaint({.heartbeat = 9ms}) == "invalid: heartbeat is 9 ms: choose 10 ms to 60000 ms");
  CHECK(complaint({.suspect_after = 599ms, .late_after = 100ms}) ==
        "invalid: suspect_after is 599 ms: choose 600 ms to 3600000 ms (at least 3 heartbeats, and "
        "2 heartbeats and late_after)");
  CHECK(complaint({.suspect_after = 799ms}) ==
        "invalid: suspect_after is 799 ms: choose 800 ms to 3600000 ms (at least 3 heartbeats, and "
        "2 heartbeats and late_after)");
  CHECK(complaint({.unreachable_after = 1'399ms}) ==
        "invalid: unreachable_after is 1399 ms: choose 1400 ms to 86400000 ms (at least "
        "suspect_after and 2 heartbeats)");
  CHECK(complaint({.indirect_limit = 4'999ms}) ==
        "invalid: indirect_limit is 4999 ms: choose 5000 ms to 86400000 ms (at least "
        "unreachable_after)");
  CHECK(complaint({.ask_again = 2'001ms}) ==
        "invalid: ask_again is 2001 ms: choose 200 ms to 2000 ms (from a heartbeat to half the "
        "time between suspect_after and unreachable_after)");
  CHECK(complaint({.unreachable_after = 1'400ms, .ask_again = 500ms}) ==
        "invalid: ask_again is 500 ms: choose 200 ms (from a heartbeat to half the time between "
        "suspect_after and unreachable_after)");
  CHECK(complaint({.late_after = 5ms}) ==
        "invalid: late_after is 5 ms: choose 10 ms to 3599600 ms");
  CHECK(complaint({.doubt_for = 100ms}) ==
        "invalid: doubt_for is 100 ms: choose 200 ms to 60000 ms (at least a heartbeat)");
  CHECK(complaint({.phi_threshold = 0.5}) == "invalid: phi_threshold is 0.500000: choose 1 to 16");
  CHECK(complaint({.phi_threshold = std::numeric_limits<double>::quiet_NaN()}) ==
        "invalid: phi_threshold is nan: choose 1 to 16");
  CHECK(complaint({.window = 9}) == "invalid: window is 9: choose 10 to 1000");
  CHECK(complaint({.indirect_probes = 17}) == "invalid: indirect_probes is 17: choose 0 to 16");
}

TEST_CASE("times at the ends of what a clock can say are refused, not computed with") {
  for (const milliseconds extreme : {milliseconds::min(), milliseconds::max(), milliseconds{-1}}) {
    CHECK(complaint({.heartbeat = extreme}) != "none");
    CHECK(complaint({.suspect_after = extreme}) != "none");
    CHECK(complaint({.unreachable_after = extreme}) != "none");
    CHECK(complaint({.indirect_limit = extreme}) != "none");
    CHECK(complaint({.ask_again = extreme}) != "none");
    CHECK(complaint({.late_after = extreme}) != "none");
    CHECK(complaint({.doubt_for = extreme}) != "none");
  }
}

TEST_CASE("for every valid heartbeat the other options have a valid value") {
  for (const milliseconds beat : {10ms, 11ms, 333ms, 60'000ms}) {
    const liveness_options least{.heartbeat = beat,
                                 .suspect_after = 3 * beat,
                                 .unreachable_after = 5 * beat,
                                 .indirect_limit = 5 * beat,
                                 .ask_again = beat,
                                 .late_after = 10ms,
                                 .doubt_for = beat};
    CHECK(complaint(least) == "none");
  }
}

TEST_CASE("the table of detection times in the document is what the options come to") {
  std::ifstream file{COPPICE_SOURCE_DIR "/docs/concepts/liveness.md"};
  std::stringstream content;
  content << file.rdbuf();
  const std::string document = content.str();

  const auto a = detection(liveness_options{});
  const auto b = detection(loopback_liveness);
  const auto row = [](std::string what, const std::string& first, const std::string& second) {
    return "| " + std::move(what) + " | " + first + " | " + second + " |\n";
  };
  const std::vector<std::string> rows{
      row("it hangs, or its machine or network is gone: suspect after",
          text(a.suspect_first, a.suspect_last), text(b.suspect_first, b.suspect_last)),
      row("the same on the most uneven link, at most", text(a.suspect_uneven),
          text(b.suspect_uneven)),
      row("unreachable after", text(a.unreachable_first, a.unreachable_last),
          text(b.unreachable_first, b.unreachable_last)),
      row("this node alone does not hear it: unreachable after", text(a.unreachable_partly),
          text(b.unreachable_partly)),
      row("added if the node that judges has starved itself", text(a.after_starving),
          text(b.after_starving)),
  };
  for (const std::string& r : rows) {
    INFO(r);
    CHECK(document.find(r) != std::string::npos);
  }
}
