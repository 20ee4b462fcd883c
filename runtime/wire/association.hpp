// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/frame.hpp>
#include <coppice/runtime/wire/handshake.hpp>
#include <coppice/runtime/wire/limits.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What a node and one of its peers are to each other: which link carries their session, who dials
/// and when, when a session begins, goes on over another link, and ends.
namespace coppice::wire {

enum class session_end : std::uint8_t {
  peer_restarted,  ///< another incarnation of the peer has come
  peer_forgot,     ///< the peer has ended it: from there this node was unreachable, say
  unreachable,     ///< there was no link for `session_limit`
  refused,         ///< nobody listens at the peer's address: its process has ended
  peer_stopped,    ///< the peer said goodbye
  stopped,         ///< this node stops
  violation,       ///< what came makes no sense, so that going on would be no use
};
std::string_view name(session_end why) noexcept;

/// The peer, as it has described itself.
struct peer_facts {
  std::string node{};
  incarnation_id incarnation{};
  std::uint64_t digest = 0;
  std::uint32_t protocol = 0;           ///< the version spoken with it
  std::uint64_t message_bytes = 0;  ///< the longest message that it takes; 0: it does not say
  std::vector<std::string> features{};  ///< that both have
};

/// One thing to do, at once and in the order given.
struct association_action {
  enum class kind : std::uint8_t {
    dial,  ///< connect to the peer; answer by `link_opened` or `dial_failed`
    send,  ///< write `bytes` to `link`: one whole frame, of kind `frame`. If
           ///< `by_session` the link carries the session, and it goes through
           ///< `session::control`
    close,  ///< close `link`, because `text`, when what was sent to it is written. It is
            ///< forgotten: what is still heard of it changes nothing
    session_began,  ///< session number `session` with `peer`: begin with a new `session` and new
                    ///< `arrivals`
    attach,  ///< `link` carries the session from now on: `session::attach(by_peer)`, and
             ///< the link's reader is opened from `told`; a lie is to be answered by
             ///< `end(violation)`. `resumed`: the session is not new
    detach,  ///< no link carries the session for the time being; nothing more is taken
             ///< from the one that did
    session_ended,  ///< for `reason`; what was not acknowledged is unconfirmed
    digest_differs,  ///< the configurations differ; once per session
    note,  ///< `text` is worth a line in the log
  };
  kind what;
  link_id link = no_link;
  frame_kind frame{};
  bool by_session = false;
  bool resumed = false;
  session_end reason{};
  std::uint64_t session = 0;
  received by_peer{};  ///< what the peer has
  received told{};  ///< what it was told that we have
  std::vector<std::byte> bytes{};
  std::string text{};
  peer_facts peer{};

  std::span<const std::byte> payload() const { return std::span{bytes}.subspan(frame_header); }
};

/// One per peer. Inputs name the present time, never backwards, and fill a list of actions.
///
/// Rules:
/// - Both sides dial: at the start, at once when a link is lost, then with doubled and jittered
///   pauses; also before the first dial if links keep being lost within `reconnect_most`. At most
///   one dial is under way.
/// - If both have said hello to each other, that of the node whose name is less is answered, and
///   the other one is refused as `busy`.
/// - A link that becomes ready replaces the one before it: its dialler has given that up.
/// - The session goes on if both incarnations and its number are the same; else it ends and the
///   next one begins.
/// - A dial that the operating system refuses ends the session, and so does a time without link.
/// - An incarnation that another one has replaced is refused while that one has a link, so that
///   two processes with one name do not replace each other for ever.
///
/// Pure: no clock, no thread, no socket. Not thread-safe; whoever owns it locks, together with the
/// peer's session and arrivals, and carries the actions out under the same lock.
class association {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using action = association_action;

  struct ports {
    /// For pauses; any 64 bits.
    std::function<std::uint64_t()> random;
    /// The counts of the present session's arrivals, told in handshakes.
    std::function<received()> arrived;
  };

  association(identity me, std::string peer, const limits& bounds, ports uses);

  // ---- inputs -----------------------------------------------------------------------------
  /// Dials. The node listens by now: peers take a refused dial for the end of its process. A link
  /// that comes in earlier is the start.
  void start(time_point now);

  /// A dial has led to a link, or a link has come in that is this peer's, see `reception`.
  /// `certificate_name` is empty without TLS.
  void link_opened(link_id link, bool outgoing, std::string_view certificate_name, time_point now);
  /// A dial has led nowhere. `refused`: nobody listens there.
  void dial_failed(bool refused, std::string_view why, time_point now);
  /// What `frame_reader` hands over of the handshake, and a goodbye. Anything else is none of the
  /// association's business and is ignored.
  void frame(link_id link, frame_kind kind, std::span<const std::byte> payload, time_point now);
  /// A link is lost, or its owner has closed it.
  void link_closed(link_id link, bool refused, std::string_view why, time_point now);
  /// `next` has come.
  void time(time_point now);

