// SPDX-License-Identifier: BSD-3-Clause

// Our rows between nodes: processes of this program on this machine, over TCP.
// Usage: bench_coppice_remote_rows ROW [SECONDS] | --list

#include "coppice_nodes.hpp"
#include "coppice_trouble_rows.hpp"
#include "peers/bare_sockets.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace coppice::bench;
using coppice::actor;
using coppice::children;
using coppice::node;
using coppice::ref;
using coppice::task;
using clock = std::chrono::steady_clock;

// ---- round trips ------------------------------------------------------------------------------

struct pong {
  std::uint64_t number = 0;
};
struct ping {
  static constexpr std::string_view name = "bench.ping";
  std::uint64_t number = 0;
  using reply = pong;
};

/// Of the other node.
class echo : public actor<ping> {
 public:
  pong on(const ping& p) { return {p.number}; }
};

using samples = std::vector<double>;

double us_since(clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(clock::now() - begin).count();
}

struct round_trips {
  std::uint64_t times = 0;
};

/// Asks again when it has the answer.
class asker : public actor<round_trips> {
 public:
  asker(ref<ping> to, work* all, samples* us) : to_(std::move(to)), all_(all), us_(us) {}
  void on(const round_trips& r) {
    left_ = r.times;
    next();
  }

 private:
  void next() {
    const auto begin = clock::now();
    ask(to_, ping{left_}, 5s).then([this, begin](coppice::result<pong> answer) {
      us_->push_back(us_since(begin));
      if (!answer) all_->failed(answer.error().message());
      else if (answer->number != left_) all_->failed("a wrong answer");
      else if (--left_ == 0) all_->done();
      else next();
    });
  }

  ref<ping> to_;
  work* all_;
  samples* us_;
  std::uint64_t left_ = 0;
};

/// Two nodes; the one here asks. The other process is made at once, the node here by `meet`.
class asking_pair {
 public:
  explicit asking_pair(bool tls)
      : cluster_({.tls = tls}), beta_(cluster_, "beta", [](children& c) { c.add<echo>("echo"); }) {}

  void meet() {
    alpha_.emplace(cluster_.options("alpha"), [this](children& c) {
      driver_ = c.add<asker>("asker", alpha_->cluster().at<ping>("beta:/bench/echo").value(), &all_,
                             &us_);
    });
    alpha_->start().value();
    alpha_->find<ping>("beta:/bench/echo").value();
  }
  /// Adds to `us`.
  void measure(std::uint64_t times, samples& us) {
    us_.clear();
    alpha_->outside().send(driver_, round_trips{times});
    all_.wait();
    us.insert(us.end(), us_.begin(), us_.end());
  }

 private:
  cluster_on_loopback cluster_;
  far_node beta_;
  work all_;
  samples us_;
  ref<round_trips> driver_;
  std::optional<node> alpha_;
};

/// The same between two bare sockets.
class bare_pair {
 public:
  bare_pair() : other_([this] { echo_numbers(bare_socket{listener_.accept()}); }) {}

  void meet() { socket_.emplace(listener_.connect()); }
  void measure(std::uint64_t times, samples& us) {
    for (; times > 0; --times) {
      const auto begin = clock::now();
      std::uint64_t answer = 0;
      socket_->write(times);
      check(socket_->read(answer) && answer == times, "a wrong answer from the bare socket");
      us.push_back(us_since(begin));
    }
  }

 private:
  bare_listener listener_;
  forked other_;
  std::optional<bare_socket> socket_;
};

/// By turns, so that a busy moment hits both.
template <class Ours, class Reference>
void measure_by_turns(Ours& ours, Reference& reference, const std::string& suffix) {
  ours.meet();
  reference.meet();
  samples us, reference_us;
  ours.measure(remote_warm_up, us);
  reference.measure(remote_warm_up, reference_us);
  us.clear();
  reference_us.clear();
  constexpr std::uint64_t turns = 20;
  for (std::uint64_t i = 0; i < turns; ++i) {
    ours.measure(remote_round_trips / turns, us);
    reference.measure(remote_round_trips / turns, reference_us);
  }
  for (const std::size_t percent : {50, 99}) {
    const auto name = "remote_rtt_p" + std::to_string(percent) + suffix;
    report(name, percentile(us, percent), "us");
    report_reference(name, percentile(reference_us, percent), "us");
  }
}

void rtt(std::chrono::seconds) {
  asking_pair plain{false};
  bare_pair bare;
  measure_by_turns(plain, bare, "");
}

void rtt_tls(std::chrono::seconds) {
  asking_pair tls{true}, plain{false};
  measure_by_turns(tls, plain, "_tls");
}

// ---- one way ----------------------------------------------------------------------------------

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
class counter : public actor<load, count> {
 public:
  void on(const load&) { ++events_; }
  counted on(const count&) { return {std::exchange(events_, 0)}; }

 private:
  std::uint64_t events_ = 0;
};

struct send_for {
  std::chrono::milliseconds time{0};
};

