// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/text_private.hpp>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace coppice::detail {

namespace {

constexpr std::size_t longest_compared = 64;

char folded(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return c == '-' ? '_' : c;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = folded(a[i - 1]) == folded(b[j - 1]);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
          folded(a[i - 2]) == folded(b[j - 1]))
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

bool continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

struct unit_name {
  std::string_view written;
  std::string_view of;
  std::int64_t factor;
};
constexpr unit_name unit_names[] = {
    {"ms", "milliseconds", 1},
    {"msec", "milliseconds", 1},
    {"millis", "milliseconds", 1},
    {"milliseconds", "milliseconds", 1},
    {"s", "milliseconds", 1'000},
    {"sec", "milliseconds", 1'000},
    {"secs", "milliseconds", 1'000},
    {"second", "milliseconds", 1'000},
    {"seconds", "milliseconds", 1'000},
    {"m", "milliseconds", 60'000},
    {"min", "milliseconds", 60'000},
    {"minutes", "milliseconds", 60'000},
    {"h", "milliseconds", 3'600'000},
    {"b", "bytes", 1},
    {"byte", "bytes", 1},
    {"bytes", "bytes", 1},
    {"k", "bytes", 1 << 10},
    {"kb", "bytes", 1'000},
    {"kib", "bytes", 1 << 10},
    {"m", "bytes", 1 << 20},
    {"mb", "bytes", 1'000'000},
    {"mib", "bytes", 1 << 20},
    {"g", "bytes", 1 << 30},
    {"gb", "bytes", 1'000'000'000},
    {"gib", "bytes", 1 << 30},
};

}  // namespace

std::string quoted(std::string_view text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[i];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    } else if (byte == 0xc2 && i + 1 < text.size() &&
               static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      // U+0080 to U+009F are control characters too, to some terminals.
      const auto next = static_cast<unsigned char>(text[++i]);
      out += "\\u00";
      out += hex[next >> 4];
      out += hex[next & 15];
    } else {
      out += text[i];
    }
  }
  return out += '"';
}

std::string shortened(std::string_view text, std::size_t most) {
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end)
    if (!continuation(text[end]) && ++seen > most) break;
  if (end == text.size()) return quoted(text);
  std::string out = quoted(text.substr(0, end));
  out.insert(out.size() - 1, "...");
  return out;
}

std::string to_toml(double number) {
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  std::string out(digits, end);
  if (out.find_first_of(".en") == std::string::npos) out += ".0";
  return out;
}

std::string to_toml(const key& of, const value& v) {
  if (const auto* yes = std::get_if<bool>(&v)) return *yes ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&v))
    return of.words.empty() ? std::to_string(*whole)
                            : quoted(of.words[static_cast<std::size_t>(*whole)]);
  if (const auto* real = std::get_if<double>(&v)) return to_toml(*real);
  if (const auto* text = std::get_if<std::string>(&v)) return quoted(*text);
  std::string out = "[";
  for (const auto& one : std::get<std::vector<std::string>>(v)) {
    if (out.size() > 1) out += ", ";
    out += quoted(one);
  }
  return out += ']';
}

std::string listed(const std::vector<std::string>& words, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 < words.size() ? std::string{", "} : " " + std::string{last} + " ";
    out += words[i];
  }
  return out;
}

std::string counted(std::size_t n, std::string_view what) {
  return std::to_string(n) + ' ' + std::string{what} + (n == 1 ? "" : "s");
}

std::optional<std::string_view> nearest(std::string_view word,
                                        const std::vector<std::string_view>& candidates) {
  if (word.size() > longest_compared) return std::nullopt;
  std::optional<std::string_view> found;
  std::size_t best = longest_compared;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > longest_compared) continue;
    const std::size_t allowed =
        std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    // An abbreviation is as good as one letter wrong.
    const bool begins = word.size() >= 3 && candidate.starts_with(word);
    const std::size_t far = begins ? 1 : distance(word, candidate);
    // What shares not one letter is no slip of the fingers.
    if (far > allowed || far >= best || far >= std::max(word.size(), candidate.size())) continue;
    best = far;
    found = candidate;
  }
  return found;
}

std::optional<std::int64_t> in_unit(std::string_view text, std::string_view unit) {
  constexpr std::int64_t most = std::int64_t{1} << 50;
  std::int64_t n = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), n);
  if (parsed.ec != std::errc{} || n < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  if (text.empty()) return n;
  std::string written{text};
  for (char& c : written) c = folded(c);
  for (const unit_name& name : unit_names)
    if (name.of == unit && name.written == written && n <= most / name.factor)
      return n * name.factor;
  return std::nullopt;
}

std::string in_larger_unit(std::int64_t n, std::string_view unit) {
  struct step {
    std::string_view of, name;
    std::int64_t factor;
  };
  static constexpr step steps[] = {
      {"milliseconds", "h", 3'600'000}, {"milliseconds", "min", 60'000},
      {"milliseconds", "s", 1'000},     {"bytes", "GiB", 1 << 30},
      {"bytes", "MiB", 1 << 20},        {"bytes", "KiB", 1 << 10},
  };
  for (const step& s : steps)
    if (s.of == unit && n >= s.factor && n % s.factor == 0)
      return std::to_string(n / s.factor) + ' ' + std::string{s.name};
  return {};
}

std::string_view stem(std::string_view key) {
  const std::size_t at = key.rfind('_');
  if (at == std::string_view::npos || at == 0) return key;
  std::string last{key.substr(at + 1)};
  for (char& c : last) c = folded(c);
  const auto same = [&last](const unit_name& name) { return name.written == last; };
  return std::any_of(std::begin(unit_names), std::end(unit_names), same) ? key.substr(0, at) : key;
}

std::size_t first_not_utf8(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char first = byte(i);
    std::size_t more = 0;
    // RFC 3629, section 4: the second byte's range keeps out overlong forms and surrogates.
    unsigned char least = 0x80, most = 0xbf;
    if (first < 0x80) {
      ++i;
      continue;
    }
    if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) least = 0xa0;
      if (first == 0xed) most = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) least = 0x90;
      if (first == 0xf4) most = 0x8f;
    } else {
      return i;
    }
    if (i + more >= text.size() || byte(i + 1) < least || byte(i + 1) > most) return i;
    for (std::size_t k = 2; k <= more; ++k)
      if (!continuation(text[i + k])) return i;
    i += more + 1;
  }
  return text.size();
}

}  // namespace coppice::detail
