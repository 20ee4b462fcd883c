// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/core.hpp>
#include <coppice/runtime/node/api_view_private.hpp>
#include <coppice/runtime/node/cluster_setup_private.hpp>
#include <coppice/runtime/node/node_private.hpp>

#include <cstdlib>
#include <utility>

#include <spdlog/pattern_formatter.h>
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
/// At most for what was sent to other nodes to be confirmed, and for saying goodbye.
constexpr milliseconds farewell_time{2'000};

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

/// One JSON object a line.
class json_formatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& m, spdlog::memory_buf_t& out) override {
    time_.format(m, out);
    quoted("level", spdlog::level::to_string_view(m.level), out);
    quoted("node", m.logger_name, out);
    quoted("text", m.payload, out);
    append("}\n", out);
  }
  std::unique_ptr<formatter> clone() const override { return std::make_unique<json_formatter>(); }

 private:
  static void append(std::string_view text, spdlog::memory_buf_t& out) {
    out.append(text.data(), text.data() + text.size());
  }
  static void quoted(std::string_view key, spdlog::string_view_t value, spdlog::memory_buf_t& out) {
    append(",\"", out);
    append(key, out);
    append("\":\"", out);
    for (const char c : std::string_view{value.data(), value.size()}) {
      const auto code = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (code < 0x20 || code == 0x7f) {
        constexpr char digits[] = "0123456789abcdef";
        append("\\u00", out);
        out.push_back(digits[code >> 4]);
        out.push_back(digits[code & 15]);
      } else {
        out.push_back(c);
      }
    }
    append("\"", out);
  }

  spdlog::pattern_formatter time_{"{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\"",
                                  spdlog::pattern_time_type::local, ""};
};

std::shared_ptr<spdlog::logger> make_logger(const node_options& options) {
  spdlog::sink_ptr sink;
  if (options.log.file.empty()) sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  else
    sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.log.file, log_file_bytes,
                                                                  log_files);
  auto log = std::make_shared<spdlog::logger>(options.node.empty() ? options.name : options.node,
                                              std::move(sink));
  if (options.log.json) log->set_formatter(std::make_unique<json_formatter>());
  else log->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-7l node=%n %v");
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
      if (r.spec && r.spec->restart != restart::temporary)
        restarts_.fetch_add(1, std::memory_order_relaxed);
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
  {
    std::lock_guard lock{guard_};
    stalled_at_ = std::chrono::steady_clock::now();
    stalled_ = s.path;
  }
  if (const auto n = admit(topic::stall))
    log_->warn("path={} event={} stalls: its handler has been running for {} ms{}", s.path, s.event,
               s.running.count(), left_out_text(*n));
}

void node_log::remark(cluster_options::weight how, const std::string& text) noexcept {
  using weight = cluster_options::weight;
  const auto level = how == weight::warning ? spdlog::level::warn
                     : how == weight::info  ? spdlog::level::info
                                            : spdlog::level::debug;
  if (!log_->should_log(level)) return;
  if (const auto n = admit(topic::remark)) log_->log(level, "{}{}", text, left_out_text(*n));
}

void node_log::audit(const http::audit_record& a) noexcept {
  if (!log_->should_log(spdlog::level::warn)) return;
  if (const auto n = admit(a.allowed ? topic::change : topic::refused_change))
    log_->warn("audit: {} {} asked for by {}: {}{}{}", a.action, a.target, a.peer,
               a.allowed ? "" : "not allowed: ", a.outcome, left_out_text(*n));
}

std::optional<std::pair<milliseconds, std::string>> node_log::last_stall() {
  std::lock_guard lock{guard_};
  if (stalled_.empty()) return std::nullopt;
  return std::pair{
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - stalled_at_),
      stalled_};
}

void node_log::info(const std::string& text) { log_->info(text); }
void node_log::critical(const std::string& text) {
  log_->critical(text);
  log_->flush();
}

