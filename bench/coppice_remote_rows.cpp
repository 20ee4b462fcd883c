// SPDX-License-Identifier: BSD-3-Clause

// Our rows between two nodes: two processes of this program on this machine, over TCP.
// Usage: bench_coppice_remote_rows ROW [plain|tls] | --list

#include "rows.hpp"

#include <coppice/runtime/node/node.hpp>
#include <coppice/runtime/wire/certificates.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace coppice::bench;
using namespace std::chrono_literals;

constexpr std::uint64_t rtt_warm_up = 1'000;
constexpr std::uint64_t rtt_samples = 20'000;

struct pong {
  std::uint64_t number = 0;
};
struct ping {
  static constexpr std::string_view name = "bench.ping";
  std::uint64_t number = 0;
  using reply = pong;
};
struct load {
  static constexpr std::string_view name = "bench.load";
  std::string content;
};
struct counted {
  std::uint64_t events = 0;
};
struct count {
  static constexpr std::string_view name = "bench.count";
  using reply = counted;
};

/// Of the other node.
class echo : public coppice::actor<ping, load, count> {
 public:
  pong on(const ping& p) { return {p.number}; }
  void on(const load& l) {
    bytes_ += l.content.size();
    ++events_;
  }
  counted on(const count&) { return {std::exchange(events_, 0)}; }

 private:
  std::uint64_t events_ = 0, bytes_ = 0;
};

struct go {
  std::uint64_t times = 0;
};

/// Asks again when it has the answer.
class asker : public coppice::actor<go> {
 public:
  asker(coppice::ref<ping> to, gate* done, std::vector<double>* us)
      : to_(std::move(to)), done_(done), us_(us) {}
  void on(const go& g) {
    left_ = g.times;
    next();
  }

 private:
  void next() {
    const auto begin = std::chrono::steady_clock::now();
    ask(to_, ping{left_}, 5s).then([this, begin](coppice::result<pong> answer) {
      answer.value();
      us_->push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
              .count());
      if (--left_ == 0) done_->open();
      else next();
    });
  }

  coppice::ref<ping> to_;
  gate* done_;
  std::vector<double>* us_;
  std::uint64_t left_ = 0;
};

/// Sends in batches, two of which are on their way at a time.
class sender : public coppice::actor<go> {
 public:
  sender(coppice::ref<load, count> to, gate* done, std::size_t bytes)
      : to_(std::move(to)), done_(done), content_(bytes, 'x') {}
  coppice::task<> on(const go& g) {
    constexpr std::uint64_t batch = 4'000;
    for (std::uint64_t sent = 0; sent < g.times;) {
      auto room_again = room(to_, 30s);
      for (std::uint64_t i = 0; i < batch && sent < g.times; ++i, ++sent) send(to_, load{content_});
      auto there = co_await room_again;
      there.value();
    }
    auto asked = ask(to_, count{}, 60s);
    auto all = co_await asked;
    if (all.value().events != g.times) std::abort();
    done_->open();
  }

 private:
  coppice::ref<load, count> to_;
  gate* done_;
  std::string content_;
};

// ---- two nodes --------------------------------------------------------------------------------

std::string free_address() {
  const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  if (::bind(s, reinterpret_cast<sockaddr*>(&a), size) != 0 ||
      ::getsockname(s, reinterpret_cast<sockaddr*>(&a), &size) != 0)
    std::abort();
  ::close(s);
  return "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
}

struct scratch {
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "coppice_bench_XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

std::shared_ptr<const coppice::cluster_config> make_config(bool tls, const scratch& folder) {
  auto c = std::make_shared<coppice::cluster_config>();
  c->cluster.name = "bench";
  for (const char* name : {"alpha", "beta"}) {
    coppice::node_config n;
    n.name = name;
    n.address = free_address();
    c->nodes.push_back(n);
  }
  c->tls.insecure = !tls;
  if (tls) {
    coppice::wire::create_authority(folder.path.string(), "bench").value();
    for (const auto& n : c->nodes)
      coppice::wire::issue_certificate(folder.path.string(), n.name).value();
    c->tls.ca = (folder.path / "ca.crt").string();
    c->tls.certificate = (folder.path / "{node}.crt").string();
    c->tls.key = (folder.path / "{node}.key").string();
  }
  return c;
}

coppice::node_options options(const std::shared_ptr<const coppice::cluster_config>& config,
                              const char* name) {
  coppice::node_options o;
  o.name = "bench";
  o.config = config;
  o.node = name;
  o.log.level = coppice::log_level::error;
  return o;
}

/// The other node, in a process of its own.
class other {
 public:
  explicit other(const std::shared_ptr<const coppice::cluster_config>& config) {
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    coppice::node beta{options(config, "beta"), [](coppice::children& c) { c.add<echo>("echo"); }};
    beta.start().value();
    for (;;) ::pause();
  }
  ~other() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

void rtt(bool tls) {
  const scratch folder;
  const auto config = make_config(tls, folder);
  const other beta{config};
  gate done;
  std::vector<double> us;
  us.reserve(rtt_samples);
  coppice::ref<go> driver;
  coppice::node alpha{options(config, "alpha"), [&](coppice::children& c) {
                        auto far = alpha.cluster().at<ping>("beta:/bench/echo").value();
                        driver = c.add<asker>("asker", far, &done, &us);
                      }};
  alpha.start().value();
  alpha.find<ping>("beta:/bench/echo").value();
  alpha.outside().send(driver, go{rtt_warm_up});
  done.wait();
  us.clear();
  alpha.outside().send(driver, go{rtt_samples});
  done.wait();
  report("remote_rtt_p50", percentile(us, 50), "us");
  report("remote_rtt_p99", percentile(us, 99), "us");
}

void one_way(bool tls, const char* name, std::size_t bytes, std::uint64_t events) {
  const scratch folder;
  const auto config = make_config(tls, folder);
  const other beta{config};
  gate done;
  coppice::ref<go> driver;
  coppice::node alpha{options(config, "alpha"), [&](coppice::children& c) {
                        auto far = alpha.cluster().at<load, count>("beta:/bench/echo").value();
                        driver = c.add<sender>("sender", far, &done, bytes);
                      }};
  alpha.start().value();
  alpha.find<load>("beta:/bench/echo").value();
  alpha.outside().send(driver, go{events / 10});
  done.wait();
  stopwatch watch;
  alpha.outside().send(driver, go{events});
  done.wait();
  report(name, static_cast<double>(events) / watch.seconds(), "msgs/s");
}

void one_way_64(bool tls) { one_way(tls, "remote_one_way_64", 64, 2'000'000); }
void one_way_4k(bool tls) { one_way(tls, "remote_one_way_4k", 4'096, 200'000); }

constexpr row<bool> rows[] = {
    {"remote_rtt_p50", &rtt},
    {"remote_one_way_64", &one_way_64},
    {"remote_one_way_4k", &one_way_4k},
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "--list") {
    list_rows(rows);
    return 0;
  }
  const auto* found = find_row(rows, what);
  if (!found) {
    std::fprintf(stderr, "usage: bench_coppice_remote_rows ROW [plain|tls] | --list\n");
    return 2;
  }
  found->run(argc > 2 && std::string_view{argv[2]} == "tls");
  return 0;
}
