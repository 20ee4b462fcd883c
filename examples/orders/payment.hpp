// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

namespace shop {

/// Charges cards.
class payment : public coppice::actor<charge> {
 public:
  verdict on(const charge& c);

 private:
  std::uint64_t charged_ = 0;  ///< cards; starts afresh with each incarnation
};

}  // namespace shop
