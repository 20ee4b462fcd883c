// SPDX-License-Identifier: BSD-3-Clause
#include "scenario.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace orders {
namespace {

using namespace std::string_literals;

constexpr std::size_t longest_line = 4'096;
constexpr std::size_t largest_line = 65'536;
constexpr std::size_t longest_customer = 64;
constexpr std::size_t longest_sku = 32;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
/// The standard's distributions differ between libraries; this does not.
class random {
 public:
  explicit random(std::uint64_t state) : state_(state) {}

  std::uint64_t next() {
    auto z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  /// A number from 0 to `limit` - 1.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }

  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }

  bool one_in(std::size_t chances) { return below(chances) == 0; }

  template <class List>
  const auto& pick(const List& list) {
    return list[below(std::size(list))];
  }

 private:
  std::uint64_t state_;
};

/// Decisions and wording draw from streams of their own, so that the checker needs no text.
enum class stream : std::uint64_t { decisions = 1, wording = 2 };

random draw_for(std::uint64_t seed, std::uint64_t line, stream which) {
  random whole_run{seed};
  random one_line{whole_run.next() ^ line};
  return random{one_line.next() + static_cast<std::uint64_t>(which)};
}

enum class damage : std::size_t {
  not_json,
  truncated,
  wrong_type,
  missing_field,
  unknown_field,
  duplicate_field,
  empty_line,
  empty_field,
  overlong_field,
  bad_order,
  bad_card,
  bad_plant,
  bad_string,
  bad_utf8,
  deep_nesting,
  huge_line,
};

constexpr std::array<std::string_view, 16> damage_names{
    "not_json",       "truncated",       "wrong_type",   "missing_field",
    "unknown_field",  "duplicate_field", "empty_line",   "empty_field",
    "overlong_field", "bad_order",       "bad_card",     "bad_plant",
    "bad_string",     "bad_utf8",        "deep_nesting", "huge_line"};

constexpr std::array<std::string_view, 10> plants{
    "intake:before", "intake:after",    "inventory:before", "inventory:after", "payment:before",
    "payment:after", "shipping:before", "shipping:after",   "audit:before",    "audit:after"};

/// Reasons to refuse a well-formed order, in the order in which the stages find them.
enum class flaw : std::size_t { unknown_sku, bad_quantity, declined, undeliverable };

constexpr std::array<std::string_view, 4> flaw_names{"unknown_sku", "bad_quantity", "declined",
                                                     "undeliverable"};

/// What is decided about a line before its wording.
struct decisions {
  std::optional<damage> damaged;
  std::array<bool, flaw_names.size()> flaws{};
  std::string_view plant;

  [[nodiscard]] bool has(flaw which) const { return flaws[static_cast<std::size_t>(which)]; }

