// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <boost/pfr/core.hpp>

/// What Boost.PFR cannot walk, found out before it is asked to, so that the sentence is ours.
namespace coppice::detail {

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
  return (!std::is_pointer_v<boost::pfr::tuple_element_t<I, E>> && ...);
}

}  // namespace coppice::detail
