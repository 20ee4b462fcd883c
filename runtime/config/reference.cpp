// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/config.hpp>

#include <coppice/runtime/config/keys.hpp>
#include <coppice/runtime/config/text_private.hpp>

#include <algorithm>

namespace coppice {

namespace {

using detail::key;
using detail::key_type;
using detail::quoted;
using detail::section;
using detail::sections;
using detail::value;

// ---- what a row says, in words ------------------------------------------------------------------

/// `10000 (10 s)`.
std::string number(std::int64_t n, std::string_view unit) {
  const std::string larger = detail::in_larger_unit(n, unit);
  return std::to_string(n) + (larger.empty() ? "" : " (" + larger + ")");
}

std::string type_of(const key& of) {
  const std::string unit{detail::unit_of(of)};
  switch (of.field.type) {
    case key_type::boolean: return "true or false";
    case key_type::whole: return "whole number" + (unit.empty() ? "" : " of " + unit);
    case key_type::real: return "number";
    case key_type::choice: return "choice";
    case key_type::text: return "text";
    case key_type::texts: return "list of texts";
    case key_type::secret: return "reference to a secret";
  }
  return {};
}

std::string range_of(const key& of) {
  const auto& [least, most] = of.range;
  const std::string_view unit = detail::unit_of(of);
  switch (of.field.type) {
    case key_type::boolean: return {};
    case key_type::whole:
    case key_type::real: return number(least, unit) + " to " + number(most, unit);
    case key_type::choice: {
      std::vector<std::string> words;
      for (const std::string_view word : of.words) words.push_back(quoted(word));
      return detail::listed(words);
    }
    case key_type::text:
    case key_type::secret: return std::string{of.looks->expected};
    case key_type::texts:
      return std::to_string(least) + " to " + std::to_string(most) + " entries, each " +
             std::string{of.looks->expected};
  }
  return {};
}

/// As it would stand in a file; empty: there is none.
std::string default_text(const section& in, const key& of, cluster_profile profile) {
  const value v = default_of(in, of, profile);
  return detail::is_none(v) ? std::string{} : to_toml(of, v);
}

std::string default_in_words(const section& in, const key& of) {
  if (of.required) return "none, the key is required";
  const std::string usual = default_text(in, of, cluster_profile::usual);
  if (usual.empty()) return "none";
  std::string out = usual;
  const auto larger = [&of](const value& v) {
    const auto* n = std::get_if<std::int64_t>(&v);
    return n && of.words.empty() ? detail::in_larger_unit(*n, detail::unit_of(of)) : std::string{};
  };
  const std::string in_larger = larger(default_of(in, of, cluster_profile::usual));
  if (!in_larger.empty()) out += " (" + in_larger + ")";
  if (of.loopback) out += "; under the profile \"loopback\" " + std::to_string(*of.loopback);
  return out;
}

std::string example_of(const section& in, const key& of) {
  return of.example.empty() ? default_text(in, of, cluster_profile::usual)
                            : std::string{of.example};
}

/// Breaks `text` into lines of `width` characters, each after `indent`.
std::string wrapped(std::string_view text, std::string_view indent, std::size_t width) {
  std::string out, line;
  const auto flush = [&] {
    if (!line.empty()) out += std::string{indent} + line + '\n';
    line.clear();
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > width) flush();
    if (!line.empty()) line += ' ';
    line += word;
  }
  flush();
  return out;
}

std::string what_of(const section& of) {
  std::string out{of.what};
  if (of.repeated) out += " At most " + std::to_string(of.entries.most) + '.';
  return out;
}

// ---- explain ------------------------------------------------------------------------------------

constexpr std::size_t terminal_width = 80;

std::string explained(const section& in, const key& of) {
  std::string out = std::string{in.name} + '.' + std::string{of.name} + "\n" +
                    wrapped(of.what, "  ", terminal_width) + '\n';
  const auto row = [&out](std::string_view name, const std::string& text) {
    if (text.empty()) return;
    constexpr std::size_t column = 12;
    std::string lines = wrapped(text, std::string(column, ' '), terminal_width);
    lines.replace(2, name.size(), name);
    out += lines;
  };
  row("type", type_of(of));
  row("range", range_of(of));
  row("default", default_in_words(in, of));
  row("why", std::string{of.why});
  row("agreed", of.agreed ? "the same on all nodes" : "");
  out += "  example\n    " + header_of(in) + "\n    " + std::string{of.name} + " = " +
         example_of(in, of) + '\n';
  return out;
}

std::string explained(const section& in) {
  std::string out = header_of(in) + "\n" + wrapped(what_of(in), "  ", terminal_width) + '\n';
  std::size_t longest = 0;
  for (const key& k : in.keys) longest = std::max(longest, k.name.size());
  for (const key& k : in.keys) {
    // The first sentence will do.
    const std::size_t stop = k.what.find(". ");
    std::string line = wrapped(k.what.substr(0, stop == std::string_view::npos ? stop : stop + 1),
                               std::string(longest + 4, ' '), terminal_width);
    line.replace(2, k.name.size(), k.name);
    out += line;
  }
  return out;
}

error unknown(std::string_view asked) {
  std::vector<std::string> paths;
  std::vector<std::string_view> names;
  for (const section& s : sections()) {
    paths.emplace_back(s.name);
    for (const key& k : s.keys) paths.push_back(std::string{s.name} + '.' + std::string{k.name});
  }
  for (const std::string& path : paths) {
    names.emplace_back(path);
    const std::size_t dot = path.find('.');
    if (dot != std::string::npos) names.push_back(names.back().substr(dot + 1));
  }
  std::string what = "there is no key " + detail::shortened(asked);
  if (const auto near = detail::nearest(asked, names)) {
    what += "; did you mean " + quoted(*near) + '?';
  } else {
    std::vector<std::string> all;
    for (const section& s : sections()) all.emplace_back(s.name);
    what += "; the sections are " + detail::listed(all, "and");
  }
  return error{errc::invalid, std::move(what)};
}

// ---- the reference file -------------------------------------------------------------------------

constexpr std::size_t file_width = 98;

constexpr std::string_view file_introduction =
    R"(# Every key of a Coppice cluster file. Each stands here with its default; those that have none
# stand in comments, with an example. `coppice config check FILE` checks a file like this one, and
# `coppice config explain KEY` tells more about a key.
#
# This file is printed by `coppice config reference`.
)";

