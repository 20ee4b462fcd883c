// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/outside.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <coppice/actors/detail/core.hpp>

namespace coppice {

namespace detail {

struct outside_wait::shared final : answer_sink {
  std::mutex guard;
  std::condition_variable changed;
  request* answer = nullptr;
  bool given_up = false;
  std::atomic<int> owners{1};  ///< two once the answer is on its way

  void answered(request* x) noexcept override {
    {
      std::lock_guard lock{guard};
      if (!given_up) std::swap(answer, x);
      changed.notify_one();
    }
    if (x) destroy(x);  // too late
    release();
  }
  void release() noexcept {
    if (owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
};

outside_wait::outside_wait() : shared_(new shared) {}

outside_wait::~outside_wait() { shared_->release(); }

request* outside_wait::ask(cell* to, request* x, std::int64_t ms, bool overtake) {
  shared& s = *shared_;
  s.owners.store(2, std::memory_order_relaxed);
  x->from(&s);
  if (!to) {
    answer_failed(x, errc::gone, make_cause("the ref refers to nobody"));
  } else {
    x->until = to->deadline_in(ms);
    overtake ? to->probe(x) : to->ask(x);
  }
  std::unique_lock lock{s.guard};
  s.changed.wait_for(lock, std::chrono::milliseconds{ms}, [&s] { return s.answer != nullptr; });
  s.given_up = true;
  return std::exchange(s.answer, nullptr);
}

}  // namespace detail

void outside::nobody(const event_type& event) noexcept {
  detail::core_of(*system_).dead(dead_letter_reason::gone, &event, nullptr);
}

result<void> outside::refused(detail::cell& to, detail::node* event, detail::lane::outcome why) {
  return detail::refuse_offer(to, event, why);
}

result<void> outside::credit(detail::cell* to, std::chrono::milliseconds deadline, bool overtake) {
  detail::outside_wait wait;
  detail::request* x = wait.ask(to, new detail::credit_node, deadline.count(), overtake);
  if (!x)
    return error{errc::timeout,
                 overtake ? "no sign of life within the deadline" : "no room within the deadline",
                 to ? to->path() : std::string{}};
  std::unique_ptr<detail::credit_node> answered{static_cast<detail::credit_node*>(x)};
  if (answered->failed()) return error{answered->status, answered->why};
  return {};
}

}  // namespace coppice
