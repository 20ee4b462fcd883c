// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/channel_private.hpp>
#include <coppice/runtime/http/client.hpp>
#include <coppice/runtime/http/target_private.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
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

constexpr std::size_t most_header = std::size_t{64} * 1024;
constexpr std::size_t read_at_once = std::size_t{64} * 1024;

/// One exchange on a connection of its own: each step blocks until it is done or out of time.
class exchange {
 public:
  explicit exchange(const call& c) : call_(c), until_(clock::now() + c.deadline) {
    parser_.eager(true);
    parser_.header_limit(most_header);
    parser_.body_limit(c.body_bytes);
  }

  result<void> send(std::string_view method, std::string_view body);
  /// Reads on. False: the response is complete.
  result<bool> read();

  bhttp::response_parser<bhttp::string_body>& parser() noexcept { return parser_; }
  /// The caller takes the body away piece by piece.
  void expect_stream() { parser_.body_limit(boost::none); }
  void allow(milliseconds more) { until_ = clock::now() + more; }

 private:
  error wrong(errc code, const std::string& what) const {
    return error{code, call_.address + ": " + what};
  }
  std::string words(error_code failed) const {
    const std::string why = channel_->why();
    return why.empty() ? failed.message() : why;
  }
  /// Runs what was begun. False: the time is over, and it has been cancelled.
  bool in_time() {
    context_.restart();
    context_.run_until(until_);
    if (context_.stopped()) return true;
    channel_->close();
    context_.run();
    return false;
  }
  result<void> connect();
  result<void> secure();

  const call& call_;
  clock::time_point until_;
  asio::io_context context_{1};
  const std::shared_ptr<channel> channel_ = std::make_shared<channel>(tcp::socket{context_});
  beast::flat_buffer buffer_{most_header + read_at_once};
  bhttp::response_parser<bhttp::string_body> parser_;
};

result<void> exchange::connect() {
  const auto at = split_address(call_.address);
  if (!at) return wrong(errc::invalid, "an address is host:port, e.g. 127.0.0.1:8080");
  error_code failed;
  tcp::resolver resolver{context_};
  const auto found = resolver.resolve(at->host, at->port, failed);
  if (failed) return wrong(errc::invalid, "the host is unknown: " + failed.message());
  asio::async_connect(channel_->socket(), found,
                      [&](error_code e, const tcp::endpoint&) { failed = e; });
  if (!in_time()) return wrong(errc::timeout, "no connection in time");
  if (failed == asio::error::connection_refused)
    return wrong(errc::disconnected, "nobody listens there");
  if (failed) return wrong(errc::disconnected, "no connection: " + failed.message());
  channel_->socket().set_option(tcp::no_delay{true}, failed);
  return {};
}

result<void> exchange::secure() {
  wire::socket_options files;
  files.cluster = call_.tls->cluster;
  files.tls = {call_.tls->ca, call_.tls->certificate, call_.tls->key};
  std::vector<std::string> remarks;  // are the affair of whoever runs the node
  auto context = wire::tls_context::load(files, remarks);
  if (!context) return wrong(errc::invalid, to_string(context.error().why()));
  error_code failed;
  channel_->secure(std::move(*context), true, call_.node, [&](error_code e) { failed = e; });
  if (!in_time()) return wrong(errc::timeout, "TLS was not agreed on in time");
  if (failed) return wrong(errc::disconnected, "no connection: " + words(failed));
  return {};
}

result<void> exchange::send(std::string_view method, std::string_view body) {
  if (auto there = connect(); !there) return there;
  if (call_.tls)
    if (auto safe = secure(); !safe) return safe;

  std::string text{method};
  text += ' ' + call_.path + " HTTP/1.1\r\nHost: " + call_.address + "\r\nConnection: close\r\n";
  if (call_.token) text += "Authorization: Bearer " + *call_.token + "\r\n";
  if (method == "POST")
    text +=
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n";
  text += body;
  channel_->write({asio::buffer(text), {}}, [](error_code, std::size_t) {});
  if (!in_time()) return wrong(errc::timeout, "the request could not be sent in time");
  // A server that refuses need not read everything: its answer is there all the same.
  return {};
}

result<bool> exchange::read() {
  for (;;) {
    if (buffer_.size() > 0 && !parser_.is_done()) {
      error_code failed;
      const std::size_t used = parser_.put(buffer_.data(), failed);
      buffer_.consume(used);
      if (failed == bhttp::error::body_limit) return wrong(errc::limit, "the answer is too large");
      if (failed && failed != bhttp::error::need_more)
        return wrong(errc::disconnected, "the answer is no HTTP: " + failed.message());
      if (!failed || used > 0) return !parser_.is_done();
    }
    if (parser_.is_done()) return false;

    error_code failed;
    std::size_t got = 0;
    channel_->read(buffer_.prepare(read_at_once), [&](error_code e, std::size_t n) {
      failed = e;
      got = n;
    });
    if (!in_time()) return wrong(errc::timeout, "no answer in time");
    buffer_.commit(got);
    if (failed == asio::error::eof && parser_.got_some()) {
      parser_.put_eof(failed);
      if (!failed) return false;
    }
    if (failed) return wrong(errc::disconnected, "the connection was lost: " + words(failed));
  }
}

response taken(bhttp::response_parser<bhttp::string_body>& parser) {
  auto message = parser.release();
  return {.status = message.result_int(),
          .content_type = std::string{message[bhttp::field::content_type]},
          .body = std::move(message.body())};
}

result<response> whole(const call& c, std::string_view method, std::string_view body) {
  exchange e{c};
  if (const auto sent = e.send(method, body); !sent) return sent.error();
  for (;;) {
    const auto more = e.read();
    if (!more) return more.error();
    if (!*more) return taken(e.parser());
  }
}

}  // namespace

result<response> get(const call& c) { return whole(c, "GET", {}); }
result<response> post(const call& c, std::string_view json) { return whole(c, "POST", json); }

result<response> follow(const call& c, const std::function<bool(std::string_view)>& on_line,
                        milliseconds silence) {
  exchange e{c};
  e.expect_stream();
  if (const auto sent = e.send("GET", {}); !sent) return sent.error();
  for (;;) {
    const auto more = e.read();
    if (!more) return more.error();
    if (e.parser().is_header_done() && e.parser().get().result_int() == 200) {
      std::string& body = e.parser().get().body();
      std::size_t begin = 0;
      for (auto end = body.find('\n'); end != std::string::npos; end = body.find('\n', begin)) {
        const std::string_view line = std::string_view{body}.substr(begin, end - begin);
        begin = end + 1;
        if (!line.empty() && !on_line(line)) return taken(e.parser());
      }
      body.erase(0, begin);
      e.allow(silence);
    }
    if (e.parser().get().body().size() > c.body_bytes)
      return error{errc::limit, c.address + ": a line of the answer is too large"};
    if (!*more) return taken(e.parser());
  }
}

std::string encoded(std::string_view text) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (plain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', digits[byte / 16], digits[byte % 16]};
    }
  }
  return out;
}

}  // namespace coppice::http
