// SPDX-License-Identifier: BSD-3-Clause
/// Compares the shop's ledger with what the seed says must be in it. FORMAT.md describes both.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "scenario.hpp"

namespace {

constexpr std::size_t longest_record = 256;
constexpr std::size_t most_sentences = 10;

struct options {
  std::uint64_t seed = 0;
  std::uint64_t lines = 0;
  std::string ledger;
  bool expected = false;
};

struct record {
  std::uint64_t line = 0;
  std::string order;
  orders::ending end;
};

/// Foreign bytes made fit for a terminal, and short.
std::string shown(std::string_view text) {
  constexpr std::size_t limit = 60;
  std::string out = "\"";
  for (const char c : text.substr(0, limit)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > limit ? "...\"" : "\"");
}

/// Thrown for a ledger line that is not a record; says why.
struct not_a_record : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Reads one ledger line; throws `not_a_record`.
class record_reader {
 public:
  explicit record_reader(std::string_view text) : rest_(text) {}

  record read() {
    expect('{');
    do {
      const auto name = string();
      expect(':');
      field(name);
    } while (skip(','));
    expect('}');
    blanks();
    if (!rest_.empty()) throw not_a_record{"something follows the closing brace"};
    return finished();
  }

 private:
  void blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r"), rest_.size())); }

  bool skip(char wanted) {
    blanks();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char wanted) {
    if (!skip(wanted)) throw not_a_record{std::string{"'"} + wanted + "' is missing"};
  }

  std::string string() {
    expect('"');
    const auto end = rest_.find_first_of("\"\\");
    if (end == std::string_view::npos || rest_[end] == '\\') {
      throw not_a_record{"a string is not closed or has an escape in it"};
    }
    std::string out{rest_.substr(0, end)};
    rest_.remove_prefix(end + 1);
    return out;
  }

  std::uint64_t number() {
    blanks();
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (error != std::errc{}) throw not_a_record{"\"line\" is not a line number"};
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return out;
  }

  void field(const std::string& name) {
    const auto once = [&name](auto& place, auto value) {
      if (place) throw not_a_record{shown(name) + " is given twice"};
      place = std::move(value);
    };
    if (name == "line") once(line_, number());
    else if (name == "order") once(order_, string());
    else if (name == "outcome") once(outcome_, string());
    else if (name == "reason") once(reason_, string());
    else throw not_a_record{"it has an unknown field " + shown(name)};
  }

  record finished() const {
    if (!line_ || !order_ || !outcome_) {
      throw not_a_record{"\"line\", \"order\" or \"outcome\" is missing"};
    }
    const auto end = std::find_if(
        orders::endings.begin(), orders::endings.end(), [this](const orders::ending& known) {
          return known.outcome == *outcome_ && known.reason == reason_.value_or("") &&
                 known.reason.empty() != reason_.has_value();
        });
    if (end == orders::endings.end()) {
      throw not_a_record{"outcome " + shown(*outcome_) +
                         (reason_ ? " with reason " + shown(*reason_) : " without a reason") +
                         " is no known end"};
    }
    return {*line_, *order_, *end};
  }

  std::string_view rest_;
  std::optional<std::uint64_t> line_;
  std::optional<std::string> order_;
  std::optional<std::string> outcome_;
  std::optional<std::string> reason_;
};

std::string worded(const orders::ending& end) {
  std::string out{end.outcome};
  if (!end.reason.empty()) out.append(" (").append(end.reason).append(")");
  return out;
}

/// The books of one run: expected ends on one side, the ledger on the other.
class books {
 public:
  books(std::uint64_t seed, std::uint64_t lines) : run_(seed), recorded_in_(lines) {}

  /// Enters the ledger line with this number.
  void enter(std::uint64_t ledger_line, std::string_view text) {
    const auto where = "ledger line " + std::to_string(ledger_line);
    try {
      compare(record_reader{text}.read(), ledger_line, where);
    } catch (const not_a_record& why) {
      ++unreadable_;
      differ(where + " is not a record (" + why.what() + "): " + shown(text));
    }
  }

  /// Enters a last ledger line that has no newline: whether all of it was written is unknown.
  void enter_torn(std::uint64_t ledger_line, std::string_view text) {
    differ("the last line of the ledger, ledger line " + std::to_string(ledger_line) +
           ", is torn (no newline at its end) and does not count: " + shown(text));
  }

  /// Ends the comparison: looks for what the ledger does not have.
  void close() {
    for (std::uint64_t line = 1; line <= recorded_in_.size(); ++line) {
      const auto expected = run_.expected(line);
      ++expected_[index_of(expected.end)];
      if (recorded_in_[line - 1] != 0) continue;
      differ(named(line, expected.order) + " is missing: it should be " + worded(expected.end) +
             ", and the ledger has no record of it");
    }
  }

  void report(std::ostream& out) const {
    out << std::left << std::setw(10) << "outcome" << std::setw(18) << "reason" << std::right
        << std::setw(10) << "expected" << std::setw(10) << "ledger" << '\n';
    for (std::size_t i = 0; i < orders::endings.size(); ++i) {
      out << std::left << std::setw(10) << orders::endings[i].outcome << std::setw(18)
          << orders::endings[i].reason << std::right << std::setw(10) << expected_[i]
          << std::setw(10) << found_[i] << '\n';
    }
    if (differences_ == 0) {
      out << "The books balance: " << recorded_in_.size()
          << " lines, each recorded once and in its place.\n";
      return;
    }
    out << "The books do not balance: " << differences_
        << (differences_ == 1 ? " difference.\n" : " differences.\n");
    for (const auto& sentence : sentences_) out << "- " << sentence << '\n';
    if (differences_ > sentences_.size()) {
      out << "- and " << differences_ - sentences_.size() << " more\n";
    }
  }

