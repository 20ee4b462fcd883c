// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <stop_token>
#include <tuple>

#include <coppice/actors/ask.hpp>

/// What a user writes: a class derived from `actor<Events...>` with one `on` per event.
///
///     class inventory : public coppice::actor<reserve> {
///      public:
///       coppice::result<reserved> on(const reserve& r);
///     };
///
/// `on` takes the event by `const E&`, `E&&` or `E`. For a one-way event it returns nothing or
/// `task<>`; for a request its reply `R`, `result<R>`, `task<R>` or `task<result<R>>`, or nothing
/// if it also takes a `reply_slot<R>`. A throw is a crash: the incarnation ends, and its
/// supervisor decides. Optional: `void started()` or `task<> started()` completes the start;
/// `stopping(const exit_reason&)`, void or `task<>`, is run before a stop or after a crash.
///
/// An actor is neither copied nor moved; each incarnation is constructed afresh from copies of
/// the same arguments. All members below may be called by the actor itself only.
namespace coppice {

class actor_base {
 public:
  actor_base(const actor_base&) = delete;
  actor_base& operator=(const actor_base&) = delete;

  using milliseconds = std::chrono::milliseconds;

  /// The path of this actor, e.g. `/shop/inventory`.
  std::string path() const { return cell_->path(); }
  /// Counts from 1: how often this address has been started.
  std::uint32_t incarnation() const noexcept { return cell_->incarnation(); }

 protected:
  actor_base();
  ~actor_base() = default;

  /// Sends an event. Never fails: one that is refused is counted as a dead letter.
  template <class E, class... Es>
  void send(const ref<Es...>& to, E event) {
    detail::check_accepts<ref<Es...>, E>();
    if (detail::cell* x = detail_ref::get(to)) x->send(new detail::event_node<E>(std::move(event)));
    else nobody(detail::event_type_of<E>);
  }

  /// Sends an event and tells whether it was taken. A refused one is destroyed, not counted: the
  /// sender knows. To wait for room: `auto free = room(to, 1s); auto ok = co_await free;`.
  template <class E, class... Es>
  result<void> offer(const ref<Es...>& to, E event) {
    detail::check_accepts<ref<Es...>, E>();
    detail::cell* x = detail_ref::get(to);
    if (!x) return error{errc::gone, "the ref refers to nobody"};
    auto* n = new detail::event_node<E>(std::move(event));
    const auto outcome = x->push(n);
    if (outcome == detail::lane::outcome::put) [[likely]]
      return {};
    return offer_refused(*x, n, outcome);
  }

  /// Asks: sends a request now and returns what to wait for. The deadline counts from now,
  /// travels with the event and is at most a week.
  template <class E, class... Es>
  asked<E> ask(const ref<Es...>& to, E event, milliseconds deadline) {
    detail::check_accepts<ref<Es...>, E>();
    return asked<E>{*cell_, detail_ref::get(to), std::move(event), deadline.count()};
  }

  /// Waits until what is in the mailbox of `to` now has been handled.
  template <class... Es>
  room_wait room(const ref<Es...>& to, milliseconds deadline) {
    return room_wait{*cell_, detail_ref::get(to), deadline.count()};
  }

  /// Waits for time to pass.
  pause_wait pause(milliseconds time) { return pause_wait{*cell_, time.count()}; }

  /// Ends this incarnation when the turn in hand is over. With `normal` a transient child is
  /// not restarted; a permanent one always is.
  void stop(exit_reason why = exit_reason::normal()) noexcept {
    cell_->request_stop(std::move(why));
  }

  /// Only while it starts: this actor declines to run, which is no failure. Its supervisor keeps
  /// it as a stopped child, or removes it if it is temporary; nothing of it is left but its spec.
  void ignore() noexcept { cell_->ignore(); }

  /// Raised when this incarnation is told to stop or is killed, even while a slice of it runs: for
  /// work that takes long and can be given up half-way.
  std::stop_token stop_token() { return cell_->stop_token(); }

