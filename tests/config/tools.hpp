// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/config/config.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>

namespace tools {

using coppice::cluster_config;
using coppice::result;

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
}

/// True: golden and generated files are written anew instead of being compared.
inline bool regenerate() {
  const char* set = std::getenv("COPPICE_REGENERATE");
  return set && *set == '1';
}
inline constexpr const char* how_to_regenerate =
    "if this is what you want, run COPPICE_REGENERATE=1 build/test/tests/test_config and look at "
    "git diff";

/// The lines that tell what is wrong; empty: nothing is.
inline std::string said(const result<cluster_config>& r) {
  return r ? std::string{} : r.error().why()->what;
}

/// The smallest cluster file there is, and `more` behind it.
inline std::string small_file(std::string_view more = {}) {
  return "[cluster]\nname = \"shop\"\n[tls]\ninsecure = true\n[[node]]\nname = \"alpha\"\n"
         "address = \"127.0.0.1:7101\"\n" +
         std::string{more};
}
inline result<cluster_config> parse(std::string_view text) {
  return coppice::parse_config(text, "test.toml");
}

/// The reference file with its examples taken in: `# key = ...` and `# [[allow]]` lose their mark.
/// Of its comments nothing is left.
inline std::string reference_with_examples() {
  std::istringstream in{coppice::reference_toml()};
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const std::size_t equals = line.find(" = ");
    const bool example = line.starts_with("# ") && equals != std::string::npos &&
                         line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", 2) == equals;
    if (line.starts_with("# [[") || example) line.erase(0, 2);
    if (!line.starts_with('#')) out += line + '\n';
  }
  return out;
}

/// A folder of its own, gone with it.
class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "coppice-config-XXXXXX").string();
    if (::mkdtemp(name.data())) path_ = name;
  }
  ~folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace tools
