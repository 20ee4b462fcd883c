// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/text_private.hpp>

#include <boost/json.hpp>
#include <boost/locale/utf.hpp>

namespace coppice::http {

namespace {

/// Takes one character off the front of `text`. False: what was taken is none.
bool take_character(std::string_view& text) {
  using utf8 = boost::locale::utf::utf_traits<char>;
  const char* at = text.data();
  const auto code = utf8::decode(at, text.data() + text.size());
  const bool good = boost::locale::utf::is_valid_codepoint(code);
  text.remove_prefix(good ? static_cast<std::size_t>(at - text.data()) : 1);
  return good;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty())
    if (!take_character(text)) return false;
  return true;
}

std::string to_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::string_view before = text;
    if (take_character(text)) out += before.substr(0, before.size() - text.size());
    else out += "\xef\xbf\xbd";
  }
  return out;
}

std::string error_body(std::string_view error, std::string_view hint) {
  boost::json::object body;
  body["error"] = to_utf8(error);
  if (!hint.empty()) body["hint"] = to_utf8(hint);
  return boost::json::serialize(body) + '\n';
}

}  // namespace coppice::http