  /// An `ended` notice for each incarnation of `other` that ends, the last one with `gone`.
  template <class... Es>
  void watch(const ref<Es...>& other) {
    cell_->watch(detail_ref::get(other));
  }
  template <class... Es>
  void unwatch(const ref<Es...>& other) {
    cell_->unwatch(detail_ref::get(other));
  }

  /// Ties this incarnation and the other's: when one ends, the other receives an exit signal.
  template <class... Es>
  void link(const ref<Es...>& other) {
    cell_->link(detail_ref::get(other));
  }
  template <class... Es>
  void unlink(const ref<Es...>& other) {
    cell_->unlink(detail_ref::get(other));
  }

  /// Sends an exit signal, with OTP's meaning: `kill` cannot be trapped, `normal` is ignored
  /// unless trapped or sent to oneself, anything else ends an actor that does not trap.
  template <class... Es>
  void exit(const ref<Es...>& other, const exit_reason& why) {
    cell_->exit(detail_ref::get(other), why);
  }

  using timer = detail::timer_key;

  /// Cancels a timer. After that it delivers nothing, even if it has fired already.
  bool cancel(timer t) noexcept { return cell_->cancel_timer(t); }
  bool cancel(std::string_view timer_name) noexcept { return cell_->cancel_timer(timer_name); }

  detail::cell* cell_;

 private:
  static result<void> offer_refused(detail::cell& to, detail::node* event,
                                    detail::lane::outcome why);
  void nobody(const event_type& event) noexcept;
};

template <class... Es>
class actor : public actor_base {
 public:
  /// The ref under which others know this actor.
  using address = typename detail::ref_to<ref<>, Es...>::type;

  static constexpr bool is_coppice_actor = true;
  template <template <class...> class List>
  using events = List<Es...>;

 protected:
  actor() = default;

  address self() const noexcept { return detail_ref::make<address>(cell_); }

  /// Delivers `event` to this incarnation after `delay`, even if the mailbox is full.
  template <class E>
  timer send_after(milliseconds delay, E event) {
    return arm({}, delay, milliseconds{0}, std::move(event), nullptr);
  }
  /// The same under a name: a new timer of that name replaces the old one.
  template <class E>
  timer send_after(std::string_view name, milliseconds delay, E event) {
    return arm(name, delay, milliseconds{0}, std::move(event), nullptr);
  }
  /// Delivers a copy of `event` every `period`; what falls due while one waits is left out.
  template <class E>
  timer send_every(milliseconds period, E event) {
    return send_every({}, period, std::move(event));
  }
  template <class E>
  timer send_every(std::string_view name, milliseconds period, E event) {
    static_assert(std::is_copy_constructible_v<E>,
                  "coppice: a periodic timer's event is copied each period; this one cannot be");
    if constexpr (std::is_copy_constructible_v<E>)
      return arm(name, period, period, std::move(event), &detail::event_node<E>::copy);
  }

  template <class... Rs>
  void watch(const ref<Rs...>& other) {
    static_assert(detail::one_of<ended, detail::bare_t<Es>...>,
                  "coppice: an actor that watches lists coppice::ended among its events");
    actor_base::watch(other);
  }

  /// Exit signals arrive as `exit_signal` events instead of ending this actor.
  void trap_exits(bool on = true) noexcept {
    static_assert(detail::one_of<exit_signal, detail::bare_t<Es>...>,
                  "coppice: an actor that traps exits lists coppice::exit_signal among its events");
    cell_->trap_exits(on);
  }

