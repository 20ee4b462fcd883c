// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace shop {

/// Longer lines are malformed; see FORMAT.md.
inline constexpr std::size_t longest_line = 4'096;

/// A well-formed order. It never changes, so that all who deal with it share one.
struct order {
  std::uint64_t line = 0;  ///< of the input, from 1
  std::string id;
  std::string customer;
  std::string sku;
  std::int64_t quantity = 0;
  std::string card;
  std::string plant;  ///< empty: none
};
using order_ptr = std::shared_ptr<const order>;

/// Reads one line of the input by the rules of FORMAT.md. Nothing: it is malformed.
std::optional<order> read_order(std::uint64_t line, std::string_view text);

}  // namespace shop
