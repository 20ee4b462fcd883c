// SPDX-License-Identifier: BSD-3-Clause
// The programs of docs/coroutines.md, built and run.
#include <string>

#include <doctest/doctest.h>

#include "tools.hpp"

using namespace std::chrono_literals;

namespace {

struct reserved {
  int left;
};
struct reserve {
  std::string sku;
  int quantity;
  using reply = reserved;
};
struct order_placed {
  std::string sku;
};

class inventory : public coppice::actor<reserve> {
 public:
  coppice::result<reserved> on(const reserve& r) {
    if (r.sku == "unknown") return coppice::fail("no such article");
    return reserved{7};
  }
};

class counter : public coppice::actor<order_placed> {
 public:
  counter(tools::record seen, coppice::ref<reserve> stock)
      : seen_(std::move(seen)), inventory_(std::move(stock)) {}

 protected:
  void ship(const order_placed& order) { seen_.add("ship " + order.sku); }
  void refuse(const order_placed& order, const coppice::error& why) {
    seen_.add("refuse " + order.sku + ": " + why.message());
  }

  tools::record seen_;
  coppice::ref<reserve> inventory_;
};

class waiting : public counter {
 public:
  using counter::counter;
  coppice::task<> on(const order_placed& order) {
    auto asked = ask(inventory_, reserve{order.sku, 1}, 200ms);  // sent now
    auto left = co_await asked;                                  // result<reserved>
    if (!left) {
      refuse(order, left.error());
      co_return;
    }
    ship(order);
  }
};

class continuing : public counter {
 public:
  using counter::counter;
  void on(const order_placed& order) {
    ask(inventory_, reserve{order.sku, 1}, 200ms)
        .then([this, order](coppice::result<reserved> left) {
          if (left) ship(order);
          else refuse(order, left.error());
        });
  }
};

template <class T>
std::string orders() {
  tools::record seen;
  coppice::testing::executor run{1};
  const auto stock = run.system().spawn<inventory>({.id = "stock"});
  const auto one = run.system().spawn<T>({.id = "counter"}, seen, stock);
  run.send(one, order_placed{"nails"});
  run.send(one, order_placed{"unknown"});
  run.run_until_idle();
  return seen.text();
}

}  // namespace

TEST_CASE("waiting and continuing see the same answers") {
  CHECK(orders<waiting>() == "ship nails, refuse unknown: failed: no such article");
  CHECK(orders<continuing>() == orders<waiting>());
}
