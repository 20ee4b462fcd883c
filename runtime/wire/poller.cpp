// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/poller_private.hpp>

#include <pthread.h>
#include <sched.h>

#include <system_error>
#include <utility>

namespace coppice::wire {

namespace {

using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often the thread that stands by looks whether the other one comes back.
constexpr milliseconds look_every{10};
/// So long nothing is run here after an actor has not returned.
constexpr milliseconds penalty{1'000};
/// How long the end waits for an actor that does not return; its thread is left behind then.
constexpr milliseconds patience{1'000};
/// And for the context, which comes to its end by itself unless no thread is left to run it.
constexpr milliseconds most_patience{5'000};

constexpr std::size_t nobody = 2, nobody_any_more = 3;

thread_local detail::delivery* hands_here = nullptr;

/// Runs what comes next. False: the context is at its end.
bool run_next(boost::asio::io_context& io, busy_wait& how) {
  const auto since = clock::now();
  for (const auto look = how.now(); clock::now() - since < look;) {
    if (io.poll_one() > 0) return true;
    if (io.stopped()) return false;
    ::sched_yield();  // whoever has something to do goes first
  }
  const bool any = io.run_one() > 0;
  how.came_after(clock::now() - since);
  return any;
}

}  // namespace

struct poller::shared {
  explicit shared(boost::asio::io_context& context) : io(context) {}

  boost::asio::io_context& io;  ///< not touched once `over`
  detail::core* actors = nullptr;
  busy_wait::duration longest{};
  /// Who has the context; `nobody` while that one runs an actor.
  std::atomic<std::size_t> holder{0};
  std::atomic<std::uint64_t> runs{0};  ///< of actors, begun
  std::atomic<clock::rep> not_before{0};

  std::mutex guard;
  std::condition_variable changed;
  /// The other thread can take over.
  std::atomic<bool> standing_by{false};
  /// The thread that stands by looks at `runs` now and then; else it sleeps until this is set. One
  /// sets this and looks at `runs`, the other the other way round: one of them sees.
  std::atomic<bool> watched{false};
  bool over = false;
  std::array<bool, 2> ended{true, true};
  std::array<detail::delivery*, 2> hands{};
};

poller::poller(boost::asio::io_context& io) : shared_(std::make_shared<shared>(io)) {}

void poller::start(detail::core* actors, busy_wait::duration longest) {
  shared_->actors = actors;
  // On a single core whoever is waited for could not run meanwhile.
  if (std::thread::hardware_concurrency() > 1) shared_->longest = longest;
  for (std::size_t i = 0; i < (actors ? 2u : 1u); ++i) {
    auto& ended = shared_->ended[i];
    ended = false;
    try {
      threads_[i] = std::thread{[with = shared_, i] {
        ::pthread_setname_np(::pthread_self(), "coppice-wire");
        serve(with, i);
        std::lock_guard lock{with->guard};
        with->ended[i] = true;
        with->changed.notify_all();
      }};
    } catch (const std::system_error&) {  // no more threads: one can do it alone
      ended = true;
      if (i == 0) throw;
    }
  }
}

void poller::join() noexcept {
  const auto& ended = shared_->ended;
  {
    std::unique_lock lock{shared_->guard};
    shared_->changed.wait_for(lock, most_patience,
                              [&] { return shared_->over || (ended[0] && ended[1]); });
    shared_->changed.wait_for(lock, patience, [&] { return ended[0] && ended[1]; });
    shared_->over = true;
    shared_->holder = nobody_any_more;
    for (std::size_t i = 0; i < threads_.size(); ++i)
      if (threads_[i].joinable() && !ended[i]) threads_[i].detach();
  }
  for (auto& t : threads_)
    if (t.joinable()) t.join();
}

bool poller::is_one_of_us() const noexcept {
  const auto me = std::this_thread::get_id();
  return threads_[0].get_id() == me || threads_[1].get_id() == me;
}

void poller::hand_over() noexcept {
  if (hands_here) hands_here->hand_over();
}

/// Until the context is this thread's. False: it is at its end.
bool poller::stand_by(shared& with, std::size_t mine) {
  struct standing {
    std::atomic<bool>& by;
    explicit standing(std::atomic<bool>& b) : by(b) { by = true; }
    ~standing() { by = false; }
  } here{with.standing_by};
  std::unique_lock lock{with.guard};
  std::uint64_t seen = with.runs.load(std::memory_order_acquire);
  for (auto quiet_since = clock::now();;) {
    if (with.over) return false;
    if (with.holder.load(std::memory_order_acquire) == mine) return true;
    if (clock::now() - quiet_since > penalty) {
      with.watched.store(false, std::memory_order_seq_cst);
      if (with.runs.load(std::memory_order_seq_cst) == seen)
        with.changed.wait(lock, [&] { return with.over || with.watched.load(); });
      quiet_since = clock::now();
    }
    with.changed.wait_for(lock, look_every);
    const std::uint64_t now = with.runs.load(std::memory_order_acquire);
    if (now != std::exchange(seen, now)) {
      quiet_since = clock::now();
      continue;
    }
    std::size_t free = nobody;
    if (!with.holder.compare_exchange_strong(free, mine, std::memory_order_acq_rel)) continue;
    with.not_before.store((clock::now() + penalty).time_since_epoch().count(),
                          std::memory_order_relaxed);
    if (auto* stuck = with.hands[1 - mine]) stuck->give_away();
    return true;
  }
}

void poller::serve(const std::shared_ptr<shared>& with, std::size_t mine) {
  std::optional<detail::delivery> hands;
  busy_wait how{with->longest};
  if (with->actors) {
    hands_here = &hands.emplace(*with->actors);
    std::lock_guard lock{with->guard};
    with->hands[mine] = hands_here;
  }
  while (with->holder.load(std::memory_order_acquire) == mine || stand_by(*with, mine)) {
    if (!hands) {
      with->io.run();
      break;
    }
    hands->begin();
    const bool any = run_next(with->io, how);
    hands->end(any && with->standing_by &&
               clock::now().time_since_epoch().count() >=
                   with->not_before.load(std::memory_order_relaxed));
    if (!any) break;
    if (!hands->waits()) continue;
    with->runs.fetch_add(1, std::memory_order_seq_cst);
    if (!with->watched.load(std::memory_order_seq_cst)) {
      std::lock_guard lock{with->guard};
      with->watched.store(true, std::memory_order_seq_cst);
      with->changed.notify_all();
    }
    with->holder.store(nobody, std::memory_order_release);
    hands->run();
    std::size_t free = nobody;
    with->holder.compare_exchange_strong(free, mine, std::memory_order_acq_rel);
  }
  std::lock_guard lock{with->guard};
  with->hands[mine] = nullptr;
  with->over = true;
  with->changed.notify_all();
}

}  // namespace coppice::wire
