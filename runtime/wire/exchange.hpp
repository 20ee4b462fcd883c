// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/system.hpp>
#include <coppice/runtime/wire/limits.hpp>
#include <coppice/runtime/wire/session.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Where the actors of one node and the messages from and to other nodes meet. An actor elsewhere
/// is stood for by a proxy: a cell whose path is `node:/path`, so that refs, asks, watches, links
/// and exit signals work on it as on any other. Knows no socket: what carries the messages is an
/// `outlet`.
namespace coppice::wire {

/// The way to one peer, for as long as one session lasts. Any thread.
class outlet {
 public:
  /// What must not be lost for lack of room, answers and what keeps relations true, may use a
  /// reserve behind the send buffer. When that is full too the session has to end: else one side
  /// would believe what the other never hears.
  enum class room : std::uint8_t { ordinary, reserve };
  enum class outcome : std::uint8_t {
    taken,
    full,       ///< no room; `exchange::drained` follows, or for the reserve the session's end
    too_large,  ///< for this session at any time
    closed,     ///< the session has ended
  };
  virtual ~outlet() = default;
  virtual outcome send(lane on, std::span<const std::byte> message, room in) noexcept = 0;
  /// Writes what has been sent; until then it waits for more to come.
  virtual void flush() noexcept = 0;
};

/// Finds actors of this node for others. Answers once, on any thread, now or later; an empty
/// pointer: there is none, if that is `sure`, or it could not be found out.
class directory {
 public:
  virtual ~directory() = default;
  virtual void find(std::string path, std::function<void(detail::cell_ptr, bool sure)> answer) = 0;
};

struct exchange_options {
  std::string node;                ///< our own name
  std::vector<std::string> peers;  ///< the names of the others
  wire::limits limits{};
  /// Whether `peer` may send the event of that wire name to that path. Null: it may.
  std::function<bool(std::string_view peer, std::string_view path, std::string_view event)>
      allowed{};
  /// Whether actors of that path are addressed over the bulk lane. Null: none is.
  std::function<bool(std::string_view path)> bulk{};
  /// A peer has sent what no peer of ours sends. To be logged, at a bounded rate.
  std::function<void(std::string_view peer, std::string_view what)> offended{};
};

/// Counted since the start, over all peers.
struct exchange_counts {
  std::uint64_t events_sent = 0, events_received = 0;
  std::uint64_t asks_sent = 0, asks_received = 0;
  std::uint64_t denied = 0, malformed = 0;
  std::size_t proxies = 0, pending_asks = 0;
};

class counterpart;

class exchange {
 public:
  exchange(system& home, directory& here, exchange_options options);
  /// The system must have been stopped, or `stop` called.
  ~exchange();
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  /// The address of an actor elsewhere, e.g. `beta:/shop/inventory`; nobody is asked yet. One on
  /// this very node is looked up when the first event is sent to it.
  result<detail::cell_ptr> address(std::string_view place);

  /// The peer of that name; null: no other node has it.
  counterpart* peer(std::string_view name) noexcept;

  // What becomes of sessions. For one peer: in order, never two at a time.
  /// `reborn`: the peer has another incarnation than in the session before, however that ended.
  void began(counterpart& with, std::shared_ptr<outlet> way, bool reborn = false);
  void message(counterpart& from, lane on, std::span<const std::byte> message);
  /// `restarted`: the peer has a new incarnation; what its actors were is gone for ever.
  void ended(counterpart& with, std::string_view why, bool restarted);
  /// There is no session, and for now there will be none: what waits for one is refused.
  void unreachable(counterpart& peer, std::string_view why);
  /// A message of the session that ends which the peer has not confirmed; before `ended`.
  void unconfirmed(counterpart& by, std::span<const std::byte> message);
  /// There is room in the send buffer again.
  void drained(counterpart& to);
  /// Once in a while: gives up what is past its deadline. About every 100 ms.
  void time();

  /// Ends all proxies.
  void stop();
  exchange_counts counts() const;

 private:
  friend struct exchange_access;
  struct implementation;
  std::unique_ptr<implementation> impl_;
};

namespace detail_wire {
/// Asks a proxy whether the actor it stands for is there and takes these events.
struct reached {};
struct reach {
  std::vector<const event_type*> events;
  using reply = reached;
};
}  // namespace detail_wire

}  // namespace coppice::wire
