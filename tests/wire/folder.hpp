// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace tools {

/// A folder of its own, gone with the test.
struct folder {
  folder() {
    std::string name = std::filesystem::temp_directory_path() / "coppice-wire-XXXXXX";
    REQUIRE(::mkdtemp(name.data()));
    path = name;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

}  // namespace tools
