// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/followers_private.hpp>
#include <coppice/runtime/http/text_private.hpp>

#include <signal.h>

#include <algorithm>
#include <utility>

#include <boost/json.hpp>

namespace coppice::http {

namespace {

std::string as_snapshot(const tree_node& tree) { return "{\"snapshot\":" + to_json(tree) + '}'; }

std::string as_record(const tree_change& change) {
  return "{\"version\":" + std::to_string(change.version) +
         ",\"parent\":" + boost::json::serialize(boost::json::string(to_utf8(change.parent))) +
         ",\"child\":" + to_json(as_tree_node(change.child, change.parent)) + '}';
}

std::string path_of(const tree_change& change) { return change.parent + '/' + change.child.id; }

}  // namespace

bool lies_below(std::string_view path, std::string_view top) {
  if (top.empty() || top == "/") return true;
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

void shown_already::reset(const tree_node& snapshot) {
  versions_.clear();
  newest_ = 0;
  enter(snapshot);
}

void shown_already::enter(const tree_node& node) {
  versions_[node.path] = node.version;
  newest_ = std::max(newest_, node.version);
  for (const tree_node& child : node.children) enter(child);
}

bool shown_already::operator()(const tree_change& change) {
  if (versions_.empty()) return false;
  if (change.version > newest_) {
    versions_.clear();  // changes come in order: the snapshot is history
    return false;
  }
  const auto known = versions_.find(path_of(change));
  return known != versions_.end() && known->second >= change.version;
}

followers::followers(node_view& node, std::mutex& node_guard, const api_options& options)
    : node_(node), node_guard_(node_guard), options_(options) {}

followers::~followers() {
  {
    std::lock_guard lock{guard_};
    stopping_ = true;
    for (const auto& f : all_) f->records->end();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

result<std::shared_ptr<stream>> followers::add(const std::string& path, stream_format format) {
  auto f = std::make_shared<follower>();
  f->path = path;
  f->records = std::make_shared<stream>(format);

  std::lock_guard lock{guard_};
  std::erase_if(all_, [](const auto& old) { return old->records->closed(); });
  if (all_.size() >= options_.followers)
    return error{errc::limit,
                 "too many clients follow the tree, at most " + std::to_string(options_.followers)};
  if (!feed_) feed_.emplace(node_.follow());
  start_thread();
  changed_.notify_all();
  auto tree = node_.tree(path);
  if (!tree) return tree.error();
  f->shown.reset(*tree);
  f->records->push(as_snapshot(*tree));
  all_.push_back(f);
  return f->records;
}

void followers::start_thread() {
  if (thread_.joinable()) return;
  // Signals are for the thread that waits for them.
  sigset_t every, before;
  sigfillset(&every);
  pthread_sigmask(SIG_BLOCK, &every, &before);
  thread_ = std::thread{[this] { run(); }};
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void followers::run() {
  std::unique_lock lock{guard_};
  while (!stopping_) {
    std::erase_if(all_, [](const auto& f) { return f->records->closed(); });
    if (all_.empty()) {
      feed_.reset();
      changed_.wait(lock);
      continue;
    }
    // Only this thread takes the feed away, so that it may be used without the lock.
    lock.unlock();
    const tree_feed::news news = feed_->take(options_.follow_pause);
    lock.lock();
    const std::vector<std::shared_ptr<follower>> now = all_;
    lock.unlock();
    for (const auto& f : now) tell(*f, news);
    lock.lock();
  }
}

void followers::tell(follower& f, const tree_feed::news& news) {
  if (news.lost > 0) f.behind = true;
  for (const tree_change& change : news.changes) {
    // Of what is missed only the number matters: the snapshot will show it.
    if (f.shown(change) || !lies_below(path_of(change), f.path)) continue;
    if (!f.records->push(as_record(change))) f.behind = true;
  }
  if (f.behind && f.records->caught_up()) catch_up(f);
}

void followers::catch_up(follower& f) {
  std::lock_guard lock{node_guard_};
  auto tree = node_.tree(f.path);
  if (!tree) return;  // again with the next news
  f.shown.reset(*tree);
  f.records->push(as_snapshot(*tree));
  f.behind = false;
}

}  // namespace coppice::http
