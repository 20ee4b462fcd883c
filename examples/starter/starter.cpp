// SPDX-License-Identifier: BSD-3-Clause
// A service on two nodes: a sensor on one measures, a recorder on the other writes down what.
#include <coppice/runtime/node/node.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;

// Events are plain structs; one that names its reply is a request. What goes to another node
// declares its name.
struct recorded {
  static constexpr std::string_view name = "starter.recorded";
  std::int64_t readings;  // in all
};
struct record {
  static constexpr std::string_view name = "starter.record";
  std::int64_t time_ms;  // tells one reading from another
  double celsius;
  using reply = recorded;
};
struct tick {};

/// Keeps readings in a file, so that they outlive its crashes and its node's.
class recorder : public coppice::actor<record> {
 public:
  explicit recorder(std::string file) : file_(std::move(file)) {
    std::ifstream old{file_};
    for (record r{}; old >> r.time_ms >> r.celsius; ++readings_) last_ms_ = r.time_ms;
  }

  coppice::result<recorded> on(const record& r) {
    if (r.celsius > 100) throw std::runtime_error("that is no temperature");  // a crash
    if (r.time_ms > last_ms_) {  // else it is written down, and only the answer was lost
      std::ofstream to{file_, std::ios::app};
      if (!(to << r.time_ms << ' ' << r.celsius << std::endl))
        return coppice::fail("cannot write " + file_);  // an answer
      last_ms_ = r.time_ms;
      ++readings_;
    }
    return recorded{readings_};
  }

 private:
  std::string file_;
  std::int64_t last_ms_ = 0;
  std::int64_t readings_ = 0;
};

/// Measures once a second. A reading that was not recorded is sent again until it is.
class sensor : public coppice::actor<tick> {
 public:
  explicit sensor(coppice::ref<record> recorder) : recorder_(std::move(recorder)) {}

  void started() { send(self(), tick{}); }

  coppice::task<> on(const tick&) {
    if (!reading_) reading_ = measure();
    auto asked = ask(recorder_, *reading_, 2s);
    auto answer = co_await asked;  // other actors run meanwhile
    if (answer) {
      std::printf("%.1f degrees, readings: %lld\n", reading_->celsius,
                  static_cast<long long>(answer->readings));
    } else {
      std::printf("%.1f degrees: %s\n", reading_->celsius, answer.error().message().c_str());
    }
    // What the recorder has crashed on would crash it again.
    if (answer || answer.error().code() == coppice::errc::crashed) reading_.reset();
    send_after(1s, tick{});
  }

 private:
  record measure() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const bool broken = ++measured_ % 10 == 0;
    return {std::chrono::floor<std::chrono::milliseconds>(now).count(),
            broken ? 999.0 : 20.0 + 0.5 * static_cast<double>(measured_ % 4)};
  }

  coppice::ref<record> recorder_;  // stays valid over crashes of the recorder and its node
  std::optional<record> reading_;
  int measured_ = 0;
};

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // each line at once, into a pipe as well
  coppice::program starter{"starter", "Measures on one node and records on another."};
  std::string file = "readings.txt";
  starter.option("--file", file, "where readings are kept");

  return starter.run(argc, argv, [&](coppice::children& top) {
    coppice::cluster& nodes = starter.cluster();
    const bool alone = !starter.node().config;
    coppice::ref<record> desk;
    if (alone || nodes.has_role("store")) {
      desk = top.add<recorder>("recorder", file);
    } else {
      const auto stores = nodes.nodes_with("store");
      if (stores.empty()) throw std::runtime_error("no node has the role 'store'");
      desk = nodes.at<record>(stores.front() + ":/starter/recorder").value();
    }
    if (alone || nodes.has_role("sensor")) top.add<sensor>("sensor", desk);
  });
}
