// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/testing/executor.hpp>

#include <cstddef>
#include <string>
#include <vector>

struct ping_here {};

/// A few actors, for what keeps them in tables.
struct actors_here {
  struct idle : coppice::actor<ping_here> {
    void on(const ping_here&) {}
  };
  actors_here() {
    for (const char* id : {"a", "b", "c"}) {
      const auto x = run.system().spawn<idle>({.id = id});
      all.emplace_back(coppice::detail_ref::get(x));
    }
    run.run_until_idle();
  }
  const coppice::detail::cell_ptr& operator[](std::size_t i) const { return all[i]; }

  coppice::testing::executor run{1};
  std::vector<coppice::detail::cell_ptr> all;
};
