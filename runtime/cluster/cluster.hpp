// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/system.hpp>
#include <coppice/runtime/cluster/opinion.hpp>
#include <coppice/supervision/calls.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// The other nodes, as an actor or a program sees them.
///
///     auto stock = cluster.at<reserve>("beta:/orders/stock");       // result<ref<reserve>>
///     auto there = cluster.find<reserve>("beta:/orders/stock", 2s);  // and it must be there now
///
/// A ref to an actor elsewhere is like any other: it is sent to, asked, watched and linked to, and
/// may be put into events.
namespace coppice {

/// A node of the cluster, in the opinion of this one.
struct member {
  std::string name;
  std::string zone;
  std::vector<std::string> roles;
  std::string address;  ///< where it listens for other nodes
  std::string http;     ///< where it serves its API; empty: nowhere
  bool self = false;
  /// Of this very node: always up.
  coppice::opinion opinion = coppice::opinion::unknown;
  std::string incarnation;  ///< 32 hexadecimal digits; empty: never met
  std::chrono::milliseconds silent_for{0};
  double phi = 0;
  std::string reason;  ///< for the opinion
  bool session = false;  ///< events can be sent there now, if only into a buffer
  std::uint64_t buffered_bytes = 0;  ///< sent, or waiting to be, and not confirmed
};

/// Tells an actor, see `cluster::follow`: first what is thought of each node, then each change.
struct member_changed {
  std::string node;
  std::string incarnation;
  coppice::opinion from = coppice::opinion::unknown;
  coppice::opinion to = coppice::opinion::unknown;
  std::string reason;
};

/// Counted since the start, over all peers.
struct traffic {
  std::uint64_t events_sent = 0, events_received = 0;
  std::uint64_t asks_sent = 0, asks_received = 0;
  std::uint64_t sessions_begun = 0, sessions_ended = 0, reconnects = 0;
  std::uint64_t denied = 0;     ///< events that a peer may not send
  std::uint64_t malformed = 0;  ///< messages that could not be read
  std::uint64_t refused = 0;    ///< connections that were not let in
  std::uint64_t proxies = 0;    ///< actors elsewhere that this node knows
  std::uint64_t pending_asks = 0;
};

namespace wire {
class exchange;
}

/// Belongs to a node and lives as long. Any thread, handlers too, except where it says otherwise.
/// A node without a config is a cluster of its own.
class cluster {
 public:
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;

  /// This node's name.
  const std::string& self() const noexcept;
  const std::vector<std::string>& roles() const noexcept;
  bool has_role(std::string_view role) const noexcept;
  /// The nodes that the config gives a role, in its order; this one may be among them.
  std::vector<std::string> nodes_with(std::string_view role) const;

  /// The address of an actor, `node:/path`. Nobody is asked: what is sent there waits until the
  /// node is connected and has been asked for the actor; asks fail with `stopped` when there is
  /// none, with `unknown_event` and a reason when it does not take the event. The error is
  /// `invalid` for a place that cannot be, `limit` when too many are known.
  template <class... Es>
  result<ref<Es...>> at(std::string_view place) {
    auto x = address(place);
    if (!x) return x.error();
    return detail_ref::make<ref<Es...>>(x->get());
  }

  /// The same, and blocks the calling thread until the actor has been found and accepts all of the
  /// events; one that is not there yet is waited for. Not in a handler: it would block a worker.
  template <class... Es>
  result<ref<Es...>> find(std::string_view place, std::chrono::milliseconds deadline) {
    auto x = reach(place, {&detail::event_type_of<Es>...}, deadline);
    if (!x) return x.error();
    return detail_ref::make<ref<Es...>>(x->get());
  }

  /// All nodes, this one among them, in the config's order.
  std::vector<member> members() const;
  coppice::traffic traffic() const;

  /// From now on `who` is sent what is thought of each node, and each change of it. At most 1,000
  /// followers; one that has ended is forgotten.
  void follow(const ref<member_changed>& who);

 private:
  friend class node;
  friend class cluster_shell_access;
  struct implementation;

  explicit cluster(std::unique_ptr<implementation> impl) noexcept;
  ~cluster();
  friend struct std::default_delete<cluster>;

  result<detail::cell_ptr> address(std::string_view place);
  result<detail::cell_ptr> reach(std::string_view place,
                                 const std::vector<const event_type*>& events,
                                 std::chrono::milliseconds deadline);

  std::unique_ptr<implementation> impl_;
};

}  // namespace coppice
