// SPDX-License-Identifier: BSD-3-Clause
#include "order.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace shop {

namespace {

constexpr std::string_view plants[] = {
    "intake:before", "intake:after",    "inventory:before", "inventory:after", "payment:before",
    "payment:after", "shipping:before", "shipping:after",   "audit:before",    "audit:after"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool all_digits(std::string_view text) { return std::ranges::all_of(text, is_digit); }

void append_utf8(std::uint32_t code, std::string& out) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

/// Reads tokens off the front of a text. What returns false has met something malformed, and the
/// position no longer matters.
class tokens {
 public:
  explicit tokens(std::string_view text) : rest_(text) {}

  bool at_end() {
    skip_space();
    return rest_.empty();
  }

  bool take(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool string(std::string& out) {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const auto c = static_cast<unsigned char>(rest_.front());
      if (c == '"') {
        rest_.remove_prefix(1);
        return true;
      }
      if (c < 0x20) return false;
      if (!(c == '\\' ? escape(out) : character(out))) return false;
    }
    return false;
  }

  bool integer(std::int64_t& out) {
    skip_space();
    const std::size_t sign = rest_.starts_with('-') ? 1 : 0;
    std::size_t end = sign;
    while (end < rest_.size() && is_digit(rest_[end])) ++end;
    if (end == sign || (rest_[sign] == '0' && end > sign + 1)) return false;
    const auto read = std::from_chars(rest_.data(), rest_.data() + end, out);
    rest_.remove_prefix(end);
    return read.ec == std::errc{};
  }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t' || rest_[0] == '\r'))
      rest_.remove_prefix(1);
  }

  /// One character of UTF-8: RFC 3629, section 4.
  bool character(std::string& out) {
    const auto byte = [this](std::size_t i) {
      return i < rest_.size() ? static_cast<unsigned char>(rest_[i]) : 0u;
    };
    const unsigned first = byte(0);
    unsigned least = 0x80, most = 0xbf;  // of the second byte
    if (first == 0xe0) least = 0xa0;     // no overlong forms
    if (first == 0xed) most = 0x9f;      // no surrogates
    if (first == 0xf0) least = 0x90;
    if (first == 0xf4) most = 0x8f;      // nothing above U+10FFFF
    std::size_t size = 0;
    if (first < 0x80) size = 1;
    else if (first >= 0xc2 && first <= 0xdf) size = 2;
    else if (first >= 0xe0 && first <= 0xef) size = 3;
    else if (first >= 0xf0 && first <= 0xf4) size = 4;
    else return false;
    if (size > 1 && (byte(1) < least || byte(1) > most)) return false;
    for (std::size_t i = 2; i < size; ++i)
      if (byte(i) < 0x80 || byte(i) > 0xbf) return false;
    out.append(rest_, 0, size);
    rest_.remove_prefix(size);
    return true;
  }

  bool escape(std::string& out) {
    if (rest_.size() < 2) return false;
    const char kind = rest_[1];
    if (kind == 'u') return unicode_escape(out);
    constexpr std::string_view kinds = "\"\\/bfnrt";
    constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
    const auto which = kinds.find(kind);
    if (which == std::string_view::npos) return false;
    out += meant[which];
    rest_.remove_prefix(2);
    return true;
  }

  bool unicode_escape(std::string& out) {
    std::uint32_t code = 0;
    if (!code_unit(code)) return false;
    if (code >= 0xdc00 && code <= 0xdfff) return false;
    if (code >= 0xd800 && code <= 0xdbff) {
      std::uint32_t low = 0;
      if (!code_unit(low) || low < 0xdc00 || low > 0xdfff) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(code, out);
    return true;
  }

  /// `\uXXXX`
  bool code_unit(std::uint32_t& out) {
    constexpr std::size_t size = 6;
    if (rest_.size() < size || !rest_.starts_with("\\u")) return false;
    const auto read = std::from_chars(rest_.data() + 2, rest_.data() + size, out, 16);
    if (read.ec != std::errc{} || read.ptr != rest_.data() + size) return false;
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
};

/// Reads the fields of one object, each at most once.
class fields {
 public:
  fields(tokens& from, order& to) : from_(from), to_(to) {}

  bool read() {
    if (!from_.take('{')) return false;
    do {
      if (!field()) return false;
    } while (from_.take(','));
    return from_.take('}') && from_.at_end() && order_ && customer_ && sku_ && quantity_ && card_;
  }

 private:
  bool field() {
    std::string name;
    if (!from_.string(name) || !from_.take(':')) return false;
    if (name == "order") return first(order_) && from_.string(to_.id) && good_id();
    if (name == "customer") return first(customer_) && text(to_.customer, 64);
    if (name == "sku") return first(sku_) && text(to_.sku, 32);
    if (name == "quantity") return first(quantity_) && from_.integer(to_.quantity);
    if (name == "card") return first(card_) && from_.string(to_.card) && good_card();
    if (name == "plant") return first(plant_) && from_.string(to_.plant) && good_plant();
    return false;
  }

  static bool first(bool& seen) { return !std::exchange(seen, true); }
  bool text(std::string& out, std::size_t most) {
    return from_.string(out) && !out.empty() && out.size() <= most;
  }
  bool good_id() const {
    return to_.id.starts_with("o-") && to_.id.size() >= 8 && to_.id.size() <= 14 &&
           all_digits(std::string_view{to_.id}.substr(2));
  }
  bool good_card() const { return to_.card.size() == 16 && all_digits(to_.card); }
  bool good_plant() const { return std::ranges::find(plants, to_.plant) != std::end(plants); }

  tokens& from_;
  order& to_;
  bool order_ = false, customer_ = false, sku_ = false, quantity_ = false, card_ = false,
       plant_ = false;
};

}  // namespace

std::optional<order> read_order(std::uint64_t line, std::string_view text) {
  if (text.size() > longest_line) return std::nullopt;
  order read;
  read.line = line;
  tokens from{text};
  if (!fields{from, read}.read()) return std::nullopt;
  return read;
}

}  // namespace shop
