// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "ledger.hpp"
#include "order.hpp"

#include <coppice/actors/ref.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// All that the actors of the shop say to each other. What may go to another node has a name.
namespace shop {

// ---- reader, dispatcher and drivers ------------------------------------------------------------

/// A line of the input, on its way to its end. Its text never changes, so that all share one.
struct line {
  std::uint64_t number;
  std::shared_ptr<const std::string> text;
};
/// From the reader, behind the last line: there are no more, perhaps because of a failure.
struct input_ended {
  std::optional<std::string> failure;
};
/// To the reader: so many lines more.
struct more {
  std::size_t lines;
  coppice::ref<line, input_ended> to;
};
/// To the reader: take up no more lines.
struct no_more {
  coppice::ref<line, input_ended> to;
};
/// Starts a driver, which leads this line to its end.
struct lead {
  line what;
  using reply = coppice::ref<>;
};

/// To the dispatcher: have lines led from now on.
struct open_shop {};
/// To the dispatcher: take up no more lines. Answered when all that were taken up have ended.
struct all_ended {};
struct close_shop {
  using reply = all_ended;
};

// ---- drivers and stages -----------------------------------------------------------------------

/// From intake to the driver: an order has been read and is handed on.
struct accepted {
  order_ptr what;
};
struct looked_at {
  bool well_formed;
};
struct look_at {
  line what;
  coppice::ref<accepted> driver;
  using reply = looked_at;
};

/// What a stage thinks of an order; an empty reason is none against it.
struct verdict {
  std::string refused_because;
};
/// The line is what each of these is known by: asked a second time, a stage has its effect no
/// second time.
struct reserve {
  static constexpr std::string_view name = "shop.reserve";
  std::uint64_t line;
  std::string sku;
  std::int64_t quantity;
  std::string plant;
  using reply = verdict;
};
struct charge {
  static constexpr std::string_view name = "shop.charge";
  std::uint64_t line;
  std::string card;
  std::string plant;
  using reply = verdict;
};
struct ship {
  static constexpr std::string_view name = "shop.ship";
  std::uint64_t line;
  std::string order;
  std::string customer;
  std::string plant;
  using reply = verdict;
};

struct shipped_or_not {
  bool shipped;
};
struct was_shipped {
  static constexpr std::string_view name = "shop.was_shipped";
  std::uint64_t line;
  using reply = shipped_or_not;
};

/// From the dispatcher to inventory and payment: these lines have ended, and nobody will ask about
/// them again.
struct settled {
  static constexpr std::string_view name = "shop.settled";
  std::vector<std::uint64_t> lines;
};

/// From shipping on another node to the clerk on the ledger's: write it down.
struct written {};
struct write_shipped {
  static constexpr std::string_view name = "shop.write_shipped";
  std::uint64_t line;
  std::string order;
  using reply = written;
};

/// How a line has ended, for the books.
struct entered {};
struct enter {
  std::uint64_t line;
  std::string order;
  outcome what;
  std::string reason;
  std::string plant;
  using reply = entered;
};

// ---- progress ---------------------------------------------------------------------------------

struct count_up {
  using reply = totals;
};

}  // namespace shop
