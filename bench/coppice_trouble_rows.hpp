// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>

/// Our rows between nodes of which one is slow, hangs or is killed.
namespace coppice::bench {

void kill_to_unreachable(std::chrono::seconds);
/// Report `hang_to_unreachable` as well.
void hang_to_suspect(std::chrono::seconds);
void hang_to_suspect_loopback(std::chrono::seconds);
/// Sends for so long.
void slow_receiver(std::chrono::seconds time);

}  // namespace coppice::bench
