// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// The cluster file: one TOML file that describes a cluster and each of its nodes. The same file
/// goes to every machine; a node's name picks which of the nodes one is.
///
///     auto read = coppice::read_config("cluster.toml");
///     if (!read) { std::cerr << read.error().why()->what << '\n'; return 2; }
///     auto me = coppice::node_named(*read, "alpha");
///
/// The defaults stand in the structs below and nowhere else. What each key means, its range and
/// why its default is what it is stand in the key tables (keys.cpp), which docs/configuration.md
/// is generated from. All functions may be called from any thread; none of them logs or waits.
namespace coppice {

/// Which defaults hold: `usual` (in the file: "default") for machines on a network, `loopback`
/// for a cluster on one machine.
enum class cluster_profile : std::uint8_t { usual, loopback };

/// Where a secret is to be found; never the secret itself, which `resolve` fetches.
struct secret {
  enum class source : std::uint8_t { none, environment, file };
  source from = source::none;
  std::string of{};  ///< name of the variable, or path of the file

  bool operator==(const secret&) const = default;
};

struct cluster_identity {
  std::string name{};
  cluster_profile profile = cluster_profile::usual;
  std::vector<std::string> bulk{};  ///< patterns of paths

  bool operator==(const cluster_identity&) const = default;
};

/// Paths of PEM files. `{node}` in them stands for a node's name, see `for_node`.
struct tls_config {
  std::string ca{};
  std::string certificate{};
  std::string key{};
  bool insecure = false;

  bool operator==(const tls_config&) const = default;
};

struct node_config {
  std::string name{};
  std::string address{};  ///< "host:port" or "unix:/path"
  std::string zone{};
  std::vector<std::string> roles{};
  std::string program{};
  std::vector<std::string> arguments{};
  std::string http{};  ///< "host:port", or empty: no HTTP
  secret http_token{};
  bool http_tls = false;
  std::string directory{};

  bool operator==(const node_config&) const = default;
};

/// Bounds of the connections between nodes, each per peer.
struct limits_config {
  std::uint64_t message_bytes = 16u << 20;
  std::uint64_t send_buffer_bytes = 8u << 20;
  std::uint64_t ack_every_bytes = 256u << 10;
  std::chrono::milliseconds ack_every{50};
  std::chrono::milliseconds connect_deadline{5'000};
  std::chrono::milliseconds handshake_deadline{5'000};
  std::chrono::milliseconds session_limit{10'000};
  std::chrono::milliseconds reconnect_first{50};
  std::chrono::milliseconds reconnect_most{2'000};
  std::uint32_t pending_handshakes = 64;
  std::uint32_t remote_addresses = 65'536;
  std::uint32_t pending_asks = 100'000;
  std::uint32_t busy_wait_us = 50;

  bool operator==(const limits_config&) const = default;
};

/// When a node takes a silent peer for suspect, and for unreachable.
struct liveness_config {
  std::chrono::milliseconds heartbeat{200};
  std::chrono::milliseconds suspect_after{1'000};
  std::chrono::milliseconds unreachable_after{5'000};
  double phi_threshold = 8.0;
  std::uint32_t indirect_probes = 3;
  std::chrono::milliseconds indirect_most{15'000};
  bool memory_keeper = true;

  bool operator==(const liveness_config&) const = default;
};

enum class log_severity : std::uint8_t { trace, debug, info, warning, error, off };
enum class log_format : std::uint8_t { text, json };

struct log_config {
  log_severity level = log_severity::info;
  std::string file{};  ///< empty: standard error; `{node}` stands for the node's name
  log_format format = log_format::text;
  std::uint32_t records_per_second = 20;

  bool operator==(const log_config&) const = default;
};

/// Bounds of each node's HTTP server; where it listens is the node's own.
struct http_config {
  std::uint32_t connections = 64;
  std::uint64_t body_bytes = 64u << 10;
  std::chrono::milliseconds request_deadline{10'000};
  std::chrono::milliseconds idle{30'000};

  bool operator==(const http_config&) const = default;
};

/// Nodes that have one of `roles` may send what matches `events` to what matches `paths`.
struct allow_rule {
  std::vector<std::string> roles{};
  std::vector<std::string> paths{};
  std::vector<std::string> events{"*"};

  bool operator==(const allow_rule&) const = default;
};

struct cluster_config {
  cluster_identity cluster{};
  tls_config tls{};
  std::vector<node_config> nodes{};
  limits_config limits{};
  liveness_config liveness{};
  log_config log{};
  http_config http{};
  std::vector<allow_rule> allow{};

  bool operator==(const cluster_config&) const = default;
};

/// A file beyond this is refused unread: a cluster of 256 nodes needs a tenth of it.
inline constexpr std::size_t most_config_bytes = 1u << 20;
/// Of more mistakes than these only the number is told.
inline constexpr std::size_t most_config_errors = 20;

/// Reads and checks a cluster file. Relative paths in it are taken from the folder it lies in and
/// come back absolute, or relative to the working folder as `path` is.
///
/// The error is `invalid`; its first cause holds one line for each mistake, all of them at once,
/// in the order of the file: `cluster.toml:7:15: what is wrong; what was expected`. Columns count
/// characters, from 1. No line quotes what could be a secret.
result<cluster_config> read_config(const std::string& path);

/// The same of a text that is there already. `name` stands for the file in the error texts;
/// relative paths are taken from `folder`, and left as they are when that is empty.
result<cluster_config> parse_config(std::string_view text, std::string_view name,
                                    std::string_view folder = {});

/// Which node of the cluster is called `name`. The error tells the nearest name there is.
result<node_config> node_named(const cluster_config& config, std::string_view name);

/// `text` with each `{node}` in it replaced by the node's name.
std::string for_node(std::string_view text, std::string_view node);

/// Fetches a secret from where it lies. Done as late as possible and not kept, so that a changed
/// secret needs no restart and a core dump holds few. A file's last line break is left out.
/// `warning`, if given, receives a sentence when others than the owner may read the file.
/// Neither it nor the error's text holds any part of the secret.
result<std::string> resolve(const secret& where, std::string* warning = nullptr);

/// What all nodes of a cluster must agree on, one line for each key, in an order that does not
/// depend on that of the file. Holds no secrets, nor where they lie.
std::string canonical(const cluster_config& config);
/// Of the canonical text; nodes compare it when they meet. FNV-1a, 64 bits.
std::uint64_t digest(const cluster_config& config);
/// In which lines two canonical texts differ, in sentences for a log, 20 at most and then how many
/// more. `theirs` may come from anywhere: it is shortened and its control characters are escaped.
std::vector<std::string> difference(std::string_view mine, std::string_view theirs);

/// All there is to know about a key (`limits.message_bytes`, or `message_bytes` where that is
/// clear) or a section (`limits`), in lines for a terminal. The error tells the nearest key.
result<std::string> explain(std::string_view key);
/// A complete, commented cluster file of all keys with their defaults: docs/cluster.reference.toml.
std::string reference_toml();
/// The reference page: docs/configuration.md.
std::string reference_markdown();

}  // namespace coppice
