// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include <coppice/actors/outside.hpp>
#include <coppice/actors/system.hpp>

/// Actors under a deterministic executor: one thread, virtual time, the order of what is ready
/// drawn from a seed. The same seed gives the same run.
///
///     coppice::testing::executor run{7};
///     auto till = run.system().spawn<cash_desk>({.id = "till"});
///     auto paid = run.ask(till, pay{12}, 1s);      // runs until the answer is there
///     run.advance(30s);                            // timers fire in order, nothing sleeps
namespace coppice {

namespace detail {

/// Where an answer for a test goes. Kept alive by the request until it is answered.
struct test_wait final : answer_sink {
  test_wait() = default;
  test_wait(const test_wait&) = delete;
  test_wait& operator=(const test_wait&) = delete;
  ~test_wait() {
    if (answer) destroy(answer);
  }
  void answered(request* x) noexcept override {
    answer = x;
    keep.reset();
  }

  request* answer = nullptr;
  std::shared_ptr<test_wait> keep;
};

}  // namespace detail

namespace testing {

class executor {
 public:
  explicit executor(std::uint64_t seed = 0, system_options options = {});
  ~executor();

  coppice::system& system() noexcept { return *system_; }

  /// Runs one slice of one ready actor. False: none was ready.
  bool step();
  /// Runs until nothing is ready; time stands still. False: `max_steps` were not enough.
  bool run_until_idle(std::uint64_t max_steps = 1'000'000);
  /// Moves virtual time on by `time`; what falls due on the way is handled at its time.
  void advance(std::chrono::milliseconds time, std::uint64_t max_steps = 10'000'000);
  /// Virtual time since the start.
  std::chrono::milliseconds now() const noexcept;

  template <class E, class... Es>
  void send(const ref<Es...>& to, E event) {
    outside{*system_}.send(to, std::move(event));
  }
  template <class E, class... Es>
  result<void> offer(const ref<Es...>& to, E event) {
    return outside{*system_}.offer(to, std::move(event));
  }

  /// A question on its way, for tests that act before its answer is there.
  template <class E>
  class question {
   public:
    /// Whether the answer has come.
    bool answered() const noexcept { return wait_->answer != nullptr; }
    /// The answer; only once `answered`, and once.
    result<typename E::reply> take() {
      std::unique_ptr<detail::request_node<E>> x{
          static_cast<detail::request_node<E>*>(std::exchange(wait_->answer, nullptr))};
      return x->outcome();
    }

   private:
    friend class executor;
    explicit question(std::shared_ptr<detail::test_wait> wait) : wait_(std::move(wait)) {}
    std::shared_ptr<detail::test_wait> wait_;
  };

  /// Asks without running anything.
  template <class E, class... Es>
  question<E> begin_ask(const ref<Es...>& to, E event,
                        std::chrono::milliseconds deadline = std::chrono::seconds{10}) {
    detail::check_accepts<ref<Es...>, E>();
    return question<E>{send_question(
        detail_ref::get(to), new detail::request_node<E>(std::move(event)), deadline.count())};
  }

  /// Asks, and runs until the answer is there; time moves on if need be, up to `deadline`.
  template <class E, class... Es>
  result<typename E::reply> ask(const ref<Es...>& to, E event,
                                std::chrono::milliseconds deadline = std::chrono::seconds{10}) {
    auto asked = begin_ask(to, std::move(event), deadline);
    run_until_idle();
    for (auto left = deadline; !asked.answered() && left.count() > 0; --left)
      advance(std::chrono::milliseconds{1});
    if (!asked.answered()) return error{errc::timeout, "no answer within the deadline", to.path()};
    return asked.take();
  }

 private:
  std::shared_ptr<detail::test_wait> send_question(detail::cell* to, detail::request* x,
                                                   std::int64_t ms);

  std::unique_ptr<coppice::system> system_;
};

}  // namespace testing
}  // namespace coppice