  [[nodiscard]] bool planted(std::string_view stage) const {
    return plant.substr(0, plant.find(':')) == stage;
  }
};

decisions decide(random& draw) {
  decisions d;
  const auto share = draw.below(1'000);
  if (share < 30) {
    d.damaged = static_cast<damage>(draw.below(damage_names.size()));
    if (draw.one_in(4)) d.plant = draw.pick(plants);
  } else if (share < 100) {
    d.flaws[draw.below(d.flaws.size())] = true;
    for (auto& further : d.flaws) further = further || draw.one_in(10);
  } else if (share < 150) {
    d.plant = draw.pick(plants);
    if (draw.one_in(4)) d.flaws[draw.below(d.flaws.size())] = true;
  }
  return d;
}

/// The rules of FORMAT.md: the first stage that refuses or loses the order decides.
ending end_of(const decisions& d) {
  if (d.damaged) return {"refused", "malformed"};
  if (d.plant == "intake:before") return {"lost", "crash_intake"};
  if (d.has(flaw::unknown_sku)) return {"refused", "unknown_sku"};
  if (d.has(flaw::bad_quantity)) return {"refused", "bad_quantity"};
  if (d.planted("inventory")) return {"lost", "crash_inventory"};
  if (d.has(flaw::declined)) return {"refused", "declined"};
  if (d.planted("payment")) return {"lost", "crash_payment"};
  if (d.has(flaw::undeliverable)) return {"refused", "undeliverable"};
  if (d.plant == "shipping:before") return {"lost", "crash_shipping"};
  return {"shipped", ""};
}

std::string order_id(std::uint64_t line) {
  const auto digits = std::to_string(line);
  return "o-" + std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

/// The same string with its first letter written as an escape, where that is ASCII.
std::string escaped(const std::string& quoted_text) {
  constexpr std::string_view hex = "0123456789abcdef";
  const auto first = static_cast<unsigned char>(quoted_text[1]);
  if (first >= 0x80 || first == '\\') return quoted_text;
  return "\"\\u00"s + hex[first / 16] + hex[first % 16] + quoted_text.substr(2);
}

std::string sku_text(random& draw, bool unknown) {
  static const std::vector<std::string> known{"apple-green", "apple-red", "basket", "cider",
                                              "hazelnut",    "honey",     "ladder", "pear",
                                              "plum",        "quince",    "saw",    "walnut"};
  static const std::vector<std::string> others{"apple-blue",
                                               "Pear",
                                               "pear ",
                                               "plums",
                                               "quinc",
                                               "лестница",
                                               "'; drop table goods; --",
                                               std::string(longest_sku, 'w')};
  return draw.pick(unknown ? others : known);
}

std::string quantity_text(random& draw, bool bad) {
  // The larger ones look permitted once cut to 32 or 16 bits.
  static const std::vector<std::string> wrong{"0",
                                              "-1",
                                              "-100",
                                              "101",
                                              "1000",
                                              "2147483648",
                                              "4294967297",
                                              "4294967396",
                                              "65537",
                                              "9223372036854775807",
                                              "-9223372036854775808"};
  if (bad) return draw.pick(wrong);
  if (draw.one_in(20)) return draw.one_in(2) ? "1" : "100";
  return std::to_string(draw.between(1, 100));
}

/// Luhn's check digit (ISO/IEC 7812-1) decides whether a card is good.
std::string card_text(random& draw, bool declined) {
  std::string digits;
  std::size_t sum = 0;
  for (std::size_t i = 0; i < 15; ++i) {
    const auto digit = draw.below(10);
    digits += static_cast<char>('0' + digit);
    const auto doubled = digit * 2;
    sum += i % 2 == 1 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  auto check = (10 - sum % 10) % 10;
  if (declined) check = (check + draw.between(1, 9)) % 10;
  return digits + static_cast<char>('0' + check);
}

std::string customer_text(random& draw, bool embargoed) {
  static const std::vector<std::string> names{
      "Ada",  "Bo",     "Chidi",           "D'Arcy",      "Zoë",      "Łukasz",
      "李雷", "Ólafur", "Ann \"Nan\" Lee", "back\\slash", "atlantis", "limbo@nowhere@home"};
  static const std::vector<std::string> places{
      "@arles", "@bergen", "@cork", "@delft", "@Atlantis", "@limbo.example", "@nowhere else", ""};
  static const std::vector<std::string> embargoed_places{"@atlantis", "@limbo", "@nowhere"};
  const auto place = draw.pick(embargoed ? embargoed_places : places);
  auto name = draw.pick(names);
  if (draw.one_in(40)) name.append(longest_customer - place.size() - name.size(), 'y');
  return name + place;
}

/// A field's name and its value as it stands in the line.
using fields = std::vector<std::pair<std::string, std::string>>;

std::string joined(const fields& all, random& draw, bool spaced) {
  static const std::vector<std::string> blanks{"", " ", "\t", "\r", "  "};
  const auto blank = [&] { return spaced ? draw.pick(blanks) : std::string{}; };
  std::string out;
  // One draw per statement: compilers differ in which operand of a sum they evaluate first.
  const auto put = [&](const std::string& token) {
    out += blank();
    out += token;
  };
  put("{");
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0) put(",");
    put(quoted(all[i].first));
    put(":");
    put(all[i].second);
  }
  put("}");
  put("");
  return out;
}

fields fields_of(const decisions& d, std::uint64_t line, random& draw) {
  fields all{{"order", quoted(order_id(line))},
             {"customer", quoted(customer_text(draw, d.has(flaw::undeliverable)))},
             {"sku", quoted(sku_text(draw, d.has(flaw::unknown_sku)))},
             {"quantity", quantity_text(draw, d.has(flaw::bad_quantity))},
             {"card", quoted(card_text(draw, d.has(flaw::declined)))}};
  if (!d.plant.empty()) all.emplace_back("plant", quoted(d.plant));
  return all;
}

/// A well-formed line, now and then in an unusual but permitted spelling.
std::string well_formed(fields all, random& draw) {
  if (draw.one_in(10)) {
    auto& value = all[draw.below(3)].second;
    value = escaped(value);
  }
  if (draw.one_in(10)) {
    for (std::size_t i = all.size() - 1; i > 0; --i) std::swap(all[i], all[draw.below(i + 1)]);
  }
  auto out = joined(all, draw, draw.one_in(10));
  if (draw.one_in(200)) out.resize(longest_line, ' ');
  return out;
}

std::string not_json(const std::string& good, random& draw) {
  const std::vector<std::string> all{"hello",
                                     "null",
                                     "42",
                                     "[1,2,3]",
                                     "}{",
                                     "{}{}",
                                     "\"order\"",
                                     good + good,
                                     good + ",",
                                     "[" + good + "]",
                                     "\xef\xbb\xbf" + good,
                                     good + " // paid",
                                     good + "\0"s,
                                     "\0"s + good,
                                     "{'order':'o-000001'}",
                                     good.substr(0, good.size() - 1) + ",}",
                                     "order,customer,sku,quantity,card"};
  return draw.pick(all);
}

std::string wrongly_typed(random& draw, bool number) {
  static const std::vector<std::string> for_text{"17", "null", "true", "[\"x\"]", "{\"a\":\"b\"}"};
  static const std::vector<std::string> for_number{
      "\"5\"", "2.5", "5.0",  "1e1", "true", "null", "[5]", "{}",
      "+5",    "05",  "0x10", "NaN", "",     "-",    "5 5", "99999999999999999999"};
  return draw.pick(number ? for_number : for_text);
}

std::string bad_string(random& draw) {
  static const std::vector<std::string> all{
      R"("\q")",           R"("\u12g4")",  R"("\u12")", R"("\ud800")",
      R"("\udc00\ud800")", R"("\ud800x")", "\"a\tb\"",  "\"a\x01\"",
      "\"a\0b\""s,         "\"a\"b\"",     "'a'",       "\"a\\\""};
  return draw.pick(all);
}

std::string bad_utf8(random& draw) {
  static const std::vector<std::string> all{"\xff",
                                            "\x80",
                                            "\xc0\xaf",
                                            "\xc1\xbf",
                                            "\xe2\x82",
                                            "\xe0\x80\xaf",
                                            "\xed\xa0\x80",
                                            "\xed\xbf\xbf",
                                            "\xf0\x80\x80\xaf",
                                            "\xf4\x90\x80\x80",
                                            "\xf5\x80\x80\x80",
                                            "\xf0\x9f\x98",
                                            "\xc3"};
  return "\"a" + draw.pick(all) + "z\"";
}

std::string bad_order(random& draw) {
  static const std::vector<std::string> all{"o-12345",  "x-000001",       "o000001",   "O-000001",
                                            "o-",       "o-00000a",       "o-000001 ", "-o-000001",
                                            "o--00001", "o-1234567890123"};
  return quoted(draw.pick(all));
}

std::string bad_card(random& draw) {
  static const std::vector<std::string> all{"400000000000000",   "40000000000000000",
                                            "4000 0000 0000 00", "400000000000000x",
                                            "-400000000000000",  "card",
                                            "４０００"};
  return quoted(draw.pick(all));
}

std::string bad_plant(random& draw) {
  static const std::vector<std::string> all{"kitchen:before",  "inventory:during",   "payment",
                                            ":after",          "shipping:",          "Audit:before",
                                            "payment:before ", "intake:before:after"};
  return quoted(draw.pick(all));
}

std::string nested(const std::string& good, random& draw) {
  const auto depth = draw.between(1, 1'800);
  const auto inner = std::string(depth, '[') + std::string(depth, ']');
  switch (draw.below(3)) {
    case 0: return inner;
    case 1: return good.substr(0, good.size() - 1) + ",\"more\":" + inner + "}";
    default: return std::string(longest_line, draw.one_in(2) ? '[' : '{');
  }
}

std::string huge(std::string good, random& draw) {
  switch (draw.below(4)) {
    case 0: good.resize(longest_line + 1, ' '); break;
    case 1: good.resize(largest_line, ' '); break;
    case 2: good.insert(0, draw.between(longest_line, largest_line - good.size()), ' '); break;
    default: good.assign(draw.between(longest_line + 1, largest_line), 'x');
  }
  return good;
}

std::string overlong(random& draw, std::size_t limit) {
  return quoted(std::string(draw.one_in(2) ? limit + 1 : draw.between(limit + 1, 1'000), 'z'));
}

/// A line that intake has to refuse.
std::string malformed(damage how, fields all, random& draw) {
  const auto good = joined(all, draw, false);
  const auto some_field = draw.below(5);
  auto& value = all[some_field].second;
  switch (how) {
    case damage::not_json: return not_json(good, draw);
    case damage::truncated: return good.substr(0, draw.between(1, good.size() - 1));
    case damage::wrong_type:
      value = wrongly_typed(draw, all[some_field].first == "quantity");
      break;
    case damage::missing_field: all.erase(all.begin() + static_cast<int>(some_field)); break;
    case damage::unknown_field: all.emplace_back(draw.one_in(2) ? "Card" : "colour", value); break;
    case damage::duplicate_field: all.push_back(fields::value_type{all[some_field]}); break;
    case damage::empty_line: return draw.one_in(2) ? "" : draw.one_in(2) ? "  " : "\r";
    case damage::empty_field: all[draw.below(3)].second = "\"\""; break;
    case damage::overlong_field:
      if (draw.one_in(2)) all[1].second = overlong(draw, longest_customer);
      else all[2].second = overlong(draw, longest_sku);
      break;
    case damage::bad_order: all[0].second = bad_order(draw); break;
    case damage::bad_card: all[4].second = bad_card(draw); break;
    case damage::bad_plant:
      all.resize(5);
      all.emplace_back("plant", bad_plant(draw));
      break;
    case damage::bad_string: all[draw.below(3)].second = bad_string(draw); break;
    case damage::bad_utf8: all[1].second = bad_utf8(draw); break;
    case damage::deep_nesting: return nested(good, draw);
    case damage::huge_line: return huge(good, draw);
  }
  return joined(all, draw, false);
}

decisions decisions_for(std::uint64_t seed, std::uint64_t line) {
  auto draw = draw_for(seed, line, stream::decisions);
  return decide(draw);
}

}  // namespace

std::string problem_with_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seed);
  // A leading zero would make the command line's own reader take it for octal.
  const bool octal = text.size() > 1 && text.front() == '0';
  if (error == std::errc{} && stop == end && !octal) return {};
  return "a seed is a decimal number from 0 to 18446744073709551615, not \"" + text + '"';
}

std::string scenario::text(std::uint64_t line) const {
  const auto d = decisions_for(seed_, line);
  auto draw = draw_for(seed_, line, stream::wording);
  auto all = fields_of(d, line, draw);
  return d.damaged ? malformed(*d.damaged, std::move(all), draw)
                   : well_formed(std::move(all), draw);
}

expectation scenario::expected(std::uint64_t line) const {
  const auto end = end_of(decisions_for(seed_, line));
  const bool past_intake = end.reason != "malformed" && end.reason != "crash_intake";
  return {past_intake ? order_id(line) : "", end};
}

std::string scenario::kind(std::uint64_t line) const {
  const auto d = decisions_for(seed_, line);
  if (d.damaged) {
    return "malformed " + std::string{damage_names[static_cast<std::size_t>(*d.damaged)]};
  }
  const auto first = std::find(d.flaws.begin(), d.flaws.end(), true);
  const auto flawed = first != d.flaws.end();
  const std::string plant{d.plant};
  if (!plant.empty()) return (flawed ? "flawed and planted " : "planted ") + plant;
  if (!flawed) return "valid";
  return "flawed " + std::string{flaw_names[static_cast<std::size_t>(first - d.flaws.begin())]};
}

}  // namespace orders
