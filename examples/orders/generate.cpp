// SPDX-License-Identifier: BSD-3-Clause
/// Writes the orders a seed stands for, one per line, as FORMAT.md describes them.
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include <CLI/CLI.hpp>

#include "scenario.hpp"

namespace {

struct options {
  std::uint64_t seed = 0;
  std::uint64_t lines = 0;
  std::string out;
  bool kinds = false;
};

void write_orders(const orders::scenario& run, std::uint64_t lines, std::ostream& out) {
  for (std::uint64_t line = 1; line <= lines && out; ++line) out << run.text(line) << '\n';
}

void write_kinds(const orders::scenario& run, std::uint64_t lines, std::ostream& out) {
  std::map<std::string, std::uint64_t> counts;
  for (std::uint64_t line = 1; line <= lines; ++line) ++counts[run.kind(line)];
  for (const auto& [kind, count] : counts) out << count << ' ' << kind << '\n';
}

int generate(const options& chosen) {
  std::ofstream file;
  if (!chosen.out.empty()) {
    file.open(chosen.out, std::ios::binary | std::ios::trunc);
    if (!file) {
      std::cerr << "orders_generate: cannot open " << chosen.out << " for writing\n";
      return 2;
    }
  }
  std::ostream& out = chosen.out.empty() ? std::cout : file;
  const orders::scenario run{chosen.seed};
  (chosen.kinds ? write_kinds : write_orders)(run, chosen.lines, out);
  out.flush();
  if (!out) {
    const auto target = chosen.out.empty() ? std::string{"standard output"} : chosen.out;
    std::cerr << "orders_generate: cannot write to " << target << ", the orders are incomplete\n";
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  CLI::App app{"Writes the orders of the shop example, fixed by a seed, as JSON Lines."};
  app.name("orders_generate");
  options chosen;
  app.add_option("--seed", chosen.seed, "what fixes every line")
      ->required()
      ->check(orders::problem_with_seed);
  app.add_option("--lines", chosen.lines, "how many lines to write")
      ->required()
      ->check(CLI::Range(std::uint64_t{1}, orders::most_lines));
  app.add_option("--out", chosen.out, "the file to write; standard output if not given");
  app.add_flag("--kinds", chosen.kinds, "count the kinds of lines instead of writing the lines");
  try {
    app.parse(argc, argv);
    return generate(chosen);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::cerr << "orders_generate: " << error.what() << '\n';
    return 2;
  }
}
