// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/core.hpp>

#include <algorithm>
#include <utility>

namespace coppice {

std::string_view name(dead_letter_reason why) noexcept {
  switch (why) {
    case dead_letter_reason::overflow: return "overflow";
    case dead_letter_reason::evicted: return "evicted";
    case dead_letter_reason::restarting: return "restarting";
    case dead_letter_reason::stopped: return "stopped";
    case dead_letter_reason::gone: return "gone";
    case dead_letter_reason::crashed: return "crashed";
    case dead_letter_reason::unknown_event: return "unknown_event";
    case dead_letter_reason::unreachable: return "unreachable";
    case dead_letter_reason::unconfirmed: return "unconfirmed";
    case dead_letter_reason::denied: return "denied";
    case dead_letter_reason::malformed: return "malformed";
  }
  return "unknown";
}

namespace detail {

auto clockwork::make_shards() -> std::array<std::unique_ptr<shard_type>, max_shards> {
  std::array<std::unique_ptr<shard_type>, max_shards> all;
  for (auto& s : all) s = std::make_unique<shard_type>();
  return all;
}

void clockwork::arm(std::uint32_t shard, tick at, cell* who) {
  shard_type& s = *shards_[shard % max_shards];
  {
    std::lock_guard lock{s.guard};
    s.wheel.catch_up(std::min(now(), at - 1));
    s.wheel.add(at, cell_ptr{who});
    s.next.store(s.wheel.next().value_or(never), std::memory_order_seq_cst);
  }
  if (!ticking_.load(std::memory_order_seq_cst) && rouse) rouse();
}

void clockwork::fire(tick now) {
  for (auto& each : shards_) {
    shard_type& s = *each;
    if (s.next.load(std::memory_order_relaxed) > now) continue;
    std::lock_guard lock{s.guard};
    s.wheel.advance(now, due_);
    s.next.store(s.wheel.next().value_or(never), std::memory_order_relaxed);
  }
  std::uint32_t ended = 0;
  for (cell_ptr& who : due_)
    if (!who->tell(control::wake)) ++ended;
  due_.clear();
  stale_.fetch_sub(std::min(ended, stale_.load(std::memory_order_relaxed)),
                   std::memory_order_relaxed);
  throw_out_stale();
}

void clockwork::throw_out_stale() {
  constexpr std::uint32_t worth_it = 1'024;
  const std::uint32_t stale = stale_.load(std::memory_order_relaxed);
  if (stale < worth_it || stale < entries() / 2) return;
  for (auto& each : shards_) {
    std::lock_guard lock{each->guard};
    each->wheel.take_out([](const cell_ptr& who) { return who->state() == cell_state::ended; },
                         due_);
    each->next.store(each->wheel.next().value_or(never), std::memory_order_relaxed);
  }
  const auto found = static_cast<std::uint32_t>(due_.size());
  stale_.fetch_sub(std::min(found, stale_.load(std::memory_order_relaxed)),
                   std::memory_order_relaxed);
  due_.clear();  // not under a lock: the last reference to a cell may go here
}

std::size_t clockwork::entries() {
  std::size_t all = 0;
  for (auto& each : shards_) {
    std::lock_guard lock{each->guard};
    all += each->wheel.size();
  }
  return all;
}

std::optional<tick> clockwork::next() {
  tick first = never;
  for (auto& s : shards_) first = std::min(first, s->next.load(std::memory_order_seq_cst));
  if (first == never) return std::nullopt;
  return first;
}

void clockwork::clear() {
  for (auto& s : shards_) {
    std::lock_guard lock{s->guard};
    s->wheel = timing_wheel<cell_ptr>{};
    s->next.store(never, std::memory_order_relaxed);
  }
}

void dead_letter_office::note(dead_letter_reason why, const event_type* event, const cell* to,
                              tick now, observer* watch) noexcept {
  counts_[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
  if (!watch) return;
  std::uint64_t left_out = 0;
  {
    std::lock_guard lock{guard_};
    if (now - window_ >= 1'000) {
      window_ = now;
      in_window_ = 0;
    }
    if (in_window_ == records_per_second) {
      ++left_out_;
      return;
    }
    ++in_window_;
    left_out = std::exchange(left_out_, 0);
  }
  watch->on_dead_letter(dead_letter{why, event ? std::string{event->type_name} : std::string{},
                                    to ? to->path() : std::string{}, left_out});
}

dead_letter_counts dead_letter_office::counts() const noexcept {
  dead_letter_counts all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = counts_[i].load(std::memory_order_relaxed);
  return all;
}

void end_of_slice() noexcept {
  while (after_slice* x = this_worker.after) {
    this_worker.after = std::exchange(x->next_after, nullptr);
    x->slice_ended();
  }
}

void overdue_work::add(const void* of, action what) {
  std::lock_guard lock{guard_};
  all_.emplace_back(of, std::move(what));
}

void overdue_work::remove(const void* of) noexcept {
  std::lock_guard lock{guard_};
  std::erase_if(all_, [of](const auto& each) { return each.first == of; });
}

void overdue_work::run() {
  std::lock_guard lock{guard_};
  for (const auto& [of, what] : all_) what();
}

dead_letter_reason as_dead_letter(lane::outcome refused) noexcept {
  switch (refused) {
    case lane::outcome::stopped: return dead_letter_reason::stopped;
    case lane::outcome::restarting: return dead_letter_reason::restarting;
    case lane::outcome::gone: return dead_letter_reason::gone;
    default: return dead_letter_reason::overflow;
  }
}

errc as_error(dead_letter_reason why) noexcept {
  switch (why) {
    case dead_letter_reason::overflow:
    case dead_letter_reason::evicted: return errc::overloaded;
    case dead_letter_reason::restarting: return errc::restarting;
    case dead_letter_reason::stopped: return errc::stopped;
    case dead_letter_reason::gone: return errc::gone;
    case dead_letter_reason::crashed: return errc::crashed;
    case dead_letter_reason::unknown_event: return errc::unknown_event;
    case dead_letter_reason::unreachable: return errc::unreachable;
    case dead_letter_reason::unconfirmed: return errc::disconnected;
    case dead_letter_reason::denied: return errc::denied;
    case dead_letter_reason::malformed: return errc::invalid;
  }
  return errc::failed;
}

}  // namespace detail
}  // namespace coppice
