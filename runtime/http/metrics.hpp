// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Numbers for a monitoring system, in Prometheus' text format, version 0.0.4.
///
///     coppice::http::metric letters{"coppice_dead_letters_total", "Events nobody handled."};
///     letters.samples.push_back({{{"reason", "overloaded"}}, 12});
///     std::cout << coppice::http::to_prometheus({letters});
namespace coppice::http {

enum class metric_type : std::uint8_t {
  counter,  ///< only grows, from the process's start; its name ends in `_total`
  gauge,
};

struct sample {
  std::vector<std::pair<std::string, std::string>> labels{};
  double value = 0;
};

struct metric {
  std::string name;  ///< letters, digits and `_`; what else is in it is written as `_`
  std::string help;
  metric_type type = metric_type::counter;
  std::vector<sample> samples{};

  /// One without labels.
  static metric of(std::string name, std::string help, metric_type type, double value) {
    return {std::move(name), std::move(help), type, {{{}, value}}};
  }
};

inline constexpr std::string_view prometheus_type = "text/plain; version=0.0.4; charset=utf-8";

/// A metric without samples is left out.
std::string to_prometheus(const std::vector<metric>& metrics);

}  // namespace coppice::http
