// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/handshake.hpp>

#include <coppice/actors/codec/codec.hpp>
#include <coppice/actors/detail/assert.hpp>

#include <algorithm>
#include <utility>

namespace coppice::wire {

namespace {

/// What a handshake may take when it is built: more than its bytes, since text has overhead.
constexpr std::size_t budget = 16 * max_handshake;

template <class T>
std::vector<std::byte> payload_of(const T& x) {
  std::vector<std::byte> bytes;
  coppice::detail::writer to{bytes};
  coppice::detail::encode(to, x);
  return bytes;
}

template <class T>
std::vector<std::byte> frame_of(frame_kind kind, const T& x) {
  const auto payload = payload_of(x);
  coppice::detail::require(payload.size() <= max_handshake,
                           "what this node says of itself does not fit into a handshake");
  return whole_frame(kind, payload);
}

template <class T>
result<T> read(frame_kind kind, std::span<const std::byte> payload) {
  T x;
  coppice::detail::reader from{payload, budget};
  if (coppice::detail::decode(from, x) && from.at_end()) return x;
  return error{errc::invalid, "a " + std::string{name(kind)} + " cannot be read: " +
                                  (from.ok() ? "something follows it" : from.failure())};
}

refuse no(refusal code, std::string text) { return {code, std::move(text)}; }

std::string quoted(std::string_view text) { return '"' + printable(text) + '"'; }

}  // namespace

std::string to_string(const incarnation_id& id) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint64_t half : {id.high, id.low})
    for (int shift = 60; shift >= 0; shift -= 4) text += digits[half >> shift & 15];
  return text;
}

std::string_view name(refusal code) noexcept {
  switch (code) {
    case refusal::malformed: return "malformed";
    case refusal::cluster: return "cluster";
    case refusal::protocol: return "protocol";
    case refusal::wrong_node: return "wrong_node";
    case refusal::own_name: return "own_name";
    case refusal::unknown_node: return "unknown_node";
    case refusal::certificate: return "certificate";
    case refusal::busy: return "busy";
    case refusal::replaced: return "replaced";
    case refusal::stopping: return "stopping";
  }
  return "unknown";
}

std::vector<std::byte> write(const hello& x) { return frame_of(frame_kind::hello, x); }
std::vector<std::byte> write(const welcome& x) { return frame_of(frame_kind::welcome, x); }
std::vector<std::byte> write(const ready& x) { return frame_of(frame_kind::ready, x); }
std::vector<std::byte> write(const refuse& x) { return frame_of(frame_kind::refuse, x); }
std::vector<std::byte> write_goodbye(const goodbye& x) { return payload_of(x); }

result<hello> read_hello(std::span<const std::byte> payload) {
  return read<hello>(frame_kind::hello, payload);
}
result<welcome> read_welcome(std::span<const std::byte> payload) {
  return read<welcome>(frame_kind::welcome, payload);
}
result<ready> read_ready(std::span<const std::byte> payload) {
  return read<ready>(frame_kind::ready, payload);
}
result<refuse> read_refuse(std::span<const std::byte> payload) {
  return read<refuse>(frame_kind::refuse, payload);
}
result<goodbye> read_goodbye(std::span<const std::byte> payload) {
  return read<goodbye>(frame_kind::goodbye, payload);
}

std::optional<refuse> objection(const hello& from, const identity& me,
                                std::string_view certificate_name) {
  if (from.cluster != me.cluster)
    return no(refusal::cluster, "node " + me.node + " belongs to cluster " + me.cluster +
                                    ", not to " + quoted(from.cluster));
  if (from.oldest > me.newest || from.newest < me.oldest || from.oldest > from.newest)
    return no(refusal::protocol,
              "node " + me.node + " speaks the protocol's versions " + std::to_string(me.oldest) +
                  " to " + std::to_string(me.newest) + ", not " + std::to_string(from.oldest) +
                  " to " + std::to_string(from.newest));
  if (from.from == me.node)
    return no(refusal::own_name, "two processes are node " + me.node +
                                     ", or an address in the configuration leads a node to itself");
  if (from.to != me.node)
    return no(refusal::wrong_node, "this is node " + me.node + ", not " + quoted(from.to) +
                                       ": check the addresses in the configuration");
  if (!certificate_name.empty() && certificate_name != from.from)
    return no(refusal::certificate, "the certificate is node " + quoted(certificate_name) +
                                        "'s, and not " + quoted(from.from) + "'s");
  if (from.incarnation == incarnation_id{})
    return no(refusal::malformed, "a hello cannot be read: it names no incarnation");
  constexpr std::uint64_t far = std::uint64_t{1} << 62;
  if (from.session > far && from.to_incarnation == me.incarnation)
    return no(refusal::malformed, "a hello cannot be read: there are not so many sessions");
  return std::nullopt;
}

