// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace coppice::http {

bool is_utf8(std::string_view text);

/// What is no UTF-8 is replaced by U+FFFD: causes hold what an exception said, which may be
/// anything, and JSON has to be UTF-8.
std::string to_utf8(std::string_view text);

/// The JSON object with which everything is refused.
std::string error_body(std::string_view error, std::string_view hint);

}  // namespace coppice::http
