// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

/// The certificates of a cluster: one authority, and one certificate for each node, with which it
/// proves its name to the others. This is what `coppice cert` does.
///
///     create_authority("certs", "shop");      // certs/ca.crt, certs/ca.key
///     issue_certificate("certs", "stock");    // certs/stock.crt, certs/stock.key
///
/// A node needs `ca.crt` and its own two files. `ca.key` can make any node: keep it off the nodes.
///
/// A node's certificate names it as `<node>.<cluster>`, the only DNS name in it of that cluster,
/// and may be used on both sides of a connection. Certificates from elsewhere serve as well if they
/// do that.
namespace coppice::wire {

struct certificate_options {
  /// From when it is valid; if empty from an hour ago, because clocks differ.
  std::optional<std::chrono::system_clock::time_point> valid_from;
  /// If empty ten years for an authority, one year for a node. Never longer than its authority.
  std::optional<std::chrono::hours> valid_for;
  /// Replace files that are there. Without it nothing is touched and the call fails.
  bool overwrite = false;
};

struct issued_certificate {
  std::filesystem::path certificate;
  std::filesystem::path key;
  std::chrono::system_clock::time_point valid_until;
};

/// Makes `ca.crt` and `ca.key` in `folder`, which is created if need be, readable by the owner
/// alone. EC P-256. Each file appears whole or not at all. May throw nothing but std::bad_alloc.
result<issued_certificate> create_authority(const std::filesystem::path& folder,
                                            const std::string& cluster,
                                            const certificate_options& options = {});

/// Makes `<node>.crt` and `<node>.key` in `folder`, signed by the authority there. A node that runs
/// with these files takes replaced ones into use with its next connection.
result<issued_certificate> issue_certificate(const std::filesystem::path& folder,
                                             const std::string& node,
                                             const certificate_options& options = {});

}  // namespace coppice::wire
