// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>

namespace shop {

/// Keeps the books: every line once, whatever its end. Writes the refused and the lost to the
/// ledger; the shipped are there already. The ledger is the books, so that entering a line twice
/// is the same as once, also when the first time was an incarnation ago.
class audit : public coppice::actor<enter, count_up> {
 public:
  explicit audit(std::shared_ptr<ledger> to) : ledger_(std::move(to)) {}
  entered on(const enter& e);
  totals on(const count_up&) { return ledger_->count(); }

 private:
  std::shared_ptr<ledger> ledger_;
};

}  // namespace shop
