// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/client.hpp>
#include <coppice/runtime/http/http.hpp>

#include <doctest/doctest.h>

#include <sys/resource.h>

#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::peer;

namespace {

std::unique_ptr<http::server> serve(http::limits limits = {}) {
  auto s = std::make_unique<http::server>(
      http::server_options{.limits = limits},
      [](const http::request& r) { return http::response{.body = r.path}; });
  REQUIRE(s->start());
  return s;
}

bool still_serves(const http::server& s) {
  const auto answer = http::get({.address = s.address(), .path = "/well"});
  return answer && answer->status == 200 && answer->body == "/well";
}

/// What the server says to these bytes, until it closes.
std::string said_to(const http::server& s, std::string_view bytes) {
  peer p{s.address()};
  p.send(bytes);
  return p.ended() ? p.text() : "it did not close: " + p.text();
}

bool refused(const std::string& answer, int status, std::string_view text) {
  return answer.starts_with("HTTP/1.1 " + std::to_string(status) + ' ') &&
         answer.find("Content-Type: application/json\r\n") != std::string::npos &&
         answer.find("{\"error\":\"") != std::string::npos &&
         answer.find(text) != std::string::npos && tools::count_of(answer, "HTTP/1.1 4") == 1;
}

const std::string get = "GET / HTTP/1.1\r\nHost: localhost\r\n";
const std::string post = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

}  // namespace

