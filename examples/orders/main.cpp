// SPDX-License-Identifier: BSD-3-Clause
// A shop as a tree of actors: orders come in as JSON Lines, each ends in a ledger. See README.md.
#include "audit.hpp"
#include "clerk.hpp"
#include "intake.hpp"
#include "inventory.hpp"
#include "payment.hpp"
#include "progress.hpp"
#include "reader.hpp"
#include "shipping.hpp"

#include <coppice/runtime/node/node.hpp>

#include <atomic>
#include <cstdio>

namespace {

using namespace std::chrono_literals;

/// So many orders are under way at once.
constexpr std::size_t clerks = 32;

}  // namespace

int main(int argc, char** argv) {
  coppice::program program{"orders", "A shop: leads orders to their ends, through crashes."};
  std::string input = "-";
  std::string ledger_file = "ledger.jsonl";
  program.option("--input", input, "file of orders, one a line; - is standard input");
  program.option("--ledger", ledger_file, "file for the outcomes; it must be new or empty");

  std::atomic<bool> given_up = false;
  const auto give_up = [&given_up, end = program.end()](const std::string& why) {
    given_up = true;
    std::fprintf(stderr, "orders: %s\n", why.c_str());
    end.stop(1);
  };

  shop::stages at;
  coppice::ref<shop::next_line, shop::close_shop> reader;

  // Lines that have been taken up are led to their ends before the shop is closed.
  program.before_stop([&](coppice::node& home) {
    if (!given_up && !home.ended()) (void)home.outside().ask(reader, shop::close_shop{}, 5s);
    return 0;
  });

  return program.run(argc, argv, [&](coppice::children& top) {
    const auto lines = std::make_shared<shop::line_source>(input);
    const auto ledger = std::make_shared<shop::ledger>(ledger_file, give_up);

    // Restarting the stages or the desk as a whole would help nobody: it has a reason if they
    // give up, and the shop ends with that.
    top.intensity(0, 5s);

    top.supervise("stages", [&at, ledger](coppice::children& stages) {
      // One line in twenty crashes a worker, as fast as lines go through: 5,000 a second and more.
      // Four times that for 5 seconds is no plant any more but a worker that cannot work.
      stages.intensity(100'000, 5s);
      at.audit = stages.add<shop::audit>("audit", ledger);
      at.shipping = stages.add<shop::shipping>("shipping", ledger);
      at.payment = stages.add<shop::payment>("payment");
      at.inventory = stages.add<shop::inventory>("inventory");
      at.intake = stages.add<shop::intake>("intake");
    });

    top.supervise("desk", [&at, &reader, lines, give_up,
                           end = program.end()](coppice::children& desk) {
      // A clerk is the only one who knows what is under way with it: none may be lost.
      desk.intensity(0, 5s);
      desk.add<shop::progress>("progress", at);
      reader = desk.add<shop::reader>({.id = "reader", .own_thread = true}, lines, clerks,
                                      [give_up, end](const std::optional<std::string>& failure) {
                                        failure ? give_up(*failure) : end.stop(0);
                                      });
      // When the shop is closed in order, no clerk has anything in hand. When the stages have given
      // up, each waits for an answer that will not come, and they are stopped one by one.
      for (std::size_t i = 1; i <= clerks; ++i)
        desk.add<shop::clerk>({.id = "clerk-" + std::to_string(i), .shutdown = 100ms}, at, reader);
    });
  });
}
