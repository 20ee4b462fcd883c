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

/// Lines that have been taken up are led to their ends. A restart may lose the request. False: some
/// have not ended, because a node that they need is not there.
bool close(coppice::node& home, const coppice::ref<shop::close_shop>& door) {
  for (const auto until = std::chrono::steady_clock::now() + 5s;
       std::chrono::steady_clock::now() < until;) {
    if (home.outside().ask(door, shop::close_shop{}, 5s)) return true;
    if (home.wait_until_ended(10ms)) return true;
  }
  return false;
}

/// `3 unconfirmed, 2 unreachable`; empty: none.
std::string in_words(const coppice::dead_letter_counts& dead) {
  std::string all;
  for (std::size_t i = 0; i < dead.size(); ++i) {
    if (dead[i] == 0) continue;
    if (!all.empty()) all += ", ";
    all += std::to_string(dead[i]) + ' ';
    all += coppice::name(static_cast<coppice::dead_letter_reason>(i));
  }
  return all;
}

/// What a node of a cluster has to tell at its end.
void tell_the_end(coppice::node& home, const shop::tree& tree) {
  const auto effects = [](const char* what, const shop::effects& of) {
    const auto n = of.count();
    if (n.had > 0)
      std::fprintf(stderr,
                   "orders: %llu %s, %llu times asked again for one and not done again; %llu kept "
                   "in mind\n",
                   static_cast<unsigned long long>(n.had), what,
                   static_cast<unsigned long long>(n.again),
                   static_cast<unsigned long long>(n.kept));
  };
  effects("reservations", *tree.reserved);
  effects("charges", *tree.charged);
  if (!tree.door) return;
  const std::string vain = tree.vain->text(), dead = in_words(home.metrics().dead_letters);
  std::fprintf(stderr, "orders: in all asked in vain and again: %s; dead letters: %s\n",
               vain.empty() ? "none" : vain.c_str(), dead.empty() ? "none" : dead.c_str());
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

  std::atomic<coppice::node*> running = nullptr;
  tree.dead = [&running] {
    coppice::node* home = running.load();
    return home ? in_words(home->metrics().dead_letters) : std::string{};
  };

  coppice::ref<shop::go_home> saboteur;
  program.when_up([&](coppice::node& home) {
    running = &home;
    if (!tree.door) return;  // orders come from another node
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
    const bool spread = program.node().config != nullptr;
    bool all_ended = true;
    if (!given_up && !home.ended() && tree.door) {
      all_ended = close(home, tree.door);
      if (!all_ended)
        std::fprintf(stderr, "orders: not all lines taken up have ended: a node is missing\n");
      if (saboteur) (void)home.outside().ask(saboteur, shop::go_home{}, 10s);
    }
    if (spread) tell_the_end(home, tree);
    running = nullptr;
    return all_ended ? 0 : 1;
  });

  return program.run(argc, argv, [&](coppice::children& top) {
    tree.build(top, program.node().config ? &program.cluster() : nullptr);
  });
}
