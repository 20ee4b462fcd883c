// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/http/http.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// A small HTTP client that blocks the calling thread, for the command and for tests.
///
///     auto answer = coppice::http::get({.address = "127.0.0.1:8080", .path = "/health/ready"});
///     if (!answer) std::cerr << answer.error().message();
///     else if (answer->status != 200) std::cerr << answer->body;
///
/// An answer with any status is a value. Errors: `invalid` (the call itself, or its certificates),
/// `disconnected` (nobody listens, one side refused the other's certificate, or the connection was
/// lost; a `post` may have been carried out then), `timeout`, `limit` (the answer is too large).
namespace coppice::http {

struct call {
  std::string address;                 ///< host:port
  std::string path;                    ///< with its query; already encoded, see `encoded`
  std::optional<std::string> token{};
  std::optional<http::certificates> tls{};
  std::string node{};  ///< with `tls`: the node that has to be there; empty: any of the cluster
  std::chrono::milliseconds deadline{5'000};  ///< for everything; of `follow`: until it begins
  std::size_t body_bytes = std::size_t{256} * 1024 * 1024;
};

result<response> get(const call& c);
result<response> post(const call& c, std::string_view json);

/// Reads a response line by line for as long as `on_line` returns true; empty lines are left out.
/// Nothing at all for as long as `silence` is an error. A value: the server has ended it, or
/// `on_line` has; a status other than 200 is a value too, with its body.
result<response> follow(const call& c, const std::function<bool(std::string_view)>& on_line,
                        std::chrono::milliseconds silence = std::chrono::seconds{60});

/// For a value in a query.
std::string encoded(std::string_view text);

}  // namespace coppice::http
