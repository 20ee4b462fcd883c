// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/node.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "process.hpp"

using namespace coppice;
using namespace std::chrono_literals;

namespace {

struct order {
  int n;
};
class printer : public actor<order> {
 public:
  void on(const order& o) {
    if (o.n < 0) throw std::runtime_error("no paper");
    if (o.n > 0) return;
    std::printf("blocked\n");
    std::fflush(stdout);
    for (;;) std::this_thread::sleep_for(1h);
  }
};
class broken : public actor<order> {
 public:
  void started() { throw std::runtime_error("no ink"); }
  void on(const order&) {}
};

int call(program& p, std::vector<std::string> arguments, children::builder build) {
  arguments.insert(arguments.begin(), "shop");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  return p.run(static_cast<int>(arguments.size()), argv.data(), std::move(build));
}

/// A program that ends at once, with an option of each kind.
int options(std::vector<std::string> arguments) {
  program p{"shop", "Sells paper."};
  std::string input = "-";
  std::uint64_t copies = 1;
  bool fast = false;
  p.option("--input", input, "what to print");
  p.option("--copies", copies, "how often");
  p.flag("--fast", fast, "hurry");
  p.when_up([&, end = p.end()](node&) {
    std::printf("input=%s copies=%llu fast=%d\n", input.c_str(),
                static_cast<unsigned long long>(copies), fast);
    end.stop();
  });
  return call(p, std::move(arguments), [](children& c) { c.add<printer>("printer"); });
}

struct outcome {
  int code;
  std::string said;
};
outcome with(std::vector<std::string> arguments) {
  tools::process child{[&] { return options(std::move(arguments)); }};
  const int code = child.exit_code();
  return {code, child.output()};
}

std::string bad_number(const std::string& flag, const std::string& text) {
  return "shop: " + flag + ": '" + text +
         "' is not a whole number from 0 to 18446744073709551615, written without sign or leading "
         "zeros\nTry 'shop --help'.\n";
}

/// Runs until something ends it; prints "up" and sends `first` to the printer when it is.
int service(std::vector<std::string> arguments, std::vector<order> first = {},
            std::chrono::milliseconds stuck_limit = 30s) {
  program p{"shop", "Sells paper."};
  ref<order> at;
  p.when_up([&](node& n) {
    for (const order& o : first) n.outside().send(at, o);
    const bool blocks = !first.empty() && first.back().n == 0;
    if (!blocks) (void)n.outside().room(at, 10s);  // the crashes are over
    std::printf("up\n");
    std::fflush(stdout);
  });
  p.before_stop([](node&) {
    std::printf("closing\n");
    return 0;
  });
  return call(p, std::move(arguments), [&](children& c) {
    c.spec().stuck_limit = stuck_limit;
    at = c.add<printer>({.id = "printer", .shutdown = 200ms});
  });
}

}  // namespace

TEST_CASE("a program has options of its own beside the node's") {
  const auto plain = with({});
  CHECK(plain.code == 0);
  CHECK(plain.said == "input=- copies=1 fast=0\n");
  const auto given =
      with({"--input", "x", "--workers=2", "--copies", "18446744073709551615", "--fast"});
  CHECK(given.code == 0);
  CHECK(given.said == "input=x copies=18446744073709551615 fast=1\n");
}

TEST_CASE("--help lists the program's options and the node's, and is no failure") {
  const auto help = with({"--help"});
  CHECK(help.code == 0);
  for (const char* flag : {"Sells paper.", "--input", "--copies", "--fast", "--node", "--workers",
                           "--stop-deadline-ms", "--log-level", "--log-file", "--tree", "--json"})
    CHECK_MESSAGE(help.said.find(flag) != std::string::npos, flag);
}

TEST_CASE("a wrong command line exits with 2 and says what is wrong") {
  for (const char* text : {"010", "18446744073709551616", "1e3", "+1", "0x10", "1 ", "many"}) {
    CAPTURE(text);
    const auto wrong = with({"--copies", text});
    CHECK(wrong.code == 2);
    CHECK(wrong.said == bad_number("--copies", text));
  }
  const auto negative = with({"--copies=-1"});
  CHECK(negative.code == 2);
  CHECK(negative.said == bad_number("--copies", "-1"));
  const auto unknown = with({"--colour"});
  CHECK(unknown.code == 2);
  CHECK(unknown.said ==
        "shop: The following argument was not expected: --colour\n"
        "Try 'shop --help'.\n");
  const auto workers = with({"--workers", "57"});
  CHECK(workers.code == 2);
  CHECK(workers.said == "shop: --workers: 57 is too many; at most 56, 8 more are kept spare\n");
  CHECK(with({"--workers", "-1"}).code == 2);
  CHECK(with({"--stop-deadline-ms", "010"}).code == 2);
  CHECK(with({"--copies"}).code == 2);
  CHECK(with({"--log-level", "loud"}).code == 2);
}

