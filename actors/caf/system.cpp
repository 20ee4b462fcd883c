// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/caf/system_private.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <coppice/actors/outside.hpp>

namespace coppice {

namespace {

detail::tick read_clock() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return detail::tick{now.tv_sec} * 1'000 + now.tv_nsec / 1'000'000;
}

error wrong_id(std::string_view id) {
  return error{errc::invalid,
               "an id has 1 to 64 characters, no '/' and no control characters; "
               "this one is '" +
                   std::string{id.substr(0, 80)} + "'"};
}

}  // namespace

system::implementation::implementation(system_options given, bool is_deterministic)
    : core(&read_clock), options(given), deterministic(is_deterministic) {
  watch = options.watch;
  config.home = this;
  config.options = &options;
  // Unlimited by default: a busy CAF actor would keep its worker.
  config.set("scheduler.max-throughput", std::size_t{64});
  if (deterministic) config.load<detail::deterministic_scheduler>();
  else config.load<detail::scheduler>();
  caf_system = std::make_unique<caf::actor_system>(config);
  caf_system->await_actors_before_shutdown(false);
  scheduler = &caf_system->scheduler();
}

system::implementation::~implementation() {
  clock.clear();
  caf_system.reset();
}

detail::scheduler* system::implementation::threads() noexcept {
  return deterministic ? nullptr : static_cast<detail::scheduler*>(&caf_system->scheduler());
}

detail::deterministic_scheduler* system::implementation::steps() noexcept {
  return deterministic ? static_cast<detail::deterministic_scheduler*>(&caf_system->scheduler())
                       : nullptr;
}

void system::implementation::root_ended(detail::cell* root) noexcept {
  detail::cell_ptr last;
  std::lock_guard lock{roots_guard};
  const auto found = std::find_if(roots.begin(), roots.end(),
                                  [&](const detail::cell_ptr& r) { return r.get() == root; });
  if (found == roots.end()) return;
  last = std::move(*found);
  roots.erase(found);
  roots_changed.notify_all();
}

void system::implementation::run_on_own_thread(detail::cell& x) noexcept {
  if (detail::scheduler* s = threads()) s->run_on_own_thread(x);
  else steps()->enqueue(&detail::shell::of(x));
}

std::vector<std::string> system::implementation::stop_all(std::chrono::milliseconds deadline) {
  const detail::tick until = clock.read() + deadline.count();
  std::vector<detail::cell_ptr> all;
  {
    std::lock_guard lock{roots_guard};
    if (std::exchange(stopped, true)) return stuck;
    all = roots;
  }
  // Kill a little before the deadline, so that what still can end does so within it.
  const detail::tick gentle = until - std::max<detail::tick>(deadline.count() / 10, 1);
  for (const auto& root : all) root->stop(exit_reason::shutdown(), deterministic ? 0 : gentle);
  const auto wait_until = [&](detail::tick at) {
    if (deterministic) {
      steps()->advance(std::max<detail::tick>(at - clock.read(), 0), 10'000'000);
      return;
    }
    std::unique_lock lock{roots_guard};
    roots_changed.wait_for(lock, std::chrono::milliseconds{at - clock.read()},
                           [&] { return roots.empty(); });
  };
  wait_until(gentle);
  {
    std::lock_guard lock{roots_guard};
    all = roots;
  }
  for (const auto& root : all) root->kill(exit_reason::killed());
  if (!all.empty()) wait_until(until);
  if (detail::scheduler* s = threads()) {
    bool left;
    {
      std::lock_guard lock{roots_guard};
      left = !roots.empty();
    }
    if (left)
      for (const stall& each : s->running_longer_than(std::chrono::milliseconds{0}))
        stuck.push_back(each.path);
    s->stop_within(std::chrono::milliseconds{
        std::max<detail::tick>(until - clock.read(), stuck.empty() ? 1'000 : 1)});
  }
  return stuck;
}

system::system(system_options options) : impl_(std::make_unique<implementation>(options, false)) {}

system::system(std::unique_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}

system::~system() {
  if (!impl_) return;
  if (stop(std::chrono::seconds{5}).empty()) return;
  std::fprintf(stderr, "coppice: actors did not return from a handler:");
  for (const std::string& path : impl_->stuck) std::fprintf(stderr, " %s", path.c_str());
  std::fprintf(stderr, "\ncoppice: a C++ thread cannot be killed: leaving the process\n");
  std::_Exit(EXIT_FAILURE);
}

std::vector<std::string> system::stop(std::chrono::milliseconds deadline) {
  return impl_->stop_all(deadline);
}

detail::cell_ptr system::spawn_cell(const detail::actor_type& type, detail::factory_ref made_by,
                                    const spawn_options& options) {
  const auto wrong_character = [](unsigned char c) { return c < 0x20 || c == '/' || c == 0x7f; };
  if (options.id.empty() || options.id.size() > 64 ||
      std::any_of(options.id.begin(), options.id.end(), wrong_character))
    throw bad_result{wrong_id(options.id)};
  if (options.capacity < 1 || options.capacity > detail::lane::max_capacity)
    throw bad_result{
        error{errc::invalid, "a mailbox's capacity is 1 to 60000 events; this one is " +
                                 std::to_string(options.capacity)}};
  detail::cell_options set_up;
  set_up.capacity = options.capacity;
  set_up.policy = options.on_full;
  set_up.own_thread = options.own_thread;
  set_up.ends_with_incarnation = true;
  detail::cell_ptr x = detail::make_cell(*impl_, type, made_by, options.id, set_up, nullptr, 0);
  {
    std::lock_guard lock{impl_->roots_guard};
    impl_->roots.push_back(x);
  }
  x->start(false);
  return x;
}

void system::stop_cell(detail::cell* x, const exit_reason& why) {
  if (x) x->stop(why, x->deadline_in(5'000));
}

dead_letter_counts system::dead_letters() const noexcept { return impl_->letters.counts(); }

unsigned system::workers() const noexcept {
  const auto* s = impl_->threads();
  return s ? s->worker_count() : 1;
}

caf::actor_system& caf_system(system& s) noexcept {
  return *detail::system_access::of(s).caf_system;
}

namespace detail {

core& core_of(system& s) noexcept { return *s.impl_; }

cell_ptr spawned(system& s, std::string_view id) {
  std::lock_guard lock{s.impl_->roots_guard};
  for (const cell_ptr& root : s.impl_->roots)
    if (root->id() == id) return root;
  return {};
}

cell_ptr make_cell(core& home, const actor_type& type, factory_ref made_by, std::string_view id,
                   const cell_options& options, cell* parent, std::uint32_t index) {
  auto& all = system_access::of(home);
  if (options.own_thread && all.threads() && !all.threads()->reserve_own_thread())
    throw bad_result{error{errc::limit,
                           "all threads for actors of their own are in use; see "
                           "system_options::own_threads"}};
  return cell_layout::make(home, *all.caf_system, type, made_by, id, options, parent, index);
}

void replace_factory(cell& x, void* factory) noexcept { cell_layout::replace_factory(x, factory); }

caf_bridge& caf_bridge::of(core& home) noexcept { return system_access::of(home).bridge; }

std::unique_ptr<system> system_access::make_deterministic(system_options options,
                                                          std::uint64_t seed) {
  auto s =
      std::unique_ptr<system>{new system{std::make_unique<system::implementation>(options, true)}};
  s->impl_->steps()->seed(seed);
  return s;
}

}  // namespace detail
}  // namespace coppice
