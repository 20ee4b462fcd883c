// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

/// Why an incarnation ended. OTP's reasons under their own names, and the chain of causes.
namespace coppice {

class exit_reason {
 public:
  enum class kind : std::uint8_t {
    normal,        ///< it had done its work
    shutdown,      ///< it was asked to stop; `shutdown(x)` carries a text
    killed,        ///< it received an explicit, untrappable kill
    kill,          ///< `kill` that came through a link: an ordinary reason
    noproc,        ///< what it was linked to or watched did not exist
    crashed,       ///< a handler threw
    failed,        ///< it stopped itself with a reason of its own
    start_failed,  ///< construction or `started()` threw, or missed its deadline
    exhausted,     ///< a supervisor that has used up its restart budget
    unreachable,   ///< its node cannot be reached: nobody knows whether it still runs
  };

  static exit_reason normal() { return exit_reason{kind::normal}; }
  static exit_reason shutdown() { return exit_reason{kind::shutdown}; }
  static exit_reason shutdown(std::string detail) {
    return exit_reason{kind::shutdown, make_cause(std::move(detail))};
  }
  static exit_reason killed() { return exit_reason{kind::killed}; }
  static exit_reason kill() { return exit_reason{kind::kill}; }
  static exit_reason failed(std::string why) {
    return exit_reason{kind::failed, make_cause(std::move(why))};
  }

  exit_reason() noexcept = default;
  explicit exit_reason(kind what, cause_ptr why = nullptr) noexcept
      : kind_(what), why_(std::move(why)) {}

  kind what() const noexcept { return kind_; }
  const cause_ptr& why() const noexcept { return why_; }

  /// `normal`, `shutdown` or `shutdown(x)`: a transient child is not restarted after these.
  bool clean() const noexcept { return kind_ <= kind::shutdown; }

  /// One line, e.g. `crashed: std::runtime_error: no paper (at /shop/printer#3)`.
  std::string text() const;

 private:
  kind kind_ = kind::normal;
  cause_ptr why_;
};

/// The kind's name as it stands in logs and snapshots, e.g. `start_failed`.
std::string_view name(exit_reason::kind what) noexcept;

}  // namespace coppice
