// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/client.hpp>
#include <coppice/runtime/http/http.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::peer;

namespace {

/// Says what it was asked.
http::response echo(const http::request& r) {
  std::string text = r.method + ' ' + r.path;
  for (const auto& [key, value] : r.query) text += ' ' + key + '=' + value;
  if (!r.body.empty()) text += " body=" + r.body;
  if (!r.accept.empty()) text += " accept=" + r.accept;
  if (!r.authorised) text += " not authorised";
  return {.content_type = "text/plain", .body = text};
}

std::unique_ptr<http::server> serve(http::server_options options = {},
                                    http::server::handler handle = echo) {
  auto s = std::make_unique<http::server>(std::move(options), std::move(handle));
  const auto up = s->start();
  REQUIRE_MESSAGE(up, (up ? "" : up.error().message()));
  return s;
}

std::string ask(const http::server& s, const std::string& path,
                std::optional<std::string> token = {}) {
  const auto answer = http::get({.address = s.address(), .path = path, .token = std::move(token)});
  return answer ? std::to_string(answer->status) + ' ' + answer->body : answer.error().message();
}

std::string why_not(http::server_options options) {
  http::server s{std::move(options), echo};
  const auto up = s.start();
  return up ? "it listens" : up.error().message();
}

constexpr const char* plain = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

}  // namespace

TEST_CASE("a server hands its handler the decoded request, and the client its response") {
  const auto s = serve();
  CHECK(s->address().starts_with("127.0.0.1:"));
  CHECK(ask(*s, "/a%20b?x=1%262&y") == "200 GET /a b x=1&2 y=");
  const auto posted = http::post({.address = s->address(), .path = "/p"}, R"({"a":1})");
  REQUIRE(posted);
  CHECK(posted->status == 200);
  CHECK(posted->content_type == "text/plain");
  CHECK(posted->body == R"(POST /p body={"a":1})");
  CHECK(s->counts().requests == 2);
}

TEST_CASE("a handler's status, type and headers reach the client") {
  const auto s = serve({}, [](const http::request&) {
    return http::response{.status = 503, .body = "{}", .headers = {{"Retry-After", "5"}}};
  });
  peer p{s->address()};
  p.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  CHECK(p.ended());
  CHECK(p.text() ==
        "HTTP/1.1 503 Service Unavailable\r\n"
        "Content-Type: application/json\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Retry-After: 5\r\n"
        "Content-Length: 2\r\n"
        "Connection: close\r\n\r\n{}");
}

TEST_CASE("a connection serves one request after another") {
  const auto s = serve();
  peer p{s->address()};
  for (int i = 0; i < 3; ++i) {
    p.send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(p.received("\r\n\r\nGET /" + std::to_string(i)));
    p.forget();
  }
  CHECK(s->counts().connections == 1);
}

TEST_CASE("requests sent at once are answered in their order") {
  const auto s = serve();
  peer p{s->address()};
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  many +=
      "POST /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
      "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
  p.send(many);
  CHECK(p.ended());
  std::size_t at = 0;
  for (int i = 0; i < 100; ++i) {
    at = p.text().find("\r\n\r\nGET /" + std::to_string(i) + "HTTP/1.1 200", at);
    REQUIRE_MESSAGE(at != std::string::npos, i);
  }
  CHECK(p.text().ends_with("POST /last body={}"));
}

