// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

/// Events for the tests and the fuzzers of the codec, and values of them drawn from a seed.
namespace codec_events {

enum class color : std::uint8_t { red, green, blue };
enum level : std::int16_t { low = -1, high = 1 };

struct money {
  std::int64_t cents = 0;
  std::string currency;
  auto operator<=>(const money&) const = default;
};
struct nothing {
  bool operator==(const nothing&) const = default;
};
/// Holds its own kind.
struct tree {
  int value = 0;
  std::vector<tree> below;
  bool operator==(const tree&) const = default;
};

/// A field of each kind that always has the same bytes. codec_peers_test.py knows them too.
struct ordered {
  bool flag = false;
  std::int8_t tiny = 0;
  std::uint16_t port = 0;
  std::int32_t number = 0;
  std::int64_t large = 0;
  std::uint64_t id = 0;
  color paint{};
  level grade{};
  double real = 0;
  std::string name;
  std::vector<std::byte> raw;
  std::array<std::byte, 4> four{};
  std::vector<money> prices;
  std::array<int, 3> three{};
  std::deque<std::string> queue;
  std::set<std::int32_t> set;
  std::map<std::string, std::int64_t> map;
  std::map<std::uint32_t, std::vector<money>> table;
  std::pair<int, std::string> pair;
  std::tuple<int, bool, double> tuple;
  std::optional<std::int32_t> maybe;
  std::optional<std::optional<bool>> maybe_twice;
  std::variant<std::int32_t, std::string, money, nothing> choice;
  std::chrono::milliseconds wait{};
  std::chrono::sys_seconds when{};
  money total;
  nothing none;
  std::vector<bool> bits;
  tree above;
  bool operator==(const ordered&) const = default;
};

/// What `ordered` leaves out: real numbers of single precision, nodes, hash tables.
struct loose {
  float small = 0;
  char letter = 'a';
  std::list<money> linked;
  std::unordered_set<std::string> words;
  std::unordered_map<std::int64_t, std::string> names;
  std::chrono::duration<double> seconds{};
  std::optional<std::pair<std::string, color>> pair;
  std::vector<std::variant<std::string, std::vector<int>>> choices;
  bool operator==(const loose&) const = default;
};

struct big {
  ordered first;
  loose second;
  std::vector<ordered> more;
  bool operator==(const big&) const = default;
};

/// Draws values; lengths and numbers are small mostly, so that edges come up often.
class dice {
 public:
  explicit dice(std::uint64_t seed) : random_(seed) {}

  std::uint64_t number(std::uint64_t below) { return random_() % below; }
  std::size_t length() { return number(8) == 0 ? number(40) : number(4); }

  template <class T>
    requires std::is_integral_v<T>
  void draw(T& x) {
    // Every magnitude is as likely as any other.
    x = static_cast<T>(random_() >> number(64));
    if (std::is_signed_v<T> && number(2)) x = static_cast<T>(-x);
  }
  void draw(bool& x) { x = number(2); }
  void draw(color& x) { x = static_cast<color>(number(3)); }
  void draw(level& x) { x = number(2) ? low : high; }
  void draw(double& x) { x = static_cast<double>(static_cast<std::int64_t>(random_())) / 65'536.0; }
  void draw(float& x) { x = static_cast<float>(static_cast<std::int32_t>(random_())) / 256.0f; }
  void draw(std::byte& x) { x = static_cast<std::byte>(number(256)); }
  void draw(std::string& x) {
    x.clear();
    for (auto n = length(); n > 0; --n) x += static_cast<char>('a' + number(26));
  }
  template <class R, class P>
  void draw(std::chrono::duration<R, P>& x) {
    R count{};
    draw(count);
    x = std::chrono::duration<R, P>{count};
  }
  void draw(std::chrono::sys_seconds& x) {
    std::chrono::seconds since{};
    draw(since);
    x = std::chrono::sys_seconds{since};
  }
  template <class T, std::size_t N>
  void draw(std::array<T, N>& x) {
    for (T& each : x) draw(each);
  }
  void draw(std::vector<bool>& x) {
    x.clear();
    for (auto n = length(); n > 0; --n) x.push_back(number(2));
  }
  template <class T>
    requires requires(T x) { x.emplace_back(); }
  void draw(T& x) {
    x.clear();
    for (auto n = length(); n > 0; --n) draw(x.emplace_back());
  }
  template <class T>
    requires requires { typename T::key_type; }
  void draw(T& x) {
    x.clear();
    for (auto n = length(); n > 0; --n) {
      typename T::key_type key{};
      draw(key);
      if constexpr (requires { typename T::mapped_type; }) draw(x[key]);
      else x.insert(key);
    }
  }
  template <class T>
  void draw(std::optional<T>& x) {
    x.reset();
    if (number(2)) draw(x.emplace());
  }
  template <class A, class B>
  void draw(std::pair<A, B>& x) {
    draw(x.first), draw(x.second);
  }
  template <class... Ts>
  void draw(std::tuple<Ts...>& x) {
    std::apply([this](auto&... each) { (this->draw(each), ...); }, x);
  }
  template <class... Ts>
  void draw(std::variant<Ts...>& x) {
    draw_alternative(x, number(sizeof...(Ts)), std::index_sequence_for<Ts...>{});
  }
  void draw(money& x) { draw(x.cents), draw(x.currency); }
  void draw(nothing&) {}
  void draw(tree& x) { x = branch(3); }
  void draw(ordered& x) {
    draw(x.flag), draw(x.tiny), draw(x.port), draw(x.number), draw(x.large), draw(x.id);
    draw(x.paint), draw(x.grade), draw(x.real), draw(x.name), draw(x.raw), draw(x.four);
    draw(x.prices), draw(x.three), draw(x.queue), draw(x.set), draw(x.map), draw(x.table);
    draw(x.pair), draw(x.tuple), draw(x.maybe), draw(x.maybe_twice), draw(x.choice);
    draw(x.wait), draw(x.when), draw(x.total), draw(x.none), draw(x.bits), draw(x.above);
  }
  void draw(loose& x) {
    draw(x.small), draw(x.letter), draw(x.linked), draw(x.words), draw(x.names);
    draw(x.seconds), draw(x.pair), draw(x.choices);
  }
  void draw(big& x) { draw(x.first), draw(x.second), draw(x.more); }

  template <class T>
  T drawn() {
    T x{};
    draw(x);
    return x;
  }

 private:
  template <class V, std::size_t... I>
  void draw_alternative(V& x, std::size_t index, std::index_sequence<I...>) {
    ((index == I ? draw(x.template emplace<I>()) : void()), ...);
  }
  tree branch(int depth) {
    tree x;
    draw(x.value);
    if (depth > 0)
      for (auto n = number(3); n > 0; --n) x.below.push_back(branch(depth - 1));
    return x;
  }

  std::mt19937_64 random_;
};

}  // namespace codec_events
