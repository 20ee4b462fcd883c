// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/metrics.hpp>
#include <coppice/runtime/http/text_private.hpp>

#include <charconv>
#include <cmath>

namespace coppice::http {

namespace {

std::string as_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    if (digit && name.empty()) name += '_';
    name += letter || digit ? c : '_';
  }
  return name.empty() ? "_" : name;
}

std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : to_utf8(text)) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quotes) out += "\\\"";
    else out += c;
  }
  return out;
}

std::string as_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return {digits, end};
}

}  // namespace

std::string to_prometheus(const std::vector<metric>& metrics) {
  std::string out;
  for (const metric& m : metrics) {
    if (m.samples.empty()) continue;
    const std::string name = as_name(m.name);
    out += "# HELP " + name + ' ' + escaped(m.help, false) + '\n';
    out += "# TYPE " + name + (m.type == metric_type::counter ? " counter\n" : " gauge\n");
    for (const sample& s : m.samples) {
      out += name;
      for (std::size_t i = 0; i < s.labels.size(); ++i) {
        out += i == 0 ? '{' : ',';
        out += as_name(s.labels[i].first) + "=\"" + escaped(s.labels[i].second, true) + '"';
      }
      out += s.labels.empty() ? " " : "} ";
      out += as_number(s.value) + '\n';
    }
  }
  return out;
}

}  // namespace coppice::http
