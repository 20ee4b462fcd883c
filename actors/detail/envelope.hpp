// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <coppice/actors/detail/lane.hpp>
#include <coppice/actors/detail/pool.hpp>
#include <coppice/actors/detail/wheel.hpp>
#include <coppice/actors/event.hpp>
#include <coppice/actors/result.hpp>

/// What travels: envelopes of events, of requests that become their own answers, of credits.
namespace coppice::detail {

class cell;
struct request;

void retain(cell* x) noexcept;
void release(cell* x) noexcept;

/// Keeps a cell's memory, never an incarnation. Counted in the cell itself.
class cell_ptr {
 public:
  cell_ptr() noexcept = default;
  explicit cell_ptr(cell* x) noexcept : x_(x) {
    if (x_) retain(x_);
  }
  cell_ptr(const cell_ptr& other) noexcept : cell_ptr(other.x_) {}
  cell_ptr(cell_ptr&& other) noexcept : x_(std::exchange(other.x_, nullptr)) {}
  cell_ptr& operator=(cell_ptr other) noexcept {
    std::swap(x_, other.x_);
    return *this;
  }
  ~cell_ptr() {
    if (x_) release(x_);
  }
  static cell_ptr adopt(cell* x) noexcept {
    cell_ptr p;
    p.x_ = x;
    return p;
  }
  cell* detach() noexcept { return std::exchange(x_, nullptr); }

  cell* get() const noexcept { return x_; }
  cell* operator->() const noexcept { return x_; }
  cell& operator*() const noexcept { return *x_; }
  explicit operator bool() const noexcept { return x_; }
  friend bool operator==(const cell_ptr& a, const cell_ptr& b) noexcept { return a.x_ == b.x_; }

 private:
  cell* x_ = nullptr;
};

enum class node_kind : std::uint8_t {
  event,    ///< one-way, counted
  request,  ///< wants an answer, counted
  credit,   ///< a sender waits for room; uncounted
  notice,   ///< an end notice or exit message; uncounted
  timer,    ///< a timer of the actor itself has fired; uncounted
  reply,    ///< a request or credit on its way back
  control,  ///< the runtime's own; travels in the system list only
};

/// The record behind an envelope. `fail` turns a request or credit into its own failed answer.
struct node_type {
  void (*destroy)(node*) noexcept;
  const event_type* event;
  node_kind kind;
  void (*fail)(request*, errc, cause_ptr) noexcept = nullptr;

  bool counted() const noexcept { return kind <= node_kind::request; }
};

inline void destroy(node* x) noexcept { x->type->destroy(x); }

template <class E>
struct event_node : node {
  explicit event_node(E&& e) noexcept : node{nullptr, &type_record}, value(std::move(e)) {}

  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }
  static void discard(node* x) noexcept { delete static_cast<event_node*>(x); }
  static node* copy(const node* x) {
    return new event_node(E(static_cast<const event_node*>(x)->value));
  }

  static constexpr node_type type_record{&discard, &event_type_of<E>, node_kind::event};
  E value;
};

/// An end notice or exit message: it does not count against capacity, and only the incarnation
/// it was meant for sees it.
struct notice : node {
  std::uint32_t incarnation = 0;
};

template <class E>
struct notice_node : notice {
  notice_node(E&& e, std::uint32_t to_incarnation) noexcept : value(std::move(e)) {
    type = &type_record;
    incarnation = to_incarnation;
  }
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }
  static void discard(node* x) noexcept { delete static_cast<notice_node*>(x); }

  static constexpr node_type type_record{&discard, &event_type_of<E>, node_kind::notice};
  E value;
};

/// Where an answer goes when the asker is no cell: a thread outside, a CAF actor.
class answer_sink {
 public:
  /// Called exactly once, on whatever thread answers; owns `answered` from then on.
  virtual void answered(request* answered) noexcept = 0;

 protected:
  ~answer_sink() = default;
};

