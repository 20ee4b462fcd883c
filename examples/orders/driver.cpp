// SPDX-License-Identifier: BSD-3-Clause
#include "clerk.hpp"

#include <chrono>
#include <utility>

namespace shop {

namespace {

using namespace std::chrono_literals;

/// Longer than a full mailbox and a restart take: a timeout would leave open what became of the
/// order.
constexpr auto patience = 60s;

template <class R>
bool crashed(const coppice::result<R>& answer) {
  return !answer && answer.error().code() == coppice::errc::crashed;
}

}  // namespace

void clerk::started() { send(reader_, next_line{self()}); }

coppice::task<> clerk::on(const line& l) {
  auto looking = attempt(at_.intake, look_at{l.number, l.text, self()});
  auto looked = co_await looking;
  if (crashed(looked)) {
    send(self(), settle{l.number});
  } else if (!looked.value().well_formed) {
    auto closing = close(enter{l.number, {}, outcome::refused, "malformed", {}});
    co_await closing;
  }
}

coppice::task<> clerk::on(const accepted& a) {
  accepted_line_ = a.what->line;
  auto leading = lead(a.what);
  auto end = co_await leading;
  auto closing = close(enter{a.what->line, a.what->id, end.what, end.reason, a.what->plant});
  co_await closing;
}

coppice::task<> clerk::on(const settle& s) {
  if (accepted_line_ == s.line) co_return;
  auto closing = close(enter{s.line, {}, outcome::lost, "crash_intake", {}});
  co_await closing;
}

/// From inventory to shipping. None of them is given an order twice that it has crashed on.
coppice::task<clerk::ending> clerk::lead(const order_ptr& what) {
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

/// Has the end of a line entered, however often audit crashes, and asks for the next line.
coppice::task<> clerk::close(enter last) {
  while (!stop_token().stop_requested()) {
    auto entering = attempt(at_.audit, last);
    auto done = co_await entering;
    if (!crashed(done)) {
      done.value();
      send(reader_, next_line{self()});
      co_return;
    }
    last.plant.clear();  // it is armed on the first attempt only
  }
}

/// Asks until the worker has taken the request up. Ends with the answer, or with an error that
/// leaves open what was done.
template <class E, class... Es>
coppice::task<coppice::result<typename E::reply>> clerk::attempt(coppice::ref<Es...> worker,
                                                                 E request) {
  for (;;) {
    auto asked = ask(worker, request, patience);
    auto answer = co_await asked;
    if (answer || !answer.error().not_executed() || stop_token().stop_requested())
      co_return std::move(answer);
    auto breath = pause(10ms);
    co_await breath;
  }
}

}  // namespace shop
