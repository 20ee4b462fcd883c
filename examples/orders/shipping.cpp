// SPDX-License-Identifier: BSD-3-Clause
#include "shipping.hpp"

#include "plant.hpp"

#include <algorithm>
#include <chrono>
#include <string>

namespace shop {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view out_of_reach[] = {"@atlantis", "@limbo", "@nowhere"};
/// Shorter than a driver's: it hears why, instead of nothing.
constexpr auto patience = 2s;

coppice::error no_clerk(const coppice::error& why) {
  return coppice::error{
      coppice::errc::failed, "the ledger has not been asked for certain", {}, why.why()};
}

}  // namespace

bool can_be_delivered_to(std::string_view customer) {
  return std::ranges::none_of(out_of_reach, [&](auto end) { return customer.ends_with(end); });
}

verdict shipping::on(const ship& s) {
  if (!can_be_delivered_to(s.customer)) return {"undeliverable"};
  crash_if_planted(s.plant, "shipping:before");
  if (!has_shipped(s.line)) ledger_->append(s.line, s.order, outcome::shipped, {});
  crash_if_planted(s.plant, "shipping:after");
  return {};
}

shipped_or_not shipping::on(const was_shipped& q) { return {has_shipped(q.line)}; }

coppice::task<coppice::result<verdict>> far_shipping::on(const ship& s) {
  if (!can_be_delivered_to(s.customer)) co_return verdict{"undeliverable"};
  crash_if_planted(s.plant, "shipping:before");
  auto writing = ask(clerk_, write_shipped{s.line, s.order}, patience);
  auto done = co_await writing;
  if (!done) co_return no_clerk(done.error());
  crash_if_planted(s.plant, "shipping:after");
  co_return verdict{};
}

coppice::task<coppice::result<shipped_or_not>> far_shipping::on(const was_shipped& q) {
  auto looking = ask(clerk_, q, patience);
  auto found = co_await looking;
  if (!found) co_return no_clerk(found.error());
  co_return *found;
}

}  // namespace shop