/// Who waits for whom, behind a request's own asker. Immutable and shared.
struct chain_link {
  std::atomic<std::uint32_t> references{1};
  cell_ptr who;
  chain_link* next = nullptr;

  static void release(chain_link* x) noexcept {
    while (x && x->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete std::exchange(x, x->next);
  }
};

inline constexpr int max_call_chain = 64;

/// A request, and later its answer: one envelope goes there and back. `type->kind` tells which.
struct request : node {
  request() noexcept = default;
  request(const request&) = delete;
  request& operator=(const request&) = delete;

  void from(cell* asker) noexcept {
    retain(asker);
    to_ = reinterpret_cast<std::uintptr_t>(asker);
  }
  void from(answer_sink* sink) noexcept { to_ = reinterpret_cast<std::uintptr_t>(sink) | 1; }
  cell* asker() const noexcept { return to_ & 1 ? nullptr : reinterpret_cast<cell*>(to_); }
  answer_sink* sink() const noexcept {
    return to_ & 1 ? reinterpret_cast<answer_sink*>(to_ & ~std::uintptr_t{1}) : nullptr;
  }
  bool failed() const noexcept { return status != errc{}; }

  chain_link* chain = nullptr;  ///< owned; beyond the asker itself
  tick until = 0;               ///< deadline; past it the request is not handled any more
  std::uint32_t seq = 0;        ///< the asker's number for it
  errc status{};                ///< an answer's outcome; zero: it holds a reply
  bool held = false;            ///< the asker handles nothing else while it waits

 protected:
  ~request() {
    chain_link::release(chain);
    if (cell* x = asker()) release(x);
  }

 private:
  std::uintptr_t to_ = 0;  ///< a counted cell*, or a sink with bit 0 set
};

template <class E>
struct request_node : request {
  using reply_type = typename E::reply;

  explicit request_node(E&& e) noexcept {
    type = &as_request;
    ::new (&value) E(std::move(e));
  }
  ~request_node() {
    if (type == &as_request) value.~E();
    else if (failed()) why.~cause_ptr();
    else reply.~reply_type();
  }
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }

  /// Turns the request into its answer. The event is destroyed: nobody reads it any more.
  void succeed(reply_type&& r) noexcept {
    value.~E();
    type = &as_reply;
    ::new (&reply) reply_type(std::move(r));
  }
  void fail(const error& e) noexcept { fail_with(this, e.code(), e.why()); }

  result<reply_type> outcome() noexcept {
    if (failed()) return error{status, std::move(why)};
    return std::move(reply);
  }

  static void discard(node* x) noexcept { delete static_cast<request_node*>(x); }
  static void fail_with(request* x, errc code, cause_ptr because) noexcept {
    auto* self = static_cast<request_node*>(x);
    self->value.~E();
    self->type = &as_reply;
    self->status = code;
    ::new (&self->why) cause_ptr(std::move(because));
  }

  static constexpr node_type as_request{&discard, &event_type_of<E>, node_kind::request,
                                        &fail_with};
  static constexpr node_type as_reply{&discard, &event_type_of<E>, node_kind::reply, nullptr};

  union {
    E value;
    reply_type reply;
    cause_ptr why;
  };
};

/// A sender waits for room: rides the mailbox's tail and comes back when all before it is done.
struct credit_node : request {
  credit_node() noexcept { type = &as_credit; }
  static void* operator new(std::size_t n) { return allocate(n); }
  static void operator delete(void* p, std::size_t n) noexcept { deallocate(p, n); }

  static void discard(node* x) noexcept { delete static_cast<credit_node*>(x); }
  static void fail_with(request* x, errc code, cause_ptr because) noexcept {
    auto* self = static_cast<credit_node*>(x);
    self->type = &as_reply;
    self->status = code;
    self->why = std::move(because);
  }
  static const node_type as_credit, as_reply;

  cause_ptr why;
};

}  // namespace coppice::detail
