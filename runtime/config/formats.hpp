// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/config/config.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What the texts of a cluster file must look like: names, addresses, files, patterns, secrets.
namespace coppice::detail {

/// One way of writing a text. A check returns what is wrong, as a half sentence that goes on from
/// "the key is "text"", or nothing when all is well.
struct format {
  /// What is expected, e.g. `"host:port" or "unix:/path"`.
  std::string_view expected;
  std::string (*check)(std::string_view text) = nullptr;
  /// False: the text may be what nobody else should read, hence stands in no error.
  bool quotable = true;
  /// True: a relative one is taken from the cluster file's folder.
  bool is_file = false;
};

extern const format free_text;      ///< anything without a zero byte
extern const format node_name;      ///< of nodes and clusters; fits into a DNS name
extern const format label;          ///< of roles and zones
extern const format file_path;
extern const format file_path_per_node;  ///< may hold `{node}`
extern const format program_path;   ///< a path, or a name to be looked for in PATH
extern const format peer_address;   ///< host:port or unix:/path
extern const format host_and_port;
extern const format path_pattern;   ///< of actors
extern const format event_pattern;
extern const format secret_reference;

/// Where somebody listens or can be reached, in one spelling for each place.
struct endpoint {
  std::string host;  ///< in lower case, IPv6 without brackets; empty of a Unix socket
  std::uint16_t port = 0;
  std::string unix_path;

  /// 127.0.0.1, ::1, localhost or a Unix socket: reachable from its own machine only.
  bool loopback() const;
  /// 0.0.0.0 or ::, every address of its machine.
  bool wildcard() const;
};
/// Nothing if `text` is neither.
std::optional<endpoint> endpoint_of(std::string_view text);

/// Of a text that `secret_reference` has nothing against.
secret secret_of(std::string_view text);
/// `env:NAME` or `file:PATH`; empty of none.
std::string reference_to(const secret& where);

}  // namespace coppice::detail
