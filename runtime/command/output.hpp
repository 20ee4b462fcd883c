// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What the nodes print, as lines with their names in front, on one terminal.
namespace coppice::command {

/// Cuts one node's bytes into lines and puts its name before each. A line beyond `longest` becomes
/// several. Plain.
class output_lines {
 public:
  static constexpr std::size_t longest = 8'192;

  /// `width` is that of the longest name; `colour` a number, its own for each node, -1: none.
  output_lines(std::string_view name, std::size_t width, int colour);

  /// Returns the lines that are complete now.
  std::string feed(std::string_view bytes);
  /// Returns the last line, which has no end.
  std::string rest();
  /// A line of our own about this node.
  std::string line(std::string_view text) const;

 private:
  void append(std::string& out, std::string_view text) const;

  std::string prefix_;
  bool coloured_;
  std::string partial_;
};

/// Standard output, which never makes its writer wait: lines that find no room because nobody
/// reads are left out, counted, and told. Nodes that log into a pipe must not stand still because
/// somebody has pressed Ctrl-S.
class console {
 public:
  static constexpr std::size_t capacity = std::size_t{1} << 20;

  explicit console(int descriptor);
  ~console();
  console(const console&) = delete;
  console& operator=(const console&) = delete;

  /// Whole lines.
  void put(std::string_view lines);
  /// Writes what can be written now.
  void flush();
  /// There is more: `flush` when this descriptor is writable.
  bool waiting() const noexcept { return !buffer_.empty(); }
  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
  bool own_ = false;
  std::size_t at_once_;
  bool broken_ = false;
  std::string buffer_;
  std::uint64_t left_out_ = 0;
};

/// Whether to colour what goes there: a terminal, and nothing in the environment against it.
bool wants_colours(int descriptor);

}  // namespace coppice::command
