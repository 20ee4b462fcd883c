// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/document_private.hpp>
#include <coppice/runtime/config/first_look_private.hpp>
#include <coppice/runtime/config/text_private.hpp>

#include <algorithm>
#include <utility>

// As headers only, whatever Debian's package would rather have: the shared library is neither
// needed by who installs Coppice, nor built with our sanitizers.
#undef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 1
#undef TOML_SHARED_LIB
#define TOML_ENABLE_FORMATTERS 0

namespace {
/// A text has broken one of toml++'s assumptions, e.g. that a name follows `[[`
/// (marzer/tomlplusplus#301). With toml++ as it comes that aborts a debug build and is undefined in
/// a release build; here it ends in a refusal in both.
struct assumption_broken {};
constexpr void assume(bool holds) {
  if (!holds) [[unlikely]]
    throw assumption_broken{};
}
}  // namespace
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(holds) assume(static_cast<bool>(holds))
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace coppice::detail {

namespace {

// ---- what toml++ says, in our words -------------------------------------------------------------

struct translation {
  std::string_view scope;  ///< what toml++ was reading; empty: anything
  std::string_view reason;  ///< part of what it says
  std::string_view ours;
};

/// The first that fits counts.
constexpr translation translations[] = {
    {"key-value pair", "cannot redefine", "this key stands in its section twice; expected once"},
    {"inline table", "cannot redefine", "this key stands in its section twice; expected once"},
    {"", "cannot redefine existing table",
     "this section stands in the file twice; expected once, with all its keys"},
    {"", "cannot redefine",
     "this name is already something else; expected a section to be written the same way each "
     "time"},
    {"", "into existing inline table",
     "this section is already written in braces; expected all its keys there"},
    {"string", "end-of-file", "the file ends within a text; expected its closing quotes"},
    {"string", "unknown escape",
     "no such escape; write two backslashes for one, or the text in single quotes"},
    {"unicode scalar sequence", "", "this escape is no character; expected four or eight digits"},
    {"string", "hex digit", "this escape is no character; expected four or eight digits"},
    {"string", "end of line", "the text ends with its line; expected its closing quotes"},
    {"", "control character", "a control character; expected it as an escape, such as \\u0007"},
    {"", "expected '\\n' after '\\r'", "a carriage return without a line feed behind it"},
    {"", "space or tab", "a space of an unusual kind; expected a plain one"},
    {"boolean", "", "neither true nor false, which are written in small letters"},
    {"array", "end-of-file", "the file ends within a list; expected ']'"},
    {"array", "saw comma", "a value is missing before this comma"},
    {"array", "", "expected ',' or ']' in this list"},
    {"inline table", "end-of-file", "the file ends within braces; expected '}'"},
    {"inline table", "dangling comma", "a ',' before '}'; expected none"},
    {"inline table", "", "expected a key, ',' or '}' between these braces, all on one line"},
    {"table header", "contiguous", "expected \"[[\" without a space between"},
    {"table header", "blank", "a section without a name"},
    {"table header", "end-of-file", "the file ends within a section's name; expected ']'"},
    {"table header", "comment or whitespace",
     "something stands behind the section's name; expected it on a line of its own"},
    {"table header", "", "expected ']' behind the section's name, or \"]]\""},
    {"key-value pair", "expected '='", "expected '=' and a value behind the key"},
    {"key-value pair", "expected value", "there is no value behind '='"},
    {"key-value pair", "end-of-file", "the file ends before the value; expected '=' and a value"},
    {"key-value pair", "comment or whitespace",
     "something stands behind the value; expected each key on a line of its own"},
    {"key", "", "this cannot be a key; expected letters, digits, '_' and '-'"},
    {"root table", "", "expected a key, a [section] or a comment"},
    {"value", "", "this is no value; expected a number, true, false, or a text in quotes"},
    {"date", "", "this is neither a number nor a date; expected a text in quotes"},
    {"time", "", "this is neither a number nor a time; expected a text in quotes"},
    {"hexadecimal floating-point", "", "this number is in hexadecimal; expected it in decimal"},
    {"", "leading zero", "a number with zeros in front; expected none"},
    {"", "underscores", "'_' in a number may only stand between two digits"},
    {"", "not representable", "this number is too large"},
    {"", "exceeds", "this number is too long"},
    {"", "digit", "this is no number; expected it without a unit, or a text in quotes"},
};

/// Byte offset of a place.
std::size_t offset_of(std::string_view text, place at) {
  std::size_t here = 0;
  for (std::uint32_t line = 1; line < at.line && here < text.size(); ++line)
    here = std::min(text.find('\n', here), text.size() - 1) + 1;
  for (std::uint32_t column = 1; here < text.size(); ++here) {
    if ((static_cast<unsigned char>(text[here]) & 0xc0) == 0x80) continue;
    if (column++ == at.column) break;
  }
  return here;
}

/// Goes back to behind the nearest of `stops`, where a key or a value begins, on the same line.
place back_to(std::string_view text, place at, std::string_view stops) {
  std::size_t end = offset_of(text, at), begin = end;
  while (begin > 0 && stops.find(text[begin - 1]) == std::string_view::npos) --begin;
  while (begin < end && (text[begin] == ' ' || text[begin] == '\t')) ++begin;
  for (; end > begin; --end)
    if ((static_cast<unsigned char>(text[end - 1]) & 0xc0) != 0x80 && at.column > 1) --at.column;
  return at;
}

/// toml++ notices only behind it, or in its middle, that a number or the like is none.
bool is_plain_value(std::string_view scope) {
  return scope == "boolean" || scope == "date" || scope == "time" || scope.ends_with("integer") ||
         scope.ends_with("floating-point");
}

/// `Error while parsing SCOPE: REASON`. What else it quotes could be a secret and goes no further.
syntax_error in_our_words(std::string_view text, std::string_view description, place at) {
  constexpr std::string_view before = "Error while parsing ";
  std::string_view scope, reason = description;
  if (description.starts_with(before)) {
    const std::size_t colon = std::min(description.find(": "), description.size());
    scope = description.substr(before.size(), colon - before.size());
    reason = description.substr(std::min(colon + 2, description.size()));
  }
  if (scope == "literal string") scope = "string";
  if (scope.starts_with("date-time")) scope = "date";

  const auto says = [&reason](std::string_view part) {
    return reason.find(part) != std::string_view::npos;
  };
  if (scope == "string" && says("control character")) {
    const std::size_t here = offset_of(text, at);
    if (here < text.size() && (text[here] == '\n' || text[here] == '\r')) reason = "end of line";
  }
  if (scope == "key-value pair" && says("cannot redefine")) at = back_to(text, at, "\n{,");
  else if (is_plain_value(scope)) at = back_to(text, at, "\n{,[= \t");

  for (const translation& t : translations)
    if ((t.scope.empty() || t.scope == scope) && says(t.reason)) return {at, std::string{t.ours}};
  return {at, "this is not TOML"};
}

// ---- the tree -----------------------------------------------------------------------------------

place place_of(const toml::source_region& region) {
  return {std::max<std::uint32_t>(1, region.begin.line),
          std::max<std::uint32_t>(1, region.begin.column)};
}

item item_of(const toml::node& node);

std::vector<entry> entries_of(const toml::table& table) {
  std::vector<entry> out;
  out.reserve(table.size());
  for (const auto& [key, node] : table)
    out.push_back({std::string{key.str()}, place_of(key.source()), item_of(node)});
  std::sort(out.begin(), out.end(), [](const entry& a, const entry& b) { return a.at < b.at; });
  return out;
}

item item_of(const toml::node& node) {
  item out;
  out.at = place_of(node.source());
  if (const auto* table = node.as_table()) {
    out.is = entries_of(*table);
  } else if (const auto* array = node.as_array()) {
    std::vector<item> list;
    list.reserve(array->size());
    for (const toml::node& one : *array) list.push_back(item_of(one));
    out.is = std::move(list);
  } else if (const auto* text = node.as_string()) {
    out.is = text->get();
  } else if (const auto* whole = node.as_integer()) {
    out.is = whole->get();
  } else if (const auto* real = node.as_floating_point()) {
    out.is = real->get();
  } else if (const auto* boolean = node.as_boolean()) {
    out.is = boolean->get();
  } else {
    out.is = date_or_time{};
  }
  return out;
}

bool breaks(std::string_view text) {
  try {
    [[maybe_unused]] const toml::table read = toml::parse(text);
  } catch (const toml::parse_error&) {
  } catch (const assumption_broken&) {
    return true;
  }
  return false;
}

/// toml++ does not say where an assumption broke. It reads forwards: what breaks it breaks it again
/// as soon as the line is there, whatever follows.
place where_broken(std::string_view text) {
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') ends.push_back(i + 1);
  ends.push_back(text.size());
  const auto broken = std::partition_point(
      ends.begin(), ends.end(), [text](std::size_t end) { return !breaks(text.substr(0, end)); });
  const std::size_t begin = broken == ends.begin() ? 0 : *std::prev(broken);
  const std::size_t blanks = std::min(text.find_first_not_of(" \t", begin), text.size()) - begin;
  return {static_cast<std::uint32_t>(broken - ends.begin() + 1),
          static_cast<std::uint32_t>(blanks + 1)};
}

}  // namespace

std::variant<document, syntax_error> read_document(std::string_view text) {
  if (auto harmful = harm_to_parser(text)) return *harmful;
  try {
    const toml::table root = toml::parse(text);
    return document{entries_of(root)};
  } catch (const toml::parse_error& e) {
    return in_our_words(text, e.description(), place_of(e.source()));
  } catch (const assumption_broken&) {
    return syntax_error{where_broken(text), "this is not TOML; expected a key, '=' and a value"};
  }
}

std::string_view kind_of(const item& of) {
  struct {
    std::string_view operator()(bool) const { return "true or false"; }
    std::string_view operator()(std::int64_t) const { return "a whole number"; }
    std::string_view operator()(double) const { return "a number with a fraction"; }
    std::string_view operator()(const std::string&) const { return "a text"; }
    std::string_view operator()(date_or_time) const { return "a date or time"; }
    std::string_view operator()(const std::vector<item>&) const { return "a list"; }
    std::string_view operator()(const std::vector<entry>&) const { return "a table"; }
  } const names;
  return std::visit(names, of.is);
}

}  // namespace coppice::detail
