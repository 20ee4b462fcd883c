// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/reader.hpp>

#include <string>

#include <doctest/doctest.h>

#include "codec_tools.hpp"

using coppice::detail::reader;
using namespace codec_tools;

namespace {

/// What `read` makes of the bytes: its value as a text, or the sentence why not.
template <class T, class Read>
std::string outcome(std::string_view hexadecimal, Read read) {
  const bytes all = unhex(hexadecimal);
  reader from{all, enough};
  T x{};
  if (!(from.*read)(x)) return from.failure();
  CHECK(from.at_end());
  if constexpr (requires { std::to_string(x); }) return std::to_string(x);
  else if constexpr (requires { std::string(x); }) return std::string(x);
  else return hex(x);
}
std::string integer(std::string_view x) { return outcome<std::int64_t>(x, &reader::integer); }
std::string number(std::string_view x) {
  return outcome<std::uint64_t>(x, &reader::unsigned_integer);
}
std::string text(std::string_view x) { return outcome<std::string_view>(x, &reader::text); }
std::string blob(std::string_view x) {
  return outcome<std::span<const std::byte>>(x, &reader::bytes);
}
std::string real(std::string_view x) { return outcome<double>(x, &reader::real); }
std::string array(std::string_view x) {
  const bytes all = unhex(x);
  reader from{all, enough};
  std::size_t n = 0;
  return from.array(n) ? std::to_string(n) : from.failure();
}
std::string map(std::string_view x) {
  const bytes all = unhex(x);
  reader from{all, enough};
  std::size_t n = 0;
  return from.map(n) ? std::to_string(n) : from.failure();
}
/// How many bytes one value takes, or the sentence.
std::string skipped(std::string_view x) {
  const bytes all = unhex(x);
  reader from{all, 0};
  return from.skip() ? std::to_string(all.size() - from.left()) : from.failure();
}
std::string repeated(std::string_view x, int times) {
  std::string all;
  while (times-- > 0) all += x;
  return all;
}

constexpr const char* early = "it ends too early";
constexpr const char* out_of_range = "an integer is out of range";
constexpr const char* too_many = "a count is larger than what is left";

}  // namespace

TEST_CASE("an integer is read from each form, the shortest or not") {
  for (const char* one : {"01", "cc01", "cd0001", "ce00000001", "cf0000000000000001", "d001",
                          "d10001", "d200000001", "d30000000000000001"}) {
    CHECK(integer(one) == "1");
    CHECK(number(one) == "1");
  }
  for (const char* minus : {"ff", "d0ff", "d1ffff", "d2ffffffff", "d3ffffffffffffffff"}) {
    CHECK(integer(minus) == "-1");
    CHECK(number(minus) == out_of_range);
  }
  CHECK(integer("e0") == "-32");
  CHECK(integer("d38000000000000000") == "-9223372036854775808");
  CHECK(integer("cf7fffffffffffffff") == "9223372036854775807");
  CHECK(integer("cf8000000000000000") == out_of_range);
  CHECK(number("cfffffffffffffffff") == "18446744073709551615");
  CHECK(integer("cb3ff0000000000000") == "an integer was expected");
  CHECK(number("a131") == "an integer was expected");
}

TEST_CASE("each value that is cut short is refused at each length") {
  const auto cut = [](std::string_view whole, auto read) {
    for (std::size_t n = 0; n < whole.size(); n += 2) CHECK(read(whole.substr(0, n)) == early);
    CHECK(read(whole) != early);
  };
  for (const char* whole : {"cc80", "cd0100", "ce00010000", "cf0000000100000000", "d0df", "d1ff7f",
                            "d2ffff7fff", "d38000000000000000"}) {
    cut(whole, integer);
    cut(whole, skipped);
  }
  for (const char* whole : {"ca3fc00000", "cbbfd0000000000000"}) {
    cut(whole, real);
    cut(whole, skipped);
  }
  for (const char* whole : {"a3616263", "d903616263", "da0003616263", "db00000003616263"}) {
    cut(whole, text);
    cut(whole, skipped);
  }
  for (const char* whole : {"c403616263", "c50003616263", "c600000003616263"}) {
    cut(whole, blob);
    cut(whole, skipped);
  }
  for (const char* whole : {"d40161", "d5016162",
                            "d601"
                            "61626364",
                            "c7020161"
                            "62",
                            "c80002016162", "c900000002016162"})
    cut(whole, skipped);
}

TEST_CASE("texts and bytes of every form are read, and are not the same") {
  for (const char* abc : {"a3616263", "d903616263", "da0003616263", "db00000003616263"}) {
    CHECK(text(abc) == "abc");
    CHECK(blob(abc) == "bytes were expected");
  }
  for (const char* abc : {"c403616263", "c50003616263", "c600000003616263"}) {
    CHECK(blob(abc) == "616263");
    CHECK(text(abc) == "a text was expected");
  }
  CHECK(text("a0").empty());
  CHECK(blob("c400").empty());
}

TEST_CASE("a text that is not UTF-8 is taken as it is") {
  CHECK(text("a2c328") == "\xc3\x28");
  CHECK(text("a1ff") == "\xff");
}

TEST_CASE("a real number is read from both precisions, and is no integer") {
  CHECK(real("ca3fc00000") == std::to_string(1.5));
  CHECK(real("cbbfd0000000000000") == std::to_string(-0.25));
  CHECK(real("cb7ff0000000000000") == "inf");
  CHECK(real("01") == "a real number was expected");
}

