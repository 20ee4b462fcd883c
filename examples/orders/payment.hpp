// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "effects.hpp"
#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <utility>

namespace shop {

/// Charges cards.
class payment : public coppice::actor<charge, settled> {
 public:
  explicit payment(std::shared_ptr<effects> charged) : charged_(std::move(charged)) {}
  verdict on(const charge& c);
  void on(const settled& s) { charged_->forget(s.lines); }

 private:
  std::shared_ptr<effects> charged_;
};

}  // namespace shop
