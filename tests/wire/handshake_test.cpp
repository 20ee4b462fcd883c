// SPDX-License-Identifier: BSD-3-Clause
#include "party.hpp"

#include <doctest/doctest.h>

#include <coppice/actors/codec/codec.hpp>

#include <random>

using namespace coppice::wire;
using namespace wire_tools;
using namespace std::chrono_literals;

namespace {

std::span<const std::byte> payload(const std::vector<std::byte>& frame) {
  return std::span{frame}.subspan(frame_header);
}

hello hello_of(std::string from, std::string to) {
  hello h;
  h.newest = h.oldest = 1;
  h.cluster = "shop";
  h.from = std::move(from);
  h.to = std::move(to);
  h.incarnation = {7, 1};
  return h;
}

template <class T>
std::vector<std::byte> encoded(const T& x) {
  std::vector<std::byte> bytes;
  coppice::detail::writer to{bytes};
  coppice::detail::encode(to, x);
  return bytes;
}

const identity beta = identity_of("beta", 1);

std::string code_of(const hello& said, std::string_view certificate = "") {
  const auto found = objection(said, beta, certificate);
  return found ? std::string{name(found->code)} : "";
}

struct guests {
  reception r;
  reception::time_point now{1h};
  explicit guests(limits bounds = {}) : r{beta, {"alpha", "beta", "gamma"}, bounds} {}

  std::string said(link_id link, const hello& h, std::string certificate = "") {
    r.opened(link, std::move(certificate), now);
    const auto v = r.said_hello(link, payload(write(h)));
    if (!v.peer.empty()) return "peer " + v.peer;
    const auto no = read_refuse(payload(v.answer));
    return std::string{name(no->code)} + ": " + v.why;
  }
};

}  // namespace

TEST_CASE("what is said in a handshake is heard") {
  hello h = hello_of("alpha", "beta");
  h.digest = 5;
  h.to_incarnation = {8, 9};
  h.session = 3;
  h.has = {10, 20};
  h.message_bytes = 1'000;
  h.features = {"one", "two"};
  const auto heard = read_hello(payload(write(h)));
  REQUIRE(heard);
  CHECK(heard->cluster == "shop");
  CHECK(heard->to_incarnation == incarnation_id{8, 9});
  CHECK(heard->session == 3);
  CHECK(heard->has == received{10, 20});
  CHECK(heard->features == strings{"one", "two"});
  CHECK(read_ready(payload(write(ready{4})))->session == 4);
  const auto no = read_refuse(payload(write(refuse{refusal::busy, "so"})));
  CHECK(no->code == refusal::busy);
  CHECK(no->text == "so");
  CHECK(read_goodbye(write_goodbye({"bye"}))->text == "bye");
}

TEST_CASE("the bytes of a hello are those of the first release") {
  hello h = hello_of("alpha", "beta");
  h.digest = 0x1234;
  h.session = 2;
  h.has = {300, 0};
  h.message_bytes = 16'777'216;
  const auto bytes = write(h);
  std::string hex;
  for (const auto b : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", std::to_integer<unsigned>(b));
    hex += two;
  }
  CHECK(hex ==
        "01000028"            // a hello of 40 bytes
        "9c"                  // twelve fields
        "0101"                // protocol versions
        "a473686f70"          // shop
        "a5616c706861"        // alpha
        "a462657461"          // beta
        "920701"              // incarnation
        "cd1234"              // digest
        "920000"              // no incarnation of the acceptor known
        "02"                  // session
        "92cd012c00"          // received: 300 user frames
        "ce01000000"          // message_bytes
        "90");                // no features
}

TEST_CASE("fields that a later version has appended are passed over, missing ones have defaults") {
  struct future_hello {
    std::uint32_t newest = 2, oldest = 1;
    std::string cluster = "shop", from = "alpha", to = "beta";
    incarnation_id incarnation{7, 1};
    std::uint64_t digest = 0;
    incarnation_id to_incarnation{};
    std::uint64_t session = 1;
    received has{};
    std::uint64_t message_bytes = 0;
    std::vector<std::string> features{};
    std::string mood = "good";
    std::vector<std::pair<int, int>> more{{1, 2}};
  };
  const auto later = read_hello(encoded(future_hello{}));
  REQUIRE(later);
  CHECK(later->from == "alpha");
  CHECK_FALSE(objection(*later, beta, ""));

  struct early_hello {
    std::uint32_t newest = 1, oldest = 1;
    std::string cluster = "shop", from = "alpha", to = "beta";
    incarnation_id incarnation{7, 1};
  };
  const auto early = read_hello(encoded(early_hello{}));
  REQUIRE(early);
  CHECK(early->message_bytes == 0);
  CHECK_FALSE(objection(*early, beta, ""));
}

TEST_CASE("a refusal that a later version has invented is still a refusal") {
  struct future_refuse {
    int code = 200;
    std::string text = "the moon is wrong";
  };
  const auto no = read_refuse(encoded(future_refuse{}));
  REQUIRE(no);
  CHECK(name(no->code) == "unknown");
}