TEST_CASE("nil and booleans are read, and nothing else is taken for them") {
  const bytes all = unhex("c0c3c201");
  reader from{all, enough};
  bool x = false;
  CHECK(from.next_is_nil());
  CHECK(from.nil());
  CHECK_FALSE(from.next_is_nil());
  CHECK((from.boolean(x) && x));
  CHECK((from.boolean(x) && !x));
  CHECK(from.left() == 1);
  CHECK_FALSE(from.boolean(x));
  CHECK(from.failure() == std::string("a boolean was expected"));
  CHECK(outcome<bool>("c0", &reader::boolean) == "a boolean was expected");
  const bytes one = unhex("01");
  reader again{one, enough};
  CHECK_FALSE(again.nil());
  CHECK(again.failure() == std::string("nil was expected"));
}

TEST_CASE("a count is believed only as far as there are bytes for its values") {
  CHECK(array("90") == "0");
  CHECK(array("920102") == "2");
  CHECK(array("9201") == too_many);
  CHECK(array("dc000101") == "1");
  CHECK(array("dc0001") == too_many);
  CHECK(array("dd0000000201ff") == "2");
  CHECK(array("ddffffffff0102030405060708090a0b0c0d0e0f") == too_many);
  CHECK(array("dc00") == early);
  CHECK(array("81") == "an array was expected");

  CHECK(map("80") == "0");
  CHECK(map("810102") == "1");
  CHECK(map("8101") == too_many);
  CHECK(map("82010203") == too_many);
  CHECK(map("de00010102") == "1");
  CHECK(map("df000000010102") == "1");
  CHECK(map("dfffffffff010203040506070809") == too_many);
  CHECK(map("df8000000001") == too_many);
  CHECK(map("90") == "a map was expected");
}

TEST_CASE("the first failure sticks, and nothing is left after it") {
  const bytes all = unhex("0102a161");
  reader from{all, enough};
  std::int64_t i = 0;
  std::string_view s;
  CHECK(from.integer(i));
  CHECK_FALSE(from.text(s));
  CHECK_FALSE(from.integer(i));
  CHECK_FALSE(from.skip());
  CHECK_FALSE(from.nil());
  CHECK_FALSE(from.fail("another reason"));
  CHECK(from.failure() == std::string("a text was expected"));
  CHECK_FALSE(from.ok());
  CHECK(from.left() == 0);
  CHECK_FALSE(from.at_end());
  CHECK_FALSE(from.next_is_nil());
}

TEST_CASE("an empty buffer holds nothing") {
  reader from{{}, enough};
  CHECK(from.at_end());
  CHECK_FALSE(from.skip());
  CHECK(from.failure() == std::string(early));
}

TEST_CASE("each kind of value is skipped whole") {
  CHECK(skipped("7f00") == "1");
  CHECK(skipped("e000") == "1");
  CHECK(skipped("c000") == "1");
  CHECK(skipped("c200") == "1");
  CHECK(skipped("c300") == "1");
  CHECK(skipped("cc8000") == "2");
  CHECK(skipped("d3800000000000000000") == "9");
  CHECK(skipped("ca3fc0000000") == "5");
  CHECK(skipped("cbbfd000000000000000") == "9");
  CHECK(skipped("a361626300") == "4");
  CHECK(skipped("c40161"
                "00") == "3");
  CHECK(skipped("90"
                "00") == "1");
  CHECK(skipped("93"
                "01"
                "92a161c0"
                "80"
                "00") == "7");
  CHECK(skipped("82"
                "01"
                "81a16102"
                "90c0"
                "00") == "8");
  CHECK(skipped("d8"
                "05" +
                repeated("00", 16) + "00") == "18");
  CHECK(skipped("c70005"
                "00") == "3");
  CHECK(skipped("c900000001"
                "05"
                "aa"
                "00") == "7");
  CHECK(skipped("dc0001"
                "92c0c0"
                "00") == "6");
  CHECK(skipped("dd00000002"
                "01c0"
                "00") == "7");
  CHECK(skipped("de0002"
                "01c0"
                "02c0"
                "00") == "7");
  CHECK(skipped("df00000001"
                "01c0"
                "00") == "7");
  CHECK(skipped("c1") == "a byte that begins no value");
  CHECK(skipped("91c1") == "a byte that begins no value");
}

TEST_CASE("what is nested without end is skipped in constant memory, or refused by its counts") {
  CHECK(skipped(repeated("91", 1'000'000) + "c0") == "1000001");
  CHECK(skipped(repeated("91", 1'000'000)) == too_many);
  CHECK(skipped(repeated("8101", 500'000) + "c0") == "1000001");
  CHECK(skipped(repeated("ddffffffff", 1000)) == too_many);
  CHECK(skipped("dfffffffff") == too_many);
  CHECK(skipped("92"
                "91") == too_many);
}

TEST_CASE("a budget is taken from until it is used up, and overflow does not refill it") {
  const bytes all = unhex("01");
  reader from{all, 100};
  CHECK(from.spend(60));
  CHECK(from.spend(4, 10));
  CHECK(from.spend(0));
  CHECK_FALSE(from.spend(1));
  CHECK(from.failure() == std::string("what it describes would take more memory than is allowed"));
  reader other{all, 100};
  CHECK_FALSE(other.spend(std::size_t{1} << 62, 8));
}
