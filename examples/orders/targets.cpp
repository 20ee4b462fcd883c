// SPDX-License-Identifier: BSD-3-Clause
#include "targets.hpp"

#include <chrono>
#include <utility>

namespace shop {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 1s;

/// All that stands below `at`, indented, without the path of the top.
void list(const coppice::tree_node& at, std::size_t top_size, std::string& out) {
  if (at.path.size() > top_size) out += "\n  " + at.path.substr(top_size + 1);
  const bool dynamic = at.kind == coppice::name(coppice::strategy::simple_one_for_one);
  if (dynamic) out += "\n  " + at.path.substr(top_size + 1) + "/*";
  else
    for (const coppice::tree_node& child : at.children) list(child, top_size, out);
}

coppice::result<target> find_target(coppice::node& home, const std::string& top,
                                    const std::string& path) {
  const auto slash = path.rfind('/');
  const bool below_top = slash == std::string::npos;
  target found{path, below_top ? path : path.substr(slash + 1), {}};
  auto supervisor = home.find(below_top ? top : top + '/' + path.substr(0, slash), patience);
  if (!supervisor) return supervisor.error();
  found.supervisor = *supervisor;
  if (found.child == "*") return found;
  const auto known =
      home.outside().ask(found.supervisor, coppice::which_child{.id = found.child}, patience);
  if (!known) return known.error();
  return found;
}

}  // namespace

coppice::result<std::vector<target>> find_targets(coppice::node& home,
                                                  const std::vector<std::string>& paths) {
  const coppice::tree_node tree = home.tree(patience);
  std::vector<target> all;
  for (const std::string& path : paths) {
    auto found = find_target(home, tree.path, path);
    if (found) {
      all.push_back(std::move(*found));
      continue;
    }
    std::string text = "there is no '" + path + "' in the tree, but there are:";
    list(tree, tree.path.size(), text);
    return coppice::error{coppice::errc::not_found, std::move(text)};
  }
  return all;
}

}  // namespace shop
