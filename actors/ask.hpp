// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include <coppice/actors/ref.hpp>

/// Waiting: for an answer (`asked`), for room in a mailbox (`room_wait`), for time to pass
/// (`pause_wait`). Made by an actor's `ask`, `room` and `pause`; awaited as named variables, or,
/// for answers, continued with `then`. Every wait has a deadline.
namespace coppice {

namespace detail {

/// Puts a continuation in a wait's place.
void hand_over(waiting& from, waiting& to) noexcept;
/// Deletes a wait's answer, if it has one.
void drop_answer(waiting& w) noexcept;

template <class E, class F>
struct continuation final : waiting {
  explicit continuation(F&& f) : body(std::move(f)) {
    resume = [](waiting& w) {
      std::unique_ptr<continuation> self{static_cast<continuation*>(&w)};
      self->body(take_answer(w));
    };
    discard = [](waiting& w) noexcept { delete static_cast<continuation*>(&w); };
  }
  ~continuation() { drop_answer(*this); }

  static result<reply_of<E>> take_answer(waiting& w) {
    if (!w.answer) return error{errc::timeout, "no answer within the deadline"};
    std::unique_ptr<request_node<E>> r{
        static_cast<request_node<E>*>(std::exchange(w.answer, nullptr))};
    return r->outcome();
  }

  F body;
};

}  // namespace detail

/// An ask on its way. The question was sent when this was made; several may run side by side.
/// Belongs to the turn or continuation that made it; destroyed unawaited it forgets its answer.
template <class E>
class [[nodiscard]] asked : private detail::waiting {
 public:
  using reply = detail::reply_of<E>;

  asked(asked&&) = delete;
  ~asked() { detail::drop_answer(*this); }

  auto make_awaiter() noexcept { return awaiter{this}; }

  /// Goes on with `f(coppice::result<reply>)` when the answer is there or the deadline has
  /// passed, on the same actor, between its events. A throw in `f` is a crash. Unlike an awaited
  /// ask it does not hold the actor: other events are handled meanwhile.
  template <class F>
  void then(F f) && {
    static_assert(std::is_invocable_r_v<void, F&, result<reply>>,
                  "coppice: a continuation takes a result of the reply and returns nothing");
    if (complete) {
      f(detail::continuation<E, F>::take_answer(*this));
      return;
    }
    auto* next_step = new detail::continuation<E, F>(std::move(f));
    detail::hand_over(*this, *next_step);
  }

 private:
  friend class actor_base;
  struct awaiter {
    asked* awaited;
    bool await_ready() const noexcept { return awaited->complete; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) const noexcept {
      awaited->suspend(h.promise());
    }
    result<reply> await_resume() const {
      using from = detail::continuation<E, void (*)(result<reply>)>;
      return from::take_answer(*awaited);
    }
  };

  asked(detail::cell& asker, detail::cell* to, E&& event, std::int64_t ms) {
    asker.ask(to, new detail::request_node<E>(std::move(event)), *this, ms);
  }
};

/// Waiting for room in a full mailbox: a credit that rides its tail.
class [[nodiscard]] room_wait : private detail::waiting {
 public:
  room_wait(room_wait&&) = delete;
  ~room_wait() { detail::drop_answer(*this); }

  auto make_awaiter() noexcept { return awaiter{this}; }

 private:
  friend class actor_base;
  struct awaiter {
    room_wait* awaited;
    bool await_ready() const noexcept { return awaited->complete; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) const noexcept {
      awaited->suspend(h.promise());
    }
    result<void> await_resume() const {
      if (!awaited->answer) return error{errc::timeout, "no room within the deadline"};
      auto* credit = static_cast<detail::credit_node*>(awaited->answer);
      if (!credit->failed()) return {};
      return error{credit->status, credit->why};
    }
  };

  room_wait(detail::cell& asker, detail::cell* to, std::int64_t ms) {
    asker.await_room(to, *this, ms);
  }
};

/// Waiting for time to pass.
class [[nodiscard]] pause_wait : private detail::waiting {
 public:
  pause_wait(pause_wait&&) = delete;
  ~pause_wait() = default;

  auto make_awaiter() noexcept { return awaiter{this}; }

 private:
  friend class actor_base;
  struct awaiter {
    pause_wait* awaited;
    bool await_ready() const noexcept { return awaited->complete; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) const noexcept {
      awaited->suspend(h.promise());
    }
    void await_resume() const noexcept {}
  };

  pause_wait(detail::cell& asker, std::int64_t ms) { asker.expect(*this, asker.deadline_in(ms)); }
};

/// The duty to answer a request later, from anywhere, once. Destroyed without it, the one who
/// asked gets `unanswered`. A handler takes it by value: `void on(reserve, reply_slot<reserved>)`.
template <class R>
class reply_slot {
 public:
  reply_slot(reply_slot&& other) noexcept
      : waiting_(std::exchange(other.waiting_, nullptr)), succeed_(other.succeed_) {}
  reply_slot& operator=(reply_slot&& other) noexcept {
    reply_slot old{std::move(*this)};
    waiting_ = std::exchange(other.waiting_, nullptr);
    succeed_ = other.succeed_;
    return *this;
  }
  ~reply_slot() {
    if (!waiting_) return;
    const bool thrown = std::uncaught_exceptions() > 0;
    detail::answer_failed(
        std::exchange(waiting_, nullptr), thrown ? errc::crashed : errc::unanswered,
        make_cause(thrown ? "the handler threw" : "the reply slot was destroyed"));
  }

  /// False if nobody waits: the event was sent one-way, or is answered already.
  explicit operator bool() const noexcept { return waiting_; }

  void answer(R value) noexcept {
    if (!waiting_) return;
    succeed_(*waiting_, std::move(value));
    detail::answer(std::exchange(waiting_, nullptr));
  }
  void answer(const error& e) noexcept {
    if (waiting_) detail::answer_failed(std::exchange(waiting_, nullptr), e.code(), e.why());
  }
  void answer(result<R> outcome) noexcept {
    if (outcome) answer(std::move(*outcome));
    else answer(outcome.error());
  }

 private:
  friend struct detail_slot;
  reply_slot(detail::request* r, void (*succeed)(detail::request&, R&&)) noexcept
      : waiting_(r), succeed_(succeed) {}

  detail::request* waiting_;
  void (*succeed_)(detail::request&, R&&);
};

/// The runtime's way to make slots, and to take the request out of one.
struct detail_slot {
  template <class R>
  static detail::request* take(reply_slot<R>& slot) noexcept {
    return std::exchange(slot.waiting_, nullptr);
  }
  template <class E>
  static reply_slot<typename E::reply> make(detail::request* r) noexcept {
    return {r, [](detail::request& x, typename E::reply&& value) {
              static_cast<detail::request_node<E>&>(x).succeed(std::move(value));
            }};
  }
};

}  // namespace coppice
