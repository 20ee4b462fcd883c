// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>

#include <coppice/actors/system.hpp>

/// An actor that keeps what it receives, for tests of others.
///
///     coppice::testing::probe<shipped, coppice::ended> seen{run.system()};
///     run.send(courier, deliver{seen.address()});
///     run.run_until_idle();
///     auto s = seen.next<shipped>();                 // std::optional<shipped>
///
/// Under the deterministic executor or in a system with threads; `next` may be called from any
/// thread and never waits.
namespace coppice::testing {

namespace detail_probe {

template <class... Es>
struct record {
  std::mutex guard;
  std::tuple<std::deque<Es>...> events;
};

struct do_watch {
  using runtime_only = void;
  detail::cell_ptr other;
  bool link;
};

template <class... Es>
class probe_actor : public actor<Es..., do_watch> {
 public:
  explicit probe_actor(std::shared_ptr<record<Es...>> to) : record_(std::move(to)) {
    if constexpr (detail::one_of<exit_signal, Es...>) this->trap_exits();
  }

  template <class E>
    requires detail::one_of<E, Es...>
  void on(const E& event) {
    std::lock_guard lock{record_->guard};
    std::get<std::deque<E>>(record_->events).push_back(event);
  }
  void on(const do_watch& w) {
    if (w.link) this->cell_->link(w.other.get());
    else this->cell_->watch(w.other.get());
  }

 private:
  std::shared_ptr<record<Es...>> record_;
};

}  // namespace detail_probe

template <class... Es>
class probe {
  using actor_type = detail_probe::probe_actor<Es...>;

 public:
  explicit probe(coppice::system& s, spawn_options options = {.id = "probe"})
      : record_(std::make_shared<detail_probe::record<Es...>>()),
        address_(s.spawn<actor_type>(std::move(options), record_)) {}

  const typename actor_type::address& address() const noexcept { return address_; }

  /// The oldest event of this type that has not been taken yet.
  template <class E>
  std::optional<E> next() {
    std::lock_guard lock{record_->guard};
    auto& kept = std::get<std::deque<E>>(record_->events);
    if (kept.empty()) return std::nullopt;
    E first = std::move(kept.front());
    kept.pop_front();
    return first;
  }
  /// How many events of this type wait to be taken.
  template <class E>
  std::size_t count() const {
    std::lock_guard lock{record_->guard};
    return std::get<std::deque<E>>(record_->events).size();
  }

  /// Makes the probe watch, or link itself to, another actor.
  template <class... Fs>
  void watch(const ref<Fs...>& other) {
    tell(other, false);
  }
  template <class... Fs>
  void link(const ref<Fs...>& other) {
    tell(other, true);
  }

 private:
  template <class... Fs>
  void tell(const ref<Fs...>& other, bool link) {
    detail_ref::get(address_)->send(new detail::event_node<detail_probe::do_watch>(
        {detail::cell_ptr{detail_ref::get(other)}, link}));
  }

  std::shared_ptr<detail_probe::record<Es...>> record_;
  typename actor_type::address address_;
};

}  // namespace coppice::testing