void node_log::close() noexcept {
  constexpr const char* kinds[] = {"start",
                                   "crash",
                                   "start error",
                                   "shutdown error",
                                   "give-up",
                                   "dead letter",
                                   "stall",
                                   "crash report",
                                   "remark",
                                   "audit",
                                   "audit of what was not allowed"};
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
  m.restarts = restarts_.load(std::memory_order_relaxed);
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
  cluster_options part;
  std::unique_ptr<wire::carrier> carrier;
  if (options.config) {
    part = cluster_part(*options.config, options.node);
    wire::socket_options sockets = socket_part(*options.config, options.node);
    sockets.actors = &*home;
    carrier = std::make_unique<wire::socket_carrier>(std::move(sockets));
  } else {
    part.node = options.node.empty() ? options.name : options.node;
  }
  part.log = [this](cluster_options::weight how, const std::string& text) {
    log.remark(how, text);
  };
  nodes = cluster_shell_access::make(*home, std::move(part), std::move(carrier));
}

node::implementation::~implementation() = default;

/// Lets others in: over HTTP, and as a peer.
result<void> node::implementation::serve() {
  if (!options.config) return {};
  // Before there are connections, copies of which it would have for a moment.
  if (options.config->liveness.memory_keeper) {
    if (auto beside = memory_keeper::of_this_process()) keeper = std::move(*beside);
    else log.remark(cluster_options::weight::info, beside.error().message());
  }
  auto http = http_part(*options.config, options.node);
  if (!http) return http.error();
  if (*http) {
    view = std::make_unique<api_view>(*this);
    api = std::make_unique<http::api>(*view, [this](const http::audit_record& a) { log.audit(a); });
    (*http)->report = [this](const std::string& what) {
      log.remark(cluster_options::weight::warning, "HTTP: " + what);
    };
    server = std::make_unique<http::server>(std::move(**http),
                                            [this](const auto& asked) { return (*api)(asked); });
    if (auto listening = server->start(); !listening) return listening;
    log.info("HTTP at " + server->address());
  }
  cluster_shell& shell = cluster_shell_access::of(*nodes);
  if (auto listening = shell.start(); !listening) return listening;
  log.info("node " + options.node + " of cluster " + options.config->cluster.name +
           ", incarnation " + to_string(shell.incarnation()) + ", listens at " +
           shell.listens_at());
  return {};
}

node_metrics node::implementation::metrics() const {
  node_metrics m = log.metrics();
  m.dead_letters = home->dead_letters();
  return m;
}

node::node(node_options options, children::builder build)
    : impl_(std::make_unique<implementation>(std::move(options), std::move(build))) {}

node::~node() {
  const auto stopped = stop(impl_->options.stop_deadline);
  if (stopped || stopped.error().code() == errc::invalid) return;
  if (stopped.error().code() == errc::cycle) impl_->log.critical(stopped.error().message());
  std::_Exit(exit_stuck);  // the log has the paths
}

result<void> node::start() {
  if (impl_->tree) return error{errc::invalid, "a node is started once"};
  try {
    if (auto served = impl_->serve(); !served) return served;
    impl_->tree.emplace(*impl_->home, impl_->options.name, impl_->build, &impl_->log);
    cluster_shell_access::of(*impl_->nodes).directory().plant(impl_->tree->root());
    impl_->planted.store(true, std::memory_order_release);
  } catch (const bad_result& e) {
    return e.error();
  }
  return impl_->tree->wait_until_up(impl_->options.start_deadline);
}

result<void> node::stop(milliseconds deadline) {
  // The links' thread runs handlers too, and what it waited for first would be itself.
  const detail::cell* const here = detail::this_worker.running;
  if (here && &here->home() == &detail::core_of(*impl_->home))
    return error{errc::cycle,
                 "a node waits for its handlers to return, and one of them stops it: use a "
                 "stopper, or another thread",
                 here->path()};
  if (std::exchange(impl_->stopped, true)) return error{errc::invalid, "a node is stopped once"};
  const auto until = std::chrono::steady_clock::now() + deadline;
  const auto left = [&until] {
    return std::max(milliseconds{1}, std::chrono::duration_cast<milliseconds>(
                                         until - std::chrono::steady_clock::now()));
  };
  impl_->stopping = true;
  if (impl_->tree) impl_->tree->stop(std::max(milliseconds{1}, deadline - thread_time));
  cluster_shell_access::of(*impl_->nodes).stop(std::min(left() / 2, farewell_time));
  if (impl_->server) impl_->server->stop();
  impl_->api.reset();
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

node_metrics node::metrics() const { return impl_->metrics(); }
coppice::cluster& node::cluster() noexcept { return *impl_->nodes; }

coppice::outside node::outside() noexcept { return coppice::outside{*impl_->home}; }
coppice::system& node::system() noexcept { return *impl_->home; }

}  // namespace coppice
