// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/system.hpp>
#include <coppice/runtime/wire/exchange.hpp>
#include <coppice/supervision/calls.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace coppice {

/// Finds the actors of a node by their paths: asks its way down the tree of supervisors, and knows
/// the actors that nobody supervises. Any thread; nobody is blocked.
class tree_directory final : public wire::directory {
 public:
  explicit tree_directory(system& home);
  ~tree_directory() override;

  /// The top of the tree, once there is one.
  void plant(supervisor_ref root);
  void find(std::string path, std::function<void(detail::cell_ptr, bool sure)> answer) override;

 private:
  class resolver;
  struct look_up;
  struct state;
  std::shared_ptr<state> state_;
  system& home_;
};

}  // namespace coppice
