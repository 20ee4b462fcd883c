// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shop {

/// Reads lines from a file or from standard input in bounded memory: of a line that is longer
/// than permitted one byte too many is kept, and the rest thrown away.
class line_source {
 public:
  /// `-` is standard input. Throws std::runtime_error if the file cannot be opened.
  explicit line_source(const std::string& path);
  ~line_source();
  line_source(const line_source&) = delete;
  line_source& operator=(const line_source&) = delete;

  enum class found { line, nothing_yet, end };

  /// Reads the next line, without its newline. Waits for input for 50 ms at most, so that whoever
  /// calls can be stopped. Throws std::runtime_error if it cannot be read.
  found next(std::string& text);
  /// Which line was read last; they count from 1.
  std::uint64_t number() const { return number_; }

 private:
  bool take_line(std::string& text);
  bool read_more();

  std::string path_;
  int file_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  ///< what of the buffer has not been taken
  std::string line_;  ///< the beginning of the next line
  bool line_begun_ = false;
  bool at_end_ = false;
  std::uint64_t number_ = 0;
};

}  // namespace shop
