// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/mailbox_policy.hpp>
#include <coppice/actors/result.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What a supervisor is told about itself and about each of its children. Plain options:
///
///     shop.strategy(coppice::one_for_all);
///     shop.add<checkout>({.id = "checkout", .shutdown = 2s, .capacity = 1'000});
namespace coppice {

/// Whether a child that has ended is started again.
enum class restart : std::uint8_t {
  permanent,  ///< always
  transient,  ///< unless its reason is `normal`, `shutdown` or `shutdown(x)`
  temporary,  ///< never: its address ends with it
};
inline constexpr auto permanent = restart::permanent;
inline constexpr auto transient = restart::transient;
inline constexpr auto temporary = restart::temporary;
std::string_view name(restart kind) noexcept;

/// Which children are restarted together with the one that has ended. OTP's names.
enum class strategy : std::uint8_t {
  one_for_one,   ///< none: the others go on undisturbed
  one_for_all,   ///< all: stopped in reverse order, started in order
  rest_for_one,  ///< those that stand behind it, likewise
  /// None; and all children are made from one template, are stopped side by side and end with
  /// their supervisor. Chosen by `children::dynamic`, not by hand.
  simple_one_for_one,
};
inline constexpr auto one_for_one = strategy::one_for_one;
inline constexpr auto one_for_all = strategy::one_for_all;
inline constexpr auto rest_for_one = strategy::rest_for_one;
std::string_view name(strategy how) noexcept;

/// What a child is. Only says what `shutdown` means by default, and how it is counted.
enum class child_kind : std::uint8_t { worker, supervisor };
std::string_view name(child_kind kind) noexcept;

/// Whether the end of significant children ends their supervisor: with a clean `shutdown`, after
/// it has stopped the others. Only an end that the child itself has come to and that nobody
/// restarts counts: not one by a call, nor by a sibling's restart.
enum class auto_shutdown : std::uint8_t {
  never,
  any_significant,  ///< the first of them ends it
  all_significant,  ///< the last of them does
};

/// How a child is stopped: asked, and killed when it has not ended within a deadline; killed at
/// once; or asked, and waited for up to the stuck limit. Converts from a duration:
/// `.shutdown = 2s`. A deadline of zero asks and kills in the same breath.
class shutdown {
 public:
  enum class kind : std::uint8_t { within, brutal, endless };

  /// A deadline of zero.
  constexpr shutdown() = default;
  template <class Rep, class Period>
  constexpr shutdown(std::chrono::duration<Rep, Period> deadline) : deadline_(deadline) {}
  constexpr explicit shutdown(kind what) : kind_(what) {}

  constexpr kind what() const { return kind_; }
  /// Only of `kind::within`.
  constexpr std::chrono::milliseconds deadline() const { return deadline_; }
  constexpr bool operator==(const shutdown&) const = default;

 private:
  kind kind_ = kind::within;
  std::chrono::milliseconds deadline_{0};
};
inline constexpr shutdown brutal_kill{shutdown::kind::brutal};
inline constexpr shutdown infinity{shutdown::kind::endless};
/// `5000 ms`, `brutal_kill` or `infinity`.
std::string to_string(const shutdown& how);

struct child_spec {
  /// Names the child among its siblings and in paths. 1 to 64 bytes, no `/`, no control
  /// characters: it has to fit into one segment of a path and one line of a log.
  std::string id{};

  /// Permanent, as in OTP: a child is there to stay unless its spec says otherwise.
  coppice::restart restart = coppice::restart::permanent;

  /// 5 s, as in OTP. 0 to 24 h. Supervisors get `infinity` from the builder: a deadline would
  /// kill them half-way through stopping their own children.
  coppice::shutdown shutdown = std::chrono::seconds{5};

