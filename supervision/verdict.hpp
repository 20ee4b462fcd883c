// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/exit_reason.hpp>
#include <coppice/supervision/spec.hpp>

namespace coppice {

/// What follows from the end of a child that nobody had asked to stop.
struct verdict {
  enum class next : std::uint8_t {
    restart,  ///< start it again, by the strategy's rule
    keep,     ///< it stays stopped; its spec is kept
    remove,   ///< its spec goes and its address ends
  };
  next then;
  bool reported;  ///< it is worth a supervisor report, `child_terminated`
};

/// The table of OTP: permanent is restarted and reported always, transient and temporary are
/// reported when their reason is not a clean one, and then transient is restarted as well.
inline verdict judge(restart kind, const exit_reason& reason) noexcept {
  const bool crashed = !reason.clean();
  switch (kind) {
    case restart::permanent: return {verdict::next::restart, true};
    case restart::transient:
      return {crashed ? verdict::next::restart : verdict::next::keep, crashed};
    case restart::temporary: break;
  }
  return {verdict::next::remove, crashed};
}

/// Whether the end of a child that was stopped by its supervisor is an ordinary one, or worth a
/// report, `shutdown_error`. Ordinary is a plain `shutdown`; for a child that is not permanent,
/// any clean reason; for one that is killed without being asked, `killed`.
inline bool ordinary_stop(restart kind, const shutdown& how, const exit_reason& reason) noexcept {
  if (how.what() == shutdown::kind::brutal && reason.what() == exit_reason::kind::killed)
    return true;
  if (kind != restart::permanent) return reason.clean();
  return reason.what() == exit_reason::kind::shutdown && !reason.why();
}

}  // namespace coppice