TEST_CASE("HEAD is answered as GET, without the body") {
  const auto s = serve();
  peer p{s->address()};
  p.send("HEAD /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  CHECK(p.ended());
  CHECK(p.text().find("Content-Length: 6\r\n") != std::string::npos);
  CHECK(p.text().ends_with("\r\n\r\n"));
}

TEST_CASE("HTTP/1.0 is served, and its connection closed") {
  const auto s = serve();
  peer p{s->address()};
  p.send("GET /old HTTP/1.0\r\n\r\n");
  CHECK(p.ended());
  CHECK(p.text().ends_with("\r\n\r\nGET /old"));
}

TEST_CASE("a body may come in chunks, and after the server was asked for it") {
  const auto s = serve();
  peer p{s->address()};
  p.send(
      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  CHECK(p.received("HTTP/1.1 100 Continue\r\n\r\n"));
  p.send("2\r\n[1\r\n");
  p.send("2\r\n,2\r\n1\r\n]\r\n0\r\n\r\n");
  CHECK(p.received("POST / body=[1,2]"));
}

TEST_CASE("what a handler throws is answered with 500, and the server goes on") {
  const auto s = serve({}, [](const http::request& r) -> http::response {
    if (r.path == "/bad") throw std::runtime_error("no \"paper\"");
    if (r.path == "/worse") throw 42;
    return {.body = "{}"};
  });
  CHECK(ask(*s, "/bad") == "500 {\"error\":\"the server failed: no \\\"paper\\\"\"}\n");
  CHECK(ask(*s, "/worse") == "500 {\"error\":\"the server failed\"}\n");
  CHECK(ask(*s, "/") == "200 {}");
}

TEST_CASE("afterwards is called when the response has gone out") {
  std::atomic<int> called{0};
  const auto s = serve({}, [&](const http::request&) {
    return http::response{.body = "{}", .afterwards = [&] { ++called; }};
  });
  CHECK(ask(*s, "/") == "200 {}");
  CHECK(tools::eventually([&] { return called == 1; }));
}

TEST_CASE("a large response reaches a client that reads slowly in pieces") {
  const auto s = serve(
      {}, [](const http::request&) { return http::response{.body = std::string(8'000'000, 'x')}; });
  const auto answer = http::get({.address = s->address(), .path = "/"});
  REQUIRE(answer);
  CHECK(answer->body.size() == 8'000'000);
  CHECK(answer->body.find_first_not_of('x') == std::string::npos);
}

// ---- who may
// -------------------------------------------------------------------------------------

TEST_CASE("without a token whoever is on this machine is authorised") {
  const auto s = serve();
  CHECK(ask(*s, "/") == "200 GET /");
  CHECK(ask(*s, "/", "any") == "200 GET /");
}

TEST_CASE("with a token only who shows it is authorised, also on this machine") {
  const auto s = serve({.token = "s3cret"});
  CHECK(ask(*s, "/") == "200 GET / not authorised");
  CHECK(ask(*s, "/", "s3creT") == "200 GET / not authorised");
  CHECK(ask(*s, "/", "") == "200 GET / not authorised");
  CHECK(ask(*s, "/", "s3cret") == "200 GET /");
}

TEST_CASE("an address that others can reach needs a token") {
  CHECK(why_not({.address = "0.0.0.0:0"}) ==
        "invalid: HTTP cannot listen on '0.0.0.0:0': whoever reaches this address could stop the "
        "node; give it a token or certificates, or listen on 127.0.0.1");
  CHECK(why_not({.address = "[::]:0"}).find("give it a token") != std::string::npos);
  CHECK(why_not({.address = "0.0.0.0:0", .token = ""}) ==
        "invalid: HTTP cannot listen on '0.0.0.0:0': its token is empty; give it one, or none at "
        "all");
  const auto s = serve({.address = "0.0.0.0:0", .token = "s3cret"});
  const std::string port = s->address().substr(s->address().rfind(':'));
  const auto answer = http::get({.address = "127.0.0.1" + port, .path = "/", .token = "s3cret"});
  REQUIRE(answer);
  CHECK(answer->body == "GET /");
}

TEST_CASE("an address that cannot be listened on is refused with the reason") {
  CHECK(why_not({.address = "nonsense"}) ==
        "invalid: HTTP cannot listen on 'nonsense': an address is host:port, e.g. 127.0.0.1:8080 "
        "or [::1]:8080");
  CHECK(why_not({.address = "no.such.host.invalid:80"}).find("its host is unknown") !=
        std::string::npos);
  const auto s = serve();
  CHECK(why_not({.address = s->address()}).find("the address is not free") != std::string::npos);
}

TEST_CASE("without a token a Host header of another site is refused: its name may lead here") {
  const auto s = serve();
  peer p{s->address()};
  p.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  CHECK(p.received("without a token this server answers as localhost"));
  CHECK(p.text().starts_with("HTTP/1.1 403 Forbidden"));
  const auto guarded = serve({.token = "s3cret"});
  peer q{guarded->address()};
  q.send("GET / HTTP/1.1\r\nHost: node.example\r\nAuthorization: Bearer s3cret\r\n\r\n");
  CHECK(q.received("HTTP/1.1 200 OK"));
}

TEST_CASE("a page of another site can neither post nor read") {
  const auto s = serve();
  const std::string post = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n";
  peer form{s->address()};
  form.send(post + "Content-Type: text/plain\r\n\r\n{}");
  CHECK(form.received("HTTP/1.1 415 "));
  peer script{s->address()};
  script.send(post + "Content-Type: application/json\r\nOrigin: http://evil.example\r\n\r\n{}");
  CHECK(script.received("HTTP/1.1 403 "));
  peer own{s->address()};
  own.send(post + "Content-Type: application/json\r\nOrigin: http://127.0.0.1\r\n\r\n{}");
  CHECK(own.received("HTTP/1.1 200 "));
  CHECK(own.text().find("Access-Control") == std::string::npos);
}

// ---- the end ------------------------------------------------------------------------------------

TEST_CASE("a server stops with connections open, and does not start again") {
  const auto s = serve();
  peer idle{s->address()};
  peer used{s->address()};
  used.send(plain);
  CHECK(used.received("GET /"));
  s->stop();
  CHECK(idle.ended());
  CHECK(used.ended());
  CHECK(!peer{s->address()}.connected());
  CHECK(!s->start());
  s->stop();
}

TEST_CASE("a server that was never started stops too") {
  http::server s{{}, echo};
  s.stop();
}
