// SPDX-License-Identifier: BSD-3-Clause
#include "tree.hpp"

#include "audit.hpp"
#include "driver.hpp"
#include "intake.hpp"
#include "inventory.hpp"
#include "payment.hpp"
#include "progress.hpp"
#include "reader.hpp"
#include "shipping.hpp"

#include <chrono>
#include <memory>

namespace shop {

using namespace std::chrono_literals;

void tree::build(coppice::children& top) {
  const auto lines = std::make_shared<line_source>(input);
  const auto books = std::make_shared<ledger>(ledger_file, give_up);
  const auto open = std::make_shared<open_lines>();

  // Each stands on what is before it: without stages no order can be led, without both there is
  // nothing to tell of. The stages know of nobody behind them, and go on.
  top.strategy(coppice::rest_for_one);
  top.supervise("stages", [this, books](coppice::children& c) { build_stages(c, books); });
  top.supervise("counter", [this, books, lines, open](coppice::children& c) {
    build_counter(c, books, lines, open);
  });
  top.add<progress>("progress", std::cref(at));  // filled in when it starts, not yet
}

void tree::build_stages(coppice::children& stages, const std::shared_ptr<ledger>& books) {
  // None of the five keeps anything that another relies on.
  stages.strategy(coppice::one_for_one);
  // One line in twenty crashes a worker, as fast as lines go through: 5,000 a second and more.
  // Four times that for 5 seconds is no plant any more but a worker that cannot work.
  stages.intensity(100'000, 5s);
  shop::stages built;
  built.audit = stages.add<audit>("audit", books);
  built.shipping = stages.add<shipping>("shipping", books);
  built.payment = stages.add<payment>("payment");
  built.inventory = stages.add<inventory>("inventory");
  built.intake = stages.add<intake>("intake");
  if (!at.audit) at = built;
}

void tree::build_counter(coppice::children& counter, const std::shared_ptr<ledger>& books,
                         const std::shared_ptr<line_source>& lines,
                         const std::shared_ptr<open_lines>& open) {
  // The three share one account: how many lines the reader owes, which the dispatcher has given to
  // whom, which drivers there are. When one of them is lost it is wrong, and all begin afresh from
  // what is written down: open lines and ledger.
  counter.strategy(coppice::one_for_all);

  // A driver has nothing to put in order before it ends: it may be lost at any moment, and what
  // matters of it is written down.
  coppice::dynamic_spec drivers;
  drivers.own.id = "under-way";
  drivers.child.restart = coppice::temporary;
  drivers.child.shutdown = coppice::brutal_kill;
  drivers.most = static_cast<std::uint32_t>(in_flight);
  const auto under_way = counter.dynamic<driver, lead>(drivers, at);
  const auto reading = counter.add<reader>({.id = "reader", .own_thread = true}, lines, open);
  const auto leading = counter.add<dispatcher>("dispatcher", reading, under_way, open, books,
                                               static_cast<std::size_t>(in_flight), when_done);
  if (!door) door = leading;
}

}  // namespace shop
