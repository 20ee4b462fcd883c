// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include <coppice/actors/detail/fields.hpp>

/// What an event is: a plain aggregate, no macro, no base class.
///
///     struct reserved { std::string sku; int left; };
///     struct reserve  { std::string sku; int quantity; using reply = reserved; };   // a request
///
/// An event that names its `reply` is a request. What leaves the process declares its name:
/// `static constexpr std::string_view name = "shop.reserve";`.
namespace coppice {

namespace detail {
struct wire_type;
}

/// One constant per event type: what the runtime knows of it. Identity is the address.
struct event_type {
  std::string_view type_name;  ///< for people; compilers spell it differently
  std::string_view wire_name;  ///< the declared name, or empty: the event stays in the process
  bool request;                ///< it has a reply
  const detail::wire_type* wire = nullptr;  ///< how it travels; null: it has no name
};

/// An event that may be handled while another turn of the same actor waits:
/// `class stock : public coppice::actor<reserve, coppice::interleaved<peek>>`.
template <class E>
struct interleaved {
  using event = E;
};

namespace detail {

template <class E>
constexpr std::string_view pretty_name() {
  const std::string_view whole = __PRETTY_FUNCTION__;
  const auto from = whole.find("E = ") + 4;
  return whole.substr(from, whole.find_first_of(";]", from) - from);
}

template <class E>
concept request_event = requires { typename E::reply; };

template <class E>
struct reply_to {
  static_assert(request_event<E>,
                "coppice: only a request can be asked: give the event a `using reply = ...;`");
  struct type {};
};
template <request_event E>
struct reply_to<E> {
  using type = typename E::reply;
};
template <class E>
using reply_of = typename reply_to<E>::type;

/// Refuses what is not an event, in our own words, before anything else is instantiated.
template <class E>
consteval bool checked_event() {
  static_assert(std::is_class_v<E> && std::is_same_v<E, std::remove_cvref_t<E>>,
                "coppice: an event is a struct of its own, not a built-in type or a reference: "
                "wrap the value in a struct that says what it means");
  static_assert(!std::is_polymorphic_v<E>,
                "coppice: an event has no virtual functions: it is data, not an object");
  static_assert(std::is_aggregate_v<E>,
                "coppice: an event is a plain aggregate: no constructors, no private members");
  static_assert(!has_base<E>,
                "coppice: an event has no base class: put the common fields into a member");
  static_assert(std::is_nothrow_move_constructible_v<E> && std::is_nothrow_destructible_v<E>,
                "coppice: an event must move and be destroyed without throwing");
  if constexpr (std::is_aggregate_v<E> && !has_base<E> && !std::is_polymorphic_v<E>) {
    using fields = std::make_index_sequence<field_count<E>>;
    static_assert(no_arrays<E>(fields{}), "coppice: an event has no C array: use std::array");
    if constexpr (no_arrays<E>(fields{}))
      static_assert(
          no_pointers<E>(fields{}),
          "coppice: an event holds no pointers: the one who reads it may run after the pointee "
          "is gone; send a value, a shared_ptr or a ref");
  }
  if constexpr (request_event<E>) {
    static_assert(std::is_class_v<typename E::reply>,
                  "coppice: a reply is a struct of its own; use an empty struct to confirm");
    static_assert(std::is_nothrow_move_constructible_v<typename E::reply>,
                  "coppice: a reply must move without throwing");
  }
  return true;
}

template <class E>
constexpr std::string_view wire_name() {
  if constexpr (requires {
                  { *&E::name } -> std::convertible_to<std::string_view>;
                })
    return E::name;
  else return {};
}

template <class E>
struct event_codec;  // see detail/event_codec.hpp
template <class E>
constexpr const wire_type* wire_type_of() {
  if constexpr (wire_name<E>().empty()) return nullptr;
  else return &event_codec<E>::record;
}

template <class E>
struct event_type_holder {
  static_assert(checked_event<E>());
  static constexpr event_type value{pretty_name<E>(), wire_name<E>(), request_event<E>,
                                    wire_type_of<E>()};
};
template <class E>
inline constexpr const event_type& event_type_of = event_type_holder<E>::value;

template <class E>
struct bare {
  using type = E;
  static constexpr bool interleaved = false;
};
template <class E>
struct bare<interleaved<E>> {
  using type = E;
  static constexpr bool interleaved = true;
};
template <class E>
using bare_t = typename bare<E>::type;

template <class E, class... Es>
inline constexpr bool one_of = (std::is_same_v<E, Es> || ...);

}  // namespace detail
}  // namespace coppice
