// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace coppice {

/// Steps to be taken and which of them wait for which others: a graph without cycles. Sequential
/// order is a chain (`then`), a dependency is an edge (`order`), and what has neither is done
/// side by side.
///
///     plan p;
///     p.then(plan::stop, 7);
///     p.then(plan::start, 7);     // waits for the stop
///     p.begin(ready);             // ready: the steps to take now
///     p.done(ready[0], ready);    // appends those that this has released
///
/// A plan knows nothing of what a step does. A step that fails ends the plan (`clear`); what is
/// to be done about it is another plan. A chain costs 8 bytes for each step, an edge 8 more.
class plan {
 public:
  enum kind : std::uint8_t { stop, start };
  using step_id = std::uint32_t;
  struct step {
    kind what;
    std::uint32_t child;
  };

  /// Makes room for so many steps.
  void reserve(std::uint32_t steps) { steps_.reserve(steps); }
  /// Adds a step that waits for nothing yet. Children are numbered below 2^31.
  step_id add(kind what, std::uint32_t child);
  /// Adds a step that waits for the one added before it.
  step_id then(kind what, std::uint32_t child);
  /// `later` waits for `earlier`. Only before `begin`.
  void order(step_id earlier, step_id later);

  /// Ends the building and appends every step that waits for nothing.
  void begin(std::vector<step_id>& ready);
  /// The step has been taken: appends those it was the last to hold up. Once for each step.
  void done(step_id id, std::vector<step_id>& ready);

  step operator[](step_id i) const noexcept {
    return {static_cast<kind>(steps_[i].start), steps_[i].child};
  }
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(steps_.size()); }
  /// True when every step is done; also of a plan without steps.
  bool finished() const noexcept { return left_ == 0; }
  /// Forgets all steps. The memory of a large plan is given back.
  void clear();

 private:
  struct node {
    std::uint32_t child : 31;
    std::uint32_t start : 1;
    std::uint32_t waits : 31;    ///< for how many steps it still waits
    std::uint32_t chained : 1;   ///< the next step waits for this one
  };
  struct edge {
    step_id earlier;
    step_id later;
  };

  void release(step_id id, std::vector<step_id>& ready);

  std::vector<node> steps_;
  std::vector<edge> edges_;  ///< by `earlier`, from `begin` on
  std::uint32_t left_ = 0;
};

}  // namespace coppice
