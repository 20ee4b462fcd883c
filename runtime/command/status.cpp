// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/status.hpp>

#include <algorithm>
#include <cstdio>
#include <future>
#include <map>
#include <ostream>
#include <utility>

#include <boost/json.hpp>

namespace coppice::command {

namespace json = boost::json;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds deadline{2'000};
constexpr std::size_t incarnation_shown = 8;

/// Two answers of one node: what was read, and its text.
struct answer {
  node_row row;
  std::string text;
};

answer ask(const cluster_config& config, const node_config& node) {
  answer a;
  a.row.name = node.name;
  auto call = reach(config, node, "/api/members");
  if (!call) {
    a.row.trouble = sentence(call.error());
    return a;
  }
  call->deadline = deadline;
  const auto got = http::get(*call);
  if (!got) {
    a.row.trouble = sentence(got.error());
  } else if (got->status != 200) {
    a.row.trouble = refusal_in(*got);
  } else {
    auto row = read_members(got->body);
    if (row) {
      a.row = std::move(*row);
      a.text = got->body;
    } else {
      a.row.trouble = sentence(row.error());
    }
    // Two nodes with swapped addresses must not pass for each other.
    if (row && a.row.name != node.name) {
      const std::string other = a.row.name;
      a = {};
      a.row.name = node.name;
      a.row.trouble = call->address + " is the node '" + other + "'";
    }
  }
  return a;
}

std::string opinions_text(const node_row& row) {
  std::string text;
  for (const auto& [name, opinion] : row.opinions)
    text += (text.empty() ? "" : ", ") + name + ' ' + opinion;
  return text.empty() ? "-" : text;
}

}  // namespace

result<node_row> read_members(std::string_view text) {
  try {
    const json::value body = json::parse(text);
    const auto as_text = [](const json::value& v) { return std::string{v.as_string()}; };
    node_row row;
    row.name = as_text(body.at("node"));
    row.ready = body.at("ready").as_bool();
    for (const auto& reason : body.at("reasons").as_array()) row.reasons.push_back(as_text(reason));
    row.incarnation = as_text(body.at("incarnation"));
    row.up = milliseconds{body.at("up_ms").to_number<std::int64_t>()};
    row.actors = body.at("actors").to_number<std::uint64_t>();
    row.restarts = body.at("restarts").to_number<std::uint64_t>();
    row.dead_letters = body.at("dead_letters").to_number<std::uint64_t>();
    for (const auto& member : body.at("members").as_array())
      row.opinions.emplace_back(as_text(member.at("name")), as_text(member.at("opinion")));
    return row;
  } catch (const std::exception& e) {
    return error{errc::failed, std::string{"its answer is none of a node's: "} + e.what()};
  }
}

std::string duration_text(milliseconds time) {
  const auto s = time.count() / 1'000;
  char text[48];
  if (s < 60) std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(time.count()) / 1'000);
  else if (s < 3'600)
    std::snprintf(text, sizeof text, "%lld min %lld s", static_cast<long long>(s / 60),
                  static_cast<long long>(s % 60));
  else if (s < 86'400)
    std::snprintf(text, sizeof text, "%lld h %lld min", static_cast<long long>(s / 3'600),
                  static_cast<long long>(s % 3'600 / 60));
  else
    std::snprintf(text, sizeof text, "%lld d %lld h", static_cast<long long>(s / 86'400),
                  static_cast<long long>(s % 86'400 / 3'600));
  return text;
}

std::string status_table(const std::vector<node_row>& rows) {
  std::vector<std::vector<std::string>> cells{
      {"NODE", "STATE", "INCARNATION", "UP", "ACTORS", "RESTARTS", "DEAD LETTERS", "SEES"}};
  for (const node_row& r : rows) {
    if (!r.trouble.empty()) cells.push_back({r.name, "no answer", "", "", "", "", "", ""});
    else
      cells.push_back({r.name, r.ready ? "ready" : "not ready",
                       r.incarnation.substr(0, incarnation_shown), duration_text(r.up),
                       std::to_string(r.actors), std::to_string(r.restarts),
                       std::to_string(r.dead_letters), opinions_text(r)});
  }
  std::vector<std::size_t> widths(cells.front().size());
  for (const auto& line : cells)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());

  std::string out;
  for (std::size_t n = 0; n < cells.size(); ++n) {
    std::string line;
    for (std::size_t i = 0; i < cells[n].size(); ++i) {
      line += cells[n][i];
      line.append(widths[i] - cells[n][i].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
    if (n == 0) continue;
    const node_row& r = rows[n - 1];
    if (!r.trouble.empty()) out += "  " + r.trouble + '\n';
    for (const std::string& reason : r.reasons) out += "  " + reason + '\n';
  }
  return out;
}

int show_status(const cluster_config& config, const std::vector<std::string>& names, bool as_json,
                const terminal& to) {
  const auto nodes = chosen(config, names);
  if (!nodes) {
    to.err << sentence(nodes.error()) << '\n';
    return exit_usage;
  }
  std::vector<std::future<answer>> asked;
  for (const node_config& node : *nodes)
    asked.push_back(std::async(std::launch::async, [&config, &node] { return ask(config, node); }));
  std::vector<node_row> rows;
  for (auto& a : asked) {
    answer got = a.get();
    if (as_json && got.text.empty())
      got.text =
          json::serialize(json::object{{"node", got.row.name}, {"error", got.row.trouble}}) + '\n';
    if (as_json) to.out << got.text;
    rows.push_back(std::move(got.row));
  }
  if (!as_json) to.out << status_table(rows);
  const bool all = std::all_of(rows.begin(), rows.end(), [](const node_row& r) { return r.ready; });
  return all ? 0 : exit_failed;
}

}  // namespace coppice::command