  /// The session is no use any more, as only its owner can see: the peer lies, or breaks the
  /// protocol, or takes everything and acknowledges nothing. Whatever link it has is closed.
  void end(session_end reason, std::string_view why, time_point now);

  /// Says goodbye and closes everything. Messages that are not written by then go out behind the
  /// goodbye and are not taken: wait before, if they matter. `over()` when it is done, which takes
  /// `farewell` at most.
  void stop(std::string_view why, time_point now);
  static constexpr std::chrono::milliseconds farewell{500};

  // ---- outputs ----------------------------------------------------------------------------
  std::vector<action> take_actions() { return std::exchange(actions_, {}); }
  /// When to call `time` at the latest; nothing: not before another input.
  std::optional<time_point> next() const;

  const std::string& peer() const noexcept { return peer_; }
  /// The link that carries the session, or none.
  link_id link() const noexcept { return link_; }
  bool in_session() const noexcept { return in_session_; }
  /// The present session's number, or that of the next.
  std::uint64_t session() const noexcept { return number_; }
  /// It has stopped: it has no link, and will have none.
  bool over() const noexcept { return phase_ == phase::over; }

 private:
  enum class phase : std::uint8_t { fresh, running, parting, over };

  /// Our hello is under way.
  struct dialled {
    link_id link = no_link;
    time_point deadline{};
    std::string certificate_name{};
    incarnation_id to{};
    std::uint64_t session = 0;
    received told{};
  };
  /// A link that came in. `welcomed`: its hello was answered, and `ready` is waited for.
  struct accepted {
    link_id link = no_link;
    time_point deadline{};
    std::string certificate_name{};
    bool welcomed = false;
    peer_facts peer{};
    std::uint64_t session = 0;
    received by_peer{};
    received told{};
  };
  static constexpr std::size_t most_accepted = 4;
  static constexpr std::size_t most_replaced = 8;

  bool knows(const incarnation_id& id) const noexcept { return known_ && *known_ == id; }
  bool welcoming() const noexcept;
  bool wants_link() const noexcept;

  action& emit(action::kind what);
  void close(link_id link, std::string why);
  void say(link_id link, std::vector<std::byte> frame, bool by_session = false);
  void note(std::string text);

  std::chrono::milliseconds pause();
  void again(time_point now);
  void again_after_loss(std::uint32_t at_least, time_point now);
  void dial_lost(bool refused, std::string_view why, time_point now);
  void dial_if_due(time_point now);
  void look_for_link(time_point now);
  void say_hello(link_id link, std::string_view certificate_name, time_point now);
  void give_up_dial(std::string why, time_point now);

  void on_hello(accepted from, std::span<const std::byte> payload, time_point now);
  std::optional<refuse> refusal_of(const hello& said, std::string_view certificate_name) const;
  void on_ready(const accepted& from, std::span<const std::byte> payload, time_point now);
  void on_welcome(std::span<const std::byte> payload, time_point now);
  void on_refuse(std::span<const std::byte> payload, time_point now);
  void on_goodbye(std::span<const std::byte> payload, time_point now);

  bool attach(link_id link, const peer_facts& peer, std::uint64_t number, received by_peer,
              received told, time_point now);
  void detach();
  void close_others(link_id but, const char* why);
  void end_session(session_end reason, std::string why);
  void finish(std::string why);
  peer_facts facts(const hello& said) const;
  peer_facts facts(const welcome& said) const;
  std::vector<std::string> shared(const std::vector<std::string>& theirs) const;

  identity me_;
  std::string peer_;
  limits limits_;
  ports uses_;

  std::vector<action> actions_{};
  phase phase_ = phase::fresh;

  // The session. `number_` is the next one's while there is none.
  std::optional<incarnation_id> known_{};  ///< the peer's, that `number_` counts for
  std::uint64_t number_ = 1;
  bool in_session_ = false;
  std::optional<time_point> session_deadline_{};
  std::vector<incarnation_id> replaced_{};  ///< the peer's former ones, oldest first

  // The link that carries it.
  link_id link_ = no_link;
  time_point attached_at_{};
  std::optional<time_point> farewell_{};  ///< by then the peer has closed it

  // Those that might.
  bool dialling_ = false;  ///< a dial has not been answered yet
  time_point dial_deadline_{};
  std::optional<time_point> dial_at_{};
  std::uint32_t attempts_ = 0;  ///< dials since a link was good
  std::uint32_t short_lived_ = 0;  ///< links in a row that were not
  dialled dialled_{};
  std::vector<accepted> accepted_{};  ///< oldest first
  std::string last_refusal_{};
};

}  // namespace coppice::wire
