// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/opinion.hpp>

namespace coppice {

namespace {

void append_hex(std::string& text, std::uint64_t bits) {
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[bits >> shift & 0xf];
}

}  // namespace

std::string to_string(const node_incarnation& incarnation) {
  std::string text;
  append_hex(text, incarnation.high);
  append_hex(text, incarnation.low);
  return text;
}

std::string short_form(const node_incarnation& incarnation) {
  return to_string(incarnation).substr(0, 8);
}

std::string_view name(opinion what) noexcept {
  switch (what) {
    case opinion::unknown: return "unknown";
    case opinion::up: return "up";
    case opinion::suspect: return "suspect";
    case opinion::unreachable: return "unreachable";
    case opinion::left: return "left";
  }
  return "unknown";
}

}  // namespace coppice
