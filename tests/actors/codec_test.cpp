// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/codec.hpp>
#include <coppice/actors/codec/ref_codec.hpp>

#include <deque>
#include <list>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <doctest/doctest.h>

using namespace coppice;
using namespace coppice::detail;
using namespace std::chrono_literals;

namespace {

template <class T>
std::vector<std::byte> encoded(const T& x) {
  std::vector<std::byte> out;
  writer to{out};
  encode(to, x);
  return out;
}

template <class T>
T round(const T& x) {
  const auto bytes = encoded(x);
  T back{};
  reader from{bytes, 1 << 20};
  CHECK(decode(from, back));
  INFO(std::string(from.failure() ? from.failure() : "none"));
  CHECK(from.at_end());
  return back;
}

enum class color : std::uint8_t { red, green };
struct money {
  std::int64_t cents = 0;
  std::string currency;
  bool operator==(const money&) const = default;
};
struct everything {
  bool flag = false;
  int number = 0;
  color paint{};
  float small = 0;
  double large = 0;
  std::string name;
  std::vector<std::byte> raw;
  std::array<std::byte, 4> four{};
  std::vector<money> list;
  std::array<int, 3> three{};
  std::deque<int> deque;
  std::list<std::string> linked;
  std::set<int> set;
  std::unordered_set<std::string> hashed;
  std::map<std::string, int> map;
  std::unordered_map<int, money> table;
  std::pair<int, std::string> pair;
  std::tuple<int, bool, double> tuple;
  std::optional<int> maybe;
  std::optional<std::optional<int>> maybe_twice;
  std::variant<int, std::string, money> one_of;
  std::chrono::milliseconds wait{};
  std::chrono::sys_seconds when{};
  money total;
  std::vector<bool> bits;
  bool operator==(const everything&) const = default;
};
struct tree {
  int value = 0;
  std::vector<tree> below;
  bool operator==(const tree&) const = default;
};

}  // namespace

TEST_CASE("an event of everything comes back as it was") {
  everything x;
  CHECK(round(x) == x);
  x = {true,
       -7,
       color::green,
       1.5f,
       -2.25,
       "nails",
       {std::byte{1}, std::byte{200}},
       {},
       {{100, "EUR"}, {-1, ""}},
       {1, 2, 3},
       {4, 5},
       {"a", "b"},
       {3, 1},
       {"x", "y"},
       {{"k", 70000}},
       {{-5, {2, "USD"}}},
       {1, "p"},
       {2, true, 0.5},
       9,
       std::optional<int>{},
       money{3, "CHF"},
       1500ms,
       std::chrono::sys_seconds{12345s},
       {7, "EUR"},
       {true, false, true}};
  CHECK(round(x) == x);
}

TEST_CASE("an event that holds its own kind comes back") {
  const tree x{1, {{2, {{3, {}}}}, {4, {}}}};
  CHECK(round(x) == x);
  CHECK(shape_of<tree>() == "{i,[^0]}");
}

TEST_CASE("shape") {
  CHECK(shape_of<everything>() ==
        "{b,i,i,f,f,s,y,y<4>,[{i,s}],[i;3],[i],[s],(i),(s),<s:i>,<i:{i,s}>,{i,s},{i,b,f},?i,??i,|i,"
        "s,{i,s}|,t<ms>,p<s>,{i,s},[b]}");
}
