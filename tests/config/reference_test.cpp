// SPDX-License-Identifier: BSD-3-Clause
#include "tools.hpp"

#include <coppice/runtime/config/keys.hpp>

#include <doctest/doctest.h>

#include <sstream>

using namespace coppice;
namespace fs = std::filesystem;

namespace {

void same_as_file(const fs::path& path, const std::string& generated) {
  const fs::path file = fs::path{COPPICE_SOURCE_DIR} / path;
  CAPTURE(path.string());
  if (tools::regenerate()) tools::write_file(file, generated);
  else CHECK_MESSAGE((tools::read_file(file) == generated), tools::how_to_regenerate);
}

std::string explained(std::string_view key) {
  const auto text = explain(key);
  return text ? *text : text.error().why()->what;
}

}  // namespace

TEST_CASE("the reference page and file in docs/ are what the key tables say") {
  same_as_file("docs/configuration.md", reference_markdown());
  same_as_file("docs/cluster.reference.toml", reference_toml());
}

TEST_CASE("the reference file is read to the defaults") {
  const auto read = tools::parse(reference_toml());
  REQUIRE_MESSAGE(read, tools::said(read));
  cluster_config expected;
  expected.cluster.name = "shop";
  expected.tls.ca = "certificates/ca.pem";
  expected.tls.certificate = "certificates/{node}.pem";
  expected.tls.key = "certificates/{node}.key";
  expected.nodes = {{.name = "alpha", .address = "127.0.0.1:7101"}};
  CHECK(*read == expected);
}

TEST_CASE("the reference file with its examples taken in is read too, and has every key") {
  const std::string text = tools::reference_with_examples();
  const auto read = tools::parse(text);
  REQUIRE_MESSAGE(read, tools::said(read));
  for (const detail::section& s : detail::sections()) {
    CHECK(text.find('\n' + detail::header_of(s) + '\n') != std::string::npos);
    for (const detail::key& k : s.keys)
      CHECK(text.find('\n' + std::string{k.name} + " = ") != std::string::npos);
  }
  CHECK(read->nodes.front().http_token.of == "SHOP_HTTP_TOKEN");
  CHECK(read->allow.front().paths == std::vector<std::string>{"/orders/stock/**"});
}

TEST_CASE("the small file at the top of the reference page is read") {
  const std::string page = reference_markdown();
  const std::size_t begin = page.find("```toml\n") + 8;
  const auto read = tools::parse(page.substr(begin, page.find("```\n", begin) - begin));
  REQUIRE_MESSAGE(read, tools::said(read));
  CHECK(read->nodes.size() == 2);
}

TEST_CASE("the reference page has a row for each key") {
  const std::string page = reference_markdown();
  for (const detail::section& s : detail::sections()) {
    CHECK(page.find("\n## " + detail::header_of(s) + '\n') != std::string::npos);
    for (const detail::key& k : s.keys)
      CHECK(page.find("\n| `" + std::string{k.name} + "` | ") != std::string::npos);
  }
  // A row is one line, of four cells.
  std::istringstream in{page};
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with('|')) continue;
    int bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i)
      if (line[i] == '|' && (i == 0 || line[i - 1] != '\\')) ++bars;
    CHECK_MESSAGE(bars == 5, line);
  }
}

TEST_CASE("what is explained of a key is all that its row says") {
  CHECK(explained("liveness.heartbeat_ms") ==
        R"(liveness.heartbeat_ms
  How often a node tells each peer that it is alive when it has nothing else to
  say.

  type      whole number of milliseconds
  range     10 to 60000 (1 min)
  default   200; under the profile "loopback" 100
  why       Five small frames a second and peer cost nothing, and the times
            below are a few of these.
  agreed    the same on all nodes
  example
    [liveness]
    heartbeat_ms = 200
)");
  CHECK(explained("heartbeat_ms") == explained("liveness.heartbeat_ms"));
  CHECK(explained("node.http_token").find("never") == std::string::npos);
  for (const detail::section& s : detail::sections())
    for (const detail::key& k : s.keys) {
      const std::string text = explained(std::string{s.name} + '.' + std::string{k.name});
      CHECK(text.find("  example\n") != std::string::npos);
      std::istringstream in{text};
      for (std::string line; std::getline(in, line);) CHECK_MESSAGE(line.size() <= 80, line);
    }
}

TEST_CASE("a key's name that several sections have explains them all, a section's lists its keys") {
  const std::string names = explained("name");
  CHECK(names.find("cluster.name\n") != std::string::npos);
  CHECK(names.find("node.name\n") != std::string::npos);
  const std::string liveness = explained("liveness");
  CHECK(liveness.starts_with("[liveness]\n"));
  CHECK(liveness.find("\n  phi_threshold") != std::string::npos);
}

TEST_CASE("a key that is not there is answered with the nearest") {
  CHECK(explained("limits.mesage_bytes") ==
        "there is no key \"limits.mesage_bytes\"; did you mean \"limits.message_bytes\"?");
  CHECK(explained("heartbeat") == "there is no key \"heartbeat\"; did you mean \"heartbeat_ms\"?");
  CHECK(explained("limit") == "there is no key \"limit\"; did you mean \"limits\"?");
  CHECK(explained("") ==
        "there is no key \"\"; the sections are cluster, tls, node, limits, liveness, log, http "
        "and allow");
  CHECK(explained("zebra.stripes").find("the sections are") != std::string::npos);
  CHECK(explained(std::string(10'000, 'x')).size() < 300);
}
