// SPDX-License-Identifier: BSD-3-Clause
// golden/events.txt holds the bytes of each released shape of some events. New code reads every
// line for ever, and writes the last one of each event as it stands there. A line is never
// changed: when an event grows, a line is appended.

#include <fstream>
#include <map>
#include <sstream>

#include <doctest/doctest.h>

#include "codec_events.hpp"
#include "codec_tools.hpp"

using namespace codec_events;
using namespace codec_tools;
using namespace coppice::detail;
using namespace std::chrono_literals;

namespace {

struct place {
  std::string street;
  std::string city = "unknown";  // since parcel 3
  bool operator==(const place&) const = default;
};
/// As it is today: its third release.
struct parcel {
  std::uint64_t id = 0;
  std::vector<place> stops;
  std::chrono::milliseconds patience = 250ms;  // since parcel 2
  std::optional<color> paint;                  // since parcel 3
  bool operator==(const parcel&) const = default;
};

ordered sample_of_everything() {
  ordered x;
  x.flag = true;
  x.tiny = -100;
  x.port = 8080;
  x.number = -70'000;
  x.large = 5'000'000'000;
  x.id = 0xffff'ffff'ffff'ffff;
  x.paint = color::blue;
  x.grade = low;
  x.real = -2.5;
  x.name = "nails, 3 \xe2\x82\xac, in a box that says more than 31 characters";
  x.raw = unhex("00ff10");
  x.four = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  x.prices = {{100, "EUR"}, {-1, ""}};
  x.three = {1, -1, 300};
  x.queue = {"a", "b"};
  x.set = {-5, 7};
  x.map = {{"k", 1}, {"l", -1}};
  x.table = {{1, {}}, {70'000, {{5, "USD"}}}};
  x.pair = {1, "p"};
  x.tuple = {2, true, 0.5};
  x.maybe = 9;
  x.maybe_twice.emplace();
  x.choice = money{3, "CHF"};
  x.wait = 1500ms;
  x.when = std::chrono::sys_seconds{1'700'000'000s};
  x.total = {7, "EUR"};
  x.bits = {true, false, true};
  x.above = {1, {{2, {{3, {}}}}, {4, {}}}};
  return x;
}

/// What each line holds, read by today's code, by the name that it begins with.
const std::map<std::string, ordered> everything = {{"everything/1", sample_of_everything()},
                                                   {"empty/1", {}}};
const std::map<std::string, parcel> parcels = {
    {"parcel/1", {7, {{"Elm St", "unknown"}}, 250ms, {}}},
    {"parcel/2", {7, {{"Elm St", "unknown"}}, 90ms, {}}},
    {"parcel/3", {7, {{"Elm St", "Ulm"}, {"Fir St", "Linz"}}, 90ms, color::green}},
};
/// The releases that today's code writes.
const std::vector<std::string> current = {"everything/1", "empty/1", "parcel/3"};

struct line {
  std::string shape;
  bytes content;
};
std::map<std::string, line> golden() {
  std::map<std::string, line> all;
  std::ifstream file{COPPICE_SOURCE_DIR "/tests/actors/golden/events.txt"};
  for (std::string text; std::getline(file, text);) {
    if (text.empty() || text[0] == '#') continue;
    std::istringstream words{text};
    std::string name, shape, content;
    words >> name >> shape >> content;
    CHECK_MESSAGE(!all.contains(name), "twice in golden/events.txt: ", name);
    all[name] = {shape, unhex(content)};
  }
  return all;
}

template <class T>
void read(const std::string& name, const line& from, const T& expected) {
  CAPTURE(name);
  T x;
  CHECK(decoded(from.content, x).empty());
  CHECK(x == expected);
  CHECK_FALSE(shapes_differ(shape_of<T>(), from.shape));
}

template <class T>
void write(const std::string& name, const line& expected, const T& x) {
  INFO("the line would be: " << name << " " << shape_of<T>() << " " << hex(encoded(x)));
  CHECK(shape_of<T>() == expected.shape);
  CHECK(hex(encoded(x)) == hex(expected.content));
}

}  // namespace

TEST_CASE("each released shape of an event is still read") {
  const auto all = golden();
  CHECK(all.size() == everything.size() + parcels.size());
  for (const auto& entry : all) {
    const std::string& name = entry.first;
    const line& from = entry.second;
    CAPTURE(name);
    if (const auto it = everything.find(name); it != everything.end()) read(name, from, it->second);
    else if (const auto other = parcels.find(name); other != parcels.end())
      read(name, from, other->second);
    else FAIL_CHECK("nothing here knows this line of golden/events.txt");
  }
}

TEST_CASE("an event is still written as it was released") {
  auto all = golden();
  for (const std::string& name : current) {
    if (const auto it = everything.find(name); it != everything.end())
      write(name, all[name], it->second);
    else write(name, all[name], parcels.at(name));
  }
}

TEST_CASE("the page about the format shows the bytes of a golden line") {
  std::ifstream page{COPPICE_SOURCE_DIR "/docs/internals/codec.md"};
  std::string shown, text;
  while (std::getline(page, text) && text != "<!-- bytes of parcel/3 -->") continue;
  std::getline(page, text);
  while (std::getline(page, text) && text != "```") shown += text.substr(0, text.find("  "));
  CHECK(hex(unhex(shown)) == hex(golden()["parcel/3"].content));
}
