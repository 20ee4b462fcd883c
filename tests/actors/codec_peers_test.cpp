// SPDX-License-Identifier: BSD-3-Clause
// Our codec against an independent implementation of MessagePack: codec_peers_test.py.

#include <bit>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>

#include <doctest/doctest.h>

#include "codec_events.hpp"
#include "codec_tools.hpp"

using namespace codec_events;
using namespace codec_tools;
using namespace coppice::detail;

namespace {

constexpr std::uint64_t seed = 20'240'601;
constexpr int values = 10'000, events = 2000;

/// Runs the other implementation; what it prints.
std::string python(const std::string& arguments) {
  const std::string command =
      "/usr/bin/python3 " COPPICE_SOURCE_DIR "/tests/actors/codec_peers_test.py " + arguments;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe{popen(command.c_str(), "r"), pclose};
  std::string all;
  char block[65'536];
  while (const std::size_t n = std::fread(block, 1, sizeof block, pipe.get())) all.append(block, n);
  return all;
}

/// The next piece of `rest` up to `stop`, which is taken too.
std::string_view next(std::string_view& rest, char stop) {
  const auto n = rest.find(stop);
  const std::string_view piece = rest.substr(0, n);
  rest.remove_prefix(n == rest.npos ? rest.size() : n + 1);
  return piece;
}

template <class T>
T number(std::string_view text, int base = 10) {
  T x{};
  std::from_chars(text.data(), text.data() + text.size(), x, base);
  return x;
}

/// Whether the next value is what the token says; see the script for the tokens.
bool matches(reader& from, std::string_view token) {
  const char kind = token.front();
  token.remove_prefix(1);
  bool flag = false;
  std::string_view text;
  std::span<const std::byte> blob;
  std::size_t n = 0;
  double real = 0;
  switch (kind) {
    case 'n': return from.nil();
    case 't': return from.boolean(flag) && flag;
    case 'f': return from.boolean(flag) && !flag;
    case 'd':
      return from.real(real) &&
             std::bit_cast<std::uint64_t>(real) == number<std::uint64_t>(token, 16);
    case 's': return from.text(text) && hex(std::as_bytes(std::span(text))) == token;
    case 'b': return from.bytes(blob) && hex(blob) == token;
    case 'A': return from.array(n) && n == number<std::size_t>(token);
    case 'M': return from.map(n) && n == number<std::size_t>(token);
    default: break;
  }
  if (token.front() == '-') {
    std::int64_t x = 0;
    return from.integer(x) && x == number<std::int64_t>(token);
  }
  std::uint64_t x = 0;
  return from.unsigned_integer(x) && x == number<std::uint64_t>(token);
}

bool matches(std::span<const std::byte> content, std::string_view tokens) {
  reader from{content, 0};
  while (!tokens.empty())
    if (!matches(from, next(tokens, ','))) return false;
  return from.at_end();
}

/// Writes a random value, and what it is.
class random_value {
 public:
  random_value(dice& d, writer& to) : dice_(d), to_(to) {}

  std::string run() {
    any(0);
    what_.pop_back();
    return what_;
  }

 private:
  void add(const std::string& token) { what_ += token + ','; }
  void any(int depth) {
    const auto kind = dice_.number(depth > 6 ? 8 : 14);
    if (kind < 8) return scalar(kind);
    const auto n = dice_.length();
    if (kind < 11) {
      add("A" + std::to_string(n));
      to_.array(n);
      for (std::size_t i = 0; i < n; ++i) any(depth + 1);
      return;
    }
    add("M" + std::to_string(n));
    to_.map(n);
    for (std::size_t i = 0; i < n; ++i) {
      text(std::to_string(i));
      any(depth + 1);
    }
  }
  void scalar(std::uint64_t kind) {
    switch (kind) {
      case 0: return to_.nil(), add("n");
      case 1: return to_.boolean(true), add("t");
      case 2: return to_.boolean(false), add("f");
      case 3: {
        const auto x = dice_.drawn<std::int64_t>();
        return to_.integer(x), add("i" + std::to_string(x));
      }
      case 4: {
        const auto x = dice_.drawn<std::uint64_t>();
        return to_.unsigned_integer(x), add("i" + std::to_string(x));
      }
      case 5: {
        const auto x = dice_.drawn<double>();
        return to_.real(x), add("d" + bits(x));
      }
      case 6: {
        const auto x = dice_.drawn<float>();
        return to_.real(x), add("g" + bits(x));
      }
      default: return dice_.number(2) ? text(content()) : blob(content());
    }
  }
  static std::string bits(double x) {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx",
                  static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(x)));
    return digits;
  }
  /// Any bytes, of a length at the edges of the forms now and then.
  std::string content() {
    static constexpr std::size_t edges[] = {31, 32, 255, 256, 65'535, 65'536};
    std::string x(dice_.number(500) == 0 ? edges[dice_.number(6)] : dice_.length(), ' ');
    for (char& c : x) c = static_cast<char>(dice_.number(256));
    return x;
  }
  void text(const std::string& x) {
    to_.text(x);
    add("s" + hex(std::as_bytes(std::span(x))));
  }
  void blob(const std::string& x) {
    to_.bytes(std::as_bytes(std::span(x)));
    add("b" + hex(std::as_bytes(std::span(x))));
  }

  dice& dice_;
  writer& to_;
  std::string what_;
};

}  // namespace

TEST_CASE("what another implementation has packed is read as what it is, and skipped whole") {
  const std::string all = python("make " + std::to_string(seed) + ' ' + std::to_string(values) +
                                 ' ' + std::to_string(events));
  std::string_view rest = all;
  int read = 0, read_events = 0;
  while (!rest.empty()) {
    const std::string_view what = next(rest, ' ');
    const bytes content = unhex(next(rest, '\n'));
    reader passing{content, 0};
    CHECK(passing.skip());
    CHECK(passing.at_end());
    if (what == "event") {
      ordered x;
      REQUIRE(decoded(content, x).empty());
      REQUIRE(encoded(x) == content);
      ++read_events;
    } else {
      if (!matches(content, what)) FAIL_CHECK(what << " is not " << hex(content));
      ++read;
    }
  }
  CHECK(read == values);
  CHECK(read_events == events);
  MESSAGE("seed " << seed << ": " << read << " values and " << read_events << " events read");
}

TEST_CASE("another implementation reads what was written here as what it is") {
  const std::string path = (std::filesystem::temp_directory_path() / "coppice_codec_").string() +
                           std::to_string(std::random_device{}());
  dice d{seed};
  std::ofstream file{path};
  for (int i = 0; i < values; ++i) {
    bytes content;
    writer to{content};
    const std::string what = random_value{d, to}.run();
    file << what << ' ' << hex(content) << '\n';
  }
  file.close();
  const std::string said = python("read " + path);
  std::filesystem::remove(path);
  CHECK(said == std::to_string(values) + " values, 0 wrong\n");
  MESSAGE("seed " << seed << ": " << said);
}
