// SPDX-License-Identifier: BSD-3-Clause
#include "intake.hpp"

#include "plant.hpp"

#include <utility>

namespace shop {

looked_at intake::on(const look_at& l) {
  auto read = read_order(l.what.number, *l.what.text);
  if (!read) return {false};
  const auto what = std::make_shared<const order>(std::move(*read));
  crash_if_planted(what->plant, "intake:before");
  send(l.driver, accepted{what});
  crash_if_planted(what->plant, "intake:after");
  return {true};
}

}  // namespace shop
