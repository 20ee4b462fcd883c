// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/writer.hpp>

#include <cmath>
#include <limits>
#include <string>

#include <doctest/doctest.h>

#include "codec_tools.hpp"

using coppice::detail::writer;
using namespace codec_tools;

namespace {

template <class Write>
std::string written(Write write) {
  bytes out;
  writer to{out};
  write(to);
  CHECK(to.ok());
  return hex(out);
}

std::string integer(std::int64_t x) {
  return written([&](writer& w) { w.integer(x); });
}
std::string number(std::uint64_t x) {
  return written([&](writer& w) { w.unsigned_integer(x); });
}
/// The bytes before the content.
std::string head(const std::string& all, std::size_t content) {
  return all.substr(0, all.size() - 2 * content);
}

}  // namespace

TEST_CASE("an integer takes the shortest form that holds it") {
  CHECK(number(0) == "00");
  CHECK(number(127) == "7f");
  CHECK(number(128) == "cc80");
  CHECK(number(255) == "ccff");
  CHECK(number(256) == "cd0100");
  CHECK(number(65'535) == "cdffff");
  CHECK(number(65'536) == "ce00010000");
  CHECK(number(0xffff'ffff) == "ceffffffff");
  CHECK(number(0x1'0000'0000) == "cf0000000100000000");
  CHECK(number(std::numeric_limits<std::uint64_t>::max()) == "cfffffffffffffffff");

  CHECK(integer(127) == "7f");
  CHECK(integer(128) == "cc80");
  CHECK(integer(std::numeric_limits<std::int64_t>::max()) == "cf7fffffffffffffff");
  CHECK(integer(-1) == "ff");
  CHECK(integer(-32) == "e0");
  CHECK(integer(-33) == "d0df");
  CHECK(integer(-128) == "d080");
  CHECK(integer(-129) == "d1ff7f");
  CHECK(integer(-32'768) == "d18000");
  CHECK(integer(-32'769) == "d2ffff7fff");
  CHECK(integer(std::numeric_limits<std::int32_t>::min()) == "d280000000");
  CHECK(integer(std::int64_t{std::numeric_limits<std::int32_t>::min()} - 1) ==
        "d3ffffffff7fffffff");
  CHECK(integer(std::numeric_limits<std::int64_t>::min()) == "d38000000000000000");
}

TEST_CASE("nil, booleans and real numbers of both precisions are written as the format says") {
  CHECK(written([](writer& w) { w.nil(); }) == "c0");
  CHECK(written([](writer& w) { w.boolean(false); }) == "c2");
  CHECK(written([](writer& w) { w.boolean(true); }) == "c3");
  CHECK(written([](writer& w) { w.real(1.5f); }) == "ca3fc00000");
  CHECK(written([](writer& w) { w.real(-0.25); }) == "cbbfd0000000000000");
  CHECK(written([](writer& w) { w.real(INFINITY); }) == "ca7f800000");
}

TEST_CASE("a text, bytes, an array and a map tell their length in the shortest form") {
  const auto text = [](std::size_t n) {
    return head(written([&](writer& w) { w.text(std::string(n, 'x')); }), n);
  };
  CHECK(written([](writer& w) { w.text("nails"); }) == "a56e61696c73");
  CHECK(text(0) == "a0");
  CHECK(text(31) == "bf");
  CHECK(text(32) == "d920");
  CHECK(text(255) == "d9ff");
  CHECK(text(256) == "da0100");
  CHECK(text(65'535) == "daffff");
  CHECK(text(65'536) == "db00010000");

  const auto blob = [](std::size_t n) {
    return head(written([&](writer& w) { w.bytes(bytes(n)); }), n);
  };
  CHECK(written([](writer& w) { w.bytes(unhex("00ff")); }) == "c40200ff");
  CHECK(blob(0) == "c400");
  CHECK(blob(255) == "c4ff");
  CHECK(blob(256) == "c50100");
  CHECK(blob(65'536) == "c600010000");

  const auto array = [](std::size_t n) { return written([&](writer& w) { w.array(n); }); };
  CHECK(array(0) == "90");
  CHECK(array(15) == "9f");
  CHECK(array(16) == "dc0010");
  CHECK(array(65'536) == "dd00010000");
  const auto map = [](std::size_t n) { return written([&](writer& w) { w.map(n); }); };
  CHECK(map(0) == "80");
  CHECK(map(15) == "8f");
  CHECK(map(16) == "de0010");
  CHECK(map(65'536) == "df00010000");
}

TEST_CASE("a writer appends, and the buffer is whole between any two calls") {
  bytes out = unhex("aa");
  writer to{out};
  CHECK(hex(out) == "aa");
  to.array(2);
  CHECK(hex(out) == "aa92");
  to.integer(-1);
  CHECK(hex(out) == "aa92ff");
  to.text(std::string(300, 'x'));
  CHECK(out.size() == 3 + 3 + 300);
  CHECK(out.back() == std::byte{'x'});
}

TEST_CASE("a run of values is written as it would be one by one, however long it is") {
  bytes one, all;
  writer single{one}, run{all};
  std::byte* at = run.open();
  for (int i = 0; i < 2000; ++i) {
    const std::string text(static_cast<std::size_t>(i % 90), 'a');
    single.integer(i * i);
    single.text(text);
    single.real(0.5 * i);
    at = run.real(run.text(run.integer(at, i * i), text), 0.5 * i);
  }
  run.close(at);
  CHECK(one == all);
}

TEST_CASE("a count that MessagePack cannot tell is noticed") {
  bytes out;
  writer to{out};
  to.array(0xffff'ffff);
  CHECK(to.ok());
  to.array(0x1'0000'0000);
  CHECK_FALSE(to.ok());
}
