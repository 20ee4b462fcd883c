// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/api.hpp>
#include <coppice/runtime/http/client.hpp>
#include <coppice/runtime/http/followers_private.hpp>
#include <coppice/supervision/feed_private.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::peer;

namespace {

tree_node row(std::string path, std::uint64_t version, std::vector<tree_node> children = {}) {
  tree_node n;
  n.path = std::move(path);
  n.kind = "worker";
  n.state = "running";
  n.version = version;
  n.children = std::move(children);
  return n;
}

tree_change change(std::uint64_t version, std::string parent, std::string id) {
  tree_change c;
  c.version = version;
  c.parent = std::move(parent);
  c.child.id = std::move(id);
  c.child.type = "worker";
  c.child.state = child_state::running;
  c.child.version = version;
  return c;
}

/// A node whose every answer a test can set.
class fake_node final : public http::node_view {
 public:
  http::health_report health() override { return how; }
  http::node_status status() override { return {"alpha", "shop", "00ff", 90s, 12, 3, 4}; }
  std::vector<http::member> members() override {
    return {
        {"beta", "127.0.0.1:2", "east", {"stock"}, "suspect", "silent for \xff", "0a", 1'200ms}};
  }
  std::vector<http::metric> metrics() override {
    return {http::metric::of("coppice_actors", "Actors.", http::metric_type::gauge, 12)};
  }
  result<tree_node> tree(const std::string& path) override {
    std::lock_guard lock{guard};
    if (path.empty() || path == "/shop") return top;
    if (path == "/shop/slow") return error{errc::timeout, "no answer in time"};
    return error{errc::not_found, "there is no '" + path + "'"};
  }
  tree_feed follow() override {
    std::lock_guard lock{guard};
    feed = std::make_shared<detail::feed_queue>(capacity);
    ++feeds;
    return tree_feed{feed};
  }
  result<void> kill(const std::string& path) override {
    if (path == "/shop/none") return error{errc::not_found, "there is no '/shop/none'"};
    killed.push_back(path);
    return {};
  }
  void kill_node() override { node_killed = true; }
  result<void> stop() override {
    if (stops++) return error{errc::stopped, "it is stopping already"};
    return {};
  }

  void changes(const tree_change& c) {
    std::lock_guard lock{guard};
    feed->put(c);
  }

  http::health_report how;
  std::mutex guard;
  tree_node top = row("/shop", 1, {row("/shop/stock", 5)});
  std::shared_ptr<detail::feed_queue> feed;
  std::size_t capacity = 1'000;
  std::atomic<int> feeds{0};
  std::vector<std::string> killed;
  std::atomic<bool> node_killed{false};
  int stops = 0;
};

struct fixture {
  fake_node node;
  std::vector<std::string> told;
  http::api api{node,
                [this](const http::audit_record& a) {
                  told.push_back(a.peer + (a.allowed ? " may " : " may not ") + a.action + ' ' +
                                 a.target + ": " + a.outcome);
                },
                {.followers = 2, .follow_pause = 10ms}};

  http::response ask(const std::string& method, const std::string& path, std::string body = {},
                     std::map<std::string, std::string> query = {}, bool authorised = true) {
    http::request r;
    r.method = method;
    r.path = path;
    r.query = std::move(query);
    r.body = std::move(body);
    r.peer = "127.0.0.1:9";
    r.authorised = authorised;
    return api(r);
  }
  std::string get(const std::string& path, std::map<std::string, std::string> query = {}) {
    const auto answer = ask("GET", path, {}, std::move(query));
    return std::to_string(answer.status) + ' ' + answer.body;
  }
  std::string post(const std::string& path, const std::string& body) {
    const auto answer = ask("POST", path, body);
    return std::to_string(answer.status) + ' ' + answer.body;
  }
};

/// The same behind a real server, with somebody who follows.
struct follower {
  explicit follower(http::api& api, const std::string& path = "/api/tree/follow",
                    const std::string& accept = "*/*", http::limits limits = {})
      : server({.limits = limits}, [&api](const auto& r) { return api(r); }) {
    REQUIRE(server.start());
    client.emplace(server.address());
    client->send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: " + accept + "\r\n\r\n");
  }
  http::server server;
  std::optional<peer> client;
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "a node's health says whether it lives and is ready, and why not") {
  CHECK(get("/health/live") == "200 {\"live\":true}\n");
  CHECK(get("/health/ready") == "200 {\"ready\":true,\"reasons\":[]}\n");
  node.how = {true, false, {"/shop/stock stalls", "\xff"}};
  CHECK(get("/health/live") == "200 {\"live\":true}\n");
  CHECK(get("/health/ready") ==
        "503 {\"ready\":false,\"reasons\":[\"/shop/stock stalls\",\"\xef\xbf\xbd\"]}\n");
  node.how.live = false;
  CHECK(get("/health/live") == "503 {\"live\":false}\n");
}

TEST_CASE_FIXTURE(fixture, "metrics are told in Prometheus' format") {
  const auto answer = ask("GET", "/metrics");
  CHECK(answer.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(answer.body ==
        "# HELP coppice_actors Actors.\n# TYPE coppice_actors gauge\ncoppice_actors 12\n");
}

TEST_CASE_FIXTURE(fixture, "the tree is told as JSON or as text, whole or from a path on") {
  CHECK(get("/api/tree") == "200 " + to_json(node.top) + '\n');
  CHECK(get("/api/tree", {{"path", "/shop"}}) == "200 " + to_json(node.top) + '\n');
  CHECK(get("/api/tree", {{"format", "text"}}) == "200 " + to_text(node.top));
  CHECK(get("/api/tree", {{"path", "/none"}}) == "404 {\"error\":\"there is no '/none'\"}\n");
  CHECK(get("/api/tree", {{"path", "/shop/slow"}}) == "504 {\"error\":\"no answer in time\"}\n");
  CHECK(get("/api/tree", {{"format", "xml"}}) ==
        "400 {\"error\":\"there is no format 'xml'\",\"hint\":\"json or text\"}\n");
}

TEST_CASE_FIXTURE(fixture, "members are this node with its figures, and its opinions of others") {
  CHECK(get("/api/members") ==
        "200 {\"ready\":true,\"reasons\":[],\"node\":\"alpha\",\"cluster\":\"shop\","
        "\"incarnation\":\"00ff\",\"up_ms\":90000,\"actors\":12,\"restarts\":3,\"dead_letters\":4,"
        "\"members\":[{\"name\":\"beta\",\"address\":\"127.0.0.1:2\",\"zone\":\"east\","
        "\"roles\":[\"stock\"],\"opinion\":\"suspect\",\"why\":\"silent for \xef\xbf\xbd\","
        "\"incarnation\":\"0a\",\"since_ms\":1200}]}\n");
}

TEST_CASE_FIXTURE(fixture, "an actor is killed by its path, and it is told who did it") {
  CHECK(post("/api/kill", R"({"path":"/shop/stock"})") == "200 {\"killed\":\"/shop/stock\"}\n");
  CHECK(node.killed == std::vector<std::string>{"/shop/stock"});
  CHECK(post("/api/kill", R"({"path":"/shop/none"})") ==
        "404 {\"error\":\"there is no '/shop/none'\"}\n");
  CHECK(told == std::vector<std::string>{
                    "127.0.0.1:9 may kill /shop/stock: done",
                    "127.0.0.1:9 may kill /shop/none: not_found: there is no '/shop/none'"});
}

TEST_CASE_FIXTURE(fixture, "a node is killed by its own name only, and after it has answered") {
  const auto answer = ask("POST", "/api/kill", R"({"node":"alpha"})");
  CHECK(answer.status == 200);
  CHECK(answer.body == "{\"killed\":\"alpha\"}\n");
  CHECK(!node.node_killed);
  answer.afterwards();
  CHECK(node.node_killed);
  CHECK(post("/api/kill", R"({"node":"beta"})") ==
        "409 {\"error\":\"this is the node 'alpha', not 'beta'\"}\n");
  CHECK(told == std::vector<std::string>{
                    "127.0.0.1:9 may kill alpha: done",
                    "127.0.0.1:9 may kill beta: this is the node 'alpha', not 'beta'"});
}

TEST_CASE_FIXTURE(fixture, "a kill that names nothing, or too much, kills nothing") {
  for (const char* body :
       {"", "{}", "[]", "nonsense", "{\"path\":1}", "{\"path\":\"\"}", "{\"path\":null}",
        R"({"path":"/shop/stock","node":"alpha"})", R"({"path":"/shop/stock","hard":"yes"})",
        R"({"path":"/shop/stock"} )"
        "x",
        "{\"path\":\"\xff\"}", "[[[[[[[[[[]]]]]]]]]]"}) {
    CAPTURE(body);
    const auto answer = ask("POST", "/api/kill", body);
    CHECK(answer.status == 400);
    CHECK(answer.body.starts_with("{\"error\":\""));
  }
  CHECK(node.killed.empty());
  CHECK(told.size() == 12);
}

TEST_CASE_FIXTURE(fixture, "a node is stopped, once, by its own name or without one") {
  CHECK(post("/api/stop", R"({"node":"beta"})") ==
        "409 {\"error\":\"this is the node 'alpha', not 'beta'\",\"hint\":\"{} or "
        "{\\\"node\\\":\\\"alpha\\\"}\"}\n");
  CHECK(post("/api/stop", "what").starts_with("400 "));
  CHECK(node.stops == 0);
  CHECK(post("/api/stop", "{}") == "202 {\"stopping\":\"alpha\"}\n");
  CHECK(post("/api/stop", "") == "409 {\"error\":\"it is stopping already\"}\n");
  CHECK(told.size() == 4);
  CHECK(told[2] == "127.0.0.1:9 may stop alpha: done");
  CHECK(told[3] == "127.0.0.1:9 may stop alpha: stopped: it is stopping already");
}

TEST_CASE_FIXTURE(fixture, "who is not authorised is told the health and nothing else") {
  for (const char* path : {"/health/live", "/health/ready"})
    CHECK(ask("GET", path, {}, {}, false).status == 200);
  for (const char* path : {"/metrics", "/api/tree", "/api/tree/follow", "/api/members"})
    CHECK(ask("GET", path, {}, {}, false).status == 401);
  const auto kill = ask("POST", "/api/kill", R"({"path":"/shop/stock"})", {}, false);
  CHECK(kill.status == 401);
  CHECK(kill.headers == decltype(kill.headers){{"WWW-Authenticate", "Bearer"}});
  CHECK(ask("POST", "/api/stop", "{}", {}, false).status == 401);
  CHECK(node.killed.empty());
  CHECK(node.stops == 0);
  CHECK(told == std::vector<std::string>{"127.0.0.1:9 may not kill : no right token",
                                         "127.0.0.1:9 may not stop : no right token"});
}

TEST_CASE_FIXTURE(fixture, "with certificates the audit says whose, and who is no admin is told") {
  http::request r;
  r.method = "POST";
  r.path = "/api/kill";
  r.body = R"({"path":"/shop/stock"})";
  r.peer = "127.0.0.1:9";
  r.certificate = "clerk";
  const auto no = api(r);
  CHECK(no.status == 403);
  CHECK(no.body ==
        "{\"error\":\"the certificate of 'clerk' is that of no admin\",\"hint\":\"show that of a "
        "node "
        "with the role admin, or this node's HTTP token besides\"}\n");
  CHECK(node.killed.empty());
  r.certificate = "boss";
  r.authorised = true;
  CHECK(api(r).status == 200);
  CHECK(told == std::vector<std::string>{
                    "127.0.0.1:9 with the certificate of clerk may not kill : no admin's "
                    "certificate and no right token",
                    "127.0.0.1:9 with the certificate of boss may kill /shop/stock: done"});
}

TEST_CASE_FIXTURE(fixture, "an unknown path and a wrong method are told what there is") {
  CHECK(get("/").starts_with("404 {\"error\":\"there is no /\",\"hint\":\"there are /health"));
  CHECK(get("/api/tree/").starts_with("404 "));
  const auto answer = ask("GET", "/api/kill");
  CHECK(answer.status == 405);
  CHECK(answer.headers == decltype(answer.headers){{"Allow", "POST"}});
  CHECK(ask("POST", "/metrics").status == 405);
}

// ---- following ----------------------------------------------------------------------------------

TEST_CASE("a path lies below another by whole segments") {
  CHECK(http::lies_below("/shop/stock", "/shop"));
  CHECK(http::lies_below("/shop", "/shop"));
  CHECK(http::lies_below("/shop", ""));
  CHECK(http::lies_below("/shop", "/"));
  CHECK(!http::lies_below("/shopper", "/shop"));
  CHECK(!http::lies_below("/shop", "/shop/stock"));
}

TEST_CASE("of changes a snapshot shows those that its rows have seen") {
  http::shown_already shown;
  CHECK(!shown(change(3, "/shop", "stock")));
  shown.reset(row("/shop", 1, {row("/shop/stock", 5), row("/shop/till", 7)}));
  CHECK(shown(change(3, "/shop", "stock")));
  CHECK(!shown(change(4, "/shop", "new")));
  CHECK(shown(change(5, "/shop", "stock")));
  CHECK(!shown(change(6, "/shop", "stock")));
  CHECK(shown(change(7, "/shop", "till")));
  CHECK(!shown(change(8, "/shop", "till")));
}

TEST_CASE_FIXTURE(fixture, "who follows the tree gets a snapshot and then what changes") {
  follower f{api};
  CHECK(f.client->received("{\"snapshot\":" + to_json(node.top) + "}\n"));
  CHECK(f.client->text().find("Content-Type: application/x-ndjson\r\n") != std::string::npos);
  node.changes(change(5, "/shop", "stock"));  // the snapshot shows it already
  node.changes(change(6, "/shop", "till"));
  CHECK(
      f.client->received("{\"version\":6,\"parent\":\"/shop\",\"child\":{\"path\":\"/shop/till\""));
  CHECK(f.client->text().find("\"version\":5") == std::string::npos);
  f.client->close();
}

TEST_CASE_FIXTURE(fixture, "a browser follows by server-sent events") {
  follower f{api, "/api/tree/follow", "text/event-stream"};
  CHECK(f.client->received("Content-Type: text/event-stream\r\n"));
  CHECK(f.client->received("data: {\"snapshot\":"));
  node.changes(change(6, "/shop", "till"));
  CHECK(f.client->received("data: {\"version\":6,"));
}

TEST_CASE_FIXTURE(fixture, "who follows a part of the tree is spared the rest") {
  follower f{api, "/api/tree/follow?path=/shop"};
  CHECK(f.client->received("{\"snapshot\":"));
  node.changes(change(6, "/shopper", "other"));
  node.changes(change(7, "/shop", "till"));
  CHECK(f.client->received("\"version\":7"));
  CHECK(f.client->text().find("\"version\":6") == std::string::npos);
  follower wrong{api, "/api/tree/follow?path=/none"};
  CHECK(wrong.client->received("HTTP/1.1 404 "));
}

TEST_CASE_FIXTURE(fixture,
                  "one feed serves all who follow, and is given up with the last of them") {
  follower a{api};
  follower b{api};
  CHECK(a.client->received("snapshot"));
  CHECK(b.client->received("snapshot"));
  CHECK(node.feeds == 1);
  follower third{api};
  CHECK(third.client->received("too many clients follow the tree, at most 2"));
  CHECK(third.client->text().starts_with("HTTP/1.1 503 "));
  node.changes(change(6, "/shop", "till"));
  CHECK(a.client->received("\"version\":6"));
  CHECK(b.client->received("\"version\":6"));
  a.client->close();
  b.client->close();
  CHECK(tools::eventually([&] {
    std::lock_guard lock{node.guard};
    return node.feed.use_count() == 1;
  }));
  follower again{api};
  CHECK(again.client->received("snapshot"));
  CHECK(node.feeds == 2);
}

TEST_CASE_FIXTURE(fixture,
                  "who is too slow is told how many changes are missing, and gets a snapshot") {
  node.capacity = 1'000'000;
  follower f{api, "/api/tree/follow", "*/*", {.stream_bytes = 20'000}};
  CHECK(f.client->received("{\"snapshot\":"));
  // Nobody reads: the sockets' buffers fill, then the stream.
  for (std::uint64_t v = 6; v < 40'000; ++v) node.changes(change(v, "/shop", "till"));
  {
    std::lock_guard lock{node.guard};
    node.top = row("/shop", 1, {row("/shop/last", 50'000)});
  }
  CHECK(tools::eventually([&] {
    std::lock_guard lock{node.feed->guard};
    return node.feed->waiting.empty();
  }));
  CHECK(f.client->received("{\"lost\":"));
  CHECK(
      f.client->received("{\"snapshot\":{\"path\":\"/shop\",\"kind\":\"worker\",\"state\":"
                         "\"running\",\"incarnation\":0"));
  CHECK(f.client->received("/shop/last"));
  node.changes(change(50'001, "/shop", "next"));
  CHECK(f.client->received("\"version\":50001"));
}

TEST_CASE_FIXTURE(fixture, "what the feed itself has lost is mended by a snapshot") {
  node.capacity = 2;
  follower f{api};
  CHECK(f.client->received("{\"snapshot\":"));
  CHECK(tools::eventually([&] {
    for (std::uint64_t v = 6; v < 20; ++v) node.changes(change(v, "/shop", "till"));
    f.client->receive();
    return tools::count_of(f.client->text(), "{\"snapshot\":") > 1;
  }));
}

TEST_CASE("an API that ends ends its streams") {
  auto f = std::make_unique<fixture>();
  follower client{f->api};
  CHECK(client.client->received("snapshot"));
  f.reset();
  CHECK(client.client->ended());
  CHECK(client.client->text().ends_with("\r\n0\r\n\r\n"));
}
