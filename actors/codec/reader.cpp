// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/reader.hpp>

/// The first byte of a value tells its type; names and numbers are those of the MessagePack
/// specification, section "Formats".
namespace coppice::detail {

bool reader::fail(const char* why) noexcept {
  if (!why_) why_ = why;
  at_ = end_;
  return false;
}

bool reader::wrong(const char* expected) noexcept {
  return fail(at_ == end_ ? "it ends too early" : expected);
}

bool reader::too_many() noexcept { return fail("a count is larger than what is left"); }

bool reader::nil() noexcept {
  if (!next_is_nil()) return wrong("nil was expected");
  ++at_;
  return true;
}

bool reader::boolean(bool& x) noexcept {
  if (at_ == end_ || (tag() & 0xfe) != 0xc2) return wrong("a boolean was expected");
  x = tag() == 0xc3;
  ++at_;
  return true;
}

bool reader::any_integer(std::int64_t& x) noexcept {
  const unsigned first = at_ == end_ ? no_tag : tag();
  std::uint64_t raw = 0;
  if (first >= 0xe0) {  // negative fixint
    x = static_cast<std::int64_t>(first) - 0x100;
    ++at_;
    return true;
  }
  if ((first & 0xfc) == 0xd0) {  // int 8 to int 64
    const unsigned width = 1u << (first & 3), unused = 64 - 8 * width;
    if (!counted(width, raw)) return false;
    x = static_cast<std::int64_t>(raw << unused) >> unused;
    return true;
  }
  if ((first & 0xfc) != 0xcc) return wrong("an integer was expected");
  if (!counted(1u << (first & 3), raw)) return false;  // uint 8 to uint 64
  if (raw > INT64_MAX) return fail("an integer is out of range");
  x = static_cast<std::int64_t>(raw);
  return true;
}

bool reader::signed_as_unsigned(std::uint64_t& x) noexcept {
  std::int64_t number = 0;
  if (!any_integer(number)) return false;
  if (number < 0) return fail("an integer is out of range");
  x = static_cast<std::uint64_t>(number);
  return true;
}

bool reader::single(double& x) noexcept {
  std::uint64_t raw = 0;
  if (at_ == end_ || tag() != 0xca) return wrong("a real number was expected");
  if (!counted(4, raw)) return false;
  x = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(raw)));
  return true;
}

bool reader::long_text(std::string_view& x) noexcept {
  std::uint64_t n = 0;
  const unsigned first = at_ == end_ ? no_tag : tag();
  if (first < 0xd9 || first > 0xdb) return wrong("a text was expected");
  return counted(1u << (first - 0xd9), n) && characters(n, x);
}

bool reader::bytes(std::span<const std::byte>& x) noexcept {
  std::uint64_t n = 0;
  std::string_view content;
  const unsigned first = at_ == end_ ? no_tag : tag();
  if (first < 0xc4 || first > 0xc6) return wrong("bytes were expected");
  if (!counted(1u << (first - 0xc4), n) || !characters(n, content)) return false;
  x = std::as_bytes(std::span(content));
  return true;
}

bool reader::long_array(std::size_t& n) noexcept {
  std::uint64_t count = 0;
  if (at_ == end_ || (tag() & 0xfe) != 0xdc) return wrong("an array was expected");
  if (!counted(2u << (tag() & 1), count)) return false;
  n = static_cast<std::size_t>(count);
  return count <= left() || too_many();
}

bool reader::map(std::size_t& n) noexcept {
  const unsigned first = at_ == end_ ? no_tag : tag();
  std::uint64_t count = 0;
  if ((first & 0xf0) == 0x80) {
    count = first & 0x0f;
    ++at_;
  } else if (first == 0xde || first == 0xdf) {
    if (!counted(2u << (first & 1), count)) return false;
  } else {
    return wrong("a map was expected");
  }
  n = static_cast<std::size_t>(count);
  return count <= left() / 2 || too_many();
}

bool reader::skip() noexcept {
  // How many values are still to be passed over: what holds others adds them. Each takes a byte at
  // least, so that the sum stays below what is left.
  std::uint64_t pending = 1;
  for (; pending > 0; --pending) {
    if (at_ == end_) return fail("it ends too early");
    const unsigned first = tag();
    std::uint64_t content = 0, values = 0;
    if (first == no_tag) {
      return fail("a byte that begins no value");
    } else if (first < 0x80 || first >= 0xe0 || (first & 0xfc) == 0xc0) {
      ++at_;  // fixint; nil, false, true
    } else if (first < 0x90) {  // fixmap
      values = std::uint64_t{2} * (first & 0x0f);
      ++at_;
    } else if (first < 0xa0) {  // fixarray
      values = first & 0x0f;
      ++at_;
    } else if (first < 0xc0) {  // fixstr
      content = first & 0x1f;
      ++at_;
    } else if (first < 0xc7) {  // bin 8 to bin 32
      if (!counted(1u << (first - 0xc4), content)) return false;
    } else if (first < 0xca) {  // ext 8 to ext 32: a type byte stands before the content
      if (!counted(1u << (first - 0xc7), content)) return false;
      ++content;
    } else if (first < 0xcc) {  // float 32, float 64
      content = 4u << (first - 0xca);
      ++at_;
    } else if (first < 0xd4) {  // uint 8 to uint 64, int 8 to int 64
      content = 1u << (first & 3);
      ++at_;
    } else if (first < 0xd9) {  // fixext 1 to fixext 16
      content = 1 + (1u << (first - 0xd4));
      ++at_;
    } else if (first < 0xdc) {  // str 8 to str 32
      if (!counted(1u << (first - 0xd9), content)) return false;
    } else if (first < 0xde) {  // array 16, array 32
      if (!counted(2u << (first & 1), values)) return false;
    } else {  // map 16, map 32
      if (!counted(2u << (first & 1), values)) return false;
      values *= 2;
    }
    if (content > left()) return fail("it ends too early");
    at_ += content;
    pending += values;
    if (pending - 1 > left()) return too_many();
  }
  return true;
}

}  // namespace coppice::detail
