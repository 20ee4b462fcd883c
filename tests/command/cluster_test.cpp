// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/bring_up.hpp>
#include <coppice/runtime/command/cluster.hpp>
#include <coppice/runtime/command/status.hpp>
#include <coppice/runtime/command/trees.hpp>

#include <doctest/doctest.h>

#include <stdlib.h>

#include <filesystem>

using namespace coppice;
using namespace coppice::command;
using namespace std::chrono_literals;

TEST_CASE("what is meant is a node, a path, or a path on a node") {
  const auto split = [](std::string_view text) {
    const target t = target_of(text);
    return t.node + '|' + t.path;
  };
  CHECK(split("") == "|");
  CHECK(split("alpha") == "alpha|");
  CHECK(split("alpha:") == "alpha|");
  CHECK(split("/shop/stock") == "|/shop/stock");
  CHECK(split("alpha:/shop/stock") == "alpha|/shop/stock");
  CHECK(split("/shop/odd:id") == "|/shop/odd:id");
}

TEST_CASE("a node's HTTP is called where it listens, or where others reach it") {
  const auto address = [](std::string http, std::string peer) {
    const auto c =
        reach({}, {.name = "alpha", .address = std::move(peer), .http = std::move(http)}, "/x");
    return c ? c->address : c.error().message();
  };
  CHECK(address("127.0.0.1:81", "10.0.0.1:71") == "127.0.0.1:81");
  CHECK(address("0.0.0.0:81", "10.0.0.1:71") == "10.0.0.1:81");
  CHECK(address("[::]:81", "[fd00::1]:71") == "[fd00::1]:81");
  CHECK(address("0.0.0.0:81", "unix:/run/alpha") == "127.0.0.1:81");
  CHECK(address("", "10.0.0.1:71").find("has no HTTP: give it a line") != std::string::npos);
}

TEST_CASE("a node's token is fetched from where the file says it is") {
  node_config node{.name = "alpha", .http = "127.0.0.1:81"};
  CHECK(!reach({}, node, "/x")->token);
  node.http_token = {secret::source::environment, "COPPICE_TEST_TOKEN"};
  CHECK(!reach({}, node, "/x"));
  ::setenv("COPPICE_TEST_TOKEN", "s3cret", 1);
  CHECK(reach({}, node, "/x")->token == "s3cret");
  ::unsetenv("COPPICE_TEST_TOKEN");
}

TEST_CASE("a refusal is told with its hint, or by its number") {
  CHECK(refusal_in({.status = 404, .body = R"({"error":"no","hint":"look"})"}) == "no; look");
  CHECK(refusal_in({.status = 404, .body = R"({"error":"no"})"}) == "no");
  for (const char* body : {"", "<html>", "{}", "[]", R"({"error":1})"})
    CHECK(refusal_in({.status = 502, .body = body}) == "answered with status 502");
}

TEST_CASE("an address is here if it is one of this machine's") {
  const auto here = [](std::string address) { return is_here({.address = std::move(address)}); };
  CHECK(here("127.0.0.1:71"));
  CHECK(here("localhost:71"));
  CHECK(here("unix:/run/alpha"));
  CHECK(here("127.0.0.9:71"));
  CHECK(!here("192.0.2.1:71"));  // reserved for documentation
  CHECK(!here("no.such.host.invalid:71"));
}

TEST_CASE("a node's process is its program, its arguments, the file and its name") {
  const up_request request{.config_path = "cluster.toml", .profile = "loopback"};
  const std::string here = std::filesystem::current_path().string();
  const auto made = processes_of({{.name = "alpha",
                                   .program = "./bin/../orders",
                                   .arguments = {"--fast"},
                                   .directory = "run/alpha"},
                                  {.name = "beta", .program = "orders"}},
                                 request);
  REQUIRE(made);
  CHECK(made->at(0).name == "alpha");
  CHECK(made->at(0).program == here + "/orders");
  CHECK(made->at(0).folder == here + "/run/alpha");
  CHECK(made->at(0).arguments == std::vector<std::string>{"--fast", "--config",
                                                          here + "/cluster.toml", "--node", "alpha",
                                                          "--profile", "loopback"});
  CHECK(made->at(1).program == "orders");
  CHECK(made->at(1).folder.empty());
  const auto none = processes_of({{.name = "gamma"}}, request);
  REQUIRE(!none);
  CHECK(
      none.error().message() ==
      "invalid: node 'gamma' has no program: give it a line program = \"./...\", or choose others "
      "with --node");
}

