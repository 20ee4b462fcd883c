// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/formats.hpp>
#include <coppice/runtime/config/text_private.hpp>

#include <doctest/doctest.h>

using namespace coppice;
using namespace coppice::detail;

// What is refused, and with which words, stands in golden/.

TEST_CASE("addresses are taken as people write them") {
  for (const char* text : {"127.0.0.1:1", "localhost:65535", "a:7101", "db-1.hall2.example.org.:80",
                           "[::1]:7101", "[fe80::1]:7101", "[::ffff:10.0.0.1]:7101",
                           "unix:/run/shop/alpha.sock", "3com.example:80"}) {
    CAPTURE(text);
    CHECK(peer_address.check(text) == "");
  }
  CHECK(host_and_port.check("0.0.0.0:8101") == "");
  CHECK(host_and_port.check("[::]:8101") == "");
  CHECK(host_and_port.check("unix:/run/http.sock") != "");
  CHECK(peer_address.check("unix:" + std::string("/") + std::string(106, 'x')) == "");
  CHECK(peer_address.check(std::string(254, 'a') + ":80") != "");
}

TEST_CASE("one place has one spelling as an endpoint") {
  const auto host = [](const char* text) { return endpoint_of(text)->host; };
  CHECK(host("LOCALHOST:1") == "127.0.0.1");
  CHECK(host("Shop.Example.ORG.:1") == "shop.example.org");
  CHECK(host("[0:0::0:1]:1") == "::1");
  CHECK(endpoint_of("127.0.0.1:7101")->port == 7101);
  CHECK(endpoint_of("unix:/run/a")->unix_path == "/run/a");
  CHECK_FALSE(endpoint_of("nonsense").has_value());
}

TEST_CASE("loopback is what other machines cannot reach") {
  const auto loopback = [](const char* text) { return endpoint_of(text)->loopback(); };
  CHECK(loopback("127.0.0.1:1"));
  CHECK(loopback("127.3.2.1:1"));
  CHECK(loopback("localhost:1"));
  CHECK(loopback("[::1]:1"));
  CHECK(loopback("unix:/a"));
  CHECK_FALSE(loopback("127.example.org:1"));
  CHECK_FALSE(loopback("10.0.0.1:1"));
  CHECK_FALSE(loopback("0.0.0.0:1"));
  CHECK_FALSE(loopback("[::]:1"));
  CHECK_FALSE(loopback("[::ffff:127.0.0.1]:1"));
  CHECK(endpoint_of("[::]:1")->wildcard());
  CHECK(endpoint_of("0.0.0.0:1")->wildcard());
}

TEST_CASE("a reference to a secret comes back as it was written") {
  for (const char* text : {"env:TOKEN", "env:_a1", "file:/etc/token", "file:token"}) {
    CHECK(secret_reference.check(text) == "");
    CHECK(reference_to(secret_of(text)) == text);
  }
  CHECK(reference_to(secret{}) == "");
  for (const char* text : {"", "token", "env:", "env:1A", "env:A-B", "ENV:A", "file:", "file:a\nb"})
    CHECK(secret_reference.check(text) != "");
}

TEST_CASE("patterns are whole segments of paths, and beginnings of event names") {
  for (const char* text : {"/**", "/*", "/a", "/a/*/b/**", "/größe"})
    CHECK(path_pattern.check(text) == "");
  for (const char* text : {"", "a", "/", "//", "/a/", "/**/a", "/a*", "/***"})
    CHECK(path_pattern.check(text) != "");
  for (const char* text : {"*", "shop.*", "shop.reserve", "a"})
    CHECK(event_pattern.check(text) == "");
  for (const char* text : {"", ".*", "*.*", "a*", "**", "shop.*.x"})
    CHECK(event_pattern.check(text) != "");
}

TEST_CASE("what was probably meant is near, an abbreviation, or nothing") {
  const std::vector<std::string_view> keys{"name", "heartbeat_ms", "suspect_after_ms", "ca", "key"};
  CHECK(nearest("nmae", keys) == "name");
  CHECK(nearest("NAME", keys) == "name");
  CHECK(nearest("heartbeat", keys) == "heartbeat_ms");
  CHECK(nearest("suspect-after-ms", keys) == "suspect_after_ms");
  CHECK(nearest("sus", keys) == "suspect_after_ms");
  CHECK(nearest("kay", keys) == "key");
  CHECK_FALSE(nearest("zebra", keys).has_value());
  CHECK_FALSE(nearest("x", keys).has_value());
  CHECK_FALSE(nearest("", keys).has_value());
  CHECK_FALSE(nearest(std::string(65, 'n'), keys).has_value());
}

TEST_CASE("a number with a unit is understood where it comes out whole") {
  CHECK(in_unit("200", "milliseconds") == 200);
  CHECK(in_unit("200ms", "milliseconds") == 200);
  CHECK(in_unit("5 S", "milliseconds") == 5'000);
  CHECK(in_unit("16 MiB", "bytes") == 16 << 20);
  CHECK(in_unit("2m", "milliseconds") == 120'000);
  CHECK(in_unit("2m", "bytes") == 2 << 20);
  for (const char* text : {"", "ms", "-5 s", "5 parsecs", "5.5 s", "99999999999999999999 s",
                           "9000000000000000 h", "5 MiB"})
    CHECK_FALSE(in_unit(text, "milliseconds").has_value());
  CHECK(in_larger_unit(5'000, "milliseconds") == "5 s");
  CHECK(in_larger_unit(1'500, "milliseconds") == "");
  CHECK(in_larger_unit(16 << 20, "bytes") == "16 MiB");
  CHECK(in_larger_unit(5'000, "asks") == "");
  CHECK(stem("heartbeat_ms") == "heartbeat");
  CHECK(stem("heartbeat_Seconds") == "heartbeat");
  CHECK(stem("_ms") == "_ms");
  CHECK(stem("pending_asks") == "pending_asks");
}

TEST_CASE("a text in quotes is one line of TOML whatever is in it") {
  CHECK(quoted("a\"b\\c\n\t\x01\x7f") == R"("a\"b\\c\n\t\u0001\u007F")");
  CHECK(quoted("größe") == "\"größe\"");
  CHECK(quoted("\xc2\x9b") == "\"\\u009B\"");
  CHECK(quoted("\xc2\xa0") == "\"\xc2\xa0\"");
  CHECK(shortened("größe", 3) == "\"grö...\"");
  CHECK(shortened("größe", 5) == "\"größe\"");
  CHECK(to_toml(8.0) == "8.0");
  CHECK(to_toml(0.1) == "0.1");
  CHECK(to_toml(1e300) == "1e+300");
}

TEST_CASE("what is not UTF-8 is found where it begins") {
  for (const char* good :
       {"", "a", "ö", "€", "\xf0\x9f\x8c\xb3", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"})
    CHECK(first_not_utf8(good) == std::string_view{good}.size());
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xe2\x82z", "\xf0\x9f\x8c"})
    CHECK(first_not_utf8("ab" + std::string{bad}) == 2);
}
