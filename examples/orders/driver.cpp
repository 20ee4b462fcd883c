// SPDX-License-Identifier: BSD-3-Clause
#include "driver.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace shop {

namespace {

using namespace std::chrono_literals;

/// Longer than a full mailbox and a restart take: a timeout leaves open what became of the order.
constexpr auto patience = 5s;
/// Between two attempts. A node that is lost is not asked for as fast as it can refuse.
constexpr auto first_pause = 10ms;
constexpr auto longest_pause = 500ms;
/// About a minute of pauses. Then the driver gives up and is lost, and its line is led again.
constexpr int most_attempts = 120;

template <class R>
bool crashed(const coppice::result<R>& answer) {
  return !answer && answer.error().code() == coppice::errc::crashed;
}

/// What had not been executed, and what may have been or not: every stage takes the same request
/// twice without doing anything twice. A crash is no reason to ask again, it might crash the next.
bool worth_another(const coppice::error& e) {
  switch (e.code()) {
    case coppice::errc::timeout:
    case coppice::errc::disconnected:
    case coppice::errc::unanswered:
    case coppice::errc::failed: return true;  // shipping: it could not reach the ledger
    case coppice::errc::denied:
    case coppice::errc::unknown_event: return false;  // the next one would end the same way
    default: return e.not_executed();
  }
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
  auto reserving =
      attempt(at_.inventory, reserve{what->line, what->sku, what->quantity, what->plant});
  auto reserved = co_await reserving;
  if (crashed(reserved)) co_return ending{outcome::lost, "crash_inventory"};
  if (const auto& why = reserved.value().refused_because; !why.empty())
    co_return ending{outcome::refused, why};

  auto charging = attempt(at_.payment, charge{what->line, what->card, what->plant});
  auto charged = co_await charging;
  if (crashed(charged)) co_return ending{outcome::lost, "crash_payment"};
  if (const auto& why = charged.value().refused_because; !why.empty())
    co_return ending{outcome::refused, why};

  const auto& shipping = at_.shipping[what->line % at_.shipping.size()];
  auto handing_over = attempt(shipping, ship{what->line, what->id, what->customer, what->plant});
  auto handed_over = co_await handing_over;
  if (crashed(handed_over)) {
    auto asking = attempt(shipping, was_shipped{what->line});
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

/// Asks until the worker has answered or crashed. A plant stays armed: it has not fired, or nobody
/// knows that it has, and the same end comes of it.
template <class E, class... Es>
coppice::task<coppice::result<typename E::reply>> driver::attempt(coppice::ref<Es...> worker,
                                                                  E request) {
  std::chrono::milliseconds wait = first_pause;
  for (int attempts = 1;; ++attempts) {
    auto asked = ask(worker, request, patience);
    auto answer = co_await asked;
    if (answer || !worth_another(answer.error()) || attempts == most_attempts)
      co_return std::move(answer);
    mishaps_->count(answer.error().code());
    auto breath = pause(wait);
    co_await breath;
    wait = std::min<std::chrono::milliseconds>(2 * wait, longest_pause);
  }
}

}  // namespace shop