  [[nodiscard]] int exit_code() const { return unreadable_ > 0 ? 2 : differences_ > 0 ? 1 : 0; }

 private:
  static std::size_t index_of(const orders::ending& end) {
    const auto place = std::find(orders::endings.begin(), orders::endings.end(), end);
    return static_cast<std::size_t>(place - orders::endings.begin());
  }

  static std::string named(std::uint64_t line, const std::string& order) {
    return "line " + std::to_string(line) + (order.empty() ? "" : " (order " + order + ")");
  }

  void compare(const record& found, std::uint64_t ledger_line, const std::string& where) {
    ++found_[index_of(found.end)];
    if (found.line < 1 || found.line > recorded_in_.size()) {
      differ(where + " records line " + std::to_string(found.line) +
             ", but the input has only lines 1 to " + std::to_string(recorded_in_.size()));
      return;
    }
    const auto expected = run_.expected(found.line);
    const auto name = named(found.line, expected.order);
    auto& first = recorded_in_[found.line - 1];
    if (first != 0) {
      differ(name + " is recorded more than once: in ledger line " + std::to_string(first) +
             " and again in ledger line " + std::to_string(ledger_line));
      return;
    }
    first = ledger_line;
    if (found.end != expected.end) {
      differ(name + " should be " + worded(expected.end) + ", but " + where + " says " +
             worded(found.end));
    }
    if (found.order != expected.order) {
      differ("line " + std::to_string(found.line) + " should name " +
             (expected.order.empty() ? "no order" : "order " + expected.order) + ", but " + where +
             " names " + (found.order.empty() ? "none" : shown(found.order)));
    }
  }

  void differ(std::string sentence) {
    if (++differences_ <= most_sentences) sentences_.push_back(std::move(sentence));
  }

  orders::scenario run_;
  std::vector<std::uint64_t> recorded_in_;  // the first ledger line of each input line, or 0
  std::array<std::uint64_t, orders::endings.size()> expected_{};
  std::array<std::uint64_t, orders::endings.size()> found_{};
  std::uint64_t differences_ = 0;
  std::uint64_t unreadable_ = 0;
  std::vector<std::string> sentences_;
};

/// Feeds the ledger to the books, holding one bounded line at a time.
void read_ledger(std::streambuf& in, books& all) {
  constexpr auto end_of_file = std::char_traits<char>::eof();
  std::uint64_t ledger_line = 1;
  std::string text;
  for (auto c = in.sbumpc(); c != end_of_file; c = in.sbumpc()) {
    if (c == '\n') {
      all.enter(ledger_line++, text);
      text.clear();
    } else if (text.size() <= longest_record) {
      text += std::char_traits<char>::to_char_type(c);
    }
  }
  if (!text.empty()) all.enter_torn(ledger_line, text);
}

void print_expected(const options& chosen) {
  const orders::scenario run{chosen.seed};
  for (std::uint64_t line = 1; line <= chosen.lines && std::cout; ++line) {
    const auto [order, end] = run.expected(line);
    std::cout << R"({"line":)" << line << R"(,"order":")" << order << R"(","outcome":")"
              << end.outcome << '"';
    if (!end.reason.empty()) std::cout << R"(,"reason":")" << end.reason << '"';
    std::cout << "}\n";
  }
}

int check(const options& chosen) {
  int code = 0;
  if (chosen.expected) {
    print_expected(chosen);
  } else {
    std::ifstream file;
    if (!std::filesystem::is_directory(chosen.ledger)) file.open(chosen.ledger, std::ios::binary);
    if (!file.is_open()) {
      std::cerr << "orders_check: cannot read the ledger " << chosen.ledger << '\n';
      return 2;
    }
    books all{chosen.seed, chosen.lines};
    read_ledger(*file.rdbuf(), all);
    all.close();
    all.report(std::cout);
    code = all.exit_code();
  }
  std::cout.flush();
  if (!std::cout) {
    std::cerr << "orders_check: cannot write to standard output\n";
    return 2;
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  CLI::App app{
      "Compares the ledger of the shop example with what the seed says must be in it.\n"
      "Exits 0 if the books balance, 1 if they differ, 2 if that cannot be told."};
  app.name("orders_check");
  options chosen;
  app.add_option("--seed", chosen.seed, "the seed the orders were generated from")
      ->required()
      ->check(orders::problem_with_seed);
  app.add_option("--lines", chosen.lines, "how many lines were generated")
      ->required()
      ->check(CLI::Range(std::uint64_t{1}, orders::most_lines));
  auto* ledger = app.add_option("--ledger", chosen.ledger, "the ledger to compare");
  app.add_flag("--expected", chosen.expected, "print the ledger as it should be instead")
      ->excludes(ledger);
  try {
    app.parse(argc, argv);
    if (!chosen.expected && chosen.ledger.empty()) throw CLI::RequiredError("--ledger");
    return check(chosen);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << "orders_check: " << error.what() << '\n';
    return 2;
  }
}
