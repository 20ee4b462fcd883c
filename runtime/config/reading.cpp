// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/reading_private.hpp>

#include <coppice/runtime/config/keys.hpp>
#include <coppice/runtime/config/text_private.hpp>

#include <algorithm>

namespace coppice::detail {

// ---- mistakes -----------------------------------------------------------------------------------

void problems::add(place at, std::string what) {
  ++count_;
  if (!plenty()) found_.emplace_back(at, std::move(what));
}

std::string problems::text() const {
  auto sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string out;
  for (std::size_t i = 0; i < sorted.size() && i < most_config_errors; ++i) {
    const auto& [at, what] = sorted[i];
    if (i > 0) out += '\n';
    out += file_ + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) + ": " + what;
  }
  if (count_ > most_config_errors)
    out += "\nand " + std::to_string(count_ - most_config_errors) + " more";
  return out;
}

namespace {

std::string path_of(const section& in, const key& of) {
  return std::string{in.name} + '.' + std::string{of.name};
}

// ---- what one value must be ---------------------------------------------------------------------

std::string range_of(const key& of) {
  const std::string unit{unit_of(of)};
  return std::to_string(of.range.least) + " to " + std::to_string(of.range.most) +
         (unit.empty() ? "" : ' ' + unit);
}

std::string expected(const key& of) {
  switch (of.field.type) {
    case key_type::boolean: return "true or false";
    case key_type::whole: return "a whole number, " + range_of(of);
    case key_type::real: return "a number, " + range_of(of);
    case key_type::choice: {
      std::vector<std::string> words;
      for (const std::string_view word : of.words) words.push_back(quoted(word));
      return listed(words);
    }
    case key_type::text: return "a text: " + std::string{of.looks->expected};
    case key_type::texts: return "a list of texts, each " + std::string{of.looks->expected};
    case key_type::secret: return std::string{of.looks->expected};
  }
  return {};
}

/// Turns what stands in the file into what its key takes, or says what is wrong with it.
class value_reader {
 public:
  value_reader(const section& in, const key& of, problems& wrong)
      : key_(of), path_(path_of(in, of)), wrong_(wrong) {}

  std::optional<value> read(const item& found) {
    switch (key_.field.type) {
      case key_type::boolean:
        if (const auto* yes = std::get_if<bool>(&found.is)) return *yes;
        return of_wrong_type(found);
      case key_type::whole: return whole(found);
      case key_type::real: return real(found);
      case key_type::choice: return choice(found);
      case key_type::text:
      case key_type::secret:
        if (const auto* text = std::get_if<std::string>(&found.is))
          return fits(*text, found.at) ? std::optional<value>{*text} : std::nullopt;
        return of_wrong_type(found);
      case key_type::texts: return texts(found);
    }
    return std::nullopt;
  }

 private:
  std::nullopt_t refuse(place at, std::string what) {
    wrong_.add(at, path_ + ' ' + std::move(what));
    return std::nullopt;
  }

  /// What stands there, if everybody may read it.
  std::string shown(const item& found) const {
    const bool worded = key_.field.type == key_type::text || key_.field.type == key_type::texts;
    const bool open = key_.field.type != key_type::secret && (key_.looks->quotable || !worded);
    if (const auto* text = std::get_if<std::string>(&found.is); text && open)
      return shortened(*text);
    if (const auto* n = std::get_if<std::int64_t>(&found.is); n && open) return std::to_string(*n);
    if (const auto* n = std::get_if<double>(&found.is); n && open) return to_toml(*n);
    if (const auto* yes = std::get_if<bool>(&found.is)) return *yes ? "true" : "false";
    return std::string{kind_of(found)};
  }

  std::nullopt_t of_wrong_type(const item& found) {
    return refuse(found.at, "is " + shown(found) + "; expected " + expected(key_) + hint(found));
  }

