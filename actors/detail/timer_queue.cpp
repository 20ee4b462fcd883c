// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/timer_queue.hpp>

#include <utility>

namespace coppice::detail {

timer_queue::~timer_queue() {
  for (slot& s : slots_)
    if (s.event) destroy(s.event);
}

timer_key timer_queue::arm(std::string_view name, tick at, tick period, node* event,
                           node* (*copy)(const node*)) {
  if (!name.empty()) cancel(name);
  if (live_ == max_timers) {
    destroy(event);
    throw bad_result{error{errc::limit,
                           "an actor has at most 100000 timers; cancel some, or "
                           "spread them over more actors"}};
  }
  std::uint32_t index;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  slot& s = slots_[index];
  s.at = at;
  s.period = period;
  s.event = event;
  s.copy = copy;
  s.fired = false;
  s.named = !name.empty();
  ++live_;
  push_heap(index);
  const timer_key key{index, s.generation};
  if (s.named) names_.insert_or_assign(std::string{name}, key);
  return key;
}

bool timer_queue::cancel(timer_key key) noexcept {
  if (!find(key)) return false;
  retire(key.slot);
  return true;
}

bool timer_queue::cancel(std::string_view name) noexcept {
  const auto found = names_.find(std::string{name});
  if (found == names_.end()) return false;
  const timer_key key = found->second;
  names_.erase(found);
  slot* s = find(key);
  if (!s) return false;
  s->named = false;
  retire(key.slot);
  return true;
}

std::optional<tick> timer_queue::next() const noexcept {
  if (heap_.empty()) return std::nullopt;
  return slots_[heap_.front()].at;
}

std::optional<timer_key> timer_queue::pop(tick now) {
  while (!heap_.empty() && slots_[heap_.front()].at <= now) {
    const std::uint32_t index = heap_.front();
    slot& s = slots_[index];
    remove_from_heap(0);
    const bool waits_already = s.fired;
    s.fired = true;
    if (s.period > 0) {
      s.at += ((now - s.at) / s.period + 1) * s.period;
      push_heap(index);
    }
    if (!waits_already) return timer_key{index, s.generation};
  }
  return std::nullopt;
}

const event_type* timer_queue::event_of(timer_key key) noexcept {
  const slot* s = find(key);
  return s && s->event ? s->event->type->event : nullptr;
}

node* timer_queue::deliver(timer_key key) {
  slot* s = find(key);
  if (!s || !s->fired) return nullptr;
  s->fired = false;
  if (s->period > 0) return s->copy(s->event);
  node* event = std::exchange(s->event, nullptr);
  retire(key.slot);
  return event;
}

timer_queue::slot* timer_queue::find(timer_key key) noexcept {
  if (key.slot >= slots_.size() || slots_[key.slot].generation != key.generation) return nullptr;
  return &slots_[key.slot];
}

void timer_queue::retire(std::uint32_t index) noexcept {
  slot& s = slots_[index];
  if (s.position != nowhere) remove_from_heap(s.position);
  if (s.event) destroy(std::exchange(s.event, nullptr));
  if (s.named) {
    // Named timers are few; a search here saves every slot from keeping its name.
    for (auto it = names_.begin(); it != names_.end(); ++it)
      if (it->second.slot == index) {
        names_.erase(it);
        break;
      }
  }
  ++s.generation;
  free_.push_back(index);
  --live_;
}

void timer_queue::push_heap(std::uint32_t index) {
  slots_[index].position = static_cast<std::uint32_t>(heap_.size());
  heap_.push_back(index);
  sift(slots_[index].position);
}

void timer_queue::remove_from_heap(std::uint32_t position) noexcept {
  slots_[heap_[position]].position = nowhere;
  const std::uint32_t last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  heap_[position] = last;
  slots_[last].position = position;
  sift(position);
}

void timer_queue::sift(std::uint32_t position) noexcept {
  const std::uint32_t index = heap_[position];
  const auto put = [this](std::uint32_t where, std::uint32_t what) {
    heap_[where] = what;
    slots_[what].position = where;
  };
  while (position > 0 && before(index, heap_[(position - 1) / 2])) {
    put(position, heap_[(position - 1) / 2]);
    position = (position - 1) / 2;
  }
  for (;;) {
    std::uint32_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], index)) break;
    put(position, heap_[child]);
    position = child;
  }
  put(position, index);
}

bool timer_queue::before(std::uint32_t a, std::uint32_t b) const noexcept {
  return slots_[a].at < slots_[b].at;
}

}  // namespace coppice::detail
