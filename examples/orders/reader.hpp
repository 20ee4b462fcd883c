// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"
#include "line_source.hpp"

#include <coppice/actors/actor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace shop {

/// To itself: see whether there is input by now.
struct look_again {};

/// Hands out the lines of the input, one to each clerk that asks for one, so that no more are
/// under way than there are clerks. Waits for input, and so wants a thread of its own.
class reader : public coppice::actor<next_line, close_shop, look_again> {
 public:
  /// Called when the input has ended and all its lines have, or with why it cannot be read.
  using done = std::function<void(const std::optional<std::string>& failure)>;

  reader(std::shared_ptr<line_source> from, std::size_t clerks, done when_done)
      : from_(std::move(from)), clerks_(clerks), when_done_(std::move(when_done)) {}

  void on(const next_line& n);
  void on(const look_again&);
  void on(close_shop, coppice::reply_slot<all_ended> slot);

 private:
  void serve();
  void finish_if_all_ended();

  std::shared_ptr<line_source> from_;
  std::size_t clerks_;
  done when_done_;
  std::vector<coppice::ref<line>> idle_;
  std::vector<coppice::reply_slot<all_ended>> closing_;
  std::optional<std::string> failure_;
  bool input_ended_ = false;
  bool looking_ = false;  ///< a `look_again` is on its way
};

}  // namespace shop
