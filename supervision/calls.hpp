// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/actor.hpp>
#include <coppice/supervision/decision.hpp>
#include <coppice/supervision/spec.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// What a supervisor can be asked. OTP's functions of the same names as events:
///
///     auto asked = ask(shop, coppice::terminate_child{"checkout"}, 5s);
///     auto done = co_await asked;                       // result<coppice::done>
///     auto asked = ask(shop, coppice::start_child<courier>({.id = "bo"}, depot), 5s);
///     auto started = co_await asked;                    // result<coppice::child_address>
///
/// A child is named by its id, or by any ref to it (`terminate_child{.child = courier}`).
/// What a supervisor itself refuses has a code of its own: `not_found`, `running`,
/// `already_present`, `already_started`, `restarting`, `simple_one_for_one`, `invalid`, `limit`;
/// a start that failed is `failed` with its chain of causes. All of them are final answers except
/// `restarting`. A supervisor that ends meanwhile answers what has become of the child then; a list
/// that it had not finished is answered `crashed`, with its reason.
namespace coppice {

class children;

namespace detail {

/// On the wire a shutdown rule is its deadline in milliseconds; -1 kills at once, -2 waits for as
/// long as it takes.
template <>
inline constexpr wire_kind kind_of_class<shutdown> = wire_kind::integer;
template <>
struct wire<shutdown, wire_kind::integer> : wire_value {
  static std::byte* put(writer& w, std::byte* at, const shutdown& x) {
    if (x.what() == shutdown::kind::within) return w.integer(at, x.deadline().count());
    return w.integer(at, x.what() == shutdown::kind::brutal ? -1 : -2);
  }
  static bool get(reader& r, shutdown& x) {
    std::int64_t ms = 0;
    if (!r.integer(ms)) return false;
    if (ms < -2) return r.fail("a shutdown rule that there is not");
    x = ms >= 0 ? shutdown{std::chrono::milliseconds{ms}} : ms == -1 ? brutal_kill : infinity;
    return true;
  }
  static void shape(std::string& out, const enclosing*) { out += 'i'; }
};

}  // namespace detail

/// It is as it was asked to be.
struct done {};

/// A child's address, as `start_child` and `restart_child` answer it.
struct child_address {
  std::string id;
  std::uint32_t incarnation = 0;
  /// False: it has declined to run (`ignore`); then a temporary child is gone already.
  bool running = false;
  ref<> address;

  /// The address under the events of its class. Throws `bad_result` if it is of another class.
  template <class T>
  typename T::address as() const {
    check(&detail::actor_type_of<T>);
    return detail_ref::make<typename T::address>(detail_ref::get(address));
  }

