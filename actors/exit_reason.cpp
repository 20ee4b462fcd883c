// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/exit_reason.hpp>

namespace coppice {

std::string_view name(exit_reason::kind what) noexcept {
  switch (what) {
    case exit_reason::kind::normal: return "normal";
    case exit_reason::kind::shutdown: return "shutdown";
    case exit_reason::kind::killed: return "killed";
    case exit_reason::kind::kill: return "kill";
    case exit_reason::kind::noproc: return "noproc";
    case exit_reason::kind::crashed: return "crashed";
    case exit_reason::kind::failed: return "failed";
    case exit_reason::kind::start_failed: return "start_failed";
    case exit_reason::kind::exhausted: return "exhausted";
    case exit_reason::kind::unreachable: return "unreachable";
  }
  return "unknown";
}

std::string exit_reason::text() const {
  std::string text{name(kind_)};
  if (why_) text += ": " + to_string(why_);
  return text;
}

}  // namespace coppice
