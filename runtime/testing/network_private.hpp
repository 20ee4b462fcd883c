// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/testing/simulation.hpp>
#include <coppice/runtime/testing/timeline_private.hpp>
#include <coppice/runtime/wire/link.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// Links like TCP's between the nodes of a simulation: what is taken arrives in order or not at
/// all, and the end of a link is told, unless nothing arrives any more.
namespace coppice::testing {

class network {
 public:
  using time_point = timeline::time_point;
  using span = timeline::span;

  struct ports {
    /// Runs something for the process `life` of a node, as an event of its carrier: when it is not
    /// stalled, and never if it has ended.
    std::function<void(std::size_t node, std::uint64_t life,
                       std::function<void(wire::link_events&)> what)>
        run;
    std::function<void(std::size_t node, const std::string& what)> tell;
  };

  network(timeline& time, std::vector<std::string> names, const simulated_network& how,
          std::chrono::milliseconds connect_deadline, ports uses);
  ~network();

  // ---- machines and processes -------------------------------------------------------------
  void listen(std::size_t node, std::uint64_t life);
  /// The process is gone, without a word to its own carrier.
  void lost(std::size_t node, crash how);
  /// The process closes everything and is told so at once.
  void closed(std::size_t node, wire::link_events& events);
  /// It has links, or dials under way.
  bool busy(std::size_t node) const;

  void dial(std::size_t node, std::uint64_t life, const std::string& peer);
  std::size_t write(std::uint64_t link, int side,
                    std::span<const std::span<const std::byte>> pieces);
  void close(std::uint64_t link, int side, const std::string& why);

  // ---- faults -----------------------------------------------------------------------------
  void cut(std::size_t from, std::size_t to) { way(from, to).open = false; }
  bool is_cut(std::size_t from, std::size_t to) const { return !way(from, to).open; }
  void mend(std::size_t from, std::size_t to);
  void reset(std::size_t a, std::size_t b);
  void give_up(std::size_t at, std::size_t other);
  void dials(std::size_t from, std::size_t to, dial_fate fate) { way(from, to).fate = fate; }
  std::size_t links(std::size_t a, std::size_t b) const;

 private:
  class simulated_link;

  struct machine {
    bool powered = true;
    std::uint64_t listens = 0;  ///< the process that does
  };
  struct path {
    bool open = true;
    dial_fate fate = dial_fate::works;
  };
  struct piece {
    time_point arrives;
    std::vector<std::byte> bytes;
    bool last = false;  ///< the writer has closed the link
  };
  struct direction {
    std::deque<piece> flying;
    std::size_t bytes = 0;  ///< in them
    time_point sent{};  ///< the last byte has left
    time_point arrived{};  ///< the last piece arrives
    bool blocked = false;  ///< the writer waits for `on_writable`
    bool scheduled = false;
  };
  struct end {
    std::size_t node = 0;
    std::uint64_t life = 0;
    std::shared_ptr<simulated_link> link;
    bool told = false;  ///< of its opening
    bool open = true;  ///< its owner uses it
    bool over = false;  ///< and is told that it is closed, or is gone
    std::string reset;  ///< it shall be told so, once the path is open
  };
  struct connection {
    end ends[2];  ///< the first one has dialled
    direction ways[2];  ///< from that end
    bool broken = false;  ///< nothing arrives any more
  };
  struct dialled {
    std::size_t node;
    std::uint64_t life;
    std::size_t to;
    time_point deadline;
  };

  path& way(std::size_t from, std::size_t to) { return paths_[from * names_.size() + to]; }
  const path& way(std::size_t from, std::size_t to) const {
    return paths_[from * names_.size() + to];
  }
  span latency();
  connection* find(std::uint64_t link);
  void forget_if_over(std::uint64_t link);

  void attempt(std::uint64_t dial);
  void dial_ends(std::uint64_t dial, bool refused, const std::string& why);
  void connect(std::uint64_t dial);
  void opened(std::uint64_t link, int side, wire::link_events& events);
  void schedule(std::uint64_t link, int from);
  void arrive(std::uint64_t link, int from);
  void deliver(std::uint64_t link, int from, wire::link_events& events);
  void writable_soon(std::uint64_t link, int side, span after);
  void reset(std::uint64_t link, const std::string& why);
  void tell_reset(std::uint64_t link, int side, std::string why, bool needs_path);
  void end_link(std::uint64_t link, int side, bool refused, const std::string& why,
                wire::link_events& events);
  void append(connection& c, int from, piece p);

  timeline& time_;
  const std::vector<std::string> names_;
  const simulated_network how_;
  const std::chrono::milliseconds connect_deadline_;
  const ports uses_;
  std::vector<machine> machines_;
  std::vector<path> paths_;
  std::map<std::uint64_t, connection> connections_;
  std::map<std::uint64_t, dialled> dials_;
  std::uint64_t last_ = 0;
};

}  // namespace coppice::testing