 private:
  void check(const detail::actor_type* type) const;
};

/// A child as its supervisor sees it.
struct child_info {
  std::string id;
  std::string type;  ///< its class; `supervisor` if it is one
  child_kind kind = child_kind::worker;
  child_state state = child_state::stopped;
  std::uint32_t incarnation = 0;
  std::uint32_t restarts = 0;  ///< that this child has caused
  std::string last_reason;  ///< of its last failure or end by itself; empty: none
  std::chrono::milliseconds last_ended{0};  ///< how long ago that was
  std::chrono::milliseconds last_up{0};  ///< how long that incarnation had run; zero: not at all
  std::chrono::milliseconds up{0};  ///< since its last start was complete; zero: not running
  std::uint32_t waiting = 0;  ///< events in its mailbox
  std::uint64_t handled = 0;  ///< events of all its incarnations
  /// While its restart has failed: when it is tried again. Zero: as soon as the supervisor has
  /// handled what waits in its mailbox.
  std::optional<std::chrono::milliseconds> next_attempt{};
  std::uint64_t version = 0;  ///< of the tree when this was written down, see `tree_change`
  ref<> address{};  ///< of a supervisor: see `supervisor_at`
};

/// One failure that called for a restart.
struct child_failure {
  std::string id;
  std::uint32_t incarnation = 0;
  std::string reason;
  std::chrono::milliseconds ago{0};
  std::chrono::milliseconds up{0};  ///< how long the incarnation had run; zero: not at all
};

struct child_list {
  coppice::strategy strategy{};
  /// In the order of their start; under `otp` newest first, as OTP has it.
  std::vector<child_info> children;
  bool newest_first = false;
  /// The last failures, oldest first, at most `decision::history_length`.
  std::vector<child_failure> failures;
};

struct child_counts {
  std::uint32_t specs = 0;  ///< of a dynamic supervisor: 1
  std::uint32_t active = 0;  ///< that run now
  std::uint32_t supervisors = 0;  ///< whether they run or not
  std::uint32_t workers = 0;
};

/// All children. A supervisor with many writes the list in slices and does other work between
/// them, so that two entries need not be of the same moment.
struct which_children {
  static constexpr std::string_view name = "coppice.which_children";
  using reply = child_list;
};
/// One child. Refused: `not_found`.
struct which_child {
  static constexpr std::string_view name = "coppice.which_child";
  std::string id{};
  ref<> child{};
  using reply = child_info;
};
struct count_children {
  static constexpr std::string_view name = "coppice.count_children";
  using reply = child_counts;
};
/// A child's spec, as it was given. Refused: `not_found`.
struct get_childspec {
  static constexpr std::string_view name = "coppice.get_childspec";
  std::string id{};
  ref<> child{};
  using reply = child_spec;
};
/// Stops a child by its shutdown rule; it is not restarted, and a temporary one is removed. Done
/// also if it does not run; one that is being restarted is not tried again. Refused: `not_found`.
struct terminate_child {
  static constexpr std::string_view name = "coppice.terminate_child";
  std::string id{};
  ref<> child{};
  using reply = done;
};
/// Starts a child that does not run. If that fails it stays as it is. Refused: `running`,
/// `restarting`, `not_found`, `simple_one_for_one`.
struct restart_child {
  static constexpr std::string_view name = "coppice.restart_child";
  std::string id{};
  ref<> child{};
  using reply = child_address;
};
/// Removes a child that does not run: its address ends. Refused as `restart_child`.
struct delete_child {
  static constexpr std::string_view name = "coppice.delete_child";
  std::string id{};
  ref<> child{};
  using reply = done;
};

namespace detail {

/// How a child is made: its class and its factory, or what builds the supervisor it is.
struct child_maker {
  const actor_type* type = nullptr;
  factory_ref made_by{};
  std::shared_ptr<void> owner{};  ///< of what `made_by` refers to
  std::function<void(children&)> build{};
};

struct start_child_call {
  child_spec spec;
  child_maker maker;
  using reply = child_address;
};

}  // namespace detail

/// Asks a supervisor to add a child behind all others and to start it. Refused:
/// `already_started`, `already_present` if its id is known, `invalid`, `simple_one_for_one`. If
/// the start fails nothing is kept. An event for this process only.
template <class T, class... As>
detail::start_child_call start_child(child_spec spec, As&&... arguments) {
  using made_by = detail::factory<T, std::decay_t<As>...>;
  auto factory = std::make_shared<made_by>(made_by{{std::forward<As>(arguments)...}});
  void* object = factory.get();
  return {std::move(spec),
          {&detail::actor_type_of<T>,
           {&detail::factory_type_of<T, std::decay_t<As>...>, object},
           std::move(factory),
           {}}};
}
/// The same for a supervisor, see `children::supervise`.
inline detail::start_child_call start_supervisor(child_spec spec,
                                                 std::function<void(children&)> build) {
  return {std::move(spec), {nullptr, {}, nullptr, std::move(build)}};
}

/// What every supervisor accepts.
using supervisor_ref = ref<detail::start_child_call, terminate_child, restart_child, delete_child,
                           which_children, which_child, count_children, get_childspec>;

/// The supervisor behind an address, as `child_info::address`, to be asked in its turn. `invalid`
/// if there is none.
result<supervisor_ref> supervisor_at(const ref<>& address);

/// A dynamic supervisor: asked with an `E` it starts a child that is made of it.
template <class E>
using dynamic_ref = ref<E, detail::start_child_call, terminate_child, restart_child, delete_child,
                        which_children, which_child, count_children, get_childspec>;

}  // namespace coppice
