// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace coppice {

/// What a full mailbox does with the next event. Whatever is lost is counted; a request that is
/// refused or evicted is answered `overloaded`.
enum class overflow : std::uint8_t {
  reject,       ///< refuse it and tell a sender that asks (`offer`); senders may wait for room
  drop_newest,  ///< drop it; `offer` reports it as taken, so that producers do not slow down
  drop_oldest,  ///< take it; the actor discards its oldest event instead of handling it
};

}  // namespace coppice
