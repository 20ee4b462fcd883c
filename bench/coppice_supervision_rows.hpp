// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "rows.hpp"

/// Our rows about trees of many children.
namespace coppice::bench {

void restart_1000();
void one_for_all();

inline constexpr row<> supervision_rows[] = {
    {"restart_1000", restart_1000},
    {"one_for_all", one_for_all},
};

}  // namespace coppice::bench
