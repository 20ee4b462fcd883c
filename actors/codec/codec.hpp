// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <coppice/actors/codec/encodable.hpp>
#include <coppice/actors/codec/reader.hpp>
#include <coppice/actors/codec/shape.hpp>
#include <coppice/actors/codec/writer.hpp>

/// Events as MessagePack: an aggregate is an array of its fields, nothing is declared twice.
///
///     std::vector<std::byte> bytes;
///     writer to{bytes};
///     encode(to, reserve{"nails", 3});
///
///     reserve e;
///     reader from{bytes, budget};
///     if (!decode(from, e) || !from.at_end()) refuse(from.failure());
///
/// A field may be appended later: who does not know it skips it, who misses it keeps what the
/// member's initialiser says. Everything else changes the shape; see shape.hpp.
namespace coppice::detail {

/// The aggregates around the one whose shape is being written.
struct enclosing {
  const void* type;
  const enclosing* next;
};

/// How a T travels, one specialisation for each kind:
/// - `put` writes it at `at`, see `writer::open`, and returns the next place;
/// - `get` fills a T that was just built;
/// - `shape` appends what it looks like on the wire;
/// - `nullable`: a T may be written as nil.
template <class T, wire_kind = kind_of<T>()>
struct wire;

struct wire_value {
  static constexpr bool nullable = false;
};

/// What a container of nodes adds to each of its elements, about.
inline constexpr std::size_t node_cost = 48;

template <class T>
struct wire<T, wire_kind::boolean> : wire_value {
  static std::byte* put(writer& w, std::byte* at, bool x) { return w.boolean(at, x); }
  static bool get(reader& r, bool& x) { return r.boolean(x); }
  static void shape(std::string& out, const enclosing*) { out += 'b'; }
};

/// The type whose range counts: a `char` is its byte, whatever its sign is on this machine.
template <class T>
struct wire_integer : wire_value {
  using carried = std::conditional_t<std::is_same_v<T, char>, unsigned char, T>;
  static std::byte* put(writer& w, std::byte* at, T x) {
    const auto value = static_cast<carried>(x);
    if constexpr (std::is_signed_v<carried>) return w.integer(at, value);
    else return w.unsigned_integer(at, value);
  }
  static bool get(reader& r, T& x) {
    using limits = std::numeric_limits<carried>;
    std::conditional_t<std::is_signed_v<carried>, std::int64_t, std::uint64_t> value = 0;
    if constexpr (std::is_signed_v<carried>) {
      if (!r.integer(value)) return false;
      if (value < std::int64_t{limits::min()}) return r.fail("an integer is out of range");
    } else if (!r.unsigned_integer(value)) {
      return false;
    }
    if (value > decltype(value){limits::max()}) return r.fail("an integer is out of range");
    x = static_cast<T>(value);
    return true;
  }
  static void shape(std::string& out, const enclosing*) { out += 'i'; }
};
template <class T>
struct wire<T, wire_kind::integer> : wire_integer<T> {};

/// Any number that fits the underlying type is taken, so that a newer build may know more
/// enumerators than an older one: a `switch` over one has a default.
template <class T>
struct wire<T, wire_kind::enumeration> : wire_value {
  using number = std::underlying_type_t<T>;
  static std::byte* put(writer& w, std::byte* at, T x) {
    return wire_integer<number>::put(w, at, static_cast<number>(x));
  }
  static bool get(reader& r, T& x) {
    number value{};
    if (!wire_integer<number>::get(r, value)) return false;
    x = static_cast<T>(value);
    return true;
  }
  static void shape(std::string& out, const enclosing*) { out += 'i'; }
};

template <class T>
struct wire<T, wire_kind::real> : wire_value {
  static std::byte* put(writer& w, std::byte* at, T x) { return w.real(at, x); }
  static bool get(reader& r, T& x) {
    double value = 0;
    if (!r.real(value)) return false;
    if constexpr (std::is_same_v<T, float>) {
      constexpr double most = std::numeric_limits<float>::max();
      const bool finite = value - value == 0;
      if (finite && (value > most || value < -most)) return r.fail("a real number is out of range");
    }
    x = static_cast<T>(value);
    return true;
  }
  static void shape(std::string& out, const enclosing*) { out += 'f'; }
};

template <>
struct wire<std::string, wire_kind::text> : wire_value {
  static std::byte* put(writer& w, std::byte* at, const std::string& x) { return w.text(at, x); }
  static bool get(reader& r, std::string& x) {
    std::string_view text;
    if (!r.text(text) || !r.spend(text.size())) return false;
    x.assign(text);
    return true;
  }
  static void shape(std::string& out, const enclosing*) { out += 's'; }
};

template <class T>
struct wire<T, wire_kind::bytes> : wire_value {
  static std::byte* put(writer& w, std::byte* at, const T& x) { return w.bytes(at, x); }
  static bool get(reader& r, T& x) {
    std::span<const std::byte> bytes;
    if (!r.bytes(bytes) || !r.spend(bytes.size())) return false;
    x.assign(bytes.begin(), bytes.end());
    return true;
  }
  static void shape(std::string& out, const enclosing*) { out += 'y'; }
};

template <class T>
struct wire<T, wire_kind::array_of_bytes> : wire_value {
  static std::byte* put(writer& w, std::byte* at, const T& x) { return w.bytes(at, x); }
  static bool get(reader& r, T& x) {
    std::span<const std::byte> bytes;
    if (!r.bytes(bytes)) return false;
    if (bytes.size() != x.size()) return r.fail("bytes of another length were expected");
    for (std::size_t i = 0; i < bytes.size(); ++i) x[i] = bytes[i];
    return true;
  }
  static void shape(std::string& out, const enclosing*) {
    out += "y<" + std::to_string(std::tuple_size_v<T>) + '>';
  }
};

template <class T>
struct wire<T, wire_kind::sequence> : wire_value {
  using element = typename T::value_type;
  static std::byte* put(writer& w, std::byte* at, const T& x) {
    at = w.array(at, x.size());
    // Not by reference: a std::vector<bool> has no elements to refer to.
    for (auto&& each : x) at = wire<element>::put(w, at, each);
    return at;
  }
  static bool get(reader& r, T& x) {
    std::size_t n = 0;
    constexpr bool nodes = !requires { x[0]; };
    if (!r.enter() || !r.array(n) || !r.spend(n, sizeof(element) + (nodes ? node_cost : 0)))
      return false;
    x.clear();
    if constexpr (std::is_same_v<element, bool>) {
      for (bool each = false; n > 0; --n) {
        if (!r.boolean(each)) return false;
        x.emplace_back(each);
      }
    } else if constexpr (std::is_arithmetic_v<element> && requires { x.resize(n); }) {
      x.resize(n);
      for (element& each : x)
        if (!wire<element>::get(r, each)) return false;
    } else {
      if constexpr (requires { x.reserve(n); }) x.reserve(n);
      for (; n > 0; --n) {
        x.emplace_back();
        if (!wire<element>::get(r, x.back())) return false;
      }
    }
    return r.leave();
  }
  static void shape(std::string& out, const enclosing* around) {
    wire<element>::shape(out += '[', around);
    out += ']';
  }
};

template <class T>
struct wire<T, wire_kind::array> : wire_value {
  using element = typename T::value_type;
  static std::byte* put(writer& w, std::byte* at, const T& x) {
    at = w.array(at, x.size());
    for (const element& each : x) at = wire<element>::put(w, at, each);
    return at;
  }
  static bool get(reader& r, T& x) {
    std::size_t n = 0;
    if (!r.enter() || !r.array(n)) return false;
    if (n != x.size()) return r.fail("an array of another length was expected");
    for (element& each : x)
      if (!wire<element>::get(r, each)) return false;
    return r.leave();
  }
  static void shape(std::string& out, const enclosing* around) {
    wire<element>::shape(out += '[', around);
    out += ';' + std::to_string(std::tuple_size_v<T>) + ']';
  }
};

/// Who chooses the keys of a hash table can choose ones that fall together, and each lookup then
/// walks them all. So many by chance is out of the question.
inline constexpr std::size_t max_in_bucket = 128;

template <class T, class... X>
bool insert_arrived(reader& r, T& into, X&&... x) {
  const std::size_t before = into.size();
  const auto place = into.emplace_hint(into.end(), std::forward<X>(x)...);
  if (into.size() == before) return r.fail("a key stands there twice");
  if constexpr (requires { into.bucket_count(); }) {
    if (into.size() > max_in_bucket) {
      std::size_t bucket = 0;
      if constexpr (map_container<T>) bucket = into.bucket(place->first);
      else bucket = into.bucket(*place);
      if (into.bucket_size(bucket) > max_in_bucket)
        return r.fail("too many keys fall into one place of a hash table");
    }
  }
  return true;
}

template <class T>
struct wire<T, wire_kind::set> : wire_value {
  using element = typename T::value_type;
  static std::byte* put(writer& w, std::byte* at, const T& x) {
    at = w.array(at, x.size());
    for (const element& each : x) at = wire<element>::put(w, at, each);
    return at;
  }
  static bool get(reader& r, T& x) {
    std::size_t n = 0;
    if (!r.enter() || !r.array(n) || !r.spend(n, sizeof(element) + node_cost)) return false;
    for (x.clear(); n > 0; --n) {
      element each{};
      if (!wire<element>::get(r, each) || !insert_arrived(r, x, std::move(each))) return false;
    }
    return r.leave();
  }
  static void shape(std::string& out, const enclosing* around) {
    wire<element>::shape(out += '(', around);
    out += ')';
  }
};

template <class T>
struct wire<T, wire_kind::map> : wire_value {
  using key = typename T::key_type;
  using mapped = typename T::mapped_type;
  static std::byte* put(writer& w, std::byte* at, const T& x) {
    at = w.map(at, x.size());
    for (const auto& [k, v] : x) at = wire<mapped>::put(w, wire<key>::put(w, at, k), v);
    return at;
  }
  static bool get(reader& r, T& x) {
    std::size_t n = 0;
    if (!r.enter() || !r.map(n) || !r.spend(n, sizeof(typename T::value_type) + node_cost))
      return false;
    for (x.clear(); n > 0; --n) {
      key k{};
      mapped v{};
      if (!wire<key>::get(r, k) || !wire<mapped>::get(r, v) ||
          !insert_arrived(r, x, std::move(k), std::move(v)))
        return false;
    }
    return r.leave();
  }
  static void shape(std::string& out, const enclosing* around) {
    wire<key>::shape(out += '<', around);
    wire<mapped>::shape(out += ':', around);
    out += '>';
  }
};

/// Nil or the value; where the value itself may be nil, an array of one that holds it.
template <class T>
struct wire<T, wire_kind::optional> {
  using value = typename T::value_type;
  static constexpr bool nullable = true;
  static constexpr bool wrapped = wire<value>::nullable;
  static std::byte* put(writer& w, std::byte* at, const T& x) {
    if (!x) return w.nil(at);
    if constexpr (wrapped) at = w.array(at, 1);
    return wire<value>::put(w, at, *x);
  }
  static bool get(reader& r, T& x) {
    x.reset();
    if (r.next_is_nil()) return r.nil();
    if (!r.enter()) return false;
    if constexpr (wrapped) {
      std::size_t n = 0;
      if (!r.array(n)) return false;
      if (n != 1) return r.fail("an array of one was expected");
    }
    return wire<value>::get(r, x.emplace()) && r.leave();
  }
  static void shape(std::string& out, const enclosing* around) {
    wire<value>::shape(out += '?', around);
  }
};

/// An array of two: which alternative, counted from 0, and its value. One that a throw has left
/// empty tells of an alternative that is none, and is refused where it arrives.
template <class... Ts>
struct wire<std::variant<Ts...>, wire_kind::variant> : wire_value {
  using variant = std::variant<Ts...>;
  static std::byte* put(writer& w, std::byte* at, const variant& x) {
    at = w.unsigned_integer(w.array(at, 2), x.index());
    return put_from(w, at, x, std::index_sequence_for<Ts...>{});
  }
  static bool get(reader& r, variant& x) {
    std::size_t n = 0;
    std::uint64_t index = 0;
    if (!r.enter() || !r.array(n)) return false;
    if (n != 2) return r.fail("a variant's array of two was expected");
    if (!r.unsigned_integer(index)) return false;
    if (index >= sizeof...(Ts)) return r.fail("a variant holds an alternative that is unknown");
    return get_into(r, x, index, std::index_sequence_for<Ts...>{}) && r.leave();
  }
  static void shape(std::string& out, const enclosing* around) {
    out += '|';
    ((wire<Ts>::shape(out, around), out += ','), ...);
    out.back() = '|';
  }

