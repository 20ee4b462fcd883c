// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/exchange_private.hpp>

namespace coppice::wire {

using detail::reader;
using detail::writer;

namespace {

/// Longer texts are cut: a chain of causes is for people.
constexpr std::size_t longest_text = 1'024;

std::string_view cut(std::string_view text) {
  if (text.size() <= longest_text) return text;
  std::size_t end = longest_text;  // not within a character of UTF-8
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

/// An array of [what, where, incarnation]. Where it happened on this node, the node's name is put
/// before the path.
void put_causes(writer& to, const cause_ptr& chain, std::string_view node) {
  std::size_t n = 0;
  for (const cause* c = chain.get(); c && n < max_cause_depth; c = c->because.get()) ++n;
  to.array(n);
  for (const cause* c = chain.get(); n > 0; c = c->because.get(), --n) {
    to.array(3);
    to.text(cut(c->what));
    if (c->where.starts_with('/')) {
      std::string place{node};
      place.append(":").append(cut(c->where));
      to.text(place);
    } else {
      to.text(cut(c->where));
    }
    to.unsigned_integer(c->incarnation);
  }
}

bool get_causes(reader& from, cause_ptr& chain) {
  std::size_t n = 0;
  if (!from.array(n)) return false;
  if (n > max_cause_depth) return from.fail("a chain of causes is too long");
  struct link {
    std::string_view what, where;
    std::uint32_t incarnation = 0;
  };
  std::vector<link> links(n);
  for (link& l : links) {
    std::size_t fields = 0;
    if (!from.array(fields)) return false;
    if (fields < 3) return from.fail("a cause has too few fields");
    if (!from.text(l.what) || !from.text(l.where) || !get_number(from, l.incarnation)) return false;
    for (; fields > 3; --fields)
      if (!from.skip()) return false;
  }
  chain = nullptr;
  for (std::size_t i = n; i-- > 0;)
    chain = make_cause(std::string{cut(links[i].what)}, std::string{cut(links[i].where)},
                       links[i].incarnation, std::move(chain));
  return true;
}

void put_reason(writer& to, const exit_reason& why, std::string_view node) {
  to.unsigned_integer(static_cast<std::uint64_t>(why.what()));
  put_causes(to, why.why(), node);
}

bool get_reason(reader& from, exit_reason& why) {
  std::uint8_t kind = 0;
  cause_ptr chain;
  if (!get_number(from, kind) || !get_causes(from, chain)) return false;
  // A kind that a newer node has added is, to us, a failure like any other.
  const bool known = kind <= static_cast<std::uint8_t>(exit_reason::kind::unreachable);
  why = exit_reason{known ? static_cast<exit_reason::kind>(kind) : exit_reason::kind::failed,
                    std::move(chain)};
  return true;
}

void put_ended(writer& to, std::uint32_t handle, const ended& e, std::uint32_t watcher,
               std::string_view node) {
  to.unsigned_integer(static_cast<std::uint64_t>(message_kind::ended));
  to.unsigned_integer(handle);
  to.unsigned_integer(e.number);
  to.text(e.path);
  to.unsigned_integer(e.incarnation);
  put_reason(to, e.reason, node);
  to.boolean(e.gone);
  to.unsigned_integer(watcher);
}

}  // namespace coppice::wire
