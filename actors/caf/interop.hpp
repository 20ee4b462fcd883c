// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <stdexcept>
#include <vector>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/send.hpp>

#include <coppice/actors/system.hpp>

/// Living with CAF actors, both ways. The only public header that shows CAF.
///
///     coppice::caf_events<reserve, peek>(system);           // which events CAF actors may send
///     caf::actor stock = coppice::caf_handle(inventory);    // send, request, monitor, link
///
/// For CAF the events must be message types of its own (`CAF_ALLOW_UNSAFE_MESSAGE_TYPE(reserve)`
/// is enough within a process). A CAF monitor of an actor fires when its address ends, with
/// `caf::exit_reason::unknown` if that was before CAF had a handle of it.
namespace coppice {

namespace detail {

/// Turns CAF's messages into envelopes, for the events that were named to it.
class caf_bridge {
 public:
  struct converter {
    const event_type* event;
    node* (*take)(cell& to, caf::mailbox_element& message);  ///< null: it is another event
  };

  static caf_bridge& of(core& home) noexcept;

  void add(converter c);
  void deliver(cell& to, caf::mailbox_element_ptr message);

 private:
  std::shared_mutex guard_;
  std::vector<converter> converters_;
};

caf::error to_caf(const exit_reason& why);
exit_reason from_caf(const caf::error& why);
/// What a failed request to a CAF actor means to the one who asked.
error answer_from_caf(const caf::error& why);
caf::error to_caf(const error& e);
caf::strong_actor_ptr show_to_caf(cell& x) noexcept;
caf::actor_system& caf_system_of(cell& x) noexcept;
tick far_deadline(const cell& x) noexcept;

/// Answers a CAF actor's request.
template <class E>
struct caf_sink final : answer_sink {
  caf_sink(cell& to, caf::mailbox_element& m)
      : self(show_to_caf(to)), asker(m.sender), id(m.mid.response_id()) {}

  void answered(request* x) noexcept override {
    std::unique_ptr<caf_sink> mine{this};
    std::unique_ptr<request_node<E>> node{static_cast<request_node<E>*>(x)};
    auto outcome = node->outcome();
    if (!asker) return;
    asker->enqueue(self, id,
                   outcome ? caf::make_message(std::move(*outcome))
                           : caf::make_message(to_caf(outcome.error())),
                   nullptr);
  }

  caf::strong_actor_ptr self, asker;
  caf::message_id id;
};

template <class E>
node* take_from_caf(cell& to, caf::mailbox_element& m) {
  const auto& content = m.content();
  if (!content.template match_elements<E>()) return nullptr;
  E event = content.template get_as<E>(0);
  if constexpr (request_event<E>) {
    if (m.mid.is_request()) {
      auto* x = new request_node<E>(std::move(event));
      x->from(new caf_sink<E>(to, m));
      x->until = far_deadline(to);
      return x;
    }
  }
  return new event_node<E>(std::move(event));
}

/// A CAF actor behind a `caf_child` has ended.
struct caf_child_ended {
  using runtime_only = void;
  exit_reason reason;
};

}  // namespace detail

/// CAF's actor system inside ours, to spawn CAF actors in.
caf::actor_system& caf_system(system& s) noexcept;

/// Names the events that CAF actors may send to actors of this system.
template <class... Es>
void caf_events(system& s) {
  auto& home = detail::caf_bridge::of(detail::core_of(s));
  (home.add({&detail::event_type_of<Es>, &detail::take_from_caf<Es>}), ...);
}

/// An actor as CAF sees it. Keeps the address's memory, not an incarnation.
template <class... Es>
caf::actor caf_handle(const ref<Es...>& x) {
  return caf::actor_cast<caf::actor>(detail::show_to_caf(*detail_ref::get(x)));
}

/// A plain CAF actor as a child behind a stable address: it is spawned when the child starts; its
/// end is the end of the incarnation. A stop tells it to exit and waits for that within the
/// shutdown deadline; past it, and when the child is killed, it is told to exit with `kill`.
/// Events are forwarded to it, requests with `request_deadline`.
template <class... Es>
class caf_child : public actor<Es..., detail::caf_child_ended> {
 public:
  using spawner = std::function<caf::actor(caf::actor_system&)>;
  static constexpr std::chrono::seconds request_deadline{5};

  explicit caf_child(spawner spawn) : spawn_(std::move(spawn)) {}

  void started() {
    child_ = spawn_(detail::caf_system_of(*this->cell_));
    if (!child_) throw std::logic_error{"the function of a caf_child has spawned no actor"};
    // A notice, so that a full mailbox does not hide it and the next incarnation does not see it.
    child_->attach_functor([me = detail::cell_ptr{this->cell_}, mine = this->incarnation(),
                            ended = child_ended_](const caf::error& why) {
      ended->store(true, std::memory_order_release);
      auto* n = new detail::notice_node<detail::caf_child_ended>({detail::from_caf(why)}, mine);
      if (me->push(n) != detail::lane::outcome::put) detail::destroy(n);
    });
  }
  task<> stopping(const exit_reason&) {
    caf::anon_send_exit(child_, caf::exit_reason::user_shutdown);
    while (!child_ended_->load(std::memory_order_acquire)) {
      auto a_while = this->pause(std::chrono::milliseconds{1});
      co_await a_while;
    }
  }
  ~caf_child() {
    if (child_) caf::anon_send_exit(child_, caf::exit_reason::kill);
  }

  void on(const detail::caf_child_ended& e) { this->stop(e.reason); }

  template <class E>
    requires(detail::one_of<E, Es...> && !detail::request_event<E>)
  void on(const E& event) {
    caf::anon_send(child_, event);
  }
  template <class E>
    requires(detail::one_of<E, Es...> && detail::request_event<E>)
  void on(const E& event, reply_slot<typename E::reply> slot) {
    using reply = typename E::reply;
    auto shared = std::make_shared<reply_slot<reply>>(std::move(slot));
    detail::caf_system_of(*this->cell_)
        .spawn(
            [event, shared](caf::event_based_actor* self, const caf::actor& child) {
              self->request(child, request_deadline, event)
                  .then([shared](const reply& r) { shared->answer(r); },
                        [shared](const caf::error& e) {
                          shared->answer(detail::answer_from_caf(e));
                        });
            },
            child_);
  }

 private:
  spawner spawn_;
  caf::actor child_;
  std::shared_ptr<std::atomic<bool>> child_ended_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace coppice
