// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include <coppice/actors/detail/cell.hpp>

/// `ref<A, B>`: the address of an actor that accepts the events A and B, checked when compiled.
namespace coppice {

/// A handle on an address: copied freely, between threads too. It keeps the address's memory,
/// never an actor alive; the actor may crash and come back behind it. A default-constructed one
/// refers to nobody: what is sent there is a dead letter, asks answer `gone`.
template <class... Es>
class ref {
 public:
  ref() noexcept = default;

  /// `ref<A, B>` converts to `ref<A>`.
  template <class... Fs>
    requires(!std::is_same_v<ref<Fs...>, ref>)
  ref(const ref<Fs...>& wider) noexcept : cell_(wider.cell_) {
    static_assert((detail::one_of<Es, Fs...> && ...),
                  "coppice: this ref accepts an event that the other one does not");
  }

  template <class E>
  static constexpr bool accepts = detail::one_of<E, Es...>;

  explicit operator bool() const noexcept { return static_cast<bool>(cell_); }
  /// The path of the address, e.g. `/shop/inventory`; empty for nobody.
  std::string path() const { return cell_ ? cell_->path() : std::string{}; }
  /// Unique within the actor system: a new address with an old path has a new number.
  std::uint64_t number() const noexcept { return cell_ ? cell_->number() : 0; }

  friend bool operator==(const ref& a, const ref& b) noexcept { return a.cell_ == b.cell_; }

 private:
  template <class...>
  friend class ref;
  friend struct detail_ref;

  explicit ref(detail::cell_ptr x) noexcept : cell_(std::move(x)) {}

  detail::cell_ptr cell_;
};

/// The runtime's way into refs.
struct detail_ref {
  template <class... Es>
  static detail::cell* get(const ref<Es...>& x) noexcept {
    return x.cell_.get();
  }
  template <class R>
  static R make(detail::cell* x) noexcept {
    return R{detail::cell_ptr{x}};
  }
};

/// An incarnation of a watched actor has ended. Keeps its place in the order of that actor's
/// events: nothing that incarnation sent arrives after it.
struct ended {
  std::string path;           ///< of the watched actor
  std::uint64_t number;       ///< of its address, see `ref::number`
  std::uint32_t incarnation;  ///< which one; the same again when only the address has ended
  exit_reason reason;
  bool gone;                  ///< the address itself has ended: this is the last notice

  template <class... Es>
  bool of(const ref<Es...>& x) const noexcept {
    return x.number() == number;
  }
};

/// An exit signal, as an actor that traps exits sees it.
struct exit_signal {
  std::string path;      ///< of the one it came from
  std::uint64_t number;  ///< of its address
  exit_reason reason;
  bool linked;           ///< it came through a link, not by `exit`
};

namespace detail {

/// Events that come from the runtime only, so that refs leave them out.
template <class E>
inline constexpr bool runtime_only = requires { typename E::runtime_only; };
template <>
inline constexpr bool runtime_only<ended> = true;
template <>
inline constexpr bool runtime_only<exit_signal> = true;

/// The ref of an actor that lists `Es`.
template <class Made, class... Es>
struct ref_to;
template <class... Made>
struct ref_to<ref<Made...>> {
  using type = ref<Made...>;
};
template <class... Made, class E, class... Es>
struct ref_to<ref<Made...>, E, Es...>
    : std::conditional_t<runtime_only<bare_t<E>>, ref_to<ref<Made...>, Es...>,
                         ref_to<ref<Made..., bare_t<E>>, Es...>> {};

template <class Ref, class E>
consteval void check_accepts() {
  static_assert(checked_event<E>());
  static_assert(Ref::template accepts<E>,
                "coppice: the actor behind this ref does not accept this event: see the events "
                "in its ref<...>");
}

}  // namespace detail
}  // namespace coppice

#include <coppice/actors/codec/ref_codec.hpp>
