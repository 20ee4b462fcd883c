// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <iomanip>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

/// What the contenders of the bench measured: samples, medians, ratios.
namespace coppice::bench {

/// The last one is no program: what ours measured beside its own figure, in the same process.
enum contender { ours, caf_stealing, caf_sharing, otp, reference, contenders };

inline constexpr std::string_view ledger_prefix = "ledger:";
inline constexpr std::string_view reference_prefix = "reference:";

/// One figure by name and unit: all samples, per contender.
struct metric {
  std::string name;
  std::string unit;
  std::array<std::vector<double>, contenders> samples{};

  /// A rate is better when higher, all else (times, bytes) when lower.
  bool higher_is_better() const { return unit.size() > 2 && unit.ends_with("/s"); }

  std::optional<double> median(contender who) const {
    auto sorted = samples[who];
    if (sorted.empty()) return {};
    std::sort(sorted.begin(), sorted.end());
    auto middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /// CAF is as good as its better policy.
  std::optional<double> caf() const {
    auto a = median(caf_stealing), b = median(caf_sharing);
    if (!a || !b) return a ? a : b;
    return higher_is_better() ? std::max(*a, *b) : std::min(*a, *b);
  }

  /// More than 1: we are better.
  std::optional<double> ratio_to(std::optional<double> peer) const {
    auto mine = median(ours);
    if (!mine || !peer || *mine <= 0 || *peer <= 0) return {};
    return higher_is_better() ? *mine / *peer : *peer / *mine;
  }
};

/// The figures in the order in which they first came.
class figures {
 public:
  /// Takes what a program printed; returns what is wrong with it, or nothing.
  std::string add(contender who, const std::string& output) {
    std::istringstream lines(output);
    int taken = 0;
    for (std::string line; std::getline(lines, line); ++taken) {
      std::istringstream words(line);
      std::string name, unit, surplus;
      double value = 0;
      if (!(words >> name >> value >> unit) || words >> surplus || !std::isfinite(value))
        return "printed '" + line + "', expected NAME VALUE UNIT";
      const bool compared = name.starts_with(reference_prefix);
      if (compared) name.erase(0, reference_prefix.size());
      auto& figure = find(name, unit);
      if (figure.unit != unit)
        return "printed " + name + " in " + unit + ", the others in " + figure.unit;
      figure.samples[compared ? reference : who].push_back(value);
    }
    return taken > 0 ? "" : "printed no figure";
  }

  const std::vector<metric>& all() const { return all_; }

 private:
  metric& find(const std::string& name, const std::string& unit) {
    // A feature in the ledger has two prices, in time and in space.
    bool two_units = name.starts_with(ledger_prefix);
    for (auto& each : all_)
      if (each.name == name && (!two_units || each.unit == unit)) return each;
    return all_.emplace_back(metric{name, unit, {}});
  }

  std::vector<metric> all_;
};

inline std::string quoted(const std::string& text) {
  std::ostringstream json;
  json << '"';
  for (char c : text) {
    if (c == '"' || c == '\\') json << '\\' << c;
    else if (static_cast<unsigned char>(c) < 0x20) json << ' ';
    else json << c;
  }
  json << '"';
  return json.str();
}

inline std::string number(std::optional<double> value) {
  if (!value) return "null";
  std::ostringstream json;
  json << std::setprecision(9) << *value;
  return json.str();
}

/// One array of objects; what is missing is null.
inline std::string to_json(std::initializer_list<const figures*> groups) {
  std::ostringstream json;
  json << "[";
  const char* separator = "\n";
  for (const auto* group : groups)
    for (const auto& each : group->all()) {
      json << separator << "  {\"name\": " << quoted(each.name)
           << ", \"unit\": " << quoted(each.unit) << ", \"ours\": " << number(each.median(ours))
           << ", \"caf\": " << number(each.caf()) << ", \"otp\": " << number(each.median(otp))
           << ", \"reference\": " << number(each.median(reference))
           << ", \"ratio_caf\": " << number(each.ratio_to(each.caf()))
           << ", \"ratio_otp\": " << number(each.ratio_to(each.median(otp)))
           << ", \"ratio_reference\": " << number(each.ratio_to(each.median(reference))) << "}";
      separator = ",\n";
    }
  json << "\n]\n";
  return json.str();
}

}  // namespace coppice::bench
