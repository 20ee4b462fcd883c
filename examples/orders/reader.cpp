// SPDX-License-Identifier: BSD-3-Clause
#include "reader.hpp"

#include <exception>
#include <utility>

namespace shop {

void reader::on(const next_line& n) {
  idle_.push_back(n.clerk);
  serve();
}

void reader::on(const look_again&) {
  looking_ = false;
  serve();
}

void reader::on(close_shop, coppice::reply_slot<all_ended> slot) {
  closing_.push_back(std::move(slot));
  input_ended_ = true;
  finish_if_all_ended();
}

void reader::serve() {
  // While a look is due, the input is known to be empty: asking clerks need not wait for it, too.
  while (!input_ended_ && !idle_.empty() && !looking_) {
    line l;
    line_source::found found{};
    try {
      found = from_->next(l.text);
    } catch (const std::exception& e) {
      failure_ = e.what();
      found = line_source::found::end;
    }
    if (found == line_source::found::line) {
      l.number = from_->number();
      send(idle_.back(), std::move(l));
      idle_.pop_back();
    } else if (found == line_source::found::nothing_yet) {
      looking_ = true;
      send(self(), look_again{});
    } else {
      input_ended_ = true;
    }
  }
  finish_if_all_ended();
}

void reader::finish_if_all_ended() {
  if (!input_ended_ || idle_.size() < clerks_) return;
  when_done_(failure_);
  for (auto& slot : closing_) slot.answer(all_ended{});
  closing_.clear();
}

}  // namespace shop
