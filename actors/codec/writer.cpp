// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/writer.hpp>

#include <algorithm>

namespace coppice::detail {

std::byte* writer::grow(std::byte* at, std::size_t n) {
  const auto used = static_cast<std::size_t>(at - out_.data());
  out_.resize(used + std::max(n, used));
  end_ = out_.data() + out_.size();
  return out_.data() + used;
}

/// What is long is not filled with zeros first.
std::byte* writer::append(std::byte* at, std::span<const std::byte> x) {
  close(at);
  out_.insert(out_.end(), x.begin(), x.end());
  return open();
}

std::byte* writer::long_head(std::byte* at, unsigned tag_of_16, std::size_t n) noexcept {
  if (n <= 0xffff) return big_endian(at, tag_of_16, static_cast<std::uint16_t>(n));
  if (n > 0xffff'ffff) ok_ = false;
  return big_endian(at, tag_of_16 + 1, static_cast<std::uint32_t>(n));
}

}  // namespace coppice::detail
