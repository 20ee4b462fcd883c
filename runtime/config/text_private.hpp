// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/config/keys.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// How things are spelled in error texts, canonical texts and reference files.
namespace coppice::detail {

/// As a TOML text in quotes: control characters, quotes and backslashes escaped, so that it stays
/// one line and reaches no terminal as a command.
std::string quoted(std::string_view text);
/// The same, cut after so many characters: what comes from outside may be long.
std::string shortened(std::string_view text, std::size_t most = 60);

/// As the value stands in a file. Of a choice the word.
std::string to_toml(const key& of, const value& v);
/// `8.0`, the shortest that reads back the same.
std::string to_toml(double number);

/// `a`, `a or b`, `a, b or c`.
std::string listed(const std::vector<std::string>& words, std::string_view last = "or");
/// `1 error`, `2 errors`.
std::string counted(std::size_t n, std::string_view what);

/// The candidate that `word` was probably meant to be: fewest letters changed, left out, added or
/// swapped (optimal string alignment), where that is at most a third of the longer one; or it
/// begins with `word`. Case, `-` and `_` make no difference.
std::optional<std::string_view> nearest(std::string_view word,
                                        const std::vector<std::string_view>& candidates);

/// A whole number and a unit, as people write them: `200 ms`, `5s`, `16 MiB`, `8k`. Nothing if it
/// is something else or does not come out whole in `unit` (milliseconds or bytes).
std::optional<std::int64_t> in_unit(std::string_view text, std::string_view unit);
/// `10 s`, `16 MiB`, for what is long in milliseconds or bytes; nothing if it is clear as it is.
std::string in_larger_unit(std::int64_t n, std::string_view unit);
/// A key without the unit at its end: `heartbeat` of `heartbeat_ms`, `heartbeat_s`.
std::string_view stem(std::string_view key);

/// Where the first byte is that is not UTF-8; `text.size()` if all are.
std::size_t first_not_utf8(std::string_view text);

}  // namespace coppice::detail
