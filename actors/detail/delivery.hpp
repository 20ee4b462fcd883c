// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include <coppice/actors/detail/core.hpp>

namespace coppice::detail {

/// For a thread that is no worker and brings many events at once, say what has arrived from another
/// node. The actors that it wakes between `begin` and `end` are handed to the workers at the end:
/// a worker that began with the first event would fight with this thread over every further one.
/// What is put off to the end of a slice is done then too. Of one thread at a time.
class delivery {
 public:
  explicit delivery(core& home);
  ~delivery();

  /// Nothing if this thread runs actors anyway.
  void begin() noexcept;
  void end() noexcept;

 private:
  struct unit;
  core& home_;
  std::unique_ptr<unit> unit_;
  bool under_way_ = false;
};

}  // namespace coppice::detail
