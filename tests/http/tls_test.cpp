// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/client.hpp>
#include <coppice/runtime/http/http.hpp>
#include <coppice/runtime/wire/certificates.hpp>

#include <doctest/doctest.h>

#include <openssl/ssl.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "folder.hpp"
#include "odd_certificates.hpp"
#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;
using tools::peer;

namespace {

/// Who asks, and whether it may.
http::response echo(const http::request& r) {
  return {.content_type = "text/plain",
          .body = r.method + ' ' + r.path + " by " + r.certificate +
                  (r.authorised ? "" : ", not authorised") + '\n'};
}

/// A cluster `shop`, and the HTTP server of its node `stock`; `boss` is an admin, `clerk` is not.
struct shop {
  explicit shop(http::server_options options = {}, http::server::handler handle = echo) {
    REQUIRE(wire::create_authority(at.path, "shop"));
    for (const char* name : {"stock", "boss", "clerk"})
      REQUIRE(wire::issue_certificate(at.path, name));
    options.tls = files("stock");
    options.admins = {"boss"};
    options.report = [this](const std::string& what) {
      std::lock_guard lock{guard};
      reports.push_back(what);
    };
    server = std::make_unique<http::server>(std::move(options), std::move(handle));
    const auto up = server->start();
    REQUIRE_MESSAGE(up, (up ? "" : up.error().message()));
  }

  http::certificates files(const std::string& name) const { return files(name, at.path); }
  /// The authority of this shop, the own files from elsewhere.
  http::certificates files(const std::string& name, const std::filesystem::path& from) const {
    return {"shop", at.path / "ca.crt", from / (name + ".crt"), from / (name + ".key")};
  }
  http::call call(const std::string& name) const {
    return {.address = server->address(), .path = "/x", .tls = files(name), .node = "stock"};
  }
  bool reported(const std::string& text) {
    return tools::eventually([&] {
      std::lock_guard lock{guard};
      return std::any_of(reports.begin(), reports.end(), [&](const std::string& one) {
        return one.find(text) != std::string::npos;
      });
    });
  }