  /// From construction to the end of `started()`. 1 ms to 24 h. OTP waits for ever; here a start
  /// that hangs becomes a start that failed, and 5 s is what a call waits by default.
  std::chrono::milliseconds start_deadline{5'000};

  /// Most events that may wait. 1 to 60,000. At a typical event's 100 bytes 10,000 of them are
  /// 1 MB: room for a burst, while a flood is refused before it fills the memory.
  std::uint32_t capacity = 10'000;

  /// Reject, so that a loss is seen by whoever caused it.
  coppice::overflow overflow = coppice::overflow::reject;

  /// Over a restart of this child alone its waiting events are kept: what they ask for is still
  /// wanted, and only the event in hand is suspected. A group's restart drops them in any case.
  bool keep_mailbox = true;

  /// False: asks made while the child is being restarted wait for it, within their deadline.
  bool reject_while_restarting = false;

  /// True: a thread of its own, for a child that blocks. Threads are few, hence not the default.
  bool own_thread = false;

  /// See `auto_shutdown`, which the supervisor must have set. Not for permanent children: those
  /// never end for good.
  bool significant = false;

  /// Set by the builder: `add` and `dynamic`'s template make workers, `supervise` a supervisor.
  child_kind kind = child_kind::worker;

  bool operator==(const child_spec&) const = default;
};

/// So many restarts are allowed within a period; the next one is too many.
struct intensity {
  /// 3, where OTP has 1: one child that fails twice should not take its siblings down. Zero: the
  /// first crash is too many. At most 1,000,000, which is 8 MB of time stamps.
  unsigned restarts = 3;
  /// 5 s, as in OTP. 1 ms to 24 h.
  std::chrono::milliseconds period{5'000};

  bool operator==(const intensity&) const = default;
};

/// What counts as within the period.
enum class window : std::uint8_t {
  sliding_ms,   ///< exact to the millisecond
  otp_seconds,  ///< as OTP: whole seconds, so that the window is up to one second longer
};

struct supervisor_spec {
  coppice::strategy strategy = coppice::strategy::one_for_one;

  /// Shared by all children of the supervisor.
  coppice::intensity intensity{};

  /// Besides, each child's own. None by default: with the shared one at 3 restarts it could not
  /// be reached first.
  std::optional<coppice::intensity> per_child{};

  coppice::window window = coppice::window::sliding_ms;

  coppice::auto_shutdown auto_shutdown = coppice::auto_shutdown::never;

  /// True: one thing at a time, as in OTP. While any child starts or stops all calls wait, and a
  /// child's end is judged behind the calls that came before it. False: calls that only look are
  /// always answered, others wait for a group's restart alone, and ends are judged at once.
  bool serial = false;

  /// True: every restart drops what waits in the child's mailbox, as in OTP, where it ends with
  /// the process. False: each child's `keep_mailbox` decides.
  bool drop_mailboxes = false;

  /// False: a supervisor that gives up ends with the reason `exhausted`, which is not a clean one,
  /// so that a transient supervisor is restarted; and one that shuts itself down says why. True:
  /// with a plain `shutdown` both times, as in OTP.
  bool exhausted_is_shutdown = false;

  /// How long after a kill, or under `infinity` after the request to stop, a child is waited for
  /// before it is declared stuck. A C++ thread cannot be killed, so that what does not end by then
  /// is the process's concern. 1 ms to 24 h.
  std::chrono::milliseconds stuck_limit{30'000};
};

/// OTP's rules and defaults, number for number: `shop.spec() = coppice::otp;`. What differs even
/// so is in the table "OTP and ours" of docs/concepts/supervision.md.
inline constexpr supervisor_spec otp{.intensity = {1, std::chrono::milliseconds{5'000}},
                                     .window = window::otp_seconds,
                                     .serial = true,
                                     .drop_mailboxes = true,
                                     .exhausted_is_shutdown = true};

/// What a dynamic supervisor is made of, see `children::dynamic`.
struct dynamic_spec {
  /// Of the supervisor itself, as a child. Its shutdown is `infinity` unless it says otherwise.
  child_spec own{};
  /// The template of its children; the id is not used: children are numbered from 1.
  child_spec child{};
  /// Its strategy is not used.
  supervisor_spec supervisor{};
  /// Most children at a time; a call for one more is answered `limit`. 1 to 10,000,000; a million
  /// idle children are about half a gigabyte.
  std::uint32_t most = 1'000'000;
};

/// Success, or `errc::invalid` and a sentence that says what to change.
result<void> validate(const child_spec& spec);
result<void> validate(const supervisor_spec& spec);
/// The same for a child of a supervisor: whether the two specs agree.
result<void> validate(const child_spec& spec, const supervisor_spec& of);
result<void> validate(const dynamic_spec& spec);

}  // namespace coppice
