// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/http/api.hpp>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace coppice::http {

/// Whether a path lies at another or below it: `/shop/stock` below `/shop`, `/shopper` not.
bool lies_below(std::string_view path, std::string_view top);

/// Which changes a snapshot shows already. A feed has to begin before its snapshot is taken, so
/// that nothing is missing between them; so its first changes are older than the snapshot.
class shown_already {
 public:
  void reset(const tree_node& snapshot);
  bool operator()(const tree_change& change);

 private:
  void enter(const tree_node& node);

  std::map<std::string, std::uint64_t> versions_;  ///< by path
  std::uint64_t newest_ = 0;
};

/// Streams of one tree's changes. A thread takes them from the node's feed while there is a client,
/// and writes them into each client's stream.
class followers {
 public:
  followers(node_view& node, std::mutex& node_guard, const api_options& options);
  ~followers();
  followers(const followers&) = delete;
  followers& operator=(const followers&) = delete;

  /// A new client's stream, with its first snapshot in it. The caller holds `node_guard`.
  result<std::shared_ptr<stream>> add(const std::string& path, stream_format format);

 private:
  struct follower {
    std::string path;
    std::shared_ptr<stream> records;
    shown_already shown;
    bool behind = false;  ///< has missed changes: needs a snapshot
  };

  void start_thread();
  void run();
  void tell(follower& f, const tree_feed::news& news);
  void catch_up(follower& f);

  node_view& node_;
  std::mutex& node_guard_;  ///< a node is asked by one thread at a time
  const api_options options_;
  std::mutex guard_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<follower>> all_;
  std::optional<tree_feed> feed_;  ///< while there is somebody; used by the thread alone
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace coppice::http
