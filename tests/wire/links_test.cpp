// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/certificates.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include "carriers.hpp"
#include "folder.hpp"

namespace wire = coppice::wire;
using namespace coppice::wire;
using namespace tools;

namespace {

/// Two nodes of one cluster, `stock` listening and `intake` dialling, over each kind of link.
struct pair_of_nodes {
  enum class over { tcp, unix_socket, tls, unix_tls };

  explicit pair_of_nodes(over kind)
      : tls(kind == over::tls || kind == over::unix_tls),
        listen(kind == over::tcp || kind == over::tls ? "127.0.0.1:0"
                                                      : "unix:" + (at.path / "socket").string()),
        stock(options("stock")),
        intake(options("intake")) {}

  socket_options options(const std::string& node) {
    if (!tls) return plain();
    if (!std::filesystem::exists(at.path / "ca.crt")) REQUIRE(create_authority(at.path, "shop"));
    REQUIRE(issue_certificate(at.path, node));
    socket_options o;
    o.cluster = "shop";
    o.node = node;
    o.tls.ca = at.path / "ca.crt";
    o.tls.certificate = at.path / (node + ".crt");
    o.tls.key = at.path / (node + ".key");
    return o;
  }

  /// Once the hooks are set.
  void connect() {
    address = stock.start(listen);
    intake.start("");
    intake.carrier.dial("stock", address);
    theirs = intake.ear.opened();
    ours = stock.ear.opened();
  }