/// Sends in batches, two of which are on their way at a time, then asks how many have come.
class sender : public actor<send_for> {
 public:
  sender(ref<load, count> to, work* all, double* per_second, std::size_t bytes)
      : to_(std::move(to)), all_(all), per_second_(per_second), content_(bytes, 'x') {}

  task<> on(const send_for& s) {
    const stopwatch watch;
    const auto until = clock::now() + s.time;
    std::uint64_t sent = 0;
    while (clock::now() < until) {
      auto room_again = room(to_, 30s);
      for (std::uint64_t i = 0; i < batch_; ++i) send(to_, load{content_});
      sent += batch_;
      if (auto there = co_await room_again; !there) {
        all_->failed(there.error().message());
        co_return;
      }
    }
    auto asked = ask(to_, count{}, 60s);
    const auto come = co_await asked;
    *per_second_ = static_cast<double>(sent) / watch.seconds();
    if (!come) all_->failed(come.error().message());
    else if (come->events != sent) all_->failed("events were lost");
    else all_->done();
  }

 private:
  /// As OTP's sender: it waits when 1 MiB is on its way; many small ones take more in memory.
  std::uint64_t batch() const {
    return std::clamp<std::uint64_t>((std::uint64_t{1} << 20) / content_.size(), 1, 4'000);
  }

  ref<load, count> to_;
  work* all_;
  double* per_second_;
  std::string content_;
  const std::uint64_t batch_ = batch();
};

/// Sends from `alpha` to `beta`, the first two nodes of the cluster; the others have nothing to do.
class sending_cluster {
 public:
  explicit sending_cluster(const cluster_wish& wish) : cluster_(wish) {
    for (const auto& n : cluster_.config().nodes)
      if (n.name != "alpha")
        others_.emplace_back(cluster_, n.name, [](children& c) { c.add<counter>("counter"); });
  }

  double measure(std::size_t bytes, std::chrono::milliseconds time) {
    work all;
    double per_second = 0;
    ref<send_for> driver;
    node alpha{cluster_.options("alpha"), [&](children& c) {
                 auto far = alpha.cluster().at<load, count>("beta:/bench/counter").value();
                 driver = c.add<sender>("sender", far, &all, &per_second, bytes);
               }};
    alpha.start().value();
    for (const auto& n : cluster_.config().nodes)
      if (n.name != "alpha") alpha.find<load>(n.name + ":/bench/counter", 30s).value();
    alpha.outside().send(driver, send_for{time / 5});
    all.wait();
    alpha.outside().send(driver, send_for{time});
    all.wait();
    return per_second;
  }

 private:
  cluster_on_loopback cluster_;
  std::deque<far_node> others_;
};

void one_way(const char* name, bool tls, std::size_t bytes) {
  sending_cluster pair{{.tls = tls}};
  report(name, pair.measure(bytes, remote_sending), "msgs/s");
}

void one_way_64(std::chrono::seconds) { one_way("remote_one_way_64", false, 64); }
void one_way_4k(std::chrono::seconds) { one_way("remote_one_way_4k", false, 4'096); }
void one_way_4k_tls(std::chrono::seconds) { one_way("remote_one_way_4k_tls", true, 4'096); }

/// By turns: with one peer, and with that one and 15 more.
void peers_16(std::chrono::seconds) {
  cluster_wish many;
  for (int i = 2; i <= 16; ++i) many.nodes.push_back("idle-" + std::to_string(i));
  samples with_one, with_many;
  for (int turn = 0; turn < 3; ++turn) {
    with_one.push_back(sending_cluster{{}}.measure(64, remote_sending));
    with_many.push_back(sending_cluster{many}.measure(64, remote_sending));
  }
  report("peers_16", percentile(with_many, 50), "msgs/s");
  report_reference("peers_16", percentile(with_one, 50), "msgs/s");
}

constexpr row<std::chrono::seconds> rows[] = {
    {"remote_rtt_p50", &rtt},
    {"remote_rtt_p50_tls", &rtt_tls},
    {"remote_one_way_64", &one_way_64},
    {"remote_one_way_4k", &one_way_4k},
    {"remote_one_way_4k_tls", &one_way_4k_tls},
    {"peers_16", &peers_16},
    {"kill_to_unreachable", &kill_to_unreachable},
    {"hang_to_suspect", &hang_to_suspect},
    {"hang_to_suspect_loopback", &hang_to_suspect_loopback},
    {"slow_receiver", &slow_receiver},
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "--list") {
    list_rows(rows);
    return 0;
  }
  const auto* found = find_row(rows, what);
  int seconds = 60;
  const char* given = argc > 2 ? argv[2] : "60";
  const auto read = std::from_chars(given, given + std::strlen(given), seconds);
  if (!found || argc > 3 || read.ec != std::errc{} || *read.ptr != 0 || seconds < 1) {
    std::fprintf(stderr, "usage: bench_coppice_remote_rows ROW [SECONDS] | --list\n");
    return 2;
  }
  try {
    found->run(std::chrono::seconds{seconds});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_coppice_remote_rows %s: %s\n", argv[1], error.what());
    return 1;
  }
}
