// SPDX-License-Identifier: BSD-3-Clause
// What is done once for many events: at the end of a slice, and at the end of a delivery.
#include <coppice/actors/actor.hpp>
#include <coppice/actors/detail/delivery.hpp>
#include <coppice/actors/testing/executor.hpp>

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace coppice;

namespace {

struct counter final : detail::after_slice {
  void slice_ended() noexcept override {
    ++ended;
    pending = false;
  }
  void note(detail::tick now) {
    if (!std::exchange(pending, true)) detail::this_worker.put_off(*this, now);
  }
  int ended = 0;
  bool pending = false;
};

struct work {
  bool slow = false;
};

class worker : public actor<work> {
 public:
  worker(counter* count, std::vector<int>* seen) : count_(*count), seen_(*seen) {}
  void on(const work& w) {
    seen_.push_back(count_.ended);
    detail::clockwork& clock = cell_->home().clock;
    count_.note(clock.now());
    if (w.slow) clock.set(clock.now() + 1);
  }

 private:
  counter& count_;
  std::vector<int>& seen_;
};

struct stage {
  counter count;
  std::vector<int> seen;
  testing::executor run;
  ref<work> who = run.system().spawn<worker>({.id = "worker"}, &count, &seen);
};

}  // namespace

TEST_CASE("what a slice puts off is done once, at its end") {
  stage s;
  for (int i = 0; i < 10; ++i) s.run.send(s.who, work{});
  s.run.run_until_idle();
  CHECK(s.seen == std::vector<int>(10, 0));
  CHECK(s.count.ended == 1);
}

// Three handlers of 100 ms each would have kept what the first one sent for 300 ms.
TEST_CASE("what a slice puts off does not wait for slow handlers behind it") {
  stage s;
  for (int i = 0; i < 3; ++i) s.run.send(s.who, work{true});
  s.run.run_until_idle();
  CHECK(s.seen == std::vector<int>{0, 1, 2});
  CHECK(s.count.ended == 3);
}

TEST_CASE("actors that a delivery wakes run when it has ended") {
  stage s;
  s.run.run_until_idle();
  detail::delivery all{detail::core_of(s.run.system())};
  all.begin();
  for (int i = 0; i < 100; ++i) s.run.send(s.who, work{});
  CHECK_FALSE(s.run.step());
  s.count.note(1);
  all.end(false);
  CHECK(s.count.ended == 1);
  s.run.run_until_idle();
  CHECK(s.seen.size() == 100);
}

TEST_CASE("under the deterministic executor a delivery keeps nothing for itself") {
  stage s;
  s.run.run_until_idle();
  detail::delivery all{detail::core_of(s.run.system())};
  all.begin();
  s.run.send(s.who, work{});
  all.end(true);
  CHECK_FALSE(all.waits());
  s.run.run_until_idle();
  CHECK(s.seen.size() == 1);
}

TEST_CASE("a delivery that wakes very many hands some over before its end") {
  stage s;
  std::vector<ref<work>> all_of_them;
  for (int i = 0; i < 200; ++i)
    all_of_them.push_back(s.run.system().spawn<worker>({.id = "more"}, &s.count, &s.seen));
  s.run.run_until_idle();
  detail::delivery all{detail::core_of(s.run.system())};
  all.begin();
  for (const auto& each : all_of_them) s.run.send(each, work{});
  CHECK(s.run.step());
  all.end(false);
  s.run.run_until_idle();
  CHECK(s.seen.size() == 200);
}
