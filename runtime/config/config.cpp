// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/config.hpp>

#include <coppice/runtime/config/document_private.hpp>
#include <coppice/runtime/config/reading_private.hpp>
#include <coppice/runtime/config/text_private.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace coppice {

namespace {

error refused(std::string text) { return error{errc::invalid, std::move(text)}; }

detail::place place_at(std::string_view text, std::size_t offset) {
  detail::place at;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') ++at.line, at.column = 1;
    else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) ++at.column;
  }
  return at;
}

constexpr std::string_view where_to_begin =
    "expected at least [cluster] and [[node]]; `coppice config reference` prints a complete file";

}  // namespace

result<cluster_config> parse_config(std::string_view text, std::string_view name,
                                    std::string_view folder) {
  using namespace detail;
  const std::string file{name};
  if (text.size() > most_config_bytes)
    return refused(file + ": the file has more than " + std::to_string(most_config_bytes) +
                   " bytes; expected a cluster file, which needs a tenth of that");
  reading into{name};
  if (const std::size_t bad = first_not_utf8(text); bad < text.size()) {
    into.wrong.add(place_at(text, bad), "a byte that is not UTF-8; expected the file in UTF-8");
    return refused(into.wrong.text());
  }
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return refused(file + ": the file is empty; " + std::string{where_to_begin});
  const auto parsed = read_document(text);
  if (const auto* wrong = std::get_if<syntax_error>(&parsed)) {
    into.wrong.add(wrong->at, wrong->what + " (the rest of the file was not looked at)");
    return refused(into.wrong.text());
  }
  read_into(into, std::get<document>(parsed), folder);
  if (!into.wrong.none()) return refused(into.wrong.text());
  return std::move(into.config);
}

result<cluster_config> read_config(const std::string& path) {
  using namespace detail;
  const auto failed = [&path](int why) {
    return refused(path + ": the file cannot be read: " + std::generic_category().message(why));
  };
  struct descriptor {
    int number;
    ~descriptor() {
      if (number >= 0) ::close(number);
    }
  } const file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) return failed(errno);
  struct stat about {};
  if (::fstat(file.number, &about) != 0) return failed(errno);
  if (S_ISDIR(about.st_mode)) return refused(path + ": this is a directory; expected a file");
  if (!S_ISREG(about.st_mode))
    return refused(path + ": this is a pipe, socket or device; expected a plain file");

  std::string text(most_config_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.number, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  const std::size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? std::string{} : path.substr(0, std::max<std::size_t>(1, slash));
  return parse_config(text, path, folder);
}

result<node_config> node_named(const cluster_config& config, std::string_view name) {
  using namespace detail;
  std::vector<std::string_view> names;
  std::vector<std::string> quoted_names;
  for (const node_config& node : config.nodes) {
    if (node.name == name) return node;
    names.push_back(node.name);
    if (quoted_names.size() < most_config_errors) quoted_names.push_back(quoted(node.name));
  }
  const auto near = nearest(name, names);
  return refused("the cluster has no node " + shortened(name) +
                 (near ? "; did you mean " + quoted(*near) + '?'
                       : "; its nodes are " + listed(quoted_names, "and")));
}

std::string for_node(std::string_view text, std::string_view node) {
  constexpr std::string_view mark = "{node}";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = text.find(mark, at);
    out += text.substr(at, next - at);
    if (next == std::string_view::npos) break;
    out += node;
    at = next + mark.size();
  }
  return out;
}

}  // namespace coppice
