// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/config/config.hpp>
#include <coppice/runtime/config/document_private.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What is known while a cluster file is read: the config so far, where each key stands, and all
/// mistakes, which are told together at the end.
namespace coppice::detail {

class problems {
 public:
  explicit problems(std::string_view file) : file_(file) {}

  void add(place at, std::string what);
  bool none() const { return count_ == 0; }
  /// So many that further ones need not be put into words: `add` with any text will do.
  bool plenty() const { return found_.size() >= most_kept; }
  /// One line each, in the order of the file, `most_config_errors` at most.
  std::string text() const;

 private:
  static constexpr std::size_t most_kept = 1'000;

  std::string file_;
  std::vector<std::pair<place, std::string>> found_;
  std::size_t count_ = 0;
};

class reading {
 public:
  explicit reading(std::string_view file) : wrong(file) {}

  cluster_config config{};
  problems wrong;

  /// `path` is a section or a key, `limits` or `limits.ack_every_ms`; `at` counts the entries of
  /// a repeated section. A bad value is not in the config.
  void stands(const std::string& path, std::size_t at, place where, bool good = true) {
    keys_[{path, at}] = {where, good};
  }
  /// Where it stands in the file, if it does.
  std::optional<place> where(const std::string& path, std::size_t at = 0) const {
    const auto found = keys_.find({path, at});
    if (found == keys_.end()) return std::nullopt;
    return found->second.first;
  }
  /// Where to point for a key that may be missing: itself, else its section, else the beginning.
  place nearest_place(const std::string& path, std::size_t at = 0) const {
    if (const auto self = where(path, at)) return *self;
    return where(path.substr(0, path.find('.')), at).value_or(place{});
  }
  /// True: a mistake in it has been told already, so that it is no use to judge it further.
  bool bad(const std::string& path, std::size_t at = 0) const {
    const auto found = keys_.find({path, at});
    return found != keys_.end() && !found->second.second;
  }

 private:
  std::map<std::pair<std::string, std::size_t>, std::pair<place, bool>> keys_;
};

/// Reads all of the document; mistakes go to `into.wrong`. See `parse_config` for `folder`.
void read_into(reading& into, const document& from, std::string_view folder);

/// What no single key can say: what must be there together, must differ, or be in an order.
void check_rules(reading& of);

}  // namespace coppice::detail
