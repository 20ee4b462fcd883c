// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace coppice;
namespace fs = std::filesystem;

TEST_CASE("each wrong file of golden/ is refused with exactly the lines beside it") {
  const fs::path golden = fs::path{COPPICE_SOURCE_DIR} / "tests/config/golden";
  std::set<fs::path> files;
  for (const auto& file : fs::directory_iterator{golden}) files.insert(file.path());
  int walked = 0;
  for (const fs::path& file : files) {
    if (file.extension() != ".toml") {
      CHECK_MESSAGE(files.contains(fs::path{file}.replace_extension(".toml")), file);
      continue;
    }
    ++walked;
    CAPTURE(file.filename().string());
    const auto parsed = parse_config(tools::read_file(file), file.filename().string());
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code() == errc::invalid);
    const std::string text = tools::said(parsed) + '\n';
    // Golden files write this word where nobody may read it.
    CHECK(text.find("hunter2") == std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
    const fs::path expected = fs::path{file}.replace_extension(".expected");
    if (tools::regenerate()) tools::write_file(expected, text);
    else CHECK_MESSAGE(text == tools::read_file(expected), tools::how_to_regenerate);
  }
  CHECK(walked > 90);
}
