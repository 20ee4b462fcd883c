// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"

#include <vector>

namespace shop {

/// Where the workers are: on this node or another. A worker that is restarted keeps its
/// address, so that these are filled in once, when the supervisor of the stages starts.
struct stages {
  coppice::ref<look_at> intake;
  coppice::ref<reserve, settled> inventory;
  coppice::ref<charge, settled> payment;
  std::vector<coppice::ref<ship, was_shipped>> shipping;  ///< each takes every order
  coppice::ref<enter, count_up> audit;
};

}  // namespace shop
