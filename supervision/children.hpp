// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/actor.hpp>
#include <coppice/supervision/calls.hpp>
#include <coppice/supervision/detail/supervisor.hpp>

#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// The builder: what a supervisor is made of. A function that takes `children&` runs once per
/// start of its supervisor:
///
///     [](coppice::children& shop) {
///       shop.strategy(coppice::one_for_all);
///       auto stock = shop.add<inventory>("inventory");      // ref<reserve>, before anything runs
///       shop.add<checkout>({.id = "checkout"}, stock);
///       shop.supervise("delivery", [stock](coppice::children& delivery) { ... });
///     }
///
/// Children start in the order in which they are added, each complete before the next begins,
/// and stop in reverse. When the supervisor itself is restarted the function runs again: a child
/// with the same id, class and constructor signature keeps its address.
namespace coppice {

class children {
 public:
  /// Copied into each start of the supervisor it describes; what it captures must stay valid.
  using builder = std::function<void(children&)>;

  children(const children&) = delete;
  children& operator=(const children&) = delete;

  children& strategy(coppice::strategy s) noexcept {
    spec_.strategy = s;
    return *this;
  }
  /// At most `restarts` within `period`, over all children; the next one is too many.
  children& intensity(unsigned restarts, std::chrono::milliseconds period) noexcept {
    spec_.intensity = {restarts, period};
    return *this;
  }
  /// The same for each child by itself, besides.
  children& intensity_per_child(unsigned restarts, std::chrono::milliseconds period) noexcept {
    spec_.per_child = coppice::intensity{restarts, period};
    return *this;
  }
  /// Whether the end of significant children ends the supervisor.
  children& auto_shutdown(coppice::auto_shutdown when) noexcept {
    spec_.auto_shutdown = when;
    return *this;
  }
  /// All options at once.
  supervisor_spec& spec() noexcept { return spec_; }

  /// The supervisor itself, for those who shall ask it for changes later.
  supervisor_ref self() const noexcept { return detail_ref::make<supervisor_ref>(&parent_); }
  /// The supervisor declines to run, see `actor_base::ignore`; what has been added is forgotten.
  void ignore() noexcept { ignored_ = true; }

  /// Adds a child and gives out its address. An address that is taken over from before a restart
  /// of this supervisor keeps its mailbox's capacity and overflow policy. Throws `bad_result` on a
  /// wrong or duplicate spec, which fails the supervisor's start.
  template <class T, class... As>
  typename T::address add(const child_spec& spec, As&&... arguments) {
    using made_by = detail::factory<T, std::decay_t<As>...>;
    made_by factory{{std::forward<As>(arguments)...}};
    detail::cell* x =
        add_cell(detail::actor_type_of<T>,
                 {&detail::factory_type_of<T, std::decay_t<As>...>, &factory}, spec, nullptr);
    return detail_ref::make<typename T::address>(x);
  }
  template <class T, class... As>
  typename T::address add(std::string_view id, As&&... arguments) {
    child_spec spec;
    spec.id = id;
    return add<T>(spec, std::forward<As>(arguments)...);
  }

  /// Adds a supervisor below this one. Its shutdown is `infinity` unless the spec says otherwise.
  supervisor_ref supervise(child_spec spec, builder build);
  supervisor_ref supervise(std::string_view id, builder build);

  /// Adds a dynamic supervisor (OTP: `simple_one_for_one`): it has no children at first and starts
  /// one for each `E` that it is asked with, made from `fixed` and that event.
  ///
  ///     struct follow { std::string parcel; using reply = coppice::ref<where_is>; };
  ///     class courier : public coppice::actor<where_is> {
  ///      public:
  ///       courier(coppice::ref<move> depot, follow order);
  ///     };
  ///     auto couriers = delivery.dynamic<courier, follow>("couriers", depot);
  ///     ...
  ///     auto asked = ask(couriers, follow{"p-17"}, 1s);
  ///     auto started = co_await asked;           // result<ref<where_is>>: it runs
  ///
  /// The reply is a ref that the child's own converts to; one to nobody says that the child has
  /// declined to run. A child that is restarted is made from the same values again. Children are
  /// numbered from 1 and never take their number over; they end with the supervisor's incarnation.
  template <class T, class E, class... As>
  dynamic_ref<E> dynamic(const dynamic_spec& spec, As&&... fixed);
  template <class T, class E, class... As>
  dynamic_ref<E> dynamic(std::string_view id, As&&... fixed) {
    dynamic_spec spec;
    spec.own.id = id;
    return dynamic<T, E>(spec, std::forward<As>(fixed)...);
  }

 private:
  friend class supervisor;
  children(std::shared_ptr<detail::supervision_scope> scope, detail::address_book& book,
           detail::cell& parent);

  detail::cell* add_cell(const detail::actor_type& type, detail::factory_ref made_by,
                         const child_spec& spec,
                         const std::shared_ptr<detail::address_book>& below);
  std::shared_ptr<detail::address_book> book_below(std::string_view id) const;
  detail::supervisor_place dynamic_place(const dynamic_spec& spec) const;
  static builder dynamic_builder(const dynamic_spec& spec);
  detail::cell* add_dynamic(const detail::actor_type& type, detail::factory_ref made_by,
                            const dynamic_spec& spec,
                            const std::shared_ptr<detail::address_book>& below);

  supervisor_spec spec_;
  bool ignored_ = false;
  std::vector<child_spec> specs_;  ///< by index
  std::shared_ptr<detail::supervision_scope> scope_;
  detail::address_book& book_;
  detail::cell& parent_;
};

template <class T, class E, class... As>
dynamic_ref<E> children::dynamic(const dynamic_spec& spec, As&&... fixed) {
  using made = detail::dynamic_supervisor<T, E, std::decay_t<As>...>;
  using made_by =
      detail::factory<made, detail::supervisor_place, builder, std::tuple<std::decay_t<As>...>>;
  const detail::supervisor_place place = dynamic_place(spec);
  made_by factory{
      {place, dynamic_builder(spec), std::tuple<std::decay_t<As>...>{std::forward<As>(fixed)...}}};
  detail::cell* x = add_dynamic(detail::actor_type_of<made>,
                                {&detail::factory_type_of<made, detail::supervisor_place, builder,
                                                          std::tuple<std::decay_t<As>...>>,
                                 &factory},
                                spec, place.book);
  return detail_ref::make<dynamic_ref<E>>(x);
}

}  // namespace coppice
