// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <tuple>

#include "tools.hpp"

/// The least of a supervisor: a parent that starts its one child again whenever it has ended.
/// What is said of an address over restarts can be shown with it, without supervision.
namespace tools {

struct keeper_orders {
  std::uint32_t capacity = 10'000;
  bool reject_while_restarting = false;
  bool at_once = true;  ///< otherwise the child waits until `start_again` is sent
};
struct start_again {};

template <class T, class... As>
class keeper : public coppice::actor<start_again> {
 public:
  keeper(coppice::system* home, record seen, std::shared_ptr<typename T::address> place_for_ref,
         keeper_orders orders, const As&... arguments)
      : seen_(std::move(seen)), orders_(orders) {
    namespace d = coppice::detail;
    using made_by = d::factory<T, As...>;
    made_by factory{{arguments...}};
    d::cell_options set_up;
    set_up.capacity = orders.capacity;
    set_up.reject_while_restarting = orders.reject_while_restarting;
    child_ = d::make_cell(d::core_of(*home), d::actor_type_of<T>,
                          {&d::factory_type_of<T, As...>, &factory}, "child", set_up, cell_, 0);
    *place_for_ref = coppice::detail_ref::make<typename T::address>(child_.get());
    child_->start(false);
  }
  ~keeper() { child_->tell(coppice::detail::control::end, coppice::exit_reason::shutdown()); }

  void on(const start_again&) { child_->start(false); }

  void child_report(coppice::detail::control_node& report) {
    using coppice::detail::report_kind;
    if (report.report == report_kind::started) {
      seen_.add("started " + std::to_string(report.incarnation));
      return;
    }
    seen_.add(report.reason.text());
    if (orders_.at_once) child_->start(false);
  }

 private:
  record seen_;
  keeper_orders orders_;
  coppice::detail::cell_ptr child_;
};

/// A child that is kept, and what its parent was told of it.
template <class T, class... As>
struct kept {
  explicit kept(coppice::system& s, keeper_orders orders = {}, As... arguments)
      : parent(s.spawn<keeper<T, As...>>({.id = "keeper"}, &s, reports, address, orders,
                                         std::move(arguments)...)) {}
  kept(const kept&) = delete;
  kept& operator=(const kept&) = delete;
  /// The parent's constructor arguments, and so the parent, would keep the child's memory for
  /// ever, and the child its parent's.
  ~kept() { *address = {}; }

  record reports;
  std::shared_ptr<typename T::address> address = std::make_shared<typename T::address>();
  coppice::ref<start_again> parent;

  const typename T::address& child() const { return *address; }
};

}  // namespace tools
