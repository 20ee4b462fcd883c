// SPDX-License-Identifier: BSD-3-Clause
// The messages whose bytes docs/internals/wire.md shows are those that are written.
#include "two_nodes.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>

using namespace coppice;
using namespace std::chrono_literals;
using two_nodes::bytes;

namespace {

struct reserved {
  int left = 0;
};
struct reserve {
  static constexpr std::string_view name = "shop.reserve";
  std::string sku;
  int quantity = 0;
  using reply = reserved;
};
struct restock {
  static constexpr std::string_view name = "shop.restock";
  int quantity = 0;
};
struct stock : actor<reserve, restock> {
  result<reserved> on(const reserve& r) {
    if (r.quantity > left_) return fail("sold out");
    return reserved{left_ -= r.quantity};
  }
  void on(const restock& r) { left_ += r.quantity; }
  int left_ = 0;
};

std::string hex(const bytes& all) {
  std::string text;
  for (const std::byte b : all) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(b));
    text += two;
  }
  return text;
}

/// The bytes of a block of the page: on each line, what is before two spaces.
std::string shown(std::string_view name) {
  std::ifstream page{COPPICE_SOURCE_DIR "/docs/internals/wire.md"};
  std::string found, line;
  while (std::getline(page, line) && line != "<!-- bytes of " + std::string{name} + " -->")
    continue;
  std::getline(page, line);
  while (std::getline(page, line) && line != "```")
    found += line.substr(0, line.find("  ", line.find_first_not_of(' ')));
  std::erase(found, ' ');
  return found;
}

}  // namespace

TEST_CASE("the messages on the page about the wire are those that two nodes exchange") {
  two_nodes::stage s;
  s.beta.run.system().spawn<stock>({.id = "stock"});
  s.alpha.out = std::make_shared<two_nodes::pipe>();
  s.beta.out = std::make_shared<two_nodes::pipe>();
  s.alpha.actors->began(*s.alpha.other, s.alpha.out);
  s.beta.actors->began(*s.beta.other, s.beta.out);
  // The next message on its way from one node to the other.
  const auto passed = [&s](two_nodes::node& from, two_nodes::node& to) {
    s.alpha.run.run_until_idle();
    s.beta.run.run_until_idle();
    if (from.out->messages.empty()) return std::string{"no message"};
    std::string text = hex(from.out->messages.front().text);
    s.deliver(from, to);
    return text;
  };

  const auto far = s.alpha.at<reserve, restock>("beta:/stock");
  s.alpha.run.send(far, restock{200});
  CHECK(passed(s.alpha, s.beta) == shown("resolve"));
  CHECK(passed(s.beta, s.alpha) == shown("resolved"));
  CHECK(passed(s.alpha, s.beta) == shown("event"));
  auto asked = s.alpha.run.begin_ask(far, reserve{"nails", 20}, 200ms);
  CHECK(passed(s.alpha, s.beta) == shown("request"));
  CHECK(passed(s.beta, s.alpha) == shown("reply"));
  auto refused = s.alpha.run.begin_ask(far, reserve{"nails", 200}, 200ms);
  s.alpha.run.run_until_idle();
  s.deliver(s.alpha, s.beta);
  CHECK(passed(s.beta, s.alpha) == shown("failure"));
  s.settle();
  CHECK(asked.take().value().left == 180);
  CHECK(refused.take().error().code() == errc::failed);
}