 private:
  template <class E>
  timer arm(std::string_view name, milliseconds delay, milliseconds period, E&& event,
            detail::node* (*copy)(const detail::node*)) {
    using event_t = std::remove_cvref_t<E>;
    static_assert(detail::one_of<event_t, detail::bare_t<Es>...>,
                  "coppice: an actor's timer delivers one of its own events");
    return cell_->arm_timer(name, delay.count(), period.count(),
                            new detail::event_node<event_t>(std::forward<E>(event)), copy);
  }
};

namespace detail {

template <class T, class E>
concept takes_slot = request_event<E> && requires(T& t, E e) {
  t.on(std::move(e), std::declval<reply_slot<typename E::reply>>());
};
template <class T, class E>
concept takes_event = requires(T& t, E e) { t.on(std::move(e)); };

template <class T, class E>
consteval void check_handler() {
  static_assert(takes_event<T, E> || takes_slot<T, E>,
                "coppice: this actor lists an event for which it has no public `on(const E&)`");
  if constexpr (takes_slot<T, E>) {
    using slot = reply_slot<typename E::reply>;
    using returned = decltype(std::declval<T&>().on(std::declval<E>(), std::declval<slot>()));
    static_assert(std::is_void_v<returned>,
                  "coppice: a handler with a reply slot returns nothing: the slot is the answer");
  } else if constexpr (takes_event<T, E>) {
    using returned = decltype(std::declval<T&>().on(std::declval<E>()));
    if constexpr (request_event<E>) {
      using reply = typename E::reply;
      static_assert(one_of<returned, reply, result<reply>, task<reply>, task<result<reply>>>,
                    "coppice: a request's handler returns its reply R, result<R>, task<R> or "
                    "task<result<R>>, or takes a reply_slot<R>");
    } else {
      static_assert(one_of<returned, void, task<>>,
                    "coppice: a one-way event's handler returns nothing or task<>");
    }
  }
}

/// Answers `x` with what a handler returned.
template <class E, class R>
void answer_with(request_node<E>* x, R&& outcome) {
  if constexpr (std::is_same_v<std::remove_cvref_t<R>, typename E::reply>) {
    x->succeed(std::forward<R>(outcome));
  } else if (outcome) {
    x->succeed(*std::forward<R>(outcome));
  } else {
    x->fail(outcome.error());
  }
  answer(x);
}

/// The end of a coroutine turn: its value becomes the answer.
template <class E, class R>
void finish_turn(turn& t) {
  if constexpr (!std::is_void_v<R>) {
    if (!t.envelope || t.envelope->type != &request_node<E>::as_request) return;
    auto* x = static_cast<request_node<E>*>(std::exchange(t.envelope, nullptr));
    answer_with<E>(x, task<R>::take(*t.root));
  }
}

template <class R>
struct task_value;
template <class R>
struct task_value<task<R>> {
  using type = R;
};

template <class T, class E>
took handle(T& object, node* x, E& value, bool asked_for, cell& here) {
  if constexpr (takes_slot<T, E>) {
    E event = std::move(value);
    request* waiting_one = asked_for ? here.detach_in_hand() : nullptr;
    object.on(std::move(event), detail_slot::make<E>(waiting_one));
    return asked_for ? took::kept : took::done;
  } else {
    using returned = decltype(object.on(std::move(value)));
    if constexpr (is_task<returned>) {
      auto t = object.on(std::move(value));
      using R = typename task_value<returned>::type;
      return here.begin_turn(t.release(), x, &finish_turn<E, R>);
    } else if constexpr (std::is_void_v<returned>) {
      object.on(std::move(value));
      return took::done;
    } else {
      auto outcome = object.on(std::move(value));
      if (!asked_for) return took::done;
      here.detach_in_hand();
      answer_with<E>(static_cast<request_node<E>*>(x), std::move(outcome));
      return took::kept;
    }
  }
}

template <class T, class Listed>
bool handle_if(T& object, node* x, cell& here, took& outcome) {
  using E = bare_t<Listed>;
  check_handler<T, E>();
  if constexpr (runtime_only<E>) {
    if (x->type == &notice_node<E>::type_record) {
      outcome = handle<T, E>(object, x, static_cast<notice_node<E>*>(x)->value, false, here);
      return true;
    }
  }
  if (x->type == &event_node<E>::type_record) {
    outcome = handle<T, E>(object, x, static_cast<event_node<E>*>(x)->value, false, here);
    return true;
  }
  if constexpr (request_event<E>) {
    if (x->type == &request_node<E>::as_request) {
      outcome = handle<T, E>(object, x, static_cast<request_node<E>*>(x)->value, true, here);
      return true;
    }
  }
  return false;
}

template <class... Es>
struct handlers {
  template <class T>
  static took dispatch(void* object, node* x, cell& here) {
    auto outcome = took::unknown;
    (void)(handle_if<T, Es>(*static_cast<T*>(object), x, here, outcome) || ...);
    return outcome;
  }
  static constexpr std::array<const event_type*, sizeof...(Es)> table{
      &event_type_of<bare_t<Es>>...};
  static bool is_interleaved(const event_type* event) noexcept {
    return ((bare<Es>::interleaved && event == &event_type_of<bare_t<Es>>) || ...);
  }
  static constexpr bool any_interleaved = (bare<Es>::interleaved || ...);
};

template <class T>
void call_started(void* object, cell& here) {
  if constexpr (is_task<decltype(static_cast<T*>(object)->started())>) {
    auto t = static_cast<T*>(object)->started();
    here.begin_phase(t.release(), turn_kind::started);
  } else {
    static_cast<T*>(object)->started();
  }
}

template <class T>
void call_stopping(void* object, cell& here, const exit_reason& why) {
  if constexpr (is_task<decltype(static_cast<T*>(object)->stopping(why))>) {
    auto t = static_cast<T*>(object)->stopping(why);
    here.begin_phase(t.release(), turn_kind::stopping);
  } else {
    static_cast<T*>(object)->stopping(why);
  }
}

template <class T>
constexpr actor_type describe() {
  static_assert(
      requires { T::is_coppice_actor; },
      "coppice: an actor class derives from coppice::actor<Events...>");
  using table = typename T::template events<handlers>;
  actor_type t{};
  t.name = pretty_name<T>();
  t.size = sizeof(T);
  t.align = alignof(T);
  t.destroy = [](void* object) noexcept { static_cast<T*>(object)->~T(); };
  t.dispatch = &table::template dispatch<T>;
  t.events = table::table;
  t.is_interleaved = table::any_interleaved ? &table::is_interleaved : nullptr;
  if constexpr (requires(T& o) { o.started(); }) {
    static_assert(one_of<decltype(std::declval<T&>().started()), void, task<>>,
                  "coppice: `started` returns nothing or task<>");
    t.started = &call_started<T>;
  }
  if constexpr (requires(T& o, const exit_reason& why) { o.stopping(why); }) {
    using returned = decltype(std::declval<T&>().stopping(std::declval<const exit_reason&>()));
    static_assert(one_of<returned, void, task<>>, "coppice: `stopping` returns nothing or task<>");
    t.stopping = &call_stopping<T>;
  }
  if constexpr (requires(T& o, control_node& report) { o.child_report(report); })
    t.child_report = [](void* object, control_node& report) {
      static_cast<T*>(object)->child_report(report);
    };
  if constexpr (requires(T& o) { o.killed(); })
    t.killed = [](void* object) { static_cast<T*>(object)->killed(); };
  return t;
}
template <class T>
inline constexpr actor_type actor_type_of = describe<T>();

/// Constructor arguments, kept to make each incarnation afresh.
template <class T, class... As>
struct factory {
  static_assert((std::is_copy_constructible_v<As> && ...),
                "coppice: constructor arguments are copied into each incarnation; share what "
                "cannot be copied");
  std::tuple<As...> arguments;

  static void construct(const void* self, void* where) {
    std::apply(
        [where](const As&... as) {
          static_assert(std::is_constructible_v<T, const As&...>,
                        "coppice: the actor cannot be constructed from these arguments");
          ::new (where) T(as...);
        },
        static_cast<const factory*>(self)->arguments);
  }
  static void move(void* from, void* to) noexcept {
    ::new (to) factory(std::move(*static_cast<factory*>(from)));
  }
  static void destroy(void* self) noexcept { static_cast<factory*>(self)->~factory(); }
};
template <class T, class... As>
inline constexpr factory_type factory_type_of{
    sizeof(factory<T, As...>), alignof(factory<T, As...>), &factory<T, As...>::construct,
    &factory<T, As...>::move, &factory<T, As...>::destroy};

}  // namespace detail
}  // namespace coppice
