// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

/// What a request's first lines say, read with suspicion. Pure functions.
namespace coppice::http {

struct host_and_port {
  std::string host;  ///< an IPv6 address without its brackets
  std::string port;
};

/// `127.0.0.1:80`, `[::1]:80`, `localhost:80`. Nothing: it is none of these.
std::optional<host_and_port> split_address(std::string_view address);

struct target {
  std::string path;                          ///< decoded; begins with a slash
  std::map<std::string, std::string> query;  ///< decoded
};

/// Reads a request's target. Nothing: it is none; `why` has a sentence.
std::optional<target> parse_target(std::string_view text, std::string& why);

/// Whether a Host header names this machine from within, as a page of a foreign site cannot: the
/// name of such a site may be made to resolve to 127.0.0.1, but it stays in the header.
bool names_loopback(std::string_view host_header);

/// Takes the same time wherever the first difference is.
bool same_secret(std::string_view given, std::string_view expected) noexcept;

/// The token of `Authorization: Bearer <token>`; empty: there is none.
std::string_view bearer_token(std::string_view authorization) noexcept;

}  // namespace coppice::http
