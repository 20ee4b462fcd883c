// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/tree.hpp>

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace coppice {

namespace {

std::string_view last_segment(const std::string& path) {
  const auto slash = path.rfind('/');
  return std::string_view{path}.substr(slash == std::string::npos ? 0 : slash + 1);
}

void append_text(const tree_node& n, int depth, std::string& out) {
  std::string line(static_cast<std::size_t>(depth) * 2, ' ');
  line += depth ? last_segment(n.path) : std::string_view{n.path};
  line.resize(std::max<std::size_t>(line.size() + 1, 28), ' ');
  line += n.state;
  line.resize(std::max<std::size_t>(line.size() + 1, 40), ' ');
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, "#%-4u restarts %-5u waiting %-6u handled %llu",
                n.incarnation, n.restarts, n.waiting,
                static_cast<unsigned long long>(n.handled));
  line += numbers;
  line += "  (" + n.kind + ')';
  out += line + '\n';
  if (!n.last_reason.empty())
    out += std::string(static_cast<std::size_t>(depth) * 2 + 2, ' ') + "last: " + n.last_reason +
           '\n';
  for (const tree_node& child : n.children) append_text(child, depth + 1, out);
}

void append_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_json(const tree_node& n, std::string& out) {
  const auto text = [&out](const char* key, std::string_view value) {
    out += key;
    append_string(value, out);
  };
  text("{\"path\":", n.path);
  text(",\"kind\":", n.kind);
  text(",\"state\":", n.state);
  out += ",\"incarnation\":" + std::to_string(n.incarnation);
  out += ",\"restarts\":" + std::to_string(n.restarts);
  text(",\"last_reason\":", n.last_reason);
  out += ",\"up_ms\":" + std::to_string(n.up.count());
  out += ",\"waiting\":" + std::to_string(n.waiting);
  out += ",\"handled\":" + std::to_string(n.handled);
  out += n.supervisor ? ",\"supervisor\":true" : ",\"supervisor\":false";
  out += ",\"children\":[";
  for (std::size_t i = 0; i < n.children.size(); ++i) {
    if (i) out += ',';
    append_json(n.children[i], out);
  }
  out += "]}";
}

}  // namespace

std::string to_text(const tree_node& root) {
  std::string out;
  append_text(root, 0, out);
  return out;
}

std::string to_json(const tree_node& root) {
  std::string out;
  append_json(root, out);
  return out;
}

}  // namespace coppice
