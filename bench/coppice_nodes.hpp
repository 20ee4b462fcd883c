// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "rows.hpp"

#include <coppice/runtime/node/node.hpp>
#include <coppice/runtime/wire/certificates.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Clusters on this machine for the rows between nodes: one node in this process, each other one
/// in a process forked from it, over TCP on loopback.
namespace coppice::bench {

using namespace std::chrono_literals;

inline void check(bool holds, const std::string& sentence) {
  if (!holds) throw std::runtime_error(sentence);
}

/// A process that does `body`, and is killed with its owner. To be made while this process
/// has no other threads.
class forked {
 public:
  explicit forked(const std::function<void()>& body) {
    std::fflush(nullptr);
    pid_ = ::fork();
    check(pid_ >= 0, "cannot start a process");
    if (pid_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
      body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in a process beside: %s\n", error.what());
    }
    ::_exit(1);
  }
  forked(const forked&) = delete;
  forked& operator=(const forked&) = delete;
  ~forked() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void signal(int number) const { ::kill(pid_, number); }

 private:
  pid_t pid_;
};

struct cluster_wish {
  bool tls = false;
  std::string_view profile = "default";
  std::vector<std::string> nodes = {"alpha", "beta"};
};

/// A cluster file with free ports, and certificates if it wants them.
class cluster_on_loopback {
 public:
  explicit cluster_on_loopback(const cluster_wish& wish) {
    std::string text = "[cluster]\nname = \"bench\"\nprofile = \"";
    text += std::string{wish.profile} + "\"\n[tls]\n";
    text += wish.tls ? "ca = \"ca.crt\"\ncertificate = \"{node}.crt\"\nkey = \"{node}.key\"\n"
                     : "insecure = true\n";
    text += "[log]\nlevel = \"error\"\n";
    const auto ports = free_ports(wish.nodes.size());
    for (std::size_t i = 0; i < wish.nodes.size(); ++i)
      text += "[[node]]\nname = \"" + wish.nodes[i] +
              "\"\naddress = \"127.0.0.1:" + std::to_string(ports[i]) + "\"\n";
    if (wish.tls) {
      auto pattern = (std::filesystem::temp_directory_path() / "coppice_bench_XXXXXX").string();
      check(::mkdtemp(pattern.data()) != nullptr, "cannot create " + pattern);
      folder_ = pattern;
      wire::create_authority(folder_.string(), "bench").value();
      for (const auto& n : wish.nodes) wire::issue_certificate(folder_.string(), n).value();
    }
    config_ = std::make_shared<cluster_config>(
        parse_config(text, "cluster.toml", folder_.string()).value());
  }
  cluster_on_loopback(const cluster_on_loopback&) = delete;
  cluster_on_loopback& operator=(const cluster_on_loopback&) = delete;
  ~cluster_on_loopback() {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  node_options options(std::string_view node) const {
    node_options o;
    o.name = "bench";
    o.config = config_;
    o.node = node;
    o.log.level = log_level::error;
    return o;
  }
  const cluster_config& config() const { return *config_; }

 private:
  /// All are held at once, so that no two are the same.
  static std::vector<unsigned> free_ports(std::size_t count) {
    std::vector<unsigned> ports;
    std::vector<int> sockets;
    for (std::size_t i = 0; i < count; ++i) {
      const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in a{};
      a.sin_family = AF_INET;
      a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof a;
      check(::bind(s, reinterpret_cast<sockaddr*>(&a), size) == 0 &&
                ::getsockname(s, reinterpret_cast<sockaddr*>(&a), &size) == 0,
            "no free port");
      ports.push_back(ntohs(a.sin_port));
      sockets.push_back(s);
    }
    for (const int s : sockets) ::close(s);
    return ports;
  }

  std::filesystem::path folder_;  // of the certificates, if there are any
  std::shared_ptr<const cluster_config> config_;
};

/// A node in a process of its own. `then` is called when it is up.
class far_node {
 public:
  far_node(
      const cluster_on_loopback& in, const std::string& name, const children::builder& build,
      const std::function<void(node&)>& then = [](node&) {})
      : process_([&] {
          node here{in.options(name), build};
          here.start().value();
          then(here);
          for (;;) ::pause();
        }) {}

  void signal(int number) const { process_.signal(number); }

 private:
  forked process_;
};

/// What a thread outside waits for: that an actor has done its work, or says why it could not.
class work {
 public:
  void done() { gate_.open(); }
  void failed(std::string why) {
    failure_ = std::move(why);
    gate_.open();
  }
  /// Throws if it has failed.
  void wait() {
    gate_.wait();
    check(failure_.empty(), failure_);
  }

 private:
  gate gate_;
  std::string failure_;
};

}  // namespace coppice::bench
