// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <random>
#include <sstream>
#include <vector>

using namespace coppice;

namespace {

/// One random change after another, drawn from `random`.
class mutator {
 public:
  mutator(std::uint64_t seed, std::string from) : random_(seed), from_(std::move(from)) {
    std::istringstream in{from_};
    for (std::string line; std::getline(in, line);) lines_.push_back(line);
  }

  std::string next() {
    std::string text = from_;
    for (std::size_t n = 1 + below(3); n > 0; --n) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t n) { return n ? random_() % n : 0; }

  void change(std::string& text) {
    static constexpr std::string_view pieces[] = {"\"",         "'",        "\"\"\"",
                                                  "'''",        "[",        "]",
                                                  "[[",         "]]",       "{",
                                                  "}",          "=",        ".",
                                                  ",",          "#",        "\n",
                                                  "\r\n",       "\\u",      "\\",
                                                  "-1",         "0x",       "1e9",
                                                  "nan",        "inf",      "true",
                                                  "1979-05-27", "07:32:00", "99999999999999999999",
                                                  "{node}",     "env:",     "file:",
                                                  "unix:/",     "[::]:1",   "**",
                                                  "\xff",       "\xc3\xb6", "\x01"};
    const std::size_t at = below(text.size() + 1);
    switch (below(7)) {
      case 0: text.erase(at, 1 + below(8)); break;
      case 1: text.insert(at, pieces[below(std::size(pieces))]); break;
      case 2: text.insert(at, 1, static_cast<char>(below(256))); break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1u << below(8)));
        break;
      case 4: text.insert(line_begin(text, at), lines_[below(lines_.size())] + '\n'); break;
      case 5: {
        const std::size_t begin = line_begin(text, at);
        text.erase(begin, text.find('\n', begin) - begin);
        break;
      }
      default: text.resize(at); break;
    }
  }
  static std::size_t line_begin(const std::string& text, std::size_t at) {
    const std::size_t found = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
    return found == std::string::npos ? 0 : found + 1;
  }

  std::mt19937_64 random_;
  std::string from_;
  std::vector<std::string> lines_;
};

}  // namespace

TEST_CASE("no mutation of a whole file crashes, and each wrong one is told where it is wrong") {
  const char* soak = std::getenv("COPPICE_SOAK");
  const int rounds = soak && *soak == '1' ? 1'000'000 : 100'000;
  constexpr std::uint64_t seed = 20'240'501;
  mutator mutate{seed, tools::reference_with_examples()};
  int good = 0, bad = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string text = mutate.next();
    const auto read = parse_config(text, "m");
    if (read) {
      ++good;
      // What was read can be told and read again.
      if (digest(*read) == 0) CHECK(!canonical(*read).empty());
      continue;
    }
    ++bad;
    const std::string& said = read.error().why()->what;
    if (said.starts_with("m:") && said.size() < 20'000) continue;
    CAPTURE(i);
    CAPTURE(text);
    FAIL(said);
  }
  CHECK(good > rounds / 100);
  CHECK(bad > rounds / 2);
}
