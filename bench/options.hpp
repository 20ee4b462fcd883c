// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <charconv>
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

/// The command line of the bench.
namespace coppice::bench {

using strings = std::vector<std::string>;

/// What was asked for.
struct options {
  int rounds = 5;
  strings rows;  // empty: all
  std::string json;
  bool list = false;
  std::chrono::seconds timeout{120};
  std::chrono::seconds slow_receiver{60};
};

inline constexpr const char* usage =
    "usage: coppice_bench [--rounds N] [--rows a,b,...] [--json FILE] [--timeout SECONDS] "
    "[--slow-receiver SECONDS] [--list]\n";

/// The command line was wrong: its text is for the user.
struct bad_command_line : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline int positive_number(const std::string& option, const std::string& text) {
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 1 || number > 100'000)
    throw bad_command_line(option + " needs a whole number from 1 to 100000, not '" + text + "'");
  return number;
}

/// The parts between separators, empty ones left out.
inline strings split(const std::string& text, char separator) {
  strings parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

/// Reads the command line; throws `bad_command_line`.
inline options parse(int argc, char** argv) {
  options chosen;
  for (int i = 1; i < argc; ++i) {
    std::string option = argv[i];
    auto value = [&]() -> std::string {
      if (++i == argc) throw bad_command_line(option + " needs a value");
      return argv[i];
    };
    if (option == "--rounds") {
      chosen.rounds = positive_number(option, value());
    } else if (option == "--rows") {
      chosen.rows = split(value(), ',');
      if (chosen.rows.empty()) throw bad_command_line("--rows needs names separated by commas");
    } else if (option == "--json") {
      chosen.json = value();
    } else if (option == "--timeout") {
      chosen.timeout = std::chrono::seconds(positive_number(option, value()));
    } else if (option == "--slow-receiver") {
      chosen.slow_receiver = std::chrono::seconds(positive_number(option, value()));
    } else if (option == "--list") {
      chosen.list = true;
    } else {
      throw bad_command_line("unknown argument '" + option + "'");
    }
  }
  return chosen;
}

}  // namespace coppice::bench
