// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/node/node.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

struct parcel {
  std::string content;
};
/// Takes 100 us for a parcel, hence some 10,000 a second at most.
class sorter : public actor<parcel> {
 public:
  void on(const parcel&) { std::this_thread::sleep_for(100us); }
};

std::uint64_t resident_bytes() {
  std::ifstream statm{"/proc/self/statm"};
  std::uint64_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

#if defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t permitted = 512ull << 20;  // freed memory is kept in quarantine
#else
constexpr std::uint64_t permitted = 64ull << 20;
#endif

}  // namespace

TEST_CASE("a mailbox flooded at ten times the drain rate refuses, and memory stays bounded") {
  node_options options;
  options.log.level = log_level::off;
  ref<parcel> at;
  node home{options, [&](children& c) { at = c.add<sorter>("sorter"); }};
  REQUIRE(home.start());
  const std::uint64_t idle = resident_bytes();

  const auto time = std::getenv("COPPICE_SOAK") ? 10s : 2s;
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t sent = 0, most = 0;
  for (auto now = begin; now < begin + time; now = std::chrono::steady_clock::now()) {
    // 1,000 in 10 ms are 100,000 a second.
    for (int i = 0; i < 1'000; ++i) home.outside().send(at, parcel{std::string(100, 'x')});
    sent += 1'000;
    most = std::max(most, resident_bytes());
    std::this_thread::sleep_until(now + 10ms);
  }

  const std::uint64_t refused =
      home.metrics().dead_letters[static_cast<std::size_t>(dead_letter_reason::overflow)];
  const tree_node now = home.tree();
  MESSAGE(sent << " sent, " << refused << " refused, at most "
               << (most > idle ? most - idle : 0) / 1024 << " KiB above idle");
  CHECK(refused > sent / 2);
  CHECK(now.children.at(0).waiting <= 10'000);
  CHECK(most < idle + permitted);
  CHECK(home.stop(30s));
  CHECK(home.metrics().dead_letters[static_cast<std::size_t>(dead_letter_reason::overflow)] ==
        refused);
}
