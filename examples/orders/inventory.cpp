// SPDX-License-Identifier: BSD-3-Clause
#include "inventory.hpp"

#include "plant.hpp"

#include <algorithm>
#include <string_view>

namespace shop {

namespace {

constexpr std::string_view catalogue[] = {"apple-green", "apple-red", "basket", "cider",
                                          "hazelnut",    "honey",     "ladder", "pear",
                                          "plum",        "quince",    "saw",    "walnut"};
constexpr std::int64_t most_pieces = 100;

}  // namespace

verdict inventory::on(const reserve& r) {
  if (std::ranges::find(catalogue, r.sku) == std::end(catalogue)) return {"unknown_sku"};
  if (r.quantity < 1 || r.quantity > most_pieces) return {"bad_quantity"};
  crash_if_planted(r.plant, "inventory:before");
  reserved_->begin(r.line);
  crash_if_planted(r.plant, "inventory:after");
  return {};
}

}  // namespace shop
