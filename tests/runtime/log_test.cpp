// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/client.hpp>
#include <coppice/runtime/node/node.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

using namespace coppice;
using namespace std::chrono_literals;

/// Named: compilers spell nameless namespaces in ways of their own.
namespace mill {

struct done {};
struct work {
  bool well;
  using reply = done;
};
class fragile : public actor<work> {
 public:
  done on(const work& w) {
    if (!w.well) throw std::runtime_error("it broke");
    return {};
  }
};

}  // namespace mill

namespace {

using mill::fragile;
using mill::work;

struct folder {
  folder() {
    std::string name = std::filesystem::temp_directory_path() / "coppice-log-XXXXXX";
    REQUIRE(::mkdtemp(name.data()));
    path = name;
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

/// Makes one child crash so often, each crash in its own turn, and waits until it works again.
void crash(node& home, const ref<work>& at, int times) {
  for (int i = 0; i < times;) {
    if (home.outside().offer(at, work{false})) ++i;
    else (void)home.outside().room(at, 30s);
  }
  CHECK(home.outside().room(at, 60s));
  CHECK(home.outside().ask(at, work{true}, 60s));
}

children::builder one_fragile_child(ref<work>& at) {
  return [&at](children& c) {
    c.intensity(1'000'000, 1h);
    at = c.add<fragile>("fragile");
  };
}

std::uint64_t number_before(const std::string& text, std::string_view after,
                            std::string_view from) {
  const auto end = text.find(after);
  if (end == std::string::npos) return 0;
  const auto begin = text.rfind(from, end) + from.size();
  std::uint64_t n = 0;
  std::from_chars(text.data() + begin, text.data() + end, n);
  return n;
}

}  // namespace

TEST_CASE("100,000 crashes make a bounded log, and what it left out adds up exactly") {
  const folder scratch;
  constexpr int crashes = 100'000;
  node_metrics counted;
  std::chrono::steady_clock::duration taken{};
  {
    node_options options;
    options.name = "shop";
    options.log.file = scratch.path / "log";
    ref<work> at;
    node shop{options, one_fragile_child(at)};
    REQUIRE(shop.start());
    const auto begin = std::chrono::steady_clock::now();
    crash(shop, at, crashes);
    taken = std::chrono::steady_clock::now() - begin;
    CHECK(shop.stop(30s));
    counted = shop.metrics();
  }
  CHECK(counted.crashes == crashes);

  std::uint64_t records = 0, left_out = 0, bytes = 0;
  std::ifstream log{scratch.path / "log"};
  for (std::string text; std::getline(log, text);) {
    bytes += text.size() + 1;
    if (text.find(" child terminated: ") != std::string::npos) {
      ++records;
      left_out += number_before(text, " like this left out)", "(");
    }
    left_out += number_before(text, " more of the kind 'crash' were left out", "node=shop ");
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(taken).count() + 2;
  MESSAGE(records << " records, " << bytes << " bytes in " << seconds << " s");
  CHECK(records > 0);
  CHECK(records <= 20 * static_cast<std::uint64_t>(seconds));
  CHECK(records + left_out == crashes);
  CHECK(bytes < 600 * 3 * (records + 2));
}

TEST_CASE("a log file on a full disk harms nothing") {
  node_options options;
  options.log.file = "/dev/full";
  ref<work> at;
  node shop{options, one_fragile_child(at)};
  REQUIRE(shop.start());
  crash(shop, at, 1'000);
  CHECK(shop.metrics().crashes == 1'000);
  CHECK(shop.stop(30s));
}

TEST_CASE("a crash is logged by the actor with its circumstances, then by its supervisor") {
  const folder scratch;
  {
    node_options options;
    options.name = "shop";
    options.log.file = scratch.path / "log";
    ref<work> at;
    node shop{options, one_fragile_child(at)};
    REQUIRE(shop.start());
    crash(shop, at, 1);
    CHECK(shop.stop(30s));
  }
  std::ifstream log{scratch.path / "log"};
  std::string own, supervisors;
  for (std::string text; std::getline(log, text);) {
    if (text.find(" crash report: ") != std::string::npos) {
      CHECK(supervisors.empty());
      own = text;
    }
    if (text.find(" child terminated: ") != std::string::npos) supervisors = text;
  }
  CHECK_MESSAGE(own.find("node=shop path=/shop/fragile incarnation=1 "
                         "type=mill::fragile event=mill::work waiting=0 handled=1 "
                         "links=0 watchers=0 traps_exits=false crash report: crashed: "
                         "std::runtime_error: it broke (at /shop/fragile#1)") != std::string::npos,
                own);
  CHECK_MESSAGE(
      supervisors.find("node=shop path=/shop/fragile incarnation=1 "
                       "type=mill::fragile kind=worker restart=permanent "
                       "shutdown=5000 ms supervisor=/shop child terminated: crashed: "
                       "std::runtime_error: it broke (at /shop/fragile#1)") != std::string::npos,
      supervisors);
}

// Lines about those who were refused left no room for the line about the one who was not.
TEST_CASE("what an admin has changed is in the log, however many were refused just before") {
  const folder scratch;
  const auto file = [&](const char* name, const std::string& text) {
    const auto path = scratch.path / name;
    std::ofstream{path} << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    return path.string();
  };
  http::server free{{}, [](const http::request&) { return http::response{}; }};
  REQUIRE(free.start());
  const std::string address = free.address();
  free.stop();
  file("token", "s3cret\n");
  const std::string meets = "unix:" + (scratch.path / "alpha").string();
  const std::string cluster = file("cluster.toml", R"(
[cluster]
name = "shop"
[tls]
insecure = true
[[node]]
name = "alpha"
address = ")" + meets + R"("
http_token = "file:token"
http = ")" + address + "\"\n");
  node_options options;
  options.config = std::make_shared<const cluster_config>(read_config(cluster).value());
  options.name = "shop";
  options.node = "alpha";
  options.log.file = scratch.path / "log";
  options.log.records_per_second = 1;
  ref<work> at;
  node shop{options, one_fragile_child(at)};
  REQUIRE(shop.start());
  const auto kill = [&](const char* token) {
    const http::call to{.address = address, .path = "/api/kill", .token = token};
    return http::post(to, R"({"path":"/shop/fragile"})").value().status;
  };
  for (int i = 0; i < 5; ++i) CHECK(kill("guessed") == 401);
  CHECK(kill("s3cret") == 200);
  CHECK(shop.stop(30s));
  std::ifstream log{scratch.path / "log"};
  int done = 0, refused = 0;
  for (std::string text; std::getline(log, text);) {
    if (text.find(" audit: kill /shop/fragile asked for by 127.0.0.1:") != std::string::npos &&
        text.ends_with(": done"))
      ++done;
    if (text.find(": not allowed: no right token") != std::string::npos) ++refused;
  }
  CHECK(done == 1);
  CHECK(refused > 0);
}
