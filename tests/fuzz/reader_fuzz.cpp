// SPDX-License-Identifier: BSD-3-Clause
// Our reader beside an independent one, libmpack: each accepts what the other accepts, and both
// read the same values.

#include <bit>
#include <string>
#include <vector>

#include "fuzz.hpp"

#include <coppice/actors/codec/reader.hpp>

extern "C" {
#include <mpack.h>
}
#undef bool  // which that header makes an unsigned int

using coppice::detail::reader;
using fuzz::require;

namespace {

/// Libmpack's reading of one value: how many bytes it takes, or -1 when it is not well-formed or
/// not whole.
std::ptrdiff_t value_by_peer(const char* data, std::size_t size) {
  // The bytes that each level of nesting takes: no input is too deep.
  const auto depth = static_cast<mpack_uint32_t>(size + 1);
  std::vector<std::max_align_t> memory(MPACK_PARSER_STRUCT_SIZE(depth) / sizeof(std::max_align_t) +
                                       1);
  auto* const parser = reinterpret_cast<mpack_parser_t*>(memory.data());
  mpack_parser_init(parser, depth);
  const char* at = data;
  std::size_t left = size;
  const auto ignore = [](mpack_parser_t*, mpack_node_t*) {};
  if (mpack_parse(parser, &at, &left, ignore, ignore) != MPACK_OK) return -1;
  return at - data;
}

bool same_integer(reader& r, const mpack_token_t& token) {
  if (token.type == MPACK_TOKEN_UINT) {
    std::uint64_t x = 0;
    return r.unsigned_integer(x) && x == mpack_unpack_uint(token);
  }
  std::int64_t x = 0;
  return r.integer(x) && x == mpack_unpack_sint(token);
}

/// Follows libmpack from token to token, as far as both go.
void tokens(const char* data, std::size_t size) {
  reader r{std::as_bytes(std::span(data, size)), 0};
  mpack_tokbuf_t peer;
  mpack_tokbuf_init(&peer);
  mpack_token_t token;
  while (size > 0) {
    if (mpack_read(&peer, &data, &size, &token) != MPACK_OK) {
      require(!r.skip(), "what the peer refuses or finds cut short is no value here");
      return;
    }
    std::size_t n = 0;
    bool flag = false;
    double real = 0;
    std::string_view text;
    std::span<const std::byte> blob;
    switch (token.type) {
      case MPACK_TOKEN_NIL: require(r.next_is_nil() && r.nil(), "nil"); break;
      case MPACK_TOKEN_BOOLEAN:
        require(r.boolean(flag) && flag == (mpack_unpack_boolean(token) != 0), "a boolean");
        break;
      case MPACK_TOKEN_UINT:
      case MPACK_TOKEN_SINT: require(same_integer(r, token), "an integer"); break;
      case MPACK_TOKEN_FLOAT: {
        require(r.real(real), "a real number");
        const double other = mpack_unpack_float_fast(token);
        require(std::bit_cast<std::uint64_t>(real) == std::bit_cast<std::uint64_t>(other) ||
                    (real != real && other != other),
                "the same real number");
        break;
      }
      case MPACK_TOKEN_ARRAY:
        if (!r.array(n)) return require(token.length > size, "an array");
        require(n == token.length, "as many elements");
        break;
      case MPACK_TOKEN_MAP:
        if (!r.map(n)) return require(token.length > size / 2, "a map");
        require(n == token.length, "as many pairs");
        break;
      case MPACK_TOKEN_STR:
      case MPACK_TOKEN_BIN: {
        const bool done = token.type == MPACK_TOKEN_STR ? r.text(text) : r.bytes(blob);
        if (!done) return require(token.length > size, "a text or bytes");
        require(text.size() + blob.size() == token.length, "as many bytes");
        // The peer hands out the content in chunks of its own.
        for (std::size_t seen = 0; seen < token.length; seen += token.length) {
          mpack_token_t chunk;
          require(mpack_read(&peer, &data, &size, &chunk) == MPACK_OK &&
                      chunk.type == MPACK_TOKEN_CHUNK && chunk.length == token.length,
                  "its content");
        }
        break;
      }
      default: return;  // an extension, which nothing of ours reads but `skip`
    }
    require(r.left() == size, "as many bytes are left");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const char* const text = reinterpret_cast<const char*>(data);
  reader r{fuzz::bytes(data, size), 0};
  const std::ptrdiff_t mine =
      r.skip() ? static_cast<std::ptrdiff_t>(size - r.left()) : std::ptrdiff_t{-1};
  if (size > 0) require(mine == value_by_peer(text, size), "both find the same value");
  tokens(text, size);
  return 0;
}
