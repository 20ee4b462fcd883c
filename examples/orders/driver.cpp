// SPDX-License-Identifier: BSD-3-Clause
#include "driver.hpp"

#include <chrono>
#include <utility>

namespace shop {

namespace {

using namespace std::chrono_literals;

/// Longer than a full mailbox and a restart take: a timeout leaves open what became of the order.
/// It is not caught, so that the driver is lost with it, and its line led again.
constexpr auto patience = 5s;

template <class R>
bool crashed(const coppice::result<R>& answer) {
  return !answer && answer.error().code() == coppice::errc::crashed;
}

}  // namespace

coppice::task<> driver::on(const begin&) {
  auto looking = attempt(at_.intake, look_at{line_, self()});
  auto looked = co_await looking;
  if (crashed(looked)) {
    send(self(), settle{});
  } else if (!looked.value().well_formed) {
    auto closing = close(enter{line_.number, {}, outcome::refused, "malformed", {}});
    co_await closing;
  }
}

coppice::task<> driver::on(const accepted& a) {
  accepted_ = true;
  auto leading = lead_on(a.what);
  auto end = co_await leading;
  auto closing = close(enter{line_.number, a.what->id, end.what, end.reason, a.what->plant});
  co_await closing;
}

coppice::task<> driver::on(const settle&) {
  if (accepted_) co_return;
  auto closing = close(enter{line_.number, {}, outcome::lost, "crash_intake", {}});
  co_await closing;
}

/// From inventory to shipping. None of them is given an order twice that it has crashed on.
coppice::task<driver::ending> driver::lead_on(const order_ptr& what) {
  auto reserving = attempt(at_.inventory, reserve{what});
  auto reserved = co_await reserving;
  if (crashed(reserved)) co_return ending{outcome::lost, "crash_inventory"};
  if (const auto& why = reserved.value().refused_because; !why.empty())
    co_return ending{outcome::refused, why};

  auto charging = attempt(at_.payment, charge{what});
  auto charged = co_await charging;
  if (crashed(charged)) co_return ending{outcome::lost, "crash_payment"};
  if (const auto& why = charged.value().refused_because; !why.empty())
    co_return ending{outcome::refused, why};

  auto handing_over = attempt(at_.shipping, ship{what});
  auto handed_over = co_await handing_over;
  if (crashed(handed_over)) {
    auto asking = attempt(at_.shipping, was_shipped{what->line});
    auto found = co_await asking;
    if (!found.value().shipped) co_return ending{outcome::lost, "crash_shipping"};
  } else if (const auto& why = handed_over.value().refused_because; !why.empty()) {
    co_return ending{outcome::refused, why};
  }
  co_return ending{outcome::shipped, {}};
}

/// Has the end of the line entered, however often audit crashes, and ends with it.
coppice::task<> driver::close(enter last) {
  for (;;) {
    auto entering = attempt(at_.audit, last);
    auto done = co_await entering;
    if (!crashed(done)) {
      done.value();
      stop();
      co_return;
    }
    last.plant.clear();  // it is armed on the first attempt only
  }
}

/// Asks until the worker has taken the request up. Ends with the answer, or with an error that
/// leaves open what was done.
template <class E, class... Es>
coppice::task<coppice::result<typename E::reply>> driver::attempt(coppice::ref<Es...> worker,
                                                                  E request) {
  for (;;) {
    auto asked = ask(worker, request, patience);
    auto answer = co_await asked;
    if (answer || !answer.error().not_executed()) co_return std::move(answer);
    auto breath = pause(10ms);
    co_await breath;
  }
}

}  // namespace shop
