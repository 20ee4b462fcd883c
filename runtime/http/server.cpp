// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/assert.hpp>
#include <coppice/runtime/http/channel_private.hpp>
#include <coppice/runtime/http/http.hpp>
#include <coppice/runtime/http/target_private.hpp>
#include <coppice/runtime/http/text_private.hpp>

#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <set>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

namespace coppice::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds tick{50};
constexpr std::size_t most_read = std::size_t{16} * 1024;
/// How much of what a refused client goes on sending is read, so that the refusal reaches it:
/// closing with unread bytes resets the connection, and the peer may lose what it had not read.
constexpr std::size_t most_drained = std::size_t{1024} * 1024;
constexpr milliseconds drain_time{1'000};

std::string as_text(const tcp::endpoint& at) {
  const std::string host = at.address().to_string();
  return (at.address().is_v6() ? '[' + host + ']' : host) + ':' + std::to_string(at.port());
}

struct number_of {
  std::atomic<std::uint64_t> connections{0}, requests{0}, refused{0}, timeouts{0};
};

}  // namespace

response refusal(unsigned status, std::string_view error, std::string_view hint) {
  return {.status = status, .body = error_body(error, hint)};
}

class connection;

struct server::implementation {
  implementation(server_options given, handler to_call)
      : options(std::move(given)), handle(std::move(to_call)) {
    if (!options.tls) return;
    files.cluster = options.tls->cluster;
    files.tls = {options.tls->ca, options.tls->certificate, options.tls->key};
    tls.emplace(files);
  }

  result<tcp::endpoint> where_to_listen();
  void accept();
  bool make_room();
  void keep_time();
  void close_all();
  void tell(const std::string& what) const {
    if (options.report) options.report(what);
  }
  std::shared_ptr<const wire::tls_context> tls_now();

  const server_options options;
  const handler handle;
  wire::socket_options files;
  std::optional<wire::tls_files> tls;
  bool loopback = true;
  std::string bound;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer timer{context};
  bool keeping_time = false;
  bool accept_failed = false;
  bool stopping = false;
  std::set<std::shared_ptr<connection>> open;
  number_of counted;
  std::thread thread;
};

// ---- one connection ---------------------------------------------------------------------------

/// One client. Everything here happens on the server's thread.
class connection : public std::enable_shared_from_this<connection> {
 public:
  connection(server::implementation& home, tcp::socket socket)
      : home_(home),
        channel_(std::make_shared<channel>(std::move(socket))),
        buffer_(buffer_bytes(home.options.limits)) {
    error_code ignored;
    const auto peer = channel_->socket().remote_endpoint(ignored);
    from_this_machine_ = !ignored && peer.address().is_loopback();
    peer_ = ignored ? std::string{} : as_text(peer);
  }

  void begin() {
    expect_request(limits().request_deadline);
    if (home_.tls) secure();
    else read();
  }
  void close();
  void on_tick(clock::time_point now);
  bool waiting() const noexcept { return phase_ == phase::waiting; }
  clock::time_point deadline() const noexcept { return deadline_; }

 private:
  enum class phase : std::uint8_t {
    waiting,     ///< for a request's first byte; with TLS for the handshake before
    reading,     ///< a request
    responding,  ///< the response is being written
    streaming,
    draining,  ///< all is said; what the peer still sends is read and forgotten
    closed,
  };

  static std::size_t buffer_bytes(const http::limits& l) { return l.header_bytes + l.body_bytes; }
  const http::limits& limits() const noexcept { return home_.options.limits; }

  void secure();
  void expect_request(milliseconds within);
  void read();
  void parse();
  void go_on_reading();
  void handle_request();
  std::optional<response> objection(const bhttp::request<bhttp::string_body>& message);
  bool may(bool post, std::string_view authorization) const;
  void refuse(unsigned status, std::string_view error, std::string_view hint);
  void respond(response answer, bool keep, bool with_body = true);
  void on_written();
  void drain();
  void begin_stream();
  void write_stream();
  void write_records(std::string records, bool last);
  void watch_for_end();

  template <class Then>
  void write(std::string_view first, std::string_view second, Then then);

  server::implementation& home_;
  const std::shared_ptr<channel> channel_;
  std::string peer_;
  std::string certificate_;  ///< the name in it; empty in the open, and before the handshake's end
  bool from_this_machine_ = false;
  beast::flat_buffer buffer_;
  std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
  phase phase_ = phase::waiting;
  clock::time_point deadline_{};
  bool timed_out_ = false;
  bool continued_ = false;  ///< the client was told to go on with its body
  bool chunked_ = true;  ///< HTTP/1.0 knows no chunks: there the end is the connection's
  bool keep_ = false;
  std::string head_, body_;  ///< of the response
  std::shared_ptr<stream> records_;
  std::function<void()> afterwards_;
  bool writing_ = false;
  clock::time_point last_written_{};
  std::array<char, 4096> scratch_{};
  std::size_t drained_ = 0;
};