  tools::folder at;
  std::mutex guard;
  std::vector<std::string> reports;
  std::unique_ptr<http::server> server;
};

std::string said(const result<http::response>& answer) {
  return answer ? std::to_string(answer->status) + ' ' + answer->body : answer.error().message();
}

/// A client of OpenSSL's own, which need not show a certificate. What it is answered, or "".
std::string anonymous(const std::string& address, const std::string& request) {
  const tools::openssl_ptr<SSL_CTX> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  const tools::openssl_ptr<SSL> ssl{SSL_new(context.get()), SSL_free};
  const tools::openssl_ptr<BIO> bio{BIO_new_connect(address.c_str()), BIO_free_all};
  REQUIRE(BIO_do_connect(bio.get()) == 1);
  BIO_up_ref(bio.get());
  SSL_set_bio(ssl.get(), bio.get(), bio.get());
  if (SSL_connect(ssl.get()) != 1) return "no handshake";
  SSL_write(ssl.get(), request.data(), static_cast<int>(request.size()));
  char some[1024];
  const int got = SSL_read(ssl.get(), some, sizeof some);
  return got > 0 ? std::string{some, static_cast<std::size_t>(got)} : std::string{};
}

/// What a program prints.
std::string output_of(const std::string& command) {
  std::FILE* const from = ::popen(command.c_str(), "r");
  REQUIRE(from);
  std::string text;
  for (int c = std::fgetc(from); c != EOF; c = std::fgetc(from)) text += static_cast<char>(c);
  ::pclose(from);
  return text;
}

void replace(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

}  // namespace

TEST_CASE("each certificate of the cluster may read, and only that of an admin may change things") {
  const shop s;
  CHECK(said(http::get(s.call("clerk"))) == "200 GET /x by clerk\n");
  CHECK(said(http::get(s.call("stock"))) == "200 GET /x by stock\n");
  CHECK(said(http::post(s.call("boss"), "{}")) == "200 POST /x by boss\n");
  CHECK(said(http::post(s.call("clerk"), "{}")) == "200 POST /x by clerk, not authorised\n");
}

TEST_CASE("with a token besides, whoever knows it and has a certificate may change things too") {
  const shop s{{.token = "s3cret"}};
  auto call = s.call("clerk");
  CHECK(said(http::get(call)) == "200 GET /x by clerk\n");
  CHECK(said(http::post(call, "{}")) == "200 POST /x by clerk, not authorised\n");
  call.token = "wrong";
  CHECK(said(http::post(call, "{}")) == "200 POST /x by clerk, not authorised\n");
  call.token = "s3cret";
  CHECK(said(http::post(call, "{}")) == "200 POST /x by clerk\n");
  CHECK(said(http::post(s.call("boss"), "{}")) == "200 POST /x by boss\n");
}

TEST_CASE("a certificate that is not good is refused, and both sides are told why") {
  shop s;
  const tools::folder odd;
  const tools::odd_authority other{"other"};
  other.issue(odd.path, "other");
  REQUIRE(wire::issue_certificate(
      s.at.path, "late", {.valid_from = std::chrono::system_clock::now() - 48h, .valid_for = 24h}));
  REQUIRE(wire::issue_certificate(
      s.at.path, "early",
      {.valid_from = std::chrono::system_clock::now() + 24h, .valid_for = 24h}));
  struct refusal {
    std::string name;
    std::filesystem::path from;
    std::string here, there;
  };
  for (const refusal& r : std::vector<refusal>{
           {"other", odd.path, "not issued by an authority that it trusts",
            "its certificate was not issued by an authority of this cluster but by '/CN=other'"},
           {"late", s.at.path, "expired by its clock", "its certificate expired on "},
           {"early", s.at.path, "not yet valid by its clock", "its certificate is not yet valid"},
       }) {
    CAPTURE(r.name);
    auto call = s.call("clerk");
    call.tls = s.files(r.name, r.from);
    const auto no = http::get(call);
    REQUIRE(!no);
    CHECK(no.error().code() == errc::disconnected);
    CHECK_MESSAGE(said(no).find("it refused our certificate: " + r.here) != std::string::npos,
                  said(no));
    CHECK(s.reported(" was refused: " + r.there));
  }
  CHECK(s.server->counts().requests == 0);
  CHECK(s.server->counts().refused == 3);
}

TEST_CASE("a certificate that names no node of the cluster, or is for one side only, is refused") {
  tools::folder at;
  const tools::odd_authority authority;
  authority.write(at.path / "ca.crt");
  authority.issue(at.path, "stock");
  authority.issue(at.path, "stranger", {.names = "DNS:clerk.bazaar"});
  authority.issue(at.path, "half", {.names = "DNS:clerk.shop", .usage = "clientAuth"});
  std::mutex guard;
  std::string reports;
  http::server s{{.tls = http::certificates{"shop", at.path / "ca.crt", at.path / "stock.crt",
                                            at.path / "stock.key"},
                  .report =
                      [&](const std::string& what) {
                        std::lock_guard lock{guard};
                        reports += what + '\n';
                      }},
                 echo};
  REQUIRE(s.start());
  // As curl shows them: our own client refuses to load files that no node can use.
  const auto curl = [&](const std::string& name) {
    return output_of("curl -sS --cacert " + (at.path / "ca.crt").string() + " --cert " +
                     (at.path / (name + ".crt")).string() + " --key " +
                     (at.path / (name + ".key")).string() + " --connect-to ::" + s.address() +
                     " https://stock.shop/x 2>&1");
  };
  CHECK(curl("stock") == "GET /x by stock\n");
  CHECK(curl("stranger").find("alert") != std::string::npos);
  CHECK(curl("half").find("alert") != std::string::npos);
  s.stop();
  CHECK(reports.find("its certificate is for 'clerk.bazaar', which is no node of the cluster "
                     "'shop'") != std::string::npos);
  CHECK(reports.find("its certificate may not be used on both sides") != std::string::npos);
  CHECK(s.counts().requests == 1);
}

TEST_CASE("who shows no certificate is refused, health included") {
  shop s;
  CHECK(anonymous(s.server->address(), "GET /health/live HTTP/1.1\r\nHost: stock.shop\r\n\r\n") ==
        "");
  CHECK(s.reported(" was refused: it showed no certificate"));
  CHECK(s.server->counts().requests == 0);
}

TEST_CASE("who speaks plain HTTP to a port with TLS is told so in the open") {
  shop s;
  auto call = s.call("boss");
  call.tls.reset();
  const auto no = http::get(call);
  REQUIRE(no);
  CHECK(no->status == 400);
  CHECK(no->body ==
        "{\"error\":\"this port speaks TLS\",\"hint\":\"use https, and show a certificate of the "
        "cluster\"}\n");
  CHECK(s.reported(" was refused: it does not speak TLS"));
  CHECK(s.server->counts().requests == 0);
}

TEST_CASE("who speaks TLS to a port without is told so") {
  const shop s;
  http::server plain{{}, echo};
  REQUIRE(plain.start());
  auto call = s.call("boss");
  call.address = plain.address();
  CHECK(said(http::get(call)).find("no connection: it does not speak TLS, and this side does") !=
        std::string::npos);
}

TEST_CASE("a client is not taken in by another node of the cluster") {
  const shop s;
  auto call = s.call("boss");
  call.node = "intake";
  CHECK(said(http::post(call, "{}"))
            .find("its certificate is that of 'stock', and 'intake' was expected") !=
        std::string::npos);
  CHECK(s.server->counts().requests == 0);
}

TEST_CASE("large bodies go through TLS both ways") {
  const std::string large(5'000'000, 'x');
  const shop s{
      {.limits = {.body_bytes = 8'000'000}}, [&](const http::request& r) {
        return http::response{.body = r.body.empty() ? large : std::to_string(r.body.size())};
      }};
  const auto down = http::get(s.call("clerk"));
  REQUIRE_MESSAGE(down, said(down));
  CHECK(down->body == large);
  CHECK(said(http::post(s.call("boss"), large)) == "200 5000000");
}

TEST_CASE("a stream goes through TLS while it lasts, and ends with its client") {
  const auto records = std::make_shared<http::stream>();
  const shop s{{}, [&](const http::request&) { return http::response{.records = records}; }};
  std::string lines;
  REQUIRE(records->push("1"));
  const auto end = http::follow(s.call("clerk"), [&](std::string_view line) {
    lines += std::string{line} + ' ';
    records->push("2");
    return line != "2";
  });
  CHECK(said(end).starts_with("200"));
  CHECK(lines == "1 2 ");
  CHECK(tools::eventually([&] { return records->closed(); }));
}

TEST_CASE("a handshake is ended when it takes longer than a request may, however it drips") {
  shop s{{.limits = {.request_deadline = 200ms}}};
  peer silent{s.server->address()}, begun{s.server->address()};
  begun.send(std::string{"\x16\x03\x01\x02\x00\x01", 6});
  CHECK(silent.ended());
  CHECK(begun.ended());
  CHECK(s.server->counts().timeouts == 2);
  CHECK(s.reported(" was refused: it did not end its TLS handshake in time"));
  CHECK(said(http::get(s.call("clerk"))) == "200 GET /x by clerk\n");
}

TEST_CASE("connections in their handshake make room for others, and bytes that are no TLS end") {
  shop s{{.limits = {.connections = 4}}};
  std::vector<peer> idle;
  for (int i = 0; i < 20; ++i) idle.emplace_back(s.server->address());
  CHECK(said(http::get(s.call("clerk"))) == "200 GET /x by clerk\n");
  peer noise{s.server->address()};
  noise.send("\x16\x03\x01\x00\x04" + std::string(64, '\xff'));
  CHECK(noise.ended());
  CHECK(s.reported(" was refused: its bytes are not good TLS: "));
}

TEST_CASE("new files are taken into use by the next connection, and bad ones leave those before") {
  shop s;
  const std::string key = s.at.path / "stock.key", certificate = s.at.path / "stock.crt";
  std::ofstream{key, std::ios::trunc} << "no key";
  CHECK(said(http::get(s.call("clerk"))) == "200 GET /x by clerk\n");
  CHECK(s.reported("The TLS files have changed and cannot be used, those read before stay in use"));
  const tools::folder fresh;
  const tools::odd_authority authority;
  authority.issue(fresh.path, "stock");
  authority.issue(fresh.path, "clerk");
  authority.write(s.at.path / "ca.crt");
  replace(fresh.path / "stock.crt", certificate);
  replace(fresh.path / "stock.key", key);
  auto call = s.call("clerk");
  CHECK(said(http::get(call)).find("not issued by an authority that it trusts") !=
        std::string::npos);
  CHECK(s.reported("The TLS files have changed and are in use from now on"));
  authority.issue(s.at.path, "clerk", {.names = "DNS:clerk.shop"});
  CHECK(said(http::get(call)) == "200 GET /x by clerk\n");
}

TEST_CASE(
    "a server whose files cannot be used does not start, and with good ones listens anywhere") {
  const shop s;
  auto files = s.files("stock");
  http::server anywhere{{.address = "0.0.0.0:0", .tls = files}, echo};
  CHECK(anywhere.start());
  files.key = s.at.path / "none.key";
  http::server bad{{.tls = files}, echo};
  const auto up = bad.start();
  REQUIRE(!up);
  CHECK(up.error().message().find("HTTP cannot speak TLS") != std::string::npos);
  CHECK(to_string(up.error().why()).find("none.key") != std::string::npos);
  auto call = s.call("boss");
  call.tls = files;
  const auto no = http::get(call);
  REQUIRE(!no);
  CHECK(no.error().code() == errc::invalid);
  CHECK(said(no).find("none.key") != std::string::npos);
}

TEST_CASE("a page of another site may not use a browser's certificate") {
  const shop s;
  const auto curl = [&](const std::string& origin) {
    const auto files = s.files("boss");
    return output_of("curl -sS -d '{}' -H 'Content-Type: application/json' -H 'Origin: " + origin +
                     "' --cacert " + files.ca + " --cert " + files.certificate + " --key " +
                     files.key + " --connect-to ::" + s.server->address() +
                     " https://stock.shop/x 2>&1");
  };
  CHECK(curl("https://stock.shop") == "POST /x by boss\n");
  CHECK(curl("https://other.shop").find("a page of another site may not do this") !=
        std::string::npos);
  CHECK(curl("http://stock.shop").find("a page of another site may not do this") !=
        std::string::npos);
}
