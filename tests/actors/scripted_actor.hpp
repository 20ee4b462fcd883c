// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <coppice/actors/caf/system_private.hpp>
#include <coppice/actors/testing/executor.hpp>

/// An actor that does what a test orders and keeps, outside of itself, what it was told.
namespace scripted {

class actor;
struct order {
  std::function<void(actor&)> what;
};
/// `number` counts what one incarnation of `sender` has sent to this receiver.
struct note {
  std::uint64_t sender;
  std::uint32_t incarnation;
  int number;
};

/// One line of what happened to an actor, in its order.
struct line {
  enum { a_note, an_end, a_signal } what;
  note noted{};
  coppice::ended end{};
  coppice::exit_signal signal{};
};

struct record {
  std::vector<line> lines;
  int started = 0;
  int stopping = 0;

  std::vector<coppice::ended> ends() const {
    std::vector<coppice::ended> found;
    for (const line& l : lines)
      if (l.what == line::an_end) found.push_back(l.end);
    return found;
  }
  std::vector<coppice::exit_signal> signals() const {
    std::vector<coppice::exit_signal> found;
    for (const line& l : lines)
      if (l.what == line::a_signal) found.push_back(l.signal);
    return found;
  }
  std::vector<int> notes() const {
    std::vector<int> found;
    for (const line& l : lines)
      if (l.what == line::a_note) found.push_back(l.noted.number);
    return found;
  }
};
using record_ptr = std::shared_ptr<record>;

class actor : public coppice::actor<order, note, coppice::ended, coppice::exit_signal> {
 public:
  explicit actor(record_ptr to) : record_(std::move(to)) { ++record_->started; }

  void on(const order& o) { o.what(*this); }
  void on(const note& n) { record_->lines.push_back({line::a_note, n, {}, {}}); }
  void on(const coppice::ended& e) { record_->lines.push_back({line::an_end, {}, e, {}}); }
  void on(const coppice::exit_signal& s) { record_->lines.push_back({line::a_signal, {}, {}, s}); }
  void stopping(const coppice::exit_reason&) { ++record_->stopping; }

  using coppice::actor_base::exit;
  using coppice::actor_base::link;
  using coppice::actor_base::send;
  using coppice::actor_base::stop;
  using coppice::actor_base::unlink;
  using coppice::actor_base::unwatch;
  using base = coppice::actor<order, note, coppice::ended, coppice::exit_signal>;
  using base::self;
  using base::send_after;
  using base::trap_exits;
  using base::watch;

  void tell(const address& to, int number) {
    send(to, note{self().number(), incarnation(), number});
  }

 private:
  record_ptr record_;
};

using address = actor::address;
using executor = coppice::testing::executor;

struct spawned {
  address at;
  record_ptr seen;
};
inline spawned spawn(coppice::system& s, std::string id, std::uint32_t capacity = 10'000) {
  auto seen = std::make_shared<record>();
  return {s.spawn<actor>({.id = std::move(id), .capacity = capacity}, seen), seen};
}

/// An address whose incarnations the test starts itself, as a supervisor would; the test also
/// calls `end`, and lets it take effect.
struct driven {
  coppice::detail::cell_ptr cell;
  address at;
  record_ptr seen;

  void end() { cell->tell(coppice::detail::control::end, coppice::exit_reason::shutdown()); }
};
inline driven drive(coppice::system& s, std::string_view id) {
  using made_by = coppice::detail::factory<actor, record_ptr>;
  auto seen = std::make_shared<record>();
  made_by factory{{seen}};
  auto& home = coppice::detail::system_access::of(s);
  const coppice::detail::cell_ptr x = coppice::detail::cell_layout::make(
      home, *home.caf_system, coppice::detail::actor_type_of<actor>,
      {&coppice::detail::factory_type_of<actor, record_ptr>, &factory}, id, {}, nullptr, 0);
  return {x, coppice::detail_ref::make<address>(x.get()), seen};
}

inline void tell(executor& run, const spawned& to, std::function<void(actor&)> what) {
  run.send(to.at, order{std::move(what)});
}
inline void tell(executor& run, const driven& to, std::function<void(actor&)> what) {
  run.send(to.at, order{std::move(what)});
}

[[noreturn]] inline void crash(actor&) { throw std::runtime_error{"out of paper"}; }

using kind = coppice::exit_reason::kind;

/// Runs a test's body under many orders of what is ready.
template <class F>
void under_seeds(std::uint64_t seeds, F body) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    executor run{seed};
    body(run, seed);
  }
}

}  // namespace scripted
