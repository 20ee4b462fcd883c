// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <coppice/actors/detail/pool.hpp>

/// What a handler returns that has to wait: `coppice::task<>` or `coppice::task<R>`.
///
///     coppice::task<> on(const order_placed& order) {
///       auto asked = ask(inventory_, reserve{order.sku, 1}, 200ms);
///       auto left = co_await asked;   // other actors run meanwhile
///       ...
///     }
///
/// Rules, because g++ 12 gets the rest wrong (see docs/coroutines.md): what is awaited is a named
/// variable, and a `co_await` stands alone: `co_await x;` or `auto y = co_await x;`.
/// A task starts when it is awaited (a handler's own: when it is returned), runs on its actor
/// only, and is destroyed with its actor's incarnation, innermost frame first.
namespace coppice {

namespace detail {

struct turn;

/// The part of a promise that needs no type. A frame knows who awaits it and who owns it.
struct frame {
  std::coroutine_handle<> handle;
  frame* parent = nullptr;  ///< the frame that awaits this one
  frame** owner = nullptr;  ///< where its owner keeps the pointer to it; cleared on destruction
  turn* in = nullptr;       ///< set when it starts to run
  std::exception_ptr failure;

  /// Destroys the coroutine and tells its owner.
  static void destroy(frame* f) noexcept {
    if (f->owner) *f->owner = nullptr;
    f->handle.destroy();
  }
};

void run_nested(turn& t, frame& nested) noexcept;

/// Tells a fresh frame its coroutine, and where its owner keeps it. Not inline: what is stored in a
/// promise after its first suspension clang 14 takes for unused, and leaves out when it optimises.
void own(frame& fresh, std::coroutine_handle<> coroutine, frame*& owner) noexcept;

template <class A>
concept awaitable_here = requires(A& a) { a.make_awaiter(); };

struct promise_base : frame {
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  std::suspend_always final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { failure = std::current_exception(); }

  template <class A>
  auto await_transform(A&& awaited) {
    static_assert(awaitable_here<std::remove_reference_t<A>>,
                  "coppice: a task can wait for asks, tasks, pauses and room only");
    static_assert(std::is_lvalue_reference_v<A>,
                  "coppice: name what you wait for: `auto asked = ask(...); auto answer = "
                  "co_await asked;` (g++ 12 destroys temporaries of a co_await expression twice)");
    return awaited.make_awaiter();
  }
};

/// What a coroutine function makes first. Not the task itself: that one cannot be moved, and
/// clang 14 moves it.
template <class Promise>
struct fresh {
  Promise* promise;
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] task {
 public:
  struct promise_type : detail::promise_base {
    detail::fresh<promise_type> get_return_object() noexcept { return {this}; }
    template <class U = T>
    void return_value(U&& v) {
      value.emplace(std::forward<U>(v));
    }
    std::optional<T> value;
  };

  task(detail::fresh<promise_type> made) noexcept : frame_(made.promise) {
    detail::own(*made.promise, std::coroutine_handle<promise_type>::from_promise(*made.promise),
                frame_);
  }
  task(task&&) = delete;
  ~task() {
    if (frame_) detail::frame::destroy(frame_);
  }

  auto make_awaiter() noexcept { return awaiter{this}; }
  detail::frame* release() noexcept {
    frame_->owner = nullptr;
    return std::exchange(frame_, nullptr);
  }
  static T take(detail::frame& f) { return std::move(*promise_of(f).value); }

 private:
  struct awaiter {
    task* awaited;
    bool await_ready() const noexcept { return awaited->frame_->handle.done(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) const noexcept {
      awaited->frame_->parent = &h.promise();
      detail::run_nested(*h.promise().in, *awaited->frame_);
    }
    T await_resume() const {
      detail::frame& f = *awaited->frame_;
      if (f.failure) std::rethrow_exception(f.failure);
      return take(f);
    }
  };

  static promise_type& promise_of(detail::frame& f) { return static_cast<promise_type&>(f); }

  detail::frame* frame_;
};

template <>
class [[nodiscard]] task<void> {
 public:
  struct promise_type : detail::promise_base {
    detail::fresh<promise_type> get_return_object() noexcept { return {this}; }
    void return_void() const noexcept {}
  };

  task(detail::fresh<promise_type> made) noexcept : frame_(made.promise) {
    detail::own(*made.promise, std::coroutine_handle<promise_type>::from_promise(*made.promise),
                frame_);
  }
  task(task&&) = delete;
  ~task() {
    if (frame_) detail::frame::destroy(frame_);
  }

  auto make_awaiter() noexcept { return awaiter{this}; }
  detail::frame* release() noexcept {
    frame_->owner = nullptr;
    return std::exchange(frame_, nullptr);
  }

 private:
  struct awaiter {
    task* awaited;
    bool await_ready() const noexcept { return awaited->frame_->handle.done(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) const noexcept {
      awaited->frame_->parent = &h.promise();
      detail::run_nested(*h.promise().in, *awaited->frame_);
    }
    void await_resume() const {
      if (awaited->frame_->failure) std::rethrow_exception(awaited->frame_->failure);
    }
  };

  detail::frame* frame_;
};

namespace detail {
template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;
}  // namespace detail

}  // namespace coppice