void append_key(std::string& out, const section& in, const key& of, bool in_comment) {
  out += '\n' + wrapped(of.what, "# ", file_width);
  std::string facts = type_of(of);
  if (const std::string range = range_of(of); !range.empty()) facts += "; " + range;
  facts += ". Default: " + default_in_words(in, of) + '.';
  if (of.agreed) facts += " The same on all nodes.";
  out += wrapped(facts, "#   ", file_width) + wrapped(of.why, "#   ", file_width);
  const std::string usual = default_text(in, of, cluster_profile::usual);
  const bool absent = usual.empty() && !of.required && in.name != "tls";
  out += in_comment || absent ? "# " : "";
  out += std::string{of.name} + " = " + (usual.empty() ? std::string{of.example} : usual) + '\n';
}

// ---- the reference page -------------------------------------------------------------------------

constexpr std::string_view page_introduction =
    R"(# Configuration

<!-- Made by `coppice config reference --markdown` from the key tables, runtime/config/keys.cpp. -->

One TOML file describes a cluster and every node of it. The same file goes to every machine;
`--node NAME` picks which of the nodes a process is. A small one:

```toml
[cluster]
name = "shop"
profile = "loopback"

[tls]
insecure = true

[[node]]
name = "alpha"
address = "127.0.0.1:7101"
roles = ["intake"]

[[node]]
name = "beta"
address = "127.0.0.1:7102"
roles = ["stock", "payment"]
```

A [complete file](cluster.reference.toml) with all defaults stands beside this page.
`coppice config check FILE` tells all mistakes of a file at once, each with its line and column;
`coppice config explain KEY` prints what this page says about a key.

- **Times and sizes** are whole numbers; the unit is the end of the key's name: `_ms`, `_bytes`.
- **Relative paths** are taken from the folder of the file. `{node}` in a path of `[tls]` or `[log]`
  stands for the node's name, so that one file serves all.
- **Secrets** do not stand in the file. A key that needs one says where it is: `env:NAME` is an
  environment variable, `file:PATH` a file, which its owner alone should be able to read. It is
  read when it is needed, so that it may change while the node runs.
- **What all nodes must agree on** is marked below. Nodes compare it when they meet: where it
  differs, both log the lines that do, and go on.
- **Profiles** change defaults, never what the file says. `loopback` is for one machine.
- **Unknown keys** are mistakes, and so is a file of more than )";

std::string in_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '*') out += '\\';
    out += c;
  }
  return out;
}

void append_table(std::string& out, const section& in) {
  out += "\n## " + header_of(in) + "\n\n" + wrapped(what_of(in), "", file_width);
  out += "\n| Key | Type and range | Default | What and why |\n|---|---|---|---|\n";
  for (const key& k : in.keys) {
    const std::string range = range_of(k);
    out += "| `" + std::string{k.name} + "` | " + type_of(k);
    if (!range.empty()) out += (k.field.type == key_type::choice ? ": " : "; ") + in_cell(range);
    const std::string usual = default_text(in, k, cluster_profile::usual);
    out += " | ";
    if (k.required) out += "required";
    else out += usual.empty() ? "none" : '`' + usual + '`';
    if (k.loopback) out += "; loopback `" + std::to_string(*k.loopback) + '`';
    out += " | " + in_cell(k.what) + " *" + in_cell(k.why) + '*';
    if (k.agreed) out += " All nodes must agree.";
    if (usual.empty()) out += " Example: `" + std::string{k.example} + '`';
    out += " |\n";
  }
}

}  // namespace

result<std::string> explain(std::string_view asked) {
  const std::size_t dot = asked.find('.');
  if (dot != std::string_view::npos) {
    const section* in = detail::find_section(asked.substr(0, dot));
    const key* of = in ? find_key(*in, asked.substr(dot + 1)) : nullptr;
    return of ? result<std::string>{explained(*in, *of)} : unknown(asked);
  }
  std::string out;
  if (const section* in = detail::find_section(asked)) out = explained(*in);
  for (const section& s : sections())
    if (const key* of = find_key(s, asked)) out += (out.empty() ? "" : "\n") + explained(s, *of);
  return out.empty() ? result<std::string>{unknown(asked)} : out;
}

std::string reference_toml() {
  std::string out{file_introduction};
  for (const section& s : sections()) {
    const bool in_comment = s.repeated && !s.required;
    out += '\n' + wrapped(what_of(s), "# ", file_width) + (in_comment ? "# " : "") + header_of(s) +
           '\n';
    for (const key& k : s.keys) append_key(out, s, k, in_comment);
  }
  return out;
}

std::string reference_markdown() {
  std::string out{page_introduction};
  out += detail::in_larger_unit(most_config_bytes, "bytes") + ".\n";
  for (const section& s : sections()) append_table(out, s);
  return out;
}

}  // namespace coppice
