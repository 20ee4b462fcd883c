// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace shop {

/// Throws if a crash is planted here. A crash is a throw like any other: to the worker's
/// supervisor this one is a `std::runtime_error` that nobody has caught.
inline void crash_if_planted(std::string_view plant, std::string_view here) {
  if (plant == here) throw std::runtime_error("planted crash, " + std::string{here});
}

}  // namespace shop
