// SPDX-License-Identifier: BSD-3-Clause
// The tree as data, as text and as JSON.
#include <coppice/supervision/tree.hpp>

#include "stage.hpp"

#include <doctest/doctest.h>

#include <cctype>
#include <string_view>

using namespace coppice;
using namespace stage;

namespace {

/// Whether a text is one value of JSON (RFC 8259), in valid UTF-8, and no more.
class json {
 public:
  static bool valid(std::string_view text) {
    json j{text};
    return j.value() && j.at_ == text.size();
  }

 private:
  explicit json(std::string_view text) : text_(text) {}

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool digits() {
    const auto from = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > from;
  }
  bool string() {
    if (!take('"')) return false;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_++]);
      if (c == '"') return true;
      if (c < 0x20) return false;
      if (c == '\\') {
        if (at_ == text_.size()) return false;
        const char e = text_[at_++];
        if (e == 'u') {
          for (int i = 0; i < 4; ++i, ++at_)
            if (at_ == text_.size() || !std::isxdigit(static_cast<unsigned char>(text_[at_])))
              return false;
        } else if (std::string_view{"\"\\/bfnrt"}.find(e) == std::string_view::npos) {
          return false;
        }
      } else if (c >= 0x80) {
        if (c < 0xc2 || c > 0xf4) return false;
        const int more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        for (int i = 0; i < more; ++i, ++at_)
          if (at_ == text_.size() || (static_cast<unsigned char>(text_[at_]) & 0xc0) != 0x80)
            return false;
      }
    }
    return false;
  }
  bool list(char open, char close, bool named) {
    if (!take(open)) return false;
    if (take(close)) return true;
    do {
      if (named && !(string() && take(':'))) return false;
      if (!value()) return false;
    } while (take(','));
    return take(close);
  }
  bool value() {
    if (at_ == text_.size()) return false;
    switch (text_[at_]) {
      case '{': return list('{', '}', true);
      case '[': return list('[', ']', false);
      case '"': return string();
      case 't': return take("true");
      case 'f': return take("false");
      default: return (take('-'), digits());
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

tree_node node(std::string path, std::string kind, std::string state) {
  tree_node n;
  n.path = std::move(path);
  n.kind = std::move(kind);
  n.state = std::move(state);
  n.incarnation = 1;
  return n;
}

}  // namespace

TEST_CASE("a tree as text has one line an actor, and the cause of the last failure below it") {
  tree_node shop = node("/shop", "one_for_one", "running");
  shop.supervisor = true;
  shop.children = {node("/shop/till", "cash_desk", "running"),
                   node("/shop/desk", "one_for_all", "no answer")};
  shop.children[0].incarnation = 3;
  shop.children[0].restarts = 2;
  shop.children[0].waiting = 4;
  shop.children[0].handled = 12'345;
  shop.children[0].last_reason = "crashed: no paper";
  CHECK(to_text(shop) ==
        "/shop                       running     #1    restarts 0     waiting 0      handled 0  "
        "(one_for_one)\n"
        "  till                      running     #3    restarts 2     waiting 4      handled "
        "12345  (cash_desk)\n"
        "    last: crashed: no paper\n"
        "  desk                      no answer   #1    restarts 0     waiting 0      handled 0  "
        "(one_for_all)\n");
}

TEST_CASE("a tree as JSON has the fields under their names and nests by children") {
  tree_node shop = node("/shop", "one_for_one", "running");
  shop.supervisor = true;
  shop.up = 1'500ms;
  shop.children = {node("/shop/till", "cash_desk", "stopped")};
  const std::string text = to_json(shop);
  CHECK(text ==
        R"({"path":"/shop","kind":"one_for_one","state":"running","incarnation":1,"restarts":0,)"
        R"("last_reason":"","up_ms":1500,"waiting":0,"handled":0,"supervisor":true,"children":[)"
        R"({"path":"/shop/till","kind":"cash_desk","state":"stopped","incarnation":1,)"
        R"("restarts":0,"last_reason":"","up_ms":0,"waiting":0,"handled":0,"supervisor":false,)"
        R"("children":[]}]})");
  CHECK(json::valid(text));
  CHECK_FALSE(json::valid(text + '}'));
  CHECK_FALSE(json::valid(text.substr(0, text.size() - 1)));
}

TEST_CASE("whatever a reason contains, the JSON is valid") {
  tree_node n = node("/shop", "x", "running");
  const std::string reasons[] = {"\"quoted\" back\\slash",
                                 "line\nbreak\ttab\x01\x7f",
                                 "gr\xc3\xbc\xc3\x9f",
                                 "\xff\xfe broken \xc3",
                                 "\xc3(",
                                 std::string{"a\0b", 3},
                                 "\xe2\x82",
                                 "\xf0\x9f\x98\x80",
                                 "\xed\xa0\x80",
                                 "\xc0\xaf",
                                 "\xf5\x80\x80\x80"};
  for (const std::string& reason : reasons) {
    CAPTURE(reason);
    n.last_reason = reason;
    CHECK(json::valid(to_json(n)));
  }
  n.last_reason = "gr\xc3\xbc\xc3\x9f";
  CHECK(to_json(n).find("gr\xc3\xbc\xc3\x9f") != std::string::npos);
}

TEST_CASE("a snapshot shows states, incarnations, restarts with their cause, and counters") {
  coppice::system home{{.workers = 2}};
  address a, t;
  supervised_tree tree{home, "shop", [&](children& s) {
                         s.supervise("desk", [&](children& d) {
                           d.strategy(one_for_all);
                           a = d.add<worker>("a", std::make_shared<habit>());
                         });
                         t = s.add<worker>({.id = "t", .restart = transient},
                                           std::make_shared<habit>());
                       }};
  REQUIRE(tree.wait_until_up(hang));
  outside from{home};
  from.send(a, crash());
  from.send(t, halt());
  const auto until = std::chrono::steady_clock::now() + hang;
  auto told = from.ask(a, question{}, hang);
  while (!told && std::chrono::steady_clock::now() < until)  // dropped by the group's restart
    told = from.ask(a, question{}, hang);
  REQUIRE(told);
  tree_node shop = tree.snapshot(hang);
  while (shop.children.at(1).state != "stopped" && std::chrono::steady_clock::now() < until)
    shop = tree.snapshot(hang);
  CHECK(shop.path == "/shop");
  CHECK(shop.kind == "one_for_one");
  CHECK(shop.state == "running");
  CHECK(shop.supervisor);
  REQUIRE(shop.children.size() == 2);
  const tree_node& desk = shop.children[0];
  CHECK(desk.kind == "one_for_all");
  CHECK(desk.supervisor);
  REQUIRE(desk.children.size() == 1);
  const tree_node& leaf = desk.children[0];
  CHECK(leaf.path == "/shop/desk/a");
  CHECK(leaf.kind == "stage::worker");
  CHECK(leaf.state == "running");
  CHECK(leaf.incarnation == 2);
  CHECK(leaf.restarts == 1);
  CHECK(leaf.last_reason == "crashed: std::runtime_error: boom (at /shop/desk/a#1)");
  CHECK(leaf.handled == 2);
  CHECK(leaf.waiting == 0);
  CHECK_FALSE(leaf.supervisor);
  CHECK(shop.children[1].path == "/shop/t");
  CHECK(shop.children[1].last_reason == "normal");
  CHECK(json::valid(to_json(shop)));
  REQUIRE(tree.stop(hang));
  const tree_node after = tree.snapshot(hang);
  CHECK(after.state == "ended");
  CHECK(after.last_reason == "shutdown");
  CHECK(after.children.empty());
}

TEST_CASE("a supervisor that starts or waits for its restart is not waited for by a snapshot") {
  coppice::system home{{.workers = 2}};
  auto slow = std::make_shared<habit>();
  slow->start_takes = 1h;
  supervised_tree tree{home, "shop", [&](children& s) {
                         s.supervise("slow", [&](children& d) {
                           d.add<worker>({.id = "a", .start_deadline = 24h}, slow);
                         });
                       }};
  const tree_node shop = tree.snapshot(hang);  // would take the whole of that
  CHECK(shop.state == "starting");
  CHECK(shop.children.empty());
  REQUIRE(tree.stop(hang));
}

namespace {

/// Holds up the supervisor that reports a crash.
struct blocking : supervision_observer {
  void on_report(const supervisor_report& r) noexcept override {
    if (r.about == report_context::child_terminated) held.pass();
  }
  barrier held;
};

}  // namespace

TEST_CASE("a supervisor that does not answer is shown without children as no answer") {
  blocking watch;
  coppice::system home{{.workers = 2, .stall_limit = 20ms}};
  address a;
  supervised_tree tree{home, "shop",
                       [&](children& s) {
                         s.add<worker>("first", std::make_shared<habit>());
                         s.supervise("desk", [&](children& d) {
                           a = d.add<worker>("a", std::make_shared<habit>());
                         });
                       },
                       &watch};
  REQUIRE(tree.wait_until_up(hang));
  outside{home}.send(a, crash());
  REQUIRE(watch.held.wait_until_inside());
  const tree_node shop = tree.snapshot(200ms);
  CHECK(shop.state == "running");
  REQUIRE(shop.children.size() == 2);
  CHECK(shop.children[0].state == "running");
  CHECK(shop.children[1].path == "/shop/desk");
  CHECK(shop.children[1].state == "no answer");
  CHECK(shop.children[1].children.empty());
  watch.held.open();
  CHECK(tree.snapshot(hang).children[1].state == "running");
  REQUIRE(tree.stop(hang));
}
