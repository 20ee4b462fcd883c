// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>

#include <coppice/actors/system.hpp>

/// Talking to actors from a thread that is none of the system's: `main`, a callback of a library.
///
///     coppice::outside shop{system};
///     auto left = shop.ask(inventory, reserve{"nails", 3}, 200ms);   // blocks this thread
///
/// Copied freely, used by several threads at once; must not outlive the system. Inside a handler
/// use the actor's own members: an ask from here would block a worker.
namespace coppice {

namespace detail {

/// Where a thread outside waits for an answer. Shared with the answer, which may come late.
class outside_wait {
 public:
  outside_wait();
  ~outside_wait();
  outside_wait(const outside_wait&) = delete;
  outside_wait& operator=(const outside_wait&) = delete;

  /// Sends `x` and waits. Null: the deadline passed. The caller owns the answer.
  request* ask(cell* to, request* x, std::int64_t ms, bool overtake = false);

 private:
  struct shared;
  shared* shared_;
};

}  // namespace detail

class outside {
 public:
  explicit outside(system& s) noexcept : system_(&s) {}

  /// Sends an event. Never fails: one that is refused is counted as a dead letter.
  template <class E, class... Es>
  void send(const ref<Es...>& to, E event) {
    detail::check_accepts<ref<Es...>, E>();
    if (detail::cell* x = detail_ref::get(to)) x->send(new detail::event_node<E>(std::move(event)));
    else nobody(detail::event_type_of<E>);
  }

  /// Sends an event and tells whether it was taken.
  template <class E, class... Es>
  result<void> offer(const ref<Es...>& to, E event) {
    detail::check_accepts<ref<Es...>, E>();
    detail::cell* x = detail_ref::get(to);
    if (!x) return error{errc::gone, "the ref refers to nobody"};
    auto* n = new detail::event_node<E>(std::move(event));
    const auto outcome = x->push(n);
    if (outcome == detail::lane::outcome::put) return {};
    return refused(*x, n, outcome);
  }

  /// Asks and blocks the calling thread until the answer, or the deadline.
  template <class E, class... Es>
  result<detail::reply_of<E>> ask(const ref<Es...>& to, E event,
                                  std::chrono::milliseconds deadline) {
    detail::check_accepts<ref<Es...>, E>();
    using question = detail::request_node<E>;
    detail::outside_wait wait;
    detail::request* x =
        wait.ask(detail_ref::get(to), new question(std::move(event)), deadline.count());
    if (!x) return error{errc::timeout, "no answer within the deadline", to.path()};
    std::unique_ptr<question> answered{static_cast<question*>(x)};
    return answered->outcome();
  }

  /// Blocks until what is in the mailbox now has been handled.
  template <class... Es>
  result<void> room(const ref<Es...>& to, std::chrono::milliseconds deadline) {
    return credit(detail_ref::get(to), deadline, false);
  }

  /// Whether the actor, suspended or not and however full its mailbox, gets to run.
  template <class... Es>
  result<void> probe(const ref<Es...>& to, std::chrono::milliseconds deadline) {
    return credit(detail_ref::get(to), deadline, true);
  }

  /// Lets an actor's events wait until `resume`, or until its next incarnation.
  template <class... Es>
  void suspend(const ref<Es...>& x) {
    if (detail::cell* c = detail_ref::get(x)) c->tell(detail::control::suspend);
  }
  template <class... Es>
  void resume(const ref<Es...>& x) {
    if (detail::cell* c = detail_ref::get(x)) c->tell(detail::control::resume);
  }

 private:
  void nobody(const event_type& event) noexcept;
  static result<void> refused(detail::cell& to, detail::node* event, detail::lane::outcome why);
  static result<void> credit(detail::cell* to, std::chrono::milliseconds deadline, bool overtake);

  system* system_;
};

}  // namespace coppice
