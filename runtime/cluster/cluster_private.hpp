// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/cluster/cluster.hpp>
#include <coppice/runtime/cluster/cluster_log_private.hpp>
#include <coppice/runtime/cluster/directory.hpp>
#include <coppice/runtime/cluster/liveness.hpp>
#include <coppice/runtime/cluster/permissions.hpp>
#include <coppice/runtime/wire/association.hpp>
#include <coppice/runtime/wire/exchange.hpp>
#include <coppice/runtime/wire/link.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <unordered_map>

/// The composition of a node's part in a cluster: links, associations, sessions, liveness and the
/// exchange of its actors. What thinks is in those; this carries out.
namespace coppice {

struct cluster_options {
  struct entry {
    std::string name, zone;
    std::vector<std::string> roles;
    std::string address, http;
  };

  std::string cluster = "local";
  std::string node;
  std::vector<entry> nodes{};  ///< all of them, this one too
  std::uint64_t digest = 0;    ///< of what all must agree on, which is
  std::string canonical{};     ///< this
  wire::limits limits{};
  liveness_options liveness{};
  std::vector<permission> allow{};
  std::vector<std::string> bulk{};  ///< patterns of the paths that the bulk lane leads to
  /// Called from the carrier's thread.
  using weight = detail::log_weight;
  detail::cluster_log::sink log{};
  /// Of those that a stranger, or one peer, can cause as often as it likes.
  std::uint32_t lines_per_second = 5;
  /// Time and chance; null: the steady clock and the system's randomness.
  std::function<std::chrono::steady_clock::time_point()> now{};
  std::function<std::uint64_t()> random{};
};

/// What rides in gossip frames. Fields may be appended.
struct gossip {
  std::optional<detail::liveness_question> question{};
  std::optional<detail::liveness_answer> answer{};
  std::string config{};  ///< the sender's, when the digests differ
};

class cluster_shell final : public wire::link_events {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  cluster_shell(system& home, cluster_options options, std::unique_ptr<wire::carrier> carrier);
  ~cluster_shell() override;

  result<void> start();
  /// Says goodbye to all. What was sent and not confirmed by then is given up.
  void stop(std::chrono::milliseconds deadline);
  /// The first half of `stop`, for those who may not wait: the goodbyes begin. `stop` follows when
  /// all is said, or when the caller's patience is over.
  void leave(std::chrono::milliseconds deadline);
  bool has_left() const;

  const cluster_options& options() const noexcept { return options_; }
  const cluster_options::entry& own() const noexcept { return *own_; }
  tree_directory& directory() noexcept { return directory_; }
  wire::exchange& actors() noexcept { return *actors_; }
  system& home() noexcept { return home_; }
  const node_incarnation& incarnation() const noexcept { return incarnation_; }
  std::string listens_at() const { return carrier_ ? carrier_->listens_at() : std::string{}; }
  std::vector<member> members() const;
  coppice::traffic traffic() const;
  void follow(const ref<member_changed>& who);

  void on_open(const wire::link_ptr& opened) override;
  void on_bytes(wire::link& from, std::span<const std::byte> bytes) override;
  void on_writable(wire::link& to) override;
  void on_closed(wire::link& closed, bool refused, std::string_view why) override;
  void on_dial_failed(std::string_view peer, bool refused, std::string_view why) override;
  void on_time() override;
  void on_refused(std::string_view address, std::string_view why) override;
  void on_report(std::string_view what) override;

 private:
  struct peer;
  struct connection;

  time_point now() const;
  peer* find(std::string_view name) noexcept;
  void carry_out(peer& p);
  void carry_out(peer& p, wire::association_action& a);
  void carry_out(detail::liveness_actions& todo);
  void attach(peer& p, const wire::association_action& a, const wire::association_action* ready);
  void end_session(peer& p, const wire::association_action& a);
  bool on_frame(connection& c, wire::frame_kind kind, std::span<const std::byte> payload);
  bool on_hello(connection& c, std::span<const std::byte> payload);
  void on_gossip(peer& p, std::span<const std::byte> payload);
  void send_gossip(peer& p, const gossip& g);
  void acknowledge_if_due(peer& p, time_point at);
  void tell(const member_changed& change);
  void offended(std::string_view address, std::string_view what);
  void offended(peer& by, std::string_view what);
  void note(peer& about, cluster_options::weight w, const std::string& text);
  void part(time_point at);
  void give_up_the_overrun(time_point at);
  void give_up_the_silent(time_point::duration ran, time_point at);
  void plan(time_point at);

  system& home_;
  cluster_options options_;
  std::unique_ptr<wire::carrier> carrier_;
  const cluster_options::entry* own_ = nullptr;
  node_incarnation incarnation_;
  tree_directory directory_;
  permissions permissions_;
  std::optional<wire::exchange> actors_;

  // Of the carrier's thread.
  std::vector<std::unique_ptr<peer>> peers_;
  std::unordered_map<wire::link_id, std::unique_ptr<connection>> connections_;
  wire::link_id last_link_ = 0;
  std::optional<wire::reception> reception_;
  std::optional<detail::liveness> mind_;
  time_point actors_time_{};
  bool parting_ = false;
  detail::cluster_log log_;
  detail::cluster_log::subject& strangers_;

  mutable std::mutex guard_;  ///< of what follows
  std::condition_variable changed_;
  std::vector<ref<member_changed>> followers_;
  std::optional<time_point> part_by_;
  bool started_ = false, parted_ = false, stopped_ = false;

  struct {
    std::atomic<std::uint64_t> begun{0}, ended{0}, reconnects{0}, refused{0};
  } counts_;
};

struct cluster::implementation {
  implementation(system& home, cluster_options options, std::unique_ptr<wire::carrier> carrier)
      : shell(home, std::move(options), std::move(carrier)) {}
  cluster_shell shell;
};

/// Makes clusters: the node does, and tests.
class cluster_shell_access {
 public:
  static std::unique_ptr<cluster> make(system& home, cluster_options options,
                                       std::unique_ptr<wire::carrier> carrier);
  static cluster_shell& of(cluster& c) noexcept;
};

}  // namespace coppice