  /// How to write what was probably meant.
  std::string hint(const item& found) const {
    const auto* text = std::get_if<std::string>(&found.is);
    switch (key_.field.type) {
      case key_type::boolean:
        if (text && (*text == "true" || *text == "false")) return ": write " + *text;
        break;
      case key_type::whole: {
        const auto n = text ? in_unit(*text, unit_of(key_)) : std::nullopt;
        if (n && in_range(static_cast<double>(*n))) return ": write " + std::to_string(*n);
        break;
      }
      case key_type::texts:
        if (text && key_.looks->quotable) return ": write [" + shortened(*text) + ']';
        if (text) return ": write it in brackets";
        break;
      default: break;
    }
    return {};
  }

  bool in_range(double n) const {
    return n >= static_cast<double>(key_.range.least) && n <= static_cast<double>(key_.range.most);
  }

  std::nullopt_t out_of_range(const item& found) {
    return refuse(found.at, "is " + shown(found) + "; expected " + range_of(key_));
  }

  std::optional<value> whole(const item& found) {
    const auto* n = std::get_if<std::int64_t>(&found.is);
    if (!n) return of_wrong_type(found);
    if (*n < key_.range.least || *n > key_.range.most) return out_of_range(found);
    return *n;
  }

  std::optional<value> real(const item& found) {
    double n = 0;
    if (const auto* whole = std::get_if<std::int64_t>(&found.is)) n = static_cast<double>(*whole);
    else if (const auto* fraction = std::get_if<double>(&found.is)) n = *fraction;
    else return of_wrong_type(found);
    // Written so that it refuses what is not a number.
    if (!in_range(n)) return out_of_range(found);
    return n;
  }

  std::optional<value> choice(const item& found) {
    const auto* text = std::get_if<std::string>(&found.is);
    if (!text) return of_wrong_type(found);
    const auto word = std::find(key_.words.begin(), key_.words.end(), *text);
    if (word != key_.words.end()) return std::int64_t{word - key_.words.begin()};
    std::string what = "is " + shortened(*text) + "; expected " + expected(key_);
    if (const auto near = nearest(*text, {key_.words.begin(), key_.words.end()}))
      what += "; did you mean " + quoted(*near) + '?';
    return refuse(found.at, std::move(what));
  }

  bool fits(const std::string& text, place at) {
    // Of a list the range counts entries.
    const auto most = static_cast<std::size_t>(
        key_.field.type == key_type::texts ? most_entry_bytes : key_.range.most);
    std::string what;
    if (text.size() > most)
      what = "it has " + std::to_string(text.size()) + " bytes, at most " + std::to_string(most) +
             " are allowed";
    else if (text.empty() && key_.field.type == key_type::text && !key_.required) return true;
    else what = key_.looks->check(text);
    if (what.empty()) return true;
    if (key_.looks->quotable)
      refuse(at, "is " + shortened(text) + ": " + what + "; expected " +
                     std::string{key_.looks->expected});
    else
      refuse(at, (what.starts_with("it ") ? what.substr(3) : what) + "; expected " +
                     std::string{key_.looks->expected});
    return false;
  }

  std::optional<value> texts(const item& found) {
    const auto* list = std::get_if<std::vector<item>>(&found.is);
    if (!list) return of_wrong_type(found);
    const auto n = static_cast<std::int64_t>(list->size());
    if (n < key_.range.least || n > key_.range.most) {
      const std::string bounds =
          std::to_string(key_.range.least) + " to " + std::to_string(key_.range.most);
      return refuse(found.at, "has " + std::to_string(n) + " entries; expected " + bounds);
    }
    std::vector<std::string> out;
    bool good = true;
    for (const item& one : *list) {
      if (const auto* text = std::get_if<std::string>(&one.is)) {
        good = fits(*text, one.at) && good;
        out.push_back(*text);
      } else {
        of_wrong_type_within(one);
        good = false;
      }
    }
    if (!good) return std::nullopt;
    return out;
  }

  void of_wrong_type_within(const item& found) {
    refuse(found.at, "has " + shown(found) + " in it; expected " + expected(key_));
  }

