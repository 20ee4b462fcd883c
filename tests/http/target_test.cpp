// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/target_private.hpp>
#include <coppice/runtime/http/text_private.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace coppice::http;

TEST_CASE("an address is a host and a port") {
  const auto plain = split_address("127.0.0.1:8080");
  REQUIRE(plain);
  CHECK(plain->host == "127.0.0.1");
  CHECK(plain->port == "8080");
  const auto six = split_address("[::1]:0");
  REQUIRE(six);
  CHECK(six->host == "::1");
  CHECK(six->port == "0");
  CHECK(split_address("localhost:65535"));
  for (const char* wrong : {"", ":", "80", ":80", "host:", "host:65536", "host:1234567", "host:-1",
                            "host:8o", "::1:80", "[::1:80", "[]:80", "a b:80", "http://a:80"}) {
    CAPTURE(wrong);
    CHECK(!split_address(wrong));
  }
}

TEST_CASE("a target is decoded into a path and a query") {
  std::string why;
  const auto t = parse_target("/api/tr%65e/%C3%A9?path=%2Fshop%2Fa+b&json&x=1%2B1", why);
  REQUIRE(t);
  CHECK(t->path == "/api/tree/\xc3\xa9");
  CHECK(t->query.size() == 3);
  CHECK(t->query.at("path") == "/shop/a b");
  CHECK(t->query.at("json").empty());
  CHECK(t->query.at("x") == "1+1");
  CHECK(parse_target("/a+b", why)->path == "/a+b");
  CHECK(parse_target("/?&&a=1&", why)->query.size() == 1);
}

TEST_CASE("a target with a wrong escape, a control character, no UTF-8 or a key twice is refused") {
  for (const char* wrong :
       {"", "*", "http://a/", "/%", "/%4", "/%zz", "/%00", "/%0a", "/%7f", "/%ff", "/%c3",
        "/%ed%a0%80", "/%c0%af", "/?a=%", "/?a=%0d", "/?%fe=1", "/?a=1&a=1"}) {
    CAPTURE(wrong);
    std::string why;
    CHECK(!parse_target(wrong, why));
    CHECK(!why.empty());
  }
}

TEST_CASE("a Host header names loopback only as localhost, 127.0.0.1 or [::1]") {
  for (const char* good :
       {"localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:65535"}) {
    CAPTURE(good);
    CHECK(names_loopback(good));
  }
  for (const char* bad :
       {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
        "127.0.0.1@evil.example", "[::1", "[::1]evil", "[::2]", "::1",
        "localhost:", "localhost:80:80", "localhost:x", "127.0.0.2", " localhost"}) {
    CAPTURE(bad);
    CHECK(!names_loopback(bad));
  }
}

TEST_CASE("secrets are the same only if every character is") {
  CHECK(same_secret("s3cret", "s3cret"));
  CHECK(!same_secret("", "s3cret"));
  CHECK(!same_secret("s3cre", "s3cret"));
  CHECK(!same_secret("s3crets3cret", "s3cret"));
  CHECK(!same_secret("s3creT", "s3cret"));
  CHECK(!same_secret("S3cret", "s3cret"));
}

TEST_CASE("a bearer token is what follows the scheme, whose case does not matter") {
  CHECK(bearer_token("Bearer abc") == "abc");
  CHECK(bearer_token("bearer abc") == "abc");
  CHECK(bearer_token("Basic abc").empty());
  CHECK(bearer_token("Bearer").empty());
  CHECK(bearer_token("Bearer ").empty());
  CHECK(bearer_token("").empty());
}

TEST_CASE("an error's text may be anything, its JSON is UTF-8") {
  CHECK(error_body("no \"such\" thing\n", "look") ==
        "{\"error\":\"no \\\"such\\\" thing\\n\",\"hint\":\"look\"}\n");
  CHECK(error_body("a\xff"
                   "b\xc3",
                   {}) ==
        "{\"error\":\"a\xef\xbf\xbd"
        "b\xef\xbf\xbd\"}\n");
  CHECK(error_body("\xc3\xa9", {}) == "{\"error\":\"\xc3\xa9\"}\n");
}
