// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/phi.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <deque>
#include <random>

using coppice::detail::phi_detector;
using std::chrono::microseconds;
using namespace std::chrono_literals;

namespace {

/// A detector that has seen nothing but silences of 200 ms +- `jitter`, so many of each.
phi_detector regular(microseconds jitter = 0ms) {
  phi_detector d{100, 200ms};
  for (int i = 0; i < 50; ++i) {
    d.add(200ms - jitter);
    d.add(200ms + jitter);
  }
  return d;
}

}  // namespace

TEST_CASE("a silence as long as usual surprises nobody, and the longer it lasts the more it does") {
  const phi_detector d = regular();
  CHECK(d.phi(200ms) == doctest::Approx(0.301).epsilon(0.001));  // one in two
  double before = d.phi(0ms);
  CHECK(before < 0.01);
  for (microseconds silence = 1ms; silence < 5s; silence += 1ms) {
    const double now = d.phi(silence);
    CHECK(now >= before);
    before = now;
  }
}

TEST_CASE("phi is the negative logarithm of the tail of a normal distribution") {
  // One deviation is 100 ms; the chances are those of the tables.
  const phi_detector d = regular(100ms);
  CHECK(d.phi(300ms) == doctest::Approx(-std::log10(0.158655)).epsilon(1e-4));
  CHECK(d.phi(400ms) == doctest::Approx(-std::log10(0.022750)).epsilon(1e-4));
  CHECK(d.phi(700ms) == doctest::Approx(-std::log10(2.8665e-7)).epsilon(1e-4));
}

TEST_CASE("the silence at which phi reaches a threshold is found without looking for it") {
  CHECK(phi_detector::deviations(1) == doctest::Approx(1.28155).epsilon(1e-5));
  CHECK(phi_detector::deviations(8) == doctest::Approx(5.61200).epsilon(1e-5));
  const phi_detector d = regular(80ms);
  for (const double phi : {1.0, 3.0, 8.0, 16.0}) {
    const microseconds at = d.silence_at(phi_detector::deviations(phi));
    CHECK(d.phi(at - 1us) < phi);
    CHECK(d.phi(at + 1us) > phi);
  }
}

TEST_CASE("an uneven link may be silent for longer than an even one") {
  CHECK(regular(150ms).phi(700ms) < 4);
  CHECK(regular(10ms).phi(700ms) > 8);
}

TEST_CASE("a link without any jitter is not surprised by a quarter of the usual silence") {
  // Deviations of less than 50 ms count as 50 ms.
  CHECK(regular(0ms).phi(250ms) == doctest::Approx(-std::log10(0.158655)).epsilon(1e-4));
}

TEST_CASE("before it has seen anything it expects what it was told to") {
  const phi_detector d{200, 100ms};
  CHECK(d.silence_at(0) == 100ms);
  CHECK(d.phi(300ms) > 8);
}

TEST_CASE("what has left the window is forgotten") {
  phi_detector d{10, 200ms};
  d.add(20s);
  CHECK(d.phi(5s) < 1);
  for (int i = 0; i < 10; ++i) d.add(200ms);
  CHECK(d.silence_at(0) == 200ms);
  CHECK(d.phi(5s) == phi_detector::most);
}

TEST_CASE("a window agrees with counting its samples, also after millions of them") {
  std::mt19937 random{1};
  phi_detector d{37, 200ms};
  std::deque<double> last;
  for (int i = 0; i < 2'000'000; ++i) {
    const microseconds silence{random() % 60'000'000};
    d.add(silence);
    if (i >= 2'000'000 - 37) last.push_back(static_cast<double>(silence.count()));
  }
  double mean = 0, variance = 0;
  for (const double x : last) mean += x / 37;
  for (const double x : last) variance += (x - mean) * (x - mean) / 37;
  CHECK(static_cast<double>(d.silence_at(0).count()) == doctest::Approx(mean).epsilon(1e-7));
  CHECK(static_cast<double>(d.silence_at(1).count()) ==
        doctest::Approx(mean + std::sqrt(variance)).epsilon(1e-7));
}

TEST_CASE("no silence is too short, too long or too rare for a number") {
  phi_detector d{1'000, 200ms};
  for (int i = 0; i < 2'000; ++i) d.add(i % 2 == 0 ? microseconds{24h} : -5ms);
  CHECK(d.silence_at(0) == phi_detector::longest / 2);
  CHECK(std::isfinite(d.phi(microseconds::max())));
  CHECK(regular().phi(microseconds::max()) == phi_detector::most);
  CHECK(regular().phi(microseconds::min()) >= 0);
}