TEST_CASE("a header beyond its limit is refused: one line, many lines, or no end") {
  const auto s = serve();
  CHECK(refused(said_to(*s, get + "X: " + std::string(9'000, 'x') + "\r\n\r\n"), 431, "8192"));
  std::string many;
  for (int i = 0; i < 2'000; ++i) many += "X: y\r\n";
  CHECK(refused(said_to(*s, get + many + "\r\n"), 431, "8192"));
  CHECK(refused(said_to(*s, "GET /" + std::string(9'000, 'x')), 431, "8192"));
  CHECK(refused(said_to(*s, std::string(200'000, 'x')), 431, "8192"));
  CHECK(still_serves(*s));
}

TEST_CASE("a body beyond its limit is refused, announced or in chunks, and the refusal arrives") {
  const auto s = serve();
  CHECK(refused(said_to(*s, post + "Content-Length: 65537\r\n\r\n" + std::string(65'537, ' ')), 413,
                "65536"));
  CHECK(refused(said_to(*s, post + "Content-Length: 18446744073709551615\r\n\r\n"), 413, "65536"));
  std::string chunks;
  for (int i = 0; i < 100; ++i) chunks += "400\r\n" + std::string(1024, 'x') + "\r\n";
  CHECK(refused(said_to(*s, post + "Transfer-Encoding: chunked\r\n\r\n" + chunks), 413, "65536"));
  CHECK(refused(said_to(*s, post + "Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n"), 413,
                "65536"));
  peer exact{s->address()};
  exact.send(post + "Content-Length: 65536\r\n\r\n" + std::string(65'536, ' '));
  CHECK(exact.received("HTTP/1.1 200 OK"));
  CHECK(still_serves(*s));
}

TEST_CASE("a refused client may finish its sentence: it is not cut off before it has read why") {
  const auto s = serve();
  peer p{s->address()};
  p.send(post + "Content-Length: 900000\r\n\r\n");
  REQUIRE(p.received("HTTP/1.1 413 "));
  for (int i = 0; i < 50; ++i) CHECK(p.send(std::string(10'000, 'x')));
  CHECK(p.ended());
  CHECK(!p.was_reset());
}

TEST_CASE("a chunk's line without an end is refused") {
  const auto s = serve();
  const std::string answer =
      said_to(*s, post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(200'000, 'x'));
  CHECK_MESSAGE(refused(answer, 400, "HTTP"), answer.substr(0, 300));
  CHECK(still_serves(*s));
}

TEST_CASE("what is no HTTP is refused with a sentence") {
  const auto s = serve();
  const std::string tls_hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (const std::string& garbage :
       {tls_hello, std::string("\0\0\0\0\r\n\r\n", 8), std::string("hello\r\n\r\n"),
        std::string("GET  / HTTP/1.1\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("GET / FTP/1.1\r\n\r\n"), get + "no colon\r\n\r\n", get + "a\x01: b\r\n\r\n",
        post + "Content-Length: x\r\n\r\n", post + "Content-Length: -1\r\n\r\n",
        post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"}) {
    CAPTURE(garbage);
    CHECK(refused(said_to(*s, garbage), 400, "this is no HTTP/1.1 request"));
  }
  CHECK(still_serves(*s));
}

TEST_CASE("targets, methods and Host headers that make no sense are refused one by one") {
  const auto s = serve();
  const auto answer = [&](const std::string& first_line, const std::string& host) {
    return said_to(*s, first_line + " HTTP/1.1\r\nConnection: close\r\n" + host + "\r\n");
  };
  const std::string here = "Host: localhost\r\n";
  CHECK(refused(answer("GET *", here), 400, "begins with a slash"));
  CHECK(refused(answer("GET http://localhost/", here), 400, "begins with a slash"));
  CHECK(refused(answer("GET /%00", here), 400, "escape"));
  CHECK(refused(answer("GET /?a&a", here), 400, "gives 'a' twice"));
  CHECK(refused(answer("GET /", ""), 400, "one Host header"));
  CHECK(refused(answer("GET /", here + here), 400, "one Host header"));
  CHECK(refused(answer("GET /", "Host: \r\n"), 403, "names ''"));
  for (const char* method : {"OPTIONS", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH", "BREW"}) {
    CAPTURE(method);
    const std::string no = answer(std::string{method} + " /", here);
    CHECK(refused(no, 405, "the method " + std::string{method} + " is not served"));
    CHECK(no.find("Allow: GET, HEAD, POST\r\n") != std::string::npos);
  }
  CHECK(still_serves(*s));
}

TEST_CASE(
    "a request that drips in is refused at its deadline, and a client that is silent closed") {
  const auto s = serve({.request_deadline = 300ms, .idle = 300ms});
  peer silent{s->address()};
  peer in_header{s->address()};
  in_header.send("GET / HT");
  peer in_body{s->address()};
  in_body.send(post + "Content-Length: 10\r\n\r\n1");
  peer dripping{s->address()};
  std::size_t sent = 0;
  const std::string long_one = get + "X: " + std::string(5'000, 'x');
  CHECK(tools::eventually([&] {  // a byte at a time does not extend the deadline
    dripping.send(long_one.substr(sent++, 1));
    std::this_thread::sleep_for(1ms);
    return s->counts().timeouts == 4;
  }));
  CHECK(sent < long_one.size());
  CHECK(in_header.ended());
  CHECK(refused(in_header.text(), 408, "not complete in time"));
  CHECK(in_body.ended());
  CHECK(refused(in_body.text(), 408, "not complete in time"));
  CHECK(dripping.received("HTTP/1.1 408 "));
  CHECK(silent.ended());
  CHECK(silent.text().empty());
  peer idle{s->address()};
  idle.send(get + "\r\n");
  CHECK(idle.received("200 OK"));
  CHECK(idle.ended());
  CHECK(still_serves(*s));
}

TEST_CASE("a client that takes no response is closed, and nothing else waits for it") {
  http::server s{{.limits = {.write_deadline = 300ms}}, [](const http::request&) {
                   return http::response{.body = std::string(16'000'000, 'x')};
                 }};
  REQUIRE(s.start());
  peer p{s.address()};
  p.send(get + "\r\n");
  CHECK(tools::eventually([&] { return s.counts().timeouts == 1; }));
}

TEST_CASE("500 connections that say nothing, or half a request, do not keep others out") {
  const auto s = serve({.request_deadline = 500ms});
  std::vector<peer> crowd;
  for (int i = 0; i < 500; ++i) {
    crowd.emplace_back(s->address());
    REQUIRE(crowd.back().connected());
  }
  // All places are taken by clients that wait for nothing: the oldest goes.
  CHECK(still_serves(*s));
  for (auto& p : crowd) p.send("GET / HTTP/1.1\r\nHost: loc");
  CHECK(tools::eventually([&] { return still_serves(*s); }));
  for (auto& p : crowd) CHECK(p.ended());
}

TEST_CASE("when all places are taken by clients at work, one more is told so") {
  std::vector<std::shared_ptr<http::stream>> streams;
  http::server s{{.limits = {.connections = 2}}, [&](const http::request&) {
                   streams.push_back(std::make_shared<http::stream>());
                   return http::response{.records = streams.back()};
                 }};
  REQUIRE(s.start());
  peer a{s.address()}, b{s.address()};
  a.send(get + "\r\n");
  b.send(get + "\r\n");
  REQUIRE(a.received("chunked"));
  REQUIRE(b.received("chunked"));
  peer c{s.address()};
  CHECK(c.received("too many connections"));
  CHECK(c.text().starts_with("HTTP/1.1 503 "));
  CHECK(c.ended());
  a.close();
  CHECK(tools::eventually([&] {
    peer again{s.address()};
    again.send(get + "\r\n");
    return again.received("200 OK");
  }));
}

TEST_CASE("without file descriptors the server waits, does not spin, and goes on") {
  const auto s = serve();
  CHECK(still_serves(*s));
  std::vector<peer> crowd;
  for (int i = 0; i < 12; ++i) crowd.emplace_back();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  // Room for a few more descriptors than there are.
  const int next = ::dup(0);
  ::close(next);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(next) + 4;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  for (peer& p : crowd) p.connect(s->address());
  const bool accepted = tools::eventually([&] { return s->counts().connections >= 4; });
  const std::clock_t begin = std::clock();
  const bool silent = !crowd.back().receive(400ms);
  const std::clock_t used = std::clock() - begin;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(accepted);
  CHECK(silent);
  CHECK(used < CLOCKS_PER_SEC / 5);
  for (peer& p : crowd) {
    CHECK(p.send(get + "\r\n"));
    CHECK(p.received("200 OK"));
  }
}

TEST_CASE("a client that hangs up in the middle of anything does no harm") {
  const auto s = serve();
  const std::string whole = post + "Content-Length: 2\r\n\r\n{}";
  for (std::size_t n = 0; n <= whole.size(); n += 7) {
    peer p{s->address()};
    p.send(whole.substr(0, n));
    if (n % 2 == 0) p.reset();
  }
  CHECK(still_serves(*s));
}

TEST_CASE("random bytes, and a proper request with some of its bytes changed, do no harm") {
  const auto s = serve({.request_deadline = 100ms});
  const unsigned seed = 20'240'601;
  CAPTURE(seed);
  std::mt19937 random{seed};
  const std::string whole = post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
  for (int round = 0; round < 200; ++round) {
    std::string bytes = round % 2 ? whole : std::string(random() % 300, ' ');
    for (std::size_t i = 0; i < (round % 2 ? 1 + random() % 4 : bytes.size()); ++i)
      bytes[round % 2 ? random() % bytes.size() : i] = static_cast<char>(random());
    peer p{s->address()};
    p.send(bytes);
  }
  CHECK(still_serves(*s));
}
