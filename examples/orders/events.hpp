// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "ledger.hpp"
#include "order.hpp"

#include <coppice/actors/ref.hpp>

#include <cstdint>
#include <string>

/// All that the actors of the shop say to each other.
namespace shop {

// ---- reader and clerks ------------------------------------------------------------------------

/// From the reader to a clerk: lead this line to its end.
struct line {
  std::uint64_t number;
  std::string text;
};
/// From a clerk to the reader: the last line has ended, give me the next.
struct next_line {
  coppice::ref<line> clerk;
};
/// To the reader: hand out no more lines. Answered when all that were handed out have ended.
struct all_ended {};
struct close_shop {
  using reply = all_ended;
};

// ---- clerks and stages ------------------------------------------------------------------------

/// From intake to the clerk: an order has been read and is handed on.
struct accepted {
  order_ptr what;
};
struct looked_at {
  bool well_formed;
};
struct look_at {
  std::uint64_t line;
  std::string text;
  coppice::ref<accepted> clerk;
  using reply = looked_at;
};

/// What a stage thinks of an order; an empty reason is none against it.
struct verdict {
  std::string refused_because;
};
struct reserve {
  order_ptr what;
  using reply = verdict;
};
struct charge {
  order_ptr what;
  using reply = verdict;
};
struct ship {
  order_ptr what;
  using reply = verdict;
};

struct shipped_or_not {
  bool shipped;
};
struct was_shipped {
  std::uint64_t line;
  using reply = shipped_or_not;
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
