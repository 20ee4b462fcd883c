// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/event.hpp>

#include <any>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "tools.hpp"

using namespace coppice;
using namespace std::chrono_literals;

namespace {

struct reserved {
  std::string sku;
  int left;
};
struct reserve {
  static constexpr std::string_view name = "shop.reserve";
  std::string sku;
  int quantity = 1;
  using reply = reserved;
};
struct opened {};
struct parcel {
  std::unique_ptr<std::string> content;
};
struct nested {
  reserve first;
  std::vector<reserve> others;
  std::optional<int> limit;
  std::variant<int, std::string> note;
  std::array<int, 4> counts;
  std::array<std::string, 2> names;
  std::array<reserve, 2> both;
  ref<opened> from;
};
struct person {
  std::string name;  // a field, not the name under which the event leaves the process
};
struct anything {
  std::any what;
};

class postman : public actor<parcel> {
 public:
  explicit postman(std::shared_ptr<std::string> to) : to_(std::move(to)) {}
  void on(parcel p) { *to_ = *p.content; }

 private:
  std::shared_ptr<std::string> to_;
};

}  // namespace

TEST_CASE("an event type is known by one constant") {
  const event_type& r = detail::event_type_of<reserve>;
  CHECK(r.type_name.find("reserve") != std::string_view::npos);
  CHECK(r.wire_name == "shop.reserve");
  CHECK(r.request);
  CHECK(&r == &detail::event_type_of<reserve>);
  CHECK(&r != &detail::event_type_of<opened>);
}

TEST_CASE("an event without a reply is one-way, one without a name stays in the process") {
  CHECK_FALSE(detail::event_type_of<opened>.request);
  CHECK(detail::event_type_of<opened>.wire_name.empty());
  CHECK(detail::event_type_of<person>.wire_name.empty());
}

TEST_CASE("an event holds strings, containers, variants, other events and refs") {
  CHECK(detail::checked_event<nested>());
  CHECK(detail::checked_event<anything>());
}

TEST_CASE("an event that cannot be copied is moved to its handler") {
  testing::executor run{1};
  auto got = std::make_shared<std::string>();
  const auto post = run.system().spawn<postman>({.id = "postman"}, got);
  run.send(post, parcel{std::make_unique<std::string>("a letter")});
  run.run_until_idle();
  CHECK(*got == "a letter");
}

TEST_CASE("interleaved marks an event without being another one") {
  CHECK(std::is_same_v<detail::bare_t<interleaved<reserve>>, reserve>);
  CHECK(detail::bare<interleaved<reserve>>::interleaved);
  CHECK_FALSE(detail::bare<reserve>::interleaved);
}
