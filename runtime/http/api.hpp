// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/http/http.hpp>
#include <coppice/runtime/http/metrics.hpp>
#include <coppice/supervision/feed.hpp>
#include <coppice/supervision/tree.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

/// What a node can be asked over HTTP, and how it answers.
///
///     coppice::http::api api{view, [](const coppice::http::audit_record& a) { log(a); }};
///     coppice::http::server server{options, [&](const auto& request) { return api(request); }};
///
/// | | |
/// |---|---|
/// | GET /health/live | 200 while the process can answer |
/// | GET /health/ready | 200, or 503 with the reasons why not |
/// | GET /metrics | for Prometheus |
/// | GET /api/tree?path=/shop&format=json | the supervision tree, or a part; `format=text` for
/// people | | GET /api/tree/follow?path=/shop | a stream: `{"snapshot":tree}`, then
/// `{"version":..,"parent":..,"child":..}` for each change | | GET /api/members | this node, and
/// its opinion of the others | | POST /api/kill `{"path":"/shop/stock"}` or `{"node":"alpha"}` |
/// kills an actor, or this process | | POST /api/stop `{}` | stops this node in order |
///
/// Health is told to everyone whom the server lets in, the rest to who is authorised. Who is too
/// slow for the changes of a tree is told how many are missing, `{"lost":12}`, and gets a new
/// snapshot behind it.
namespace coppice::http {

struct health_report {
  bool live = true;
  bool ready = true;
  std::vector<std::string> reasons{};  ///< why not
};

struct node_status {
  std::string name;
  std::string cluster{};
  std::string incarnation{};  ///< of the process, as hexadecimal digits
  std::chrono::milliseconds up{0};
  std::uint64_t actors = 0;
  std::uint64_t restarts = 0;
  std::uint64_t dead_letters = 0;
};

/// Another node as this one sees it.
struct member {
  std::string name;
  std::string address{};
  std::string zone{};
  std::vector<std::string> roles{};
  std::string opinion{};      ///< `up`, `suspect`, `unreachable`
  std::string why{};          ///< the last change of opinion
  std::string incarnation{};  ///< empty: not known yet
  std::chrono::milliseconds since{0};  ///< that the opinion has been so
};

/// What the API needs of a node. Called on the server's thread, and by `follow`'s thread (`tree`),
/// never both at once.
class node_view {
 public:
  virtual ~node_view() = default;

  virtual health_report health() = 0;
  virtual node_status status() = 0;
  virtual std::vector<member> members() = 0;
  virtual std::vector<metric> metrics() = 0;
  /// What is at this path and below; empty: all. `not_found`.
  virtual result<tree_node> tree(const std::string& path) = 0;
  /// All changes of the tree from now on.
  virtual tree_feed follow() = 0;
  /// Kills the actor's incarnation: its supervisor does what its rules say.
  virtual result<void> kill(const std::string& path) = 0;
  /// Ends the process at once. Need not return.
  virtual void kill_node() = 0;
  /// Begins to stop the node in order, and returns.
  virtual result<void> stop() = 0;
};

/// Of each attempt to change something.
struct audit_record {
  std::string action;  ///< `kill`, `stop`
  std::string target;  ///< a path, or a node's name
  std::string peer;    ///< who asked: address and port, and by whose certificate
  bool allowed = false;
  std::string outcome;  ///< `done`, or why not
};

struct api_options {
  /// Streaming clients at the same time; one more is refused: 503.
  std::size_t followers = 16;
  std::chrono::milliseconds follow_pause{100};  ///< the most that a change may wait to be told
};

/// Answers requests, on one thread at a time. Has a thread of its own while somebody follows.
class api {
 public:
  using audit = std::function<void(const audit_record&)>;

  /// `node` must outlive it. `tell` is called for every attempt to kill or stop, allowed or not.
  api(node_view& node, audit tell, api_options options = {});
  /// Ends the streams.
  ~api();
  api(const api&) = delete;
  api& operator=(const api&) = delete;

  response operator()(const request& asked);

 private:
  struct implementation;
  std::unique_ptr<implementation> impl_;
};

}  // namespace coppice::http
