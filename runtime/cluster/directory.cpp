// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/directory.hpp>

#include <chrono>
#include <utility>

namespace coppice {

using namespace std::chrono_literals;
using detail::cell_ptr;

namespace {

/// Of one supervisor. One that is busy with a restart answers later; then whoever looks tries
/// again.
constexpr auto patience = 2s;
constexpr std::size_t deepest = 64;

}  // namespace

struct tree_directory::look_up {
  std::string path;
  std::function<void(cell_ptr, bool)> answer;
};

struct tree_directory::state {
  std::mutex guard;
  supervisor_ref root;
  ref<look_up> resolver;

  supervisor_ref top() {
    std::lock_guard lock{guard};
    return root;
  }
};

class tree_directory::resolver : public actor<look_up> {
 public:
  explicit resolver(std::shared_ptr<state> shared) : shared_(std::move(shared)) {}

  void on(look_up&& l) {
    const supervisor_ref root = shared_->top();
    const std::string top = root.path();
    if (l.path == top) {
      l.answer(cell_ptr{detail_ref::get(root)}, true);
    } else if (!root || !l.path.starts_with(top + '/')) {
      l.answer({}, static_cast<bool>(root));
    } else {
      go_down(root, l.path.substr(top.size() + 1), std::move(l.answer), 0);
    }
  }

 private:
  void go_down(const supervisor_ref& at, const std::string& rest,
               std::function<void(cell_ptr, bool)> answer, std::size_t depth) {
    const auto slash = rest.find('/');
    const std::string below = slash == std::string::npos ? std::string{} : rest.substr(slash + 1);
    ask(at, which_child{.id = rest.substr(0, slash)}, patience)
        .then([this, below, depth, answer = std::move(answer)](result<child_info> child) mutable {
          if (!child) {
            answer({}, child.error().code() == errc::not_found);
          } else if (below.empty()) {
            answer(cell_ptr{detail_ref::get(child->address)}, true);
          } else if (const auto next = supervisor_at(child->address); next && depth < deepest) {
            go_down(*next, below, std::move(answer), depth + 1);
          } else {
            answer({}, true);
          }
        });
  }

  const std::shared_ptr<state> shared_;
};

tree_directory::tree_directory(system& home) : state_(std::make_shared<state>()), home_(home) {
  state_->resolver = home.spawn<resolver>({.id = "coppice.directory", .capacity = 60'000}, state_);
}

tree_directory::~tree_directory() {
  // The resolver's address and what it was made of would keep each other.
  std::lock_guard lock{state_->guard};
  state_->resolver = {};
  state_->root = {};
}

void tree_directory::plant(supervisor_ref root) {
  std::lock_guard lock{state_->guard};
  state_->root = std::move(root);
}

void tree_directory::find(std::string path, std::function<void(cell_ptr, bool)> answer) {
  if (path.find('/', 1) == std::string::npos) {
    if (cell_ptr x = detail::spawned(home_, std::string_view{path}.substr(1))) {
      answer(std::move(x), true);
      return;
    }
  }
  detail::cell* to = detail_ref::get(state_->resolver);
  auto* x = new detail::event_node<look_up>({std::move(path), std::move(answer)});
  if (to->push(x) == detail::lane::outcome::put) return;
  x->value.answer({}, false);
  detail::destroy(x);
}

}  // namespace coppice
