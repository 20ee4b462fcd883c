// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/codec.hpp>

#include <any>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <coppice/actors/codec/ref_codec.hpp>

#include "codec_events.hpp"
#include "codec_tools.hpp"
#include "tools.hpp"

using namespace codec_events;
using namespace codec_tools;
using namespace coppice;
using namespace coppice::detail;
using namespace std::chrono_literals;

// Not unnamed: clang would want definitions of conversions that are only asked about.
namespace codec_cases {

// One event as it grows from release to release, alone and at every depth.
struct item_1 {
  std::string sku;
};
struct item_2 {
  std::string sku;
  int quantity = 1;
};
template <class Item>
struct order {
  std::uint64_t id = 0;
  Item first;
  std::vector<Item> items;
  std::map<std::string, Item> by_name;
  std::optional<Item> gift;
  std::variant<int, Item> choice;
  std::pair<Item, int> pair;
  std::array<Item, 2> two;
  std::string note;
};
struct order_3 {
  std::uint64_t id = 0;
};
struct order_4 {
  std::uint64_t id = 0;
  std::string customer = "nobody";
  std::vector<std::string> tags = {"new"};
  std::optional<int> floor = 3;
};

template <class Item>
order<Item> filled(Item x) {
  return {7, x, {x, x}, {{"k", x}}, x, x, {x, 2}, {x, x}, "mind the step"};
}

struct holder {
  std::vector<std::string> texts;
};

/// Throws when it grows too large, as a container of a fixed capacity does.
struct narrow {
  using value_type = int;
  int& emplace_back() {
    if (size_ == 2) throw std::length_error{"full"};
    return values_[size_++];
  }
  int& back() { return values_[size_ - 1]; }
  void clear() { size_ = 0; }
  std::size_t size() const { return size_; }
  const int* begin() const { return values_; }
  const int* end() const { return values_ + size_; }

 private:
  int values_[2] = {};
  std::size_t size_ = 0;
};

/// Every key in one place.
struct careless {
  std::size_t operator()(int) const { return 1; }
};

std::string nested(std::string_view around, int depth, std::string_view inside) {
  std::string all;
  while (depth-- > 0) all += around;
  return all.append(inside);
}

enum opened : std::uint8_t {};
enum unfixed { some };
struct closed {
  explicit closed(int) {}
};
struct with_reference {
  int& to;
};
struct with_array {
  int before;
  char text[4];
};
struct derived : money {
  int more;
};
struct holds_pointer {
  std::vector<std::optional<const char*>> deep;
};

}  // namespace codec_cases
using namespace codec_cases;

TEST_CASE("an event with a field of each kind comes back as it was") {
  CHECK(round_trip(ordered{}) == ordered{});
  CHECK(round_trip(loose{}) == loose{});
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    dice d{seed};
    CAPTURE(seed);
    const auto x = d.drawn<big>();
    CHECK(round_trip(x) == x);
  }
}

TEST_CASE("each type is written as the page about the format says") {
  CHECK(hex(encoded(std::int8_t{-33})) == "d0df");
  CHECK(hex(encoded('\xe9')) == "cce9");
  CHECK(hex(encoded(color::blue)) == "02");
  CHECK(hex(encoded(low)) == "ff");
  CHECK(hex(encoded(1.5f)) == "ca3fc00000");
  CHECK(hex(encoded(1.5)) == "cb3ff8000000000000");
  CHECK(hex(encoded(std::string("ab"))) == "a26162");
  CHECK(hex(encoded(unhex("0102"))) == "c4020102");
  CHECK(hex(encoded(std::array{std::byte{1}})) == "c40101");
  CHECK(hex(encoded(std::vector<std::uint8_t>{1, 2})) == "920102");
  CHECK(hex(encoded(std::vector<bool>{true, false})) == "92c3c2");
  CHECK(hex(encoded(std::set<int>{2, 1})) == "920102");
  CHECK(hex(encoded(std::map<int, bool>{{1, true}})) == "8101c3");
  CHECK(hex(encoded(std::pair{1, true})) == "9201c3");
  CHECK(hex(encoded(std::tuple{})) == "90");
  CHECK(hex(encoded(nothing{})) == "90");
  CHECK(hex(encoded(money{1, "EUR"})) == "9201a3455552");
  CHECK(hex(encoded(std::optional<int>{})) == "c0");
  CHECK(hex(encoded(std::optional{1})) == "01");
  CHECK(hex(encoded(std::variant<int, bool>{true})) == "9201c3");
  CHECK(hex(encoded(1500ms)) == "cd05dc");
  CHECK(hex(encoded(std::chrono::duration<double>{0.5})) == "cb3fe0000000000000");
  CHECK(hex(encoded(std::chrono::sys_days{std::chrono::days{2}})) == "02");
}

