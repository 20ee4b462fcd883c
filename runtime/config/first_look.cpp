// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/first_look_private.hpp>

namespace coppice::detail {

namespace {

/// The deepest that a cluster file needs is 3.
constexpr std::size_t deepest = 8;
constexpr std::string_view order_mark = "\xef\xbb\xbf";

bool beyond_ascii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

/// Walks over a text as TOML does, as far as strings, comments and brackets go. Where the text
/// ceases to be TOML it may lose its way, but there toml++ stops.
class first_look {
 public:
  explicit first_look(std::string_view text) : text_(text) {
    if (text.starts_with(order_mark)) at_ = order_mark.size();
  }

  std::optional<syntax_error> run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (beyond_ascii(c))
        return found(
            "outside of quotes and comments only letters, digits and signs of ASCII are "
            "expected");
      if (c == '#') {
        skip_comment();
      } else if ((c == '"' || c == '\'') && string_may_begin()) {
        before_ = c;
        if (!skip_string(c))
          return found("a backslash without an escape; expected the text on one line, or without");
      } else {
        count(c);
        if (std::string_view{" \t\r"}.find(c) == std::string_view::npos) before_ = c;
        step();
      }
      if (dots_ >= deepest)
        return found("a name of more than 8 parts; expected a section and a key");
      if (open_ > deepest) return found("lists or tables more than 8 deep; expected 3 at most");
    }
    return std::nullopt;
  }

 private:
  syntax_error found(const char* what) const { return {place_, what}; }

  /// Elsewhere a quote is a sign in a number or a name, to toml++ at least.
  bool string_may_begin() const {
    return std::string_view{"\n=[{,."}.find(before_) != std::string_view::npos;
  }
  void count(char c) {
    if (c == '.') ++dots_;
    if (c == '[' || c == '{') ++open_;
    if ((c == ']' || c == '}') && open_ > 0) --open_;
    // Of the signs only blanks and quotes can stand between the parts of one name.
    if (std::string_view{"=,[]{}\n"}.find(c) != std::string_view::npos) dots_ = 0;
  }
  void step() {
    if (text_[at_] == '\n') {
      ++place_.line;
      place_.column = 1;
    } else if ((static_cast<unsigned char>(text_[at_]) & 0xc0) != 0x80) {
      ++place_.column;
    }
    ++at_;
  }
  void skip(std::size_t n) {
    for (; n > 0 && at_ < text_.size(); --n) step();
  }

  void skip_comment() {
    while (at_ < text_.size() && text_[at_] != '\n') step();
  }
  /// False: there is a backslash that must not be.
  bool skip_string(char quote) {
    const std::string three(3, quote);
    const bool multi_line = text_.substr(at_).starts_with(three);
    skip(multi_line ? 3 : 1);
    while (at_ < text_.size()) {
      if (text_[at_] == '\\' && quote == '"') {
        if (multi_line && !escape_follows()) return false;
        skip(2);
      } else if (!multi_line && (text_[at_] == quote || text_[at_] == '\n')) {
        skip(1);
        return true;
      } else if (multi_line && text_.substr(at_).starts_with(three)) {
        skip(3);
        // Up to two quotes may stand before the closing three.
        for (int i = 0; i < 2 && at_ < text_.size() && text_[at_] == quote; ++i) step();
        return true;
      } else {
        step();
      }
    }
    return true;
  }
  bool escape_follows() const {
    return at_ + 1 >= text_.size() || (text_[at_ + 1] > ' ' && !beyond_ascii(text_[at_ + 1]));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  char before_ = '\n';  ///< the last that was no blank, of a string its quote
  place place_{};
  std::size_t dots_ = 0;
  std::size_t open_ = 0;  ///< brackets and braces
};

}  // namespace

std::optional<syntax_error> harm_to_parser(std::string_view text) { return first_look{text}.run(); }

}  // namespace coppice::detail
