// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstdlib>

using namespace coppice;

namespace {

secret in_file(const std::filesystem::path& path) { return {secret::source::file, path.string()}; }
std::string text_of(const result<std::string>& r) { return r ? *r : r.error().why()->what; }

}  // namespace

TEST_CASE("a secret in the environment is read when it is asked for") {
  const secret token{secret::source::environment, "COPPICE_TEST_TOKEN"};
  ::unsetenv("COPPICE_TEST_TOKEN");
  CHECK(text_of(resolve(token)) ==
        "a secret is missing: the environment variable \"COPPICE_TEST_TOKEN\" is not set");
  ::setenv("COPPICE_TEST_TOKEN", "", 1);
  CHECK(text_of(resolve(token)) ==
        "a secret is missing: the environment variable \"COPPICE_TEST_TOKEN\" is empty");
  ::setenv("COPPICE_TEST_TOKEN", "one", 1);
  CHECK(text_of(resolve(token)) == "one");
  ::setenv("COPPICE_TEST_TOKEN", "two ", 1);
  CHECK(text_of(resolve(token)) == "two ");
  ::unsetenv("COPPICE_TEST_TOKEN");
}

TEST_CASE("a secret in a file is read without its last line break") {
  const tools::folder here;
  const auto path = here.path() / "token";
  for (const char* text : {"hunter2", "hunter2\n", "hunter2\r\n"}) {
    tools::write_file(path, text);
    CHECK(text_of(resolve(in_file(path))) == "hunter2");
  }
  tools::write_file(path, "two\nlines\n\n");
  CHECK(text_of(resolve(in_file(path))) == "two\nlines\n");
}

TEST_CASE("a secret's file that others may read brings a warning, one of its owner's does not") {
  const tools::folder here;
  const auto path = here.path() / "token";
  tools::write_file(path, "hunter2\n");
  std::string warning;
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  CHECK(resolve(in_file(path), &warning));
  CHECK(warning.empty());
  for (const mode_t mode : {0640u, 0604u}) {
    warning.clear();
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK(resolve(in_file(path), &warning));
    CHECK(warning.find("may be read by others; chmod 600") != std::string::npos);
    CHECK(warning.find(path.string()) != std::string::npos);
    CHECK(warning.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("a secret's file that cannot be one is refused with the reason") {
  const tools::folder here;
  const auto path = here.path() / "token";
  const std::string file = "the file \"" + path.string() + "\"";
  CHECK(text_of(resolve(in_file(path))) ==
        "a secret is missing: " + file + " cannot be read: No such file or directory");
  tools::write_file(path, "\n");
  CHECK(text_of(resolve(in_file(path))) == "a secret is missing: " + file + " is empty");
  tools::write_file(path, std::string(4'097, 'x'));
  CHECK(text_of(resolve(in_file(path))) ==
        "a secret is too long: " + file + " has more than 4096 bytes");
  tools::write_file(path, std::string(4'096, 'x'));
  CHECK(resolve(in_file(path)));
  CHECK(text_of(resolve(in_file(here.path()))).ends_with("is no plain file"));
  CHECK(text_of(resolve(secret{})) == "a secret is missing: the cluster file says nothing of it");
  const auto pipe = here.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(text_of(resolve(in_file(pipe))).ends_with("is no plain file"));
}
