// SPDX-License-Identifier: BSD-3-Clause
//
// What breaks the network layer of CAF 0.17.6 (one frame of 32 bytes ends the process), and what
// else someone may try, against live nodes: before it has said who it is, and as a node of the
// cluster that has gone bad. After each of these the node answers, has not grown, has said in its
// log who it was, and two other nodes have not noticed anything.
//
// Where CAF failed, and what shows that we do not:
//
//   a handshake of 32 bytes, nested messages, announced sizes, random and truncated frames,
//   frames to actors by number or name, exit messages, forged sources, links to what is not there,
//   remote spawning and configuration, a second connection with a name that is taken,
//   all of it with a valid certificate too                 here
//   idle connections for ever, no more descriptors         here; carriers alone: wire/links_test,
//                                                          wire/tls_test; HTTP: http/hostile_test
//   no backpressure: a slow receiver is fed without end    here (busy actor), wire/exchange_test
//   a bad index of a variant, decoding what is no event    here; actors/codec_test, the fuzzers
//   data without its type is an empty message              wire/exchange_test (builds that differ)
//   a peer that hangs or is cut off is never noticed,
//   pending asks hang for ever, no buffer is bounded       silent_test, liveness_*,
//   wire/exchange_test one connect that hangs blocks all others               wire/links_test
//   (black hole) a slow or long handshake or message is cut off         wire/association_test,
//   wire/links_test a restart with the same process number is the same     cluster_test (another
//   incarnation) no monitor fires across a route                        no routes: each node has
//   its own session a plaintext port on a node with TLS                    wire/tls_test (who dials
//   without TLS) wrong authority, expired, no certificate, wrong name, wrong purpose: each with its
//   reason                    wire/tls_test a bad certificate file ends the process wire/tls_test
//   (files that cannot be used)
#include "intruder.hpp"

#include <coppice/actors/codec/codec.hpp>
#include <coppice/runtime/wire/certificates.hpp>
#include <coppice/runtime/wire/exchange_private.hpp>

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <variant>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // its header is not packaged
#endif

using namespace coppice;
using namespace std::chrono_literals;
using local::bytes;
using local::eventually;
using local::frame_kind;
using local::header;
using local::intruder;
using local::message;
using local::message_kind;
using local::operator+;
using local::pieces;
using local::raw;
using local::repeated;
using tools::connected_to;
using tools::raw_socket;
using tools::rlimit_guard;

namespace {

struct left {
  int pieces = 0;
};
struct take {
  static constexpr std::string_view name = "test.take";
  int pieces = 0;
  using reply = left;
};
/// With something for each kind of bomb.
struct parcel {
  static constexpr std::string_view name = "test.parcel";
  std::vector<std::vector<std::string>> contents{};
  std::variant<int, std::string> sign{};
  std::map<std::string, int> counts{};
};

class store : public actor<take, parcel> {
 public:
  left on(const take& t) { return {stock_ -= t.pieces}; }
  void on(const parcel&) {}

 private:
  int stock_ = 1'000'000'000;
};

/// Of the nodes and of the intruder, who lives in the same process.
std::uint64_t memory_in_use() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return __sanitizer_get_current_allocated_bytes();
#else
  std::ifstream statm{"/proc/self/statm"};
  std::uint64_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
#endif
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

struct options {
  bool tls = false;
  std::uint32_t lines_per_second = 1'000;
  std::chrono::milliseconds patience = 5s;  ///< with handshakes
  /// What hangs shows, and a machine under load does not.
  std::chrono::milliseconds unreachable_after = 10s;
};

/// `alpha`, which is attacked, and `beta`, which must not notice; `gamma` is in the configuration.
class town {
 public:
  explicit town(options o = {}) : options_(o) {
    if (o.tls) {
      REQUIRE(wire::create_authority(home_.path, "test"));
      for (const char* name : {"alpha", "beta", "gamma"})
        REQUIRE(wire::issue_certificate(home_.path, name));
    }
    for (const char* name : {"alpha", "beta", "gamma"})
      entries_.push_back({name, "", {}, "unix:" + (home_.path / name).string(), ""});
    entries_[0].address = "127.0.0.1:0";
    alpha = make("alpha");
    alpha->shell().start().value();
    entries_[0].address = address = alpha->shell().listens_at();
    alpha->system->spawn<store>({.id = "store"});
  }

