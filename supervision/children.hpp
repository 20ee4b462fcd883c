// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/actor.hpp>
#include <coppice/supervision/decision.hpp>

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

namespace detail {
struct supervision_scope;
struct address_book;
}// namespace detail

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
  /// All options at once.
  supervisor_spec& spec() noexcept { return spec_; }

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
  void supervise(child_spec spec, builder build);
  void supervise(std::string_view id, builder build);

 private:
  friend class supervisor;
  children(std::shared_ptr<detail::supervision_scope> scope, detail::address_book& book,
           detail::cell& parent);

  detail::cell* add_cell(const detail::actor_type& type, detail::factory_ref made_by,
                         const child_spec& spec,
                         const std::shared_ptr<detail::address_book>& below);

  supervisor_spec spec_;
  std::vector<child_policy> policies_;  ///< by index
  std::shared_ptr<detail::supervision_scope> scope_;
  detail::address_book& book_;
  detail::cell& parent_;
};

}  // namespace coppice
