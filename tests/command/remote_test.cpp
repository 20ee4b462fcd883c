// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/pids.hpp>
#include <coppice/runtime/http/api.hpp>
#include <coppice/runtime/wire/certificates.hpp>
#include <coppice/supervision/feed_private.hpp>

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "process.hpp"
#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::contains;

namespace {

/// A node with an API and nothing else.
class small_node final : public http::node_view {
 public:
  explicit small_node(std::string named, http::server_options options = {})
      : name(std::move(named)),
        server(std::move(options), [this](const http::request& r) { return api(r); }) {
    top.path = "/shop";
    top.kind = "one_for_one";
    top.state = "running";
    REQUIRE(server.start());
  }
  http::health_report health() override { return how; }
  http::node_status status() override { return {name, "shop", "00ff00ff00", 90s, 12, 3, 4}; }
  std::vector<http::member> members() override { return {{.name = "other", .opinion = "up"}}; }
  std::vector<http::metric> metrics() override { return {}; }
  result<tree_node> tree(const std::string& path) override {
    if (path.empty() || path == "/shop" || path == only_here) return top;
    return error{errc::not_found, "there is no '" + path + "'"};
  }
  tree_feed follow() override {
    std::lock_guard lock{guard};
    feed = std::make_shared<detail::feed_queue>(10);
    return tree_feed{feed};
  }
  result<void> kill(const std::string& path) override {
    if (path != "/shop/stock") return error{errc::not_found, "there is no '" + path + "'"};
    killed = path;
    return {};
  }
  void kill_node() override { killed_node = true; }
  result<void> stop() override {
    stopped = true;
    return {};
  }

  void changes(std::uint64_t version, const std::string& id) {
    tree_change c;
    c.version = version;
    c.parent = "/shop";
    c.child.id = id;
    c.child.state = child_state::running;
    c.child.incarnation = 2;
    std::lock_guard lock{guard};
    feed->put(c);
  }

  const std::string name;
  std::mutex guard;
  http::health_report how;
  tree_node top;
  std::string only_here;
  std::shared_ptr<detail::feed_queue> feed;
  std::string killed;
  std::atomic<bool> killed_node{false};
  bool stopped = false;
  http::api api{*this, [](const http::audit_record&) {}};
  http::server server;
};

/// A cluster of alpha and beta, whose names and addresses the file has right.
struct two_nodes : tools::folder {
  small_node alpha{"alpha"};
  small_node beta{"beta", {.token = "s3cret"}};
  std::string file = write(alpha.server.address(), beta.server.address());

  std::string write(const std::string& first, const std::string& second) {
    this->folder::file("token", "s3cret\n");
    std::filesystem::permissions(path + "/token", std::filesystem::perms::owner_read);
    return this->folder::file("cluster.toml", R"(
[cluster]
name = "shop"
[tls]
insecure = true
[[node]]
name = "alpha"
address = "127.0.0.1:7101"
http = ")" + first + R"("
[[node]]
name = "beta"
address = "127.0.0.1:7102"
http = ")" + second + R"("
http_token = "file:token"
)");
  }
};

/// A cluster whose nodes alpha, an admin, and beta speak TLS. All certificates lie in `certs`;
/// `carol` is no node.
struct two_nodes_with_tls : tools::folder {
  two_nodes_with_tls() {
    REQUIRE(wire::create_authority(path + "/certs", "shop"));
    for (const char* name : {"alpha", "beta", "carol"})
      REQUIRE(wire::issue_certificate(path + "/certs", name));
    alpha = std::make_unique<small_node>("alpha", served_by("alpha"));
    beta = std::make_unique<small_node>("beta", served_by("beta"));
    cluster = file("cluster.toml", R"(
[cluster]
name = "shop"
[tls]
ca = "certs/ca.crt"
certificate = "certs/{node}.crt"
key = "certs/{node}.key"
[[node]]
name = "beta"
address = "127.0.0.1:7102"
http_tls = true
http = ")" + beta->server.address() + R"("
[[node]]
name = "alpha"
address = "127.0.0.1:7101"
roles = ["admin"]
http_tls = true
http = ")" + alpha->server.address() + "\"\n");
  }
  http::server_options served_by(const std::string& node) const {
    const std::string own = path + "/certs/" + node;
    return {.tls = http::certificates{"shop", path + "/certs/ca.crt", own + ".crt", own + ".key"},
            .admins = {"alpha"}};
  }

