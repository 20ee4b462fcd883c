// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/client.hpp>
#include <coppice/runtime/http/http.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::peer;

namespace {

/// A server whose every answer is one stream.
struct newspaper {
  explicit newspaper(http::limits limits = {},
                     http::stream_format format = http::stream_format::json_lines,
                     std::string first = {})
      : news(std::make_shared<http::stream>(format)),
        server({.limits = limits}, [this, first](const http::request&) {
          return http::response{.content_type = "application/x-ndjson",
                                .body = first,
                                .records = news,
                                .afterwards = [this] { finished = true; }};
        }) {
    REQUIRE(server.start());
  }
  std::shared_ptr<http::stream> news;
  std::atomic<bool> finished{false};
  http::server server;
};

constexpr const char* get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Reads all lines there are.
std::vector<std::string> lines_of(const newspaper& n) {
  std::vector<std::string> lines;
  const auto end = http::follow(
      {.address = n.server.address(), .path = "/"},
      [&](std::string_view line) {
        lines.emplace_back(line);
        return true;
      },
      5s);
  CHECK_MESSAGE(end, (end ? "" : end.error().message()));
  return lines;
}

}  // namespace

TEST_CASE("records reach a streaming client in their order, those from before it came included") {
  newspaper n;
  n.news->push("{\"n\":1}");
  std::thread writer{[&] {
    for (int i = 2; i <= 1'000; ++i) n.news->push("{\"n\":" + std::to_string(i) + "}");
    n.news->end();
  }};
  const auto lines = lines_of(n);
  writer.join();
  REQUIRE(lines.size() == 1'000);
  for (int i = 1; i <= 1'000; ++i)
    REQUIRE(lines[static_cast<std::size_t>(i) - 1] == "{\"n\":" + std::to_string(i) + "}");
  CHECK(tools::eventually([&] { return n.finished.load(); }));
  CHECK(!n.news->push("{}"));
}

TEST_CASE("a response's body goes before its records") {
  newspaper n{{}, http::stream_format::json_lines, "{\"first\":true}\n"};
  n.news->push("{\"second\":true}");
  n.news->end();
  const auto lines = lines_of(n);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "{\"first\":true}");
  CHECK(lines[1] == "{\"second\":true}");
}

TEST_CASE("for browsers records are server-sent events") {
  newspaper n{{}, http::stream_format::event_stream};
  n.news->push("{\"n\":1}");
  n.news->push("{\"n\":2}");
  n.news->end();
  peer p{n.server.address()};
  p.send(get);
  CHECK(p.ended());
  CHECK(p.text().find("data: {\"n\":1}\n\ndata: {\"n\":2}\n\n") != std::string::npos);
  CHECK(p.text().ends_with("\r\n0\r\n\r\n"));
}

TEST_CASE("to a client of HTTP/1.0 records are sent without chunks") {
  newspaper n;
  n.news->push("{}");
  n.news->end();
  peer p{n.server.address()};
  p.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(p.ended());
  CHECK(p.text().ends_with("\r\n\r\n{}\n"));
}

TEST_CASE("what finds no room is left out, and the client is told how much at that place") {
  http::stream news{http::stream_format::json_lines, 100};
  int taken = 0;
  while (news.push("{\"some\":\"record\"}")) ++taken;
  CHECK(taken == 5);
  CHECK(!news.push("{\"another\":\"record\"}"));
  newspaper n{{.stream_bytes = 1'000}};
  int sent = 0, refused = 0;
  const auto push = [&] {
    (n.news->push("{\"n\":" + std::to_string(sent++) + "}") ? 0 : 1) && ++refused;
  };
  // Before the client comes the stream's own capacity, 1 MiB, counts.
  while (refused < 10) push();
  std::vector<std::string> lines;
  const auto end = http::follow(
      {.address = n.server.address(), .path = "/"},
      [&](std::string_view line) {
        lines.emplace_back(line);
        if (line == "{\"lost\":10}") n.news->push("{\"last\":1}");
        if (line == "{\"last\":1}") n.news->end();
        return true;
      },
      5s);
  REQUIRE(end);
  REQUIRE(lines.size() == static_cast<std::size_t>(sent - refused + 2));
  CHECK(lines[lines.size() - 3] == "{\"n\":" + std::to_string(sent - refused - 1) + "}");
  CHECK(lines[lines.size() - 2] == "{\"lost\":10}");
  CHECK(lines.back() == "{\"last\":1}");
}

TEST_CASE("a client that does not read holds its stream's bytes and no more, and is closed") {
  newspaper n{{.write_deadline = 500ms, .stream_bytes = 10'000}};
  peer p{n.server.address()};
  p.send(get);
  REQUIRE(p.received("chunked"));
  const std::string record = '"' + std::string(1'000, 'x') + '"';
  std::size_t taken = 0, left_out = 0;
  CHECK(tools::eventually([&] {
    (n.news->push(record) ? taken : left_out)++;
    return n.news->closed();
  }));
  CHECK(left_out > 0);
  CHECK(n.server.counts().timeouts == 1);
  CHECK(tools::eventually([&] { return n.finished.load(); }));
}

TEST_CASE("a record larger than a stream is taken while nothing else waits") {
  newspaper n{{.stream_bytes = 1'000}};
  peer p{n.server.address()};
  p.send(get);
  REQUIRE(p.received("chunked"));
  const std::string large = '"' + std::string(1'000'000, 'x') + '"';
  CHECK(n.news->push(large));
  CHECK(p.received(large));
  CHECK(tools::eventually([&] { return n.news->caught_up(); }));
  CHECK(n.news->push(large));
}

TEST_CASE("a stream is closed when its client goes") {
  newspaper n;
  peer p{n.server.address()};
  p.send(get);
  REQUIRE(p.received("chunked"));
  CHECK(!n.news->closed());
  p.close();
  CHECK(tools::eventually([&] { return n.news->closed(); }));
  CHECK(!n.news->push("{}"));
}

TEST_CASE("a stream with nothing to say is kept alive, so that a lost client is noticed") {
  newspaper n{{.idle = 100ms}};
  peer p{n.server.address()};
  p.send(get);
  CHECK(p.until([](const std::string& all) { return tools::count_of(all, "1\r\n\n\r\n") >= 3; }));
  newspaper events{{.idle = 100ms}, http::stream_format::event_stream};
  peer q{events.server.address()};
  q.send(get);
  CHECK(
      q.until([](const std::string& all) { return tools::count_of(all, "3\r\n:\n\n\r\n") >= 3; }));
}

TEST_CASE("a server stops while records are pushed from other threads") {
  auto n = std::make_unique<newspaper>();
  peer p{n->server.address()};
  p.send(get);
  REQUIRE(p.received("chunked"));
  std::thread writer{[news = n->news] {
    while (!news->closed()) news->push("{}");
  }};
  n->server.stop();
  writer.join();
  CHECK(p.ended());
}

TEST_CASE("a HEAD of a stream ends it at once") {
  newspaper n;
  peer p{n.server.address()};
  p.send("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  CHECK(p.ended());
  CHECK(n.news->closed());
}
