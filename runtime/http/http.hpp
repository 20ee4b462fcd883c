// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>
#include <coppice/runtime/http/stream.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A small HTTP/1.1 server for a node's own affairs: health, metrics, the tree. Everything about
/// it is bounded, and it is closed by default: without a token or certificates it listens on this
/// machine only.
///
///     coppice::http::server api{{.address = "127.0.0.1:8080"}, [](const auto& request) {
///       return coppice::http::response{.body = "{}"};
///     }};
///     if (auto up = api.start(); !up) return up.error();
///
/// It is no web server: no files, no CORS. Who may do what is settled by the peer's address, by a
/// bearer token or by certificates; the handler is told (`authorised`).
namespace coppice::http {

struct request {
  std::string method;  ///< GET or POST; a HEAD is handled as a GET and answered without its body
  std::string path;    ///< decoded; valid UTF-8 without control characters
  std::map<std::string, std::string> query{};  ///< decoded, each key once
  std::string body{};
  std::string accept{};  ///< the header of that name
  std::string peer{};    ///< address and port
  std::string certificate{};  ///< the name in the peer's, with TLS
  /// The peer may do this. In the open: it showed the right token; or there is no token, and it is
  /// on this machine. With TLS: it asks for a GET; or its certificate is that of one of the
  /// `admins`, or it showed the right token besides.
  bool authorised = false;
};

struct response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};  ///< besides those of every response
  /// What follows the body, without an end: see `stream`. The body should be a whole record then.
  std::shared_ptr<stream> records{};
  /// Called once, on the server's thread, when the response has been handed to the operating
  /// system, or the connection has been lost before.
  std::function<void()> afterwards{};
};

/// A refusal: `{"error": "what is wrong", "hint": "what to do about it"}`.
response refusal(unsigned status, std::string_view error, std::string_view hint = {});

struct limits {
  std::size_t header_bytes = std::size_t{8} * 1024;  ///< larger ones are refused: 431
  std::size_t body_bytes = std::size_t{64} * 1024;  ///< larger ones are refused: 413
  /// At the same time. One more takes the place of the connection that has been idle for longest;
  /// if all are at work it is refused: 503.
  std::size_t connections = 64;
  /// From a request's first byte to its last, however slowly they drip: 408. Also from a connection
  /// to its first request, and the TLS handshake is within that.
  std::chrono::milliseconds request_deadline{10'000};
  /// Between requests.
  std::chrono::milliseconds idle{30'000};
  /// For a client to take a response, or what waits for it on a stream.
  std::chrono::milliseconds write_deadline{30'000};
  std::size_t stream_bytes = std::size_t{1024} * 1024;  ///< that wait for one streaming client
};

/// With these HTTP goes through TLS 1.3, and both sides show a certificate of one authority that
/// names a node of the cluster. Paths of PEM files.
struct certificates {
  std::string cluster;  ///< certificates name their node as `<node>.<cluster>`
  std::string ca;  ///< certificates of the authorities that are trusted
  std::string certificate;  ///< one's own
  std::string key;  ///< its private key, without a passphrase
};

struct server_options {
  /// `host:port`; port 0 is any free one. Not a loopback address: needs a token or certificates.
  std::string address = "127.0.0.1:0";
  /// What a client has to send: `Authorization: Bearer <token>`.
  std::optional<std::string> token{};
  /// New files are taken into use by the next connection; those that cannot be used are reported
  /// once, and the ones before stay in use.
  std::optional<http::certificates> tls{};
  std::vector<std::string> admins{};  ///< whose certificates may POST
  http::limits limits{};
  /// Told, on the server's thread, what an operator should know of `tls`, and who was refused why;
  /// strangers can make the latter happen as often as they like.
  std::function<void(const std::string&)> report{};
};

/// Counted since the start.
struct server_counts {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;  ///< that reached the handler
  std::uint64_t refused = 0;  ///< answered by the server itself: malformed, too large, too many
  std::uint64_t timeouts = 0;  ///< connections closed because the peer was too slow
};

/// One thread, started by `start`, that serves all connections and calls the handler; so while the
/// handler runs nothing else is served. What the handler throws is answered with 500.
class server {
 public:
  using handler = std::function<response(const request&)>;

  server(server_options options, handler handle);
  /// Stops.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Listens. Once only. The error says why it cannot, or must not.
  result<void> start();
  /// The address with the port in use, once started: `127.0.0.1:38123`.
  std::string address() const;
  /// Closes all connections and waits for the thread. Not from within the handler.
  void stop();
  server_counts counts() const;

 private:
  friend class connection;
  struct implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace coppice::http