TEST_CASE("an optional that may hold nothing twice tells the two apart") {
  using twice = std::optional<std::optional<int>>;
  CHECK(hex(encoded(twice{})) == "c0");
  CHECK(hex(encoded(twice{std::optional<int>{}})) == "91c0");
  CHECK(hex(encoded(twice{std::optional{5}})) == "9105");
  for (const twice& x : {twice{}, twice{std::optional<int>{}}, twice{std::optional{5}}})
    CHECK(round_trip(x) == x);
  CHECK(refusal<twice>("920501") == "an array of one was expected");
  CHECK(refusal<twice>("05") == "an array was expected");
}

TEST_CASE("real numbers without a value keep being that") {
  CHECK(round_trip(INFINITY) == INFINITY);
  CHECK(round_trip(-HUGE_VAL) == -HUGE_VAL);
  CHECK(std::isnan(round_trip(std::nan(""))));
  CHECK(std::isnan(round_trip(std::nanf(""))));
  CHECK(std::signbit(round_trip(-0.0)));
}

TEST_CASE("a newer build reads an older one's event, with defaults for what it does not know") {
  const auto x = read_as<order<item_2>>(filled(item_1{"nails"}));
  CHECK(x.id == 7);
  CHECK(x.first.sku == "nails");
  CHECK(x.first.quantity == 1);
  CHECK(x.items.size() == 2);
  CHECK(x.items[1].sku == "nails");
  CHECK(x.items[1].quantity == 1);
  CHECK(x.by_name.at("k").quantity == 1);
  CHECK(x.gift->quantity == 1);
  CHECK(std::get<1>(x.choice).quantity == 1);
  CHECK(x.pair.first.quantity == 1);
  CHECK(x.pair.second == 2);
  CHECK(x.two[1].sku == "nails");
  CHECK(x.note == "mind the step");
}

TEST_CASE("an older build reads a newer one's event, and skips what it does not know") {
  const auto x = read_as<order<item_1>>(filled(item_2{"nails", 12}));
  CHECK(x.first.sku == "nails");
  CHECK(x.items[1].sku == "nails");
  CHECK(x.by_name.at("k").sku == "nails");
  CHECK(x.gift->sku == "nails");
  CHECK(std::get<1>(x.choice).sku == "nails");
  CHECK(x.pair.first.sku == "nails");
  CHECK(x.pair.second == 2);
  CHECK(x.two[1].sku == "nails");
  CHECK(x.note == "mind the step");
}

TEST_CASE("fields appended to an event keep what their initialisers say") {
  const auto x = read_as<order_4>(order_3{9});
  CHECK(x.id == 9);
  CHECK(x.customer == "nobody");
  CHECK(x.tags == std::vector<std::string>{"new"});
  CHECK(x.floor == 3);
  CHECK(read_as<order_3>(order_4{9, "me", {"a", "b"}, {}}).id == 9);
  CHECK(read_as<order_4>(nothing{}).customer == "nobody");
  CHECK_NOTHROW(read_as<nothing>(ordered{}));
}

