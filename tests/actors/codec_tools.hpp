// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <coppice/actors/codec/codec.hpp>

/// What the tests of the codec share.
namespace codec_tools {

using bytes = std::vector<std::byte>;

inline constexpr std::size_t enough = 1 << 20;  ///< a budget

inline std::string hex(std::span<const std::byte> x) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : x) {
    text += digits[std::to_integer<unsigned>(b) >> 4];
    text += digits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

/// Blanks are left out, so that bytes can be grouped.
inline bytes unhex(std::string_view text) {
  bytes all;
  unsigned value = 0, digits = 0;
  for (const char c : text) {
    if (c == ' ') continue;
    value = value << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    if (++digits % 2 == 0) all.push_back(static_cast<std::byte>(value & 0xff));
  }
  return all;
}

template <class T>
bytes encoded(const T& x, coppice::detail::ref_port* refs = nullptr) {
  bytes out;
  coppice::detail::writer to{out, refs};
  coppice::detail::encode(to, x);
  return out;
}

/// Decodes a whole buffer. Why it could not, or an empty text.
template <class T>
std::string decoded(std::span<const std::byte> from, T& into, std::size_t budget = enough) {
  coppice::detail::reader r{from, budget};
  if (!decode(r, into)) return r.failure();
  return r.at_end() ? "" : "something is left over";
}

template <class T>
std::string refusal(std::string_view hexadecimal, std::size_t budget = enough) {
  T x{};
  return decoded(unhex(hexadecimal), x, budget);
}

/// There and back.
template <class T>
T round_trip(const T& x) {
  T back{};
  const std::string why = decoded(encoded(x), back);
  if (!why.empty()) throw why;
  return back;
}

/// What `Old` has written, as `New` reads it.
template <class New, class Old>
New read_as(const Old& x) {
  New back{};
  const std::string why = decoded(encoded(x), back);
  if (!why.empty()) throw why;
  return back;
}

}  // namespace codec_tools
