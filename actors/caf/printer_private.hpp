// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

namespace coppice::detail {

/// CAF's `aout` for actors on our schedulers. CAF's own printer has a thread to itself; this one
/// runs on the workers like any other actor, so that a system has no thread of which its
/// scheduler does not know.
class aout_printer final : public caf::event_based_actor {
 public:
  explicit aout_printer(caf::actor_config& config) : event_based_actor(config) {}

  caf::behavior make_behavior() override {
    return {
        [](caf::add_atom, caf::actor_id, const std::string& text) {
          std::fwrite(text.data(), 1, text.size(), stdout);
        },
        [](caf::flush_atom, caf::actor_id) { std::fflush(stdout); },
        [](caf::delete_atom, caf::actor_id) {},
        [](caf::redirect_atom, const std::string&, int) {},
        [](caf::redirect_atom, caf::actor_id, const std::string&, int) {},
    };
  }
};

}  // namespace coppice::detail
