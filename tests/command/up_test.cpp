// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/pids.hpp>
#include <coppice/runtime/command/up.hpp>

#include <doctest/doctest.h>

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "process.hpp"

using namespace coppice;
using namespace coppice::command;
using namespace std::chrono_literals;

namespace {

up_process script(std::string name, std::string text) {
  return {std::move(name), "/bin/sh", {"-c", std::move(text)}};
}

/// `up` in a process of its own.
tools::process up(std::vector<up_process> nodes, launch_options options = {}) {
  options.first_pause = 10ms;
  return tools::process{[nodes, options] { return run_processes(nodes, options, nullptr); }};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The number behind `key` in what was printed.
pid_t number_after(const std::string& text, const std::string& key) {
  return static_cast<pid_t>(std::atoi(text.c_str() + text.find(key) + key.size()));
}

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Ends in order when it is told to.
const std::string orderly =
    "trap 'echo closing; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
const std::string deaf = "trap '' TERM; echo ready $$; while :; do sleep 0.05; done";

struct folder {
  folder() {
    char name[] = "/tmp/coppice-up-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

TEST_CASE("what nodes print comes with their names, and all that end as asked make a good end") {
  auto p = up(
      {script("alpha", "echo one; echo two >&2; printf three"), script("be", "echo four; exit 0")});
  CHECK(p.exit_code() == 0);
  for (const char* line :
       {"alpha | one\n", "alpha | two\n", "alpha | three\n", "be    | four\n",
        "be    | has ended as it was asked to (exit code 0)", "up    | no node is left\n"})
    CHECK_MESSAGE(contains(p.output(), line), p.output());
}

TEST_CASE("a node that is killed is started again, while another runs on") {
  folder f;
  auto p = up({script("alpha", "[ -e " + f.path + "/once ] || { touch " + f.path +
                                   "/once; echo dying; kill -9 $$; }; " + orderly),
               script("beta", orderly)});
  REQUIRE(p.printed("alpha | dying"));
  REQUIRE(p.printed("alpha | killed by SIGKILL; again in 0.0 s"));
  REQUIRE(p.printed("alpha | ready"));
  REQUIRE(p.printed("beta  | ready"));
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 0);
  CHECK(!contains(p.output(), "beta  | killed"));
}

TEST_CASE("a wrong config and a missing program are told once, and the others go on") {
  auto p = up({script("alpha", "echo no; exit 2"),
               {"beta", "/nowhere/program", {}},
               script("gamma", orderly)});
  REQUIRE(p.printed("gamma | ready"));
  REQUIRE(
      p.printed("alpha | exit code 2: its command line or its config is wrong; it is not "
                "started again\n"));
  REQUIRE(
      p.printed("beta  | could not be started: /nowhere/program: No such file or directory; it "
                "is not tried again\n"));
  p.signal(SIGINT);
  CHECK(p.exit_code() == 2);
  CHECK(contains(p.output(), "gamma | closing\n"));
}

TEST_CASE("SIGINT, SIGTERM and SIGHUP stop all nodes in order") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    auto p = up({script("alpha", orderly), script("beta", orderly)});
    REQUIRE(p.printed("alpha | ready"));
    REQUIRE(p.printed("beta  | ready"));
    p.signal(number);
    CHECK(p.exit_code() == 0);
    for (const char* line : {"up    | stopping alpha, beta; once more kills\n", "alpha | closing\n",
                             "alpha | has stopped\n", "beta  | has stopped\n"})
      CHECK_MESSAGE(contains(p.output(), line), p.output());
  }
}

TEST_CASE("what does not stop by the deadline is named and killed") {
  auto p = up({script("alpha", deaf), script("beta", orderly)}, {.stop_deadline = 300ms});
  REQUIRE(p.printed("alpha | ready"));
  REQUIRE(p.printed("beta  | ready"));
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 1);
  CHECK(contains(p.output(), "up    | not stopped within 0.3 s: alpha; killing\n"));
  CHECK(contains(p.output(), "alpha | has ended: killed by SIGKILL\n"));
}

