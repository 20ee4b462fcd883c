// SPDX-License-Identifier: BSD-3-Clause
#include "witness.hpp"

#include <sys/time.h>

#include <chrono>
#include <cstdio>
#include <ctime>

namespace shop {

namespace {

using namespace std::chrono_literals;

constexpr auto moment = 1s;

/// The time of day, to the millisecond: to be compared with what others saw on this machine.
std::string now() {
  timeval at{};
  ::gettimeofday(&at, nullptr);
  std::tm local{};
  ::localtime_r(&at.tv_sec, &local);
  char text[32];
  const auto size = std::strftime(text, sizeof text, "%H:%M:%S", &local);
  std::snprintf(text + size, sizeof text - size, ".%03d", static_cast<int>(at.tv_usec / 1'000));
  return text;
}

}  // namespace

void witness::on(const coppice::member_changed& m) {
  if (m.node == nodes_->self() || m.from == m.to) return;
  std::fprintf(stderr, "orders: at %s node %s is %s: %s\n", now().c_str(), m.node.c_str(),
               std::string{coppice::name(m.to)}.c_str(), m.reason.c_str());
  if (m.to == coppice::opinion::unreachable) lost_.insert(m.node);
  if (m.to == coppice::opinion::up && lost_.erase(m.node) > 0)
    send_after(moment, take_stock{m.node});
}

void witness::on(const take_stock& t) {
  const std::string vain = mishaps_->text(), dead = dead_();
  std::fprintf(
      stderr, "orders: since node %s is back: asked in vain and again: %s; dead letters: %s\n",
      t.node.c_str(), vain.empty() ? "none" : vain.c_str(), dead.empty() ? "none" : dead.c_str());
}

}  // namespace shop
