// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "events.hpp"
#include "ledger.hpp"
#include "open_lines.hpp"
#include "stages.hpp"

#include <coppice/actors/actor.hpp>
#include <coppice/supervision/calls.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace shop {

/// To itself: see after the lines whose drivers are lost.
struct see_after_lost {};

/// Has each line led by a driver of its own, and asks for the next line when one has ended, so
/// that there are never more under way than permitted. It watches the drivers: the line of one
/// that is lost is settled by the ledger, or led from the start again.
///
/// When it is itself begun afresh, so are all drivers, and it does the same with every open line.
class dispatcher : public coppice::actor<open_shop, close_shop, line, input_ended, see_after_lost,
                                         coppice::ended> {
 public:
  /// Called when the input has ended and all its lines have, or with why it cannot be read.
  using done = std::function<void(const std::optional<std::string>& failure)>;

  dispatcher(stages at, coppice::ref<more, no_more> reader, coppice::dynamic_ref<lead> drivers,
             std::shared_ptr<open_lines> open, std::shared_ptr<ledger> books, std::size_t in_flight,
             done when_done)
      : at_(std::move(at)),
        reader_(std::move(reader)),
        drivers_(std::move(drivers)),
        open_lines_(std::move(open)),
        ledger_(std::move(books)),
        in_flight_(in_flight),
        when_done_(std::move(when_done)) {}

  void started();
  void on(const open_shop&);
  void on(close_shop, coppice::reply_slot<all_ended> slot);
  void on(const line& l);
  void on(const input_ended& i);
  void on(const coppice::ended& e);
  void on(const see_after_lost&);

 private:
  void have_led(const line& l);
  void has_lost_driver(std::uint64_t number);
  void has_ended(std::uint64_t number);
  void ask_for_more();
  void tell_settled();
  void finish_if_all_ended();

  stages at_;
  coppice::ref<more, no_more> reader_;
  coppice::dynamic_ref<lead> drivers_;
  std::shared_ptr<open_lines> open_lines_;
  std::shared_ptr<ledger> ledger_;
  std::size_t in_flight_;
  done when_done_;

  std::map<std::uint64_t, line> under_way_;  ///< by line number
  std::size_t free_ = 0;  ///< places for lines that the reader has not been asked for
  std::unordered_map<std::uint64_t, std::uint64_t> line_of_;  ///< by number of a driver's address
  std::vector<std::uint64_t> lost_;  ///< lines to see after
  std::vector<std::uint64_t> settled_;  ///< lines whose ends the stages have not been told
  std::vector<coppice::reply_slot<all_ended>> closing_;
  std::optional<std::string> failure_;
  bool open_for_more_ = false;
  bool input_ended_ = false;
};

}  // namespace shop
