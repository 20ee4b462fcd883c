// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace shop {

enum class outcome : std::uint8_t { shipped, refused, lost };

struct totals {
  std::uint64_t shipped, refused, lost;
};

/// The file of outcomes, see FORMAT.md. Shared by shipping and audit: each record is one write in
/// append mode, so that none lies inside another. Thread-safe.
///
/// What has been written is known from the file alone, so that a worker may crash at any moment.
/// As the file only grows, each question reads no more than what was appended since the last one:
/// reading all of it at each restart would take longer and longer.
class ledger {
 public:
  /// Called once, when a record could not be written, with a sentence.
  using broken = std::function<void(const std::string& why)>;

  /// Makes the file. One that has something in it already is refused, because these would be the
  /// books of another run. Throws std::runtime_error.
  ledger(std::string path, broken when_broken);
  ~ledger();
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;

  /// Writes a record. Throws std::runtime_error if it could not: after that nothing is written
  /// any more, so that half a record can only be the last one.
  void append(std::uint64_t line, std::string_view order, outcome what, std::string_view reason);

  /// How the line has ended, if the file says so. Throws std::runtime_error if it cannot be read.
  std::optional<outcome> find(std::uint64_t line);
  /// How many lines have ended how.
  totals count();

 private:
  void read_on();
  void enter(std::string_view record);

  const std::string path_;
  const broken when_broken_;
  const int file_;
  std::atomic<bool> broken_{false};

  std::mutex guard_;  ///< for what follows
  std::int64_t read_ = 0;  ///< bytes of whole records
  std::vector<std::optional<outcome>> ends_;  ///< by line
  totals totals_{};
};

}  // namespace shop
