// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include <coppice/actors/codec/ref_port.hpp>

/// Appends MessagePack to a buffer: each value in the shortest form that holds it, so that equal
/// values are equal bytes.
namespace coppice::detail {

/// The buffer is the caller's, who may look at it between any two calls and keeps its capacity for
/// the next event. Not thread-safe. Throws nothing but what the buffer's growth throws.
class writer {
 public:
  explicit writer(std::vector<std::byte>& out, ref_port* refs = nullptr) noexcept
      : out_(out), refs_(refs) {}
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  void nil() { close(nil(open())); }
  void boolean(bool x) { close(boolean(open(), x)); }
  void integer(std::int64_t x) { close(integer(open(), x)); }
  void unsigned_integer(std::uint64_t x) {
    if (x < 0x80) out_.push_back(static_cast<std::byte>(x));
    else close(unsigned_integer(open(), x));
  }
  void real(double x) { close(real(open(), x)); }
  void real(float x) { close(real(open(), x)); }
  void text(std::string_view x) { close(text(open(), x)); }
  void bytes(std::span<const std::byte> x) { close(bytes(open(), x)); }
  /// `n` values follow.
  void array(std::size_t n) { close(array(open(), n)); }
  /// `n` keys follow, each with its value.
  void map(std::size_t n) { close(map(open(), n)); }

  ref_port* refs() const noexcept { return refs_; }
  /// False when a text or a container was longer than MessagePack can tell, 4 GiB: then what was
  /// written since is worth nothing.
  bool ok() const noexcept { return ok_; }

  /// The same again for a run of values: `open` makes room, each call takes the place where to
  /// write and returns the next one, `close` ends the run. In between the buffer is longer than
  /// what was written, and nobody else may touch it.
  std::byte* open() {
    const std::size_t used = out_.size();
    out_.resize(used + first_room);
    end_ = out_.data() + out_.size();
    return out_.data() + used;
  }
  void close(const std::byte* at) { out_.resize(static_cast<std::size_t>(at - out_.data())); }

  std::byte* nil(std::byte* at) { return byte(room(at, 1), 0xc0); }
  std::byte* boolean(std::byte* at, bool x) { return byte(room(at, 1), x ? 0xc3 : 0xc2); }
  std::byte* unsigned_integer(std::byte* at, std::uint64_t x) {
    at = room(at, 9);
    if (x < 0x80) return byte(at, static_cast<unsigned>(x));
    if (x <= 0xff) return big_endian(at, 0xcc, static_cast<std::uint8_t>(x));
    if (x <= 0xffff) return big_endian(at, 0xcd, static_cast<std::uint16_t>(x));
    if (x <= 0xffff'ffff) return big_endian(at, 0xce, static_cast<std::uint32_t>(x));
    return big_endian(at, 0xcf, x);
  }
  std::byte* integer(std::byte* at, std::int64_t x) {
    if (x >= 0) return unsigned_integer(at, static_cast<std::uint64_t>(x));
    at = room(at, 9);
    if (x >= -0x20) return byte(at, static_cast<unsigned>(x) & 0xff);
    if (x >= INT8_MIN) return big_endian(at, 0xd0, static_cast<std::uint8_t>(x));
    if (x >= INT16_MIN) return big_endian(at, 0xd1, static_cast<std::uint16_t>(x));
    if (x >= INT32_MIN) return big_endian(at, 0xd2, static_cast<std::uint32_t>(x));
    return big_endian(at, 0xd3, static_cast<std::uint64_t>(x));
  }
  std::byte* real(std::byte* at, double x) {
    return big_endian(room(at, 9), 0xcb, std::bit_cast<std::uint64_t>(x));
  }
  std::byte* real(std::byte* at, float x) {
    return big_endian(room(at, 5), 0xca, std::bit_cast<std::uint32_t>(x));
  }
  std::byte* text(std::byte* at, std::string_view x) {
    at = room(at, 5);
    if (x.size() < 0x20) at = byte(at, 0xa0u | static_cast<unsigned>(x.size()));
    else if (x.size() <= 0xff) at = big_endian(at, 0xd9, static_cast<std::uint8_t>(x.size()));
    else at = long_head(at, 0xda, x.size());
    return content(at, std::as_bytes(std::span(x)));
  }
  std::byte* bytes(std::byte* at, std::span<const std::byte> x) {
    at = room(at, 5);
    if (x.size() <= 0xff) at = big_endian(at, 0xc4, static_cast<std::uint8_t>(x.size()));
    else at = long_head(at, 0xc5, x.size());
    return content(at, x);
  }
  std::byte* array(std::byte* at, std::size_t n) {
    at = room(at, 5);
    return n < 0x10 ? byte(at, 0x90u | static_cast<unsigned>(n)) : long_head(at, 0xdc, n);
  }
  std::byte* map(std::byte* at, std::size_t n) {
    at = room(at, 5);
    return n < 0x10 ? byte(at, 0x80u | static_cast<unsigned>(n)) : long_head(at, 0xde, n);
  }

 private:
  static constexpr std::size_t first_room = 64;

  static std::byte* byte(std::byte* at, unsigned x) noexcept {
    *at = static_cast<std::byte>(x);
    return at + 1;
  }
  template <std::unsigned_integral T>
  static std::byte* big_endian(std::byte* at, unsigned tag, T x) noexcept {
    at = byte(at, tag);
    if constexpr (std::endian::native == std::endian::little) {
      if constexpr (sizeof(T) == 2) x = __builtin_bswap16(x);
      if constexpr (sizeof(T) == 4) x = __builtin_bswap32(x);
      if constexpr (sizeof(T) == 8) x = __builtin_bswap64(x);
    }
    std::memcpy(at, &x, sizeof x);
    return at + sizeof x;
  }

  std::byte* room(std::byte* at, std::size_t n) {
    return static_cast<std::size_t>(end_ - at) >= n ? at : grow(at, n);
  }
  std::byte* content(std::byte* at, std::span<const std::byte> x) {
    if (x.size() > static_cast<std::size_t>(end_ - at)) return append(at, x);
    if (!x.empty()) std::memcpy(at, x.data(), x.size());
    return at + x.size();
  }

  std::byte* grow(std::byte* at, std::size_t n);
  std::byte* append(std::byte* at, std::span<const std::byte> x);
  std::byte* long_head(std::byte* at, unsigned tag_of_16, std::size_t n) noexcept;

  std::vector<std::byte>& out_;
  std::byte* end_ = nullptr;
  ref_port* refs_;
  bool ok_ = true;
};

}  // namespace coppice::detail
