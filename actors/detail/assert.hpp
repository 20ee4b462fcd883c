// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>
#include <cstdlib>

/// Assertions for Coppice's own mistakes: on in release builds too, each with a sentence.
namespace coppice::detail {

[[noreturn]] inline void broken(const char* sentence) noexcept {
  std::fprintf(stderr, "coppice: internal error: %s\n", sentence);
  std::abort();
}

inline void require(bool holds, const char* sentence) noexcept {
  if (!holds) [[unlikely]]
    broken(sentence);
}

}  // namespace coppice::detail
