// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

using namespace coppice;

namespace {

constexpr const char* shop = R"(
[cluster]
name = "shop"
profile = "loopback"
[tls]
insecure = true
[[node]]
name = "alpha"
address = "127.0.0.1:7101"
zone = "hall-1"
roles = ["intake", "admin"]
[[node]]
name = "beta"
address = "127.0.0.1:7102"
roles = ["stock"]
[[allow]]
roles = ["intake"]
paths = ["/orders/stock/**"]
events = ["shop.*"]
[[allow]]
roles = ["stock"]
paths = ["/orders/intake"]
)";

/// The same for the cluster: another order, other words, other private matters.
constexpr const char* shop_told_otherwise = R"(
[[allow]]
roles = ["stock"]
paths = ["/orders/intake"]
events = ["*"]
[[allow]]
events = ["shop.*"]
paths = ["/orders/stock/**"]
roles = ["intake"]
[[allow]]
roles = ["stock"]
paths = ["/orders/intake"]
[liveness]
heartbeat_ms = 100
suspect_after_ms = 300
unreachable_after_ms = 600
[limits]
session_limit_ms = 3_000
pending_asks = 7
[[node]]
name = "beta"
address = "127.0.0.1:7102"
roles = ["stock"]
program = "./orders"
arguments = ["--fast"]
http = "127.0.0.1:8102"
http_token = "env:SHOP_SECRET"
directory = "run"
[[node]]
name = "alpha"
address = "127.0.0.1:7101"
zone = "hall-1"
roles = ["admin", "intake"]
[tls]
insecure = true
[cluster]
name = "shop"
[log]
level = "debug"
)";

cluster_config read(std::string_view text) {
  auto parsed = tools::parse(text);
  REQUIRE_MESSAGE(parsed, tools::said(parsed));
  return *parsed;
}

}  // namespace

TEST_CASE("the canonical text and its digest are what they were in the first release") {
  CHECK(canonical(read(shop)) == R"(cluster.name = "shop"
cluster.bulk = []
tls.insecure = true
node.alpha.address = "127.0.0.1:7101"
node.alpha.zone = "hall-1"
node.alpha.roles = ["admin", "intake"]
node.beta.address = "127.0.0.1:7102"
node.beta.zone = ""
node.beta.roles = ["stock"]
limits.message_bytes = 16777216
limits.session_limit_ms = 3000
liveness.heartbeat_ms = 100
liveness.suspect_after_ms = 300
liveness.unreachable_after_ms = 600
liveness.phi_threshold = 8.0
allow roles ["intake"] paths ["/orders/stock/**"] events ["shop.*"]
allow roles ["stock"] paths ["/orders/intake"] events ["*"]
)");
  CHECK(digest(read(shop)) == 1747291645385367565u);
}

TEST_CASE("order, profile and what is a node's own affair make no difference") {
  CHECK(canonical(read(shop)) == canonical(read(shop_told_otherwise)));
  CHECK(digest(read(shop)) == digest(read(shop_told_otherwise)));
  CHECK(difference(canonical(read(shop)), canonical(read(shop_told_otherwise))).empty());
}

TEST_CASE("neither a secret's place nor a path of a file is in the canonical text") {
  const std::string text = canonical(read(shop_told_otherwise));
  CHECK(text.find("SHOP_SECRET") == std::string::npos);
  CHECK(text.find("run") == std::string::npos);
}

TEST_CASE("each thing that nodes must agree on changes the digest") {
  const cluster_config before = read(shop);
  int changed = 0;
  const auto change = [&](auto f) {
    cluster_config after = before;
    f(after);
    CHECK(digest(after) != digest(before));
    CHECK(difference(canonical(before), canonical(after)).size() >= 1);
    ++changed;
  };
  using std::chrono::milliseconds;
  change([](auto& c) { c.cluster.name = "other"; });
  change([](auto& c) { c.tls.insecure = false; });
  change([](auto& c) { c.nodes[0].name = "gamma"; });
  change([](auto& c) { c.nodes[0].address = "127.0.0.1:1"; });
  change([](auto& c) { c.nodes[0].zone = ""; });
  change([](auto& c) { c.nodes[0].roles.pop_back(); });
  change([](auto& c) { c.nodes.pop_back(); });
  change([](auto& c) { c.limits.message_bytes += 1; });
  change([](auto& c) { c.limits.session_limit += milliseconds{1}; });
  change([](auto& c) { c.liveness.heartbeat += milliseconds{1}; });
  change([](auto& c) { c.liveness.suspect_after += milliseconds{1}; });
  change([](auto& c) { c.liveness.unreachable_after += milliseconds{1}; });
  change([](auto& c) { c.liveness.phi_threshold += 0.001; });
  change([](auto& c) { c.allow.pop_back(); });
  change([](auto& c) { c.allow[0].events = {"*"}; });
  CHECK(changed == 15);
}

TEST_CASE("a difference is told in lines that say who has what") {
  cluster_config mine = read(shop), theirs = mine;
  theirs.liveness.heartbeat = std::chrono::milliseconds{500};
  theirs.nodes[1].roles = {"stock", "payment"};
  theirs.allow.pop_back();
  theirs.nodes.push_back({.name = "gamma", .address = "127.0.0.1:7103"});
  CHECK(difference(canonical(mine), canonical(theirs)) ==
        std::vector<std::string>{
            R"(allow roles ["stock"] paths ["/orders/intake"] events ["*"]: only here)",
            "liveness.heartbeat_ms: 100 here, 500 there",
            R"(node.beta.roles: ["stock"] here, ["payment", "stock"] there)",
            R"(node.gamma.address = "127.0.0.1:7103": only there)",
            R"(node.gamma.roles = []: only there)",
            R"(node.gamma.zone = "": only there)",
        });
}

TEST_CASE("a difference to a text from a stranger is short and harmless") {
  const std::string mine = canonical(read(shop));
  std::string theirs = "\x1b[2Jcluster.name = \"shop\"\n" + std::string(100'000, 'x') + "\n";
  for (int i = 0; i < 10'000; ++i) theirs += "k" + std::to_string(i) + " = \xff\n";
  const auto lines = difference(mine, theirs);
  CHECK(lines.size() == 21);
  CHECK(lines.back().starts_with("and "));
  for (const std::string& line : lines) {
    CHECK(line.size() < 300);
    for (const char c : line) CHECK((c >= 0x20 && c < 0x7f));
  }
  CHECK(difference("", "").empty());
  CHECK(difference("\n\n", "").size() == 1);
}
