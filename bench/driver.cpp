// SPDX-License-Identifier: BSD-3-Clause

// Measures Coppice beside raw CAF and Erlang/OTP. Each row is run by a small program of its own
// kind, one process per row, the contenders back to back, the whole list once per round; what
// is shown are medians. The protocol of those programs is described in bench/README.md.

#include "figures.hpp"
#include "options.hpp"
#include "process.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace coppice::bench;

// ---- what is expected ----------------------------------------------------------------------

// How much better than its peers a row has to be, and how near its reference. A new row is one line
// here and one function in each program that measures it.
struct target {
  std::string_view row;
  std::optional<double> caf{};
  std::optional<double> otp{};
  std::optional<double> reference{};
};

constexpr target targets[] = {
    {"ping_pong", 6.0, 5.0},
    {"ask", 5.0, 5.0},
    {"fan_in_4", 2.5, 1.2},
    {"ring", 6.0, 5.0},
    {"bytes", 2.7, 5.9},
    {"restart_1", 4.0, 3.0},
    {"idle_wake", 2.0, {}},
    {"start", 2.5, 8.0},
    {"stop", 8.0, 40.0},
    {"restart_1000", 3.0, 8.0},
    {"one_for_all", 8.0, 25.0},
    {"remote_rtt_p50", {}, 1 / 1.1, 1 / 1.25},
    {"remote_rtt_p50_tls", {}, {}, 1 / 1.15},
    {"remote_one_way_64", {}, 20.0},
    {"remote_one_way_4k", {}, 5.0},
    {"remote_one_way_4k_tls", {}, 2.5},
    {"peers_16", {}, {}, 0.8},
    {"kill_to_unreachable", {}, {}, 1 / 4.0},
};

