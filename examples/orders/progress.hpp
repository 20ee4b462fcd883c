// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "stages.hpp"

#include <coppice/actors/actor.hpp>

#include <chrono>

namespace shop {

struct tick {};

/// Tells once a second, and at the end, how far the shop has come: on standard error. Outcomes
/// are counted by audit, restarts here, by watching the workers: those of this incarnation's time.
class progress : public coppice::actor<tick, coppice::ended> {
 public:
  explicit progress(stages at) : at_(std::move(at)) {}

  coppice::task<> started();
  coppice::task<> on(const tick&);
  void on(const coppice::ended& e);
  coppice::task<> stopping(const coppice::exit_reason&);

 private:
  using clock = std::chrono::steady_clock;

  void print(const totals& t, const char* what, std::uint64_t lines, clock::duration in) const;

  stages at_;
  std::uint64_t restarts_ = 0;
  std::uint64_t at_begin_ = 0;  ///< lines that had ended before this incarnation
  std::uint64_t lines_ = 0;     ///< at the last tick
  clock::time_point begin_ = clock::now();
  clock::time_point last_ = begin_;
};

}  // namespace shop