void connection::close() {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  if (records_) records_->detach();
  channel_->close();
  home_.open.erase(shared_from_this());
  if (auto f = std::exchange(afterwards_, nullptr)) f();
}

void connection::on_tick(clock::time_point now) {
  if (phase_ == phase::streaming && !writing_ && now - last_written_ >= limits().idle / 2) {
    // Nothing to say: a peer that is gone without a word is found by writing to it.
    const bool events = records_->format() == stream_format::event_stream;
    write_records(events ? ":\n\n" : "\n", false);
  }
  if (now < deadline_ || timed_out_) return;
  if (phase_ == phase::draining) return close();
  timed_out_ = true;
  home_.counted.timeouts.fetch_add(1, std::memory_order_relaxed);
  if (phase_ == phase::reading) {
    error_code ignored;
    channel_->socket().cancel(ignored);  // `read` comes back, and refuses
  } else {
    if (home_.tls && certificate_.empty() && phase_ == phase::waiting)
      home_.tell(peer_ + " was refused: it did not end its TLS handshake in time");
    close();
  }
}

// ---- TLS

void connection::secure() {
  channel_->secure(home_.tls_now(), false, {}, [me = shared_from_this()](error_code failed) {
    if (me->phase_ == phase::closed) return;
    const bool in_the_open = failed == boost::system::errc::wrong_protocol_type;
    if (failed && !in_the_open && me->channel_->why().empty()) return me->close();
    if (!failed) {
      me->certificate_ = me->channel_->peer();
      return me->read();
    }
    me->home_.tell(me->peer_ + " was refused: " +
                   (in_the_open ? "it does not speak TLS" : me->channel_->why()));
    if (in_the_open)
      return me->refuse(400, "this port speaks TLS",
                        "use https, and show a certificate of the cluster");
    me->home_.counted.refused.fetch_add(1, std::memory_order_relaxed);
    me->drain();
  });
}

// ---- reading

void connection::expect_request(milliseconds within) {
  phase_ = phase::waiting;
  deadline_ = clock::now() + within;
  continued_ = false;
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(static_cast<std::uint32_t>(limits().header_bytes));
  parser_->body_limit(limits().body_bytes);
}

void connection::read() {
  const std::size_t room = buffer_.max_size() - buffer_.size();
  if (room == 0) return refuse(400, "this is no HTTP/1.1 request: a line has no end", {});
  channel_->read(buffer_.prepare(std::min(room, most_read)),
                 [me = shared_from_this()](error_code failed, std::size_t n) {
                   if (me->phase_ == phase::closed) return;
                   if (me->timed_out_)
                     return me->refuse(408, "the request was not complete in time",
                                       "send it whole, without pauses");
                   if (failed) return me->close();
                   me->buffer_.commit(n);
                   me->parse();
                 });
}

void connection::parse() {
  if (phase_ == phase::waiting && buffer_.size() > 0) {
    phase_ = phase::reading;
    deadline_ = clock::now() + limits().request_deadline;
  }
  while (buffer_.size() > 0 && !parser_->is_done()) {
    error_code failed;
    const std::size_t used = parser_->put(buffer_.data(), failed);
    buffer_.consume(used);
    if (failed == bhttp::error::need_more) break;
    if (failed == bhttp::error::header_limit)
      return refuse(431, "the request's header is too large",
                    "at most " + std::to_string(limits().header_bytes) + " bytes");
    if (failed == bhttp::error::body_limit)
      return refuse(413, "the request's body is too large",
                    "at most " + std::to_string(limits().body_bytes) + " bytes");
    if (failed)
      return refuse(400, "this is no HTTP/1.1 request: " + failed.message(),
                    home_.tls ? "" : "this port speaks plain HTTP");
  }
  if (parser_->is_done()) handle_request();
  else go_on_reading();
}

void connection::go_on_reading() {
  const bool wants_a_word = !continued_ && parser_->is_header_done() &&
                            beast::iequals(parser_->get()[bhttp::field::expect], "100-continue");
  if (!wants_a_word) return read();
  continued_ = true;
  const auto until = deadline_;
  static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  write(go_on, {}, [this] { read(); });
  deadline_ = until;  // of the whole request
}

// ---- answering

