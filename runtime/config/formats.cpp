// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/formats.hpp>

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace coppice::detail {

namespace {

constexpr std::size_t longest_name = 63;  // of a DNS label, which a certificate's name consists of
constexpr std::size_t longest_host = 253;
constexpr std::size_t longest_unix_path = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::string_view unix_prefix = "unix:";

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string has(char c) {
  if (control(c) || static_cast<unsigned char>(c) >= 0x80) return "it has a character that may not";
  return std::string{"'"} + c + "' may not stand in it";
}

// ---- names ------------------------------------------------------------------------------------

std::string check_name(std::string_view text) {
  if (text.empty()) return "it is empty";
  if (text.size() > longest_name) return "it has " + std::to_string(text.size()) + " characters";
  for (const char c : text)
    if (!letter(c) && !digit(c) && c != '-') return has(c);
  if (text.front() == '-' || text.back() == '-') return "it begins or ends with '-'";
  return {};
}

std::string check_label(std::string_view text) {
  if (text.empty()) return "it is empty";
  if (text.size() > longest_name) return "it has " + std::to_string(text.size()) + " characters";
  for (const char c : text)
    if (!letter(c) && !digit(c) && c != '-' && c != '_' && c != '.') return has(c);
  return {};
}

std::string check_free(std::string_view text) {
  return text.find('\0') == std::string_view::npos ? "" : "it has a zero byte";
}

// ---- files ------------------------------------------------------------------------------------

std::string check_path(std::string_view text) {
  if (text.find("-----BEGIN") != std::string_view::npos)
    return "holds a key or a certificate itself";
  if (std::any_of(text.begin(), text.end(), control)) return "has a control character";
  return {};
}

std::string check_path_per_node(std::string_view text) {
  if (std::string wrong = check_path(text); !wrong.empty()) return wrong;
  for (std::size_t open = text.find('{'); open != std::string_view::npos;
       open = text.find('{', open + 1))
    if (!text.substr(open).starts_with("{node}"))
      return "has a '{' that does not begin \"{node}\", the only thing that is replaced";
  return {};
}

// ---- addresses --------------------------------------------------------------------------------

template <class Address>
bool is_address(int family, const std::string& host) {
  Address binary;
  return ::inet_pton(family, host.c_str(), &binary) == 1;
}

std::string check_host(std::string_view host) {
  if (host.empty()) return "it has no host before the ':'";
  if (host.size() > longest_host)
    return "its host has " + std::to_string(host.size()) + " characters";
  const bool numeric =
      std::all_of(host.begin(), host.end(), [](char c) { return digit(c) || c == '.'; });
  if (numeric)
    return is_address<in_addr>(AF_INET, std::string{host})
               ? ""
               : "its host is no IPv4 address, four numbers from 0 to 255";
  const char* const what = "its host is no name of letters, digits, '-' and '.'";
  char before = '.';
  for (const char c : host) {
    if (!letter(c) && !digit(c) && c != '-' && c != '.') return what;
    if (before == '.' && (c == '.' || c == '-')) return what;
    before = c;
  }
  return before == '-' ? what : "";
}

std::string check_port(std::string_view text) {
  unsigned port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  if (!whole || port < 1 || port > 65'535 || text.front() == '0')
    return "its port is no number from 1 to 65535";
  return {};
}

/// Splits at the colon before the port; empty: there is none, or an IPv6 address without brackets.
struct split_address {
  std::string_view host, port;
  bool bracketed = false;
  std::string wrong{};
};

split_address split(std::string_view text) {
  split_address out;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      out.wrong = "its '[' is not closed";
    } else if (close + 1 >= text.size() || text[close + 1] != ':') {
      out.wrong = "it has no port behind the ']'";
    } else {
      out.host = text.substr(1, close - 1);
      out.port = text.substr(close + 2);
      out.bracketed = true;
    }
    return out;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    out.wrong = "it has no port";
  } else if (text.find(':') != colon) {
    out.wrong = "an IPv6 address stands in brackets, as in \"[::1]:7101\"";
  } else {
    out.host = text.substr(0, colon);
    out.port = text.substr(colon + 1);
  }
  return out;
}

std::string check_host_and_port(std::string_view text) {
  if (text.find("://") != std::string_view::npos) return "it is a URL";
  const split_address parts = split(text);
  if (!parts.wrong.empty()) return parts.wrong;
  if (parts.bracketed) {
    if (!is_address<in6_addr>(AF_INET6, std::string{parts.host}))
      return "what stands in brackets is no IPv6 address";
  } else if (std::string wrong = check_host(parts.host); !wrong.empty()) {
    return wrong;
  }
  return check_port(parts.port);
}

std::string check_peer_address(std::string_view text) {
  if (text.starts_with(unix_prefix)) {
    const std::string_view path = text.substr(unix_prefix.size());
    if (!path.starts_with('/')) return "the path of its socket does not begin with '/'";
    if (path.size() > longest_unix_path)
      return "the path of its socket has " + std::to_string(path.size()) +
             " bytes, where the system takes " + std::to_string(longest_unix_path);
    if (std::any_of(path.begin(), path.end(), control)) return "it has a control character";
    return {};
  }
  if (std::string wrong = check_host_and_port(text); !wrong.empty()) return wrong;
  if (endpoint_of(text)->wildcard())
    return "a node may listen there, but its peers cannot reach it there";
  return {};
}

// ---- patterns ---------------------------------------------------------------------------------

std::string check_path_pattern(std::string_view text) {
  if (!text.starts_with('/')) return "it does not begin with '/'";
  if (std::any_of(text.begin(), text.end(), control)) return "it has a control character";
  for (std::size_t at = 1; at <= text.size();) {
    const std::size_t end = std::min(text.find('/', at), text.size());
    const std::string_view segment = text.substr(at, end - at);
    if (segment.empty()) return "a segment of it is empty";
    if (segment == "**" && end < text.size()) return "\"**\" may only be the last segment";
    if (segment != "**" && segment != "*" && segment.find('*') != std::string_view::npos)
      return "'*' stands for a whole segment, never for a part of one";
    at = end + 1;
  }
  return {};
}

std::string check_event_pattern(std::string_view text) {
  if (text.empty()) return "it is empty";
  const std::string_view exact = text == "*"            ? std::string_view{}
                                 : text.ends_with(".*") ? text.substr(0, text.size() - 2)
                                                        : text;
  if (exact.find('*') != std::string_view::npos)
    return "'*' may only stand at its end, behind a '.'";
  if (exact.empty() && text != "*") return "there is no name before the '.'";
  const auto unfit = [](char c) { return control(c) || c == ' ' || c == '"'; };
  if (std::any_of(exact.begin(), exact.end(), unfit))
    return "it has a space, a quote or a control character";
  return {};
}

// ---- secrets ----------------------------------------------------------------------------------

constexpr std::string_view env_prefix = "env:";
constexpr std::string_view file_prefix = "file:";

std::string check_secret(std::string_view text) {
  if (text.starts_with(env_prefix)) {
    const std::string_view name = text.substr(env_prefix.size());
    const auto fits = [](char c) { return letter(c) || digit(c) || c == '_'; };
    if (name.empty() || digit(name.front()) || !std::all_of(name.begin(), name.end(), fits))
      return "names no environment variable: letters, digits and '_', no digit first";
    return {};
  }
  if (text.starts_with(file_prefix)) {
    const std::string_view path = text.substr(file_prefix.size());
    if (path.empty()) return "names no file";
    return check_path(path);
  }
  return "holds the secret itself, which may not stand in this file";
}

}  // namespace

