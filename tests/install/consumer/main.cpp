// SPDX-License-Identifier: BSD-3-Clause
// A stranger's program against the installed package: a tree, a crash, an answer after it.
#include <coppice/runtime/node/node.hpp>

#include <chrono>
#include <cstdio>
#include <stdexcept>

using namespace std::chrono_literals;

struct sum {
  int value;
};
struct add {
  int left, right;
  using reply = sum;
};

class adder : public coppice::actor<add> {
 public:
  sum on(const add& a) {
    if (a.left == 0) throw std::invalid_argument("nothing to add");
    return {a.left + a.right};
  }
};

int main() {
  coppice::ref<add> desk;
  coppice::node home{{.name = "consumer"},
                     [&desk](coppice::children& c) { desk = c.add<adder>("adder"); }};
  if (const auto up = home.start(); !up) return 1;
  const auto crashed = home.outside().ask(desk, add{0, 1}, 5s);
  const auto answered = home.outside().ask(desk, add{1, 2}, 5s);
  std::printf("%s", coppice::to_text(home.tree()).c_str());
  const bool fine = !crashed && crashed.error().code() == coppice::errc::crashed && answered &&
                    answered->value == 3;
  return home.stop(5s) && fine ? 0 : 1;
}
