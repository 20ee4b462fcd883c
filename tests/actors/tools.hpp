// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <coppice/actors/testing/executor.hpp>
#include <coppice/actors/testing/probe.hpp>

/// What several tests of actors share: seeds, a record of what happened in which order, and an
/// observer that keeps what it is told.
namespace tools {

/// The order of what is ready is drawn from these; what a test claims holds for each.
inline constexpr std::uint64_t seeds[] = {1, 2, 3, 4, 5, 6, 7, 8};

/// What happened, in order; shared by a test and its actors.
class record {
 public:
  void add(std::string what) const { lines_->push_back(std::move(what)); }
  std::size_t size() const { return lines_->size(); }
  void clear() const { lines_->clear(); }
  std::string text() const {
    std::string all;
    for (const std::string& line : *lines_) all += (all.empty() ? "" : ", ") + line;
    return all;
  }

 private:
  std::shared_ptr<std::vector<std::string>> lines_ = std::make_shared<std::vector<std::string>>();
};

/// Enters its name into a record when it is destroyed; one that was moved from does not.
class tracer {
 public:
  tracer(record to, std::string what) : to_(std::move(to)), what_(std::move(what)) {}
  tracer(tracer&& other) noexcept
      : to_(other.to_), what_(std::exchange(other.what_, std::string{})) {}
  tracer& operator=(tracer&&) = delete;
  ~tracer() {
    if (!what_.empty()) to_.add(what_);
  }

 private:
  record to_;
  std::string what_;
};

/// Longer than what a string keeps in itself, so that a second destruction or a leak shows.
inline std::string long_text(const std::string& end = {}) {
  return "a text that is longer than what a string keeps inside itself " + end;
}

struct observed : coppice::observer {
  std::vector<coppice::dead_letter> letters;
  std::vector<std::string> orphans;
  void on_dead_letter(const coppice::dead_letter& x) noexcept override { letters.push_back(x); }
  void on_orphan(const std::string& path, const std::string& why) noexcept override {
    orphans.push_back(path + " " + why);
  }
};

inline std::uint64_t dead(coppice::system& s, coppice::dead_letter_reason why) {
  return s.dead_letters()[static_cast<std::size_t>(why)];
}

}  // namespace tools
