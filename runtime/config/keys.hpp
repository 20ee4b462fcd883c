// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/config/config.hpp>
#include <coppice/runtime/config/formats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// The tables of keys: all that is said about a key is said once, in its row. The reading of
/// files, the texts of errors, `explain`, the reference file and the reference page come from
/// them; a key's default comes from the struct it is bound to.
///
/// A room adds keys by a struct in `cluster_config`, a table of rows bound to its members, and a
/// line in `sections()`.
namespace coppice::detail {

/// What a key's value can be in the file.
using value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// Of one text in a list.
inline constexpr std::int64_t most_entry_bytes = 4'096;

enum class key_type : std::uint8_t {
  boolean,
  whole,   ///< a whole number, of milliseconds if the member is a duration
  real,
  choice,  ///< one of the row's words, for an enum
  text,
  texts,   ///< a list of them
  secret,
};

/// How a row reaches its member: `bind<&cluster_config::limits, &limits_config::ack_every>()`.
/// `at` counts the entries of a repeated section.
struct binding {
  key_type type = key_type::text;
  bool duration = false;
  void (*set)(cluster_config& config, std::size_t at, const value& from) = nullptr;
  value (*get)(const cluster_config& config, std::size_t at) = nullptr;
};

struct number_range {
  std::int64_t least = 0;
  std::int64_t most = 0;
};

struct key {
  std::string_view name = {};
  binding field = {};
  /// What it is, in sentences.
  std::string_view what = {};
  /// Why the default is what it is, or why there is none.
  std::string_view why = {};
  /// Of numbers, "milliseconds" is known from the member: what is counted, in the plural.
  std::string_view unit = {};
  /// Of numbers the value; of texts the bytes; of lists the entries.
  number_range range = {};
  /// Of texts, and of each entry of a list.
  const format* looks = &free_text;
  /// Of a choice, in the order of the enum.
  std::span<const std::string_view> words = {};
  /// As it stands in a file; for keys whose default is none.
  std::string_view example = {};
  /// The default under the profile `loopback`, where it differs.
  std::optional<std::int64_t> loopback = {};
  bool required = false;
  /// True: all nodes of a cluster must have the same.
  bool agreed = false;
};

struct section {
  std::string_view name;
  bool repeated = false;  ///< written [[name]], any number of times
  bool required = false;
  number_range entries = {0, 1};
  std::string_view what;
  std::span<const key> keys;
  /// Of a repeated one: how many there are, and one more of them.
  std::size_t (*count)(const cluster_config& config) = nullptr;
  void (*append)(cluster_config& config) = nullptr;
};

/// All sections, in the order in which people should read them.
std::span<const section> sections();
const section* find_section(std::string_view name);
const key* find_key(const section& in, std::string_view name);
/// `limits.ack_every_ms`. Of a key that is not in the tables it is our own mistake to ask.
const key& key_at(std::string_view path);

/// What holds before the file is read.
cluster_config defaults(cluster_profile profile);
/// A key's own, also in a section of which there is none yet.
value default_of(const section& in, const key& of, cluster_profile profile);
/// How a section is written: `[limits]` or `[[node]]`.
std::string header_of(const section& of);
/// `milliseconds`, `bytes`, ..., or nothing.
std::string_view unit_of(const key& of);
/// A key's default is none, as that of an empty text is.
bool is_none(const value& of);

// ---- how a binding is made ----------------------------------------------------------------------

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_duration : std::false_type {};
template <class Rep, class Period>
struct is_duration<std::chrono::duration<Rep, Period>> : std::true_type {};

template <class T>
constexpr key_type type_of() {
  if constexpr (std::is_same_v<T, bool>) return key_type::boolean;
  else if constexpr (std::is_enum_v<T>) return key_type::choice;
  else if constexpr (std::is_integral_v<T> || is_duration<T>::value) return key_type::whole;
  else if constexpr (std::is_floating_point_v<T>) return key_type::real;
  else if constexpr (std::is_same_v<T, std::string>) return key_type::text;
  else if constexpr (std::is_same_v<T, secret>) return key_type::secret;
  else {
    static_assert(std::is_same_v<T, std::vector<std::string>>,
                  "a key's member is a bool, an enum, a number, a duration, a text, a list of "
                  "texts or a secret");
    return key_type::texts;
  }
}

template <auto Section, auto Field>
struct bound {
  static decltype(auto) member(auto& config, std::size_t at) {
    auto& in = config.*Section;
    if constexpr (is_vector<std::remove_cvref_t<decltype(in)>>::value) return (in[at].*Field);
    else return (in.*Field);
  }
  using type = std::remove_cvref_t<decltype(member(std::declval<cluster_config&>(), 0))>;

  /// The reader has made sure that the value is of the row's type and within its range.
  static void set(cluster_config& config, std::size_t at, const value& from) {
    type& to = member(config, at);
    if constexpr (std::is_same_v<type, secret>) to = secret_of(std::get<std::string>(from));
    else if constexpr (is_duration<type>::value) to = type{std::get<std::int64_t>(from)};
    else if constexpr (type_of<type>() == key_type::whole || std::is_enum_v<type>)
      to = static_cast<type>(std::get<std::int64_t>(from));
    else to = std::get<type>(from);
  }
  /// Of a choice the place of its word.
  static value get(const cluster_config& config, std::size_t at) {
    const type& of = member(config, at);
    if constexpr (std::is_same_v<type, secret>) return reference_to(of);
    else if constexpr (is_duration<type>::value) return std::int64_t{of.count()};
    else if constexpr (type_of<type>() == key_type::whole || std::is_enum_v<type>)
      return static_cast<std::int64_t>(of);
    else return of;
  }
};

template <auto Section, auto Field>
constexpr binding bind() {
  using way = bound<Section, Field>;
  return {type_of<typename way::type>(), is_duration<typename way::type>::value, &way::set,
          &way::get};
}

}  // namespace coppice::detail
