// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dispatcher.hpp"
#include "ledger.hpp"
#include "line_source.hpp"
#include "open_lines.hpp"
#include "stages.hpp"

#include <coppice/supervision/children.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace shop {

/// The tree of the shop: see README.md for the picture, and why each strategy is where it is.
struct tree {
  std::string input = "-";
  std::string ledger_file = "ledger.jsonl";
  std::uint64_t in_flight = 64;  ///< most orders under way at a time
  dispatcher::done when_done{};
  ledger::broken give_up{};

  /// Adds all children. Throws std::runtime_error if the input or the ledger cannot be opened.
  void build(coppice::children& top);

  // Given out by `build`. Addresses stay over restarts: they are written once, at the first start,
  // and may be read by any thread afterwards.
  stages at{};
  coppice::ref<open_shop, close_shop> door{};

 private:
  void build_stages(coppice::children& stages, const std::shared_ptr<ledger>& books);
  void build_counter(coppice::children& counter, const std::shared_ptr<ledger>& books,
                     const std::shared_ptr<line_source>& lines,
                     const std::shared_ptr<open_lines>& open);
};

}  // namespace shop
