// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <coppice/actors/codec/ref_port.hpp>

/// Reads MessagePack that nobody has vouched for.
namespace coppice::detail {

/// A pull reader: the caller says what must come next. Nothing is allocated here; a count is
/// believed only as far as there are bytes for that many values, so that whoever then builds what
/// was announced builds no more than a small multiple of what has arrived.
///
/// The first failure sticks: from then on every call returns false and nothing is left. Not
/// thread-safe; the bytes must outlive the reader and the views it hands out. Throws nothing.
class reader {
 public:
  /// No event that arrives is nested more deeply: each aggregate, container, optional or variant
  /// is one level. What is skipped may be, it costs no memory.
  static constexpr unsigned max_depth = 32;

  /// `budget`: how many bytes may be spent on what is built, see `spend`.
  reader(std::span<const std::byte> from, std::size_t budget, ref_port* refs = nullptr) noexcept
      : at_(from.data()), end_(from.data() + from.size()), budget_(budget), refs_(refs) {}

  bool ok() const noexcept { return !why_; }
  /// Why it failed: a static sentence without a full stop. Null while `ok()`.
  const char* failure() const noexcept { return why_; }
  /// Fails, for a reason that the caller has found. Returns false.
  bool fail(const char* why) noexcept;

  bool nil() noexcept;
  bool boolean(bool& x) noexcept;
  /// Any form of an integer that fits.
  bool integer(std::int64_t& x) noexcept {
    if (at_ != end_ && tag() < 0x80) {
      x = tag();
      ++at_;
      return true;
    }
    return any_integer(x);
  }
  bool unsigned_integer(std::uint64_t& x) noexcept {
    const unsigned first = at_ == end_ ? no_tag : tag();
    if (first < 0x80) {  // positive fixint
      x = first;
      ++at_;
      return true;
    }
    if ((first & 0xfc) == 0xcc) return counted(1u << (first & 3), x);  // uint 8 to uint 64
    return signed_as_unsigned(x);
  }
  /// Single or double precision; no integers.
  bool real(double& x) noexcept {
    std::uint64_t raw = 0;
    if (at_ == end_ || tag() != 0xcb) return single(x);
    if (!counted(8, raw)) return false;
    x = std::bit_cast<double>(raw);
    return true;
  }
  /// A view into the input. What it holds is taken as it is, whether it is UTF-8 or not.
  bool text(std::string_view& x) noexcept {
    if (at_ == end_ || (tag() & 0xe0) != 0xa0) return long_text(x);
    const std::size_t n = tag() & 0x1f;
    ++at_;
    return characters(n, x);
  }
  bool bytes(std::span<const std::byte>& x) noexcept;
  /// `n` values follow: at most as many as bytes are left.
  bool array(std::size_t& n) noexcept {
    if (at_ != end_ && (tag() & 0xf0) == 0x90) {
      n = tag() & 0x0f;
      ++at_;
      return n <= left() || too_many();
    }
    return long_array(n);
  }
  /// `n` keys follow, each with its value.
  bool map(std::size_t& n) noexcept;
  /// Passes over one value, whatever it is, at any depth and in constant memory.
  bool skip() noexcept;

  bool next_is_nil() const noexcept { return at_ != end_ && tag() == 0xc0; }
  /// Takes `bytes` from the budget; fails when it holds fewer. To be asked before building.
  bool spend(std::size_t bytes) noexcept {
    if (bytes > budget_) return fail("what it describes would take more memory than is allowed");
    budget_ -= bytes;
    return true;
  }
  bool spend(std::size_t count, std::size_t bytes_each) noexcept {
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(count, bytes_each, &bytes)) bytes = SIZE_MAX;
    return spend(bytes);
  }
  /// One level down, and up again: to be called around what holds other values.
  bool enter() noexcept { return ++depth_ <= max_depth || fail("it is nested too deeply"); }
  bool leave() noexcept {
    --depth_;
    return true;
  }

  /// Bytes not read yet; none after a failure.
  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  /// All was read, without a failure.
  bool at_end() const noexcept { return at_ == end_ && ok(); }
  ref_port* refs() const noexcept { return refs_; }

 private:
  static constexpr unsigned no_tag = 0xc1;  // begins no value, according to the specification

  unsigned tag() const noexcept { return std::to_integer<unsigned>(*at_); }
  /// Passes over the first byte of a value and takes the number of `width` bytes behind it.
  bool counted(unsigned width, std::uint64_t& x) noexcept {
    if (left() <= width) return fail("it ends too early");
    if (left() < 9) {
      x = 0;
      ++at_;
      for (const std::byte* const stop = at_ + width; at_ != stop; ++at_) x = x << 8 | tag();
      return true;
    }
    std::memcpy(&x, at_ + 1, sizeof x);
    if constexpr (std::endian::native == std::endian::little) x = __builtin_bswap64(x);
    x >>= 64 - 8 * width;
    at_ += 1 + width;
    return true;
  }
  bool characters(std::uint64_t n, std::string_view& x) noexcept {
    if (n > left()) return fail("it ends too early");
    x = {reinterpret_cast<const char*>(at_), static_cast<std::size_t>(n)};
    at_ += n;
    return true;
  }
  bool wrong(const char* expected) noexcept;
  bool too_many() noexcept;
  bool any_integer(std::int64_t& x) noexcept;
  bool signed_as_unsigned(std::uint64_t& x) noexcept;
  bool single(double& x) noexcept;
  bool long_text(std::string_view& x) noexcept;
  bool long_array(std::size_t& n) noexcept;

  const std::byte* at_;
  const std::byte* end_;
  std::size_t budget_;
  ref_port* refs_;
  const char* why_ = nullptr;
  unsigned depth_ = 0;
};

}  // namespace coppice::detail
