// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/runtime/command/command_line.hpp>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace tools {

/// A folder that is gone in the end; running clusters are written down there too.
struct folder {
  folder() {
    char name[] = "/tmp/coppice-command-XXXXXX";
    path = ::mkdtemp(name);
    ::setenv("XDG_RUNTIME_DIR", path.c_str(), 1);
  }
  ~folder() {
    ::unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::remove_all(path);
  }
  folder(const folder&) = delete;
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream{path + '/' + name} << text;
    return path + '/' + name;
  }
  /// Arguments about `cluster`, with the certificate of `who` that lies in `certs`.
  std::vector<std::string> as(const std::string& who, std::vector<std::string> arguments) const {
    for (const std::string& more :
         {std::string{"--config"}, cluster, std::string{"--certificate"},
          path + "/certs/" + who + ".crt", std::string{"--key"}, path + "/certs/" + who + ".key"})
      arguments.push_back(more);
    return arguments;
  }

  std::string path;
  std::string cluster{};  ///< the file of that name, once it is written
};

struct said {
  int code;
  std::string out, err;
};

/// The program `coppice` with these arguments.
inline int coppice(std::vector<std::string> arguments, const coppice::command::terminal& to) {
  arguments.insert(arguments.begin(), "coppice");
  std::vector<const char*> argv;
  for (const std::string& a : arguments) argv.push_back(a.c_str());
  return coppice::command::run(static_cast<int>(argv.size()), argv.data(), to);
}
inline said coppice(std::vector<std::string> arguments) {
  std::ostringstream out, err;
  const int code = coppice(std::move(arguments), {out, err});
  return {code, out.str(), err.str()};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace tools
