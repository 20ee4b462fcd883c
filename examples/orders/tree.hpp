// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dispatcher.hpp"
#include "effects.hpp"
#include "ledger.hpp"
#include "line_source.hpp"
#include "mishaps.hpp"
#include "open_lines.hpp"
#include "stages.hpp"
#include "witness.hpp"

#include <coppice/supervision/children.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace shop {

/// The tree of the shop, or of a node's part of it: see README.md for the pictures, and why each
/// strategy is where it is.
struct tree {
  std::string input = "-";
  std::string ledger_file = "ledger.jsonl";
  std::uint64_t in_flight = 64;  ///< most orders under way at a time
  dispatcher::done when_done{};
  ledger::broken give_up{};
  witness::losses dead{};

  /// Adds all children that belong on this node: all there are without a cluster, else those of the
  /// node's roles, which are `intake`, `stock` and `shipping`. Throws std::runtime_error if the
  /// input or the ledger cannot be opened, or a role is nobody's.
  void build(coppice::children& top, coppice::cluster* nodes);

  // Given out by `build`. Addresses stay over restarts: they are written once, at the first start,
  // and may be read by any thread afterwards.
  stages at{};
  coppice::ref<open_shop, close_shop> door{};  ///< nobody on a node without intake

  const std::shared_ptr<effects> reserved = std::make_shared<effects>();
  const std::shared_ptr<effects> charged = std::make_shared<effects>();
  const std::shared_ptr<mishaps> vain = std::make_shared<mishaps>();

 private:
  bool here(std::string_view role) const;
  template <class... Es>
  coppice::ref<Es...> elsewhere(std::string_view role, std::string_view worker) const;
  void build_stages(coppice::children& stages, const std::shared_ptr<ledger>& books);
  void build_counter(coppice::children& counter, const std::shared_ptr<ledger>& books,
                     const std::shared_ptr<line_source>& lines,
                     const std::shared_ptr<open_lines>& open);

  coppice::cluster* nodes_ = nullptr;
};

}  // namespace shop
