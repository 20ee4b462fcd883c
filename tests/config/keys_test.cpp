// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <coppice/runtime/config/keys.hpp>

#include <doctest/doctest.h>

#include <limits>
#include <set>

using namespace coppice;
using namespace coppice::detail;
using namespace std::chrono_literals;

namespace {

/// A file in which one key of one section is as given; what the section must have is there too.
std::string file_with(const section& in, const key& of, const std::string& written) {
  std::string out;
  bool there = false;
  for (const section& s : sections()) {
    const bool it_is = s.name == in.name;
    if (!s.required && !it_is && s.name != "tls") continue;
    out += header_of(s) + '\n';
    for (const key& k : s.keys) {
      if (it_is && k.name == of.name) {
        out += std::string{k.name} + " = " + written + '\n';
        there = true;
      } else if (k.required || (s.name == "tls" && k.name != "insecure")) {
        out += std::string{k.name} + " = " + std::string{k.example} + '\n';
      } else if (s.name == "node" && k.name == "roles") {
        out += "roles = [\"intake\"]\n";
      }
    }
  }
  CHECK(there);
  return out;
}

std::string path_of(const section& in, const key& of) {
  return std::string{in.name} + '.' + std::string{of.name};
}

template <class F>
void each_key(F f) {
  for (const section& s : sections())
    for (const key& k : s.keys) {
      CAPTURE(path_of(s, k));
      f(s, k);
    }
}

std::string bounds_of(const key& k) {
  return "expected " + std::to_string(k.range.least) + " to " + std::to_string(k.range.most);
}

}  // namespace

TEST_CASE("each row says what a reader needs, and names its unit as it is bound") {
  each_key([](const section&, const key& k) {
    CHECK_FALSE(k.name.empty());
    CHECK(k.what.ends_with('.'));
    CHECK(k.why.ends_with('.'));
    CHECK((k.field.type == key_type::choice) == !k.words.empty());
    CHECK(k.name.ends_with("_ms") == k.field.duration);
    CHECK(k.name.ends_with("_bytes") == (k.unit == "bytes"));
    if (k.field.type == key_type::whole) CHECK_FALSE(unit_of(k).empty());
    if (k.field.type != key_type::boolean && k.field.type != key_type::choice)
      CHECK(k.range.most > k.range.least);
    for (const char c : k.name) CHECK(((c >= 'a' && c <= 'z') || c == '_'));
  });
  for (const section& s : sections()) {
    CHECK(s.what.ends_with('.'));
    CHECK(s.repeated == (s.count != nullptr));
  }
}

TEST_CASE("no two rows are bound to one member, and no two keys of a section have one name") {
  std::set<std::string> names;
  each_key([&names](const section& s, const key& k) {
    CHECK(names.insert(path_of(s, k)).second);
    // Setting one key changes no other.
    cluster_config before = defaults(cluster_profile::usual);
    if (s.repeated) s.append(before);
    cluster_config after = before;
    const value other = k.field.type == key_type::boolean
                            ? value{!std::get<bool>(k.field.get(before, 0))}
                        : k.field.type == key_type::whole  ? value{k.range.least}
                        : k.field.type == key_type::real   ? value{2.5}
                        : k.field.type == key_type::choice ? value{std::int64_t{1}}
                        : k.field.type == key_type::text   ? value{std::string{"x"}}
                        : k.field.type == key_type::texts  ? value{std::vector<std::string>{"x"}}
                                                           : value{std::string{"env:X"}};
    k.field.set(after, 0, other);
    CHECK(k.field.get(after, 0) == other);
    CHECK_FALSE(after == before);
    for (const section& s2 : sections())
      for (const key& k2 : s2.keys) {
        if (&k2 == &k || (s2.repeated && s2.count(before) == 0)) continue;
        CHECK(k2.field.get(after, 0) == k2.field.get(before, 0));
      }
    k.field.set(after, 0, k.field.get(before, 0));
    CHECK(after == before);
  });
}

TEST_CASE("each default and each default under loopback is within its key's range") {
  for (const cluster_profile profile : {cluster_profile::usual, cluster_profile::loopback})
    each_key([profile](const section& s, const key& k) {
      const value v = default_of(s, k, profile);
      if (const auto* n = std::get_if<std::int64_t>(&v); n && k.words.empty()) {
        CHECK(*n >= k.range.least);
        CHECK(*n <= k.range.most);
      }
      if (is_none(v) || k.required) CHECK_FALSE(k.example.empty());
    });
}

