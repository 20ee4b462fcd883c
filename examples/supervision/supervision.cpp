// SPDX-License-Identifier: BSD-3-Clause
// Dynamic children and calls to supervisors, the program of docs/concepts/supervision.md.
#include <coppice/runtime/node/node.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;

struct drop {
  std::string parcel;
};
struct arrived {
  std::string parcel;
};
struct arrive {};

/// Counts what arrives at the depot.
class depot : public coppice::actor<arrived> {
 public:
  void on(const arrived& a) { std::printf("%s has arrived\n", a.parcel.c_str()); }
};

// What a courier is started with; the answer is a ref to it.
struct carry {
  std::string parcel;
  using reply = coppice::ref<arrive, drop>;
};

class courier : public coppice::actor<arrive, drop> {
 public:
  courier(coppice::ref<arrived> depot, carry order) : depot_(std::move(depot)), order_(order) {}

  void on(const arrive&) {
    send(depot_, arrived{order_.parcel});
    stop();  // its work is done: a temporary or transient child is not started again
  }
  void on(const drop& d) { throw std::runtime_error("dropped " + d.parcel); }

 private:
  coppice::ref<arrived> depot_;
  carry order_;
};

struct open_shop {};

/// Sends a courier for each parcel, and looks after them by asking their supervisor.
class dispatcher : public coppice::actor<open_shop> {
 public:
  dispatcher(coppice::dynamic_ref<carry> couriers, coppice::stopper end)
      : couriers_(std::move(couriers)), end_(end) {}

  void started() { send(self(), open_shop{}); }
  coppice::task<> on(const open_shop&) {
    auto starting = ask(couriers_, carry{"p-1"}, 1s);
    auto first = co_await starting;  // result<ref<arrive, drop>>: it runs
    auto starting_another = ask(couriers_, carry{"p-2"}, 1s);
    auto second = co_await starting_another;

    send(*first, drop{"p-1"});  // crashes, and is made from p-1 again: the ref stays valid
    send(*first, arrive{});
    auto stopping = ask(couriers_, coppice::terminate_child{.child = *second}, 1s);
    auto stopped = co_await stopping;
    std::printf("p-2 is called back: %s\n", stopped ? "done" : stopped.error().message().c_str());

    auto counting = ask(couriers_, coppice::count_children{}, 1s);
    auto left = co_await counting;
    std::printf("%u couriers are under way\n", left->active);
    end_.stop();
  }

 private:
  coppice::dynamic_ref<carry> couriers_;
  coppice::stopper end_;
};

}  // namespace

int main(int argc, char** argv) {
  coppice::program shop{"delivery", "Sends couriers."};
  return shop.run(argc, argv, [end = shop.end()](coppice::children& c) {
    c.strategy(coppice::rest_for_one);  // without its depot a courier is lost, not the reverse
    auto home = c.add<depot>("depot");
    auto couriers = c.dynamic<courier, carry>(
        {.own = {.id = "couriers"}, .child = {.restart = coppice::transient}}, home);
    c.add<dispatcher>("dispatcher", couriers, end);
  });
}
