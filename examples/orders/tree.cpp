// SPDX-License-Identifier: BSD-3-Clause
#include "tree.hpp"

#include "audit.hpp"
#include "clerk.hpp"
#include "driver.hpp"
#include "intake.hpp"
#include "inventory.hpp"
#include "payment.hpp"
#include "progress.hpp"
#include "reader.hpp"
#include "shipping.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <vector>

namespace shop {

using namespace std::chrono_literals;

namespace {

/// A worker that waits for another node is several.
constexpr int far_workers = 16;
std::string far_worker(int number) { return "shipping-" + std::to_string(number); }

}  // namespace

/// Without a cluster there is no elsewhere.
bool tree::here(std::string_view role) const { return !nodes_ || nodes_->has_role(role); }

/// A worker on the node that has the role. It need not be there yet.
template <class... Es>
coppice::ref<Es...> tree::elsewhere(std::string_view role, std::string_view worker) const {
  const std::vector<std::string> all = nodes_->nodes_with(role);
  if (all.empty())
    throw std::runtime_error("no node of the cluster has the role '" + std::string{role} + "'");
  return nodes_->at<Es...>(all.front() + ":/orders/stages/" + std::string{worker}).value();
}

void tree::build(coppice::children& top, coppice::cluster* nodes) {
  nodes_ = nodes;
  if (!here("intake")) {
    if (!here("stock") && !here("shipping"))
      throw std::runtime_error("node " + nodes_->self() +
                               " has none of the roles intake, stock and shipping");
    top.supervise("stages", [this](coppice::children& c) { build_stages(c, nullptr); });
    top.add<witness>("witness", nodes_, dead, vain);
    return;
  }
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
  if (nodes_) top.add<witness>("witness", nodes_, dead, vain);
}

void tree::build_stages(coppice::children& stages, const std::shared_ptr<ledger>& books) {
  // None of the five keeps anything that another relies on.
  stages.strategy(coppice::one_for_one);
  // One line in twenty crashes a worker, as fast as lines go through: 5,000 a second and more.
  // Four times that for 5 seconds is no plant any more but a worker that cannot work.
  stages.intensity(100'000, 5s);
  shop::stages built;
  if (books) built.audit = stages.add<audit>("audit", books);
  if (!here("shipping")) {
    if (books) stages.add<clerk>("clerk", books);
    for (int i = 1; i <= far_workers; ++i)
      built.shipping.push_back(elsewhere<ship, was_shipped>("shipping", far_worker(i)));
  } else if (books) {
    built.shipping.push_back(stages.add<shipping>("shipping", books));
  } else {
    const auto writing = elsewhere<write_shipped, was_shipped>("intake", "clerk");
    for (int i = 1; i <= far_workers; ++i)
      built.shipping.push_back(stages.add<far_shipping>(far_worker(i), writing));
  }
  if (here("stock")) {
    built.payment = stages.add<payment>("payment", charged);
    built.inventory = stages.add<inventory>("inventory", reserved);
  } else {
    built.payment = elsewhere<charge, settled>("stock", "payment");
    built.inventory = elsewhere<reserve, settled>("stock", "inventory");
  }
  if (books) built.intake = stages.add<intake>("intake");
  if (at.shipping.empty()) at = built;
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
  const auto under_way = counter.dynamic<driver, lead>(drivers, at, vain);
  const auto reading = counter.add<reader>({.id = "reader", .own_thread = true}, lines, open);
  const auto leading = counter.add<dispatcher>("dispatcher", at, reading, under_way, open, books,
                                               static_cast<std::size_t>(in_flight), when_done);
  if (!door) door = leading;
}

}  // namespace shop
