// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/testing/executor.hpp>

#include <coppice/actors/caf/system_private.hpp>

namespace coppice::testing {

executor::executor(std::uint64_t seed, system_options options)
    : system_(detail::system_access::make_deterministic(options, seed)) {}

executor::~executor() = default;

bool executor::step() { return detail::system_access::of(*system_).steps()->step(); }

bool executor::run_until_idle(std::uint64_t max_steps) {
  for (; max_steps; --max_steps)
    if (!step()) return true;
  return false;
}

void executor::advance(std::chrono::milliseconds time, std::uint64_t max_steps) {
  detail::system_access::of(*system_).steps()->advance(time.count(), max_steps);
}

std::chrono::milliseconds executor::now() const noexcept {
  return std::chrono::milliseconds{detail::core_of(*system_).clock.now()};
}

std::shared_ptr<detail::test_wait> executor::send_question(detail::cell* to, detail::request* x,
                                                           std::int64_t ms) {
  auto wait = std::make_shared<detail::test_wait>();
  wait->keep = wait;
  x->from(wait.get());
  if (to) {
    x->until = to->deadline_in(ms);
    to->ask(x);
  } else {
    detail::answer_failed(x, errc::gone, make_cause("the ref refers to nobody"));
  }
  return wait;
}

}  // namespace coppice::testing
