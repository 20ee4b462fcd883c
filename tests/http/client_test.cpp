// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/client.hpp>

#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;

namespace {

/// Accepts one connection, says `text` and closes, or with an empty text says nothing.
class scripted_server {
 public:
  explicit scripted_server(std::string text) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&at), size);
    ::listen(listener_, 1);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    if (text.empty()) return;
    thread_ = std::thread{[this, text = std::move(text)] {
      const int client = ::accept(listener_, nullptr, nullptr);
      char request[4096];
      got_ = ::recv(client, request, sizeof request, 0);
      for (std::size_t sent = 0; sent < text.size(); sent += 3)
        ::send(client, text.data() + sent, std::min<std::size_t>(3, text.size() - sent),
               MSG_NOSIGNAL);
      ::close(client);
    }};
  }
  ~scripted_server() {
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }
  std::string address;

 private:
  int listener_;
  ssize_t got_ = 0;
  std::thread thread_;
};

std::string got(std::string text, std::size_t most = 1'000) {
  scripted_server s{std::move(text)};
  const auto answer = http::get({.address = s.address, .path = "/", .body_bytes = most});
  if (!answer) return std::string{name(answer.error().code())};
  return std::to_string(answer->status) + ' ' + answer->content_type + ' ' + answer->body;
}

}  // namespace

TEST_CASE("a client reads a response by its length, in chunks, or until the end") {
  CHECK(got("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabcdef") ==
        "200 a/b abc");
  CHECK(
      got("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n") ==
      "404  abc");
  CHECK(got("HTTP/1.0 200 OK\r\n\r\nuntil the end") == "200  until the end");
}

TEST_CASE("a response that is none, too large or cut short is an error") {
  CHECK(got("SSH-2.0-OpenSSH\r\n") == "disconnected");
  CHECK(got("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab") == "disconnected");
  CHECK(got("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n") == "limit");
  CHECK(got("HTTP/1.0 200 OK\r\n\r\n" + std::string(2'000, 'x')) == "limit");
}

TEST_CASE("a server that says nothing is given up at the deadline") {
  scripted_server s{""};
  const auto answer = http::get({.address = s.address, .path = "/", .deadline = 100ms});
  REQUIRE(!answer);
  CHECK(answer.error().code() == errc::timeout);
  CHECK(answer.error().message() == "timeout: " + s.address + ": no answer in time");
}

TEST_CASE("an address where nobody listens, or that is none, is told at once") {
  std::string address;
  { address = scripted_server{""}.address; }
  const auto refused = http::get({.address = address, .path = "/"});
  REQUIRE(!refused);
  CHECK(refused.error().message() == "disconnected: " + address + ": nobody listens there");
  const auto wrong = http::get({.address = "here", .path = "/"});
  REQUIRE(!wrong);
  CHECK(wrong.error().code() == errc::invalid);
}

TEST_CASE("following ends when the reader has had enough, or the server falls silent") {
  const auto server = [](const http::request&) {
    const auto records = std::make_shared<http::stream>();
    records->push("1");
    records->push("2");
    return http::response{.records = records};
  };
  http::server s{{}, server};
  REQUIRE(s.start());
  int lines = 0;
  CHECK(http::follow({.address = s.address(), .path = "/"},
                     [&](std::string_view) { return ++lines < 2; }));
  CHECK(lines == 2);
  const auto silent = http::follow(
      {.address = s.address(), .path = "/"}, [](std::string_view) { return true; }, 100ms);
  REQUIRE(!silent);
  CHECK(silent.error().code() == errc::timeout);
}

TEST_CASE("following an address that refuses gives the refusal") {
  http::server s{{}, [](const http::request&) { return http::refusal(404, "no", "look"); }};
  REQUIRE(s.start());
  const auto answer =
      http::follow({.address = s.address(), .path = "/"}, [](std::string_view) { return true; });
  REQUIRE(answer);
  CHECK(answer->status == 404);
  CHECK(answer->body == "{\"error\":\"no\",\"hint\":\"look\"}\n");
}

TEST_CASE("a value in a query is encoded") {
  CHECK(http::encoded("/shop/a b&c=\xc3\xa9+") == "/shop/a%20b%26c%3D%C3%A9%2B");
}
