// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/pids.hpp>

#include <doctest/doctest.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

using namespace coppice;
using namespace coppice::command;

namespace {

struct folder {
  folder() {
    char name[] = "/tmp/coppice-pids-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

/// A process that does nothing.
struct sleeper {
  sleeper() : number(::fork()) {
    if (number == 0)
      for (;;) ::pause();
  }
  ~sleeper() { end(); }
  void end() {
    if (number > 0) ::kill(number, SIGKILL);
    wait();
  }
  /// The signal that ended it.
  int wait() {
    int status = 0;
    if (number <= 0) return 0;
    ::waitpid(number, &status, 0);
    number = 0;
    return WTERMSIG(status);
  }
  pid_t number;
};

}  // namespace

TEST_CASE("a process is itself until it has ended") {
  sleeper s;
  const auto id = identify(s.number);
  REQUIRE(id);
  CHECK(id->number == s.number);
  CHECK(id->started > 0);
  CHECK(identify(s.number) == id);
  s.end();
  CHECK(!identify(id->number));
  CHECK(!identify(0));
}

TEST_CASE("a process that has ended and is not waited for is no process") {
  sleeper s;
  ::kill(s.number, SIGKILL);
  siginfo_t info;
  REQUIRE(::waitid(P_PID, static_cast<id_t>(s.number), &info, WEXITED | WNOWAIT) == 0);
  CHECK(!identify(s.number));
}

TEST_CASE("a signal goes to exactly the process that is meant") {
  sleeper s;
  const auto id = identify(s.number);
  REQUIRE(id);
  const auto other = send_signal({id->number, id->started + 1}, SIGKILL);
  REQUIRE(!other);
  CHECK(other.error().code() == errc::not_found);
  CHECK(identify(s.number) == id);
  CHECK(send_signal(*id, SIGUSR1));
  CHECK(s.wait() == SIGUSR1);
  CHECK(!send_signal(*id, SIGKILL));
}

TEST_CASE("one cluster is up once, and who asks sees its running nodes") {
  folder f;
  sleeper a, b;
  {
    pid_file mine{f.path, "shop", "/etc/shop.toml"};
    CHECK(mine.take());
    pid_file second{f.path, "shop", "/etc/shop.toml"};
    const auto taken = second.take();
    REQUIRE(!taken);
    CHECK(taken.error().code() == errc::already_started);
    pid_file other{f.path, "shop", "/etc/other.toml"};
    CHECK(other.take());

    CHECK(second.read().empty());
    CHECK(mine.write({{"alpha", *identify(a.number)}, {"beta", *identify(b.number)}}));
    const pid_file reader{f.path, "shop", "/etc/../etc/shop.toml"};
    CHECK(reader.read().size() == 2);
    CHECK(reader.read().at("alpha").number == a.number);
    CHECK(other.read().empty());
    b.end();
    CHECK(reader.read().size() == 1);
  }
  pid_file later{f.path, "shop", "/etc/shop.toml"};
  CHECK(later.read().empty());
  CHECK(later.take());
}

TEST_CASE("a folder for running clusters is one's own") {
  folder f;
  ::setenv("XDG_RUNTIME_DIR", f.path.c_str(), 1);
  const auto mine = runtime_folder();
  REQUIRE(mine);
  CHECK(*mine == f.path + "/coppice");
  CHECK(runtime_folder());
  ::chmod(mine->c_str(), 0777);
  const auto open = runtime_folder();
  REQUIRE(!open);
  CHECK(open.error().message() ==
        "denied: " + *mine + " is not a folder that only you can write to");
  ::setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
  CHECK(!runtime_folder());
  ::unsetenv("XDG_RUNTIME_DIR");
}
