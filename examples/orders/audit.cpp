// SPDX-License-Identifier: BSD-3-Clause
#include "audit.hpp"

#include "plant.hpp"

#include <algorithm>

namespace shop {

void audit::started() {
  ledger_->read_back([this](std::uint64_t line, outcome what) { book(line, what); });
}

entered audit::on(const enter& e) {
  crash_if_planted(e.plant, "audit:before");
  if (!knows(e.line)) {
    if (e.what != outcome::shipped) ledger_->append(e.line, e.order, e.what, e.reason);
    book(e.line, e.what);
  }
  crash_if_planted(e.plant, "audit:after");
  return {};
}

void audit::book(std::uint64_t line, outcome what) {
  if (line >= books_.size()) books_.resize(std::max<std::size_t>(line + 1, books_.size() * 2));
  books_[line] = true;
  switch (what) {
    case outcome::shipped: ++totals_.shipped; break;
    case outcome::refused: ++totals_.refused; break;
    case outcome::lost: ++totals_.lost; break;
  }
}

}  // namespace shop
