// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/supervised_tree.hpp>

#include <coppice/actors/outside.hpp>
#include <coppice/supervision/feed_private.hpp>

#include <algorithm>
#include <utility>

namespace coppice {

using std::chrono::milliseconds;

struct supervised_tree::implementation {
  system& home;
  std::shared_ptr<detail::supervision_scope> scope;
  supervisor_ref root;
};

namespace {

using clock = std::chrono::steady_clock;

milliseconds until(clock::time_point then) {
  return std::max(std::chrono::duration_cast<milliseconds>(then - clock::now()), milliseconds{0});
}

/// Asks on from `node` downwards. Stops asking when the time is up. One that starts or stops
/// would answer only afterwards, so it is not asked.
void fill(outside& asker, tree_node& node, const supervisor_ref& from, clock::time_point deadline) {
  if (node.state != "running") return;
  auto list = asker.ask(from, which_children{}, until(deadline));
  if (!list) {
    node.state = "no answer";
    return;
  }
  node.kind = name(list->strategy);
  node.failures = std::move(list->failures);
  if (list->newest_first) std::reverse(list->children.begin(), list->children.end());
  node.children.reserve(list->children.size());
  for (const child_info& child : list->children) {
    node.children.push_back(as_tree_node(child, node.path));
    if (child.kind == child_kind::supervisor)
      fill(asker, node.children.back(), supervisor_at(child.address).value(), deadline);
  }
}

}  // namespace

supervised_tree::supervised_tree(system& home, std::string id, children::builder build,
                                 supervision_observer* watch)
    : impl_(new implementation{home, std::make_shared<detail::supervision_scope>(watch), {}}) {
  impl_->root = home.spawn<supervisor>(
      {.id = std::move(id)},
      detail::supervisor_place{impl_->scope, std::make_shared<detail::address_book>(), true,
                               nullptr},
      std::move(build));
}

supervised_tree::~supervised_tree() = default;

result<void> supervised_tree::wait_until_up(milliseconds deadline) {
  detail::supervision_scope& s = *impl_->scope;
  std::unique_lock lock{s.guard};
  s.changed.wait_for(lock, deadline, [&s] { return s.up || s.settled; });
  if (s.ended) return error{errc::failed, s.ended->text(), {}, nullptr};
  if (s.up) return {};
  return error{errc::timeout, "the tree has not started within the deadline", impl_->root.path()};
}

bool supervised_tree::up() const {
  std::lock_guard lock{impl_->scope->guard};
  return impl_->scope->up && !impl_->scope->ended;
}

std::optional<exit_reason> supervised_tree::ended() const {
  std::lock_guard lock{impl_->scope->guard};
  return impl_->scope->ended;
}

std::optional<exit_reason> supervised_tree::wait_until_ended(milliseconds deadline) {
  detail::supervision_scope& s = *impl_->scope;
  std::unique_lock lock{s.guard};
  s.changed.wait_for(lock, deadline, [&s] { return s.settled; });
  return s.settled ? s.ended : std::nullopt;
}

void supervised_tree::request_stop(exit_reason why) {
  detail_ref::get(impl_->root)->stop(std::move(why), 0);
}

std::optional<exit_reason> supervised_tree::stop(milliseconds deadline) {
  // Killing takes time too: a tenth of the deadline is left for it.
  const milliseconds for_kill = std::max(deadline / 10, milliseconds{1});
  request_stop();
  if (auto why = wait_until_ended(deadline - for_kill)) return why;
  detail_ref::get(impl_->root)->kill(exit_reason::killed());
  return wait_until_ended(for_kill);
}

tree_node supervised_tree::snapshot(milliseconds deadline) {
  outside asker{impl_->home};
  const detail::cell& root = *detail_ref::get(impl_->root);
  tree_node node;
  node.path = root.path();
  node.kind = "supervisor";
  node.supervisor = true;
  node.incarnation = root.incarnation();
  node.version = impl_->scope->version.load(std::memory_order_acquire);
  node.waiting = root.depth();
  node.handled = root.handled();
  {
    std::lock_guard lock{impl_->scope->guard};
    if (impl_->scope->ended) {
      node.state = "ended";
      node.last_reason = impl_->scope->ended->text();
      return node;
    }
    node.state = impl_->scope->up ? "running" : "starting";
  }
  fill(asker, node, impl_->root, clock::now() + deadline);
  return node;
}

tree_feed supervised_tree::follow(std::size_t capacity) {
  auto queue = std::make_shared<detail::feed_queue>(std::max<std::size_t>(capacity, 1));
  std::lock_guard lock{impl_->scope->feed_guard};
  std::erase_if(impl_->scope->feeds, [](const auto& feed) { return feed.expired(); });
  impl_->scope->feeds.push_back(queue);
  impl_->scope->followed.store(true, std::memory_order_relaxed);
  return tree_feed{std::move(queue)};
}

supervisor_ref supervised_tree::root() const noexcept { return impl_->root; }

result<supervisor_ref> supervised_tree::find(std::string_view path, milliseconds deadline) {
  const auto none = [&](const std::string& what) {
    return error{errc::not_found, "there is no supervisor " + std::string{path} + ": " + what};
  };
  const std::string top = impl_->root.path();
  if (path == top) return impl_->root;
  if (!path.starts_with(top + '/')) return none("the tree's paths begin with " + top);
  outside asker{impl_->home};
  const auto then = clock::now() + deadline;
  supervisor_ref at = impl_->root;
  for (std::string_view rest = path.substr(top.size() + 1); !rest.empty();) {
    const std::string_view id = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), id.size() + 1));
    auto found = asker.ask(at, which_child{std::string{id}}, until(then));
    if (!found) return found.error();
    const auto below = supervisor_at(found->address);
    if (!below) return none(found->address.path() + " is a worker");
    at = *below;
  }
  return at;
}

}  // namespace coppice
