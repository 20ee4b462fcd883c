// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/config.hpp>

#include <coppice/runtime/config/keys.hpp>
#include <coppice/runtime/config/text_private.hpp>

#include <algorithm>
#include <map>
#include <numeric>

namespace coppice {

namespace {

using detail::key;
using detail::section;
using detail::value;

/// Lists in the canonical text are sets: their order means nothing.
value sorted(value v) {
  if (auto* list = std::get_if<std::vector<std::string>>(&v)) std::sort(list->begin(), list->end());
  return v;
}

void append_agreed(std::vector<std::string>& lines, const section& in, const std::string& prefix,
                   const cluster_config& config, std::size_t at) {
  for (const key& k : in.keys)
    if (k.agreed && !(in.repeated && k.name == "name"))  // that is in the prefix
      lines.push_back(prefix + std::string{k.name} + " = " +
                      to_toml(k, sorted(k.field.get(config, at))));
}

/// A rule has no name to call its keys by: it is one line.
std::string rule_line(const section& in, const cluster_config& config, std::size_t at) {
  std::string out{in.name};
  for (const key& k : in.keys)
    if (k.agreed)
      out += ' ' + std::string{k.name} + ' ' + to_toml(k, sorted(k.field.get(config, at)));
  return out;
}

constexpr std::size_t most_compared_bytes = 4 * most_config_bytes;
constexpr std::size_t most_differences = 20;
constexpr std::size_t longest_shown = 120;

using key_values = std::map<std::string_view, std::string_view>;

/// `key = value`, or a line that is all key.
key_values lines_of(std::string_view text) {
  key_values out;
  text = text.substr(0, most_compared_bytes);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = line.find(" = ");
    if (equals == std::string_view::npos) out.emplace(line, std::string_view{});
    else out.emplace(line.substr(0, equals), line.substr(equals + 3));
  }
  return out;
}

/// Without the quotes that `shortened` puts around: a canonical line has its own.
std::string shown(std::string_view text) {
  std::string out;
  std::size_t characters = 0;
  for (const char c : text.substr(0, longest_shown)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? '?' : c;
    ++characters;
  }
  return characters < text.size() ? out + "..." : out;
}

}  // namespace

std::string canonical(const cluster_config& config) {
  std::vector<std::string> lines;
  for (const section& s : detail::sections()) {
    if (!s.repeated) {
      append_agreed(lines, s, std::string{s.name} + '.', config, 0);
    } else if (find_key(s, "name")) {
      std::vector<std::size_t> order(s.count(config));
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::sort(order.begin(), order.end(), [&config](std::size_t a, std::size_t b) {
        return config.nodes[a].name < config.nodes[b].name;
      });
      for (const std::size_t i : order)
        append_agreed(lines, s, std::string{s.name} + '.' + config.nodes[i].name + '.', config, i);
    } else {
      std::vector<std::string> rules;
      for (std::size_t i = 0; i < s.count(config); ++i) rules.push_back(rule_line(s, config, i));
      std::sort(rules.begin(), rules.end());
      lines.insert(lines.end(), rules.begin(), std::unique(rules.begin(), rules.end()));
    }
  }
  std::string out;
  for (const std::string& line : lines) out += line + '\n';
  return out;
}

std::uint64_t digest(const cluster_config& config) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : canonical(config)) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

std::vector<std::string> difference(std::string_view mine, std::string_view theirs) {
  const key_values here = lines_of(mine), there = lines_of(theirs);
  std::vector<std::string> out;
  std::size_t left_out = 0;
  const auto tell = [&](std::string line) {
    if (out.size() < most_differences) out.push_back(std::move(line));
    else ++left_out;
  };
  const auto one_side = [&](std::string_view name, std::string_view what, const char* side) {
    tell(shown(name) + (what.empty() ? "" : " = " + shown(what)) + ": only " + side);
  };
  for (const auto& [name, what] : here) {
    const auto other = there.find(name);
    if (other == there.end()) one_side(name, what, "here");
    else if (other->second != what)
      tell(shown(name) + ": " + shown(what) + " here, " + shown(other->second) + " there");
  }
  for (const auto& [name, what] : there)
    if (!here.contains(name)) one_side(name, what, "there");
  if (left_out > 0) out.push_back("and " + std::to_string(left_out) + " more");
  return out;
}

}  // namespace coppice
