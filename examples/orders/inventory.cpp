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
  const order& o = *r.what;
  if (std::ranges::find(catalogue, o.sku) == std::end(catalogue)) return {"unknown_sku"};
  if (o.quantity < 1 || o.quantity > most_pieces) return {"bad_quantity"};
  crash_if_planted(o.plant, "inventory:before");
  reserved_ += static_cast<std::uint64_t>(o.quantity);
  crash_if_planted(o.plant, "inventory:after");
  return {};
}

}  // namespace shop
