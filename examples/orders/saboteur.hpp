// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"
#include "targets.hpp"

#include <coppice/actors/actor.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace shop {

/// To itself: see whether it is time.
struct look_around {};
/// To the saboteur: kill nobody any more. Answered when the one in hand has been told of.
struct gone_home {};
struct go_home {
  using reply = gone_home;
};

/// Kills from outside what `--crash` names, one child each time so many lines have ended, and tells
/// on standard error what its supervisor's strategy has made of it: who was stopped and started
/// together with it, and who was not.
///
/// All that it knows it has from where everybody can: from the supervisor's list of children, and
/// from watching them. It does not belong to the tree, so that no restart touches it.
class saboteur : public coppice::actor<look_around, go_home, coppice::interleaved<coppice::ended>> {
 public:
  saboteur(std::vector<target> targets, std::uint64_t lines_between, coppice::ref<count_up> audit)
      : targets_(targets.begin(), targets.end()), lines_between_(lines_between), audit_(audit) {}

  void started();
  coppice::task<> on(const look_around&);
  gone_home on(const go_home&);
  void on(const coppice::ended& e);

 private:
  /// What the notices say of one child since it is watched.
  struct fate {
    std::uint32_t incarnation = 0;  ///< the last that is known to have ended
    std::uint32_t touched = 0;  ///< the first that was killed, or stopped by its supervisor
    bool killed = false;
    bool gone = false;
  };

  coppice::task<> crash(target t);
  coppice::task<bool> kill(coppice::child_info victim);
  coppice::task<bool> all_back(target t, std::string victim);
  void tell(const target& t, const coppice::child_list& of) const;

  std::deque<target> targets_;
  std::uint64_t lines_between_;
  std::uint64_t next_at_ = 0;
  coppice::ref<count_up> audit_;
  std::map<std::string, fate> fates_;  ///< by path
};

}  // namespace shop
