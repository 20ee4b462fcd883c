// SPDX-License-Identifier: BSD-3-Clause
// A shop as a tree of actors: orders come in as JSON Lines, each ends in a ledger. See README.md.
#include "saboteur.hpp"
#include "targets.hpp"
#include "tree.hpp"

#include <coppice/runtime/node/node.hpp>

#include <atomic>
#include <cstdint>
#include <cstdio>

namespace {

using namespace std::chrono_literals;

constexpr int wrong_command_line = 2;

/// Lines that have been taken up are led to their ends. A restart may lose the request.
void close(coppice::node& home, const coppice::ref<shop::close_shop>& door) {
  for (const auto until = std::chrono::steady_clock::now() + 5s;
       std::chrono::steady_clock::now() < until;) {
    if (home.outside().ask(door, shop::close_shop{}, 5s)) return;
    if (home.wait_until_ended(10ms)) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  coppice::program program{"orders", "A shop: leads orders to their ends, through crashes."};
  shop::tree tree;
  std::vector<std::string> crashes;
  std::uint64_t crash_every = 2'000;
  program.option("--input", tree.input, "file of orders, one a line; - is standard input");
  program.option("--ledger", tree.ledger_file, "file for the outcomes; it must be new or empty");
  program.option("--in-flight", tree.in_flight, "orders that are under way at a time", 1, 500);
  program.option("--crash", crashes,
                 "children to kill while orders run, one after the other, e.g. stages/payment, "
                 "counter/reader or counter/under-way/*");
  program.option("--crash-every", crash_every, "lines that end before each of these crashes");

  std::atomic<bool> given_up = false;
  tree.give_up = [&given_up, end = program.end()](const std::string& why) {
    given_up = true;
    std::fprintf(stderr, "orders: %s\n", why.c_str());
    end.stop(1);
  };
  tree.when_done = [&tree, end = program.end()](const std::optional<std::string>& failure) {
    failure ? tree.give_up(*failure) : end.stop(0);
  };

  coppice::ref<shop::go_home> saboteur;
  program.when_up([&](coppice::node& home) {
    if (!crashes.empty()) {
      auto targets = shop::find_targets(home, crashes);
      if (!targets) {
        given_up = true;
        std::fprintf(stderr, "orders: --crash: %s\n", targets.error().why()->what.c_str());
        program.end().stop(wrong_command_line);
        return;
      }
      saboteur = home.system().spawn<shop::saboteur>({.id = "saboteur"}, std::move(*targets),
                                                     crash_every, tree.at.audit);
    }
    home.outside().send(tree.door, shop::open_shop{});
  });
  program.before_stop([&](coppice::node& home) {
    if (given_up || home.ended()) return 0;
    close(home, tree.door);
    if (saboteur) (void)home.outside().ask(saboteur, shop::go_home{}, 10s);
    return 0;
  });

  return program.run(argc, argv, [&tree](coppice::children& top) { tree.build(top); });
}
