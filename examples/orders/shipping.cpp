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

void shipping::started() {
  ledger_->read_back([this](std::uint64_t line, outcome what) {
    if (what == outcome::shipped) remember(line);
  });
}

verdict shipping::on(const ship& s) {
  const order& o = *s.what;
  if (!can_be_delivered_to(o.customer)) return {"undeliverable"};
  crash_if_planted(o.plant, "shipping:before");
  ledger_->append(o.line, o.id, outcome::shipped, {});
  remember(o.line);
  crash_if_planted(o.plant, "shipping:after");
  return {};
}

shipped_or_not shipping::on(const was_shipped& q) const {
  return {q.line < shipped_.size() && shipped_[q.line]};
}

void shipping::remember(std::uint64_t line) {
  if (line >= shipped_.size()) shipped_.resize(std::max<std::size_t>(line + 1, shipped_.size() * 2));
  shipped_[line] = true;
}

}  // namespace shop
