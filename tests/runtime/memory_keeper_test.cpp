// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/config.hpp>
#include <coppice/runtime/node/memory_keeper_private.hpp>
#include <coppice/runtime/node/node.hpp>

#include <doctest/doctest.h>

#include "process.hpp"

#include <fcntl.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

bool within_20s(const std::function<bool()>& holds) {
  for (const auto until = std::chrono::steady_clock::now() + 20s; !holds();) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

std::string read(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// What `/proc` says in this line of a process's status; empty if there is no such process.
std::string status_of(pid_t number, const std::string& line) {
  const std::string text = "\n" + read("/proc/" + std::to_string(number) + "/status");
  const auto at = text.find("\n" + line + ":\t");
  if (at == std::string::npos) return {};
  const auto begin = at + line.size() + 3;
  return text.substr(begin, text.find('\n', begin) - begin);
}

long resident_pages(pid_t number) {
  std::ifstream file{"/proc/" + std::to_string(number) + "/statm"};
  long all = 0, resident = 0;
  file >> all >> resident;
  return resident;
}

bool gone(pid_t number) {
  const std::string state = status_of(number, "State");
  return state.empty() || state.front() == 'Z';  // whoever has adopted it may take his time
}

/// A process with a keeper, and a pipe that reads as ended when the process has no files any more.
struct kept {
  kept()
      : owner([this]() -> int {
          const auto mine = memory_keeper::of_this_process();
          const pid_t number = mine ? (*mine)->number() : 0;
          (void)!::write(ends[1], &number, sizeof number);
          for (;;) ::pause();
        }) {
    ::close(ends[1]);
    CHECK(::read(ends[0], &keeper, sizeof keeper) == sizeof keeper);
  }
  ~kept() { ::close(ends[0]); }
  bool files_closed() const {
    char any = 0;
    return ::read(ends[0], &any, 1) == 0;
  }

  int ends[2] = {-1, -1};
  const int made = ::pipe2(ends, O_CLOEXEC);
  pid_t keeper = 0;
  tools::process owner;
};

}  // namespace

#if !defined(__SANITIZE_THREAD__)

TEST_CASE("a killed process's files are closed while its memory is still there") {
  kept one;
  REQUIRE(one.keeper > 0);
  // It cannot free the memory before it is let go.
  ::kill(one.keeper, SIGSTOP);
  REQUIRE(within_20s([&] { return status_of(one.keeper, "State").front() == 'T'; }));
  one.owner.signal(SIGKILL);
  CHECK(one.files_closed());
  CHECK(one.owner.exit_code() == -2);
  CHECK(resident_pages(one.keeper) > 0);
  ::kill(one.keeper, SIGCONT);
  CHECK(within_20s([&] { return gone(one.keeper); }));
}

TEST_CASE(
    "a keeper has no files, no terminal, a name of its own, and heeds no signal but SIGKILL") {
  kept one;
  REQUIRE(one.keeper > 0);
  CHECK(status_of(one.keeper, "Name") == "coppice-memory");
  CHECK(::getsid(one.keeper) == one.keeper);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE}) ::kill(one.keeper, number);
  CHECK_FALSE(gone(one.keeper));
  const std::filesystem::directory_iterator files{"/proc/" + std::to_string(one.keeper) + "/fd"};
  CHECK(std::distance(begin(files), end(files)) == 1);  // what it watches the process by
  one.owner.signal(SIGKILL);
  CHECK(within_20s([&] { return gone(one.keeper); }));
}

TEST_CASE("a process without its keeper goes on, and ends as any other does") {
  kept one;
  REQUIRE(one.keeper > 0);
  ::kill(one.keeper, SIGKILL);
  REQUIRE(within_20s([&] { return gone(one.keeper); }));
  one.owner.signal(SIGKILL);
  CHECK(one.files_closed());
}

TEST_CASE("a process has one keeper for as long as somebody wants it") {
  auto first = memory_keeper::of_this_process().value();
  auto second = memory_keeper::of_this_process().value();
  CHECK(first == second);
  const pid_t number = first->number();
  first.reset();
  CHECK_FALSE(gone(number));
  second.reset();
  CHECK(status_of(number, "State").empty());
  auto next = memory_keeper::of_this_process().value();
  CHECK(next->number() != number);
}

TEST_CASE("a fork gets a keeper of its own and leaves its parent's alone") {
  auto ours = memory_keeper::of_this_process().value();
  const pid_t number = ours->number();
  tools::process other{[&] {
    const auto its = memory_keeper::of_this_process();
    const bool own = its && (*its)->number() != number;
    ours.reset();
    return own ? 0 : 1;
  }};
  CHECK(other.exit_code() == 0);
  CHECK_FALSE(gone(number));
}

TEST_CASE("a node of a cluster has its memory kept, unless the file says no") {
  for (const bool wanted : {true, false}) {
    node_options o;
    o.node = "alpha";
    o.config = std::make_shared<const cluster_config>(
        parse_config("[cluster]\nname = \"test\"\n[tls]\ninsecure = true\n[[node]]\n"
                     "name = \"alpha\"\naddress = \"unix:/tmp/coppice-keeper-" +
                         std::to_string(::getpid()) + "\"\n[liveness]\nmemory_keeper = " +
                         std::string{wanted ? "true" : "false"},
                     "cluster.toml", ".")
            .value());
    node alpha{o, [](children&) {}};
    alpha.start().value();
    std::size_t keepers = 0;
    std::ifstream all{"/proc/thread-self/children"};
    for (pid_t each = 0; all >> each;) keepers += status_of(each, "Name") == "coppice-memory";
    CHECK(keepers == (wanted ? 1 : 0));
  }
}

#endif
