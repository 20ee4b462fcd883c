// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/cluster_log_private.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using coppice::detail::cluster_log;
using coppice::detail::log_weight;
using namespace std::chrono_literals;

namespace {

using lines = std::vector<std::string>;

struct noted {
  void say(cluster_log::subject& of, int times) {
    for (int i = 0; i < times; ++i) log.say(of, log_weight::info, "knock", now);
  }
  lines take() { return std::exchange(said, {}); }

  lines said;
  cluster_log log{"alpha", [this](log_weight, const std::string& text) { said.push_back(text); }};
  cluster_log::subject& strangers = log.limit("connections", 2);
  cluster_log::subject& beta = log.limit("node beta", 2);
  cluster_log::time_point now{1h};
};

}  // namespace

TEST_CASE("of many lines a few are said, and the next one counts those that were left out") {
  noted n;
  n.say(n.beta, 5);
  CHECK(n.take() == lines{"knock", "knock"});
  n.now += 1s;
  n.say(n.beta, 2);
  CHECK(n.take() == lines{"knock (3 like this left out)", "knock"});
}

TEST_CASE("many lines about one leave room for those about another") {
  noted n;
  n.say(n.beta, 5);
  n.take();
  n.say(n.strangers, 1);
  CHECK(n.take() == lines{"knock"});
}

TEST_CASE("what was left out is told within a second when nothing follows, and once") {
  noted n;
  n.log.time(n.now);
  n.say(n.beta, 5);
  n.say(n.strangers, 3);
  n.take();
  n.now += 999ms;
  n.log.time(n.now);
  CHECK(n.take().empty());
  n.now += 1ms;
  n.log.time(n.now);
  CHECK(n.take() == lines{"node alpha: 1 lines like the last ones, about connections, left out",
                          "node alpha: 3 lines like the last ones, about node beta, left out"});
  n.now += 1s;
  n.log.time(n.now);
  CHECK(n.take().empty());
  n.say(n.beta, 1);
  CHECK(n.take() == lines{"knock"});
}

TEST_CASE("a log that nobody reads is no error") {
  cluster_log log{"alpha", {}};
  log.say(log_weight::warning, "nobody listens");
  log.say(log.limit("node beta", 0), log_weight::info, "knock", {});
  log.time(cluster_log::time_point{1h});
}
