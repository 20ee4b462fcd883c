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
                n.incarnation, n.restarts, n.waiting, static_cast<unsigned long long>(n.handled));
  line += numbers;
  line += "  (" + n.kind + ')';
  out += line + '\n';
  if (!n.last_reason.empty()) {
    std::string reason = n.last_reason;
    std::replace(reason.begin(), reason.end(), '\n', ' ');  // one line an actor, whatever it says
    out += std::string(static_cast<std::size_t>(depth) * 2 + 2, ' ') + "last: " + reason + '\n';
  }
  for (const tree_node& child : n.children) append_text(child, depth + 1, out);
}

/// How many bytes of `text` are its first character in UTF-8 (RFC 3629); 0: there is none.
std::size_t first_character(std::string_view text) {
  const auto byte = [text](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const unsigned first = byte(0), second = byte(1);
  std::size_t size = 0;
  if (first < 0x80) size = 1;
  if (first >= 0xc2 && first <= 0xdf) size = 2;
  if (first >= 0xe0 && first <= 0xef) size = 3;
  if (first >= 0xf0 && first <= 0xf4) size = 4;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool longer_than_need_be =
      (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool no_character = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return longer_than_need_be || no_character ? 0 : size;
}

/// A reason holds what an exception said, which may be no UTF-8 at all; JSON has to be.
void append_string(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const std::size_t size = first_character(text);
    const char c = text.front();
    if (size == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (size == 1 && static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
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
  if (!n.last_reason.empty()) {
    out += ",\"last_ended_ms_ago\":" + std::to_string(n.last_ended.count());
    out += ",\"last_up_ms\":" + std::to_string(n.last_up.count());
  }
  if (n.next_attempt) out += ",\"next_attempt_ms\":" + std::to_string(n.next_attempt->count());
  out += ",\"up_ms\":" + std::to_string(n.up.count());
  out += ",\"waiting\":" + std::to_string(n.waiting);
  out += ",\"handled\":" + std::to_string(n.handled);
  out += n.supervisor ? ",\"supervisor\":true" : ",\"supervisor\":false";
  if (!n.failures.empty()) {
    out += ",\"failures\":[";
    for (std::size_t i = 0; i < n.failures.size(); ++i) {
      const child_failure& f = n.failures[i];
      text(i ? ",{\"id\":" : "{\"id\":", f.id);
      out += ",\"incarnation\":" + std::to_string(f.incarnation);
      text(",\"reason\":", f.reason);
      out += ",\"ms_ago\":" + std::to_string(f.ago.count());
      out += ",\"up_ms\":" + std::to_string(f.up.count()) + '}';
    }
    out += ']';
  }
  out += ",\"children\":[";
  for (std::size_t i = 0; i < n.children.size(); ++i) {
    if (i) out += ',';
    append_json(n.children[i], out);
  }
  out += "]}";
}

}  // namespace

tree_node as_tree_node(const child_info& child, const std::string& parent) {
  tree_node n;
  n.path = parent + '/' + child.id;
  n.kind = child.type;
  n.state = name(child.state);
  n.incarnation = child.incarnation;
  n.restarts = child.restarts;
  n.last_reason = child.last_reason;
  n.last_ended = child.last_ended;
  n.last_up = child.last_up;
  n.up = child.up;
  n.waiting = child.waiting;
  n.handled = child.handled;
  n.next_attempt = child.next_attempt;
  n.version = child.version;
  n.supervisor = child.kind == child_kind::supervisor;
  return n;
}

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
