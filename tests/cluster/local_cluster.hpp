// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/outside.hpp>
#include <coppice/runtime/cluster/cluster_private.hpp>
#include <coppice/runtime/wire/sockets.hpp>

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

/// Nodes of a cluster in one process, joined by real sockets in a folder of their own.
namespace local {

using namespace std::chrono_literals;

/// Removed with its owner.
struct folder {
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "coppice-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

/// Waits for a condition of another thread's making.
inline bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds limit = 20s) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

struct node {
  node(const std::vector<coppice::cluster_options::entry>& all, const std::string& name,
       const std::function<void(coppice::cluster_options&)>& adjust,
       const std::function<void(coppice::wire::socket_options&)>& adjust_sockets = {}) {
    system = std::make_unique<coppice::system>(coppice::system_options{.workers = 2});
    coppice::cluster_options o;
    o.cluster = "test";
    o.node = name;
    o.nodes = all;
    o.liveness = coppice::loopback_liveness;
    o.log = [this](coppice::cluster_options::weight, const std::string& text) {
      std::lock_guard lock{guard};
      log.push_back(text);
    };
    if (adjust) adjust(o);
    coppice::wire::socket_options sockets;
    sockets.cluster = "test";
    sockets.node = name;
    sockets.tls.insecure = true;
    sockets.actors = system.get();
    if (adjust_sockets) adjust_sockets(sockets);
    cluster = coppice::cluster_shell_access::make(
        *system, std::move(o), std::make_unique<coppice::wire::socket_carrier>(sockets));
  }
  ~node() {
    shell().stop(2s);
    (void)system->stop(5s);
    cluster.reset();
  }
  coppice::cluster_shell& shell() { return coppice::cluster_shell_access::of(*cluster); }
  coppice::opinion opinion_of(const std::string& name) {
    for (const auto& m : cluster->members())
      if (m.name == name) return m.opinion;
    return coppice::opinion::unknown;
  }
  bool logged(const std::string& part) {
    std::lock_guard lock{guard};
    for (const std::string& line : log)
      if (line.find(part) != std::string::npos) return true;
    return false;
  }
  coppice::outside outside() { return coppice::outside{*system}; }
  std::uint64_t dead(coppice::dead_letter_reason why) {
    return system->dead_letters()[static_cast<std::size_t>(why)];
  }

  std::mutex guard;
  std::vector<std::string> log;
  std::unique_ptr<coppice::system> system;
  std::unique_ptr<coppice::cluster> cluster;
};

/// Nodes `alpha`, `beta`, `gamma`, ...
struct cluster {
  explicit cluster(std::size_t n, std::function<void(coppice::cluster_options&)> adjust = {})
      : adjust_(std::move(adjust)) {
    const char* names[] = {"alpha", "beta", "gamma", "delta"};
    for (std::size_t i = 0; i < n; ++i)
      entries.push_back({names[i], "", {}, "unix:" + (home.path / names[i]).string(), ""});
    for (std::size_t i = 0; i < n; ++i) nodes.push_back(make(i));
    for (auto& x : nodes) x->shell().start().value();
  }
  std::unique_ptr<node> make(std::size_t i) {
    return std::make_unique<node>(entries, entries[i].name, adjust_);
  }
  node& operator[](std::size_t i) { return *nodes[i]; }
  bool all_up() {
    return eventually([this] {
      for (auto& x : nodes)
        for (auto& e : entries)
          if (x && x->opinion_of(e.name) != coppice::opinion::up) return false;
      return true;
    });
  }

  folder home;
  std::function<void(coppice::cluster_options&)> adjust_;
  std::vector<coppice::cluster_options::entry> entries;
  std::vector<std::unique_ptr<node>> nodes;
};

}  // namespace local
