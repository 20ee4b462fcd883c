// SPDX-License-Identifier: BSD-3-Clause
#include "line_source.hpp"

#include "order.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace shop {

namespace {

constexpr std::size_t buffer_bytes = 64 * 1024;
constexpr int longest_wait_ms = 50;

[[noreturn]] void cannot_read(const std::string& path) {
  const std::string why = std::strerror(errno);
  throw std::runtime_error("cannot read " + (path == "-" ? "standard input" : path) + ": " + why);
}

}  // namespace

line_source::line_source(const std::string& path)
    : path_(path),
      file_(path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
      buffer_(buffer_bytes) {
  if (file_ < 0) cannot_read(path_);
}

line_source::~line_source() {
  if (file_ != STDIN_FILENO) ::close(file_);
}

line_source::found line_source::next(std::string& text) {
  while (!take_line(text)) {
    if (at_end_) return found::end;
    if (!read_more()) return found::nothing_yet;
  }
  ++number_;
  return found::line;
}

bool line_source::take_line(std::string& text) {
  const char* from = buffer_.data() + begin_;
  const char* to = buffer_.data() + end_;
  const char* newline = std::find(from, to, '\n');
  if (from != to) {
    line_begun_ = true;
    const auto size = static_cast<std::size_t>(newline - from);
    line_.append(from, std::min(size, longest_line + 1 - line_.size()));
  }
  begin_ = static_cast<std::size_t>(newline - buffer_.data());
  const bool complete = newline != to;
  if (complete) ++begin_;
  // What stands after the last newline is a line, too.
  if (!complete && !(at_end_ && line_begun_)) return false;
  text = std::exchange(line_, {});
  line_begun_ = false;
  return true;
}

bool line_source::read_more() {
  pollfd readable{file_, POLLIN, 0};
  if (::poll(&readable, 1, longest_wait_ms) == 0) return false;
  const ssize_t got = ::read(file_, buffer_.data(), buffer_.size());
  if (got < 0) {
    if (errno == EINTR || errno == EAGAIN) return false;
    cannot_read(path_);
  }
  begin_ = 0;
  end_ = static_cast<std::size_t>(got);
  if (got == 0) at_end_ = true;
  return true;
}

}  // namespace shop
