// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <boost/pfr/core.hpp>

/// The fields of an aggregate, and what Boost.PFR cannot walk, found out before it is asked to, so
/// that the sentence is ours.
namespace coppice::detail {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// g++ 12 crashes in Boost.PFR's choice of how to count where a field is a std::array of what has a
// constructor, of strings say ("in check_noexcept_r"). So the choice is made here, and PFR's
// internals do the rest; those of Boost 1.81, which is what there is beside that compiler.
template <class T>
consteval std::size_t count_fields() {
  constexpr std::size_t most = sizeof(T) * 8;
  constexpr boost::pfr::detail::multi_element_range all{};
  if constexpr (requires { T{}; })
    return boost::pfr::detail::detect_fields_count<T, 0, most / 2 + 1>(all, 1L);
  else return boost::pfr::detail::detect_fields_count_greedy<T, 0, most>(all);
}
template <class T>
inline constexpr std::size_t field_count = count_fields<T>();

template <class T>
constexpr auto tied_fields(T& x) noexcept {
  return boost::pfr::detail::tie_as_tuple(x, boost::pfr::detail::size_t_<field_count<T>>{});
}
template <std::size_t I, class T>
using field_t =
    typename boost::pfr::detail::sequence_tuple::tuple_element<I, decltype(tied_fields(
                                                                      std::declval<T&>()))>::type;

/// Calls `f` with each field in turn.
template <class T, class F>
constexpr void each_field(T& x, F f) {
  const auto tied = tied_fields(x);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (f(boost::pfr::detail::sequence_tuple::get<I>(tied)), ...);
  }(std::make_index_sequence<field_count<std::remove_const_t<T>>>{});
}
#else
template <class T>
inline constexpr std::size_t field_count = boost::pfr::tuple_size_v<T>;
template <std::size_t I, class T>
using field_t = boost::pfr::tuple_element_t<I, T>;

/// Calls `f` with each field in turn.
template <class T, class F>
constexpr void each_field(T& x, F f) {
  boost::pfr::for_each_field(x, f);
}
#endif

template <class E>
struct any_base_of {
  template <class B>
    requires(std::is_base_of_v<B, E> && !std::is_same_v<B, E>)
  operator B() const;
};
struct stranger {};
/// A first field that takes anything, a `std::any` say, is no base.
template <class E>
concept has_base = requires { E{any_base_of<E>{}}; } && !requires { E{stranger{}}; };

struct any_value {
  template <class T>
  operator T() const;
};
template <std::size_t>
using any_at = any_value;

/// Whether two values in braces can stand behind those `Before`, with `After` more to come. Only
/// a C array takes them where no further value fits in for each of its other elements.
template <class E, std::size_t... Before, std::size_t... After>
constexpr bool takes_pair(std::index_sequence<Before...>, std::index_sequence<After...>) {
  return requires { E{any_at<Before>{}..., {any_value{}, any_value{}}, any_at<After>{}...}; };
}
template <class E, std::size_t... I>
constexpr bool no_arrays(std::index_sequence<I...>) {
  return (!(takes_pair<E>(std::make_index_sequence<I>{}, std::index_sequence<>{}) &&
            !takes_pair<E>(std::make_index_sequence<I>{},
                           std::make_index_sequence<sizeof...(I) - I - 1>{})) &&
          ...);
}

template <class E, std::size_t... I>
constexpr bool no_pointers(std::index_sequence<I...>) {
  return (!std::is_pointer_v<field_t<I, E>> && ...);
}

}  // namespace coppice::detail
