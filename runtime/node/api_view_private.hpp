// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/http/api.hpp>
#include <coppice/runtime/node/node_private.hpp>

namespace coppice {

/// A node as its HTTP API sees it.
class api_view final : public http::node_view {
 public:
  explicit api_view(node::implementation& of) noexcept : of_(of) {}

  http::health_report health() override;
  http::node_status status() override;
  std::vector<http::member> members() override;
  std::vector<http::metric> metrics() override;
  result<tree_node> tree(const std::string& path) override;
  tree_feed follow() override;
  result<void> kill(const std::string& path) override;
  void kill_node() override;
  result<void> stop() override;

 private:
  node::implementation& of_;
};

}  // namespace coppice
