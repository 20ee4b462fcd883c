// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/assert.hpp>
#include <coppice/runtime/wire/socket_core_private.hpp>
#include <coppice/runtime/wire/sockets.hpp>

#include <boost/asio/post.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace coppice::wire {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds tick_every{10};
/// How long a link that has ended waits for its peer, and how long all of them at the stop.
constexpr milliseconds linger_time{1'000}, stop_time{250};
constexpr std::size_t most_lingering = 64;
/// One for the carrier, not one for each link.
constexpr std::size_t read_bytes = std::size_t{256} * 1024;

std::string within(milliseconds deadline) {
  return " within " + std::to_string(deadline.count()) + " ms";
}

void no_delay(int socket) {
  // Fails for a Unix socket, which has no delay.
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

}  // namespace

socket_core::socket_core(socket_options options)
    : options_(std::move(options)),
      timer_(io_),
      files_(options_),
      listener_(io_, {[this](int socket, std::string from) { accepted(socket, std::move(from)); },
                      [this](const std::string& what) { events_->on_report(what); }}),
      dialler_(io_, options_.connect_deadline,
               {[this](int socket, std::string peer, std::string address) {
                  connected(socket, std::move(peer), std::move(address));
                },
                [this](const std::string& peer, bool refused, const std::string& why) {
                  events_->on_dial_failed(peer, refused, why);
                }}),
      received_(read_bytes),
      unsealed_(options_.tls.insecure ? 0 : read_bytes) {}

socket_core::~socket_core() { stop(); }

// ---- any thread -------------------------------------------------------------------------------

result<void> socket_core::start(const std::string& listen, link_events& events) {
  detail::require(!events_, "a carrier was started twice");
  std::vector<std::string> reports;
  if (!options_.tls.insecure) {
    if (options_.tls.ca.empty() || options_.tls.certificate.empty() || options_.tls.key.empty())
      return error{errc::invalid,
                   "TLS needs the files tls.ca, tls.certificate and tls.key; for links that anyone "
                   "can read and make say tls.insecure = true"};
    if (auto opened = files_.open(reports); !opened)
      return error{errc::failed, "TLS cannot be used", {}, opened.error().why()};
  }
  if (!listen.empty())
    if (auto opened = listener_.open(listen); !opened) return opened;
  events_ = &events;
  work_.emplace(io_.get_executor());
  boost::asio::post(io_, [this, reports = std::move(reports)] {
    report(reports);
    if (!listener_.address().empty()) listener_.run();
  });
  started_ = true;
  poller_.start(options_.actors ? &detail::core_of(*options_.actors) : nullptr, options_.busy_wait);
  return {};
}

void socket_core::dial(std::string peer, std::string address) {
  boost::asio::post(io_, [this, peer = std::move(peer), address = std::move(address)]() mutable {
    if (stopping_) return;
    dialler_.dial(std::move(peer), std::move(address));
    schedule();
  });
}

void socket_core::wake_at(clock::time_point when) {
  {
    std::lock_guard lock{wake_guard_};
    if (wake_ <= when) return;
    wake_ = when;
  }
  boost::asio::post(io_, [this] { schedule(); });
}

void socket_core::stop() noexcept {
  if (!std::exchange(started_, false)) return;
  detail::require(!poller_.is_one_of_us(), "a carrier was stopped from within one of its events");
  boost::asio::post(io_, [this] { begin_stop(); });
  poller_.join();
}

// ---- links, on the I/O thread -----------------------------------------------------------------

std::list<socket_core::link>& socket_core::in(socket_link::stage stage) {
  switch (stage) {
    case socket_link::stage::handshaking: return handshaking_;
    case socket_link::stage::open: return open_;
    case socket_link::stage::lingering: break;
  }
  return lingering_;
}

void socket_core::put(const link& one, socket_link::stage stage) {
  auto& kept = one->kept;
  if (!one->info().outgoing) {
    if (kept.at == socket_link::stage::handshaking) --accepted_handshakes_;
    if (kept.at == socket_link::stage::open) --accepted_open_;
    if (stage == socket_link::stage::open) ++accepted_open_;
  }
  in(stage).splice(in(stage).end(), in(kept.at), kept.where);
  kept.at = stage;
}

void socket_core::accepted(int socket, std::string address) {
  link_info info;
  info.address = std::move(address);
  if (accepted_open_ >= options_.accepted_links) {
    ::close(socket);
    events_->on_refused(info.address, "there are " + std::to_string(accepted_open_) +
                                          " accepted links already, which is the limit");
    return;
  }
  if (accepted_handshakes_ >= std::max<std::size_t>(options_.pending_handshakes, 1)) {
    const auto oldest = std::find_if(handshaking_.begin(), handshaking_.end(),
                                     [](const link& one) { return !one->info().outgoing; });
    const link one = *oldest;
    one->shut("it was the slowest of more than " + std::to_string(options_.pending_handshakes) +
                  " TLS handshakes",
              false);
  }
  begin(socket, std::move(info));
}

void socket_core::connected(int socket, std::string peer, std::string address) {
  link_info info;
  info.address = std::move(address);
  info.dialled = std::move(peer);
  info.outgoing = true;
  begin(socket, std::move(info));
}

void socket_core::begin(int socket, link_info info) {
  no_delay(socket);
  std::unique_ptr<tls_stream> tls;
  if (!options_.tls.insecure) {
    std::vector<std::string> reports;
    tls = std::make_unique<tls_stream>(files_.current(reports), info.outgoing, info.dialled);
    report(reports);
  }
  const bool incoming = !info.outgoing;
  const auto one = std::make_shared<socket_link>(*this, socket, std::move(info), std::move(tls));
  one->kept.where = handshaking_.insert(handshaking_.end(), one);
  one->kept.until = clock::now() + options_.handshake_deadline;
  if (incoming) ++accepted_handshakes_;
  one->begin();
  schedule();
}

void socket_core::report(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) events_->on_report(line);
}

