// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"
#include "line_source.hpp"
#include "open_lines.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <optional>
#include <string>

namespace shop {

/// To itself: see whether there is input by now.
struct look_again {};

/// Reads as many lines as it has been asked for. Waits for input, and so wants a thread of its
/// own.
class reader : public coppice::actor<more, no_more, look_again> {
 public:
  reader(std::shared_ptr<line_source> from, std::shared_ptr<open_lines> open)
      : from_(std::move(from)), open_lines_(std::move(open)) {}

  void on(const more& m);
  void on(const no_more& n);
  void on(const look_again&);

 private:
  void read();
  void end(std::optional<std::string> failure);

  std::shared_ptr<line_source> from_;
  std::shared_ptr<open_lines> open_lines_;
  coppice::ref<line, input_ended> to_;
  std::size_t wanted_ = 0;
  bool ended_ = false;
  bool looking_ = false;  ///< a `look_again` is on its way
};

}  // namespace shop