  const key& key_;
  std::string path_;
  problems& wrong_;
};

// ---- what nobody knows --------------------------------------------------------------------------

std::vector<std::string_view> names_of(std::span<const key> keys) {
  std::vector<std::string_view> out;
  for (const key& k : keys) out.push_back(k.name);
  return out;
}

std::string all_of(std::span<const key> keys) {
  std::vector<std::string> out;
  for (const key& k : keys) out.emplace_back(k.name);
  return listed(out, "and");
}

/// Sections that have such a key, as they are written.
std::vector<std::string> homes_of(std::string_view name) {
  std::vector<std::string> out;
  for (const section& s : sections())
    if (find_key(s, name)) out.push_back(header_of(s));
  return out;
}

std::string about(const key& k) {
  const bool has_unit = stem(k.name) != k.name;
  return quoted(k.name) + (has_unit ? ", in " + std::string{unit_of(k)} : "") + '?';
}

/// `; did you mean ...`, for a key that is not in its section.
std::string meant_key(const section& in, std::string_view name) {
  for (const key& k : in.keys)
    if (stem(k.name) != k.name && stem(k.name) == stem(name)) return "; did you mean " + about(k);
  if (const auto homes = homes_of(name); !homes.empty()) return "; it belongs to " + listed(homes);
  if (const auto near = nearest(name, names_of(in.keys)))
    return "; did you mean " + about(*find_key(in, *near));
  return "; its keys are " + all_of(in.keys);
}

const section* meant_section(std::string_view name) {
  std::vector<std::string_view> names;
  for (const section& s : sections()) names.push_back(s.name);
  const auto near = nearest(name, names);
  return near ? find_section(*near) : nullptr;
}

std::string all_sections() {
  std::vector<std::string> written;
  for (const section& s : sections()) written.push_back(header_of(s));
  return listed(written, "and");
}

// ---- the file as a whole ------------------------------------------------------------------------

class file_reader {
 public:
  file_reader(reading& into, std::string_view folder) : into_(into), folder_(folder) {}

  void read(const document& from) {
    choose_profile(from);
    for (const entry& e : from.entries) read_top(e);
    for (const section& s : sections())
      if (s.required && !into_.where(std::string{s.name}))
        into_.wrong.add({}, "there is no " + header_of(s) + ", which is required; " + must_have(s));
    check_rules(into_);
  }

 private:
  /// Before all else: the other keys' defaults depend on it.
  void choose_profile(const document& from) {
    cluster_config chosen;
    for (const entry& e : from.entries) {
      const auto* keys = std::get_if<std::vector<entry>>(&e.value.is);
      if (!keys || e.name != "cluster") continue;
      for (const entry& k : *keys)
        if (k.name == "profile") {
          problems told_later{""};
          const key& profile = key_at("cluster.profile");
          if (const auto v =
                  value_reader{*find_section("cluster"), profile, told_later}.read(k.value))
            profile.field.set(chosen, 0, *v);
        }
    }
    into_.config = defaults(chosen.cluster.profile);
  }

  void read_top(const entry& e) {
    if (into_.wrong.plenty()) return into_.wrong.add(e.at, {});
    const section* in = find_section(e.name);
    const auto* table = std::get_if<std::vector<entry>>(&e.value.is);
    const auto* list = std::get_if<std::vector<item>>(&e.value.is);
    const bool tables =
        list && !list->empty() && std::holds_alternative<std::vector<entry>>(list->front().is);
    if (!in) return unknown_top(e, table || tables);
    into_.stands(std::string{in->name}, 0, e.value.at);
    if (table && !in->repeated) return read_section(*in, 0, *table, e.value.at);
    if (tables && in->repeated) return read_repeated(*in, *list, e.value.at);
    into_.stands(std::string{in->name}, 0, e.value.at, false);
    if (table || tables)
      return into_.wrong.add(
          e.value.at, tables
                          ? "there is only one [" + e.name + "]; expected " + header_of(*in)
                          : "there may be several of [" + e.name + "]; expected " + header_of(*in));
    into_.wrong.add(e.at, e.name + " is " + std::string{kind_of(e.value)} +
                              "; expected a section, " + header_of(*in));
  }