TEST_CASE("each thing that can be wrong with a hello has its code and its sentence") {
  CHECK(code_of(hello_of("alpha", "beta")).empty());
  auto h = hello_of("alpha", "beta");
  h.cluster = "bank";
  CHECK(code_of(h) == "cluster");
  CHECK(objection(h, beta, "")->text == "node beta belongs to cluster shop, not to \"bank\"");
  h = hello_of("alpha", "beta");
  h.oldest = h.newest = 2;
  CHECK(code_of(h) == "protocol");
  CHECK(objection(h, beta, "")->text ==
        "node beta speaks the protocol's versions 1 to 1, not 2 to 2");
  h.oldest = h.newest = 0;
  CHECK(code_of(h) == "protocol");
  h.oldest = 2;
  h.newest = 1;
  CHECK(code_of(h) == "protocol");
  CHECK(code_of(hello_of("beta", "beta")) == "own_name");
  CHECK(code_of(hello_of("alpha", "gamma")) == "wrong_node");
  CHECK(code_of(hello_of("alpha", "beta"), "alpha").empty());
  CHECK(code_of(hello_of("alpha", "beta"), "gamma") == "certificate");
  h = hello_of("alpha", "beta");
  h.incarnation = {};
  CHECK(code_of(h) == "malformed");
  h = hello_of("alpha", "beta");
  h.session = ~std::uint64_t{0};
  h.to_incarnation = beta.incarnation;
  CHECK(code_of(h) == "malformed");
  // A former beta may have said so; this one does not care.
  h.to_incarnation = {7, 2};
  CHECK(code_of(h).empty());
}

TEST_CASE("whoever says hello is led to the peer's association, or refused") {
  guests g;
  CHECK(g.said(1, hello_of("alpha", "beta")) == "peer alpha");
  CHECK(g.said(2, hello_of("gamma", "beta"), "gamma") == "peer gamma");
  CHECK(g.said(3, hello_of("delta", "beta")) ==
        "unknown_node: node beta refuses \"delta\" (unknown_node): the configuration of node beta "
        "knows no node \"delta\"");
  CHECK(g.said(4, hello_of("beta", "beta")).starts_with("own_name: "));
  CHECK(g.said(5, hello_of("alpha", "beta"), "gamma") ==
        "certificate: node beta refuses \"alpha\" (certificate): the certificate is node "
        "\"gamma\"'s, and not \"alpha\"'s");
  CHECK(g.r.size() == 0);
  CHECK(g.r.said_hello(6, {}).why == "a hello comes from a link that is not waited for");
}

TEST_CASE("a hello that cannot be read is refused, with nothing of it in the log but its fault") {
  guests g;
  g.r.opened(1, "", g.now);
  const auto v = g.r.said_hello(1, bytes_of("GET / HTTP/1.1\r\n\r\n"));
  CHECK(v.peer.empty());
  CHECK(v.why.starts_with("node beta refuses a link (malformed): a hello cannot be read: "));
  CHECK(read_refuse(payload(v.answer))->code == refusal::malformed);
  auto longer = encoded(hello_of("alpha", "beta"));
  longer.push_back(std::byte{0});
  g.r.opened(2, "", g.now);
  CHECK(g.r.said_hello(2, longer).why.ends_with("something follows it"));
}

TEST_CASE("what a stranger writes does not run through the log") {
  guests g;
  auto h = hello_of("al\n\x1b[2Jpha\"" + std::string(1'000, 'x'), "beta");
  const auto said = g.said(1, h);
  CHECK(said.size() < 400);
  CHECK(said.find('\n') == std::string::npos);
  CHECK(said.find('\x1b') == std::string::npos);
  h = hello_of("alpha", "beta");
  h.cluster = std::string(3'900, 'c');
  CHECK(g.said(2, h).size() < 400);
}

TEST_CASE("links that do not say who they are are closed by deadline") {
  guests g;
  g.r.opened(1, "", g.now);
  g.r.opened(2, "", g.now + 1s);
  CHECK(g.r.next() == g.now + 5s);
  CHECK(g.r.time(g.now + 4'999ms).empty());
  const auto out = g.r.time(g.now + 5s);
  REQUIRE(out.size() == 1);
  CHECK(out[0].link == 1);
  CHECK(out[0].why == "no hello has come in time");
  g.r.closed(2);
  CHECK_FALSE(g.r.next());
}

TEST_CASE("of too many links that do not say who they are the oldest has to go") {
  limits bounds;
  bounds.pending_handshakes = 3;
  guests g{bounds};
  for (link_id link = 1; link <= 3; ++link) CHECK_FALSE(g.r.opened(link, "", g.now));
  const auto out = g.r.opened(4, "", g.now);
  REQUIRE(out);
  CHECK(out->link == 1);
  CHECK(g.r.size() == 3);
}

TEST_CASE("any bytes whatsoever are a handshake frame or an error") {
  std::mt19937 random{4};
  const std::vector<std::vector<std::byte>> good{
      encoded(hello_of("alpha", "beta")), encoded(welcome{.protocol = 1, .features = {"a", "b"}}),
      encoded(ready{1}), encoded(refuse{refusal::busy, "x"}), encoded(goodbye{"x"})};
  int read = 0;
  for (int i = 0; i < 50'000; ++i) {
    auto bytes = good[random() % good.size()];
    for (auto n = random() % 4; n > 0; --n) bytes[random() % bytes.size()] = std::byte(random());
    bytes.resize(random() % 4 == 0 ? random() % (bytes.size() + 1) : bytes.size());
    read += read_hello(bytes).has_value() + read_welcome(bytes).has_value() +
            read_ready(bytes).has_value() + read_refuse(bytes).has_value() +
            read_goodbye(bytes).has_value();
  }
  CHECK(read > 10'000);
}

TEST_CASE("an incarnation is written as 32 digits") {
  CHECK(to_string(incarnation_id{0x0123456789abcdef, 1}) == "0123456789abcdef0000000000000001");
}
