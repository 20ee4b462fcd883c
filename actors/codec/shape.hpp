// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Whether two builds mean the same by an event: compared by the text of its shape.
///
/// The grammar, written without blanks; `docs/internals/codec.md` explains it:
///
///     b                 a boolean
///     i                 an integer of any width, an enum
///     f                 a real number of either precision
///     s                 a text
///     y  y<16>          bytes; exactly 16 of them
///     [x]  [x;4]        a sequence of x; an array of exactly 4
///     (x)  <k:v>        a set; a map
///     ?x                an optional x
///     |a,b|             a variant: one of these, told by its index
///     {a,b,c}           an event, or another aggregate, pair or tuple: its fields in order
///     ^0  ^1            the aggregate that this stands in; the one around that
///     t<ms>  t<s,f>     a duration, counted in whole milliseconds; in seconds as a real number
///     p<ms>             a point in time of the system clock, since 1970, likewise
///     r                 a ref
namespace coppice::detail {

/// Nothing when what is written with `theirs` can be read with `mine` and the other way round: they
/// are equal, or one has fields appended, at any depth. Otherwise a sentence that says where they
/// differ, with what stands here and what there, e.g. "field 2: a text here, an integer there".
/// `theirs` may be anything that somebody sent.
std::optional<std::string> shapes_differ(std::string_view mine, std::string_view theirs);

/// A number for a shape, to compare many of them cheaply: FNV-1a with 64 bits (Fowler, Noll, Vo).
/// Whoever sends shapes can find two with one number: it is no proof of anything.
std::uint64_t fingerprint(std::string_view shape) noexcept;

}  // namespace coppice::detail
