// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

/// What the wire needs of the world: byte streams between nodes. A `carrier` makes them, a `link`
/// is one of them, `link_events` is who is told. Implemented over sockets and TLS by
/// `socket_carrier`, and without either by the simulated network of the tests.
namespace coppice::wire {

/// Who is at the other end of a link, as far as the carrier knows.
struct link_info {
  std::string address;  ///< of the other end: "127.0.0.1:4711", "[::1]:4711", "unix:/path"
  std::string certificate_name;  ///< the peer's node name, proven by TLS; empty without TLS
  std::string certificate_roles;  ///< empty: roles are the config's affair
  bool outgoing = false;  ///< this side dialled
  std::string dialled;  ///< the peer named to `carrier::dial`; empty if the peer dialled
};

/// A stream of bytes to a peer. All functions may be called by any thread, also after the link has
/// closed and after its carrier has stopped.
class link {
 public:
  link() = default;
  link(const link&) = delete;
  link& operator=(const link&) = delete;
  virtual ~link() = default;

  /// Hands over the bytes of `pieces`, in order, without ever waiting; returns how many were taken,
  /// from the front. If that is fewer than were offered, `on_writable` follows once, unless the
  /// link closes first; a link that has closed takes none. What is taken of one call stays together
  /// whoever else writes.
  virtual std::size_t write(std::span<const std::span<const std::byte>> pieces) noexcept = 0;

  /// Ends the link at once; bytes taken before still reach a peer that reads. `on_closed` follows
  /// with `why`. Further calls do nothing.
  virtual void close(std::string_view why) noexcept = 0;

  virtual const link_info& info() const noexcept = 0;

  /// For the one who handles the events, set in `on_open` and not used by the carrier.
  void* owner = nullptr;
};
using link_ptr = std::shared_ptr<link>;

/// Told what happens to links and dials, by the carrier's own thread and never while it holds a
/// lock: from within each, any function of links and carriers but `carrier::stop` may be called.
/// For one link the calls never overlap. They should return soon: all links wait meanwhile.
class link_events {
 public:
  virtual ~link_events() = default;

  /// Connected, and with TLS the peer's certificate checked; also for links that the peer dialled.
  virtual void on_open(const link_ptr& opened) = 0;
  /// Valid until the call returns. Nothing is read from the link meanwhile.
  virtual void on_bytes(link& from, std::span<const std::byte> bytes) = 0;
  /// A `write` took less than it was offered; now there is room again.
  virtual void on_writable(link& to) = 0;
  /// Once for each link that was told open, and the last call for it. `refused` is false: it is
  /// there for carriers that open links before the peer is known to listen.
  virtual void on_closed(link& closed, bool refused, std::string_view why) = 0;
  /// Instead of `on_open` for a `dial`. `refused`: the operating system said that nobody listens.
  virtual void on_dial_failed(std::string_view peer, bool refused, std::string_view why) = 0;
  /// Every 10 ms while there are links or dials, and when `carrier::wake_at` asked for it.
  virtual void on_time() = 0;

  /// Someone connected from `address` and was not let in, before `on_open`. An attacker can make
  /// these happen as often as it likes.
  virtual void on_refused(std::string_view address, std::string_view why) {
    static_cast<void>(address);
    static_cast<void>(why);
  }
  /// Something that an operator should know about the carrier itself: a certificate file that
  /// cannot be used, no more file descriptors. Once for each change, not for each connection.
  virtual void on_report(std::string_view what) { static_cast<void>(what); }
};

/// Makes links. Start once, stop once.
class carrier {
 public:
  carrier() = default;
  carrier(const carrier&) = delete;
  carrier& operator=(const carrier&) = delete;
  virtual ~carrier() = default;

  /// Accepts links at `listen` ("host:port", port 0: a free one; "unix:/path"; empty: accepts none)
  /// and calls `events`, which must outlive `stop`. Fails if it cannot listen there.
  virtual result<void> start(const std::string& listen, link_events& events) = 0;

  /// Where it accepts links, with the port that was found; empty if nowhere. After `start`.
  virtual std::string listens_at() const = 0;

  /// Any thread, after `start`. Ends in `on_open` of a link whose `info().outgoing` is true, or in
  /// `on_dial_failed`, within the carrier's deadlines; dials do not wait for each other. `peer`,
  /// given back as `info().dialled`, is the node that has to be there: TLS proves it, without TLS
  /// nothing does.
  virtual void dial(std::string peer, std::string address) = 0;

  /// Any thread, after `start`: `on_time` is called at this time at the latest, or soon after; of
  /// several requests the earliest counts, and it is used up by the call.
  virtual void wake_at(std::chrono::steady_clock::time_point when) = 0;

  /// Closes everything: all open links are told closed, all dials failed. When it returns no event
  /// is under way and none will come. Not from within an event.
  virtual void stop() noexcept = 0;
};

}  // namespace coppice::wire
