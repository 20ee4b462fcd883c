// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace shop {

enum class outcome : std::uint8_t { shipped, refused, lost };

/// The file of outcomes, see FORMAT.md. Shared by shipping and audit: each record is one write in
/// append mode, so that none lies inside another. Thread-safe.
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

  /// Calls `f` with each record written so far. Throws std::runtime_error.
  void read_back(const std::function<void(std::uint64_t line, outcome what)>& f) const;

 private:
  std::string path_;
  broken when_broken_;
  int file_;
  std::atomic<bool> broken_{false};
};

}  // namespace shop
