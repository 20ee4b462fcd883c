// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/config/config.hpp>
#include <coppice/runtime/http/client.hpp>

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

/// What the commands share: where they print, which cluster they work on, how its nodes are called.
namespace coppice::command {

inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

struct terminal {
  std::ostream& out;
  std::ostream& err;
};

/// An error's sentence for people: without its code.
std::string sentence(const error& e);

/// `alpha:/shop/stock`, `/shop/stock` or `alpha`.
struct target {
  std::string node{};
  std::string path{};  ///< begins with a slash, or is empty
};
target target_of(std::string_view text);

/// The nodes with these names; none given: all. The error names the one that is not there.
result<std::vector<node_config>> chosen(const cluster_config& config,
                                        const std::vector<std::string>& names);

/// Where a node's HTTP can be reached, and with what: its token, and with http_tls a certificate
/// whose key can be read here, that of an admin first. The error says what is lacking.
result<http::call> reach(const cluster_config& config, const node_config& node, std::string path);

/// A node's answer that is no 200 or 202: its error, in words.
std::string refusal_in(const http::response& answer);

/// Whether a node's address is one of this machine.
bool is_here(const node_config& node);

}  // namespace coppice::command
