// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>
#include <coppice/runtime/node/node.hpp>

#include <string>
#include <vector>

namespace shop {

/// A child that is to be killed. Its supervisor keeps its address over all restarts.
struct target {
  std::string path;   ///< as it was given, from the top downwards: `counter/reader`
  std::string child;  ///< its id; `*` is any
  coppice::supervisor_ref supervisor;
};

/// Finds what paths mean. The error names the paths there are.
coppice::result<std::vector<target>> find_targets(coppice::node& home,
                                                  const std::vector<std::string>& paths);

}  // namespace shop