const format free_text{
    .expected = "a text without zero bytes", .check = check_free, .quotable = false};
const format node_name{
    .expected = "1 to 63 letters, digits and '-', which stands neither first nor last",
    .check = check_name};
const format label{.expected = "1 to 63 letters, digits, '-', '_' and '.'", .check = check_label};
const format file_path{
    .expected = "the path of a file", .check = check_path, .quotable = false, .is_file = true};
const format file_path_per_node{.expected = "the path of a file, {node} stands for the node's name",
                                .check = check_path_per_node,
                                .quotable = false,
                                .is_file = true};
const format program_path{.expected = "the path of a program, or its name to be found in PATH",
                          .check = check_path,
                          .quotable = false,
                          .is_file = true};
const format peer_address{.expected = "\"host:port\" or \"unix:/path\"",
                          .check = check_peer_address};
const format host_and_port{.expected = "\"host:port\"", .check = check_host_and_port};
const format path_pattern{
    .expected =
        "a path of actors such as \"/orders/stock\", where '*' stands for any one segment "
        "and \"**\" at the end for any number of them",
    .check = check_path_pattern};
const format event_pattern{
    .expected = "an event's name, a beginning of one as in \"shop.*\", or \"*\" for all",
    .check = check_event_pattern};
const format secret_reference{.expected = "where it is to be found: \"env:NAME\" or \"file:PATH\"",
                              .check = check_secret,
                              .quotable = false};

bool endpoint::loopback() const {
  const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
  return !unix_path.empty() || host == "::1" || (numeric && host.starts_with("127."));
}

bool endpoint::wildcard() const { return host == "0.0.0.0" || host == "::"; }

std::optional<endpoint> endpoint_of(std::string_view text) {
  endpoint out;
  if (text.starts_with(unix_prefix)) {
    out.unix_path = text.substr(unix_prefix.size());
    return out;
  }
  if (!check_host_and_port(text).empty()) return std::nullopt;
  const split_address parts = split(text);
  std::from_chars(parts.port.data(), parts.port.data() + parts.port.size(), out.port);
  out.host = parts.host;
  if (parts.bracketed) {
    in6_addr binary;
    std::array<char, INET6_ADDRSTRLEN> spelled{};
    if (::inet_pton(AF_INET6, out.host.c_str(), &binary) == 1 &&
        ::inet_ntop(AF_INET6, &binary, spelled.data(), spelled.size()))
      out.host = spelled.data();
  } else {
    for (char& c : out.host)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (out.host.ends_with('.')) out.host.pop_back();
    if (out.host == "localhost") out.host = "127.0.0.1";
  }
  return out;
}

secret secret_of(std::string_view text) {
  if (text.starts_with(env_prefix))
    return {secret::source::environment, std::string{text.substr(env_prefix.size())}};
  if (text.starts_with(file_prefix))
    return {secret::source::file, std::string{text.substr(file_prefix.size())}};
  return {};
}

std::string reference_to(const secret& where) {
  switch (where.from) {
    case secret::source::environment: return std::string{env_prefix} + where.of;
    case secret::source::file: return std::string{file_prefix} + where.of;
    case secret::source::none: break;
  }
  return {};
}

}  // namespace coppice::detail
