// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

using namespace coppice;

// What is refused, and with which words, stands in golden/; here is what must not be refused.

namespace {

std::string nodes(std::string_view more) {
  return "[cluster]\nname = \"shop\"\n[tls]\ninsecure = true\n" + std::string{more};
}

}  // namespace

TEST_CASE("nodes on different machines may use the same ports and files") {
  CHECK(tools::said(tools::parse(nodes(R"(
[[node]]
name = "alpha"
address = "10.0.0.1:7101"
http = "127.0.0.1:8101"
[[node]]
name = "beta"
address = "10.0.0.2:7101"
http = "127.0.0.1:8101"
[[node]]
name = "gamma"
address = "10.0.0.3:7101"
http = "0.0.0.0:8101"
http_token = "env:TOKEN"
[log]
file = "/var/log/shop.log"
)"))) == "");
}

TEST_CASE(
    "nodes on one machine may share a log file's pattern, and a port on different addresses") {
  CHECK(tools::said(tools::parse(nodes(R"(
[[node]]
name = "alpha"
address = "127.0.0.1:7101"
[[node]]
name = "beta"
address = "127.0.0.2:7101"
[[node]]
name = "gamma"
address = "unix:/run/gamma"
[log]
file = "{node}.log"
)"))) == "");
}

TEST_CASE("a wildcard listens where every address of its machine does") {
  const auto with = [](const char* first, const char* second) {
    return tools::said(tools::parse(nodes(
        std::string{"[[node]]\nname = \"alpha\"\naddress = \"127.0.0.1:7101\"\n"} +
        "http_token = \"env:T\"\nhttp = \"" + first + "\"\n[[node]]\nname = \"beta\"\n" +
        "address = \"127.0.0.1:7102\"\nhttp_token = \"env:T\"\nhttp = \"" + second + "\"\n")));
  };
  CHECK(with("127.0.0.1:8101", "127.0.0.2:8101") == "");
  CHECK(with("127.0.0.1:8101", "0.0.0.0:8102") == "");
  CHECK(with("127.0.0.1:8101", "0.0.0.0:8101").find("listens already") != std::string::npos);
  CHECK(with("[::]:8101", "127.0.0.1:8101").find("listens already") != std::string::npos);
  CHECK(with("0.0.0.0:7101", "127.0.0.1:8101").find("listens already") != std::string::npos);
}

TEST_CASE("an HTTP port that other machines reach needs a token or certificates") {
  const auto with = [](const std::string& node, const std::string& more) {
    return tools::said(
        tools::parse("[cluster]\nname = \"shop\"\n[tls]\nca = \"a\"\ncertificate = \"b\"\nkey = "
                     "\"c\"\n[[node]]\n"
                     "name = \"alpha\"\naddress = \"10.0.0.1:7101\"\n" +
                     node + more));
  };
  const std::string open = "http = \"10.0.0.1:8101\"\n";
  CHECK(with(open, "").find("open to other machines") != std::string::npos);
  CHECK(with(open, "http_token = \"file:token\"\n") == "");
  CHECK(with(open, "http_tls = true\n") == "");
  CHECK(with("http = \"localhost:8101\"\n", "") == "");
  // Of a token that is wrong itself only that is told.
  CHECK(with(open, "http_token = \"T\"\n").find("open to other machines") == std::string::npos);
  CHECK(with(open, "http_tls = 1\n").find("open to other machines") == std::string::npos);
}

TEST_CASE("the role admin is there without being given to a node") {
  CHECK(tools::said(tools::parse(
            tools::small_file("[[allow]]\nroles = [\"admin\"]\npaths = [\"/**\"]\n"))) == "");
}

TEST_CASE("times may be as short as their rules allow, and not a millisecond shorter") {
  const auto said = [](const std::string& more) {
    return tools::said(tools::parse(tools::small_file(more)));
  };
  CHECK(said("[limits]\nreconnect_first_ms = 500\nreconnect_most_ms = 500\n") == "");
  CHECK(said("[limits]\nreconnect_first_ms = 501\nreconnect_most_ms = 500\n") != "");
  CHECK(said("[liveness]\nsuspect_after_ms = 600\n") == "");
  CHECK(said("[liveness]\nsuspect_after_ms = 599\n") != "");
  CHECK(said("[liveness]\nunreachable_after_ms = 1400\n") == "");
  CHECK(said("[liveness]\nunreachable_after_ms = 1399\n") != "");
  CHECK(said("[liveness]\nindirect_most_ms = 5000\n") == "");
  CHECK(said("[liveness]\nindirect_most_ms = 4999\n") != "");
}

TEST_CASE("a value that is wrong by itself is not compared with others") {
  const std::string said = tools::said(
      tools::parse(tools::small_file("[liveness]\nheartbeat_ms = \"2000\"\nsuspect_after_ms = "
                                     "100\nunreachable_after_ms = 200\n")));
  CHECK(said.find('\n') == std::string::npos);
  CHECK(said.find("heartbeat_ms is \"2000\"") != std::string::npos);
}

TEST_CASE("mistakes of keys and mistakes between keys are told together, in the file's order") {
  const std::string said = tools::said(tools::parse(tools::small_file(R"([[node]]
name = "alpha"
address = "127.0.0.1:7102"
zoen = "x"
[log]
level = "loud"
)")));
  CHECK(said ==
        "test.toml:9:8: node.name is \"alpha\", as that of the node on line 5; expected a name of "
        "its own\n"
        "test.toml:11:1: node has no key \"zoen\"; did you mean \"zone\"?\n"
        "test.toml:13:9: log.level is \"loud\"; expected \"trace\", \"debug\", \"info\", "
        "\"warning\", \"error\" or \"off\"");
}
