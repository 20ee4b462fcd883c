// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/certificates.hpp>
#include <coppice/runtime/wire/tls_private.hpp>

#include <openssl/err.h>

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "carriers.hpp"
#include "folder.hpp"
#include "odd_certificates.hpp"

namespace wire = coppice::wire;
using namespace coppice::wire;
using namespace tools;

namespace {

using progress = tls_stream::progress;

/// The files of a cluster `shop` with the nodes `stock` and `intake`, all good.
struct shop {
  shop() {
    REQUIRE(create_authority(at.path, "shop"));
    REQUIRE(issue_certificate(at.path, "stock"));
    REQUIRE(issue_certificate(at.path, "intake"));
  }
  socket_options options(const std::string& node) const { return options(node, at.path); }
  /// The authority of this shop, the node's own files from `from`.
  socket_options options(const std::string& node, const std::filesystem::path& from) const {
    socket_options o;
    o.cluster = "shop";
    o.tls.ca = at.path / "ca.crt";
    o.tls.certificate = from / (node + ".crt");
    o.tls.key = from / (node + ".key");
    return o;
  }
  folder at;
};

std::shared_ptr<const tls_context> context(const socket_options& options) {
  std::vector<std::string> remarks;
  auto loaded = tls_context::load(options, remarks);
  INFO((loaded ? std::string{} : to_string(loaded.error().why())));
  REQUIRE(loaded);
  return *loaded;
}

/// Two streams and what is on its way between them.
struct wire_pair {
  wire_pair(std::shared_ptr<const tls_context> dialling,
            std::shared_ptr<const tls_context> accepting, const std::string& expected = {},
            std::uint64_t records_per_key = 1 << 20)
      : dialler(std::move(dialling), true, expected, records_per_key),
        acceptor(std::move(accepting), false, {}, records_per_key) {}

  /// Carries bytes both ways, at most so many at once, until nothing is left to carry.
  void shake_hands(std::size_t at_once = 1 << 20) {
    d = dialler.handshake();
    while (carry(dialler, acceptor, at_once, a) || carry(acceptor, dialler, at_once, d)) {
    }
  }
  /// What is fed stays there until the next time.
  bool carry(tls_stream& from, tls_stream& to, std::size_t at_once, progress& how) {
    const auto some = from.output().first(std::min(at_once, from.output().size()));
    if (some.empty()) return false;
    auto& fed = &to == &dialler ? to_dialler : to_acceptor;
    fed.assign(some.begin(), some.end());
    from.sent(fed.size());
    if (how == progress::failed) return true;
    to.feed(fed);
    if (how == progress::more) how = to.handshake();
    return true;
  }

