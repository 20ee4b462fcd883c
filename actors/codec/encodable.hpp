// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <coppice/actors/detail/fields.hpp>

/// Which types can leave the process, and, in plain words, why another one cannot.
namespace coppice {

template <class... Es>
class ref;

namespace detail {

/// How a type travels. Containers are known by what they can do, so that neither their headers are
/// needed here nor those of the standard library are the only ones.
enum class wire_kind {
  none,
  boolean,
  integer,
  enumeration,
  real,
  text,
  bytes,
  array_of_bytes,
  sequence,
  array,
  set,
  map,
  optional,
  variant,
  tuple,
  duration,
  time,
  address,
  aggregate,
};

template <class T>
inline constexpr wire_kind kind_of_class = wire_kind::none;
template <>
inline constexpr wire_kind kind_of_class<std::string> = wire_kind::text;
template <class A>
inline constexpr wire_kind kind_of_class<std::vector<std::byte, A>> = wire_kind::bytes;
template <std::size_t N>
inline constexpr wire_kind kind_of_class<std::array<std::byte, N>> = wire_kind::array_of_bytes;
template <class T, std::size_t N>
inline constexpr wire_kind kind_of_class<std::array<T, N>> = wire_kind::array;
template <class T>
inline constexpr wire_kind kind_of_class<std::optional<T>> = wire_kind::optional;
template <class... Ts>
inline constexpr wire_kind kind_of_class<std::variant<Ts...>> = wire_kind::variant;
template <class A, class B>
inline constexpr wire_kind kind_of_class<std::pair<A, B>> = wire_kind::tuple;
template <class... Ts>
inline constexpr wire_kind kind_of_class<std::tuple<Ts...>> = wire_kind::tuple;
template <class R, class P>
inline constexpr wire_kind kind_of_class<std::chrono::duration<R, P>> = wire_kind::duration;
template <class D>
inline constexpr wire_kind kind_of_class<std::chrono::time_point<std::chrono::system_clock, D>> =
    wire_kind::time;
template <class... Es>
inline constexpr wire_kind kind_of_class<ref<Es...>> = wire_kind::address;

template <class T>
concept sequence_container = requires(T x) {
  typename T::value_type;
  x.emplace_back();
  x.clear();
  x.begin() != x.end();
  x.size();
};
template <class T>
concept keyed_container = requires(T x, typename T::value_type v) {
  typename T::key_type;
  { x.insert(std::move(v)).second } -> std::convertible_to<bool>;
  x.emplace_hint(x.end(), std::move(v));
  x.clear();
  x.begin() != x.end();
  x.size();
};
template <class T>
concept map_container = keyed_container<T> && requires { typename T::mapped_type; };

template <class T>
consteval wire_kind kind_of() {
  constexpr bool plain_class = std::is_class_v<T> && !std::is_polymorphic_v<T>;
  if constexpr (std::is_same_v<T, bool>) return wire_kind::boolean;
  else if constexpr (std::is_integral_v<T>) return wire_kind::integer;
  else if constexpr (std::is_enum_v<T>) return wire_kind::enumeration;
  else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) return wire_kind::real;
  else if constexpr (kind_of_class<T> != wire_kind::none) return kind_of_class<T>;
  else if constexpr (plain_class && std::is_aggregate_v<T>) return wire_kind::aggregate;
  else if constexpr (plain_class && map_container<T>) return wire_kind::map;
  else if constexpr (plain_class && keyed_container<T>) return wire_kind::set;
  else if constexpr (plain_class && sequence_container<T>) return wire_kind::sequence;
  else return wire_kind::none;
}

template <class... Ts>
struct types {};

/// What a type is made of.
template <class T, wire_kind = kind_of<T>()>
struct parts {
  using type = types<>;
};
template <class T, wire_kind Kind>
  requires(Kind == wire_kind::sequence || Kind == wire_kind::array || Kind == wire_kind::set ||
           Kind == wire_kind::optional)
struct parts<T, Kind> {
  using type = types<typename T::value_type>;
};
template <class T>
struct parts<T, wire_kind::map> {
  using type = types<typename T::key_type, typename T::mapped_type>;
};
template <class... Ts>
struct parts<std::variant<Ts...>, wire_kind::variant> {
  using type = types<Ts...>;
};
template <class A, class B>
struct parts<std::pair<A, B>, wire_kind::tuple> {
  using type = types<A, B>;
};
template <class... Ts>
struct parts<std::tuple<Ts...>, wire_kind::tuple> {
  using type = types<Ts...>;
};
template <class R, class P>
struct parts<std::chrono::duration<R, P>, wire_kind::duration> {
  using type = types<R>;
};
template <class C, class D>
struct parts<std::chrono::time_point<C, D>, wire_kind::time> {
  using type = types<D>;
};
template <class T>
struct parts<T, wire_kind::aggregate> {
  template <std::size_t... I>
  static types<field_t<I, T>...> fields(std::index_sequence<I...>);
  using type = decltype(fields(std::make_index_sequence<field_count<T>>{}));
};

inline constexpr std::size_t max_fields = 100;  // Boost.PFR's

/// Why a type cannot travel, not regarding what it is made of.
enum class obstacle {
  none,
  constant,
  pointer,
  smart_pointer,
  function,
  any,
  view,
  long_double,
  open_enum,
  other_clock,
  unknown,
  not_default,
  base,
  c_array,
  too_many_fields,
};

template <class T>
inline constexpr bool is_std_function = false;
template <template <class...> class F, class R, class... As>
inline constexpr bool is_std_function<F<R(As...)>> = true;
template <class T>
inline constexpr bool is_other_time = false;
template <class C, class D>
inline constexpr bool is_other_time<std::chrono::time_point<C, D>> = true;

template <class T>
consteval obstacle obstacle_of_unknown() {
  if constexpr (std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_null_pointer_v<T>)
    return obstacle::pointer;
  else if constexpr (
      requires(T x) {
        typename T::element_type;
        x.get();
      } ||
      requires(T x) {
        typename T::element_type;
        x.lock();
      })
    return obstacle::smart_pointer;
  else if constexpr (is_std_function<T> || requires { &T::operator(); }) return obstacle::function;
  else if constexpr (requires(T x) {
                       x.type();
                       x.has_value();
                       x.reset();
                     })
    return obstacle::any;
  else if constexpr (
      requires(T x) {
        x.data();
        x.remove_prefix(1);
      } ||
      requires(T x) {
        x.data();
        x.subspan(0);
      })
    return obstacle::view;
  else if constexpr (std::is_same_v<T, long double>) return obstacle::long_double;
  else if constexpr (is_other_time<T>) return obstacle::other_clock;
  else return obstacle::unknown;
}

template <class T>
consteval obstacle own_obstacle() {
  if constexpr (std::is_const_v<T> || std::is_reference_v<T>) return obstacle::constant;
  else if constexpr (kind_of<T>() == wire_kind::none) return obstacle_of_unknown<T>();
  else if constexpr (kind_of<T>() == wire_kind::enumeration) {
    // Only an enum with a fixed underlying type can be made from a number in braces.
    return requires { T{0}; } ? obstacle::none : obstacle::open_enum;
  } else if constexpr (kind_of<T>() == wire_kind::aggregate) {
    if constexpr (!std::is_default_constructible_v<T>) return obstacle::not_default;
    else if constexpr (has_base<T>) return obstacle::base;
    else if constexpr (field_count<T> > max_fields) return obstacle::too_many_fields;
    else if constexpr (!no_arrays<T>(std::make_index_sequence<field_count<T>>{}))
      return obstacle::c_array;
    else return obstacle::none;
  } else if constexpr (!std::is_default_constructible_v<T> && kind_of<T>() != wire_kind::variant) {
    return obstacle::not_default;
  } else {
    return obstacle::none;
  }
}

/// An event may hold itself, in a vector say: `Above` are the types being looked at already.
template <class T, class... Above>
consteval bool can_travel();
template <class... Parts, class... Above>
consteval bool can_travel_each(types<Parts...>, types<Above...>) {
  return (can_travel<Parts, Above...>() && ...);
}
template <class T, class... Above>
consteval bool can_travel() {
  if constexpr ((std::is_same_v<T, Above> || ...)) return true;
  else if constexpr (own_obstacle<T>() != obstacle::none) return false;
  else return can_travel_each(typename parts<T>::type{}, types<T, Above...>{});
}

/// Whether `encode` and `decode` take a T.
template <class T>
inline constexpr bool encodable = can_travel<T>();

template <class T, obstacle Why = own_obstacle<T>()>
consteval bool checked_itself() {
  static_assert(Why != obstacle::constant,
                "coppice: what leaves the process is neither const nor a reference: the other "
                "side builds it empty and then fills it");
  static_assert(Why != obstacle::pointer,
                "coppice: a pointer cannot leave the process: send what it points to");
  static_assert(Why != obstacle::smart_pointer,
                "coppice: a smart pointer cannot leave the process: send what it points to, in a "
                "std::optional if it may be null");
  static_assert(Why != obstacle::function,
                "coppice: a function cannot leave the process: send what it needs to know");
  static_assert(Why != obstacle::any,
                "coppice: a std::any cannot leave the process, the other side would not know "
                "what is in it: use a std::variant");
  static_assert(Why != obstacle::view,
                "coppice: a view cannot leave the process, it does not own what it shows: use a "
                "std::string or a std::vector");
  static_assert(Why != obstacle::long_double,
                "coppice: a long double cannot leave the process, machines disagree about it: use "
                "double");
  static_assert(Why != obstacle::open_enum,
                "coppice: an enum that leaves the process is an `enum class`, or names the type "
                "it is kept in: `enum color : std::uint8_t`");
  static_assert(Why != obstacle::other_clock,
                "coppice: only a time of std::chrono::system_clock means anything to another "
                "process: use that, or send a duration");
  static_assert(Why != obstacle::not_default,
                "coppice: what leaves the process must be default-constructible: the other side "
                "builds it empty and then fills it");
  static_assert(Why != obstacle::base,
                "coppice: what leaves the process has no base class: put the common fields into "
                "a member");
  static_assert(Why != obstacle::c_array,
                "coppice: what leaves the process has no C array: use std::array");
  static_assert(Why != obstacle::too_many_fields,
                "coppice: what leaves the process has at most 100 fields: group some of them in "
                "a struct");
  static_assert(Why != obstacle::unknown,
                "coppice: this type cannot leave the process. What can: numbers, enums, "
                "std::string, std::byte, the containers of the standard library, optional, "
                "variant, pair, tuple, chrono, refs, and plain aggregates of these");
  return Why == obstacle::none;
}

/// Refuses what is not `encodable` with a sentence about the field at fault, whose type the
/// compiler names beside it.
template <class T, class... Above>
consteval bool checked_to_travel();
template <class... Parts, class... Above>
consteval bool checked_each(types<Parts...>, types<Above...>) {
  return (checked_to_travel<Parts, Above...>() && ...);
}
template <class T, class... Above>
consteval bool checked_to_travel() {
  if constexpr ((std::is_same_v<T, Above> || ...)) return true;
  else if constexpr (checked_itself<T>())
    return checked_each(typename parts<T>::type{}, types<T, Above...>{});
  else return false;
}

}  // namespace detail
}  // namespace coppice
