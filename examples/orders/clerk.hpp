// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <utility>

namespace shop {

/// Sits beside the ledger, for a shipping on another node. Writing a line down twice is the same
/// as once.
class clerk : public coppice::actor<write_shipped, was_shipped> {
 public:
  explicit clerk(std::shared_ptr<ledger> to) : ledger_(std::move(to)) {}

  written on(const write_shipped& w) {
    if (!ledger_->find(w.line)) ledger_->append(w.line, w.order, outcome::shipped, {});
    return {};
  }
  shipped_or_not on(const was_shipped& q) { return {ledger_->find(q.line) == outcome::shipped}; }

 private:
  std::shared_ptr<ledger> ledger_;
};

}  // namespace shop
