// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mishaps.hpp"

#include <coppice/actors/actor.hpp>
#include <coppice/runtime/cluster/cluster.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace shop {

/// To itself: what waited for a node that is back has gone on by now.
struct take_stock {
  std::string node;
};

/// Tells on standard error what this node thinks of the others, as it changes; and what was lost
/// meanwhile, once a lost one is back.
class witness : public coppice::actor<coppice::member_changed, take_stock> {
 public:
  /// What is dead by now, in words.
  using losses = std::function<std::string()>;

  witness(coppice::cluster* nodes, losses dead, std::shared_ptr<mishaps> counted)
      : nodes_(nodes), dead_(std::move(dead)), mishaps_(std::move(counted)) {}

  void started() { nodes_->follow(self()); }
  void on(const coppice::member_changed& m);
  void on(const take_stock& t);

 private:
  coppice::cluster* nodes_;
  losses dead_;
  std::shared_ptr<mishaps> mishaps_;
  std::set<std::string> lost_;  ///< nodes that were unreachable and are not up
};

}  // namespace shop
