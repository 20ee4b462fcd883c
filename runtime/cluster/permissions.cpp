// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/permissions.hpp>

#include <algorithm>

namespace coppice {

namespace detail {

bool path_matches(std::string_view pattern, std::string_view path) noexcept {
  for (;;) {
    if (pattern == "/**" || pattern == "**") return true;
    const auto next = [](std::string_view& text) {
      text.remove_prefix(std::min<std::size_t>(1, text.size()));  // the slash
      const std::string_view segment = text.substr(0, text.find('/'));
      text.remove_prefix(segment.size());
      return segment;
    };
    if (pattern.empty() || path.empty()) return pattern.empty() && path.empty();
    const std::string_view wanted = next(pattern), segment = next(path);
    if (wanted != "*" && wanted != segment) return false;
  }
}

bool event_matches(std::string_view pattern, std::string_view event) noexcept {
  if (pattern.ends_with('*')) return event.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == event;
}

}  // namespace detail

bool permissions::allow(const std::vector<std::string>& roles, std::string_view path,
                        std::string_view event) const {
  const auto has = [&](std::string_view role) {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
  };
  if (has(admin_role)) return true;
  if (path.starts_with("/coppice.")) return false;
  const bool relation = event == "coppice.watch" || event == "coppice.link";
  if (event.starts_with("coppice.") && !relation) return false;
  if (rules_.empty()) return true;
  return std::any_of(rules_.begin(), rules_.end(), [&](const permission& rule) {
    return std::any_of(rule.roles.begin(), rule.roles.end(), has) &&
           std::any_of(rule.paths.begin(), rule.paths.end(),
                       [&](const std::string& p) { return detail::path_matches(p, path); }) &&
           (relation ||
            std::any_of(rule.events.begin(), rule.events.end(),
                        [&](const std::string& e) { return detail::event_matches(e, event); }));
  });
}

}  // namespace coppice