  void unknown_top(const entry& e, bool is_section) {
    if (is_section) {
      const section* meant = meant_section(e.name);
      into_.wrong.add(e.at, "there is no section " + shortened(e.name) +
                                (meant ? "; did you mean " + header_of(*meant) + '?'
                                       : "; the sections are " + all_sections()));
      // It is there then, if badly: that it is missing need not be told too.
      if (meant && !into_.where(std::string{meant->name}))
        into_.stands(std::string{meant->name}, 0, e.at, false);
      return;
    }
    const auto homes = homes_of(e.name);
    into_.wrong.add(
        e.at, "the key " + shortened(e.name) + " stands before any section" +
                  (homes.empty() ? "; expected none there" : "; it belongs to " + listed(homes)));
  }

  void read_repeated(const section& in, const std::vector<item>& list, place at) {
    const auto most = static_cast<std::size_t>(in.entries.most);
    if (list.size() > most)
      into_.wrong.add(at, "there are " + std::to_string(list.size()) + ' ' + header_of(in) +
                              "; expected at most " + std::to_string(most));
    for (std::size_t i = 0; i < list.size() && i < most; ++i) {
      const auto* table = std::get_if<std::vector<entry>>(&list[i].is);
      in.append(into_.config);
      if (table) read_section(in, i, *table, list[i].at);
      else
        into_.wrong.add(list[i].at, std::string{in.name} + " has " + std::string{kind_of(list[i])} +
                                        " in it; expected tables only, " + header_of(in));
    }
  }

  void read_section(const section& in, std::size_t at, const std::vector<entry>& keys,
                    place where) {
    into_.stands(std::string{in.name}, at, where);
    for (const entry& e : keys) {
      if (into_.wrong.plenty()) {
        into_.wrong.add(e.at, {});
        continue;
      }
      const key* known = find_key(in, e.name);
      if (!known) {
        into_.wrong.add(e.at, std::string{in.name} + " has no key " + shortened(e.name) +
                                  meant_key(in, e.name));
        continue;
      }
      auto v = value_reader{in, *known, into_.wrong}.read(e.value);
      into_.stands(path_of(in, *known), at, e.value.at, v.has_value());
      if (v) known->field.set(into_.config, at, placed(*known, std::move(*v)));
    }
    for (const key& k : in.keys)
      if (k.required && !into_.where(path_of(in, k), at))
        into_.wrong.add(where, std::string{in.name} + " has no " + quoted(k.name) +
                                   ", which is required; expected for example " +
                                   std::string{k.name} + " = " + std::string{k.example});
  }

  /// Relative paths are taken from the file's folder.
  value placed(const key& of, value v) const {
    auto* text = std::get_if<std::string>(&v);
    if (folder_.empty() || !text || text->empty()) return v;
    std::string_view prefix;
    if (of.looks == &secret_reference && text->starts_with("file:")) prefix = "file:";
    if (prefix.empty() && !of.looks->is_file) return v;
    const std::string path = text->substr(prefix.size());
    if (path.starts_with('/')) return v;
    if (of.looks == &program_path && path.find('/') == std::string::npos) return v;
    *text = std::string{prefix} + std::string{folder_} + (folder_.ends_with('/') ? "" : "/") + path;
    return v;
  }

  static std::string must_have(const section& s) {
    std::vector<std::string> out;
    for (const key& k : s.keys)
      if (k.required) out.push_back(std::string{k.name} + " = " + std::string{k.example});
    return "expected " + header_of(s) + " with " + listed(out, "and");
  }

  reading& into_;
  std::string_view folder_;
};

}  // namespace

void read_into(reading& into, const document& from, std::string_view folder) {
  file_reader{into, folder}.read(from);
}

}  // namespace coppice::detail
