// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
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
    if (at_ != end_ && tag() < 0x80) {
      x = tag();
      ++at_;
      return true;
    }
    return any_unsigned(x);
  }
  /// Single or double precision; no integers.
  bool real(double& x) noexcept;
  /// A view into the input. What it holds is taken as it is, whether it is UTF-8 or not.
  bool text(std::string_view& x) noexcept;
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
  unsigned tag() const noexcept { return std::to_integer<unsigned>(*at_); }
  bool big_endian(unsigned width, std::uint64_t& x) noexcept;
  bool counted(unsigned width, std::uint64_t& n) noexcept;
  bool wrong(const char* expected) noexcept;
  bool too_many() noexcept;
  bool any_integer(std::int64_t& x) noexcept;
  bool any_unsigned(std::uint64_t& x) noexcept;
  bool long_array(std::size_t& n) noexcept;
  bool take(std::uint64_t n, std::span<const std::byte>& x) noexcept;

  const std::byte* at_;
  const std::byte* end_;
  std::size_t budget_;
  ref_port* refs_;
  const char* why_ = nullptr;
  unsigned depth_ = 0;
};

}  // namespace coppice::detail