/// What the server itself has against a request, before the handler sees it.
std::optional<response> connection::objection(const bhttp::request<bhttp::string_body>& message) {
  const auto hosts = message.count(bhttp::field::host);
  if (hosts > 1 || (hosts == 0 && message.version() >= 11))
    return refusal(400, "the request needs one Host header");
  const bool open_to_this_machine = !home_.options.token && !home_.tls && home_.loopback;
  const std::string_view host{message[bhttp::field::host].data(),
                              message[bhttp::field::host].size()};
  if (open_to_this_machine && hosts == 1 && !names_loopback(host))
    return refusal(403, "the Host header names '" + std::string{host.substr(0, 256)} + "'",
                   "without a token this server answers as localhost, 127.0.0.1 or [::1] only, so "
                   "that no page of a foreign site can reach it");
  const auto method = message.method();
  if (method != bhttp::verb::get && method != bhttp::verb::head && method != bhttp::verb::post) {
    response no = refusal(
        405, "the method " + std::string{message.method_string()}.substr(0, 32) + " is not served",
        "GET, HEAD and POST are");
    no.headers.emplace_back("Allow", "GET, HEAD, POST");
    return no;
  }
  // A form or a script of a foreign page can send a POST without asking, but not of this type, and
  // not without telling where it comes from.
  if (method == bhttp::verb::post) {
    const std::string_view origin{message[bhttp::field::origin].data(),
                                  message[bhttp::field::origin].size()};
    if (!origin.empty() && origin != (home_.tls ? "https://" : "http://") + std::string{host})
      return refusal(403, "a page of another site may not do this",
                     "the Origin header differs from the Host header");
    const std::string type{message[bhttp::field::content_type]};
    if (type != "application/json" && !type.starts_with("application/json;"))
      return refusal(415, "the body of a POST has to be JSON",
                     "send Content-Type: application/json");
  }
  return std::nullopt;
}

bool connection::may(bool post, std::string_view authorization) const {
  const auto& token = home_.options.token;
  const bool knows_token = token && same_secret(bearer_token(authorization), *token);
  if (!home_.tls) return token ? knows_token : from_this_machine_;
  const auto& admins = home_.options.admins;
  return !post || knows_token ||
         std::find(admins.begin(), admins.end(), certificate_) != admins.end();
}

void connection::handle_request() {
  bhttp::request<bhttp::string_body> message = parser_->release();
  const bool keep = message.keep_alive();
  const bool with_body = message.method() != bhttp::verb::head;
  chunked_ = message.version() >= 11;
  const auto refuse_this = [&](response no) {
    home_.counted.refused.fetch_add(1, std::memory_order_relaxed);
    respond(std::move(no), keep, with_body);
  };
  if (auto no = objection(message)) return refuse_this(std::move(*no));

  std::string why;
  const std::string_view text{message.target().data(), message.target().size()};
  auto where = parse_target(text, why);
  if (!where) return refuse_this(refusal(400, why, "see RFC 3986"));

  request asked;
  asked.method = message.method() == bhttp::verb::post ? "POST" : "GET";
  asked.path = std::move(where->path);
  asked.query = std::move(where->query);
  asked.body = std::move(message.body());
  asked.accept = std::string{message[bhttp::field::accept]};
  asked.peer = peer_;
  asked.certificate = certificate_;
  const auto& shown = message[bhttp::field::authorization];
  asked.authorised = may(asked.method == "POST", {shown.data(), shown.size()});

  home_.counted.requests.fetch_add(1, std::memory_order_relaxed);
  response answer;
  try {
    answer = home_.handle(asked);
  } catch (const std::exception& e) {
    answer = refusal(500, std::string{"the server failed: "} + e.what());
  } catch (...) {
    answer = refusal(500, "the server failed");
  }
  respond(std::move(answer), keep, with_body);
}

void connection::refuse(unsigned status, std::string_view error, std::string_view hint) {
  home_.counted.refused.fetch_add(1, std::memory_order_relaxed);
  respond(refusal(status, error, hint), false);
}

