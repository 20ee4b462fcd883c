// SPDX-License-Identifier: BSD-3-Clause
#include "progress.hpp"

#include <cstdio>

namespace shop {

namespace {

using namespace std::chrono_literals;

constexpr auto period = 1s;
constexpr auto patience = 2s;

std::uint64_t sum(const totals& t) { return t.shipped + t.refused + t.lost; }

}  // namespace

coppice::task<> progress::started() {
  watch(at_.intake);
  watch(at_.inventory);
  watch(at_.payment);
  for (const auto& worker : at_.shipping) watch(worker);
  watch(at_.audit);
  send_every(period, tick{});
  // None, unless this incarnation begins in mid-run.
  auto counting = ask(at_.audit, count_up{}, patience);
  auto counted = co_await counting;
  if (counted) at_begin_ = lines_ = sum(*counted);
}

void progress::on(const coppice::ended& e) {
  const bool node_lost = e.reason.what() == coppice::exit_reason::kind::unreachable;
  if (!e.gone && !node_lost) ++restarts_;
}

coppice::task<> progress::on(const tick&) {
  auto counting = ask(at_.audit, count_up{}, patience);
  auto counted = co_await counting;
  if (!counted) co_return;  // a busy second has no line; the next one tells
  const auto now = clock::now();
  print(*counted, "so far", sum(*counted) - lines_, now - last_);
  lines_ = sum(*counted);
  last_ = now;
}

coppice::task<> progress::stopping(const coppice::exit_reason&) {
  auto counting = ask(at_.audit, count_up{}, patience);
  auto counted = co_await counting;
  if (counted) print(*counted, "in all", sum(*counted) - at_begin_, clock::now() - begin_);
}

void progress::print(const totals& t, const char* what, std::uint64_t lines,
                     clock::duration in) const {
  const double seconds = std::chrono::duration<double>(in).count();
  std::fprintf(stderr,
               "orders: %llu lines %s, %.0f a second: %llu shipped, %llu refused, %llu lost; "
               "%llu restarts\n",
               static_cast<unsigned long long>(sum(t)), what,
               seconds > 0 ? static_cast<double>(lines) / seconds : 0.0,
               static_cast<unsigned long long>(t.shipped),
               static_cast<unsigned long long>(t.refused), static_cast<unsigned long long>(t.lost),
               static_cast<unsigned long long>(restarts_));
}

}  // namespace shop