TEST_CASE("two builds that the shapes call compatible read each other's events") {
  const auto compatible = []<class A, class B>(const A&, const B&) {
    return !shapes_differ(shape_of<A>(), shape_of<B>());
  };
  CHECK(compatible(order<item_1>{}, order<item_2>{}));
  CHECK(compatible(order<item_2>{}, order<item_1>{}));
  CHECK(compatible(order_3{}, order_4{}));
  CHECK_FALSE(compatible(order_3{}, item_1{}));
}

TEST_CASE("the shape of each type is what shape.hpp says") {
  CHECK(shape_of<ordered>() ==
        "{b,i,i,i,i,i,i,i,f,s,y,y<4>,[{i,s}],[i;3],[s],(i),<s:i>,<i:[{i,s}]>,{i,s},{i,b,f},?i,??b,"
        "|i,s,{i,s},{}|,t<ms>,p<s>,{i,s},{},[b],{i,[^0]}}");
  CHECK(shape_of<loose>() == "{f,i,[{i,s}],(s),<i:s>,t<s,f>,?{s,i},[|s,[i]|]}");
  CHECK(shape_of<big>() ==
        "{" + shape_of<ordered>() + "," + shape_of<loose>() + ",[" + shape_of<ordered>() + "]}");
  CHECK(shape_of<std::chrono::nanoseconds>() == "t<ns>");
  CHECK(shape_of<std::chrono::minutes>() == "t<min>");
  CHECK(shape_of<std::chrono::duration<int, std::ratio<2, 7>>>() == "t<2/7>");
  CHECK(shape_of<std::chrono::sys_days>() == "p<d>");
  CHECK(shape_of<ref<ordered>>() == "r");
}

TEST_CASE("a type that holds its own kind has a finite shape") {
  struct forest;
  struct trunk {
    std::vector<forest> around;
    std::vector<trunk> beside;
  };
  struct forest {
    int id;
    std::map<std::string, trunk> trunks;
  };
  CHECK(shape_of<forest>() == "{i,<s:{[^1],[^0]}>}");
  CHECK(shape_of<trunk>() == "{[{i,<s:^1>}],[^0]}");
}

TEST_CASE("a number that does not fit its field is refused") {
  constexpr const char* out_of_range = "an integer is out of range";
  CHECK(refusal<std::int8_t>("7f").empty());
  CHECK(refusal<std::int8_t>("cc80") == out_of_range);
  CHECK(refusal<std::int8_t>("d080").empty());
  CHECK(refusal<std::int8_t>("d1ff7f") == out_of_range);
  CHECK(refusal<std::uint8_t>("ccff").empty());
  CHECK(refusal<std::uint8_t>("cd0100") == out_of_range);
  CHECK(refusal<std::uint8_t>("ff") == out_of_range);
  CHECK(refusal<std::uint16_t>("ce00010000") == out_of_range);
  CHECK(refusal<std::int32_t>("ce80000000") == out_of_range);
  CHECK(refusal<std::int64_t>("cf8000000000000000") == out_of_range);
  CHECK(refusal<std::uint64_t>("d3ffffffffffffffff") == out_of_range);
  CHECK(refusal<char>("ccff").empty());
  CHECK(refusal<char>("cd0100") == out_of_range);
  CHECK(refusal<float>("cb47f0000000000000") == "a real number is out of range");
  CHECK(refusal<float>("cb3fb999999999999a").empty());
  CHECK(refusal<std::chrono::duration<std::int8_t>>("cc80") == out_of_range);
}

TEST_CASE("an enumerator that is not known here is taken if its number fits") {
  color x{};
  CHECK(decoded(unhex("ccff"), x).empty());
  CHECK(static_cast<int>(x) == 255);
  CHECK(refusal<color>("cd0100") == "an integer is out of range");
  CHECK(refusal<level>("d18000").empty());
  CHECK(refusal<level>("ce00010000") == "an integer is out of range");
  enum class yes_or_no : bool { no, yes };
  CHECK(round_trip(yes_or_no::yes) == yes_or_no::yes);
  CHECK(refusal<yes_or_no>("02") == "an integer is out of range");
}