std::optional<refuse> objection(const welcome& from, const identity& me, std::string_view peer,
                                std::string_view certificate_name) {
  hello same;
  same.newest = same.oldest = from.protocol;
  same.cluster = from.cluster;
  same.from = from.from;
  same.to = from.to;
  same.incarnation = from.incarnation;
  same.to_incarnation = me.incarnation;
  same.session = from.session;
  if (auto found = objection(same, me, certificate_name)) return found;
  if (from.from != peer)
    return no(refusal::wrong_node, "node " + quoted(from.from) + " answers at node " +
                                       std::string{peer} +
                                       "'s address: check the addresses in the configuration");
  if (from.session == 0)
    return no(refusal::malformed, "a welcome cannot be read: it names no session");
  return std::nullopt;
}

std::string printable(std::string_view text, std::size_t most) {
  std::string out{text.substr(0, most)};
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < ' ' || c > '~' || c == '"'; }, '?');
  if (text.size() > most) out += "...";
  return out;
}

// ---- reception --------------------------------------------------------------------------------

reception::reception(identity me, std::vector<std::string> nodes, const limits& bounds)
    : me_(std::move(me)),
      nodes_(std::move(nodes)),
      most_(std::max<std::size_t>(bounds.pending_handshakes, 1)),
      patience_(bounds.handshake_deadline) {}

std::optional<reception::closing> reception::opened(link_id link, std::string certificate_name,
                                                    time_point now) {
  std::optional<closing> out;
  if (guests_.size() == most_) {
    out = closing{guests_.front().link, "too many links do not say who they are"};
    guests_.erase(guests_.begin());
  }
  guests_.push_back({link, now + patience_, std::move(certificate_name)});
  return out;
}

void reception::closed(link_id link) {
  std::erase_if(guests_, [&](const guest& g) { return g.link == link; });
}

std::vector<reception::closing> reception::time(time_point now) {
  std::vector<closing> out;
  while (!guests_.empty() && guests_.front().deadline <= now) {
    out.push_back({guests_.front().link, "no hello has come in time"});
    guests_.erase(guests_.begin());
  }
  return out;
}

std::optional<reception::time_point> reception::next() const {
  if (guests_.empty()) return std::nullopt;
  return guests_.front().deadline;
}

reception::verdict reception::said_hello(link_id link, std::span<const std::byte> payload) {
  verdict v;
  const auto at =
      std::find_if(guests_.begin(), guests_.end(), [&](const guest& g) { return g.link == link; });
  if (at == guests_.end()) {
    v.why = "a hello comes from a link that is not waited for";
    return v;
  }
  v.certificate_name = std::move(at->certificate_name);
  guests_.erase(at);

  std::optional<refuse> found;
  const auto said = read_hello(payload);
  if (!said) {
    found = no(refusal::malformed, said.error().why()->what);
  } else {
    found = objection(*said, me_, v.certificate_name);
    if (!found && std::find(nodes_.begin(), nodes_.end(), said->from) == nodes_.end())
      found = no(refusal::unknown_node,
                 "the configuration of node " + me_.node + " knows no node " + quoted(said->from));
  }
  if (!found) {
    v.peer = said->from;
    return v;
  }
  v.why = "node " + me_.node + " refuses " + (said ? quoted(said->from) : "a link") + " (" +
          std::string{name(found->code)} + "): " + found->text;
  v.answer = write(*found);
  return v;
}

}  // namespace coppice::wire
