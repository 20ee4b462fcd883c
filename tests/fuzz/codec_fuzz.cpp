// SPDX-License-Identifier: BSD-3-Clause
// Decodes events from bytes that nobody has vouched for. What decodes is an event: it is written
// again, and what was written is read as the same.

#include <string>
#include <vector>

#include "codec_events.hpp"
#include "fuzz.hpp"

#include <coppice/actors/codec/codec.hpp>

using namespace codec_events;
using namespace coppice::detail;

namespace {

constexpr std::size_t budget = 1 << 20;

std::vector<std::byte> encoded(const auto& x) {
  std::vector<std::byte> out;
  writer to{out};
  encode(to, x);
  return out;
}

/// A number that does not equal itself would make an event differ from itself.
void settle(auto& number) {
  if (number != number) number = {};
}

template <class T>
bool read(std::span<const std::byte> from, T& x) {
  reader r{from, budget};
  const bool done = decode(r, x);
  fuzz::require(done == r.ok(), "decode says what the reader says");
  fuzz::require(r.ok() != (r.failure() != nullptr), "each failure has a sentence");
  return done;
}

/// By bytes: each value has one form only.
template <class T>
void same_bytes(std::span<const std::byte> from) {
  T x, y;
  if (!read(from, x)) return;
  const auto once = encoded(x);
  fuzz::require(read(once, y), "what was written is read");
  fuzz::require(encoded(y) == once, "what was read is written as before");
}

/// By value: a hash table has no order.
void same_value(std::span<const std::byte> from) {
  loose x, y;
  if (!read(from, x)) return;
  settle(x.small);
  if (x.seconds != x.seconds) x.seconds = {};
  fuzz::require(read(encoded(x), y), "what was written is read");
  fuzz::require(x == y, "what was read is what was written");
}

}  // namespace

/// The first byte chooses the event.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto from = fuzz::bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: same_bytes<ordered>(from); break;
    case 1: same_value(from); break;
    case 2: same_bytes<tree>(from); break;
    default: {
      big x;
      if (!read(from, x)) break;
      fuzz::require(read(encoded(x), x), "what was written is read");
    }
  }
  return 0;
}