void socket_core::opened(const link& one) {
  put(one, socket_link::stage::open);
  schedule();
  events_->on_open(one);
}

void socket_core::linger(const link& one) {
  put(one, socket_link::stage::lingering);
  one->kept.until = clock::now() + linger_time;
  if (lingering_.size() > most_lingering) gone(link{lingering_.front()});
  schedule();
}

void socket_core::gone(const link& one) {
  put(one, socket_link::stage::lingering);
  lingering_.erase(one->kept.where);
  one->retire();
  end_if_idle();
}

// ---- time and the end -------------------------------------------------------------------------

bool socket_core::busy() const noexcept {
  return !dialler_.idle() || !handshaking_.empty() || !open_.empty() || !lingering_.empty();
}

void socket_core::schedule() {
  clock::time_point next = busy() ? next_tick_ : never;
  {
    std::lock_guard lock{wake_guard_};
    next = std::min(next, wake_);
  }
  if (next >= armed_) return;
  armed_ = next;
  timer_.expires_at(next);
  timer_.async_wait([this](const boost::system::error_code& called_off) {
    if (called_off) return;
    armed_ = never;
    tick();
  });
}

void socket_core::tick() {
  const auto now = clock::now();
  bool due = false;
  {
    std::lock_guard lock{wake_guard_};
    due = wake_ <= now;
    if (due) wake_ = never;
  }
  if (now >= next_tick_) {
    next_tick_ = now + tick_every;
    sweep(now);
    due |= !open_.empty() || !dialler_.idle();
  }
  if (stopping_) end_if_idle();
  else if (due) events_->on_time();
  schedule();
}

void socket_core::sweep(clock::time_point now) {
  dialler_.time(now);
  while (!handshaking_.empty() && handshaking_.front()->kept.until <= now) link {
      handshaking_.front()
    } -> shut("it did not finish the TLS handshake" + within(options_.handshake_deadline), false);
  while (!lingering_.empty() && lingering_.front()->kept.until <= now)
    gone(link{lingering_.front()});
}

void socket_core::begin_stop() {
  const std::string why = "this node stops";
  stopping_ = true;
  stop_until_ = clock::now() + stop_time;
  listener_.close();
  dialler_.stop(why);
  for (auto* stage : {&handshaking_, &open_}) {
    const std::vector<link> present{stage->begin(), stage->end()};
    for (const link& one : present) one->shut(why, stage == &open_);
  }
  end_if_idle();
}

void socket_core::end_if_idle() {
  if (!stopping_ || io_.stopped()) return;
  if (clock::now() >= stop_until_)
    while (!lingering_.empty()) {
      const link one = lingering_.front();
      lingering_.pop_front();
      one->retire();
    }
  if (busy()) return;
  work_.reset();
  io_.stop();
}

// ---- the public class -------------------------------------------------------------------------

socket_carrier::socket_carrier(socket_options options)
    : core_(std::make_unique<socket_core>(std::move(options))) {}
socket_carrier::~socket_carrier() = default;

result<void> socket_carrier::start(const std::string& listen, link_events& events) {
  return core_->start(listen, events);
}
std::string socket_carrier::listens_at() const { return core_->listens_at(); }
void socket_carrier::dial(std::string peer, std::string address) {
  core_->dial(std::move(peer), std::move(address));
}
void socket_carrier::wake_at(std::chrono::steady_clock::time_point when) { core_->wake_at(when); }
void socket_carrier::stop() noexcept { core_->stop(); }

}  // namespace coppice::wire
