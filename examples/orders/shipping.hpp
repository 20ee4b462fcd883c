// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <vector>

namespace shop {

/// Ships orders, and writes so to the ledger. What has been shipped it knows from there: a new
/// incarnation reads back what earlier ones have written before it answers anything.
class shipping : public coppice::actor<ship, was_shipped> {
 public:
  explicit shipping(std::shared_ptr<ledger> to) : ledger_(std::move(to)) {}
  void started();
  verdict on(const ship& s);
  shipped_or_not on(const was_shipped& q) const;

 private:
  void remember(std::uint64_t line);

  std::shared_ptr<ledger> ledger_;
  std::vector<bool> shipped_;  ///< by line
};

}  // namespace shop
