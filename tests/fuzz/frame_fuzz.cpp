// SPDX-License-Identifier: BSD-3-Clause
// Any bytes, cut anywhere: the reader hands over the same as if they had come at once, holds no
// more than it may, and says nothing after it has failed.
#include "fuzz.hpp"

#include <coppice/runtime/wire/frame.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

using namespace coppice::wire;
using fuzz::require;

namespace {

struct heard {
  frame_kind kind;
  std::vector<std::byte> payload;
  friend bool operator==(const heard&, const heard&) = default;
};

struct side {
  limits bounds;
  arrivals in;
  frame_reader reader;
  std::vector<heard> all{};
  unsigned stop_after;

  side(unsigned how, const limits& l)
      : bounds{l}, in{bounds}, reader{(how & 1) != 0}, stop_after{how >> 4} {
    if ((how & 2) != 0) reader.open(in, {});
  }
  void feed(std::span<const std::byte> bytes) {
    const bool failed = reader.failure() != nullptr;
    const std::size_t before = all.size();
    reader.feed(bytes, [&](frame_kind kind, std::span<const std::byte> payload) {
      require(payload.size() <= std::max(bounds.message_bytes, max_frame),
              "a message is longer than it may be");
      all.push_back({kind, {payload.begin(), payload.end()}});
      if (kind == frame_kind::welcome || kind == frame_kind::ready) reader.open(in, {});
      return stop_after == 0 || all.size() < stop_after;
    });
    require(!failed || all.size() == before, "a reader goes on after it has failed");
    require(in.held() <= 2 * bounds.message_bytes, "too much is held");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  limits bounds;
  bounds.message_bytes = 1'000;
  side at_once{data[0], bounds}, in_parts{data[0], bounds};
  const std::size_t step = data[1] + 1u;
  const auto bytes = fuzz::bytes(data + 2, size - 2);
  at_once.feed(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += step)
    in_parts.feed(bytes.subspan(at, std::min(step, bytes.size() - at)));
  require(at_once.all == in_parts.all, "where the bytes are cut makes a difference");
  require(at_once.in.counts() == in_parts.in.counts(), "where the bytes are cut counts");
  require((at_once.reader.failure() == nullptr) == (in_parts.reader.failure() == nullptr),
          "where the bytes are cut decides whether they are wrong");
  return 0;
}
