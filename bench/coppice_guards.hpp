// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "rows.hpp"

/// Our own figures, which no peer has: guards, and what single features cost.
namespace coppice::bench {

void idle_cpu();
void fairness_p99();
void timers();
void cost_ledger();

inline constexpr row<> guards[] = {
    {"idle_cpu", idle_cpu},
    {"fairness_p99", fairness_p99},
    {"timers", timers},
    {"cost_ledger", cost_ledger},
};

/// Answers `--list-guards`; a number is the most the figure may be.
inline constexpr char guard_names[] = "idle_cpu 1\nfairness_p99\ntimers\n";

}  // namespace coppice::bench
