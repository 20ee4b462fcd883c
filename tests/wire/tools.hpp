// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/frame.hpp>
#include <coppice/runtime/wire/session.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the tests of frames and sessions share.
namespace wire_tools {

using coppice::wire::frame_kind;

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}
inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::vector<std::byte> frame_of(frame_kind kind, std::string_view payload) {
  return coppice::wire::whole_frame(kind, bytes_of(payload));
}
inline std::vector<std::byte> frames(
    std::initializer_list<std::pair<frame_kind, std::string_view>> all) {
  std::vector<std::byte> bytes;
  for (const auto& [kind, payload] : all) {
    const auto one = frame_of(kind, payload);
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  return bytes;
}

/// What a reader hands over, as text: `user:abc`. Longer payloads by their size.
struct listener {
  std::vector<std::string> heard{};
  bool operator()(frame_kind kind, std::span<const std::byte> payload) {
    heard.push_back(std::string{name(kind)} + ':' +
                    (payload.size() > 40 ? std::to_string(payload.size()) : text_of(payload)));
    return true;
  }
};

/// Takes up to `most` bytes from a session, as a link would.
inline std::vector<std::byte> drain(coppice::wire::session& from,
                                    std::size_t most = ~std::size_t{0}, std::size_t spans = 16) {
  std::vector<std::byte> taken;
  std::vector<std::span<const std::byte>> pieces(spans);
  while (taken.size() < most) {
    const std::size_t filled = from.gather(pieces);
    if (filled == 0) break;
    std::size_t now = 0;
    for (std::size_t i = 0; i < filled && taken.size() < most; ++i) {
      const auto part = pieces[i].first(std::min(pieces[i].size(), most - taken.size()));
      taken.insert(taken.end(), part.begin(), part.end());
      now += part.size();
    }
    from.wrote(now);
  }
  return taken;
}

}  // namespace wire_tools
