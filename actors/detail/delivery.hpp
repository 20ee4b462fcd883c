// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <coppice/actors/detail/core.hpp>

namespace coppice::detail {

/// For a thread that is no worker and brings many events at once, say what has arrived from another
/// node.
///
/// The actors that it wakes between `begin` and `end` are handed to the workers at the end: one
/// that began with the first event would fight with this thread over every further one. If it is a
/// single actor and all workers sleep, `end` may leave it for `run`, on this very thread: nobody
/// need be woken for it, which is most of what a message between two idle nodes takes. What is put
/// off to the end of a slice is done then too.
///
/// All but `give_away` are the thread's own.
class delivery {
 public:
  explicit delivery(core& home);
  ~delivery();

  void begin() noexcept;
  /// `keep`: this thread can `run` what is left; see `waits`.
  void end(bool keep) noexcept;
  /// As `end` and `begin`, in the middle.
  void hand_over() noexcept;

  bool waits() const noexcept;
  /// Runs the actor that was left, and those that it wakes in turn, for a few slices. What is still
  /// to be done goes to the workers.
  void run() noexcept;
  /// Any thread: `run` does not return. What it would do next, and what the actor in it wakes until
  /// it does return, goes to the workers.
  void give_away() noexcept;

 private:
  class unit;
  core& home_;
  const std::unique_ptr<unit> unit_;
};

}  // namespace coppice::detail
