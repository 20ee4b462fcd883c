// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/result.hpp>

namespace coppice {

std::string_view name(errc code) noexcept {
  switch (code) {
    case errc::overloaded: return "overloaded";
    case errc::restarting: return "restarting";
    case errc::stopped: return "stopped";
    case errc::gone: return "gone";
    case errc::expired: return "expired";
    case errc::cycle: return "cycle";
    case errc::unknown_event: return "unknown_event";
    case errc::denied: return "denied";
    case errc::parked: return "parked";
    case errc::unreachable: return "unreachable";
    case errc::moved: return "moved";
    case errc::crashed: return "crashed";
    case errc::timeout: return "timeout";
    case errc::disconnected: return "disconnected";
    case errc::unanswered: return "unanswered";
    case errc::failed: return "failed";
    case errc::invalid: return "invalid";
    case errc::limit: return "limit";
    case errc::not_found: return "not_found";
    case errc::running: return "running";
    case errc::already_present: return "already_present";
    case errc::already_started: return "already_started";
    case errc::simple_one_for_one: return "simple_one_for_one";
  }
  return "unknown";
}

namespace {

int depth(const cause_ptr& chain) {
  int n = 0;
  for (const cause* link = chain.get(); link; link = link->because.get()) ++n;
  return n;
}

}  // namespace

cause_ptr make_cause(std::string what, std::string where, std::uint32_t incarnation,
                     cause_ptr because) {
  if (depth(because) >= max_cause_depth) return because;
  return std::make_shared<const cause>(
      cause{std::move(what), std::move(where), incarnation, std::move(because)});
}

std::string to_string(const cause_ptr& chain) {
  std::string text;
  for (const cause* link = chain.get(); link; link = link->because.get()) {
    if (!text.empty()) text += ", because ";
    text += link->what;
    if (link->where.empty()) continue;
    text += " (at " + link->where;
    if (link->incarnation) text += '#' + std::to_string(link->incarnation);
    text += ')';
  }
  return text;
}

std::string error::message() const {
  std::string text{name(code_)};
  if (why_) text += ": " + to_string(why_);
  return text;
}

namespace detail {
void throw_bad_result(const error& e) { throw bad_result{e}; }
}  // namespace detail

}  // namespace coppice