  std::unique_ptr<small_node> alpha, beta;
};

/// A port where nobody listens.
std::string dead_end() {
  http::server s{{}, [](const http::request&) { return http::response{}; }};
  REQUIRE(s.start());
  return s.address();
}

}  // namespace

TEST_CASE_FIXTURE(two_nodes, "status asks all nodes, each with its token") {
  const auto s = tools::coppice({"status", file});
  CHECK_MESSAGE(s.code == 0, s.err);
  CHECK(contains(
      s.out,
      "\nalpha  ready  00ff00ff     1 min 30 s  12      3         4             other up\n"));
  CHECK(contains(s.out, "\nbeta   ready "));
  const auto one = tools::coppice({"status", file, "--node", "beta"});
  CHECK(!contains(one.out, "alpha"));
}

TEST_CASE_FIXTURE(two_nodes, "a node that is not ready, or does not answer, makes status fail") {
  alpha.how = {true, false, {"/shop/stock stalls"}};
  const auto unready = tools::coppice({"status", file});
  CHECK(unready.code == 1);
  CHECK(contains(unready.out, "\nalpha  not ready  "));
  CHECK(contains(unready.out, "\n  /shop/stock stalls\n"));
  alpha.how = {};
  const std::string nowhere = dead_end();
  write(alpha.server.address(), nowhere);
  const auto silent = tools::coppice({"status", file});
  CHECK(silent.code == 1);
  CHECK(contains(silent.out, "\nalpha  ready  "));
  CHECK(contains(silent.out, "\nbeta   no answer\n  " + nowhere + ": nobody listens there\n"));
}

TEST_CASE_FIXTURE(two_nodes, "a node that answers for another one is found out") {
  const small_node other{"alpha"};
  write(alpha.server.address(), other.server.address());
  const auto s = tools::coppice({"status", file});
  CHECK(s.code == 1);
  CHECK(contains(s.out, other.server.address() + " is the node 'alpha'\n"));
}

TEST_CASE_FIXTURE(two_nodes, "status as JSON is one object a node, also of those in trouble") {
  const std::string nowhere = dead_end();
  write(alpha.server.address(), nowhere);
  const auto s = tools::coppice({"status", file, "--json"});
  CHECK(s.code == 1);
  CHECK(s.out.starts_with("{\"ready\":true,"));
  CHECK(s.out.ends_with("\n{\"node\":\"beta\",\"error\":\"" + nowhere +
                        ": nobody listens there\"}\n"));
}

TEST_CASE_FIXTURE(two_nodes, "trees are shown of all nodes, or of one, or from a path on") {
  const std::string tree = to_text(alpha.top);
  const auto all = tools::coppice({"tree", "--config", file});
  CHECK_MESSAGE(all.code == 0, all.err);
  CHECK(all.out == "alpha:\n" + tree + "beta:\n" + tree);
  CHECK(tools::coppice({"tree", "--config", file, "--node", "beta"}).out == tree);
  CHECK(tools::coppice({"tree", "--config", file, "beta:/shop"}).out == tree);
  CHECK(tools::coppice({"tree", "--config", file, "beta:"}).out == tree);
  CHECK(tools::coppice({"tree", "--config", file, "--json"}).out ==
        to_json(alpha.top) + '\n' + to_json(beta.top) + '\n');
}