TEST_CASE("each number is taken at both ends of its range, and refused one beyond") {
  each_key([](const section& s, const key& k) {
    if (k.field.type != key_type::whole && k.field.type != key_type::real) return;
    for (const std::int64_t n : {k.range.least, k.range.most}) {
      CAPTURE(n);
      const auto parsed = tools::parse(file_with(s, k, std::to_string(n)));
      // Rules between keys may still refuse it.
      CHECK(tools::said(parsed).find(bounds_of(k)) == std::string::npos);
      if (!parsed) continue;
      const value got = k.field.get(*parsed, 0);
      CHECK(got == (k.field.type == key_type::real ? value{static_cast<double>(n)} : value{n}));
    }
    for (const std::int64_t n : {k.range.least - 1, k.range.most + 1}) {
      CAPTURE(n);
      const std::string text = tools::said(tools::parse(file_with(s, k, std::to_string(n))));
      CHECK(text.find(path_of(s, k) + " is " + std::to_string(n)) != std::string::npos);
      CHECK(text.find(bounds_of(k)) != std::string::npos);
    }
  });
}

TEST_CASE("each range fits into its member") {
  each_key([](const section& s, const key& k) {
    if (k.field.type != key_type::whole) return;
    cluster_config config = defaults(cluster_profile::usual);
    if (s.repeated) s.append(config);
    k.field.set(config, 0, k.range.most);
    CHECK(k.field.get(config, 0) == value{k.range.most});
  });
}

TEST_CASE("each text is taken at its longest, and refused one byte longer") {
  each_key([](const section& s, const key& k) {
    if (k.field.type != key_type::text) return;
    const auto longest = static_cast<std::size_t>(k.range.most);
    if (k.looks == &peer_address || k.looks == &host_and_port) return;  // bounded by their form
    const std::string fits(longest, 'a');
    CHECK(tools::said(tools::parse(file_with(s, k, '"' + fits + '"'))) == "");
    const std::string text = tools::said(tools::parse(file_with(s, k, '"' + fits + "a\"")));
    CHECK(text.find(path_of(s, k)) != std::string::npos);
    CHECK(text.find("has " + std::to_string(longest + 1) + " bytes, at most " +
                    std::to_string(longest)) != std::string::npos);
  });
}

TEST_CASE("each list is taken with its fewest and most entries, and refused beyond") {
  each_key([](const section& s, const key& k) {
    if (k.field.type != key_type::texts) return;
    const auto list = [&k](std::int64_t n) {
      std::string out = "[";
      for (std::int64_t i = 0; i < n; ++i) {
        if (k.looks == &path_pattern) out += "\"/a" + std::to_string(i) + "\",";
        else if (k.name == "roles" && n <= 64 && k.required) out += "\"admin\",";
        else out += "\"a" + std::to_string(i) + "\",";
      }
      return out + ']';
    };
    for (const std::int64_t n : {k.range.least, k.range.most}) {
      CAPTURE(n);
      CHECK(tools::said(tools::parse(file_with(s, k, list(n)))) == "");
    }
    for (const std::int64_t n : {k.range.least - 1, k.range.most + 1}) {
      if (n < 0) continue;
      CAPTURE(n);
      CHECK(tools::said(tools::parse(file_with(s, k, list(n)))).find("entries; expected") !=
            std::string::npos);
    }
  });
}

TEST_CASE("each choice takes each of its words and nothing else") {
  each_key([](const section& s, const key& k) {
    if (k.field.type != key_type::choice) return;
    for (std::size_t i = 0; i < k.words.size(); ++i) {
      const auto parsed = tools::parse(file_with(s, k, '"' + std::string{k.words[i]} + '"'));
      REQUIRE_MESSAGE(parsed, tools::said(parsed));
      CHECK(k.field.get(*parsed, 0) == value{static_cast<std::int64_t>(i)});
    }
    CHECK_FALSE(tools::parse(file_with(s, k, "\"\"")));
    CHECK_FALSE(tools::parse(file_with(s, k, "0")));
  });
}

TEST_CASE("each key refuses each type that is not its own") {
  const std::string values[] = {"true", "7", "7.5", "\"x y\"", "[1]", "{}", "1979-05-27"};
  each_key([&values](const section& s, const key& k) {
    int taken = 0;
    for (const std::string& v : values) {
      CAPTURE(v);
      const std::string text = tools::said(tools::parse(file_with(s, k, v)));
      if (text.find(path_of(s, k)) == std::string::npos) ++taken;
    }
    // A real takes both kinds of number, a free text one; seven may be below a range.
    CHECK(taken <= (k.field.type == key_type::real ? 2 : 1));
  });
}