  /// The other good one: a passer-by that asks from now on, and is asked.
  void open_beta() {
    beta = make("beta");
    beta->system->spawn<store>({.id = "store"});
    beta->shell().start().value();
    there_ = alpha->cluster->find<take>("beta:/store", 20s).value();
    back_ = beta->cluster->find<take>("alpha:/store", 20s).value();
  }
  std::unique_ptr<local::node> make(const std::string& name) {
    return std::make_unique<local::node>(
        entries_, name,
        [this](cluster_options& x) {
          x.lines_per_second = options_.lines_per_second;
          x.limits.message_bytes = std::size_t{1} << 20;
          x.limits.remote_addresses = 4'096;
          x.limits.pending_asks = 1'000;
          x.limits.handshake_deadline = options_.patience;
          x.limits.session_limit = options_.unreachable_after;
          x.liveness = {.suspect_after = options_.unreachable_after / 2,
                        .unreachable_after = options_.unreachable_after};
        },
        [this, name](wire::socket_options& x) { x = sockets(name); });
  }
  wire::socket_options sockets(const std::string& name) const {
    wire::socket_options x;
    x.cluster = "test";
    x.node = name;
    x.handshake_deadline = options_.patience;
    x.tls.insecure = !options_.tls;
    if (!options_.tls) return x;
    x.tls.ca = home_.path / "ca.crt";
    x.tls.certificate = home_.path / (name + ".crt");
    x.tls.key = home_.path / (name + ".key");
    return x;
  }
  std::unique_ptr<intruder> enter() const {
    return std::make_unique<intruder>(sockets("gamma"), address);
  }

  /// Lines of alpha's log about these words.
  std::vector<std::string> said(std::string_view words) const {
    std::vector<std::string> lines;
    std::lock_guard lock{alpha->guard};
    for (const std::string& line : alpha->log)
      if (line.find(words) != std::string::npos) lines.push_back(line);
    return lines;
  }
  /// What was wrong, and who did it: from where, and as which node.
  bool named(const std::string& whose, const std::string& what) const {
    return eventually([&] {
      for (const std::string& line : said(what))
        if (line.find("127.0.0.1:") != std::string::npos && line.find(whose) != std::string::npos)
          return true;
      return false;
    });
  }
  void forget_log() const {
    std::lock_guard lock{alpha->guard};
    alpha->log.clear();
  }

  /// Both good nodes answer each other, over the session that they have had from the start. If
  /// not, what is wrong.
  std::string disturbance() const {
    for (const auto& r :
         {alpha->outside().ask(there_, take{1}, 20s), beta->outside().ask(back_, take{1}, 20s)})
      if (!r) return std::string{r.error().message()};
    const auto t = beta->cluster->traffic();
    if (t.sessions_begun != 1 || t.sessions_ended != 0 || t.reconnects != 0)
      return std::to_string(t.sessions_begun) + " sessions, " + std::to_string(t.reconnects) +
             " reconnects";
    for (const auto* n : {alpha.get(), beta.get()})
      for (const member& m : n->cluster->members())
        if (m.name != "gamma" && m.opinion != opinion::up)
          return m.name + " is " + std::string{name(m.opinion)} + ": " + m.reason;
    return {};
  }

  std::string address;
  std::unique_ptr<local::node> alpha, beta;

