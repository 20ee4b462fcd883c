// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/stream.hpp>

#include <utility>

namespace coppice::http {

stream::stream(stream_format format, std::size_t capacity) : format_(format), capacity_(capacity) {}

void stream::append(std::string_view record) {
  if (format_ == stream_format::event_stream) waiting_ += "data: ";
  waiting_ += record;
  waiting_ += format_ == stream_format::event_stream ? "\n\n" : "\n";
}

void stream::tell_gap() {
  if (lost_ > 0) append("{\"lost\":" + std::to_string(std::exchange(lost_, 0)) + '}');
}

bool stream::push(std::string_view record) {
  std::lock_guard lock{guard_};
  if (ended_ || detached_) return false;
  const std::size_t used = waiting_.size() + in_flight_;
  if (used > 0 && used + record.size() > capacity_) {
    ++lost_;
    return false;
  }
  tell_gap();
  append(record);
  // Under the lock: after `detach` has returned nobody is woken any more.
  if (wake_ && in_flight_ == 0) wake_();
  return true;
}

void stream::end() {
  std::lock_guard lock{guard_};
  ended_ = true;
  if (wake_ && in_flight_ == 0) wake_();
}

bool stream::closed() const {
  std::lock_guard lock{guard_};
  return ended_ || detached_;
}

bool stream::caught_up() const {
  std::lock_guard lock{guard_};
  return waiting_.empty() && in_flight_ == 0;
}

void stream::attach(std::size_t capacity, std::function<void()> wake) {
  std::lock_guard lock{guard_};
  capacity_ = capacity;
  wake_ = std::move(wake);
}

void stream::detach() {
  std::lock_guard lock{guard_};
  detached_ = true;
  wake_ = nullptr;
  waiting_ = {};
}

std::string stream::take() {
  std::lock_guard lock{guard_};
  tell_gap();
  in_flight_ = waiting_.size();
  return std::exchange(waiting_, {});
}

void stream::written() {
  std::lock_guard lock{guard_};
  in_flight_ = 0;
}

bool stream::at_end() const {
  std::lock_guard lock{guard_};
  return ended_ && waiting_.empty() && lost_ == 0;
}

}  // namespace coppice::http
