// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/target_private.hpp>
#include <coppice/runtime/http/text_private.hpp>

#include <algorithm>
#include <cctype>

namespace coppice::http {

namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Nothing: a bad escape, a control character, or no UTF-8.
std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  if (!is_utf8(out)) return std::nullopt;
  return out;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

std::optional<host_and_port> split_address(std::string_view address) {
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = address.substr(0, colon);
  const std::string_view port = address.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]/ ") != std::string_view::npos) {
    return std::nullopt;
  }
  if (!is_number(port) || std::stoi(std::string{port}) > 65'535) return std::nullopt;
  return host_and_port{std::string{host}, std::string{port}};
}

std::optional<target> parse_target(std::string_view text, std::string& why) {
  if (text.empty() || text.front() != '/') {
    why = "the request's target is no path that begins with a slash";
    return std::nullopt;
  }
  const auto question = text.find('?');
  target t;
  auto path = decode(text.substr(0, question), false);
  if (!path) {
    why = "the path has a wrong % escape, a control character, or is not UTF-8";
    return std::nullopt;
  }
  t.path = std::move(*path);
  if (question == std::string_view::npos) return t;

  std::string_view rest = text.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto key = decode(pair.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::optional<std::string>{std::string{}}
                                                  : decode(pair.substr(equals + 1), true);
    if (!key || !value) {
      why = "the query has a wrong % escape, a control character, or is not UTF-8";
      return std::nullopt;
    }
    if (!t.query.emplace(*key, std::move(*value)).second) {
      why = "the query gives '" + *key + "' twice";
      return std::nullopt;
    }
  }
  return t;
}

bool names_loopback(std::string_view header) {
  const bool bracketed = header.starts_with('[');
  const auto end_of_host = bracketed ? header.find(']') : header.find(':');
  if (bracketed && end_of_host == std::string_view::npos) return false;
  const std::string_view host = header.substr(0, bracketed ? end_of_host + 1 : end_of_host);
  const std::string_view port = header.substr(host.size());
  if (!port.empty() && (port.front() != ':' || !is_number(port.substr(1)))) return false;
  return same_ignoring_case(host, "localhost") || host == "127.0.0.1" || host == "[::1]";
}

bool same_secret(std::string_view given, std::string_view expected) noexcept {
  // `volatile` keeps the compiler from ending the loop at the first difference.
  volatile unsigned char difference = given.size() == expected.size() ? 0 : 1;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const char other = given.empty() ? '\0' : given[i % given.size()];
    difference =
        static_cast<unsigned char>(difference | static_cast<unsigned char>(other ^ expected[i]));
  }
  return difference == 0;
}

std::string_view bearer_token(std::string_view authorization) noexcept {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() <= scheme.size() ||
      !same_ignoring_case(authorization.substr(0, scheme.size()), scheme))
    return {};
  return authorization.substr(scheme.size());
}

}  // namespace coppice::http
