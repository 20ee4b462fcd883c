// SPDX-License-Identifier: BSD-3-Clause
// The program of the README: a till that asks a stock which crashes now and then.
#include <coppice/runtime/node/node.hpp>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

using namespace std::chrono_literals;

// Events are plain structs; one that names its reply is a request.
struct reserved {
  int left;
};
struct reserve {
  std::string sku;
  int quantity;
  using reply = reserved;
};
struct customer {
  int number;
};

class stock : public coppice::actor<reserve> {
 public:
  coppice::result<reserved> on(const reserve& r) {
    if (r.sku == "dynamite") throw std::runtime_error("boom");  // a crash: its supervisor decides
    if (r.quantity > left_) return coppice::fail("sold out");  // an answer
    return reserved{left_ -= r.quantity};
  }

 private:
  int left_ = 100;
};

class till : public coppice::actor<customer> {
 public:
  till(coppice::ref<reserve> stock, coppice::stopper end) : stock_(std::move(stock)), end_(end) {}

  void started() {
    for (int n = 1; n <= 5; ++n) send(self(), customer{n});
  }
  coppice::task<> on(const customer& c) {  // other actors run while this one waits
    auto asked = ask(stock_, reserve{c.number == 3 ? "dynamite" : "nails", 20}, 200ms);
    auto left = co_await asked;
    if (left) std::printf("customer %d: 20 nails, %d left\n", c.number, left->left);
    else std::printf("customer %d: sorry, %s\n", c.number, left.error().message().c_str());
    if (c.number == 5) end_.stop();
  }

 private:
  coppice::ref<reserve> stock_;  // stays valid over crashes of the stock
  coppice::stopper end_;
};

int main(int argc, char** argv) {
  coppice::program shop{"shop", "Sells nails."};
  return shop.run(argc, argv, [end = shop.end()](coppice::children& c) {
    auto nails = c.add<stock>("stock");
    c.add<till>("till", nails, end);
  });
}
