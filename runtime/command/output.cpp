// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/output.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <utility>

namespace coppice::command {

namespace {

/// Cyan, yellow, green, magenta, blue, and the same brighter. No red: that is for errors.
constexpr int colours[] = {36, 33, 32, 35, 34, 96, 93, 92, 95, 94};
constexpr std::string_view plain_again = "\033[0m";

}  // namespace

output_lines::output_lines(std::string_view name, std::size_t width, int colour)
    : coloured_(colour >= 0) {
  if (coloured_) {
    const auto at = static_cast<std::size_t>(colour) % std::size(colours);
    prefix_ = "\033[" + std::to_string(colours[at]) + 'm';
  }
  prefix_ += name;
  prefix_.append(width - std::min(width, name.size()), ' ');
  prefix_ += " | ";
  if (coloured_) prefix_ += plain_again;
}

void output_lines::append(std::string& out, std::string_view text) const {
  if (text.ends_with('\r')) text.remove_suffix(1);
  out += prefix_;
  out += text;
  // A line that leaves a colour on would paint those of the others.
  if (coloured_ && text.find('\033') != std::string_view::npos) out += plain_again;
  out += '\n';
}

std::string output_lines::feed(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const std::size_t room = longest - partial_.size();
    const std::size_t taken = std::min({room, end, bytes.size()});
    partial_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    const bool whole = bytes.starts_with('\n');
    if (whole) bytes.remove_prefix(1);
    if (whole || partial_.size() == longest) append(out, std::exchange(partial_, {}));
  }
  return out;
}

std::string output_lines::rest() {
  std::string out;
  if (!partial_.empty()) append(out, std::exchange(partial_, {}));
  return out;
}

std::string output_lines::line(std::string_view text) const {
  std::string out;
  append(out, text);
  return out;
}

// ---- the console ------------------------------------------------------------------------------

/// A terminal or a pipe is opened once more: its flags belong to all who share it, the shell among
/// them, and must stay as they are. A file never makes its writer wait.
console::console(int descriptor) : descriptor_(descriptor), at_once_(capacity) {
  struct stat what {};
  if (::fstat(descriptor, &what) != 0 || S_ISREG(what.st_mode)) return;
  const std::string name = "/proc/self/fd/" + std::to_string(descriptor);
  const int again = ::open(name.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  own_ = again >= 0;
  if (own_) descriptor_ = again;
  else at_once_ = 512;  // a socket, most likely; when it is writable so much will not block
}

console::~console() {
  if (own_) ::close(descriptor_);
}

void console::put(std::string_view lines) {
  if (lines.empty() || broken_) return;
  if (buffer_.size() + lines.size() > capacity) {
    left_out_ += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
    return;
  }
  if (left_out_ > 0)
    buffer_ += "(" + std::to_string(std::exchange(left_out_, 0)) +
               " lines were left out here: they came faster than they were read)\n";
  buffer_ += lines;
}

void console::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    pollfd writable{descriptor_, POLLOUT, 0};
    if (::poll(&writable, 1, 0) <= 0) break;
    const std::size_t size = std::min(buffer_.size() - done, at_once_);
    const ssize_t wrote = ::write(descriptor_, buffer_.data() + done, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) break;
    if (wrote < 0) {  // nobody will ever read it; the nodes go on
      broken_ = true;
      done = buffer_.size();
      break;
    }
    done += static_cast<std::size_t>(wrote);
  }
  buffer_.erase(0, done);
}

bool wants_colours(int descriptor) {
  const char* no = std::getenv("NO_COLOR");                // NOLINT(concurrency-mt-unsafe)
  const char* terminal = std::getenv("TERM");              // NOLINT(concurrency-mt-unsafe)
  const bool dumb = terminal && std::string_view{terminal} == "dumb";
  return ::isatty(descriptor) == 1 && !(no && *no) && !dumb;
}

}  // namespace coppice::command