 private:
  friend class passers_by;
  const options options_;
  local::folder home_;
  std::vector<cluster_options::entry> entries_;
  ref<take> there_, back_;
};

/// Asks between the good nodes while its owner does bad things, and looks at the memory.
class passers_by {
 public:
  explicit passers_by(const town& in)
      : town_(in), before_(memory_in_use()), asks_([this] {
          do {
            const std::string wrong = town_.disturbance();
            if (!wrong.empty() && disturbed_.empty()) disturbed_ = wrong;
            most_ = std::max(most_, memory_in_use());
            std::this_thread::sleep_for(2ms);
          } while (!over_);
        }) {}
  ~passers_by() {
    over_ = true;
    asks_.join();
    CHECK(disturbed_ == "");
    INFO("grown by " << (most_ - std::min(most_, before_)) / 1'024 << " KiB");
    CHECK(most_ < before_ + permitted);
  }

  static constexpr std::uint64_t permitted = std::uint64_t{64} << 20;

 private:
  const town& town_;
  const std::uint64_t before_;
  std::atomic<bool> over_{false};
  // Of the thread.
  std::string disturbed_;
  std::uint64_t most_ = 0;
  std::thread asks_;
};

bytes hello_frame(const std::function<void(wire::hello&)>& change) {
  wire::hello h;
  h.newest = h.oldest = wire::newest_protocol;
  h.cluster = "test";
  h.from = "gamma";
  h.to = "alpha";
  h.incarnation = {9, 9};
  change(h);
  return wire::write(h);
}

bytes frame(frame_kind kind, const bytes& payload = {}) { return wire::whole_frame(kind, payload); }

struct attack {
  const char* what;
  bytes said;
  const char* why;  ///< in the log
};

/// All that may be said instead of a hello.
std::vector<attack> before_hello() {
  const bytes good = hello_frame([](wire::hello&) {});
  const char* unread = "a hello cannot be read";
  const char* no_kind = "a frame is of a kind that does not exist";
  const char* place = "a handshake frame is out of place";
  const char* early = "a frame comes before the handshake is done";
  const char* longer = "a handshake frame is longer than allowed";
  return {
      {"CAF's client handshake", raw({1}) + repeated(0, 31), unread},
      {"CAF's server handshake", repeated(0, 32), no_kind},
      {"CAF's message of 4 GiB", raw({2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}) + repeated(0, 24),
       place},
      {"a hello of 16 MiB", header(1, 0xffffff), longer},
      {"a hello of 5 KiB", header(1, 5'000) + repeated(0x90, 5'000), longer},
      {"a message of 16 MiB", header(0x10, 0xffffff), early},
      {"a hello of nothing", header(1, 0), unread},
      {"a hello of nested arrays", header(1, 4'000) + repeated(0x91, 4'000), unread},
      {"a hello of four billion fields", header(1, 5) + raw({0xdd, 255, 255, 255, 255}), unread},
      {"a hello of a string of 4 GiB", header(1, 8) + raw({0x9c, 1, 1, 0xdb, 255, 255, 255, 255}),
       unread},
      {"a hello of a string that ends early", header(1, 5) + raw({0x9c, 1, 1, 0xd9, 200}), unread},
      {"a hello of a map", header(1, 5) + raw({0xdf, 255, 255, 255, 255}), unread},
      {"a hello with something behind",
       header(1, good.size() - 4 + 1) + bytes(good.begin() + 4, good.end()) + raw({0xc0}), unread},
      {"a welcome", frame(frame_kind::welcome), place},
      {"a refusal", frame(frame_kind::refuse), place},
      {"a ready", frame(frame_kind::ready), place},
      {"a heartbeat", frame(frame_kind::heartbeat), early},
      {"an ack", frame(frame_kind::ack, repeated(255, 16)), early},
      {"a goodbye", frame(frame_kind::goodbye), early},
      {"gossip", frame(frame_kind::gossip, raw({0x90})), early},
      {"an event", pieces(message(message_kind::event, {1, 0})), early},
      {"a kind that does not exist", header(0xee, 0), no_kind},
      {"two hellos", good + good, place},
      {"an event behind the hello", good + pieces(message(message_kind::event, {1, 0})), early},
      {"another cluster", hello_frame([](auto& h) { h.cluster = "other"; }), "(cluster)"},
      {"no such version", hello_frame([](auto& h) { h.newest = h.oldest = 99; }), "(protocol)"},
      {"another node's link", hello_frame([](auto& h) { h.to = "beta"; }), "(wrong_node)"},
      {"its own name", hello_frame([](auto& h) { h.from = "alpha"; }), "(own_name)"},
      {"no such node", hello_frame([](auto& h) { h.from = "mallory"; }), ""},
      {"no incarnation", hello_frame([](auto& h) { h.incarnation = {}; }), "(malformed)"},
  };
}

}  // namespace

TEST_CASE(
    "whatever a stranger says instead of a hello, it is hung up on, and nobody else notices") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    town t{{.tls = tls}};
    t.open_beta();
    const passers_by others{t};
    for (const attack& a : before_hello()) {
      CAPTURE(std::string{a.what});
      t.forget_log();
      const auto one = t.enter();
      one->say(a.said);
      CHECK(one->hung_up_on());
      CHECK(t.named("", a.why));
    }
    if (tls) {  // without it nothing proves a name
      t.forget_log();
      const auto one = t.enter();
      one->say(hello_frame([](auto& h) { h.from = "beta"; }));
      CHECK(one->hung_up_on());
      CHECK(t.named("beta", "(certificate)"));
    }
    CHECK(t.alpha->cluster->traffic().refused >= before_hello().size());
  }
}

TEST_CASE("short random connections, whole frames cut short, and hang-ups do no harm") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    town t{{.tls = tls}};
    t.open_beta();
    const std::size_t before = open_descriptors();
    {
      const passers_by others{t};
      const unsigned seed = 20'260'210;
      CAPTURE(seed);
      std::mt19937 random{seed};
      const bytes good = hello_frame([](wire::hello&) {});
      for (int i = 0; i < 400; ++i) {
        bytes said = i % 2 ? good : bytes(random() % 300);
        if (i % 2) said.resize(random() % said.size());
        else
          for (std::byte& x : said) x = static_cast<std::byte>(random());
        raw_socket one = connected_to(t.address);
        one.send(local::text_of(said));
        if (i % 4 < 2) one.reset();
      }
    }
    CHECK(eventually([&] { return open_descriptors() <= before; }));
    CHECK(!t.said("127.0.0.1:").empty());
  }
}

