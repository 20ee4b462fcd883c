// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <coppice/actors/actor.hpp>

namespace shop {

/// Reads lines and hands on the orders that are well-formed.
class intake : public coppice::actor<look_at> {
 public:
  looked_at on(const look_at& l);
};

}  // namespace shop