  tls_stream dialler, acceptor;
  progress d = progress::more, a = progress::more;
  std::vector<std::byte> to_dialler, to_acceptor;
};

/// How each side of a dial sees it end.
struct sides {
  std::string dialler, acceptor;
};

/// `intake` of `dialling` dials `stock` of `accepting`.
sides dialled(const socket_options& dialling, const socket_options& accepting) {
  side from{dialling}, to{accepting};
  const std::string address = to.start();
  from.start("");
  from.carrier.dial("stock", address);
  REQUIRE(from.ear.until(
      [](const ear::heard& h) { return !h.dials_failed.empty() || !h.open.empty(); }));
  if (!from.ear.now().open.empty()) return {"open", "open"};
  REQUIRE(to.ear.until([](const ear::heard& h) { return !h.refused.empty(); }));
  CHECK(to.ear.now().open.empty());
  std::string refused = to.ear.now().refused[0];
  CHECK(refused.starts_with("127.0.0.1:"));
  return {from.ear.now().dials_failed[0], refused.substr(refused.find(": ") + 2)};
}

void replace(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

void put(const std::filesystem::path& path, const std::string& text) {
  std::ofstream{path, std::ios::binary | std::ios::trunc} << text;
}

std::string start_failure(socket_options options) {
  side node{std::move(options)};
  const auto up = node.carrier.start("127.0.0.1:0", node.ear);
  return up ? std::string{"it has started"} : to_string(up.error().why());
}

bool reported(ear& by, std::string_view words) {
  return by.until([&](const ear::heard& h) {
    return std::any_of(h.reports.begin(), h.reports.end(),
                       [&](const std::string& line) { return has(line, words); });
  });
}

/// A dial between these two works, both have told it, and the link is closed again.
void works(side& from, side& to, const std::string& address) {
  const std::size_t a = from.ear.now().open.size(), b = to.ear.now().open.size();
  from.carrier.dial("stock", address);
  from.ear.opened(a + 1)->close("seen");
  to.ear.opened(b + 1);
}

}  // namespace

// ---- streams ----------------------------------------------------------------------------------

TEST_CASE("a handshake works however its bytes are cut, and both sides know whom they talk to") {
  const shop files;
  for (const std::size_t at_once : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
    wire_pair both{context(files.options("intake")), context(files.options("stock")), "stock"};
    both.shake_hands(at_once);
    CHECK(both.d == progress::done);
    CHECK(both.a == progress::done);
    CHECK(both.dialler.peer() == "stock");
    CHECK(both.acceptor.peer() == "intake");
  }
}

TEST_CASE("the keys are changed every so many records, and the reader follows") {
  const shop files;
  wire_pair both{context(files.options("intake")), context(files.options("stock")), "stock", 3};
  both.shake_hands();
  REQUIRE(both.d == progress::done);
  std::size_t bytes = 0;
  for (int i = 0; i < 50; ++i) {
    const std::string text = "record " + std::to_string(i);
    REQUIRE(both.dialler.write(std::as_bytes(std::span{text})));
    bytes += both.dialler.output().size() - text.size();
    both.carry(both.dialler, both.acceptor, 1 << 20, both.a);
    char got[100];
    const auto n = both.acceptor.read(std::as_writable_bytes(std::span{got}));
    REQUIRE(n == static_cast<std::ptrdiff_t>(text.size()));
    CHECK(std::string_view{got, text.size()} == text);
    CHECK(both.acceptor.read(std::as_writable_bytes(std::span{got})) == 0);
  }
  CHECK(bytes > 50 * 22 + 16 * 20);  // there is more than records of data
}

TEST_CASE("whatever is done to the bytes of a handshake, it fails with words or waits for more") {
  const shop files;
  const auto intake = context(files.options("intake")), stock = context(files.options("stock"));
  std::mt19937 random{1};
  int failed = 0;
  for (int round = 0; round < 300; ++round) {
    wire_pair both{intake, stock, "stock"};
    both.d = both.dialler.handshake();
    // The first flight of either side, with a few bytes changed and perhaps its end missing.
    const auto spoil = [&](tls_stream& from, tls_stream& to, progress& how) {
      std::vector<std::byte> bytes(from.output().begin(), from.output().end());
      from.sent(bytes.size());
      for (unsigned n = random() % 3 + 1; n > 0 && !bytes.empty(); --n)
        bytes[random() % bytes.size()] ^= static_cast<std::byte>(1 + random() % 255);
      if (random() % 3 == 0 && !bytes.empty()) bytes.resize(random() % bytes.size());
      to.feed(bytes);
      how = to.handshake();
    };
    if (round % 2 == 0) spoil(both.dialler, both.acceptor, both.a);
    else {
      both.carry(both.dialler, both.acceptor, 1 << 20, both.a);
      spoil(both.acceptor, both.dialler, both.d);
    }
    for (const auto& [how, stream] : {std::pair{both.d, &both.dialler}, {both.a, &both.acceptor}}) {
      if (how != progress::failed) continue;
      ++failed;
      CHECK_FALSE(stream->why().empty());
    }
  }
  CHECK(failed > 100);
}

TEST_CASE("a record that was changed on its way ends the stream, and a good end is told apart") {
  const shop files;
  const auto intake = context(files.options("intake")), stock = context(files.options("stock"));
  char got[100];
  const auto room = std::as_writable_bytes(std::span{got});
  {
    wire_pair both{intake, stock};
    both.shake_hands();
    REQUIRE(both.dialler.write(std::as_bytes(std::span{"text"})));
    std::vector<std::byte> bytes(both.dialler.output().begin(), both.dialler.output().end());
    bytes.back() ^= std::byte{1};
    both.acceptor.feed(bytes);
    CHECK(both.acceptor.read(room) == -1);
    CHECK(both.acceptor.why() == "its bytes are not good TLS: decryption failed or bad record mac");
    CHECK_FALSE(both.acceptor.output().empty());  // the alert
  }
  wire_pair both{intake, stock};
  both.shake_hands();
  both.dialler.finish();
  both.carry(both.dialler, both.acceptor, 1 << 20, both.a);
  CHECK(both.acceptor.read(room) == -1);
  CHECK(both.acceptor.why() == "it closed the connection");
}

// ---- who is refused, and in which words -------------------------------------------------------

TEST_CASE("each refused certificate has its own sentence at both ends") {
  const odd_authority authority, stranger;
  folder good, odd;
  authority.write(good.path / "ca.crt");
  authority.issue(good.path, "stock");
  authority.issue(good.path, "intake", {.names = "DNS:intake.shop"});
  const auto with = [&](const std::string& node, const folder& from) {
    socket_options o;
    o.cluster = "shop";
    o.tls.ca = good.path / "ca.crt";
    o.tls.certificate = from.path / (node + ".crt");
    o.tls.key = from.path / (node + ".key");
    return o;
  };
  CHECK(dialled(with("intake", good), with("stock", good)).dialler == "open");

  struct row {
    const odd_authority& by;
    oddity what;
    std::string refusal;  // by the one who looks at it
    std::string told;     // to the one who shows it
  };
  const std::string not_trusted = "not issued by an authority that it trusts";
  const std::string not_for_it = "that is not for the node or the cluster it expects";
  const row rows[] = {
      {stranger,
       {},
       "its certificate was not issued by an authority of this cluster but by '/CN=shop'",
       not_trusted},
      {authority,
       {.from_hours = -48, .to_hours = -24},
       "its certificate expired on 20",
       "expired by its clock"},
      {authority,
       {.from_hours = 24, .to_hours = 48},
       "its certificate is not yet valid, only from 20",
       "not yet valid by its clock, or bad in itself"},
  };
  for (const row& r : rows) {
    CAPTURE(r.refusal);
    r.by.issue(odd.path, "stock", r.what);
    sides seen = dialled(with("intake", good), with("stock", odd));
    CHECK(has(seen.dialler, "stock: " + r.refusal));
    CHECK(seen.acceptor == "it refused our certificate: " + r.told);
    seen = dialled(with("stock", odd), with("stock", good));
    CHECK(has(seen.acceptor, r.refusal));
    CHECK(seen.dialler == "stock: it refused our certificate: " + r.told);
  }

  // Names and uses are looked at when a node reads its own files, too: who shows these is none of
  // our nodes, so the stream that shows them is OpenSSL's own.
  const row foreign[] = {
      {authority,
       {.usage = "serverAuth"},
       "its certificate may not be used on both sides",
       "unsupported certificate"},
      {authority,
       {.usage = "clientAuth"},
       "its certificate may not be used on both sides",
       "unsupported certificate"},
      {authority,
       {.names = "DNS:stock.market"},
       "its certificate is for 'stock.market', which is no node of the cluster 'shop'",
       "certificate unknown"},
      {authority,
       {.names = "DNS:*.shop"},
       "is for '*.shop', which is no node",
       "certificate unknown"},
      {authority, {.names = "DNS:shop"}, "is for 'shop', which is no node", "certificate unknown"},
      {authority, {.names = ""}, "its certificate names no node", "certificate unknown"},
      {authority,
       {.names = "IP:127.0.0.1"},
       "its certificate names no node",
       "certificate unknown"},
      {authority,
       {.names = "DNS:stock.shop,DNS:intake.shop"},
       "its certificate names more than one node: 'stock' and 'intake'",
       "certificate unknown"},
  };
  const auto intake = context(with("intake", good));
  for (const row& r : foreign) {
    for (const bool dials : {true, false}) {
      CAPTURE(r.refusal);
      CAPTURE(dials);
      r.by.issue(odd.path, "odd", r.what);
      const openssl_ptr<SSL_CTX> theirs{SSL_CTX_new(TLS_method()), SSL_CTX_free};
      REQUIRE(SSL_CTX_use_certificate_file(theirs.get(), (odd.path / "odd.crt").c_str(),
                                           SSL_FILETYPE_PEM) == 1);
      REQUIRE(SSL_CTX_use_PrivateKey_file(theirs.get(), (odd.path / "odd.key").c_str(),
                                          SSL_FILETYPE_PEM) == 1);
      const openssl_ptr<SSL> other{SSL_new(theirs.get()), SSL_free};
      BIO *const in = BIO_new(BIO_s_mem()), *const out = BIO_new(BIO_s_mem());
      SSL_set_bio(other.get(), in, out);
      if (dials) SSL_set_connect_state(other.get());
      else SSL_set_accept_state(other.get());
      tls_stream ours{intake, !dials, {}};
      progress how = dials ? progress::more : ours.handshake();
      int rounds = 0;
      std::string alert;
      for (; rounds < 10; ++rounds) {
        BIO_write(in, ours.output().data(), static_cast<int>(ours.output().size()));
        ours.sent(ours.output().size());
        char some[1];
        if (SSL_read(other.get(), some, 1) <= 0)
          if (const auto code = ERR_get_error(); code != 0) alert = ERR_reason_error_string(code);
        ERR_clear_error();
        std::vector<std::byte> bytes(BIO_ctrl_pending(out));
        BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
        ours.feed(bytes);
        if (how == progress::more) how = ours.handshake();
      }
      CHECK(how == progress::failed);
      CHECK(has(ours.why(), r.refusal));
      CHECK(has(alert, r.told));
    }
  }

  // The name that was dialled. A node may well find someone else at the address.
  const sides seen = dialled(with("intake", good), with("intake", good));
  CHECK(seen.dialler == "stock: its certificate is that of 'intake', and 'stock' was expected");
  CHECK(seen.acceptor == "it refused our certificate: " + not_for_it);
}

TEST_CASE("someone without a certificate, with an old TLS, or without any, is refused in words") {
  const shop files;
  side node{files.options("stock")};
  const std::string address = node.start();
  const auto refusal = [&](std::size_t n) {
    REQUIRE(node.ear.until([&](const ear::heard& h) { return h.refused.size() == n; }));
    const std::string text = node.ear.now().refused.back();
    return text.substr(text.find(": ") + 2);
  };
  const auto visit = [&](int version) {
    const openssl_ptr<SSL_CTX> c{SSL_CTX_new(TLS_method()), SSL_CTX_free};
    SSL_CTX_set_min_proto_version(c.get(), version);
    SSL_CTX_set_max_proto_version(c.get(), version);
    const openssl_ptr<SSL> ssl{SSL_new(c.get()), SSL_free};
    const raw_socket s = connected_to(address);
    SSL_set_fd(ssl.get(), s.descriptor());
    char some[1];
    if (SSL_connect(ssl.get()) == 1) CHECK(SSL_read(ssl.get(), some, 1) <= 0);
    ERR_clear_error();
  };
  visit(TLS1_3_VERSION);
  CHECK(refusal(1) == "it showed no certificate");
  visit(TLS1_2_VERSION);
  CHECK(refusal(2) == "it does not speak TLS 1.3");
  {
    const raw_socket browser = connected_to(address);
    CHECK(browser.send("GET / HTTP/1.1\r\n\r\n"));
    CHECK(browser.receive().size() == 7);  // an alert
    CHECK(refusal(3) == "it does not speak TLS, and this side does");
  }
  raw_socket nobody = connected_to(address);
  nobody.close();
  CHECK(refusal(4) == "it closed the connection before the TLS handshake was done");
  CHECK(node.ear.now().open.empty());
}

TEST_CASE("a node without TLS and one with it say so to each other's log, whoever dials") {
  const shop files;
  side sealed{files.options("stock")}, open{plain()};
  const std::string sealed_at = sealed.start(), open_at = open.start();

  open.carrier.dial("stock", sealed_at);
  write(*open.ear.opened(), "hello");
  REQUIRE(open.ear.until([](const ear::heard& h) { return !h.closed.empty(); }));
  REQUIRE(sealed.ear.until([](const ear::heard& h) { return !h.refused.empty(); }));
  CHECK(open.ear.now().closed[0] == "it speaks TLS, and this side does not");
  CHECK(has(sealed.ear.now().refused[0], "it does not speak TLS, and this side does"));

  sealed.carrier.dial("open", open_at);
  REQUIRE(open.ear.until([](const ear::heard& h) { return h.closed.size() == 2; }));
  REQUIRE(sealed.ear.until([](const ear::heard& h) { return !h.dials_failed.empty(); }));
  CHECK(open.ear.now().closed[1] == "it speaks TLS, and this side does not");
  CHECK(has(sealed.ear.now().dials_failed[0],
            "open: it closed the connection before the TLS handshake was done"));
  CHECK(open.ear.now().bytes.empty());
}

// ---- files ------------------------------------------------------------------------------------

TEST_CASE("TLS is not left out by accident: a node starts with usable files or says insecure") {
  shop files;
  socket_options none = files.options("stock");
  none.tls = {};
  CHECK(has(start_failure(none), "tls.insecure = true"));
  for (std::string tls_options::*file :
       {&tls_options::ca, &tls_options::certificate, &tls_options::key}) {
    socket_options missing = files.options("stock");
    (missing.tls.*file).clear();
    CHECK(has(start_failure(missing), "tls.ca, tls.certificate and tls.key"));
    missing.tls.*file = files.at.path / "nothing";
    CHECK(has(start_failure(missing), "nothing: No such file or directory"));
    put(files.at.path / "rubbish", "rubbish");
    missing.tls.*file = files.at.path / "rubbish";
    CHECK(has(start_failure(missing), "rubbish holds no"));
    missing.tls.*file = files.at.path;
    CHECK(has(start_failure(missing), " is not a file"));
  }
  socket_options swapped = files.options("stock");
  swapped.tls.key = files.at.path / "intake.key";
  CHECK(has(start_failure(swapped), "intake.key is not the key of "));
  socket_options other = files.options("stock");
  other.node = "intake";
  CHECK(has(start_failure(other), "is the certificate of 'stock', and this node is 'intake'"));
  other.cluster = "market";
  CHECK(has(start_failure(other), "which is no node of the cluster 'market'"));
  socket_options leaf = files.options("stock");
  leaf.tls.ca = files.at.path / "intake.crt";
  CHECK(has(start_failure(leaf), "holds a certificate that is not an authority's"));
}

TEST_CASE("a key under a passphrase is refused and not asked for on the terminal") {
  const shop files;
  const auto key = files.at.path / "stock.key";
  REQUIRE(std::system(("openssl ec -aes128 -passout pass:secret -in " + key.string() + " -out " +
                       key.string() + ".new 2>/dev/null")
                          .c_str()) == 0);
  std::filesystem::rename(key.string() + ".new", key);
  CHECK(has(start_failure(files.options("stock")), "without a passphrase"));
}

TEST_CASE("what an operator should see to is reported although the files can be used") {
  const odd_authority authority, stranger;
  folder at;
  authority.write(at.path / "ca.crt");
  const auto said = [&](const odd_authority& by, const oddity& what, std::string_view words,
                        unsigned mode = 0600) {
    by.issue(at.path, "stock", what);
    ::chmod((at.path / "stock.key").c_str(), mode);
    socket_options o;
    o.cluster = "shop";
    o.tls = {.ca = at.path / "ca.crt",
             .certificate = at.path / "stock.crt",
             .key = at.path / "stock.key"};
    side node{o};
    node.start();
    return reported(node.ear, words);
  };
  CHECK(said(authority, {}, "can be read or changed by others than its owner", 0640));
  CHECK(said(authority, {}, "can be read or changed by others than its owner", 0604));
  CHECK(said(authority, {}, ": issue a new one"));
  CHECK(said(authority, {.from_hours = -48, .to_hours = -24}, "expired on 20"));
  CHECK(said(authority, {.from_hours = 24, .to_hours = 48}, "peers refuse it until then"));
  CHECK(said(stranger, {}, "was not issued by an authority that this node trusts"));
}

TEST_CASE("new files are used by the next connection of a running node, and old links live on") {
  shop files;
  side stock{files.options("stock")}, intake{files.options("intake")};
  const std::string address = stock.start();
  intake.start("");
  intake.carrier.dial("stock", address);
  const link_ptr old = intake.ear.opened();

  // Another authority for the whole cluster: with the old files nobody would be let in.
  const certificate_options again{.valid_from = {}, .valid_for = {}, .overwrite = true};
  REQUIRE(create_authority(files.at.path, "shop", again));
  REQUIRE(issue_certificate(files.at.path, "stock", again));
  REQUIRE(issue_certificate(files.at.path, "intake", again));
  intake.carrier.dial("stock", address);
  intake.ear.opened(2);
  CHECK(reported(stock.ear, "The TLS files have changed and are in use"));
  CHECK(reported(intake.ear, "The TLS files have changed and are in use"));
  CHECK(write(*old, "still here") == 10);
  CHECK(stock.ear.until([](const ear::heard& h) { return h.bytes == "still here"; }));
}

TEST_CASE("files that cannot be used leave the old ones in use and are reported once per change") {
  shop files;
  side stock{files.options("stock")}, intake{files.options("intake")};
  const std::string address = stock.start();
  intake.start("");
  const auto certificate = files.at.path / "stock.crt", key = files.at.path / "stock.key";
  folder kept;
  replace(certificate, kept.path / "crt");
  replace(key, kept.path / "key");
  std::ifstream in{certificate};
  const std::string whole{std::istreambuf_iterator<char>{in}, {}};

  std::size_t reports = 0;
  const auto changed = [&](std::string_view words) {
    for (int i = 0; i < 3; ++i) works(intake, stock, address);
    REQUIRE(stock.ear.now().reports.size() == ++reports);
    CHECK(has(stock.ear.now().reports.back(), words));
  };
  put(certificate, "rubbish");
  changed("stock.crt holds no certificate");
  put(certificate, whole.substr(0, whole.size() / 2));
  changed("stock.crt is damaged");
  put(certificate, whole + whole.substr(0, whole.size() / 2));
  changed("stock.crt is damaged");
  std::filesystem::remove(certificate);
  changed("stock.crt: No such file or directory");
  replace(kept.path / "crt", certificate);
  changed("are in use");
  put(key, "");
  changed("stock.key holds no private key");
  replace(files.at.path / "intake.key", key);
  changed("stock.key is not the key of");
  put(key, std::string(2 << 20, 'x'));
  changed("stock.key is larger than 1 MiB");
  std::filesystem::remove(key);
  REQUIRE(::mkfifo(key.c_str(), 0600) == 0);
  changed("stock.key is not a file");
  std::filesystem::remove(key);
  replace(kept.path / "key", key);
  std::filesystem::permissions(key, std::filesystem::perms{0600});
  changed("are in use");
}

// ---- hostile ----------------------------------------------------------------------------------

TEST_CASE("idle and slow visitors are dropped by the deadline, and nodes get in meanwhile") {
  const shop files;
  socket_options quick = files.options("stock");
  quick.handshake_deadline = 2s;
  quick.pending_handshakes = 40;
  side stock{quick}, intake{files.options("intake")};
  const std::string address = stock.start();
  intake.start("");

  std::vector<raw_socket> visitors(30);
  for (const raw_socket& one : visitors) REQUIRE(one.connect(address));
  // A byte of a good beginning at a time: that something comes does not count.
  std::atomic<bool> over = false;
  std::thread slow{[&] {
    const raw_socket s = connected_to(address);
    const std::string hello{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11};
    for (std::size_t i = 0; !over; ++i) {
      if (!s.send(hello.substr(std::min(i, hello.size() - 1), 1))) break;
      pollfd ended{s.descriptor(), POLLIN, 0};
      if (::poll(&ended, 1, 50) > 0) break;
    }
  }};
  works(intake, stock, address);
  CHECK(stock.ear.until([](const ear::heard& h) { return h.refused.size() == 31; }));
  over = true;
  slow.join();
  for (const std::string& why : stock.ear.now().refused)
    CHECK(has(why, "it did not finish the TLS handshake within 2000 ms"));
  for (const raw_socket& one : visitors) CHECK(one.receive().empty());
}

TEST_CASE("500 idle visitors push each other out, the oldest first, and a node still gets in") {
  rlimit_guard room{1'200};
  const shop files;
  socket_options options = files.options("stock");
  options.handshake_deadline = 1h;
  side stock{options}, intake{files.options("intake")};
  const std::string address = stock.start();
  intake.start("");
  std::vector<raw_socket> visitors(500);
  for (const raw_socket& one : visitors) REQUIRE(one.connect(address));
  CHECK(stock.ear.until([](const ear::heard& h) { return h.refused.size() == 500 - 64; }));
  works(intake, stock, address);
  CHECK(has(stock.ear.now().refused[0], "it was the slowest of more than 64 TLS handshakes"));
  CHECK(visitors[0].receive().empty());
  pollfd last{visitors.back().descriptor(), POLLIN, 0};
  CHECK(::poll(&last, 1, 0) == 0);
}

TEST_CASE("an acceptor that stays silent ends a dial by the deadline and holds up no other") {
  const shop files;
  socket_options quick = files.options("intake");
  quick.handshake_deadline = 2s;
  side intake{quick}, stock{files.options("stock")};
  const std::string address = stock.start();
  intake.start("");
  const raw_socket silent;
  const std::string silent_at = silent.listen(5);
  for (int i = 0; i < 3; ++i) intake.carrier.dial("silent", silent_at);
  intake.carrier.dial("stock", address);
  CHECK(intake.ear.until([](const ear::heard& h) { return h.order.size() == 4; }));
  CHECK(intake.ear.now().order[0] == "stock");
  CHECK(intake.ear.now().dials_failed[0] ==
        "silent: it did not finish the TLS handshake within 2000 ms");
}

TEST_CASE("random and truncated bytes on the port harm nobody else") {
  const shop files;
  side stock{files.options("stock")}, intake{files.options("intake")};
  const std::string address = stock.start();
  intake.start("");
  intake.carrier.dial("stock", address);
  const link_ptr before = intake.ear.opened();

  tls_stream dialler{context(files.options("intake")), true, {}};
  REQUIRE(dialler.handshake() == progress::more);
  const std::string hello{reinterpret_cast<const char*>(dialler.output().data()),
                          dialler.output().size()};
  std::mt19937 random{7};
  for (int i = 0; i < 200; ++i) {
    std::string bytes = i % 2 ? hello : std::string(random() % 2'000, '\0');
    if (i % 2) bytes.resize(random() % bytes.size());
    else
      for (char& c : bytes) c = static_cast<char>(random());
    if (i % 4 == 0 && !bytes.empty()) bytes[0] = 22;
    raw_socket visitor = connected_to(address);
    (void)visitor.send(bytes);
    if (i % 3 == 0) visitor.reset();
  }
  CHECK(stock.ear.until([](const ear::heard& h) { return h.refused.size() == 200; }));
  CHECK(write(*before, "still here") == 10);
  CHECK(stock.ear.until([](const ear::heard& h) { return h.bytes == "still here"; }));
  works(intake, stock, address);
}

TEST_CASE("a peer that was let in and then sends rubbish loses its own link only") {
  const shop files;
  side stock{files.options("stock")};
  const std::string address = stock.start();
  tls_stream dialler{context(files.options("intake")), true, "stock"};
  const raw_socket s = connected_to(address);
  progress how = dialler.handshake();
  while (how == progress::more) {
    const auto out = dialler.output();
    if (!out.empty()) REQUIRE(s.send({reinterpret_cast<const char*>(out.data()), out.size()}));
    dialler.sent(out.size());
    const std::string in = s.receive(1);
    REQUIRE_FALSE(in.empty());
    dialler.feed(std::as_bytes(std::span{in}));
    how = dialler.handshake();
  }
  REQUIRE(how == progress::done);
  CHECK(stock.ear.opened()->info().certificate_name == "intake");
  CHECK(s.send("\x17\x03\x03\xff\xff rubbish"));
  REQUIRE(stock.ear.until([](const ear::heard& h) { return !h.closed.empty(); }));
  CHECK(has(stock.ear.now().closed[0], "its bytes are not good TLS"));
}
