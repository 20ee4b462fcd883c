// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

namespace shop {

/// Knows the catalogue and reserves goods. There is always enough of everything.
class inventory : public coppice::actor<reserve> {
 public:
  verdict on(const reserve& r);

 private:
  std::uint64_t reserved_ = 0;  ///< pieces; starts afresh with each incarnation
};

}  // namespace shop
