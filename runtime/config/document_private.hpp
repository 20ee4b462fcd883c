// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// A TOML text as a plain tree in which everything knows its place. The only source that knows
/// toml++ is document.cpp.
namespace coppice::detail {

/// From 1; columns count characters, not bytes.
struct place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;

  bool operator<(const place& other) const {
    return line < other.line || (line == other.line && column < other.column);
  }
};

struct entry;
struct date_or_time {};

/// A value in the file. A table's entries stand in the order of the file.
struct item {
  place at{};
  std::variant<bool, std::int64_t, double, std::string, date_or_time, std::vector<item>,
               std::vector<entry>>
      is;
};

struct entry {
  std::string name;
  place at{};  ///< of the name
  item value;
};

struct document {
  std::vector<entry> entries{};
};

struct syntax_error {
  place at{};
  std::string what{};
};

/// Never throws for what is in the text. Bounded: values and names lie at most 8 deep.
std::variant<document, syntax_error> read_document(std::string_view text);

/// What `item` is, for people: `a whole number`, `a list`, ...
std::string_view kind_of(const item& of);

}  // namespace coppice::detail
