// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/config/document_private.hpp>

#include <optional>
#include <string_view>

namespace coppice::detail {

/// What toml++ 3.3 must not be given, whether it is TOML or not:
/// - names of many parts, lists in lists in lists: it does not bound the former, and destroys what
///   it has read by recursion, so that half a megabyte of dots overflows the stack;
/// - characters beyond ASCII where a space may stand: for most of them its test whether they are
///   spaces reaches code that it calls unreachable. TOML has none there but in a text of several
///   lines, behind a line that ends with a backslash.
///
/// The text must be UTF-8. Nothing: toml++ may read it.
std::optional<syntax_error> harm_to_parser(std::string_view text);

}  // namespace coppice::detail
