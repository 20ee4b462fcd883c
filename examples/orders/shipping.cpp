// SPDX-License-Identifier: BSD-3-Clause
#include "shipping.hpp"

#include "plant.hpp"

#include <algorithm>
#include <string_view>

namespace shop {

namespace {

constexpr std::string_view out_of_reach[] = {"@atlantis", "@limbo", "@nowhere"};

bool can_be_delivered_to(std::string_view customer) {
  return std::ranges::none_of(out_of_reach, [&](auto end) { return customer.ends_with(end); });
}

}  // namespace

verdict shipping::on(const ship& s) {
  const order& o = *s.what;
  if (!can_be_delivered_to(o.customer)) return {"undeliverable"};
  crash_if_planted(o.plant, "shipping:before");
  if (!has_shipped(o.line)) ledger_->append(o.line, o.id, outcome::shipped, {});
  crash_if_planted(o.plant, "shipping:after");
  return {};
}

shipped_or_not shipping::on(const was_shipped& q) { return {has_shipped(q.line)}; }

}  // namespace shop
