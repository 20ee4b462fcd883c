// SPDX-License-Identifier: BSD-3-Clause
// Compares shapes that somebody sent: two texts, with a line's end between them.

#include <string_view>

#include "fuzz.hpp"

#include <coppice/actors/codec/shape.hpp>

using coppice::detail::shapes_differ;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all{reinterpret_cast<const char*>(data), size};
  const auto line = all.find('\n');
  const std::string_view a = all.substr(0, line);
  const std::string_view b = line == all.npos ? "{}" : all.substr(line + 1);
  const auto why = shapes_differ(a, b);
  fuzz::require(why.has_value() == shapes_differ(b, a).has_value(), "both sides agree");
  fuzz::require(!why || (!why->empty() && why->size() < 10'000), "a difference is a sentence");
  fuzz::require(!shapes_differ(a, a), "a shape does not differ from itself");
  return 0;
}
