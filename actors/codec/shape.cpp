// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/codec/shape.hpp>

#include <cstddef>
#include <vector>

namespace coppice::detail {
namespace {

/// Nobody's events are nested so deeply; a text that somebody sent may claim to be.
constexpr std::size_t deepest = 64;
/// Longer than any number or unit of ours.
constexpr std::size_t longest_word = 32;

using maybe_text = std::optional<std::string>;

/// The rest of a shape's text.
class cursor {
 public:
  explicit cursor(std::string_view text) : rest_(text) {}

  char next() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool at_end() const { return rest_.empty(); }
  bool take(char c) {
    if (at_end() || next() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// A number or a unit; empty when it is none.
  std::string_view word() {
    const auto n = rest_.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789/,");
    const std::string_view all = rest_.substr(0, n);
    if (all.size() > longest_word) return {};
    rest_.remove_prefix(all.size());
    return all;
  }
  /// A number; empty when it is none.
  std::string_view number() {
    const std::string_view all = rest_.substr(0, rest_.find_first_not_of("0123456789"));
    if (all.size() > longest_word) return {};
    rest_.remove_prefix(all.size());
    return all;
  }

 private:
  std::string_view rest_;
};

std::string_view name_of(char kind) {
  switch (kind) {
    case 'b': return "a boolean";
    case 'i': return "an integer";
    case 'f': return "a real number";
    case 's': return "a text";
    case 'y': return "bytes";
    case '[': return "a sequence";
    case '(': return "a set";
    case '<': return "a map";
    case '?': return "an optional value";
    case '|': return "a variant";
    case '{': return "a struct";
    case '^': return "the struct around it";
    case 't': return "a duration";
    case 'p': return "a point in time";
    case 'r': return "a ref";
    default: return {};
  }
}

/// Walks two shapes side by side. Recursive, to a bounded depth.
class comparison {
 public:
  comparison(std::string_view mine, std::string_view theirs) : mine_(mine), theirs_(theirs) {}

  maybe_text run() {
    if (auto why = values()) return why;
    if (!mine_.at_end() || !theirs_.at_end()) return nonsense();
    return std::nullopt;
  }

 private:
  /// Both stand before a value.
  maybe_text values() {
    const char kind = mine_.next();
    if (kind != theirs_.next()) return differ(name_of(kind), name_of(theirs_.next()));
    if (name_of(kind).empty() || where_.size() > deepest) return nonsense();
    take(kind);
    switch (kind) {
      case 'y': return mine_.next() == '<' || theirs_.next() == '<' ? sizes() : std::nullopt;
      case '[': return sequence();
      case '(': return key("the elements", ')');
      case '<': return map();
      case '?': return inside("the value");
      case '|': return alternatives();
      case '{': return fields();
      case '^': return same(mine_.number(), theirs_.number(), " levels up", "the struct ");
      case 't':
      case 'p': return unit(kind);
      default: return std::nullopt;
    }
  }

  maybe_text sizes() {
    const bool here = mine_.take('<'), there = theirs_.take('<');
    const auto mine = mine_.number(), theirs = theirs_.number();
    if (here != there)
      return differ(here ? "bytes of one length" : "any bytes",
                    there ? "bytes of one length" : "any bytes");
    if (auto why = same(mine, theirs, " bytes", "")) return why;
    return take('>') ? std::nullopt : nonsense();
  }

  maybe_text sequence() {
    if (auto why = inside("the elements")) return why;
    const bool here = mine_.take(';'), there = theirs_.take(';');
    const auto mine = mine_.number(), theirs = theirs_.number();
    if (here != there)
      return differ(here ? "an array" : "a sequence", there ? "an array" : "a sequence");
    if (here)
      if (auto why = same(mine, theirs, " elements", "")) return why;
    return take(']') ? std::nullopt : nonsense();
  }

  maybe_text map() {
    if (auto why = key("the keys", ':')) return why;
    if (auto why = inside("the values")) return why;
    return take('>') ? std::nullopt : nonsense();
  }

  /// Keys must be equal: where a field of theirs is not known, two of them could become one.
  maybe_text key(const char* what, char stop) {
    ++keys_;
    if (auto why = inside(what)) return why;
    --keys_;
    return take(stop) ? std::nullopt : nonsense();
  }

  maybe_text alternatives() {
    for (std::size_t i = 1;; ++i) {
      if (auto why = inside("alternative " + std::to_string(i))) return why;
      const bool here = mine_.take('|'), there = theirs_.take('|');
      const std::string count = std::to_string(i) + (i == 1 ? " alternative" : " alternatives");
      if (here != there) return differ(here ? count : "more", there ? count : "more");
      if (here) return std::nullopt;
      if (!take(',')) return nonsense();
    }
  }

  maybe_text fields() {
    bool first = true;
    for (std::size_t i = 1;; ++i, first = false) {
      const bool here = mine_.next() == '}', there = theirs_.next() == '}';
      if (here || there) {
        const std::string count = std::to_string(i - 1) + (i == 2 ? " field" : " fields");
        if (here != there && keys_ > 0)
          return differ(here ? count : "more", there ? count : "more");
        if (!rest(mine_, first) || !rest(theirs_, first)) return nonsense();
        return std::nullopt;
      }
      if (!first && !take(',')) return nonsense();
      if (auto why = inside("field " + std::to_string(i))) return why;
    }
  }

  /// Fields that the other one does not know.
  bool rest(cursor& of, bool first) {
    for (; !of.take('}'); first = false) {
      if (!first && !of.take(',')) return false;
      comparison itself{*this, of};
      if (itself.values()) return false;
      of = itself.mine_;
    }
    return true;
  }
  /// Compared with itself, a shape is read.
  comparison(const comparison& above, cursor of)
      : mine_(of), theirs_(of), where_(above.where_.size() + 1) {}

  maybe_text unit(char kind) {
    if (!take('<')) return nonsense();
    const std::string what = kind == 't' ? "a duration in " : "a point in time in ";
    if (auto why = same(mine_.word(), theirs_.word(), "", what)) return why;
    return take('>') ? std::nullopt : nonsense();
  }

  maybe_text same(std::string_view mine, std::string_view theirs, const std::string& after,
                  const std::string& before) {
    if (mine.empty() || theirs.empty()) return nonsense();
    if (mine == theirs) return std::nullopt;
    return differ(before + std::string(mine) + after, before + std::string(theirs) + after);
  }

  maybe_text inside(std::string what) {
    where_.push_back(std::move(what));
    if (auto why = values()) return why;
    where_.pop_back();
    return std::nullopt;
  }

  bool take(char c) { return mine_.take(c) && theirs_.take(c); }

  maybe_text differ(std::string_view mine, std::string_view theirs) const {
    if (mine.empty() || theirs.empty()) return nonsense();
    std::string text;
    for (std::size_t i = where_.size(); i > 0; --i) text += where_[i - 1] + (i > 1 ? " of " : ": ");
    if (text.empty()) text = "the event: ";
    return text.append(mine).append(" here, ").append(theirs).append(" there");
  }
  maybe_text nonsense() const { return "the shapes cannot be compared: one is not well-formed"; }

  cursor mine_;
  cursor theirs_;
  std::vector<std::string> where_;  ///< the way to this value, from the outside in
  int keys_ = 0;                    ///< how many of them are keys
};

}  // namespace

std::optional<std::string> shapes_differ(std::string_view mine, std::string_view theirs) {
  if (mine == theirs) return std::nullopt;
  return comparison{mine, theirs}.run();
}

std::uint64_t fingerprint(std::string_view shape) noexcept {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const char c : shape) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
  return hash;
}

}  // namespace coppice::detail