namespace {

using handle = intruder::handle;

struct offence {
  const char* what;
  std::function<bytes(const handle&)> said;
  const char* why;  ///< in the log; null: it is no offence, and nothing comes of it
};

bytes as_is(bytes x) { return x; }
std::function<bytes(const handle&)> just(bytes x) {
  return [x = std::move(x)](const handle&) { return as_is(x); };
}
/// An event whose fields are these bytes, to an actor that takes it.
std::function<bytes(const handle&)> parcel_of(bytes fields) {
  return [fields = std::move(fields)](const handle& to) {
    return pieces(message(message_kind::event, {to.number, to.events.at("test.parcel")}) + fields);
  };
}
/// A message to that actor.
std::function<bytes(const handle&)> to_it(message_kind what, std::vector<std::uint64_t> numbers,
                                          std::function<void(detail::writer&)> rest = {}) {
  return [=](const handle& to) {
    return pieces(message(what, {to.number}, [&](detail::writer& w) {
      for (const std::uint64_t x : numbers) w.unsigned_integer(x);
      if (rest) rest(w);
    }));
  };
}
/// An actor of the intruder's, by no handle.
void put_ref(detail::writer& to, std::uint64_t number, std::string_view path) {
  to.array(5);
  to.unsigned_integer(0);
  to.unsigned_integer(0);
  to.unsigned_integer(number);
  to.text(path);
  to.boolean(false);
}
void put_reason(detail::writer& to, exit_reason::kind what) {
  to.unsigned_integer(static_cast<std::uint64_t>(what));
  to.array(0);
}

const bytes endless_array = raw({0xdd, 255, 255, 255, 255});
const bytes endless_text = raw({0xdb, 255, 255, 255, 255});
const bytes endless_map = raw({0xdf, 255, 255, 255, 255});

/// What ends the session of the node that says it.
std::vector<offence> violations() {
  const auto handshake = [](frame_kind kind) { return just(frame(kind)); };
  const char* late = "a handshake frame comes after the handshake";
  const char* no_kind = "a frame is of a kind that does not exist";
  const char* lie = "it acknowledges what was never sent";
  bytes endless;
  for (int i = 0; i < 33; ++i)
    endless = std::move(endless) + frame(frame_kind::user_more, bytes(wire::max_frame));
  return {
      {"a second hello", just(hello_frame([](wire::hello&) {})), late},
      {"a hello as another node", just(hello_frame([](auto& h) { h.from = "beta"; })), late},
      {"a welcome", handshake(frame_kind::welcome), late},
      {"a refusal", handshake(frame_kind::refuse), late},
      {"a second ready", handshake(frame_kind::ready), late},
      {"a kind that does not exist", just(header(0x14, 0)), no_kind},
      {"a kind of zero", just(header(0, 0)), no_kind},
      {"a frame of 16 MiB", just(header(0x10, 0xffffff)), "a frame is longer than allowed"},
      {"gossip of 16 MiB", just(header(7, 0xffffff)), "a frame is longer than allowed"},
      {"a message without an end", just(endless), "a message is longer than allowed"},
      {"an ack of what was never sent", just(frame(frame_kind::ack, repeated(1, 16))), lie},
      {"an ack of nothing", just(frame(frame_kind::ack)), lie},
  };
}

/// What a session survives.
std::vector<offence> nonsense() {
  const char* unread = "that cannot be read";
  const auto reply_to = [](std::uint64_t of) {
    return pieces(message(message_kind::reply, {of}) + raw({0x91, 7}));
  };
  bytes replies, failures, tables;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    replies = std::move(replies) + reply_to(i);
    failures = std::move(failures) +
               pieces(message(message_kind::failure, {i, 7}, [](auto& w) { w.array(0); }));
    tables = std::move(tables) +
             pieces(message(message_kind::resolved, {i, 1, 1}, [](auto& w) { w.array(0); }));
  }
  bytes strangers;
  for (std::uint64_t i = 0; i < 1'000; ++i)
    strangers = std::move(strangers) +
                pieces(message(message_kind::event, {i + 10, 0}) + raw({0x90})) +
                pieces(message(message_kind::request, {i + 10, 0, i, 1'000}) + raw({0x90, 0x90})) +
                pieces(message(message_kind::credit, {i + 10, i, 1'000})) +
                pieces(message(message_kind::release, {i + 10, 1}));
  return {
      {"an empty message", just(pieces({})), unread},
      {"a message of one wrong byte", just(pieces(raw({0xc1}))), unread},
      {"a kind of a later build", just(pieces(raw({0x7f}))), nullptr},
      {"a handle out of all range", just(pieces(message(message_kind::event, {~0ull, 0}))), unread},
      {"handles that nobody has given", just(strangers), nullptr},
      {"answers to what nobody has asked", just(replies + failures + tables), nullptr},
      {"an event that the actor has not", to_it(message_kind::event, {99}), "no such event"},
      {"an event of nothing", parcel_of({}), unread},
      {"nested arrays", parcel_of(raw({0x93}) + repeated(0x91, 200'000)), unread},
      {"nested arrays in a field of a later build",
       parcel_of(raw({0x94, 0x90, 0x92, 0, 1, 0x80}) + repeated(0x91, 200'000) + raw({0xc0})),
       nullptr},
      {"an array of four billion", parcel_of(raw({0x93}) + endless_array), unread},
      {"an array of arrays of four billion", parcel_of(raw({0x93, 0x91}) + endless_array), unread},
      {"a text of 4 GiB", parcel_of(raw({0x93, 0x91, 0x91}) + endless_text), unread},
      {"a map of four billion", parcel_of(raw({0x93, 0x90, 0x92, 0, 1}) + endless_map), unread},
      {"a variant of no such kind", parcel_of(raw({0x93, 0x90, 0x92, 99, 1, 0x80})), unread},
      {"200,000 empty arrays",
       parcel_of(raw({0x93, 0xdd, 0, 3, 0x0d, 0x40}) + repeated(0x90, 200'000) +
                 raw({0x92, 0, 1, 0x80})),
       nullptr},
      {"an ask with a chain of four billion",
       [](const handle& to) {
         return pieces(
             message(message_kind::request, {to.number, to.events.at("test.take"), 1, 1'000}) +
             endless_array);
       },
       unread},
      {"an answer to an event that is no ask",
       [](const handle& to) {
         return pieces(
             message(message_kind::request, {to.number, to.events.at("test.parcel"), 1, 1'000}) +
             raw({0x90, 0x90}));
       },
       ""},
      {"an exit signal",
       to_it(message_kind::signal, {1},
             [](auto& w) {
               w.text("/killer");
               put_reason(w, exit_reason::kind::kill);
               w.boolean(false);
             }),
       "it may not send exit signals to this actor"},
      {"a signal by a link that there is not",
       to_it(message_kind::signal, {1},
             [](auto& w) {
               w.text("/killer");
               put_reason(w, exit_reason::kind::failed);
               w.boolean(true);
             }),
       nullptr},
      {"the end of an actor that nobody watches",
       to_it(message_kind::ended, {1},
             [](auto& w) {
               w.text("/killer");
               w.unsigned_integer(1);
               put_reason(w, exit_reason::kind::failed);
               w.boolean(true);
               w.unsigned_integer(1);
             }),
       nullptr},
      {"a link to the actor itself",
       to_it(message_kind::link, {},
             [](auto& w) {
               w.array(2);
               w.unsigned_integer(1);
               w.unsigned_integer(1);
             }),
       unread},
      {"a watch for another node",
       to_it(message_kind::watch, {},
             [](auto& w) {
               w.array(5);
               w.unsigned_integer(2);
               w.text("beta");
               w.text("/store");
               w.unsigned_integer(1);
               w.boolean(false);
               w.unsigned_integer(1);
               w.boolean(false);
             }),
       unread},
      {"a path that is none",
       just(pieces(message(message_kind::resolve, {1, 0, 0}, [](auto& w) { w.text("store"); }))),
       unread},
      {"a path of 20,000 characters",
       just(pieces(message(message_kind::resolve, {1, 0, 0},
                           [](auto& w) { w.text('/' + std::string(20'000, 'x')); }))),
       unread},
      {"gossip of nested arrays", just(frame(frame_kind::gossip, repeated(0x91, 30'000))),
       "gossip that cannot be read"},
      {"gossip of four billion", just(frame(frame_kind::gossip, endless_array)),
       "gossip that cannot be read"},
      {"a heartbeat with a load", just(frame(frame_kind::heartbeat, bytes(30'000))), nullptr},
  };
}

}  // namespace

TEST_CASE("a node that has gone bad loses its own session by breaking the protocol, and is named") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    town t{{.tls = tls}};
    t.open_beta();
    const passers_by others{t};
    for (const offence& o : violations()) {
      CAPTURE(std::string{o.what});
      t.forget_log();
      const auto one = t.enter();
      one->join();
      one->say(o.said(one->resolve("/store")));
      CHECK(one->hung_up_on());
      CHECK(t.named("node gamma", o.why));
      CHECK(eventually([&] { return !t.said("(violation)").empty(); }));
    }
  }
}

TEST_CASE("messages of a bad node that make no sense are told, and cost nobody anything") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    town t{{.tls = tls}};
    t.open_beta();
    const passers_by others{t};
    const auto one = t.enter();
    one->join();
    const handle to = one->resolve("/store");
    REQUIRE(to.number != 0);
    for (const offence& o : nonsense()) {
      CAPTURE(std::string{o.what});
      t.forget_log();
      one->say(o.said(to));
      CHECK(one->answered());
      if (o.why) CHECK(t.named("node gamma", o.why));
      else CHECK(t.said("node gamma").empty());
    }
    CHECK(one->still_there());
    CHECK(t.alpha->cluster->traffic().malformed > 0);
  }
}

TEST_CASE("actors of the runtime itself are out of reach for nodes without the role admin") {
  town t;
  t.open_beta();
  const passers_by others{t};
  const auto one = t.enter();
  one->join();
  const handle to = one->resolve("/coppice.directory");
  REQUIRE(to.number != 0);  // known, and of no use
  for (const auto& [event, index] : to.events) {
    one->say(pieces(message(message_kind::event, {to.number, index}) + raw({0x90})));
    one->say(
        pieces(message(message_kind::request, {to.number, index, 1, 1'000}) + raw({0x90, 0x90})));
  }
  for (const auto what : {message_kind::link, message_kind::watch})
    one->say(pieces(message(what, {to.number}, [&](auto& w) {
      put_ref(w, 1, "/spy");
      if (what == message_kind::link) return;
      w.unsigned_integer(1);
      w.boolean(false);
    })));
  one->say(to_it(message_kind::signal, {1}, [](auto& w) {
    w.text("/spy");
    put_reason(w, exit_reason::kind::kill);
    w.boolean(false);
  })(to));
  CHECK(one->answered());
  CHECK(t.named("node gamma", "it may not link to this actor"));
  CHECK(t.named("node gamma", "it may not watch this actor"));
  CHECK(t.named("node gamma", "it may not send exit signals to this actor"));
  CHECK(t.alpha->cluster->traffic().denied >= 3);
  // It still finds actors, so it is there.
  CHECK(t.beta->cluster->find<take>("alpha:/store", 20s));
}

TEST_CASE("an actor that is busy collects no more who wait for room than a peer may have") {
  struct busy : actor<take> {
    busy(std::atomic<bool>* in, std::atomic<bool>* out) : begun(in), over(out) {}
    left on(const take&) {
      *begun = true;
      over->wait(false);
      return {};
    }
    std::atomic<bool>*begun, *over;
  };
  std::atomic<bool> begun{false}, over{false};
  town t;
  t.open_beta();
  const passers_by others{t};
  t.alpha->system->spawn<busy>({.id = "busy"}, &begun, &over);
  const auto one = t.enter();
  one->join();
  const handle to = one->resolve("/busy");
  one->say(
      pieces(message(message_kind::request, {to.number, 0, 1, 60'000}) + raw({0x90, 0x91, 1})));
  CHECK(eventually([&] { return begun.load(); }));
  for (std::uint64_t i = 0; i < 1'001; ++i)
    one->say(pieces(message(message_kind::credit, {to.number, 10 + i, 60'000})));
  one->hears(message_kind::failure, 10 + 1'000);
  over = true;
  over.notify_all();
  one->hears(message_kind::reply, 10 + 999);
  one->say(pieces(message(message_kind::credit, {to.number, 5'000, 60'000})));
  one->hears(message_kind::reply, 5'000);
}

TEST_CASE("a node that lives and confirms nothing loses its session at the limit") {
  town t{{.unreachable_after = 3s}};
  const auto one = t.enter();
  one->join();
  REQUIRE(one->resolve("/store").number != 0);  // the answer is never confirmed
  CHECK(eventually([&] {
    one->say(frame(frame_kind::heartbeat));
    return t.alpha->cluster->traffic().sessions_ended == 1;
  }));
  CHECK(t.said("node gamma has confirmed nothing for 3000 ms of what it was sent").size() == 1);
  CHECK(t.said("nothing was heard of node gamma").empty());
}

TEST_CASE("a flood of anything by one bad node slows the others down and no more") {
  town t{{.tls = true, .lines_per_second = 5}};
  t.open_beta();
  const passers_by others{t};
  const auto one = t.enter();
  one->join();
  const handle to = one->resolve("/store");
  REQUIRE(to.number != 0);
  const auto flood = [&](const char* of, std::uint64_t times, const auto& each) {
    CAPTURE(std::string{of});
    bytes some;
    for (std::uint64_t i = 0; i < times; ++i) {
      some = std::move(some) + each(i);
      if (some.size() < 100'000 && i + 1 < times) continue;
      one->say(some);
      one->acknowledge();
      some.clear();
    }
    CHECK(one->answered());
  };
  const auto number = [&](const char* of, std::uint64_t times, const auto& each) {
    flood(of, times, [&](std::uint64_t i) { return pieces(each(i)); });
  };
  flood("heartbeats", 50'000, [](auto) { return frame(frame_kind::heartbeat); });
  flood("gossip", 20'000, [](auto) { return frame(frame_kind::gossip, raw({0xc1})); });
  number("garbage", 50'000, [](auto) { return bytes{std::byte{0xc1}}; });
  number("questions for what there is not", 50'000, [](std::uint64_t i) {
    return message(message_kind::resolve, {i + 1'000'000, 0, 0},
                   [&](auto& w) { w.text("/shop/" + std::to_string(i)); });
  });
  number("questions for what there is", 50'000, [](std::uint64_t i) {
    return message(message_kind::resolve, {i + 1'000'000, 0, 0}, [](auto& w) { w.text("/store"); });
  });
  number("credits", 50'000, [&](std::uint64_t i) {
    return message(message_kind::credit, {to.number, i, 1'000});
  });
  number("watches and the ends of them", 50'000, [&](std::uint64_t i) {
    return message(i % 2 ? message_kind::unwatch : message_kind::watch, {to.number}, [&](auto& w) {
      put_ref(w, 1, "/spy");
      if (i % 2 == 0) w.unsigned_integer(1);
      w.boolean(false);
    });
  });
  // One that is linked goes down with the session, which is what links are for.
  t.alpha->system->spawn<store>({.id = "linked"});
  const handle linked = one->resolve("/linked");
  number("links", 50'000, [&](std::uint64_t) {
    return message(message_kind::link, {linked.number}, [](auto& w) { put_ref(w, 1, "/spy"); });
  });
  number("forged sources with long names", 20'000, [&](std::uint64_t i) {
    return message(message_kind::watch, {9'999}, [&](auto& w) {
      put_ref(w, i + 10, '/' + std::string(3'000, 'x') + std::to_string(i));
      w.unsigned_integer(1);
      w.boolean(false);
    });
  });
  CHECK(t.alpha->cluster->traffic().proxies < 500);  // of their names, not of their number
  CHECK(one->still_there());
}

namespace {

/// How many offences the log accounts for: those with a line of their own, and those left out.
struct account {
  std::size_t lines = 0, told = 0;
};
account account_of(const town& t, const std::string& of, const std::string& left_out_of) {
  account a;
  const auto number_before = [](const std::string& line, std::string_view words) {
    const std::size_t end = line.find(words);
    if (end == std::string::npos) return std::size_t{0};
    const std::size_t begin = line.find_last_not_of("0123456789", end - 1) + 1;
    return static_cast<std::size_t>(std::stoull(line.substr(begin, end - begin)));
  };
  for (const std::string& line : t.said(of)) {
    ++a.lines;
    a.told += 1 + number_before(line, " like this left out");
  }
  for (const std::string& line : t.said(left_out_of)) {
    ++a.lines;
    a.told += number_before(line, " lines like the last ones");
  }
  return a;
}

}  // namespace

TEST_CASE("a thousand bad connections make a few lines in the log, and none of them is forgotten") {
  town t{{.lines_per_second = 5}};
  t.open_beta();
  const passers_by others{t};
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1'000; ++i) {
    const raw_socket one = connected_to(t.address);
    one.send(local::text_of(repeated(0, 32)));
    CHECK(one.receive().empty());
  }
  const auto now = [&] { return account_of(t, "from 127.0.0.1:", "about connections that were"); };
  CHECK(eventually([&] { return now().told == 1'000; }));
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
  // Five a second, the seconds at both ends, and a count for each.
  CHECK(now().lines <= static_cast<std::size_t>(6 * (seconds.count() + 2)));
}

TEST_CASE(
    "a thousand offences of a bad node make a few lines, and do not hide those of strangers") {
  town t{{.lines_per_second = 5}};
  t.open_beta();
  const passers_by others{t};
  const auto one = t.enter();
  one->join();
  for (int i = 0; i < 1'000; ++i) one->say(pieces(raw({0xc1})));
  const raw_socket stranger = connected_to(t.address);
  stranger.send(local::text_of(repeated(0, 32)));
  CHECK(t.named("from 127.0.0.1:", "a kind that does not exist"));
  const auto now = [&] { return account_of(t, "from node gamma at", "what node gamma has sent"); };
  CHECK(eventually([&] { return now().told == 1'000; }));
  CHECK(now().lines < 100);
}

TEST_CASE("a node that begins one session after another has few lines in the log as well") {
  town t{{.lines_per_second = 5}};
  t.open_beta();
  const passers_by others{t};
  const std::size_t before = open_descriptors();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) {
    const auto one = t.enter();
    one->join();
    CHECK(one->answered());
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
  CHECK(t.said("gamma").size() <= static_cast<std::size_t>(11 * (seconds.count() + 2)));
  CHECK(eventually([&] { return open_descriptors() <= before; }));
}

TEST_CASE("a configuration that nobody has to tell, or tells twice, is not compared") {
  town t;
  t.open_beta();
  const passers_by others{t};
  const auto one = t.enter();
  one->join();
  t.forget_log();
  for (int i = 0; i < 100; ++i) {
    bytes said;
    detail::writer to{said};
    detail::encode(to, gossip{.config = "cluster.name = \"test" + std::to_string(i) + "\"\n"});
    one->say(frame(frame_kind::gossip, said));
  }
  CHECK(one->answered());
  CHECK(t.said("configuration of node gamma").empty());
}

TEST_CASE(
    "500 idle and 500 slow visitors are dropped by the deadline, and a node joins meanwhile") {
  const rlimit_guard room{4'000};
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    town t{{.tls = tls, .lines_per_second = 5, .patience = 2s}};
    const std::size_t before = open_descriptors();
    std::vector<raw_socket> idle, slow;
    for (int i = 0; i < 500; ++i) {
      idle.push_back(connected_to(t.address));
      slow.push_back(connected_to(t.address));
    }
    // The beginning of a hello, and of a TLS handshake that is never over.
    const bytes said = tls ? raw({22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}) + repeated(7, 400)
                           : header(1, 4'000) + repeated(0x90, 4'000);
    std::atomic<bool> over{false};
    std::thread dripping{[&] {
      for (std::size_t i = 0; i < said.size() && !over; ++i) {
        for (const raw_socket& one : slow) one.send(local::text_of(said).substr(i, 1));
        std::this_thread::sleep_for(50ms);
      }
    }};
    t.open_beta();
    CHECK(t.disturbance() == "");
    for (const auto* crowd : {&idle, &slow})
      for (const raw_socket& one : *crowd) CHECK(one.receive().size() < 100);
    over = true;
    dripping.join();
    CHECK(t.disturbance() == "");
    CHECK(eventually([&] { return t.alpha->cluster->traffic().refused >= 1'000; }));
    CHECK(account_of(t, "from 127.0.0.1:", "about connections that were").lines < 200);
    idle.clear();
    slow.clear();
    t.beta.reset();
    CHECK(eventually([&] { return open_descriptors() <= before; }));
  }
}

TEST_CASE(
    "a node without descriptors neither spins nor dies, and lets others in when it has some") {
  // A process of its own, since that is what descriptors belong to.
  const local::folder home;
  const auto entries = [&](const std::string& alpha) {
    std::vector<cluster_options::entry> all;
    for (const char* name : {"alpha", "beta"})
      all.push_back({name, "", {}, "unix:" + (home.path / name).string(), ""});
    all[0].address = alpha;
    return all;
  };
  const auto patience = [](cluster_options& o) { o.limits.handshake_deadline = 1s; };
  int told[2], end[2];
  REQUIRE(::pipe(told) == 0);
  REQUIRE(::pipe(end) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(end[1]);
    const rlimit few{64, 64};
    ::setrlimit(RLIMIT_NOFILE, &few);
    local::node alpha{entries("127.0.0.1:0"), "alpha", patience};
    if (!alpha.shell().start()) ::_exit(1);
    const std::string address = alpha.shell().listens_at();
    if (::write(told[1], address.data(), address.size()) < 0) ::_exit(2);
    char ignored;
    while (::read(end[0], &ignored, 1) > 0) {
    }
    ::_exit(alpha.logged("Too many open files") ? 0 : 3);
  }
  ::close(end[0]);
  char text[100];
  const ssize_t length = ::read(told[0], text, sizeof text);
  REQUIRE(length > 0);
  const std::string address{text, static_cast<std::size_t>(length)};
  const auto ticks = [child] {
    std::ifstream stat{"/proc/" + std::to_string(child) + "/stat"};
    std::string word;
    for (int i = 0; i < 13; ++i) stat >> word;
    long user = 0, system = 0;
    stat >> user >> system;
    return user + system;
  };

  std::vector<raw_socket> crowd(120);
  for (const raw_socket& one : crowd) REQUIRE(one.connect(address));
  const long before = ticks();
  const auto begin = std::chrono::steady_clock::now();
  for (const raw_socket& one : crowd) CHECK(one.receive().empty());  // dropped in turn
  const auto time = std::chrono::steady_clock::now() - begin;
  const auto used = std::chrono::milliseconds{(ticks() - before) * 1'000 / ::sysconf(_SC_CLK_TCK)};
  CHECK(used < std::max<std::chrono::nanoseconds>(time / 4, 500ms));
  {
    local::node beta{entries(address), "beta", patience};
    beta.shell().start().value();
    CHECK(eventually([&] { return beta.opinion_of("alpha") == opinion::up; }));
  }
  ::close(end[1]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  ::close(told[0]);
  ::close(told[1]);
}