 private:
  template <std::size_t... I>
  static std::byte* put_from(writer& w, std::byte* at, const variant& x,
                             std::index_sequence<I...>) {
    const bool one = ((x.index() == I && (at = wire<Ts>::put(w, at, *std::get_if<I>(&x)))) || ...);
    return one ? at : w.nil(at);
  }
  template <std::size_t... I>
  static bool get_into(reader& r, variant& x, std::size_t index, std::index_sequence<I...>) {
    return ((index == I && wire<Ts>::get(r, x.template emplace<I>())) || ...);
  }
};

/// Fields in an array, as many as the writer knew.
struct wire_fields : wire_value {
 protected:
  /// `each(n)` reads the first n of the fields that are known here.
  template <class Each>
  static bool get(reader& r, std::size_t known, Each each) {
    std::size_t n = 0;
    if (!r.enter() || !r.array(n) || !each(n)) return false;
    for (; n > known; --n)
      if (!r.skip()) return false;
    return r.leave();
  }
  template <class... Ts>
  static void shape(std::string& out, const enclosing& here, types<Ts...>) {
    out += '{';
    [[maybe_unused]] bool first = true;
    ((first ? first = false : (out += ',', false), wire<Ts>::shape(out, &here)), ...);
    out += '}';
  }
};

template <class T>
struct wire<T, wire_kind::tuple> : wire_fields {
  static std::byte* put(writer& w, std::byte* at, const T& x) {
    at = w.array(at, std::tuple_size_v<T>);
    std::apply([&]<class... Fs>(const Fs&... each) { ((at = wire<Fs>::put(w, at, each)), ...); },
               x);
    return at;
  }
  static bool get(reader& r, T& x) {
    return wire_fields::get(r, std::tuple_size_v<T>, [&](std::size_t n) {
      std::size_t i = 0;
      return std::apply(
          [&]<class... Fs>(Fs&... each) { return ((i++ >= n || wire<Fs>::get(r, each)) && ...); },
          x);
    });
  }
  static void shape(std::string& out, const enclosing* around) {
    wire_fields::shape(out, {nullptr, around}, typename parts<T>::type{});
  }
};

/// Its address stands for the type.
template <class T>
inline constexpr char type_mark = 0;

template <class T>
struct wire<T, wire_kind::aggregate> : wire_fields {
  static constexpr std::size_t size = field_count<T>;
  static std::byte* put(writer& w, std::byte* at, const T& x) {
    at = w.array(at, size);
    if constexpr (size > 0)
      each_field(x, [&]<class F>(const F& f) { at = wire<F>::put(w, at, f); });
    return at;
  }
  static bool get(reader& r, T& x) {
    return wire_fields::get(r, size, [&]([[maybe_unused]] std::size_t n) {
      bool good = true;
      if constexpr (size > 0)
        each_field(x, [&, i = std::size_t{0}]<class F>(F& f) mutable {
          if (good && i++ < n) good = wire<F>::get(r, f);
        });
      return good;
    });
  }
  static void shape(std::string& out, const enclosing* around) {
    std::size_t up = 0;
    for (const enclosing* x = around; x; x = x->next, ++up)
      if (x->type == &type_mark<T>) {
        out += '^' + std::to_string(up);
        return;
      }
    wire_fields::shape(out, {&type_mark<T>, around}, typename parts<T>::type{});
  }
};

/// The unit of a duration as it stands in a shape.
template <class Period>
std::string unit_of() {
  if constexpr (std::is_same_v<Period, std::nano>) return "ns";
  else if constexpr (std::is_same_v<Period, std::micro>) return "us";
  else if constexpr (std::is_same_v<Period, std::milli>) return "ms";
  else if constexpr (std::is_same_v<Period, std::ratio<1>>) return "s";
  else if constexpr (std::is_same_v<Period, std::ratio<60>>) return "min";
  else if constexpr (std::is_same_v<Period, std::ratio<3600>>) return "h";
  else if constexpr (std::is_same_v<Period, std::ratio<86400>>) return "d";
  else return std::to_string(Period::num) + '/' + std::to_string(Period::den);
}

template <class T>
struct wire<T, wire_kind::duration> : wire_value {
  using number = typename T::rep;
  static std::byte* put(writer& w, std::byte* at, T x) {
    return wire<number>::put(w, at, x.count());
  }
  static bool get(reader& r, T& x) {
    number count{};
    if (!wire<number>::get(r, count)) return false;
    x = T{count};
    return true;
  }
  static void shape(std::string& out, const enclosing* around, char kind = 't') {
    out += kind;
    out += '<' + unit_of<typename T::period::type>();
    if constexpr (kind_of<number>() != wire_kind::integer) wire<number>::shape(out += ',', around);
    out += '>';
  }
};

/// As the duration since the system clock's epoch: 1970 by all standard libraries, and by C++20.
template <class T>
struct wire<T, wire_kind::time> : wire_value {
  using duration = typename T::duration;
  static std::byte* put(writer& w, std::byte* at, T x) {
    return wire<duration>::put(w, at, x.time_since_epoch());
  }
  static bool get(reader& r, T& x) {
    duration since{};
    if (!wire<duration>::get(r, since)) return false;
    x = T{since};
    return true;
  }
  static void shape(std::string& out, const enclosing* around) {
    wire<duration>::shape(out, around, 'p');
  }
};

/// Refs need to know cells: <coppice/actors/codec/ref_codec.hpp>.
template <class... Es>
struct wire<ref<Es...>, wire_kind::address>;

/// Appends `x`, as one value. Throws only what the buffer's growth throws.
template <class T>
void encode(writer& to, const T& x) {
  static_assert(checked_to_travel<T>());
  if constexpr (encodable<T>) to.close(wire<T>::put(to, to.open(), x));
}

/// Takes one value and fills `x`, which was just built: what the sender does not know keeps its
/// initial value. False: `from.failure()` says why, and `x` is valid but half filled.
template <class T>
bool decode(reader& from, T& x) noexcept {
  static_assert(checked_to_travel<T>());
  if constexpr (encodable<T>) try {
      return wire<T>::get(from, x);
    } catch (...) {
      // A type of the user's own, or memory that could not be had although the budget allows it.
      return from.fail("it could not be built: there is no memory, or a constructor threw");
    }
  return false;
}

/// The shape of T on the wire, see shape.hpp.
template <class T>
std::string shape_of() {
  static_assert(checked_to_travel<T>());
  std::string out;
  if constexpr (encodable<T>) wire<T>::shape(out, nullptr);
  return out;
}

}  // namespace coppice::detail