TEST_CASE("a log file that cannot be opened exits with 1 and names it") {
  const auto log = with({"--log-file", "/dev/null/log"});
  CHECK(log.code == 1);
  CHECK_MESSAGE(log.said.find("/dev/null/log") != std::string::npos, log.said);
}

TEST_CASE("a program exits with the code that whoever ends it gives, the first one counting") {
  tools::process child{[] {
    program p{"shop", "Sells paper."};
    p.when_up([end = p.end()](node&) {
      end.stop(5);
      end.stop(6);
    });
    return call(p, {}, [](children& c) { c.add<printer>("printer"); });
  }};
  CHECK(child.exit_code() == 5);
}

TEST_CASE("before_stop is called with the tree still up, and replaces a zero exit code") {
  tools::process child{[] {
    program p{"shop", "Sells paper."};
    p.when_up([end = p.end()](node&) { end.stop(); });
    p.before_stop([](node& n) { return n.tree().children.at(0).state == "running" ? 9 : 1; });
    return call(p, {}, [](children& c) { c.add<printer>("printer"); });
  }};
  CHECK(child.exit_code() == 9);
}

TEST_CASE("SIGTERM and SIGINT stop a program in order: exit code 0") {
  for (const int number : {SIGTERM, SIGINT}) {
    tools::process child{[] { return service({}); }};
    REQUIRE(child.printed("up\n"));
    child.signal(number);
    CHECK(child.exit_code() == 0);
    CHECK(child.output() == "up\nclosing\n");
  }
}

TEST_CASE("SIGUSR1 prints the tree, and the program goes on") {
  tools::process child{[] { return service({}); }};
  REQUIRE(child.printed("up\n"));
  child.signal(SIGUSR1);
  CHECK(child.printed("/shop "));
  CHECK(child.printed("  printer "));
  child.signal(SIGTERM);
  CHECK(child.exit_code() == 0);
}

TEST_CASE("--tree and --json print the tree before it is stopped, with restarts and causes") {
  for (const std::string how : {"--tree", "--json"}) {
    tools::process child{[&] { return service({how, "--log-level", "off"}, {{-1}}); }};
    REQUIRE(child.printed("up\n"));
    CHECK(child.output().find("printer") == std::string::npos);
    child.signal(SIGTERM);
    CHECK(child.exit_code() == 0);
    const std::string& text = child.output();
    CHECK_MESSAGE(text.find(how == "--tree" ? "restarts 1" : "\"restarts\":1") != std::string::npos,
                  text);
    CHECK_MESSAGE(text.find("crashed: std::runtime_error: no paper (at /shop/printer#1)") !=
                      std::string::npos,
                  text);
  }
}

TEST_CASE("a tree that cannot start exits with 1 and names the child") {
  tools::process child{[] {
    program p{"shop", "Sells paper."};
    return call(p, {"--log-level", "off"}, [](children& c) { c.add<broken>("printer"); });
  }};
  CHECK(child.exit_code() == 1);
  CHECK_MESSAGE(child.output().starts_with("shop: could not start: "), child.output());
  CHECK_MESSAGE(child.output().find("/shop/printer") != std::string::npos, child.output());
  CHECK_MESSAGE(child.output().find("no ink") != std::string::npos, child.output());
}

TEST_CASE("a tree that gives up exits with 1 and the cause") {
  tools::process child{[] { return service({"--log-level", "off"}, {{-1}, {-1}, {-1}, {-1}}); }};
  CHECK(child.exit_code() == 1);
  CHECK_MESSAGE(child.output().find("shop: the tree has ended: exhausted: ") != std::string::npos,
                child.output());
  CHECK_MESSAGE(child.output().find("std::runtime_error: no paper") != std::string::npos,
                child.output());
}

TEST_CASE("an actor that does not return by the stop's deadline: exit code 70, its path named") {
  tools::process child{[] { return service({"--stop-deadline-ms", "1500"}, {{0}}); }};
  REQUIRE(child.printed("blocked\n"));
  child.signal(SIGTERM);
  CHECK(child.exit_code() == 70);
  CHECK_MESSAGE(child.output().find("shop: timeout: did not return from a handler by the "
                                    "deadline: /shop/printer\n") != std::string::npos,
                child.output());
}

TEST_CASE("the stuck limit ends a program before its stop's deadline does") {
  tools::process child{[] { return service({"--stop-deadline-ms", "25000"}, {{0}}, 300ms); }};
  REQUIRE(child.printed("blocked\n"));
  child.signal(SIGTERM);
  CHECK(child.exit_code() == 70);
  CHECK_MESSAGE(child.output().find("path=/shop/printer is stuck") != std::string::npos,
                child.output());
}

TEST_CASE("a second signal while stopping ends the process at once: 130") {
  tools::process child{[] { return service({"--stop-deadline-ms", "25000"}, {{0}}); }};
  REQUIRE(child.printed("blocked\n"));
  child.signal(SIGTERM);
  REQUIRE(child.printed("path=/shop/printer"));
  child.signal(SIGINT);
  CHECK(child.exit_code() == 130);
}
