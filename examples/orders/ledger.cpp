// SPDX-License-Identifier: BSD-3-Clause
#include "ledger.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace shop {

namespace {

constexpr std::string_view names[] = {"shipped", "refused", "lost"};
constexpr std::string_view before_line = "{\"line\":";
constexpr std::string_view before_outcome = "\"outcome\":\"";
constexpr std::size_t block_bytes = 64 * 1024;

/// Reads what `append` has written, and nothing else.
bool parse(std::string_view record, std::uint64_t& line, outcome& what) {
  if (!record.starts_with(before_line)) return false;
  record.remove_prefix(before_line.size());
  const auto read = std::from_chars(record.data(), record.data() + record.size(), line);
  if (read.ec != std::errc{}) return false;
  const auto at = record.find(before_outcome);
  if (at == std::string_view::npos) return false;
  record.remove_prefix(at + before_outcome.size());
  for (std::size_t i = 0; i < std::size(names); ++i) {
    if (!record.starts_with(names[i])) continue;
    what = static_cast<outcome>(i);
    return true;
  }
  return false;
}

/// The rest of a sentence; empty if nothing is wrong.
std::string problem_with(int file) {
  struct stat about {};
  if (::fstat(file, &about) != 0) return std::string{": "} + std::strerror(errno);
  if (!S_ISREG(about.st_mode))
    return " is not a regular file: shipping could not read back what it has written";
  if (about.st_size > 0) return " has records of another run in it: move it away or name another";
  return {};
}

}  // namespace

ledger::ledger(std::string path, broken when_broken)
    : path_(std::move(path)),
      when_broken_(std::move(when_broken)),
      file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (file_ < 0)
    throw std::runtime_error("cannot write the ledger " + path_ + ": " + std::strerror(errno));
  const std::string why = problem_with(file_);
  if (why.empty()) return;
  ::close(file_);
  throw std::runtime_error("the ledger " + path_ + why);
}

ledger::~ledger() { ::close(file_); }

void ledger::append(std::uint64_t line, std::string_view order, outcome what,
                    std::string_view reason) {
  std::string record{before_line};
  record += std::to_string(line);
  record += ",\"order\":\"";
  record += order;
  record += "\",";
  record += before_outcome;
  record += names[static_cast<std::size_t>(what)];
  if (!reason.empty()) {
    record += "\",\"reason\":\"";
    record += reason;
  }
  record += "\"}\n";

  if (broken_.load()) throw std::runtime_error("the ledger cannot be written any more");
  ssize_t written = 0;
  do {
    written = ::write(file_, record.data(), record.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(record.size())) return;

  const int code = written < 0 ? errno : ENOSPC;
  const std::string why = "cannot write the ledger " + path_ + ": " + std::strerror(code);
  if (!broken_.exchange(true)) when_broken_(why);
  throw std::runtime_error(why);
}

std::optional<outcome> ledger::find(std::uint64_t line) {
  std::lock_guard lock{guard_};
  read_on();
  return line < ends_.size() ? ends_[line] : std::nullopt;
}

totals ledger::count() {
  std::lock_guard lock{guard_};
  read_on();
  return totals_;
}

void ledger::read_on() {
  std::array<char, block_bytes> block;
  for (ssize_t got = block_bytes; got == block_bytes;) {
    got = ::pread(file_, block.data(), block.size(), read_);
    if (got < 0)
      throw std::runtime_error("cannot read the ledger " + path_ + ": " + std::strerror(errno));
    std::string_view rest{block.data(), static_cast<std::size_t>(got)};
    for (auto end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
      enter(rest.substr(0, end));
      rest.remove_prefix(end + 1);
      read_ += static_cast<std::int64_t>(end) + 1;
    }
  }
}

void ledger::enter(std::string_view record) {
  std::uint64_t line = 0;
  outcome what{};
  if (!parse(record, line, what)) return;
  if (line >= ends_.size()) ends_.resize(line + 1);
  ends_[line] = what;
  switch (what) {
    case outcome::shipped: ++totals_.shipped; break;
    case outcome::refused: ++totals_.refused; break;
    case outcome::lost: ++totals_.lost; break;
  }
}

}  // namespace shop
