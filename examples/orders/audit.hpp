// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <vector>

namespace shop {

/// Keeps the books: every line once, whatever its end. Writes the refused and the lost to the
/// ledger; the shipped are there already. Entering a line twice is the same as once, also when
/// the first time was an incarnation ago: what is in the ledger is in the books.
class audit : public coppice::actor<enter, count_up> {
 public:
  explicit audit(std::shared_ptr<ledger> to) : ledger_(std::move(to)) {}
  void started();
  entered on(const enter& e);
  totals on(const count_up&) const { return totals_; }

 private:
  bool knows(std::uint64_t line) const { return line < books_.size() && books_[line]; }
  void book(std::uint64_t line, outcome what);

  std::shared_ptr<ledger> ledger_;
  std::vector<bool> books_;  ///< by line
  totals totals_{};
};

}  // namespace shop
