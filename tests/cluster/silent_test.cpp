// SPDX-License-Identifier: BSD-3-Clause
#include "local_cluster.hpp"
#include "relay.hpp"

#include <doctest/doctest.h>

using namespace coppice;
using namespace std::chrono_literals;
using local::eventually;

namespace {

struct answer {
  int x = 0;
};
struct question {
  static constexpr std::string_view name = "test.question";
  int x = 0;
  using reply = answer;
};

struct oracle : actor<question> {
  answer on(const question& q) { return {q.x + 1}; }
};

/// Two nodes that reach each other over relays, so that what is between them can be cut.
struct cut_off {
  cut_off() {
    for (const char* name : {"alpha", "beta"})
      entries.push_back({name, "", {}, "unix:" + (home.path / name).string(), ""});
    for (std::size_t i : {0, 1}) {
      auto seen = entries;
      seen[1 - i].address += ".relay";
      nodes[i] = std::make_unique<local::node>(
          seen, entries[i].name, [](cluster_options& o) { o.limits.session_limit = 300ms; });
    }
    for (auto& n : nodes) n->shell().start().value();
  }
  bool both(opinion wanted) {
    return eventually([&] {
      return nodes[0]->opinion_of("beta") == wanted && nodes[1]->opinion_of("alpha") == wanted;
    });
  }

  local::folder home;
  local::relay relay{{{home.path / "alpha.relay", home.path / "alpha"},
                      {home.path / "beta.relay", home.path / "beta"}}};
  std::vector<cluster_options::entry> entries;
  std::unique_ptr<local::node> nodes[2];
};

}  // namespace

TEST_CASE(
    "a peer that swallows everything ends the session at its limit, and comes back by itself") {
  cut_off c;
  local::node &alpha = *c.nodes[0], &beta = *c.nodes[1];
  REQUIRE(c.both(opinion::up));
  beta.system->spawn<oracle>({.id = "oracle"});
  const auto far = alpha.cluster->find<question>("beta:/oracle", 5s).value();
  CHECK(alpha.outside().ask(far, question{1}, 5s).value().x == 2);

  c.relay.cut();
  // Whether it arrived is unknown, and told long before the deadline.
  const auto lost = alpha.outside().ask(far, question{2}, 60s);
  CHECK(lost.error().code() == errc::disconnected);
  CHECK(c.both(opinion::unreachable));
  // What is not even sent is known not to have been executed.
  CHECK(eventually([&] {
    const auto r = alpha.outside().ask(far, question{3}, 60s);
    return !r && r.error().code() == errc::unreachable;
  }));

  c.relay.heal();
  CHECK(c.both(opinion::up));
  CHECK(eventually([&] {
    const auto r = alpha.outside().ask(far, question{4}, 5s);
    return r && r->x == 5;
  }));
}
