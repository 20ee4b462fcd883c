// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/command/cluster.hpp>

namespace coppice::command {

/// The program `coppice`. Exit codes: 0 done, 1 it could not be done, 2 a wrong command line or
/// cluster file; those of `up` are in launcher.hpp.
int run(int argc, const char* const* argv, const terminal& to);

}  // namespace coppice::command
