// SPDX-License-Identifier: BSD-3-Clause
#include "reader.hpp"

#include <exception>
#include <utility>

namespace shop {

void reader::on(const more& m) {
  to_ = m.to;
  wanted_ += m.lines;
  read();
}

void reader::on(const no_more& n) {
  to_ = n.to;
  end({});
}

void reader::on(const look_again&) {
  looking_ = false;
  read();
}

void reader::read() {
  // While a look is due, the input is known to be empty: who asks need not wait for it, too.
  while (!ended_ && wanted_ > 0 && !looking_) {
    std::string text;
    line_source::found found{};
    try {
      found = from_->next(text);
    } catch (const std::exception& e) {
      end(e.what());
      return;
    }
    if (found == line_source::found::line) {
      const line l{from_->number(), std::make_shared<const std::string>(std::move(text))};
      open_lines_->enter(l);  // before anybody else knows of it: now it cannot be lost
      send(to_, l);
      --wanted_;
    } else if (found == line_source::found::nothing_yet) {
      looking_ = true;
      send(self(), look_again{});
    } else {
      end({});
    }
  }
}

void reader::end(std::optional<std::string> failure) {
  ended_ = true;
  send(to_, input_ended{std::move(failure)});
}

}  // namespace shop