TEST_CASE("each example is taken") {
  each_key([](const section& s, const key& k) {
    if (k.example.empty()) return;
    const auto parsed = tools::parse(file_with(s, k, std::string{k.example}));
    CHECK(tools::said(parsed) == "");
  });
}

TEST_CASE("what is read stands in the member that it is bound to") {
  const auto read = tools::parse(R"(
[cluster]
name = "shop"
bulk = ["/orders/archive/**", "/log"]
[tls]
ca = "ca.pem"
certificate = "{node}.pem"
key = "/keys/{node}.key"
[[node]]
name = "alpha"
address = "unix:/run/alpha.sock"
zone = "hall-1"
roles = ["intake", "admin"]
program = "orders"
arguments = ["--fast", ""]
http = "[::1]:8101"
http_token = "env:TOKEN"
directory = "run"
[[node]]
name = "beta"
address = "beta.example.org:7101"
http = "0.0.0.0:8101"
http_token = "file:token"
http_tls = true
[limits]
message_bytes = 2048
ack_every_ms = 7
[liveness]
phi_threshold = 9
[log]
level = "error"
file = "{node}.log"
format = "json"
[http]
idle_ms = 1000
[[allow]]
roles = ["intake"]
paths = ["/a/**"]
[[allow]]
roles = ["admin"]
paths = ["/b"]
events = ["x.y"]
)");
  REQUIRE_MESSAGE(read, tools::said(read));
  cluster_config expected;
  expected.cluster.name = "shop";
  expected.cluster.bulk = {"/orders/archive/**", "/log"};
  expected.tls = {"ca.pem", "{node}.pem", "/keys/{node}.key", false};
  expected.nodes = {{"alpha",
                     "unix:/run/alpha.sock",
                     "hall-1",
                     {"intake", "admin"},
                     "orders",
                     {"--fast", ""},
                     "[::1]:8101",
                     {secret::source::environment, "TOKEN"},
                     false,
                     "run"},
                    {"beta",
                     "beta.example.org:7101",
                     "",
                     {},
                     "",
                     {},
                     "0.0.0.0:8101",
                     {secret::source::file, "token"},
                     true,
                     ""}};
  expected.limits.message_bytes = 2048;
  expected.limits.ack_every = 7ms;
  expected.liveness.phi_threshold = 9.0;
  expected.log = {log_severity::error, "{node}.log", log_format::json, 20};
  expected.http.idle = 1s;
  expected.allow = {{{"intake"}, {"/a/**"}, {"*"}}, {{"admin"}, {"/b"}, {"x.y"}}};
  CHECK(*read == expected);
}

TEST_CASE("the profile changes defaults, wherever it stands, and never what the file says") {
  const auto usual = tools::parse(tools::small_file());
  REQUIRE(usual);
  CHECK(usual->cluster.profile == cluster_profile::usual);
  CHECK(usual->liveness == liveness_config{});
  CHECK(usual->limits == limits_config{});

  const auto chosen = tools::parse(
      "[limits]\nack_every_ms = 7\n[liveness]\nsuspect_after_ms = 400\n"
      "[[node]]\nname = \"alpha\"\naddress = \"127.0.0.1:7101\"\n[tls]\ninsecure = true\n"
      "[cluster]\nname = \"shop\"\nprofile = \"loopback\"\n");
  REQUIRE_MESSAGE(chosen, tools::said(chosen));
  CHECK(chosen->cluster.profile == cluster_profile::loopback);
  CHECK(chosen->liveness.heartbeat == 100ms);
  CHECK(chosen->liveness.suspect_after == 400ms);
  CHECK(chosen->liveness.unreachable_after == 600ms);
  CHECK(chosen->limits.session_limit == 3s);
  CHECK(chosen->limits.ack_every == 7ms);
  CHECK(chosen->limits.message_bytes == limits_config{}.message_bytes);
  CHECK(defaults(cluster_profile::loopback).liveness.suspect_after == 300ms);
}

TEST_CASE("a key that is in no table is our own mistake, and one that is in one is found") {
  CHECK(key_at("limits.ack_every_ms").field.duration);
  CHECK(find_section("limit") == nullptr);
  CHECK(find_key(*find_section("limits"), "") == nullptr);
}
