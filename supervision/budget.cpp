// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/budget.hpp>

#include <algorithm>

namespace coppice {

bool budget::spend(std::chrono::milliseconds now, const intensity& limit, window rule) {
  std::int64_t stamp = now.count();
  std::int64_t period = limit.period.count();
  if (rule == window::otp_seconds) {
    stamp = std::chrono::floor<std::chrono::seconds>(now).count();
    period = std::chrono::ceil<std::chrono::seconds>(limit.period).count();
  }
  while (size_ > 0 && stamps_[first_] < stamp - period) {
    if (++first_ == stamps_.size()) first_ = 0;
    --size_;
  }
  if (size_ >= limit.restarts) return false;
  if (size_ == stamps_.size()) grow(limit.restarts);
  std::size_t last = std::size_t{first_} + size_;
  if (last >= stamps_.size()) last -= stamps_.size();
  stamps_[last] = stamp;
  ++size_;
  return true;
}

void budget::grow(std::uint32_t most) {
  // Straightened first, so that the new room lies behind the youngest stamp.
  std::rotate(stamps_.begin(), stamps_.begin() + first_, stamps_.end());
  first_ = 0;
  const auto room = std::min<std::size_t>(std::max<std::size_t>(4, stamps_.size() * 2), most);
  stamps_.reserve(room);
  stamps_.resize(room);
}

}  // namespace coppice
