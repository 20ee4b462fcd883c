// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <string_view>
#include <utility>

namespace shop {

/// Whether goods get there.
bool can_be_delivered_to(std::string_view customer);

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

/// The same, for a node where the ledger is not: the clerk beside it writes and looks up. As long
/// as it does not answer, nobody knows whether the order is shipped, and who asked is told so.
class far_shipping : public coppice::actor<ship, was_shipped> {
 public:
  explicit far_shipping(coppice::ref<write_shipped, was_shipped> clerk)
      : clerk_(std::move(clerk)) {}
  coppice::task<coppice::result<verdict>> on(const ship& s);
  coppice::task<coppice::result<shipped_or_not>> on(const was_shipped& q);

 private:
  coppice::ref<write_shipped, was_shipped> clerk_;
};

}  // namespace shop
