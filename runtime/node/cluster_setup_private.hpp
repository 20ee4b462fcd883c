// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/cluster/cluster_private.hpp>
#include <coppice/runtime/config/config.hpp>
#include <coppice/runtime/http/http.hpp>
#include <coppice/runtime/wire/sockets.hpp>

#include <string>

/// What a cluster's config means for one of its nodes.
namespace coppice {

/// `node` must be one of the config's.
cluster_options cluster_part(const cluster_config& config, const std::string& node);
wire::socket_options socket_part(const cluster_config& config, const std::string& node);
/// The error: the token cannot be read. Nothing: the node serves no HTTP.
result<std::optional<http::server_options>> http_part(const cluster_config& config,
                                                      const std::string& node);

}  // namespace coppice
