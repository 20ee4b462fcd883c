// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/node_private.hpp>

#include <cstdlib>
#include <utility>

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace coppice {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t log_file_bytes = std::size_t{10} * 1024 * 1024;
constexpr std::size_t log_files = 3;
/// Left for the threads after the tree has stopped.
constexpr milliseconds thread_time{500};

spdlog::level::level_enum as_spdlog(log_level level) {
  switch (level) {
    case log_level::trace: return spdlog::level::trace;
    case log_level::debug: return spdlog::level::debug;
    case log_level::info: return spdlog::level::info;
    case log_level::warning: return spdlog::level::warn;
    case log_level::error: return spdlog::level::err;
    case log_level::off: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make_logger(const node_options& options) {
  spdlog::sink_ptr sink;
  if (options.log.file.empty()) sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  else
    sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.log.file, log_file_bytes,
                                                                  log_files);
  auto log = std::make_shared<spdlog::logger>(options.name, std::move(sink));
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-7l node=%n %v");
  log->set_level(as_spdlog(options.log.level));
  log->flush_on(spdlog::level::warn);
  // A full disk must not become a crash, nor a second storm of messages about itself.
  log->set_error_handler([](const std::string&) {});
  return log;
}

std::string left_out_text(std::uint64_t left_out) {
  return left_out ? " (" + std::to_string(left_out) + " like this left out)" : std::string{};
}

/// The fields of OTP's offender, the supervisor behind them.
std::string offender(const supervisor_report& r) {
  std::string text = "path=" + r.child() + " incarnation=" + std::to_string(r.incarnation);
  text.append(" type=").append(r.child_type());
  if (const child_spec* spec = r.spec) {
    text.append(" kind=").append(name(spec->kind)).append(" restart=").append(name(spec->restart));
    if (spec->significant) text += " significant";
    text += " shutdown=" + to_string(spec->shutdown);
  }
  return text + " supervisor=" + r.supervisor();
}

}  // namespace

// ---- what is logged ---------------------------------------------------------------------------

node_log::node_log(const node_options& options)
    : options_(options),
      log_(make_logger(options)),
      limits_{detail::rate_limit{options.log.records_per_second},
              detail::rate_limit{options.log.records_per_second},
              detail::rate_limit{options.log.records_per_second},
              detail::rate_limit{options.log.records_per_second},
              detail::rate_limit{options.log.records_per_second},
              detail::rate_limit{options.log.records_per_second},
              detail::rate_limit{options.log.records_per_second},
              detail::rate_limit{options.log.records_per_second}} {}

std::optional<std::uint64_t> node_log::admit(topic about, std::uint64_t already_left_out) noexcept {
  const auto now =
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
  std::lock_guard lock{guard_};
  const auto left_out = limits_[static_cast<std::size_t>(about)].admit(now, already_left_out);
  left_out_.fetch_add(already_left_out + (left_out ? 0 : 1), std::memory_order_relaxed);
  return left_out;
}

void node_log::on_report(const supervisor_report& r) noexcept {
  switch (r.about) {
    case report_context::progress:
      if (!log_->should_log(spdlog::level::debug)) return;
      if (const auto n = admit(topic::progress))
        log_->debug("{} started{}", offender(r), left_out_text(*n));
      return;
    case report_context::child_terminated: {
      if (r.reason.clean()) return;
      crashes_.fetch_add(1, std::memory_order_relaxed);
      if (const auto n = admit(topic::crash))
        log_->error("{} child terminated: {}{}", offender(r), r.reason.text(), left_out_text(*n));
      return;
    }
    case report_context::start_error:
      start_errors_.fetch_add(1, std::memory_order_relaxed);
      if (const auto n = admit(topic::start_error))
        log_->error("{} start error: {}{}", offender(r), r.reason.text(), left_out_text(*n));
      return;
    case report_context::shutdown_error:
      shutdown_errors_.fetch_add(1, std::memory_order_relaxed);
      if (const auto n = admit(topic::shutdown_error))
        log_->error("{} shutdown error: {}{}", offender(r), r.reason.text(), left_out_text(*n));
      return;
    case report_context::shutdown:
      exhausted_.fetch_add(1, std::memory_order_relaxed);
      if (const auto n = admit(topic::exhausted))
        log_->error("path={} child={} supervisor gives up: {}{}", r.supervisor(), r.child_id(),
                    r.reason.text(), left_out_text(*n));
      return;
  }
}

/// From the actor itself, before its supervisor knows: what it was at when it crashed.
void node_log::on_crash(const crash_report& c) noexcept {
  if (const auto n = admit(topic::crash_report))
    log_->error(
        "path={} incarnation={} type={} event={} waiting={} handled={} links={} watchers={} "
        "traps_exits={} crash report: {}{}",
        c.path(), c.incarnation(), c.type(), c.event().empty() ? "-" : c.event(), c.waiting(),
        c.handled(), c.links(), c.watchers(), c.traps_exits(), c.reason.text(), left_out_text(*n));
}

void node_log::on_end(const exit_reason& why) noexcept {
  if (when_ended) when_ended();
  if (!why.clean()) log_->critical("the tree has ended: {}", why.text());
}

void node_log::on_stuck(const std::string& path) noexcept {
  log_->critical(
      "path={} is stuck: it was told to stop, or killed, and has not ended within the stuck "
      "limit; a C++ thread cannot be killed{}",
      path, options_.exit_when_stuck ? ": leaving the process with code 70" : "");
  log_->flush();
  if (options_.exit_when_stuck) std::_Exit(exit_stuck);
}

void node_log::on_dead_letter(const dead_letter& d) noexcept {
  if (const auto n = admit(topic::dead_letter, d.left_out))
    log_->warn("path={} dead letter: {} event={}{}", d.to.empty() ? "-" : d.to, name(d.why),
               d.event, left_out_text(*n));
}

void node_log::on_stall(const stall& s) noexcept {
  stalls_.fetch_add(1, std::memory_order_relaxed);
  if (const auto n = admit(topic::stall))
    log_->warn("path={} event={} stalls: its handler has been running for {} ms{}", s.path, s.event,
               s.running.count(), left_out_text(*n));
}

void node_log::info(const std::string& text) { log_->info(text); }
void node_log::critical(const std::string& text) {
  log_->critical(text);
  log_->flush();
}

void node_log::close() noexcept {
  constexpr const char* kinds[] = {"start",   "crash",       "start error", "shutdown error",
                                   "give-up", "dead letter", "stall",       "crash report"};
  static_assert(std::size(kinds) == topics);
  std::lock_guard lock{guard_};
  for (std::size_t i = 0; i < topics; ++i)
    if (const auto n = limits_[i].take_left_out())
      log_->warn("{} more of the kind '{}' were left out", n, kinds[i]);
  log_->flush();
}

node_metrics node_log::metrics() const noexcept {
  node_metrics m;
  m.crashes = crashes_.load(std::memory_order_relaxed);
  m.start_errors = start_errors_.load(std::memory_order_relaxed);
  m.shutdown_errors = shutdown_errors_.load(std::memory_order_relaxed);
  m.exhausted = exhausted_.load(std::memory_order_relaxed);
  m.stalls = stalls_.load(std::memory_order_relaxed);
  m.log_left_out = left_out_.load(std::memory_order_relaxed);
  return m;
}

// ---- the node ---------------------------------------------------------------------------------

node::implementation::implementation(node_options given, children::builder to_build)
    : options(std::move(given)), build(std::move(to_build)), log(options) {
  system_options actors;
  actors.workers = options.workers;
  actors.spare_workers = options.spare_workers;
  actors.stall_limit = options.stall_limit;
  actors.watch = &log;
  home.emplace(actors);
}

node::node(node_options options, children::builder build)
    : impl_(std::make_unique<implementation>(std::move(options), std::move(build))) {}

node::~node() {
  const auto stopped = stop(impl_->options.stop_deadline);
  if (stopped || stopped.error().code() == errc::invalid) return;
  std::_Exit(exit_stuck);  // the log has the paths
}

result<void> node::start() {
  if (impl_->tree) return error{errc::invalid, "a node is started once"};
  try {
    impl_->tree.emplace(*impl_->home, impl_->options.name, impl_->build, &impl_->log);
  } catch (const bad_result& e) {
    return e.error();
  }
  return impl_->tree->wait_until_up(impl_->options.start_deadline);
}

result<void> node::stop(milliseconds deadline) {
  if (std::exchange(impl_->stopped, true)) return error{errc::invalid, "a node is stopped once"};
  const auto until = std::chrono::steady_clock::now() + deadline;
  const auto left = [&until] {
    return std::max(milliseconds{1}, std::chrono::duration_cast<milliseconds>(
                                         until - std::chrono::steady_clock::now()));
  };
  if (impl_->tree) impl_->tree->stop(std::max(milliseconds{1}, deadline - thread_time));
  const std::vector<std::string> stuck = impl_->home->stop(left());
  impl_->log.close();
  if (stuck.empty()) return {};
  std::string paths;
  for (const std::string& path : stuck) paths += (paths.empty() ? "" : ", ") + path;
  impl_->log.critical("stuck at the end: " + paths +
                      " did not return from a handler within the deadline of " +
                      std::to_string(deadline.count()) + " ms");
  return error{errc::timeout, "did not return from a handler by the deadline: " + paths};
}

std::optional<exit_reason> node::ended() const {
  return impl_->tree ? impl_->tree->ended() : std::nullopt;
}

std::optional<exit_reason> node::wait_until_ended(milliseconds deadline) {
  return impl_->tree ? impl_->tree->wait_until_ended(deadline) : std::nullopt;
}

tree_node node::tree(milliseconds deadline) {
  return impl_->tree ? impl_->tree->snapshot(deadline) : tree_node{};
}

result<supervisor_ref> node::find(std::string_view path, milliseconds deadline) {
  if (!impl_->tree) return error{errc::stopped, "the node has not been started"};
  return impl_->tree->find(path, deadline);
}

tree_feed node::follow(std::size_t capacity) { return impl_->tree.value().follow(capacity); }

node_metrics node::metrics() const {
  node_metrics m = impl_->log.metrics();
  m.dead_letters = impl_->home->dead_letters();
  return m;
}

coppice::outside node::outside() noexcept { return coppice::outside{*impl_->home}; }
coppice::system& node::system() noexcept { return *impl_->home; }

}  // namespace coppice