TEST_CASE_FIXTURE(two_nodes, "a path is looked for on all nodes, and missed if none has it") {
  beta.only_here = "/shop/a b";
  const auto found = tools::coppice({"tree", "--config", file, "/shop/a b"});
  CHECK_MESSAGE(found.code == 0, found.err);
  CHECK(found.out == "beta:\n" + to_text(beta.top));
  const auto nowhere = tools::coppice({"tree", "--config", file, "/none"});
  CHECK(nowhere.code == 1);
  CHECK(nowhere.err == "no node has '/none'\n");
  const auto there = tools::coppice({"tree", "--config", file, "alpha:/none"});
  CHECK(there.code == 1);
  CHECK(there.err == "alpha: there is no '/none'\n");
  const auto unknown = tools::coppice({"tree", "--config", file, "alhpa:/shop"});
  CHECK(unknown.code == 2);
  CHECK(contains(unknown.err, "alpha"));
}

TEST_CASE_FIXTURE(two_nodes, "an actor is killed by its node and path") {
  const auto done = tools::coppice({"kill", "--config", file, "beta:/shop/stock"});
  CHECK_MESSAGE(done.code == 0, done.err);
  CHECK(done.out == "beta: /shop/stock has been killed\n");
  CHECK(beta.killed == "/shop/stock");
  CHECK(alpha.killed.empty());
  const auto none = tools::coppice({"kill", "--config", file, "beta:/shop/none"});
  CHECK(none.code == 1);
  CHECK(none.err == "beta: there is no '/shop/none'\n");
  const auto which = tools::coppice({"kill", "--config", file, "/shop/stock"});
  CHECK(which.code == 2);
  CHECK(which.err == "which node? alpha:/shop/stock, for example\n");
}

TEST_CASE_FIXTURE(two_nodes, "a node is killed by its API if nobody here runs it") {
  const auto done = tools::coppice({"kill", "--config", file, "beta"});
  CHECK_MESSAGE(done.code == 0, done.err);
  CHECK(done.out == "beta: has been killed\n");
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!beta.killed_node && std::chrono::steady_clock::now() < until) ::sched_yield();
  CHECK(beta.killed_node);
  CHECK(tools::coppice({"kill", "--config", file, "gamma"}).code == 2);
}

TEST_CASE_FIXTURE(two_nodes,
                  "a node that runs here is killed as a process, whether it answers or not") {
  const pid_t number = ::fork();
  if (number == 0)
    for (;;) ::pause();
  command::pid_file pids{path + "/coppice", "shop", file};
  REQUIRE(command::runtime_folder());
  REQUIRE(pids.take());
  REQUIRE(pids.write({{"beta", *command::identify(number)}}));
  const auto done = tools::coppice({"kill", "--config", file, "beta"});
  CHECK_MESSAGE(done.code == 0, done.err);
  CHECK(done.out == "beta: process " + std::to_string(number) + " has been killed\n");
  int status = 0;
  ::waitpid(number, &status, 0);
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(!beta.killed_node);
}

TEST_CASE_FIXTURE(two_nodes, "a node is asked to stop") {
  const auto done = tools::coppice({"stop", "--config", file, "beta"});
  CHECK_MESSAGE(done.code == 0, done.err);
  CHECK(done.out == "beta: is stopping\n");
  CHECK(beta.stopped);
  CHECK(!alpha.stopped);
  write(alpha.server.address(), dead_end());
  CHECK(tools::coppice({"stop", "--config", file, "beta"}).code == 1);
}

TEST_CASE_FIXTURE(two_nodes, "a wrong token is told as such") {
  this->folder::file("token2", "wrong");
  std::filesystem::permissions(path + "/token", std::filesystem::perms::owner_all);
  std::filesystem::copy_file(path + "/token2", path + "/token",
                             std::filesystem::copy_options::overwrite_existing);
  const auto no = tools::coppice({"stop", "--config", file, "beta"});
  CHECK(no.code == 1);
  CHECK(no.err == "beta: this needs the node's HTTP token; send Authorization: Bearer <token>\n");
}