void connection::respond(response answer, bool keep, bool with_body) {
  phase_ = phase::responding;
  timed_out_ = false;
  if (answer.records && !with_body) std::exchange(answer.records, nullptr)->end();
  keep_ = keep && !answer.records;
  records_ = std::move(answer.records);
  afterwards_ = std::move(answer.afterwards);

  const auto reason = bhttp::obsolete_reason(static_cast<bhttp::status>(answer.status));
  head_ = "HTTP/1.1 " + std::to_string(answer.status) + ' ' + std::string{reason} + "\r\n";
  const auto field = [this](std::string_view name, std::string_view value) {
    head_.append(name).append(": ").append(value).append("\r\n");
  };
  field("Content-Type", answer.content_type);
  field("Cache-Control", "no-store");
  field("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : answer.headers) field(name, value);
  if (!records_) field("Content-Length", std::to_string(answer.body.size()));
  else if (chunked_) field("Transfer-Encoding", "chunked");
  field("Connection", keep_ ? "keep-alive" : "close");
  head_ += "\r\n";

  if (records_) {
    body_ = std::move(answer.body);
    return begin_stream();
  }
  body_ = with_body ? std::move(answer.body) : std::string{};
  write(head_, body_, [this] { on_written(); });
}

template <class Then>
void connection::write(std::string_view first, std::string_view second, Then then) {
  writing_ = true;
  deadline_ = clock::now() + limits().write_deadline;
  channel_->write(
      {asio::buffer(first.data(), first.size()), asio::buffer(second.data(), second.size())},
      [me = shared_from_this(), then](error_code failed, std::size_t) {
        me->writing_ = false;
        if (me->phase_ == phase::closed) return;
        if (failed) return me->close();
        me->last_written_ = clock::now();
        then();
      });
}

void connection::on_written() {
  body_ = {};
  if (auto f = std::exchange(afterwards_, nullptr)) f();
  if (phase_ == phase::closed) return;
  if (!keep_ || home_.stopping) return drain();
  expect_request(limits().idle);
  if (buffer_.size() > 0) parse();  // the next request came along with this one
  else read();
}

void connection::drain() {
  if (phase_ != phase::draining) {
    phase_ = phase::draining;
    deadline_ = clock::now() + drain_time;
    channel_->finish();
  }
  channel_->socket().async_read_some(asio::buffer(scratch_),
                                     [me = shared_from_this()](error_code failed, std::size_t n) {
                                       if (me->phase_ == phase::closed) return;
                                       me->drained_ += n;
                                       if (failed || me->drained_ > most_drained) me->close();
                                       else me->drain();
                                     });
}

// ---- streaming

void connection::begin_stream() {
  phase_ = phase::streaming;
  records_->attach(limits().stream_bytes, [&at = home_.context, weak = weak_from_this()] {
    asio::post(at, [weak] {
      const auto me = weak.lock();
      if (me && me->phase_ == phase::streaming && !me->writing_) me->write_stream();
    });
  });
  watch_for_end();
  write(head_, {}, [this] {
    if (body_.empty()) return write_stream();
    write_records(std::exchange(body_, {}), false);
  });
}

void connection::write_stream() {
  records_->written();
  std::string records = records_->take();
  const bool last = records_->at_end();
  if (records.empty() && !last) {
    deadline_ = clock::time_point::max();
    return;
  }
  write_records(std::move(records), last);
}

void connection::write_records(std::string records, bool last) {
  char size[24] = "";
  if (chunked_ && !records.empty()) {
    std::snprintf(size, sizeof size, "%zx\r\n", records.size());
    records += "\r\n";
  }
  head_ = size;
  body_ = std::move(records);
  if (last && chunked_) body_ += "0\r\n\r\n";
  write(head_, body_, [this, last] {
    body_ = {};
    if (!last) return write_stream();
    records_->detach();
    if (auto f = std::exchange(afterwards_, nullptr)) f();
    drain();
  });
}

/// A streaming client has nothing more to say; but its end shall be noticed.
void connection::watch_for_end() {
  channel_->read(asio::buffer(scratch_),
                 [me = shared_from_this()](error_code failed, std::size_t n) {
                   if (me->phase_ != phase::streaming) return;
                   me->drained_ += n;
                   if (failed || me->drained_ > most_drained) me->close();
                   else me->watch_for_end();
                 });
}

// ---- the server -------------------------------------------------------------------------------

result<tcp::endpoint> server::implementation::where_to_listen() {
  const auto refuse_it = [this](const std::string& why) {
    return error{errc::invalid, "HTTP cannot listen on '" + options.address + "': " + why};
  };
  const auto at = split_address(options.address);
  if (!at) return refuse_it("an address is host:port, e.g. 127.0.0.1:8080 or [::1]:8080");
  if (options.token && options.token->empty())
    return refuse_it("its token is empty; give it one, or none at all");
  error_code failed;
  tcp::resolver resolver{context};
  const auto found = resolver.resolve(at->host, at->port, tcp::resolver::passive, failed);
  if (failed || found.empty()) return refuse_it("its host is unknown: " + failed.message());
  const tcp::endpoint endpoint = *found.begin();
  loopback = endpoint.address().is_loopback();
  if (!loopback && !options.token && !options.tls)
    return refuse_it(
        "whoever reaches this address could stop the node; give it a token or certificates, or "
        "listen on 127.0.0.1");
  return endpoint;
}

std::shared_ptr<const wire::tls_context> server::implementation::tls_now() {
  std::vector<std::string> reports;
  auto now = tls->current(reports);
  for (const std::string& one : reports) tell(one);
  return now;
}

void server::implementation::accept() {
  acceptor.async_accept([this](error_code failed, tcp::socket socket) {
    if (stopping) return;
    if (failed) {
      // Out of descriptors, most likely: again with the next tick, not at once.
      accept_failed = true;
      return keep_time();
    }
    counted.connections.fetch_add(1, std::memory_order_relaxed);
    error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    if (open.size() >= options.limits.connections && !make_room()) {
      counted.refused.fetch_add(1, std::memory_order_relaxed);
      const std::string body = error_body("too many connections", "try again later");
      const std::string all =
          "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: "
          "1\r\nConnection: close\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body;
      socket.non_blocking(true, ignored);
      if (!tls) socket.write_some(asio::buffer(all), ignored);
      socket.shutdown(tcp::socket::shutdown_send, ignored);
    } else {
      const auto client = std::make_shared<connection>(*this, std::move(socket));
      open.insert(client);
      client->begin();
      keep_time();
    }
    accept();
  });
}

/// Whoever waits for nothing loses its place: a client that keeps connections open, or opens them
/// to block others, must not keep the monitoring out.
bool server::implementation::make_room() {
  std::shared_ptr<connection> idle;
  for (const auto& client : open)
    if (client->waiting() && (!idle || client->deadline() < idle->deadline())) idle = client;
  if (idle) idle->close();
  return idle != nullptr;
}

/// Ticks while there is a connection, and no longer.
void server::implementation::keep_time() {
  if (keeping_time || stopping) return;
  keeping_time = true;
  timer.expires_after(tick);
  timer.async_wait([this](error_code) {
    keeping_time = false;
    if (stopping) return;
    const auto now = clock::now();
    const std::vector<std::shared_ptr<connection>> all(open.begin(), open.end());
    for (const auto& client : all) client->on_tick(now);
    if (std::exchange(accept_failed, false)) accept();
    if (!open.empty()) keep_time();
  });
}

void server::implementation::close_all() {
  stopping = true;
  error_code ignored;
  acceptor.close(ignored);
  timer.cancel();
  const std::vector<std::shared_ptr<connection>> all(open.begin(), open.end());
  for (const auto& client : all) client->close();
}

server::server(server_options options, handler handle)
    : impl_(std::make_unique<implementation>(std::move(options), std::move(handle))) {}

server::~server() { stop(); }

result<void> server::start() {
  implementation& me = *impl_;
  if (!me.bound.empty()) return error{errc::invalid, "an HTTP server is started once"};
  const auto where = me.where_to_listen();
  if (!where) return where.error();
  if (me.tls) {
    std::vector<std::string> reports;
    if (auto usable = me.tls->open(reports); !usable)
      return error{errc::invalid, "HTTP cannot speak TLS", {}, usable.error().why()};
    for (const std::string& one : reports) me.tell(one);
  }
  error_code failed;
  const auto cannot = [&](const char* what) {
    return error{errc::failed, "HTTP cannot listen on '" + me.options.address + "': " + what +
                                   ": " + failed.message()};
  };
  if (me.acceptor.open(where->protocol(), failed)) return cannot("no socket");
  me.acceptor.set_option(tcp::acceptor::reuse_address{true}, failed);
  if (me.acceptor.bind(*where, failed)) return cannot("the address is not free");
  if (me.acceptor.listen(tcp::acceptor::max_listen_connections, failed))
    return cannot("listening failed");
  me.bound = as_text(me.acceptor.local_endpoint(failed));
  me.accept();
  // Signals are for the thread that waits for them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  me.thread = std::thread{[&me] { me.context.run(); }};
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

std::string server::address() const { return impl_->bound; }

void server::stop() {
  implementation& me = *impl_;
  if (!me.thread.joinable()) return;
  detail::require(me.thread.get_id() != std::this_thread::get_id(),
                  "an HTTP server cannot be stopped by its own handler");
  asio::post(me.context, [&me] { me.close_all(); });
  me.thread.join();
}

server_counts server::counts() const {
  const number_of& n = impl_->counted;
  return {n.connections.load(std::memory_order_relaxed), n.requests.load(std::memory_order_relaxed),
          n.refused.load(std::memory_order_relaxed), n.timeouts.load(std::memory_order_relaxed)};
}

}  // namespace coppice::http
