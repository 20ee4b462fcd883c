// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Which node may send which event to which actor of this node.
namespace coppice {

/// Nodes with one of these roles may send these events to these paths. In a path `*` stands for
/// one segment and `**`, at the end, for any number of them; in an event's name `*` at the end for
/// any rest.
struct permission {
  std::vector<std::string> roles;
  std::vector<std::string> paths;
  std::vector<std::string> events;
};

/// The role that may do everything: ask supervisors, send exit signals.
inline constexpr std::string_view admin_role = "admin";

/// Pure. Without any rule each node of the cluster may send each event of a service to each actor;
/// with rules only what one of them names. Events of the runtime itself, whose names begin with
/// `coppice.`, are for the role `admin`; but whoever may send an actor anything at all may watch
/// it and link to it.
class permissions {
 public:
  explicit permissions(std::vector<permission> rules) : rules_(std::move(rules)) {}

  bool allow(const std::vector<std::string>& roles, std::string_view path,
             std::string_view event) const;

 private:
  std::vector<permission> rules_;
};

namespace detail {
bool path_matches(std::string_view pattern, std::string_view path) noexcept;
bool event_matches(std::string_view pattern, std::string_view event) noexcept;
}  // namespace detail

}  // namespace coppice
