// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/detail/id_index.hpp>

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

using coppice::detail::id_index;

namespace {

struct named {
  std::vector<std::string> names;
  id_index index;

  std::uint32_t add(std::string name) {
    names.push_back(std::move(name));
    const auto at = static_cast<std::uint32_t>(names.size() - 1);
    index.insert(at, id_index::hash_of(names.back()));
    return at;
  }
  std::uint32_t find(std::string_view name) const {
    return index.find(id_index::hash_of(name), [&](std::uint32_t i) { return names[i] == name; });
  }
};

}  // namespace

TEST_CASE("an empty index finds nothing") {
  const named n;
  CHECK(n.find("till") == id_index::none);
  CHECK(n.find("") == id_index::none);
}

TEST_CASE("an index finds what was put in and nothing else") {
  named n;
  const auto till = n.add("till");
  const auto stock = n.add("stock");
  CHECK(n.find("till") == till);
  CHECK(n.find("stock") == stock);
  CHECK(n.find("til") == id_index::none);
}

TEST_CASE("an erased id is not found, and can be put in again under another number") {
  named n;
  const auto till = n.add("till");
  n.index.erase(till, id_index::hash_of("till"));
  CHECK(n.find("till") == id_index::none);
  n.index.erase(till, id_index::hash_of("till"));
  const auto again = n.add("till");
  CHECK(again != till);
  CHECK(n.find("till") == again);
}

TEST_CASE("ids that come and go for ever do not fill the table with erased places") {
  named n;
  n.add("stays");
  n.names.resize(2);
  for (int i = 0; i < 10'000; ++i) {
    n.names[1] = "guest " + std::to_string(i);
    n.index.insert(1, id_index::hash_of(n.names[1]));
    REQUIRE(n.find(n.names[1]) == 1);
    n.index.erase(1, id_index::hash_of(n.names[1]));
    REQUIRE(n.find(n.names[1]) == id_index::none);
  }
  CHECK(n.find("stays") == 0);
}

TEST_CASE("whatever is put in and erased, an index agrees with a map") {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    named n;
    std::map<std::string, std::uint32_t> model;
    for (int i = 0; i < 2'000; ++i) {
      const std::string name = "c" + std::to_string(random() % 300);
      const auto known = model.find(name);
      REQUIRE(n.find(name) == (known == model.end() ? id_index::none : known->second));
      if (known == model.end()) {
        model[name] = n.add(name);
      } else if (random() % 2) {
        n.index.erase(known->second, id_index::hash_of(name));
        model.erase(known);
      }
    }
    for (const auto& [name, at] : model) REQUIRE(n.find(name) == at);
  }
}
