// SPDX-License-Identifier: BSD-3-Clause
#include "audit.hpp"

#include "plant.hpp"

namespace shop {

entered audit::on(const enter& e) {
  crash_if_planted(e.plant, "audit:before");
  if (!ledger_->find(e.line)) ledger_->append(e.line, e.order, e.what, e.reason);
  crash_if_planted(e.plant, "audit:after");
  return {};
}

}  // namespace shop