// Limits for our own figures that the driver itself knows of; the other guards bring theirs.
constexpr std::pair<std::string_view, double> own_limits[] = {
    {"fan_in_4_rss", 32},
    {"hang_to_suspect", 1'000},
    {"hang_to_unreachable", 5'000},
    {"hang_to_suspect_loopback", 300},
    {"hang_to_unreachable_loopback", 600},
    {"slow_receiver", 64},
    {"slow_receiver_sender", 64},
    {"compile_actor_hpp", 1},
};

constexpr std::string_view compile_guard = "compile_actor_hpp";
constexpr std::string_view cost_ledger = "cost_ledger";

// Guards and the ledger are steadier than the rows, and there are many of them.
constexpr int most_guard_rounds = 3;

// ---- contenders ----------------------------------------------------------------------------

constexpr std::array<std::string_view, contenders> titles = {"ours", "CAF stealing", "CAF sharing",
                                                             "OTP", "reference"};

struct program {
  strings before_row;
  strings after_row{};
  strings rows{};

  strings command(std::string_view row) const {
    auto words = before_row;
    words.emplace_back(row);
    words.insert(words.end(), after_row.begin(), after_row.end());
    return words;
  }
  bool has(std::string_view row) const {
    return std::find(rows.begin(), rows.end(), row) != rows.end();
  }
};

// ---- the run -------------------------------------------------------------------------------

// What one invocation knows: the programs, what is to be run, and what came out.
class bench {
 public:
  bench(const options& chosen, fs::path folder) : options_(chosen), folder_(std::move(folder)) {
    find_our_programs();
    for (const auto& each : targets) rows_.emplace_back(each.row);
    for (const auto& mine : programs_[ours])
      for (const auto& row : mine.rows)
        if (std::find(rows_.begin(), rows_.end(), row) == rows_.end()) rows_.push_back(row);
  }

  // Everything that --rows may name.
  strings names() const {
    auto all = rows_;
    for (const auto& [name, limit] : guards_) all.push_back(name);
    all.emplace_back(compile_guard);
    all.emplace_back(cost_ledger);
    return all;
  }

  void select(const strings& wanted) {
    auto known = names();
    for (const auto& name : wanted)
      if (std::find(known.begin(), known.end(), name) == known.end())
        throw bad_command_line("unknown row '" + name + "'; --list shows all");
    if (!wanted.empty()) selected_ = wanted;
  }

  void run_all() {
    find_peers();
    print_machine();
    for (int round = 1; round <= options_.rounds; ++round) {
      std::cerr << "round " << round << " of " << options_.rounds << ":";
      for (const auto& row : rows_)
        if (chosen(row)) run_row(row, round);
      std::cerr << "\n";
    }
    std::cerr << "guards:";
    for (int round = 1; round <= std::min(options_.rounds, most_guard_rounds); ++round) {
      for (const auto& [guard, limit] : guards_)
        if (chosen(guard)) measure(ours, guarded().command(guard), guard, round, guard_figures_);
      if (chosen(cost_ledger))
        measure(ours, guarded().command(cost_ledger), cost_ledger, round, ledger_figures_);
    }
    if (chosen(compile_guard)) time_compiler();
    std::cerr << "\n";
  }

  void print_tables() const;
  void print_failures() const;
  void write_json() const;
  bool failed() const { return !failures_.empty(); }

 private:
  bool chosen(std::string_view name) const {
    return selected_.empty() ||
           std::find(selected_.begin(), selected_.end(), name) != selected_.end();
  }

  // What a program prints about itself; a program that cannot even do this ends the run.
  std::string query(const program& asked, std::string_view question) const {
    auto answer = run(asked.command(question), std::chrono::seconds(30));
    if (!answer.failure.empty())
      throw std::runtime_error(asked.before_row.front() + " " + std::string(question) + ": " +
                               answer.failure);
    return answer.output;
  }

  void find_our_programs() {
    programs_[ours] = {
        {.before_row = {(folder_ / "bench_coppice_rows").string()}},
        {.before_row = {(folder_ / "bench_coppice_remote_rows").string()},
         .after_row = {std::to_string(options_.slow_receiver.count())}},
    };
    for (auto& mine : programs_[ours]) mine.rows = split(query(mine, "--list"), '\n');
    for (const auto& line : split(query(guarded(), "--list-guards"), '\n')) {
      std::istringstream words(line);
      std::string name;
      double limit = 0;
      words >> name;
      guards_[name] = words >> limit ? std::optional(limit) : std::nullopt;
    }
    std::erase_if(programs_[ours].front().rows, [&](const std::string& row) {
      return guards_.contains(row) || row == cost_ledger;
    });
  }

  // The first of our programs also measures the guards and the ledger.
  const program& guarded() const { return programs_[ours].front(); }

  // Which of a contender's programs knows the row.
  const program* program_for(contender who, std::string_view row) const {
    for (const auto& each : programs_[who])
      if (each.has(row)) return &each;
    return nullptr;
  }

  void find_peers() {
    for (auto [who, policy] : {std::pair{caf_stealing, "stealing"}, {caf_sharing, "sharing"}}) {
      program peer{.before_row = {(folder_ / "bench_caf_rows").string()}};
      peer.rows = split(query(peer, "--list"), '\n');
      caf_version_ = query(peer, "--version");
      peer.after_row = {policy};
      programs_[who] = {peer};
    }
    if (!in_path("erl") || !in_path("erlc")) {
      otp_version_ =
          "no Erlang/OTP: erl and erlc are not in PATH, its columns stay empty "
          "(Debian: erlang-base)\n";
      return;
    }
    for (const char* module : {"otp_rows.erl", "otp_remote_rows.erl"}) {
      auto source = (folder_ / module).string();
      auto compiled = run({"erlc", "-o", scratch_.path().string(), source}, options_.timeout);
      if (!compiled.failure.empty())
        throw std::runtime_error("erlc " + source + ": " + compiled.failure + "\n" +
                                 compiled.output);
    }
    program peer{.before_row = {"erl", "-noshell", "-pa", scratch_.path().string(), "-s",
                                "otp_rows", "main", "-extra"}};
    peer.rows = split(query(peer, "--list"), '\n');
    otp_version_ = query(peer, "--version");
    programs_[otp] = {peer};
  }

  void run_row(const std::string& row, int round) {
    if (!program_for(ours, row)) fail(ours, row, round, "no program knows this row");
    for (int i = 0; i < contenders; ++i) {
      auto who = static_cast<contender>(i);
      if (const auto* knows = program_for(who, row); knows && !has_hung(who, row))
        measure(who, knows->command(row), row, round, row_figures_);
    }
  }

  void measure(contender who, const strings& command, std::string_view row, int round,
               figures& into) {
    if (who == ours) std::cerr << " " << row << std::flush;
    auto result = run(command, options_.timeout);
    // A peer that cannot do a row in time is a finding. Later rounds do not wait for it again.
    if (result.hung && who != ours) {
      hung_.emplace(who, row);
      std::cerr << " (" << remark(who, row) << ")" << std::flush;
      return;
    }
    if (result.failure.empty()) result.failure = into.add(who, result.output);
    if (!result.failure.empty()) fail(who, row, round, result.failure);
  }

  bool has_hung(contender who, std::string_view row) const {
    return hung_.contains({who, std::string(row)});
  }

  // What is to be said of a row that a peer did not end; empty if it did.
  std::string remark(contender who, std::string_view row) const {
    if (!has_hung(who, row)) return {};
    std::ostringstream text;
    text << titles[who] << ": no end within " << options_.timeout.count() << " s";
    return text.str();
  }

  void fail(contender who, std::string_view row, int round, const std::string& why) {
    std::ostringstream text;
    text << titles[who] << ", " << row << ", round " << round << ": " << why;
    failures_.push_back(text.str());
    std::cerr << "\nfailed: " << text.str() << "\n";
  }

  void time_compiler();
  void print_machine() const;
  void print_guards() const;
  void print_ledger() const;

  options options_;
  fs::path folder_;
  scratch_folder scratch_;
  std::array<std::vector<program>, contenders> programs_;
  std::set<std::pair<contender, std::string>> hung_;  // rows that a peer did not end in time
  std::string caf_version_;
  std::string otp_version_;
  strings rows_;
  strings selected_;
  std::map<std::string, std::optional<double>> guards_;
  figures row_figures_;
  figures guard_figures_;
  figures ledger_figures_;
  strings failures_;
};

void bench::time_compiler() {
  // A compiler cache would be measured instead.
  setenv("CCACHE_DISABLE", "1", 1);
  auto source = (scratch_.path() / "only_actor.cpp").string();
  std::ofstream(source) << "#include <coppice/actors/actor.hpp>\n";
  strings command = {BENCH_CXX, "-std=c++20", "-O2", "-c", "-o", "/dev/null"};
  for (const auto& folder : split(BENCH_INCLUDES, ':'))
    command.insert(command.end(), {"-I", folder});
  command.push_back(source);
  for (int round = 1; round <= 3; ++round) {
    auto start = std::chrono::steady_clock::now();
    auto result = run(command, options_.timeout);
    std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (result.failure.empty())
      guard_figures_.add(ours,
                         std::string(compile_guard) + " " + std::to_string(taken.count()) + " s\n");
    else return fail(ours, compile_guard, round, result.failure);
  }
}

// ---- tables --------------------------------------------------------------------------------

// For people: three digits, thousands and millions by a letter.
std::string readable(std::optional<double> value) {
  if (!value) return "-";
  double shown = *value;
  const char* suffix = "";
  if (shown >= 1e6) {
    shown /= 1e6;
    suffix = " M";
  } else if (shown >= 1e4) {
    shown /= 1e3;
    suffix = " k";
  }
  std::ostringstream text;
  int decimals = shown >= 100 || shown == 0 ? 0 : shown >= 10 ? 1 : 2;
  text << std::fixed << std::setprecision(decimals) << shown << suffix;
  return text.str();
}

// The first column is to the left, numbers are to the right, the last is a remark.
void print_table(const std::vector<strings>& lines) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths.resize(std::max(widths.size(), line.size()));
      widths[i] = std::max(widths[i], line[i].size());
    }
  for (const auto& line : lines) {
    std::ostringstream text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      bool left = i == 0 || i + 1 == line.size();
      text << (i == 0 ? "" : "  ") << (left ? std::left : std::right)
           << std::setw(static_cast<int>(widths[i])) << line[i];
    }
    auto shown = text.str();
    shown.erase(shown.find_last_not_of(' ') + 1);
    std::cout << shown << "\n";
  }
}

