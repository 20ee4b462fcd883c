// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>
#include <coppice/runtime/wire/frame.hpp>
#include <coppice/runtime/wire/limits.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// How two nodes agree on a session when a link has opened:
///
///     dialler                                    acceptor
///       | hello: who I am, what I have of the session |
///       |-------------------------------------------->|
///       |      welcome: the same of me, which session |
///       |<--------------------------------------------|  or refuse: a code and a sentence
///       | ready, messages                             |
///       |-------------------------------------------->|  only now the link carries the session
///
/// `ready` proves that the dialler still wants this link: a hello that has waited in some buffer
/// while its sender went elsewhere, or died, replaces nothing.
///
/// **A session has a number, not a name.** The first one of a pair of incarnations is 1; whoever
/// ends one asks for the next from then on, and both take the larger of what they ask for. So
/// nobody has to remember what was offered in a handshake whose end was lost, and no session is
/// lost with it.
namespace coppice::wire {

/// A link, as its owner numbers them; never used twice.
using link_id = std::uint64_t;
inline constexpr link_id no_link = 0;

/// 128 random bits, drawn when a node's process starts: tells its lives apart. All zero is none.
struct incarnation_id {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend bool operator==(const incarnation_id&, const incarnation_id&) = default;
};
/// 32 hexadecimal digits.
std::string to_string(const incarnation_id& id);

/// Versions of the protocol that this build speaks.
inline constexpr std::uint32_t oldest_protocol = 1;
inline constexpr std::uint32_t newest_protocol = 1;

/// Who a node is.
struct identity {
  std::string cluster{};
  std::string node{};
  incarnation_id incarnation{};
  std::uint64_t digest = 0;  ///< of the configuration's cluster section
  std::uint32_t oldest = oldest_protocol;
  std::uint32_t newest = newest_protocol;
  std::vector<std::string> features{};  ///< what it can do that not every build can
};

// ---- payloads: aggregates in the codec's form, so that fields may be appended ------------------

struct hello {
  std::uint32_t newest = 0;  ///< protocol versions that the dialler speaks
  std::uint32_t oldest = 0;
  std::string cluster{};
  std::string from{};  ///< names of nodes
  std::string to{};
  incarnation_id incarnation{};
  std::uint64_t digest = 0;
  incarnation_id to_incarnation{};  ///< the one of the acceptor that `session` is with, if any
  std::uint64_t session = 0;        ///< the present one's number, or that of the next
  received has{};                   ///< of the present one
  std::uint64_t message_bytes = 0;  ///< the longest message that it takes
  std::vector<std::string> features{};
};

struct welcome {
  std::uint32_t protocol = 0;  ///< the version that is spoken on this link
  std::string cluster{};
  std::string from{};
  std::string to{};
  incarnation_id incarnation{};
  std::uint64_t digest = 0;
  std::uint64_t session = 0;  ///< the number that both go on with
  received has{};
  std::uint64_t message_bytes = 0;
  std::vector<std::string> features{};
};

struct ready {
  std::uint64_t session = 0;
};

enum class refusal : std::uint8_t {
  malformed = 1,  ///< the hello could not be read
  cluster,        ///< another cluster
  protocol,       ///< no version that both speak
  wrong_node,     ///< the hello is for another node: an address in the configuration is wrong
  own_name,       ///< both have the same name
  unknown_node,   ///< the configuration here knows no such node
  certificate,    ///< the certificate is another node's
  busy,           ///< the other direction is being tried already
  replaced,       ///< another process with that name has taken its place
  stopping,       ///< the acceptor is about to end
};
/// A code that a later version has invented is "unknown".
std::string_view name(refusal code) noexcept;

struct refuse {
  refusal code{};
  std::string text{};  ///< one sentence for people
};

struct goodbye {
  std::string text{};  ///< why it stops
};

/// Whole frames, header included; `write_goodbye` is a payload, since a goodbye goes through the
/// session.
std::vector<std::byte> write(const hello& x);
std::vector<std::byte> write(const welcome& x);
std::vector<std::byte> write(const ready& x);
std::vector<std::byte> write(const refuse& x);
std::vector<std::byte> write_goodbye(const goodbye& x);

/// From a frame's payload; the error is `invalid`, with what is wrong.
result<hello> read_hello(std::span<const std::byte> payload);
result<welcome> read_welcome(std::span<const std::byte> payload);
result<ready> read_ready(std::span<const std::byte> payload);
result<refuse> read_refuse(std::span<const std::byte> payload);
result<goodbye> read_goodbye(std::span<const std::byte> payload);

/// Why a node does not go on with one that says this, which `certificate_name` (of its
/// certificate; empty without TLS) must allow it to say. Nothing: all is well. The names are
/// checked against the configuration by `reception`.
std::optional<refuse> objection(const hello& from, const identity& me,
                                std::string_view certificate_name);
std::optional<refuse> objection(const welcome& from, const identity& me, std::string_view peer,
                                std::string_view certificate_name);

/// What a peer has written, fit for a log: short, and printable.
std::string printable(std::string_view text, std::size_t most = 64);

/// The incoming links that have not said who they are. They are few, and not for long.
///
/// Pure; not thread-safe. All names are checked here, before anything else of the node is touched.
class reception {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// `nodes`: the names in the configuration.
  reception(identity me, std::vector<std::string> nodes, const limits& bounds);

  struct closing {
    link_id link;
    std::string why;
  };
  /// A link that must make room, if there are too many.
  std::optional<closing> opened(link_id link, std::string certificate_name, time_point now);
  /// It went away by itself.
  void closed(link_id link);
  /// Those whose time is up.
  std::vector<closing> time(time_point now);
  std::optional<time_point> next() const;

  struct verdict {
    std::string peer{};                ///< whose link it is; empty: it is refused:
    std::vector<std::byte> answer{};   ///< write this, then close the link
    std::string why{};                 ///< for the log, with both names
    std::string certificate_name{};    ///< for the peer's association
  };
  /// The link's hello has come. The link is none of the reception's any more; if it is someone's,
  /// hand it to the peer's association, and the hello too.
  verdict said_hello(link_id link, std::span<const std::byte> payload);

  std::size_t size() const noexcept { return guests_.size(); }

 private:
  struct guest {
    link_id link;
    time_point deadline;
    std::string certificate_name;
  };

  identity me_;
  std::vector<std::string> nodes_;
  std::size_t most_;
  std::chrono::milliseconds patience_;
  std::vector<guest> guests_{};  ///< oldest first
};

}  // namespace coppice::wire