  folder at;
  bool tls;
  std::string listen, address;
  side stock, intake;
  link_ptr ours, theirs;  // stock's, intake's
};
using over = pair_of_nodes::over;
constexpr std::array kinds{over::tcp, over::unix_socket, over::tls, over::unix_tls};

std::string name(over kind) {
  constexpr const char* names[] = {"TCP", "Unix", "TLS", "TLS over Unix"};
  return names[static_cast<std::size_t>(kind)];
}

/// A stream that does not repeat at any power of two.
class pattern {
 public:
  pattern() : block_(period * 2, '\0') {
    for (std::size_t i = 0; i < block_.size(); ++i)
      block_[i] = static_cast<char>(i % period * 7'919 >> 4);
  }
  /// At most `period` bytes of it.
  std::string_view at(std::size_t begin, std::size_t length) const {
    return std::string_view{block_}.substr(begin % period, length);
  }

 private:
  static constexpr std::size_t period = 1'000'003;
  std::string block_;
};

/// A listener whose queue is full: the kernel drops who else wants in, as a black hole does.
struct black_hole {
  black_hole() : address(listener.listen(0)) {
    for (bool waits = false; !waits;) {
      raw_socket& one = visitors.emplace_back();
      ::fcntl(one.descriptor(), F_SETFL, O_NONBLOCK);
      if (one.connect(address)) continue;
      pollfd done{one.descriptor(), POLLOUT, 0};
      waits = ::poll(&done, 1, 200) == 0;
      REQUIRE(visitors.size() < 100);
    }
  }
  raw_socket listener;
  std::vector<raw_socket> visitors;
  std::string address;
};

}  // namespace

TEST_CASE("what is written at one end arrives at the other, both ways, over each kind of link") {
  for (const over kind : kinds) {
    CAPTURE(name(kind));
    pair_of_nodes nodes{kind};
    nodes.stock.ear.when_bytes = [](wire::link& from, std::span<const std::byte> bytes) {
      CHECK(from.write({&bytes, 1}) == bytes.size());
    };
    nodes.connect();

    const std::string a = "one ", b, c = "two ", d(100'000, 'x');
    const std::span<const std::byte> pieces[] = {
        std::as_bytes(std::span{a}), std::as_bytes(std::span{b}), std::as_bytes(std::span{c}),
        std::as_bytes(std::span{d})};
    CHECK(nodes.theirs->write(pieces) == a.size() + c.size() + d.size());
    CHECK(nodes.intake.ear.until([&](const ear::heard& h) { return h.bytes == a + c + d; }));

    CHECK(nodes.theirs->info().outgoing);
    CHECK(nodes.theirs->info().dialled == "stock");
    CHECK(nodes.theirs->info().address == nodes.address);
    CHECK_FALSE(nodes.ours->info().outgoing);
    CHECK(nodes.ours->info().dialled.empty());
    CHECK(nodes.theirs->info().certificate_name == (nodes.tls ? "stock" : ""));
    CHECK(nodes.ours->info().certificate_name == (nodes.tls ? "intake" : ""));
    CHECK(nodes.theirs->write({}) == 0);
  }
}

TEST_CASE("a reader that stands still bounds what is taken, and then gets 64 MiB unharmed") {
  constexpr std::size_t all = std::size_t{64} << 20;
  const pattern stream;
  for (const over kind : kinds) {
    CAPTURE(name(kind));
    pair_of_nodes nodes{kind};
    std::atomic<bool> go = false;
    std::atomic<std::size_t> arrived = 0;
    std::atomic<bool> good = true;
    nodes.stock.ear.when_bytes = [&](wire::link&, std::span<const std::byte> bytes) {
      go.wait(false);
      const std::string_view text{reinterpret_cast<const char*>(bytes.data()), bytes.size()};
      if (text != stream.at(arrived, text.size())) good = false;
      arrived += text.size();
      arrived.notify_all();
    };
    std::mutex guard;
    std::size_t sent = 0;
    const auto write_more = [&](wire::link& to) {
      std::lock_guard lock{guard};
      while (sent < all) {
        const auto piece = stream.at(sent, std::min(std::size_t{100'000}, all - sent));
        const std::size_t taken = write(to, piece);
        sent += taken;
        if (taken < piece.size()) return;
      }
    };
    nodes.intake.ear.when_writable = write_more;
    nodes.connect();

    write_more(*nodes.theirs);
    {
      std::lock_guard lock{guard};
      CHECK(sent < 16u << 20);
    }
    go = true;
    go.notify_all();
    for (std::size_t n = arrived; n < all; n = arrived) arrived.wait(n);
    CHECK(good);
    CHECK(nodes.intake.ear.now().writable > 0);
  }
}

TEST_CASE("what one write takes stays together, whoever else writes meanwhile") {
  constexpr int writers = 4, rounds = 200;
  constexpr std::size_t largest = 40'000;
  for (const over kind : {over::tcp, over::tls}) {
    CAPTURE(name(kind));
    pair_of_nodes nodes{kind};
    std::array<std::atomic<int>, writers> seen{};
    std::atomic<bool> good = true;
    std::string rest;  // of the reader: a letter, three digits, then so many of the letter
    nodes.stock.ear.when_bytes = [&](wire::link&, std::span<const std::byte> bytes) {
      rest.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      for (;;) {
        if (rest.size() < 6) return;
        const std::size_t length = std::stoul(rest.substr(1, 5));
        if (rest.size() < 6 + length) return;
        const char letter = rest[0];
        good = good && rest.find_first_not_of(letter, 6) >= 6 + length;
        rest.erase(0, 6 + length);
        auto& count = seen[static_cast<std::size_t>(letter - 'a')];
        ++count;
        count.notify_all();
      }
    };
    nodes.connect();
    std::vector<std::thread> threads;
    for (int w = 0; w < writers; ++w)
      threads.emplace_back([&, w] {
        auto& mine = seen[static_cast<std::size_t>(w)];
        const char letter = static_cast<char>('a' + w);
        for (int round = 0; round < rounds; ++round) {
          const std::size_t length =
              1 + static_cast<std::size_t>(round * 7919 + w * 104'729) % largest;
          const std::string number = std::to_string(100'000 + length).substr(1);
          const std::string head = letter + number, body(length, letter);
          const auto b = std::as_bytes(std::span{body});
          const std::span<const std::byte> pieces[] = {
              std::as_bytes(std::span{head}), b.first(length / 3),
              b.subspan(length / 3, length / 3), b.subspan(length / 3 * 2)};
          if (nodes.theirs->write(pieces) != head.size() + length) good = false;
          mine.wait(round);  // so that the socket always has room for all of it
        }
      });
    for (auto& t : threads) t.join();
    CHECK(good);
    CHECK(rest.empty());
  }
}

TEST_CASE("a link closed by any thread ends at once, and what was taken before is still read") {
  for (const over kind : kinds) {
    CAPTURE(name(kind));
    pair_of_nodes nodes{kind};
    nodes.connect();
    std::atomic<std::size_t> taken = 0;
    const std::string some(1'000, 'x');
    std::atomic<bool> over = false;
    std::thread writer{[&] {
      while (!over) taken += write(*nodes.theirs, some);
    }};
    CHECK(nodes.stock.ear.until([](const ear::heard& h) { return h.bytes.size() > 100'000; }));
    nodes.theirs->close("enough");
    nodes.theirs->close("more than enough");
    CHECK(write(*nodes.theirs, some) == 0);
    over = true;
    writer.join();
    CHECK(nodes.intake.ear.until([](const ear::heard& h) { return !h.closed.empty(); }));
    CHECK(nodes.stock.ear.until([](const ear::heard& h) { return !h.closed.empty(); }));
    CHECK(nodes.intake.ear.now().closed == std::vector<std::string>{"enough"});
    CHECK(nodes.stock.ear.now().closed == std::vector<std::string>{"it closed the connection"});
    CHECK(nodes.stock.ear.now().bytes.size() == taken);
  }
}

TEST_CASE("last words are read although the one who says them has not read everything") {
  for (const over kind : {over::tcp, over::tls}) {
    CAPTURE(name(kind));
    pair_of_nodes nodes{kind};
    nodes.stock.ear.when_bytes = [](wire::link& from, std::span<const std::byte>) {
      write(from, "goodbye");
      from.close("it talks too much");
    };
    nodes.address = nodes.stock.start(nodes.listen);
    nodes.intake.start("");
    const std::string much(std::size_t{1} << 20, 'x');
    for (std::size_t i = 1; i <= 30; ++i) {
      nodes.intake.carrier.dial("stock", nodes.address);
      write(*nodes.intake.ear.opened(i), much);
      REQUIRE(nodes.intake.ear.until([&](const ear::heard& h) { return h.closed.size() == i; }));
      CHECK(nodes.intake.ear.now().bytes.size() == i * 7);
    }
  }
}

TEST_CASE("a peer that ends, half-closes or resets its side closes the link, with its own words") {
  side node{plain()};
  const std::string address = node.start();
  const auto why = [&](std::size_t n) {
    REQUIRE(node.ear.until([&](const ear::heard& h) { return h.closed.size() == n; }));
    return node.ear.now().closed.back();
  };
  raw_socket ends = connected_to(address);
  node.ear.opened(1);
  ends.close();
  CHECK(why(1) == "it closed the connection");

  const raw_socket half = connected_to(address);
  CHECK(half.send("last words"));
  half.end_sending();
  CHECK(why(2) == "it closed the connection");
  CHECK(node.ear.now().bytes == "last words");
  CHECK(half.receive().empty());

  raw_socket resets = connected_to(address);
  node.ear.opened(3);
  resets.reset();
  CHECK(why(3) == "it reset the connection");
  CHECK(write(*node.ear.opened(3), "anyone?") == 0);
}

TEST_CASE("a dial to where nobody listens is refused, over TCP and over Unix sockets") {
  folder at;
  side node{plain()};
  node.start("");
  const std::string gone = "unix:" + (at.path / "gone").string();
  const std::string left = "unix:" + (at.path / "left").string();
  {
    const raw_socket abandoned{::socket(AF_UNIX, SOCK_STREAM, 0)};
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    (at.path / "left").string().copy(to.sun_path, sizeof to.sun_path - 1);
    REQUIRE(::bind(abandoned.descriptor(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  const std::string tcp = deserted();
  std::size_t n = 0;
  for (const std::string& address : {tcp, gone, left}) {
    node.carrier.dial("stock", address);
    REQUIRE(node.ear.until([&](const ear::heard& h) { return h.dials_failed.size() == n + 1; }));
    CHECK(node.ear.now().dials_failed[n++] == "stock refused: nobody listens at " + address);
  }
}

TEST_CASE("a dial into a black hole ends by its deadline and holds up no other") {
  const black_hole hole;
  socket_options quick = plain();
  quick.connect_deadline = 2s;
  side node{quick}, healthy{plain()};
  node.start("");
  const std::string address = healthy.start();
  node.carrier.dial("hole", hole.address);
  node.carrier.dial("healthy", address);
  CHECK(node.ear.until([](const ear::heard& h) { return h.order.size() == 2; }));
  CHECK(node.ear.now().order == std::vector<std::string>{"healthy", "hole"});
  CHECK(node.ear.now().dials_failed ==
        std::vector<std::string>{"hole: no connection to " + hole.address + " within 2000 ms"});
}

TEST_CASE("a host is found by its name, and one that does not exist is no refusal") {
  side node{plain()}, other{plain()};
  node.start("");
  const std::string address = other.start();
  node.carrier.dial("stock", "localhost" + address.substr(address.rfind(':')));
  node.ear.opened();
  node.carrier.dial("nobody", "no-such-host.invalid:4711");
  node.carrier.dial("nobody", "no-such-host.invalid:4712");
  CHECK(node.ear.until([](const ear::heard& h) { return h.dials_failed.size() == 2; }));
  for (const std::string& why : node.ear.now().dials_failed)
    CHECK(has(why, "nobody: the host 'no-such-host.invalid' "));
}

TEST_CASE("an address that is none is told in words, by start and by dial") {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"stock", "host:port"},
      {":4711", "the host is missing"},
      {"stock:", "a port is a number"},
      {"stock:70000", "a port is a number"},
      {"stock:4x", "a port is a number"},
      {"::1:4711", "in brackets"},
      {"unix:", "an absolute path"},
      {"unix:socket", "an absolute path"},
      {"unix:/" + std::string(200, 'x'), "at most 107 characters"}};
  side node{plain()};
  node.start("");
  for (const auto& each : bad) {
    const auto& address = each.first;
    const auto& words = each.second;
    CAPTURE(address);
    side other{plain()};
    const auto up = other.carrier.start(address, other.ear);
    REQUIRE_FALSE(up);
    CHECK(has(to_string(up.error().why()), words));
    const std::size_t n = node.ear.now().dials_failed.size();
    node.carrier.dial("stock", address);
    REQUIRE(node.ear.until([&](const ear::heard& h) { return h.dials_failed.size() > n; }));
    CHECK(has(node.ear.now().dials_failed.back(), words));
  }
  side first{plain()}, second{plain()};
  const std::string taken = first.start();
  const auto up = second.carrier.start(taken, second.ear);
  REQUIRE_FALSE(up);
  CHECK(has(to_string(up.error().why()), "Cannot listen at " + taken));
  CHECK(has(to_string(up.error().why()), "Address already in use"));
}

TEST_CASE("an IPv6 address works in brackets") {
  const raw_socket probe{::socket(AF_INET6, SOCK_STREAM, 0)};
  sockaddr_in6 own{};
  own.sin6_family = AF_INET6;
  own.sin6_addr = in6addr_loopback;
  if (::bind(probe.descriptor(), reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) return;
  side node{plain()}, other{plain()};
  node.start("");
  const std::string address = other.start("[::1]:0");
  CHECK(address.starts_with("[::1]:"));
  node.carrier.dial("stock", address);
  CHECK(node.ear.opened()->info().address == address);
}

TEST_CASE(
    "a Unix socket is its owner's, replaces one that was left behind, and goes with its node") {
  folder at;
  const auto path = at.path / "socket";
  const std::string address = "unix:" + path.string();
  std::ofstream{path} << "a file of someone else's";
  {
    side node{plain()};
    CHECK_FALSE(node.carrier.start(address, node.ear));
    CHECK(std::filesystem::is_regular_file(path));
  }
  std::filesystem::remove(path);
  {
    const raw_socket left{::socket(AF_UNIX, SOCK_STREAM, 0)};
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.string().copy(to.sun_path, sizeof to.sun_path - 1);
    REQUIRE(::bind(left.descriptor(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  side node{plain()}, late{plain()};
  node.start(address);
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 0777U) == 0600);
  CHECK_FALSE(late.carrier.start(address, late.ear));
  node.carrier.stop();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("stop tells every link closed and every dial failed, and nothing afterwards") {
  for (const over kind : {over::tcp, over::tls}) {
    CAPTURE(name(kind));
    const black_hole hole;
    pair_of_nodes nodes{kind};
    nodes.connect();
    nodes.intake.carrier.dial("hole", hole.address);
    CHECK(nodes.intake.ear.until([](const ear::heard& h) { return h.times > 0; }));
    write(*nodes.theirs, "goodbye");
    nodes.intake.carrier.stop();
    CHECK(nodes.intake.ear.now().closed == std::vector<std::string>{"this node stops"});
    CHECK(nodes.intake.ear.now().dials_failed == std::vector<std::string>{"hole: this node stops"});
    CHECK(nodes.stock.ear.until([](const ear::heard& h) { return !h.closed.empty(); }));
    CHECK(nodes.stock.ear.now().bytes == "goodbye");

    const int times = nodes.intake.ear.now().times;
    CHECK(write(*nodes.theirs, "anyone?") == 0);
    nodes.theirs->close("again");
    nodes.intake.carrier.dial("stock", nodes.address);
    nodes.intake.carrier.wake_at(std::chrono::steady_clock::now());
    nodes.intake.carrier.stop();
    CHECK(nodes.intake.ear.now().times == times);
    CHECK(nodes.intake.ear.now().closed.size() == 1);
  }
}

TEST_CASE("a link may outlive its carrier") {
  link_ptr left;
  {
    pair_of_nodes nodes{over::tls};
    nodes.connect();
    left = nodes.theirs;
  }
  CHECK(write(*left, "anyone?") == 0);
  left->close("too late");
  CHECK(left->info().dialled == "stock");
}

TEST_CASE("time comes while there is something to time, or when it was asked for") {
  side node{plain()}, other{plain()};
  node.start("");
  CHECK(node.ear.never(100ms, [](const ear::heard& h) { return h.times > 0; }));

  const auto when = std::chrono::steady_clock::now() + 30ms;
  node.carrier.wake_at(when + 1h);
  node.carrier.wake_at(when);
  node.carrier.wake_at(when + 2h);
  CHECK(node.ear.until([](const ear::heard& h) { return h.times > 0; }));
  CHECK(std::chrono::steady_clock::now() >= when);
  CHECK(node.ear.never(100ms, [](const ear::heard& h) { return h.times > 1; }));

  node.carrier.dial("stock", other.start());
  const link_ptr open = node.ear.opened();
  CHECK(node.ear.until([](const ear::heard& h) { return h.times > 5; }));
  open->close("done");
  CHECK(node.ear.until([](const ear::heard& h) { return !h.closed.empty(); }));
  const int times = node.ear.now().times;
  CHECK(node.ear.never(100ms, [&](const ear::heard& h) { return h.times > times; }));
}

TEST_CASE("one more accepted link than the limit is refused, until another closes") {
  socket_options few = plain();
  few.accepted_links = 2;
  side node{few};
  const std::string address = node.start();
  raw_socket a = connected_to(address);
  const raw_socket b = connected_to(address);
  node.ear.opened(2);
  const raw_socket c = connected_to(address);
  CHECK(c.receive().empty());
  REQUIRE(node.ear.until([](const ear::heard& h) { return !h.refused.empty(); }));
  CHECK(has(node.ear.now().refused[0], "2 accepted links already"));
  a.close();
  CHECK(node.ear.until([](const ear::heard& h) { return !h.closed.empty(); }));
  const raw_socket d = connected_to(address);
  CHECK(node.ear.opened(3));
}

TEST_CASE("without file descriptors the node waits, does not spin, says so once, and goes on") {
  side node{plain()};
  const std::string address = node.start();
  std::vector<raw_socket> visitors(12);
  // Room for a few more descriptors than there are.
  const int highest = ::dup(visitors.back().descriptor());
  ::close(highest);
  bool reported = false, waited = false;
  std::clock_t used = 0;
  {
    const rlimit_guard few{static_cast<rlim_t>(highest) + 4};
    for (const raw_socket& one : visitors) CHECK(one.connect(address));
    reported = node.ear.until([](const ear::heard& h) { return !h.reports.empty(); });
    const std::clock_t begin = std::clock();
    waited = node.ear.never(350ms, [](const ear::heard& h) { return h.open.size() > 4; });
    used = std::clock() - begin;
  }
  CHECK(reported);
  CHECK(waited);
  CHECK(used < CLOCKS_PER_SEC / 5);
  node.ear.opened(12);
  REQUIRE(node.ear.now().reports.size() == 1);
  CHECK(has(node.ear.now().reports[0], "No connections can be accepted at " + address));
  CHECK(has(node.ear.now().reports[0], "Too many open files"));
}
