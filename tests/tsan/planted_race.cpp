// SPDX-License-Identifier: BSD-3-Clause
// Two actors write the same integer from their handlers, which nothing orders. Built with
// ThreadSanitizer; the test succeeds if that is reported, and nothing else is.
#include <coppice/actors/outside.hpp>
#include <coppice/actors/system.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

namespace {

struct done {};
struct write_it {
  using reply = done;
};

struct shared {
  int raced = 0;
  /// Relaxed on purpose: it brings the two handlers together in time, and orders nothing.
  std::atomic<int> arrived{0};
};

class writer : public coppice::actor<write_it> {
 public:
  explicit writer(std::shared_ptr<shared> with) : with_(std::move(with)) {}
  done on(const write_it&) {
    with_->arrived.fetch_add(1, std::memory_order_relaxed);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (with_->arrived.load(std::memory_order_relaxed) < 2 &&
           std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    ++with_->raced;
    return {};
  }

 private:
  std::shared_ptr<shared> with_;
};

}  // namespace

int main() {
  using namespace std::chrono_literals;
  coppice::system system{{.workers = 2}};
  const auto with = std::make_shared<shared>();
  const auto a = system.spawn<writer>({.id = "a"}, with);
  const auto b = system.spawn<writer>({.id = "b"}, with);
  coppice::outside from_outside{system};
  from_outside.send(a, write_it{});
  return from_outside.ask(b, write_it{}, 60s) ? 0 : 1;
}
