// SPDX-License-Identifier: BSD-3-Clause
#include "dispatcher.hpp"

#include <chrono>
#include <cstdio>
#include <utility>

namespace shop {

namespace {

using namespace std::chrono_literals;

/// For the start of a driver, which takes microseconds.
constexpr auto patience = 10s;
/// Before the lost are seen after: what has taken one driver often takes others along.
constexpr auto breath = 10ms;

}  // namespace

void dispatcher::started() {
  if (incarnation() == 1) return;  // the shop is not open yet
  for (line& l : open_lines_->all()) {
    lost_.push_back(l.number);
    under_way_.emplace(l.number, std::move(l));
  }
  on(see_after_lost{});
  on(open_shop{});  // it was, or nobody would have begun afresh
}

void dispatcher::on(const open_shop&) {
  open_for_more_ = true;
  free_ = in_flight_ - under_way_.size();
  ask_for_more();
}

void dispatcher::on(close_shop, coppice::reply_slot<all_ended> slot) {
  closing_.push_back(std::move(slot));
  send(reader_, no_more{self()});  // it answers with `input_ended`, behind its last line
}

void dispatcher::on(const line& l) {
  under_way_.emplace(l.number, l);
  have_led(l);
}

void dispatcher::on(const input_ended& i) {
  input_ended_ = true;
  open_for_more_ = false;
  if (!failure_) failure_ = i.failure;
  finish_if_all_ended();
}

void dispatcher::have_led(const line& l) {
  ask(drivers_, lead{l}, patience)
      .then([this, number = l.number](coppice::result<coppice::ref<>> started) {
        if (!started) return has_lost_driver(number);
        line_of_.emplace(started->number(), number);
        watch(*started);
      });
}

void dispatcher::on(const coppice::ended& e) {
  const auto led = line_of_.extract(e.number);
  if (led.empty()) return;
  const std::uint64_t number = led.mapped();
  // One that had ended before it could be watched gives no reason; the ledger knows.
  if (e.reason.clean() || ledger_->find(number)) has_ended(number);
  else has_lost_driver(number);
}

void dispatcher::has_lost_driver(std::uint64_t number) {
  if (lost_.empty()) send_after(breath, see_after_lost{});
  lost_.push_back(number);
}

void dispatcher::on(const see_after_lost&) {
  if (lost_.empty()) return;
  const std::vector<std::uint64_t> all = std::exchange(lost_, {});
  std::size_t again = 0;
  for (const std::uint64_t number : all) {
    if (ledger_->find(number)) {
      has_ended(number);
    } else {
      have_led(under_way_.at(number));
      ++again;
    }
  }
  std::fprintf(stderr,
               "orders: lines without their drivers: %zu; %zu have ended, %zu are led again\n",
               all.size(), all.size() - again, again);
}

void dispatcher::has_ended(std::uint64_t number) {
  open_lines_->strike_out(number);
  under_way_.erase(number);
  settled_.push_back(number);
  if (settled_.size() * 8 >= in_flight_ || under_way_.empty()) tell_settled();
  ++free_;
  ask_for_more();
  finish_if_all_ended();
}

/// A few lines at a time: each request wakes the reader's thread.
void dispatcher::ask_for_more() {
  if (!open_for_more_ || free_ * 4 < in_flight_) return;
  send(reader_, more{std::exchange(free_, 0), self()});
}

/// Of a stage's node that cannot be reached the stage keeps a few lines for longer than need be.
void dispatcher::tell_settled() {
  send(at_.inventory, settled{settled_});
  send(at_.payment, settled{std::exchange(settled_, {})});
}

void dispatcher::finish_if_all_ended() {
  if (!input_ended_ || !under_way_.empty()) return;
  when_done_(failure_);
  for (auto& slot : closing_) slot.answer(all_ended{});
  closing_.clear();
}

}  // namespace shop
