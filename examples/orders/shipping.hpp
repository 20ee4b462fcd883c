// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>

namespace shop {

/// Ships orders, and writes so to the ledger. What it has shipped it knows from there and nowhere
/// else, so that a new incarnation knows what earlier ones have done.
class shipping : public coppice::actor<ship, was_shipped> {
 public:
  explicit shipping(std::shared_ptr<ledger> to) : ledger_(std::move(to)) {}
  verdict on(const ship& s);
  shipped_or_not on(const was_shipped& q);

 private:
  bool has_shipped(std::uint64_t line) { return ledger_->find(line) == outcome::shipped; }

  std::shared_ptr<ledger> ledger_;
};

}  // namespace shop
