// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

/// What the generator and the checker of the orders example agree on. The shop uses none of it:
/// it knows only FORMAT.md, so that a misreading on either side shows as a difference.
namespace orders {

/// Most lines a run may have.
inline constexpr std::uint64_t most_lines = 10'000'000;

/// What is wrong with a seed given on a command line; empty if nothing is.
[[nodiscard]] std::string problem_with_seed(const std::string& text);

/// Where an order ends; `reason` is empty for a shipped one.
struct ending {
  std::string_view outcome;
  std::string_view reason;

  bool operator==(const ending&) const = default;
};

/// Every end an order can come to, in the order reports list them.
inline constexpr std::array<ending, 10> endings{{
    {"shipped", ""},
    {"refused", "malformed"},
    {"refused", "unknown_sku"},
    {"refused", "bad_quantity"},
    {"refused", "declined"},
    {"refused", "undeliverable"},
    {"lost", "crash_intake"},
    {"lost", "crash_inventory"},
    {"lost", "crash_payment"},
    {"lost", "crash_shipping"},
}};

/// What the ledger must say of one line. `order` is empty where no order got past intake.
struct expectation {
  std::string order;
  ending end;
};

/// The orders that a seed stands for. Each line is drawn from the seed and its own number alone:
/// lines can be asked for in any order, and a longer run begins with the shorter one. Same
/// results on every platform. Lines count from 1.
class scenario {
 public:
  explicit scenario(std::uint64_t seed) : seed_(seed) {}

  /// The input line, without the newline at its end; any bytes but a newline may be in it.
  [[nodiscard]] std::string text(std::uint64_t line) const;

  /// Where the line must end.
  [[nodiscard]] expectation expected(std::uint64_t line) const;

  /// What was put into the line, e.g. "valid", "malformed truncated", "planted payment:after".
  [[nodiscard]] std::string kind(std::uint64_t line) const;

 private:
  std::uint64_t seed_;
};

}  // namespace orders