TEST_CASE("a field of another type is refused, with what was expected") {
  CHECK(refusal<money>("01") == "an array was expected");
  CHECK(refusal<money>("9201c3") == "a text was expected");
  CHECK(refusal<money>("92c301") == "an integer was expected");
  CHECK(refusal<bool>("01") == "a boolean was expected");
  CHECK(refusal<double>("01") == "a real number was expected");
  CHECK(refusal<std::vector<std::byte>>("a161") == "bytes were expected");
  CHECK(refusal<std::map<int, int>>("90") == "a map was expected");
  CHECK(refusal<std::set<int>>("80") == "an array was expected");
  CHECK(refusal<std::array<int, 2>>("9101") == "an array of another length was expected");
  CHECK(refusal<std::array<int, 0>>("90").empty());
  CHECK(refusal<std::array<std::byte, 2>>("c40101") == "bytes of another length were expected");
}

TEST_CASE("a variant's alternative is known or refused") {
  using choice = std::variant<int, std::string>;
  CHECK(refusal<choice>("9201a161").empty());
  CHECK(refusal<choice>("9202a161") == "a variant holds an alternative that is unknown");
  CHECK(refusal<choice>("92cfffffffffffffffffa161") ==
        "a variant holds an alternative that is unknown");
  CHECK(refusal<choice>("92ff01") == "an integer is out of range");
  CHECK(refusal<choice>("9101") == "a variant's array of two was expected");
  CHECK(refusal<choice>("93000101") == "a variant's array of two was expected");
  CHECK(refusal<choice>("920001").empty());
  CHECK(refusal<choice>("920101") == "a text was expected");
}

TEST_CASE("a key that stands there twice is refused") {
  constexpr const char* twice = "a key stands there twice";
  CHECK(refusal<std::set<int>>("92 02 01").empty());
  CHECK(refusal<std::set<int>>("92 01 01") == twice);
  CHECK(refusal<std::map<int, bool>>("82 01c2 01c3") == twice);
  CHECK(refusal<std::unordered_set<int>>("93 01 02 01") == twice);
  CHECK(refusal<std::unordered_map<std::string, int>>("82 a16b01 a16b01") == twice);
}

