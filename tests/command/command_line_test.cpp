// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include "tools.hpp"

using tools::contains;

namespace {

constexpr const char* two_nodes = R"(
[cluster]
name = "shop"
[tls]
insecure = true
[[node]]
name = "alpha"
address = "127.0.0.1:7101"
[[node]]
name = "beta"
address = "127.0.0.1:7102"
)";

}  // namespace

TEST_CASE("--help lists the commands, and each explains itself") {
  const auto all = tools::coppice({"--help"});
  CHECK(all.code == 0);
  for (const char* command : {"up", "status", "tree", "kill", "stop", "config", "cert"})
    CHECK_MESSAGE(contains(all.out, std::string{"\n  "} + command + ' '), command);
  const auto tree = tools::coppice({"tree", "--help"});
  CHECK(tree.code == 0);
  CHECK(contains(tree.out, "Usage: coppice tree [OPTIONS] [path]"));
  CHECK(contains(tree.out, "--follow"));
  const auto issue = tools::coppice({"cert", "issue", "--help"});
  CHECK(contains(issue.out, "Usage: coppice cert issue [OPTIONS] folder node..."));
}

TEST_CASE("a wrong command line exits with 2 and says what is wrong") {
  const auto nothing = tools::coppice({});
  CHECK(nothing.code == 2);
  CHECK(nothing.err == "coppice: A subcommand is required\nTry 'coppice --help'.\n");
  const auto unknown = tools::coppice({"kil", "alpha"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err ==
        "coppice: there is no command 'kil'; there are up status tree kill stop config cert\n"
        "Try 'coppice --help'.\n");
  const auto below = tools::coppice({"config", "chek"});
  CHECK(below.err ==
        "coppice config: there is no command 'chek'; there are check explain reference\n"
        "Try 'coppice config --help'.\n");
  const auto flag = tools::coppice({"tree", "--frob"});
  CHECK(flag.code == 2);
  CHECK(flag.err ==
        "coppice tree: The following argument was not expected: --frob\nTry 'coppice tree "
        "--help'.\n");
  CHECK(tools::coppice({"kill"}).code == 2);
  CHECK(tools::coppice({"up", "--stop-deadline-ms", "0"}).code == 2);
  CHECK(tools::coppice({"up", "--profile", "fast"}).code == 2);
}

TEST_CASE("a file without mistakes is said to be so, a wrong one is told with all of them") {
  const tools::folder f;
  const std::string good = f.file("good.toml", two_nodes);
  const auto fine = tools::coppice({"config", "check", good});
  CHECK(fine.code == 0);
  CHECK(fine.out == good + ": nothing is wrong; cluster 'shop' of 2 nodes: alpha, beta\n");
  const std::string bad = f.file("bad.toml", "[cluster]\nname = 1\n[limit]\n");
  const auto wrong = tools::coppice({"config", "check", bad});
  CHECK(wrong.code == 2);
  CHECK(wrong.out.empty());
  CHECK(contains(wrong.err, bad + ":2:8: "));
  CHECK(contains(wrong.err, bad + ":3:"));
  CHECK(wrong.err.ends_with("\n"));
}

TEST_CASE("the file is cluster.toml, or what COPPICE_CONFIG names, or what is given") {
  const tools::folder f;
  const std::string good = f.file("good.toml", two_nodes);
  CHECK(contains(tools::coppice({"config", "check"}).err, "cluster.toml"));
  ::setenv("COPPICE_CONFIG", good.c_str(), 1);
  CHECK(tools::coppice({"config", "check"}).code == 0);
  CHECK(tools::coppice({"config", "check", "/nowhere.toml"}).code == 2);
  ::unsetenv("COPPICE_CONFIG");
}

TEST_CASE("a key is explained, an unknown one told the nearest") {
  const auto known = tools::coppice({"config", "explain", "limits.message_bytes"});
  CHECK(known.code == 0);
  CHECK(known.out.starts_with("limits.message_bytes\n"));
  const auto unknown = tools::coppice({"config", "explain", "limits.message_byte"});
  CHECK(unknown.code == 2);
  CHECK(contains(unknown.err, "did you mean \"limits.message_bytes\"?"));
}

TEST_CASE("the reference is a file that can be checked, or the page") {
  const tools::folder f;
  const auto file = tools::coppice({"config", "reference"});
  CHECK(file.code == 0);
  CHECK(file.out == coppice::reference_toml());
  CHECK(tools::coppice({"config", "reference", "--markdown"}).out == coppice::reference_markdown());
}

TEST_CASE("certificates are made, and not replaced unless told to") {
  const tools::folder f;
  const std::string certs = f.path + "/certs";
  const auto made = tools::coppice({"cert", "init", certs, "--cluster", "shop"});
  CHECK_MESSAGE(made.code == 0, made.err);
  CHECK(contains(made.out, certs + "/ca.key: can make any node: keep it off the nodes\n"));
  const auto issued = tools::coppice({"cert", "issue", certs, "alpha", "beta", "--days", "30"});
  CHECK_MESSAGE(issued.code == 0, issued.err);
  CHECK(std::filesystem::exists(certs + "/beta.key"));
  const auto again = tools::coppice({"cert", "issue", certs, "alpha"});
  CHECK(again.code == 1);
  CHECK(contains(again.err, "is there already"));
  CHECK(tools::coppice({"cert", "issue", certs, "alpha", "--replace"}).code == 0);
  CHECK(tools::coppice({"cert", "init", certs}).code == 2);
}