target target_of(const std::string& row) {
  for (const auto& each : targets)
    if (each.row == row) return each;
  return {row};
}

bool below(std::optional<double> ratio, std::optional<double> wanted) {
  return ratio && wanted && *ratio < *wanted;
}

std::string first_line_of(const char* file, std::string_view field) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with(field) && line.find(':') != std::string::npos)
      return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown CPU";
}

void bench::print_machine() const {
#ifdef __clang__
  constexpr const char* compiler = "";
#else
  constexpr const char* compiler = "g++ ";
#endif
  auto bare = [](const std::string& line) { return line.substr(0, line.find('\n')); };
  std::cout << "machine: " << first_line_of("/proc/cpuinfo", "model name") << ", "
            << std::thread::hardware_concurrency() << " cores, " << compiler << __VERSION__ << ", "
            << bare(caf_version_) << ", " << bare(otp_version_) << "\n"
            << std::flush;
}

void bench::print_tables() const {
  if (!row_figures_.all().empty()) {
    std::cout << "\nMedians; rounds: " << options_.rounds
              << ". A ratio above 1 says that we are better; CAF's is to its better "
                 "policy. Ref is what ours measured beside it.\n\n";
    std::vector<strings> lines = {{"row", "unit", "ours", "CAF stealing", "CAF sharing", "OTP",
                                   "ref", "ratio CAF", "target CAF", "ratio OTP", "target OTP",
                                   "ratio ref", "target ref", ""}};
    for (const auto& row : row_figures_.all()) {
      auto wanted = target_of(row.name);
      auto caf = row.ratio_to(row.caf()), erlang = row.ratio_to(row.median(otp)),
           beside = row.ratio_to(row.median(reference));
      bool missed =
          below(caf, wanted.caf) || below(erlang, wanted.otp) || below(beside, wanted.reference);
      std::string remarks = missed ? "BELOW TARGET" : "";
      for (auto who : {caf_stealing, caf_sharing, otp})
        if (auto said = remark(who, row.name); !said.empty())
          remarks += (remarks.empty() ? "" : "; ") + said;
      lines.push_back({row.name, row.unit, readable(row.median(ours)),
                       readable(row.median(caf_stealing)), readable(row.median(caf_sharing)),
                       readable(row.median(otp)), readable(row.median(reference)), readable(caf),
                       readable(wanted.caf), readable(erlang), readable(wanted.otp),
                       readable(beside), readable(wanted.reference), remarks});
    }
    print_table(lines);
  }
  print_guards();
  print_ledger();
}