TEST_CASE("a second interrupt kills at once") {
  auto p = up({script("alpha", deaf)});
  REQUIRE(p.printed("alpha | ready"));
  p.signal(SIGINT);
  REQUIRE(p.printed("stopping alpha"));
  p.signal(SIGINT);
  CHECK(p.exit_code() == 130);
}

TEST_CASE("nodes die with the one who started them, whatever it dies of") {
  pid_t number = 0;
  {
    auto p = up({script("alpha", deaf)});
    REQUIRE(p.printed("alpha | ready "));
    REQUIRE(p.printed("\n"));
    number = number_after(p.output(), "ready ");
    REQUIRE(identify(number));
    p.signal(SIGKILL);
  }
  CHECK(eventually([&] { return !identify(number); }));
}

TEST_CASE("what a killed node leaves behind is waited for when it ends") {
  auto p = up({script("alpha", "sleep 0.05 & echo left $!; kill -9 $$"), script("beta", orderly)});
  REQUIRE(p.printed("alpha | left "));
  REQUIRE(p.printed("alpha | killed by SIGKILL"));
  const std::string left = "/proc/" + std::to_string(number_after(p.output(), "left "));
  CHECK(eventually([&] { return ::access(left.c_str(), F_OK) != 0; }));
  p.signal(SIGTERM);
  p.exit_code();
}

TEST_CASE("a node is in a process group of its own: a terminal's Ctrl-C is not for it") {
  auto p = up({script("alpha", "echo group $(cut -d' ' -f5 /proc/$$/stat) of $$; " + orderly)});
  REQUIRE(p.printed("ready"));
  CHECK(number_after(p.output(), "group ") == number_after(p.output(), " of "));
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 0);
}

TEST_CASE("a node's input is empty, and it inherits no blocked signals") {
  auto p = up({script("alpha", "cat; grep -E 'Sig(Blk|Ign)' /proc/self/status; echo done")});
  CHECK(p.exit_code() == 0);
  CHECK(contains(p.output(), "SigBlk:\t0000000000000000"));
  CHECK(contains(p.output(), "SigIgn:\t0000000000000000"));
  CHECK(contains(p.output(), "alpha | done"));
}

TEST_CASE("a node is started in its folder, which is made if need be") {
  folder f;
  up_process where = script("alpha", "pwd");
  where.folder = f.path + "/run/alpha";
  up_process nowhere = script("beta", "pwd");
  nowhere.folder = "/dev/null/run";
  auto p = up({where, nowhere});
  CHECK(p.exit_code() == 2);
  CHECK(contains(p.output(), "alpha | " + f.path + "/run/alpha\n"));
  CHECK(contains(p.output(), "beta  | could not be started: /dev/null/run: Not a directory"));
}

TEST_CASE("a node that prints while nobody reads goes on all the same") {
  folder f;
  auto p = up({script("alpha",
                      "i=0; while [ $i -lt 50 ]; do head -c 100000 /dev/zero | tr '\\0' x; "
                      "echo; i=$((i+1)); done; touch " +
                          f.path + "/done; " + orderly)});
  CHECK(eventually([&] { return std::filesystem::exists(f.path + "/done"); }));
  p.signal(SIGTERM);
  CHECK(p.printed("lines were left out here"));
  CHECK(p.exit_code() == 0);
}

TEST_CASE("the running nodes are written down") {
  folder f;
  tools::process p{[&f] {
    pid_file pids{f.path, "shop", "shop.toml"};
    if (!pids.take()) return 9;
    return run_processes({script("alpha", "echo me $$; " + orderly)}, {}, &pids);
  }};
  REQUIRE(p.printed("ready"));
  const pid_file reader{f.path, "shop", "shop.toml"};
  const auto nodes = reader.read();
  REQUIRE(nodes.size() == 1);
  CHECK(nodes.at("alpha").number == number_after(p.output(), "me "));
  CHECK(send_signal(nodes.at("alpha"), SIGKILL));
  REQUIRE(p.printed("killed by SIGKILL; again in"));
  p.signal(SIGTERM);
  CHECK(p.exit_code() == 0);
  CHECK(reader.read().empty());
}
