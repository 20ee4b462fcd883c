// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/trees.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <ostream>
#include <thread>
#include <utility>

#include <boost/json.hpp>

namespace coppice::command {

namespace json = boost::json;

namespace {

constexpr std::chrono::milliseconds try_again{1'000};

std::string query(const std::string& what, const std::string& path, bool text) {
  std::string q = what;
  if (!path.empty()) q += "?path=" + http::encoded(path);
  if (text) q += (path.empty() ? "?" : "&") + std::string{"format=text"};
  return q;
}

/// Several nodes print at the same time, a line each.
class printer {
 public:
  explicit printer(const terminal& to) : to_(to) {}
  void out(const std::string& text) {
    std::lock_guard lock{guard_};
    to_.out << text << std::flush;
  }
  void err(const std::string& text) {
    std::lock_guard lock{guard_};
    to_.err << text << std::flush;
  }

 private:
  const terminal& to_;
  std::mutex guard_;
};

/// Goes on for ever: a node that is away may come back.
void follow(const cluster_config& config, const node_config& node, const std::string& path,
            bool as_json, printer& to) {
  const std::string name = node.name;
  std::string told;  // the last trouble: once is enough
  const auto trouble = [&](const std::string& text) {
    if (text != told) to.err(name + ": " + text + "; trying again\n");
    told = text;
  };
  for (;; std::this_thread::sleep_for(try_again)) {
    const auto call = reach(config, node, query("/api/tree/follow", path, false));
    if (!call) {
      trouble(sentence(call.error()));
      continue;
    }
    const auto end = http::follow(*call, [&](std::string_view line) {
      told.clear();
      if (as_json) {
        to.out("{\"node\":" + json::serialize(json::string(name)) +
               ",\"told\":" + std::string{line} + "}\n");
      } else if (line.starts_with("{\"snapshot\":")) {
        auto whole = *call;
        whole.path = query("/api/tree", path, true);
        const auto tree = http::get(whole);
        if (tree && tree->status == 200) to.out(name + ":\n" + tree->body);
      } else if (const std::string text = change_text(line); !text.empty()) {
        to.out(name + ": " + text + '\n');
      }
      return true;
    });
    if (!end) trouble(sentence(end.error()));
    else if (end->status != 200) trouble(refusal_in(*end));
    else trouble("the node has ended");
  }
}

}  // namespace

std::string change_text(std::string_view line) {
  json::error_code failed;
  const json::value told = json::parse(line, failed);
  if (failed || !told.is_object()) return {};
  const json::object& record = told.get_object();
  if (const auto* lost = record.if_contains("lost"))
    return json::serialize(*lost) + " changes were missed; the tree as it is now follows";
  const auto* child = record.if_contains("child");
  if (!child || !child->is_object()) return {};
  const json::object& c = child->get_object();
  const auto text = [&c](const char* key) {
    const auto* value = c.if_contains(key);
    if (!value) return std::string{};
    return value->is_string() ? std::string{value->get_string()} : json::serialize(*value);
  };
  std::string out = text("path") + ' ' + text("state") + " #" + text("incarnation");
  if (const std::string n = text("restarts"); n != "0")
    out += ", " + n + (n == "1" ? " restart" : " restarts");
  if (const std::string next = text("next_attempt_ms"); !next.empty())
    out += ", next attempt in " + next + " ms";
  if (const std::string reason = text("last_reason"); !reason.empty()) out += ", last: " + reason;
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

int show_trees(const cluster_config& config, const tree_request& request, const terminal& to) {
  const target what = target_of(request.what);
  std::vector<std::string> names = request.nodes;
  if (!what.node.empty()) names.push_back(what.node);
  const auto nodes = chosen(config, names);
  if (!nodes) {
    to.err << sentence(nodes.error()) << '\n';
    return exit_usage;
  }
  if (request.follow) {
    printer print{to};
    std::vector<std::thread> all;
    for (const node_config& node : *nodes)
      all.emplace_back([&] { follow(config, node, what.path, request.json, print); });
    for (std::thread& one : all) one.join();
  }

  // Of a path without a node most nodes need not know anything.
  const bool anywhere = names.empty() && !what.path.empty() && nodes->size() > 1;
  int code = 0;
  bool found = false;
  for (const node_config& node : *nodes) {
    const auto call = reach(config, node, query("/api/tree", what.path, !request.json));
    const auto got = call ? http::get(*call) : result<http::response>{call.error()};
    if (got && got->status == 200) {
      found = true;
      if (nodes->size() > 1 && !request.json) to.out << node.name << ":\n";
      to.out << got->body << std::flush;
    } else if (!(anywhere && got && got->status == 404)) {
      to.err << node.name << ": " << (got ? refusal_in(*got) : sentence(got.error())) << '\n';
      code = exit_failed;
    }
  }
  if (anywhere && !found && code == 0) {
    to.err << "no node has '" << what.path << "'\n";
    code = exit_failed;
  }
  return code;
}

}  // namespace coppice::command