TEST_CASE("durations are told in two figures") {
  CHECK(duration_text(0ms) == "0.0 s");
  CHECK(duration_text(1'549ms) == "1.5 s");
  CHECK(duration_text(60s) == "1 min 0 s");
  CHECK(duration_text(3'599s) == "59 min 59 s");
  CHECK(duration_text(3'600s) == "1 h 0 min");
  CHECK(duration_text(49h) == "2 d 1 h");
}

TEST_CASE("a table has a line for each node, and below it what is wrong") {
  node_row alpha{.name = "alpha",
                 .ready = true,
                 .incarnation = "0123456789abcdef",
                 .up = 90s,
                 .actors = 12,
                 .restarts = 3,
                 .dead_letters = 4,
                 .opinions = {{"beta", "up"}, {"gamma", "unreachable"}}};
  node_row beta{.name = "beta",
                .ready = false,
                .reasons = {"/shop/stock stalls", "no quorum"},
                .incarnation = "ff",
                .up = 1s};
  node_row gamma{.name = "gamma", .trouble = "127.0.0.1:83: nobody listens there"};
  CHECK(status_table({alpha, beta, gamma}) ==
        "NODE   STATE      INCARNATION  UP          ACTORS  RESTARTS  DEAD LETTERS  SEES\n"
        "alpha  ready      01234567     1 min 30 s  12      3         4             beta up, gamma "
        "unreachable\n"
        "beta   not ready  ff           1.0 s       0       0         0             -\n"
        "  /shop/stock stalls\n"
        "  no quorum\n"
        "gamma  no answer\n"
        "  127.0.0.1:83: nobody listens there\n");
}

TEST_CASE("what a node answers is read with suspicion") {
  const std::string good =
      R"({"ready":true,"reasons":["x"],"node":"alpha","cluster":"shop","incarnation":"0f","up_ms":5,)"
      R"("actors":1,"restarts":2,"dead_letters":3,"members":[{"name":"beta","opinion":"up"}]})";
  const auto row = read_members(good);
  REQUIRE(row);
  CHECK(row->name == "alpha");
  CHECK(row->up == 5ms);
  CHECK(row->dead_letters == 3);
  CHECK(row->opinions == decltype(row->opinions){{"beta", "up"}});
  CHECK(row->reasons == std::vector<std::string>{"x"});
  for (std::size_t n = 0; n < good.size(); ++n) CHECK(!read_members(good.substr(0, n)));
  for (const char* wrong : {"[]", "{}", "1", R"({"node":1})"}) {
    const auto read = read_members(wrong);
    REQUIRE(!read);
    CHECK(read.error().message().starts_with("failed: its answer is none of a node's: "));
  }
}

TEST_CASE("a change of a tree is told in a line") {
  CHECK(change_text(
            R"({"version":7,"parent":"/shop","child":{"path":"/shop/stock","state":"running",)"
            R"("incarnation":3,"restarts":2,"last_reason":"crashed:\nno paper"}})") ==
        "/shop/stock running #3, 2 restarts, last: crashed: no paper");
  CHECK(change_text(R"({"child":{"path":"/a","state":"restarting","incarnation":1,"restarts":1,)"
                    R"("next_attempt_ms":250}})") ==
        "/a restarting #1, 1 restart, next attempt in 250 ms");
  CHECK(change_text(R"({"child":{"path":"/a","state":"removed","incarnation":1,"restarts":0}})") ==
        "/a removed #1");
  CHECK(change_text(R"({"lost":12})") == "12 changes were missed; the tree as it is now follows");
  for (const char* other : {"", "x", "{}", "[]", R"({"child":1})"})
    CHECK(change_text(other).empty());
}