void bench::print_guards() const {
  std::vector<strings> lines = {{"guard", "unit", "ours", "limit", ""}};
  auto limit_of = [this](const std::string& name) -> std::optional<double> {
    for (const auto& [limited, limit] : own_limits)
      if (limited == name) return limit;
    auto found = guards_.find(name);
    return found == guards_.end() ? std::nullopt : found->second;
  };
  auto add = [&](const metric& guard, std::optional<double> limit) {
    auto mine = guard.median(ours);
    bool over = mine && limit && *mine > *limit;
    lines.push_back(
        {guard.name, guard.unit, readable(mine), readable(limit), over ? "OVER ITS LIMIT" : ""});
  };
  for (const auto& row : row_figures_.all())
    if (auto limit = limit_of(row.name)) add(row, limit);
  for (const auto& guard : guard_figures_.all()) add(guard, limit_of(guard.name));
  if (lines.size() == 1) return;
  std::cout << "\nGuards: our own figures and what they may be at most.\n\n";
  print_table(lines);
}

void bench::print_ledger() const {
  if (ledger_figures_.all().empty()) return;
  std::map<std::string, std::map<std::string, std::optional<double>>> prices;
  strings features;
  for (const auto& price : ledger_figures_.all()) {
    auto feature = price.name.substr(price.name.find(':') + 1);
    if (!prices.contains(feature)) features.push_back(feature);
    prices[feature][price.unit] = price.median(ours);
  }
  std::vector<strings> lines = {{"feature", "ns", "bytes", ""}};
  for (const auto& feature : features)
    lines.push_back(
        {feature, readable(prices[feature]["ns"]), readable(prices[feature]["bytes"]), ""});
  std::cout << "\nCost ledger: what each feature adds to one event.\n\n";
  print_table(lines);
}

void bench::print_failures() const {
  if (failures_.empty()) return;
  std::cout << "\nFailed runs (their figures are missing above):\n";
  for (const auto& each : failures_) std::cout << "  " << each << "\n";
}

// ---- JSON ----------------------------------------------------------------------------------

// Whoever reads the file sees the old content or the whole new one.
void write_atomically(const std::string& file, const std::string& content) {
  auto draft = file + ".tmp" + std::to_string(getpid());
  std::ofstream stream(draft);
  stream << content;
  stream.close();
  std::error_code error;
  if (stream) fs::rename(draft, file, error);
  if (!stream || error) {
    std::error_code ignored;
    fs::remove(draft, ignored);
    throw std::runtime_error("cannot write " + file + ": " +
                             (error ? error.message() : std::strerror(errno)));
  }
}

// A wrong path should be known before minutes of measuring, not after.
void check_writable(const std::string& file) {
  auto draft = file + ".tmp" + std::to_string(getpid());
  bool writable = !fs::is_directory(file) && std::ofstream(draft).is_open();
  std::error_code ignored;
  fs::remove(draft, ignored);
  if (!writable) throw bad_command_line("--json: cannot write '" + file + "'");
}

void bench::write_json() const {
  write_atomically(options_.json, to_json({&row_figures_, &guard_figures_, &ledger_figures_}));
}

int bench_main(int argc, char** argv) {
  auto chosen = parse(argc, argv);
  bench all(chosen, fs::read_symlink("/proc/self/exe").parent_path());
  if (chosen.list) {
    for (const auto& name : all.names()) std::cout << name << "\n";
    return 0;
  }
  all.select(chosen.rows);
  if (!chosen.json.empty()) check_writable(chosen.json);
  all.run_all();
  all.print_tables();
  all.print_failures();
  if (!chosen.json.empty()) all.write_json();
  return all.failed() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return bench_main(argc, argv);
  } catch (const bad_command_line& error) {
    std::cerr << "coppice_bench: " << error.what() << "\n" << usage;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "coppice_bench: " << error.what() << "\n";
    return 1;
  }
}