TEST_CASE("keys that were chosen to fall into one place of a hash table are refused") {
  const auto table = [](std::uint64_t step) {
    bytes out;
    writer to{out};
    to.array(20'000);
    for (std::uint64_t i = 0; i < 20'000; ++i) to.unsigned_integer(i * step);
    std::unordered_set<std::uint64_t> x;
    return decoded(out, x, 100 * enough);
  };
  CHECK(table(1).empty());
  CHECK(table(4096).empty());
  std::unordered_set<std::uint64_t> as_large;
  for (std::uint64_t i = 0; i < 20'000; ++i) as_large.insert(i);
  CHECK(table(as_large.bucket_count()) == "too many keys fall into one place of a hash table");

  std::unordered_set<int, careless> x;
  for (int i = 0; i < 128; ++i) x.insert(i);
  CHECK(round_trip(x) == x);
}

TEST_CASE("what an event may occupy is decided before it is built") {
  constexpr const char* too_much = "what it describes would take more memory than is allowed";
  const std::string a_hundred = "d964" + nested("61", 100, "");
  CHECK(refusal<std::string>(a_hundred, 200).empty());
  CHECK(refusal<std::string>(a_hundred, 99) == too_much);
  CHECK(refusal<std::vector<std::byte>>("c403010203", 2) == too_much);
  CHECK(refusal<std::vector<money>>("93 90 90 90", 3 * sizeof(money)).empty());
  CHECK(refusal<std::vector<money>>("93 90 90 90", 3 * sizeof(money) - 1) == too_much);
  CHECK(refusal<std::list<int>>("93 01 01 01", 60) == too_much);
  CHECK(refusal<std::set<int>>("93 01 02 03", 60) == too_much);
  CHECK(refusal<std::map<int, int>>("82 0101 0202", 60) == too_much);
  CHECK(refusal<holder>("91 93 a0 a0 a0", 2 * sizeof(std::string)) == too_much);
  // A count alone builds nothing.
  CHECK(refusal<holder>("91 dd00ffffff a0") == "a count is larger than what is left");
}

TEST_CASE("what is nested more deeply than 32 is refused, and so is what is built to be") {
  constexpr const char* too_deep = "it is nested too deeply";
  const auto depth = [](int n) { return nested("920091", n, "9100"); };  // two levels each
  CHECK(refusal<tree>(depth(15)).empty());
  CHECK(refusal<tree>(depth(16)) == too_deep);
  CHECK(refusal<tree>(depth(100'000)) == too_deep);
  // As the tail that is not known here, it is skipped.
  CHECK(refusal<order_3>("9209" + depth(100'000)).empty());
}

TEST_CASE("a type that throws while it is built is refused, not thrown through") {
  CHECK(refusal<narrow>("920102").empty());
  CHECK(refusal<narrow>("93010203") ==
        "it could not be built: there is no memory, or a constructor threw");
}

TEST_CASE("after the event its reader goes on with what follows") {
  bytes out;
  writer to{out};
  to.integer(-5);
  encode(to, money{1, "EUR"});
  encode(to, std::string("end"));
  CHECK(hex(out) == "fb9201a3455552a3656e64");
  reader from{out, enough};
  std::int64_t number = 0;
  money m;
  std::string end;
  CHECK(from.integer(number));
  CHECK(decode(from, m));
  CHECK_FALSE(from.at_end());
  CHECK(decode(from, end));
  CHECK(from.at_end());
  CHECK(m == money{1, "EUR"});
  CHECK(end == "end");
}

TEST_CASE("mutated events are read or refused, and those that are read are events") {
  constexpr int rounds = 300'000;
  dice d{7};
  std::vector<bytes> originals;
  for (int i = 0; i < 50; ++i) originals.push_back(encoded(d.drawn<ordered>()));
  int read = 0;
  for (int i = 0; i < rounds; ++i) {
    bytes x = originals[d.number(originals.size())];
    for (auto n = 1 + d.number(4); n > 0; --n) x[d.number(x.size())] = d.drawn<std::byte>();
    if (d.number(4) == 0) x.resize(d.number(x.size()));
    ordered out;
    reader from{x, 65'536};
    if (!decode(from, out)) {
      CHECK_FALSE(from.ok());
      continue;
    }
    ++read;
    // By bytes, because a mutation may have made a number that equals none.
    const bytes again = encoded(out);
    ordered twice;
    if (!decoded(again, twice).empty() || encoded(twice) != again) FAIL("round " << i);
  }
  MESSAGE(rounds << " mutated events: " << read << " read, " << rounds - read << " refused");
  CHECK(read > rounds / 100);
  CHECK(read < rounds);
}

TEST_CASE("what can travel is known when compiled") {
  CHECK(encodable<big>);
  CHECK(encodable<tree>);
  CHECK(encodable<ref<ordered>>);
  CHECK(encodable<std::vector<std::optional<ref<money>>>>);
  CHECK(encodable<std::vector<opened>>);
  CHECK(encodable<std::variant<std::monostate, int>>);
  CHECK(encodable<char32_t>);

  CHECK_FALSE(encodable<int*>);
  CHECK_FALSE(encodable<int&>);
  CHECK_FALSE(encodable<const int>);
  CHECK_FALSE(encodable<std::nullptr_t>);
  CHECK_FALSE(encodable<long double>);
  CHECK_FALSE(encodable<std::string_view>);
  CHECK_FALSE(encodable<std::span<const int>>);
  CHECK_FALSE(encodable<std::wstring>);
  CHECK_FALSE(encodable<std::shared_ptr<int>>);
  CHECK_FALSE(encodable<std::unique_ptr<int>>);
  CHECK_FALSE(encodable<std::weak_ptr<int>>);
  CHECK_FALSE(encodable<std::function<void()>>);
  CHECK_FALSE(encodable<void (*)()>);
  CHECK_FALSE(encodable<std::any>);
  CHECK_FALSE(encodable<unfixed>);
  CHECK_FALSE(encodable<closed>);
  CHECK_FALSE(encodable<std::optional<closed>>);
  CHECK_FALSE(encodable<with_reference>);
  CHECK_FALSE(encodable<with_array>);
  CHECK_FALSE(encodable<derived>);
  CHECK_FALSE(encodable<holds_pointer>);
  CHECK_FALSE(encodable<std::multimap<int, int>>);
  CHECK_FALSE(encodable<std::chrono::steady_clock::time_point>);
  CHECK_FALSE(encodable<std::exception_ptr>);
  const auto lambda = [] {};
  CHECK_FALSE(encodable<std::remove_const_t<decltype(lambda)>>);
}

namespace codec_cases {

struct ping {};
class listener : public actor<ping> {
 public:
  void on(const ping&) {}
};

struct letter {
  std::string text;
  ref<ping> from;
  std::optional<ref<ping>> copy;
  std::vector<ref<ping>> others;
};

/// Refs as positions in a list.
class list_port final : public ref_port {
 public:
  explicit list_port(std::vector<ref<ping>> known) : known_(std::move(known)) {}
  void write(writer& to, cell* target) override {
    for (std::size_t i = 0; i < known_.size(); ++i)
      if (detail_ref::get(known_[i]) == target) {
        to.array(2);
        to.text(std::string(100, 'x'));
        to.unsigned_integer(i);
      }
  }
  cell_ptr read(reader& from) override {
    std::size_t n = 0;
    std::string_view text;
    std::uint64_t i = 0;
    if (!from.array(n) || !from.text(text) || !from.unsigned_integer(i)) return {};
    if (i >= known_.size()) {
      from.fail("nobody is there");
      return {};
    }
    return cell_ptr{detail_ref::get(known_[i])};
  }

 private:
  std::vector<ref<ping>> known_;
};

}  // namespace codec_cases

TEST_CASE("refs in events travel through the one who knows the session") {
  testing::executor run{1};
  const auto a = run.system().spawn<listener>({.id = "a"});
  const auto b = run.system().spawn<listener>({.id = "b"});
  list_port port{{a, b}};
  const letter x{"hello", b, ref<ping>{}, {a, {}, b}};
  const bytes all = encoded(x, &port);
  reader from{all, enough, &port};
  letter back;
  REQUIRE(decode(from, back));
  CHECK(from.at_end());
  CHECK(back.text == "hello");
  CHECK(back.from == b);
  REQUIRE(back.copy);
  CHECK(*back.copy == ref<ping>{});
  CHECK(back.others == x.others);

  bytes other = all;
  other[other.size() - 1] = std::byte{2};
  reader wrong{other, enough, &port};
  CHECK_FALSE(decode(wrong, back));
  CHECK(wrong.failure() == std::string("nobody is there"));
}

TEST_CASE("without a session a ref travels as nobody, and none can arrive") {
  testing::executor run{1};
  const auto a = run.system().spawn<listener>({.id = "a"});
  const bytes all = encoded(letter{"hello", a, {}, {}});
  CHECK(hex(all) == "94a568656c6c6fc0c090");
  letter back;
  CHECK(decoded(all, back).empty());
  CHECK_FALSE(back.from);
  CHECK(refusal<letter>("94a16101c090") == "a ref came to where none can be found");
}

TEST_CASE("a variant that a throw has left empty is refused where it arrives, and is one value") {
  std::variant<int, std::map<int, int>> x = 1;
  struct bad {
    operator std::map<int, int>() { throw 1; }
  };
  CHECK_THROWS(x.emplace<1>(bad{}));
  REQUIRE(x.valueless_by_exception());
  const bytes all = encoded(x);
  reader passing{all, 0};
  CHECK(passing.skip());
  CHECK(passing.at_end());
  CHECK(decoded(all, x) == "a variant holds an alternative that is unknown");
}
