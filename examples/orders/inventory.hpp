// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "effects.hpp"
#include "events.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <utility>

namespace shop {

/// Knows the catalogue and reserves goods. There is always enough of everything.
class inventory : public coppice::actor<reserve, settled> {
 public:
  explicit inventory(std::shared_ptr<effects> reserved) : reserved_(std::move(reserved)) {}
  verdict on(const reserve& r);
  void on(const settled& s) { reserved_->forget(s.lines); }

 private:
  std::shared_ptr<effects> reserved_;
};

}  // namespace shop
