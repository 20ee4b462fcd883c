// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/wire/exchange_private.hpp>

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What an actor that stands for another one has, wherever that is: proxy.cpp for one on another
/// node, own_proxy.cpp for one of this very node that was named by its address.
namespace coppice::wire {

/// Passes on what it receives, in its order; what cannot be passed on yet waits, and everything
/// behind it. Knows who has a relation to the other actor by this address.
class stand_in : public actor_base {
 protected:
  /// Why nothing is passed on.
  struct refusal {
    errc code{};
    dead_letter_reason letter{};
    std::string why;
  };
  /// What is known of the other actor.
  enum class state : std::uint8_t { unknown, asked, ready, absent };
  struct watcher {
    cell_ptr who;
    std::uint32_t incarnation;
  };
  struct signal {
    cell_ptr from;
    exit_reason why;
    bool linked;
  };

  explicit stand_in(const std::shared_ptr<remote_address>& at) : at_(at) {
    cell_->trap_exits(true);
  }
  ~stand_in();

  static bool is_reach(const detail::node* x) noexcept {
    return x->type == &detail::request_node<detail_wire::reach>::as_request;
  }
  /// The answer to a `reach`; `why` null: it may be sent to.
  static const std::vector<const event_type*>& events_of(const detail::node* reach) noexcept;
  void answer_reach(detail::node* x, const refusal* why) const;

  void hold(detail::node* x) {
    held_ = x;
    cell_->listen(detail::listening::to_none);
  }
  /// What has been held, if anything is; whoever takes it passes it on, or holds it again.
  detail::node* take_held() {
    cell_->listen(detail::listening::to_all);
    return std::exchange(held_, nullptr);
  }
  void refuse(detail::node* x, const refusal& why) noexcept;

  /// Nobody was there a moment ago, or will be again.
  bool is_absent() const { return state_ == state::absent && now() < retry_at_; }
  /// Whoever is there will be asked for again after a while.
  void become_absent(refusal why);
  bool is_gone() const { return at_->gone.load(std::memory_order_relaxed); }
  /// From now on it refuses, for ever.
  void become_absent_for_good();
  bool wants_target() const {
    return held_ || !watchers_.empty() || !links_.empty() || !signals_.empty();
  }

  /// Of those that wait until the target is known. False: there are too many.
  bool keep_signal(const detail::control_node& c);
  bool drop_watcher(const cell_ptr& who);
  bool drop_link(const cell_ptr& who);
  exit_reason reason(exit_reason::kind what, std::string_view why) const;
  void tell_watcher(const watcher& w, std::uint32_t incarnation, const exit_reason& why, bool gone);
  void tell_watchers(std::uint32_t incarnation, const exit_reason& why, bool gone);
  void tell_links(const exit_reason& why);
  /// Whoever has a relation to the actor there is told that nobody knows about it any more, or that
  /// it has ended for ever.
  void lose(const exit_reason& why, bool gone);

  tick now() const { return cell_->now(); }

  const std::shared_ptr<remote_address> at_;
  state state_ = state::unknown;
  refusal absence_;
  tick retry_at_ = 0;
  std::vector<watcher> watchers_;
  std::vector<cell_ptr> links_;
  std::vector<signal> signals_;

 private:
  detail::node* held_ = nullptr;
};

// ---- as a cell --------------------------------------------------------------------------------

/// What the cell of a stand-in is made of, each time.
struct seed {
  std::shared_ptr<remote_address> at;
};

template <class Actor>
constexpr detail::factory_type stand_in_factory{
    sizeof(seed), alignof(seed),
    [](const void* self, void* where) { ::new (where) Actor(static_cast<const seed*>(self)->at); },
    [](void* from, void* to) noexcept { ::new (to) seed(std::move(*static_cast<seed*>(from))); },
    [](void* self) noexcept { static_cast<seed*>(self)->~seed(); }};

template <class Actor>
constexpr detail::proxy_type stand_in_rules{
    [](const void* factory) { return static_cast<const seed*>(factory)->at->place(); },
    [](void* object, detail::control_node& c) { static_cast<Actor*>(object)->control_from(c); }};

template <class Actor>
constexpr detail::actor_type describe_stand_in() {
  detail::actor_type t{};
  t.name = "proxy";
  t.size = sizeof(Actor);
  t.align = alignof(Actor);
  t.destroy = [](void* object) noexcept { static_cast<Actor*>(object)->~Actor(); };
  t.dispatch = [](void* object, detail::node* x, cell& here) {
    here.detach_in_hand();  // from now on it is the stand-in's
    static_cast<Actor*>(object)->handle(x);
    return detail::took::kept;
  };
  t.child_report = [](void* object, detail::control_node& c) {
    if (c.type == &news::type_record) static_cast<Actor*>(object)->hear(static_cast<news&>(c));
  };
  t.proxy = &stand_in_rules<Actor>;
  return t;
}

template <class Actor>
constexpr detail::actor_type stand_in_type = describe_stand_in<Actor>();

template <class Actor>
cell_ptr make_stand_in(detail::core& home, std::shared_ptr<remote_address> at) {
  detail::cell_options set_up;
  set_up.ends_with_incarnation = true;
  seed made_by{std::move(at)};
  cell_ptr x = detail::make_cell(home, stand_in_type<Actor>, {&stand_in_factory<Actor>, &made_by},
                                 "proxy", set_up, nullptr, 0);
  x->start(false);
  return x;
}

}  // namespace coppice::wire
