// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "rows.hpp"

/// Our rows about trees of many children.
namespace coppice::bench {

void start();
void stop();
void restart_1000();
void one_for_all();
void million();
void snapshot_beside_ping_pong();

inline constexpr row<> supervision_rows[] = {
    {"start", start},
    {"stop", stop},
    {"restart_1000", restart_1000},
    {"one_for_all", one_for_all},
    {"million", million},
    {"snapshot_beside_ping_pong", snapshot_beside_ping_pong},
};

}  // namespace coppice::bench
