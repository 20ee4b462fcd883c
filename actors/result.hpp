// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

/// What every fallible call of Coppice returns: `result<T>`, a value or an `error`.
///
///     coppice::result<reserved> left = ...;
///     if (!left) log(left.error().message());
///
/// An `error` is a code, and a chain of causes from what was seen here to the root of it.
namespace coppice {

/// How an ask, an offer or an administrative call can fail.
///
/// The codes up to `moved`, and `limit`, say that the event was **not executed**: sending it again
/// is safe.
/// From `crashed` on the outcome is unknown, except `failed`, which is the handler's own answer.
enum class errc : std::uint8_t {
  overloaded = 1,  ///< the mailbox was full, or the event was evicted to make room
  restarting,      ///< refused or dropped because the actor or its group is being restarted
  stopped,         ///< the child is not running; its supervisor may start it again
  gone,            ///< the address has ended for ever
  expired,         ///< the deadline had passed before the event was handled
  cycle,           ///< the target waits, directly or not, for the one who asks
  unknown_event,   ///< the target does not accept this event
  denied,          ///< the caller may not address this actor with this event
  parked,          ///< the supervisor has parked the child
  unreachable,     ///< the actor's node cannot be reached; nothing was sent there
  moved,           ///< the actor lives on another node now
  crashed,         ///< the actor crashed, or was killed, with the event in hand
  timeout,         ///< no answer within the caller's deadline
  disconnected,    ///< the connection to the actor's node was lost
  unanswered,      ///< the handler gave up its reply slot without answering
  failed,          ///< the handler returned an error
  invalid,         ///< the call itself was wrong; the text says what to change
  limit,           ///< a bound was reached: too many pending asks, timers, watches, children
  not_found,           ///< a supervisor: there is no such child
  running,             ///< a supervisor: not while the child runs
  already_present,     ///< a supervisor: the id is taken by a child that does not run
  already_started,     ///< a supervisor: the id is taken by a child that runs
  simple_one_for_one,  ///< a supervisor: not of a dynamic one
};

/// The code's name as it stands in logs, e.g. `overloaded`.
std::string_view name(errc code) noexcept;

struct cause;
using cause_ptr = std::shared_ptr<const cause>;

/// One link of a chain of causes. Immutable and shared: copying a chain copies one pointer.
struct cause {
  std::string what;               ///< a sentence: what happened
  std::string where;              ///< path of the actor it happened to; empty if none
  std::uint32_t incarnation = 0;  ///< which incarnation of it; 0 if none
  cause_ptr because;              ///< the link nearer to the root; null at the root
};

/// A chain may not grow without end; links past this depth are left out at the near side.
inline constexpr int max_cause_depth = 16;

/// Puts a link in front of `because`. Never fails; past `max_cause_depth` it returns `because`.
cause_ptr make_cause(std::string what, std::string where = {}, std::uint32_t incarnation = 0,
                     cause_ptr because = nullptr);

/// The whole chain in one line, the near end first: `a (at /x#2), because b (at /x/y#7)`.
std::string to_string(const cause_ptr& chain);

/// A code and the chain of causes behind it. Cheap to copy.
class [[nodiscard]] error {
 public:
  explicit error(errc code, cause_ptr why = nullptr) noexcept : code_(code), why_(std::move(why)) {}
  error(errc code, std::string what, std::string where = {}, cause_ptr because = nullptr)
      : code_(code), why_(make_cause(std::move(what), std::move(where), 0, std::move(because))) {}

  errc code() const noexcept { return code_; }
  const cause_ptr& why() const noexcept { return why_; }

  /// True if the event was certainly not handled, so that asking again cannot do it twice. Of what
  /// was refused for good (`invalid`, `not_found`, ...) it is false: asking again is no use.
  bool not_executed() const noexcept { return code_ <= errc::moved || code_ == errc::limit; }

  /// One line: the code's name, then the chain.
  std::string message() const;

 private:
  errc code_;
  cause_ptr why_;
};

/// A handler's way to refuse: `return coppice::fail("no such article");`
inline error fail(std::string what) { return error{errc::failed, std::move(what)}; }

/// Thrown by `result::value()` on an error; inside a handler that is a crash with its cause.
class bad_result : public std::exception {
 public:
  explicit bad_result(coppice::error e) : error_(std::move(e)), text_(error_.message()) {}
  const char* what() const noexcept override { return text_.c_str(); }
  const coppice::error& error() const noexcept { return error_; }

 private:
  coppice::error error_;
  std::string text_;
};

namespace detail {
[[noreturn]] void throw_bad_result(const error& e);
}

/// A value or an error. Asking a result that holds the other one is a throw (`value`) or an
/// assertion (`error`).
template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;

  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(coppice::error e) : state_(std::in_place_index<1>, std::move(e)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T& value() & { return has_value() ? std::get<0>(state_) : raise(); }
  const T& value() const& { return has_value() ? std::get<0>(state_) : raise(); }
  T&& value() && { return std::move(has_value() ? std::get<0>(state_) : raise()); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  template <class U>
  T value_or(U&& other) const& {
    return has_value() ? std::get<0>(state_) : static_cast<T>(std::forward<U>(other));
  }

  /// Only if `!has_value()`.
  const coppice::error& error() const { return std::get<1>(state_); }

 private:
  [[noreturn]] T& raise() const { detail::throw_bad_result(std::get<1>(state_)); }

  std::variant<T, coppice::error> state_;
};

/// Success without a value, or an error.
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;

  result() noexcept = default;
  result(coppice::error e) : error_(std::in_place_index<1>, std::move(e)) {}

  bool has_value() const noexcept { return error_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  void value() const {
    if (!has_value()) detail::throw_bad_result(std::get<1>(error_));
  }
  const coppice::error& error() const { return std::get<1>(error_); }

 private:
  std::variant<std::monostate, coppice::error> error_;
};

}  // namespace coppice
