// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <signal.h>

#include <iostream>
#include <string>
#include <vector>

#include "process.hpp"
#include "tools.hpp"

using tools::contains;

namespace {

/// A cluster whose nodes are shell scripts: `$0` is --config, `$1` the file, `$3` the node's name.
std::string cluster(const tools::folder& f, const std::string& alpha, const std::string& beta,
                    const std::string& more = {}) {
  const auto node = [](const std::string& name, const std::string& port,
                       const std::string& script) {
    return "[[node]]\nname = \"" + name + "\"\naddress = \"127.0.0.1:" + port +
           "\"\nprogram = \"sh\"\narguments = [\"-c\", '''" + script + "''']\n";
  };
  return f.file("cluster.toml", "[cluster]\nname = \"shop\"\n[tls]\ninsecure = true\n" +
                                    node("alpha", "7101", alpha) + node("beta", "7102", beta) +
                                    more);
}

const std::string orderly =
    R"(trap "echo closing; exit 0" TERM; echo "$0 $1 $2 $3"; while :; do sleep 0.05; done)";

tools::process up(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "up");
  return tools::process{[arguments] { return tools::coppice(arguments, {std::cout, std::cerr}); }};
}

}  // namespace

TEST_CASE("up starts each node with the file and its name, and Ctrl-C stops them") {
  const tools::folder f;
  const std::string file = cluster(f, orderly, orderly);
  auto p = up({file});
  REQUIRE(p.printed("alpha | --config " + file + " --node alpha\n"));
  REQUIRE(p.printed("beta  | --config " + file + " --node beta\n"));
  p.signal(SIGINT);
  CHECK(p.exit_code() == 0);
  CHECK(contains(p.output(), "beta  | has stopped\n"));
}

TEST_CASE("a killed node is started again, by the same command line") {
  const tools::folder f;
  const std::string file = cluster(f, orderly, orderly);
  auto p = up({file});
  REQUIRE(p.printed("alpha | --config"));
  REQUIRE(p.printed("beta  | --config"));
  const auto killed = tools::coppice({"kill", "--config", file, "beta"});
  CHECK_MESSAGE(killed.code == 0, killed.err);
  REQUIRE(p.printed("beta  | killed by SIGKILL; again in 0."));
  const std::size_t before = p.output().size();
  while (p.output().find("beta  | --config", before) == std::string::npos)
    REQUIRE(p.printed(p.output() + "b"));
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 0);
}

TEST_CASE("a node without HTTP is stopped by a signal, and stays down") {
  const tools::folder f;
  const std::string file = cluster(f, orderly, orderly);
  auto p = up({file});
  REQUIRE(p.printed("alpha | --config"));
  REQUIRE(p.printed("beta  | --config"));
  const auto stopped = tools::coppice({"stop", "--config", file, "beta"});
  CHECK_MESSAGE(stopped.code == 0, stopped.err);
  CHECK(stopped.out == "beta: is stopping\n");
  REQUIRE(
      p.printed("beta  | has ended as it was asked to (exit code 0); it is not started again\n"));
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 0);
}

TEST_CASE("one cluster is up once") {
  const tools::folder f;
  const std::string file = cluster(f, orderly, orderly);
  auto p = up({file});
  REQUIRE(p.printed("alpha | --config"));
  auto second = up({file});
  CHECK(second.exit_code() == 1);
  CHECK(second.output() == "shop: this cluster is up already on this machine\n");
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 0);
}

TEST_CASE("a node of another machine is left out, unless it is asked for") {
  const tools::folder f;
  const std::string file =
      cluster(f, "echo here", orderly,
              "[[node]]\nname = \"gamma\"\naddress = \"192.0.2.1:71\"\nprogram = \"true\"\n");
  auto p = up({file});
  REQUIRE(p.printed("gamma: 192.0.2.1:71 is not on this machine: left out\n"));
  REQUIRE(p.printed("alpha | here"));
  REQUIRE(p.printed("beta  | --config"));
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 0);
  CHECK(!contains(p.output(), "gamma | "));
  auto chosen = up({file, "--node", "gamma"});
  CHECK(chosen.exit_code() == 0);
  CHECK(contains(chosen.output(), "gamma | has ended as it was asked to"));
}

TEST_CASE("a wrong file, an unknown node and a node without a program start nothing") {
  const tools::folder f;
  CHECK(tools::coppice({"up", f.path + "/none.toml"}).code == 2);
  const std::string file = cluster(f, "echo here", "echo here",
                                   "[[node]]\nname = \"gamma\"\naddress = \"127.0.0.1:73\"\n");
  const auto unknown = tools::coppice({"up", file, "--node", "alpah"});
  CHECK(unknown.code == 2);
  CHECK(contains(unknown.err, "alpha"));
  const auto without = tools::coppice({"up", file});
  CHECK(without.code == 2);
  CHECK(contains(without.err, "node 'gamma' has no program"));
}
