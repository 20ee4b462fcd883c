// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <coppice/actors/event.hpp>
#include <coppice/actors/exit_reason.hpp>
#include <coppice/actors/result.hpp>

/// What an actor system tells the outside of what it cannot tell an actor.
namespace coppice {

/// Why an event was not handled although nobody was told.
enum class dead_letter_reason : std::uint8_t {
  overflow,       ///< the mailbox was full
  evicted,        ///< discarded to make room for a newer one (`drop_oldest`)
  restarting,     ///< dropped by a restart, or refused during one
  stopped,        ///< the actor was not running, or stopped before it came to the event
  gone,           ///< the address had ended, or referred to nobody
  crashed,        ///< it was in hand when the actor crashed or was killed
  unknown_event,  ///< no handler; only CAF actors and other nodes can send such a thing
  unreachable,    ///< the actor's node could not be reached; the event never left this one
  unconfirmed,    ///< sent, and the other node was lost before it had confirmed it
  denied,         ///< the sending node may not address this actor with this event
  malformed,      ///< from another node, and not what its type says
};
inline constexpr std::size_t dead_letter_reasons = 11;

std::string_view name(dead_letter_reason why) noexcept;

/// One record of the dead-letter stream, which is limited in rate; the counts are exact.
struct dead_letter {
  dead_letter_reason why;
  std::string event;         ///< the event's type
  std::string to;            ///< the path it was sent to; empty for nobody
  std::uint64_t left_out;    ///< records suppressed since the last one
};

/// Exact numbers since the system's start, by reason.
using dead_letter_counts = std::array<std::uint64_t, dead_letter_reasons>;

/// A slice that runs for longer than the system's stall limit.
struct stall {
  std::string path;
  std::string event;  ///< the event's type; empty between events
  std::chrono::milliseconds running;
};

namespace detail {
class cell;
}

/// An incarnation has ended because something threw. As light as its receiver wants it: texts are
/// made on demand. Valid during the call only.
class crash_report {
 public:
  crash_report(const detail::cell& of, const event_type* in_hand, const exit_reason& why) noexcept
      : reason(why), cell_(of), in_hand_(in_hand) {}

  const exit_reason& reason;  ///< what was thrown, with its chain of causes

  std::string path() const;                ///< its ancestors among them
  std::string_view type() const noexcept;  ///< the class
  std::uint32_t incarnation() const noexcept;
  /// The type of the event that was handled; empty: none was.
  std::string_view event() const noexcept;
  std::uint32_t waiting() const noexcept;  ///< events in the mailbox
  std::uint64_t handled() const noexcept;  ///< events of all its incarnations
  std::size_t links() const noexcept;
  std::size_t watchers() const noexcept;
  bool traps_exits() const noexcept;

 private:
  const detail::cell& cell_;
  const event_type* in_hand_;
};

/// Receives what a system reports. Called from any thread, several at once; must not block.
class observer {
 public:
  virtual ~observer() = default;
  virtual void on_dead_letter(const dead_letter&) noexcept {}
  virtual void on_stall(const stall&) noexcept {}
  /// From the worker that ran the actor, before its supervisor knows.
  virtual void on_crash(const crash_report&) noexcept {}
  /// An actor without a supervisor has ended with an error.
  virtual void on_orphan(const std::string& /*path*/, const std::string& /*reason*/) noexcept {}
};

}  // namespace coppice
