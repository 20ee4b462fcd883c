// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/supervised_tree.hpp>

#include <coppice/actors/outside.hpp>
#include <coppice/supervision/detail/supervisor.hpp>

#include <algorithm>
#include <utility>

namespace coppice {

using std::chrono::milliseconds;

struct supervised_tree::implementation {
  system& home;
  std::shared_ptr<detail::supervision_scope> scope;
  ref<detail::list_children> root;
};

namespace {

using supervisor_ref = ref<detail::list_children>;

/// Asks on from `node` downwards. Stops asking when the time is up. One that starts or stops
/// would answer only afterwards, so it is not asked.
void fill(outside& asker, tree_node& node, const supervisor_ref& from,
          std::chrono::steady_clock::time_point until) {
  if (node.state != "running") return;
  const auto left =
      std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
  auto rows = asker.ask(from, detail::list_children{}, std::max(left, milliseconds{0}));
  if (!rows) {
    node.state = "no answer";
    return;
  }
  node.kind = std::move(rows->kind);
  for (detail::child_row& row : rows->rows) {
    node.children.push_back(std::move(row.node));
    if (row.cell)
      fill(asker, node.children.back(), detail_ref::make<supervisor_ref>(row.cell.get()), until);
  }
}

}  // namespace

supervised_tree::supervised_tree(system& home, std::string id, children::builder build,
                                 supervision_observer* watch)
    : impl_(new implementation{home, std::make_shared<detail::supervision_scope>(watch), {}}) {
  impl_->root =
      home.spawn<supervisor>({.id = std::move(id)}, impl_->scope,
                             std::make_shared<detail::address_book>(), std::move(build), true);
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
  fill(asker, node, impl_->root, std::chrono::steady_clock::now() + deadline);
  return node;
}

}  // namespace coppice
