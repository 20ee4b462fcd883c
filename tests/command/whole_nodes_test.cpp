// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/http.hpp>
#include <coppice/runtime/node/node.hpp>
#include <coppice/runtime/wire/certificates.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::contains;

namespace {

struct rest {};
class sleeper : public actor<rest> {
 public:
  void on(const rest&) {}
};

/// Where nobody listens, and others may.
std::string free_address() {
  http::server s{{}, [](const http::request&) { return http::response{}; }};
  REQUIRE(s.start());
  return s.address();
}

/// Nothing but what a cluster file makes of two nodes, `alpha` an admin, with all that they serve
/// behind TLS.
struct whole_nodes : tools::folder {
  whole_nodes() {
    REQUIRE(wire::create_authority(path + "/certs", "shop"));
    for (const char* name : {"alpha", "beta"})
      REQUIRE(wire::issue_certificate(path + "/certs", name));
    cluster = file("cluster.toml", R"(
[cluster]
name = "shop"
[tls]
ca = "certs/ca.crt"
certificate = "certs/{node}.crt"
key = "certs/{node}.key"
[[node]]
name = "alpha"
address = "unix:)" + path + R"(/alpha"
roles = ["admin"]
http_tls = true
http = ")" + free_address() + R"("
[[node]]
name = "beta"
address = "unix:)" + path + R"(/beta"
http_tls = true
http = ")" + free_address() + "\"\n");
    const auto config = std::make_shared<const cluster_config>(read_config(cluster).value());
    for (const char* name : {"alpha", "beta"}) {
      node_options o;
      o.name = "shop";
      o.config = config;
      o.node = name;
      o.workers = 2;
      o.log.level = log_level::off;
      nodes.push_back(std::make_unique<node>(o, [](children& c) { c.add<sleeper>("sleeper"); }));
      REQUIRE(nodes.back()->start());
    }
  }

  std::vector<std::unique_ptr<node>> nodes;
};

}  // namespace

TEST_CASE_FIXTURE(whole_nodes,
                  "a cluster behind TLS is looked at by its nodes and changed by an admin") {
  tools::said status;
  const auto until = std::chrono::steady_clock::now() + 20s;
  do status = tools::coppice({"status", cluster});
  while (!contains(status.out, "beta up") && std::chrono::steady_clock::now() < until);
  CHECK_MESSAGE(status.code == 0, status.err);
  CHECK(contains(status.out, "alpha up"));
  const auto tree = tools::coppice(as("beta", {"tree", "beta:/shop"}));
  CHECK_MESSAGE(tree.code == 0, tree.err);
  CHECK(contains(tree.out, "sleeper"));

  CHECK(tools::coppice(as("beta", {"kill", "alpha:/shop/sleeper"})).code == 1);
  CHECK(nodes[0]->metrics().restarts == 0);
  const auto killed = tools::coppice(as("alpha", {"kill", "beta:/shop/sleeper"}));
  CHECK_MESSAGE(killed.code == 0, killed.err);
  while (nodes[1]->metrics().restarts == 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  CHECK(nodes[1]->metrics().restarts == 1);

  // Who may is passed on to the node, whose program here is this test.
  CHECK(contains(tools::coppice(as("beta", {"stop", "alpha"})).err, "is that of no admin"));
  CHECK(tools::coppice(as("alpha", {"stop", "beta"})).err ==
        "beta: this node's program does not let itself be stopped from outside\n");
}
