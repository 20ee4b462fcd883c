// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/supervision/decision.hpp>

#include <cstdint>
#include <string>
#include <string_view>

/// What supervisors report while they work, and to whom.
namespace coppice {

namespace detail {
class cell;
}

/// One supervisor report, as light as its receiver wants it: texts are made on demand, so that a
/// crash storm costs no formatting. Valid during the call only.
class supervisor_report {
 public:
  supervisor_report(report_context context, const exit_reason& why,
                    const detail::cell& of_supervisor, const detail::cell* of_child,
                    const child_spec* of_spec, std::uint32_t of_incarnation) noexcept
      : about(context),
        reason(why),
        incarnation(of_incarnation),
        spec(of_spec),
        supervisor_(of_supervisor),
        child_(of_child) {}

  report_context about;
  const exit_reason& reason;
  std::uint32_t incarnation;  ///< the child's
  const child_spec* spec;     ///< the child's, without its id; null: about the supervisor itself

  std::string supervisor() const;
  /// The child's path; empty if the report is about the supervisor itself.
  std::string child() const;
  std::string_view child_id() const noexcept;
  std::string_view child_type() const noexcept;

 private:
  const detail::cell& supervisor_;
  const detail::cell* child_;
};

/// Receives what the supervisors of one tree report. Called from any worker, several at once;
/// must not block.
class supervision_observer {
 public:
  virtual ~supervision_observer() = default;
  virtual void on_report(const supervisor_report&) noexcept {}
  /// The supervisor at the top has ended, or could not start.
  virtual void on_end(const exit_reason&) noexcept {}
  /// A child has not ended although it was killed a stuck limit ago. A C++ thread cannot be
  /// killed: a program that must stay healthy logs the path and exits.
  virtual void on_stuck(const std::string& /*path*/) noexcept {}
};

}  // namespace coppice