TEST_CASE_FIXTURE(two_nodes_with_tls,
                  "nodes with TLS are asked with the certificate of an admin "
                  "that lies on this machine") {
  const auto s = tools::coppice({"status", cluster});
  CHECK_MESSAGE(s.code == 0, s.err);
  CHECK(contains(s.out, "\nalpha  ready "));
  CHECK(contains(s.out, "\nbeta   ready "));
  CHECK(tools::coppice({"tree", "--config", cluster, "beta:/shop"}).out == to_text(beta->top));
  const auto killed = tools::coppice({"kill", "--config", cluster, "beta:/shop/stock"});
  CHECK_MESSAGE(killed.code == 0, killed.err);
  CHECK(beta->killed == "/shop/stock");
  CHECK(tools::coppice({"stop", "--config", cluster, "beta"}).code == 0);
  CHECK(beta->stopped);
}

TEST_CASE_FIXTURE(two_nodes_with_tls, "without an admin's certificate one may look, and no more") {
  std::filesystem::remove(path + "/certs/alpha.key");
  CHECK(tools::coppice({"status", cluster}).code == 0);
  const auto no = tools::coppice({"stop", "--config", cluster, "alpha"});
  CHECK(no.code == 1);
  CHECK(no.err ==
        "alpha: the certificate of 'beta' is that of no admin; show that of a node with the role "
        "admin, or this node's HTTP token besides\n");
  CHECK(!alpha->stopped);
  std::filesystem::remove(path + "/certs/beta.key");
  const auto none = tools::coppice({"tree", "--config", cluster, "alpha:/shop"});
  CHECK(none.code == 1);
  CHECK(none.err ==
        "alpha: wants a certificate, and no node's certificate and key can be read here: name "
        "others with --certificate and --key\n");
}

TEST_CASE_FIXTURE(two_nodes_with_tls, "a certificate may be chosen, with its key") {
  CHECK(tools::coppice(as("carol", {"tree", "alpha:/shop"})).out == to_text(alpha->top));
  const auto no = tools::coppice(as("carol", {"kill", "alpha:/shop/stock"}));
  CHECK(no.code == 1);
  CHECK(contains(no.err, "alpha: the certificate of 'carol' is that of no admin"));
  CHECK(alpha->killed.empty());
  CHECK(tools::coppice(as("alpha", {"kill", "beta:/shop/stock"})).code == 0);
  CHECK(beta->killed == "/shop/stock");
  CHECK(tools::coppice({"status", cluster, "--certificate", "x"}).code == 2);
  const auto bad = tools::coppice(as("nobody", {"stop", "alpha"}));
  CHECK(bad.code == 1);
  CHECK(contains(bad.err, "nobody.crt"));
}

TEST_CASE("trees are followed: as they are, what changes, and on when a node is back") {
  for (const std::string how : {"--follow", "--json"}) {
    CAPTURE(how);
    const tools::folder f;
    const std::string file = f.path + "/cluster.toml";
    // A fork must have no other threads: it is made before the servers, and waits for the file.
    tools::process p{[&] {
      while (!std::filesystem::exists(file)) ::sched_yield();
      return tools::coppice({"tree", "--config", file, "--follow", how}, {std::cout, std::cerr});
    }};
    auto alpha = std::make_unique<small_node>("alpha");
    const std::string address = alpha->server.address();
    const std::string text =
        "[cluster]\nname = \"shop\"\n[tls]\ninsecure = true\n[[node]]\nname = "
        "\"alpha\"\naddress = \"127.0.0.1:7101\"\nhttp = \"" +
        address + "\"\n";
    f.file("cluster.next", text);
    std::filesystem::rename(f.path + "/cluster.next", file);
    if (how == "--json") {
      REQUIRE(p.printed("{\"node\":\"alpha\",\"told\":{\"snapshot\":{\"path\":\"/shop\","));
      alpha->changes(7, "stock");
      REQUIRE(p.printed("{\"node\":\"alpha\",\"told\":{\"version\":7,\"parent\":\"/shop\","));
    } else {
      REQUIRE(p.printed("alpha:\n" + to_text(alpha->top)));
      alpha->changes(7, "stock");
      REQUIRE(p.printed("alpha: /shop/stock running #2\n"));
    }
    alpha.reset();
    REQUIRE(p.printed("; trying again\n"));
    REQUIRE(p.printed("nobody listens there; trying again\n"));
  }
}
