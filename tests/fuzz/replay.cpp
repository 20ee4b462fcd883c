// SPDX-License-Identifier: BSD-3-Clause
// replay FOLDER-OR-FILE...: gives a fuzzer's function each file, and each of them cut short and
// with one byte changed, in an ordinary build.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz.hpp"

namespace {

using bytes = std::vector<std::uint8_t>;

/// Each byte is changed this many times at most in all: long inputs are sampled.
constexpr std::size_t changes = 200;

void give(const bytes& x) {
  // A buffer of just this size, so that the sanitizer sees a step beyond its end.
  const bytes exact(x.begin(), x.end());
  (void)LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void replay(const std::filesystem::path& path, std::size_t& runs) {
  std::ifstream file{path, std::ios::binary};
  const bytes whole{std::istreambuf_iterator<char>{file}, {}};
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);
  give(whole);
  ++runs;
  const std::size_t step = whole.size() / changes + 1;
  for (std::size_t i = 0; i < whole.size(); i += step, runs += 2) {
    give({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(i)});
    bytes changed = whole;
    changed[i] ^= static_cast<std::uint8_t>(1u << i % 8);
    give(changed);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::size_t before = files.size();
    if (std::filesystem::is_directory(argv[i]))
      for (const auto& entry : std::filesystem::directory_iterator{argv[i]})
        files.push_back(entry.path());
    else if (std::filesystem::exists(argv[i])) files.emplace_back(argv[i]);
    if (files.size() > before) continue;
    std::fprintf(stderr, "replay: there is nothing to replay in %s\n", argv[i]);
    return 1;
  }
  std::sort(files.begin(), files.end());
  std::size_t runs = 0;
  for (const auto& path : files) replay(path, runs);
  std::printf("%zu inputs, %zu runs\n", files.size(), runs);
  return files.empty() ? 1 : 0;
}
