// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/metrics.hpp>

#include <doctest/doctest.h>

#include <limits>

using namespace coppice::http;

TEST_CASE("metrics are written with help, type, labels and values") {
  metric letters{"coppice_dead_letters_total", "Events nobody handled."};
  letters.samples.push_back({{{"reason", "overloaded"}, {"node", "alpha"}}, 12});
  letters.samples.push_back({{{"reason", "gone"}}, 0});
  CHECK(to_prometheus({letters, metric::of("coppice_up_seconds", "Since the start.",
                                           metric_type::gauge, 1.5)}) ==
        "# HELP coppice_dead_letters_total Events nobody handled.\n"
        "# TYPE coppice_dead_letters_total counter\n"
        "coppice_dead_letters_total{reason=\"overloaded\",node=\"alpha\"} 12\n"
        "coppice_dead_letters_total{reason=\"gone\"} 0\n"
        "# HELP coppice_up_seconds Since the start.\n"
        "# TYPE coppice_up_seconds gauge\n"
        "coppice_up_seconds 1.5\n");
}

TEST_CASE("what would break the format is escaped") {
  metric odd{"9 lives", "one\\\ntwo \"three\""};
  odd.samples.push_back({{{"a-b", "c\\d\"e\nf\xff"}}, 1});
  CHECK(to_prometheus({odd}) ==
        "# HELP _9_lives one\\\\\\ntwo \"three\"\n"
        "# TYPE _9_lives counter\n"
        "_9_lives{a_b=\"c\\\\d\\\"e\\nf\xef\xbf\xbd\"} 1\n");
}

TEST_CASE("a metric without samples is left out, and numbers that are none have their names") {
  metric m{"m", "M.", metric_type::gauge};
  CHECK(to_prometheus({m}).empty());
  m.samples.push_back({{}, std::numeric_limits<double>::quiet_NaN()});
  m.samples.push_back({{}, std::numeric_limits<double>::infinity()});
  m.samples.push_back({{}, -std::numeric_limits<double>::infinity()});
  m.samples.push_back({{}, 9007199254740991.0});
  CHECK(to_prometheus({m}) ==
        "# HELP m M.\n# TYPE m gauge\nm NaN\nm +Inf\nm -Inf\nm 9007199254740991\n");
}
