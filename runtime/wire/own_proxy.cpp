// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/stand_in_private.hpp>

#include <utility>

namespace coppice::wire {

using detail::control;
using detail::control_node;
using detail::node;
using detail::node_kind;
using detail::notice_node;
using detail::request;

/// Stands for an actor of this very node that was named by its address, or whose ref has come from
/// another node with the number it has here. Looks it up when it is needed.
class own_proxy final : public stand_in {
 public:
  explicit own_proxy(const std::shared_ptr<remote_address>& at) : stand_in(at) {}

  void handle(node* x) {
    if (!pass_on(x)) hold(x);
  }
  void hear(news& n);
  void control_from(control_node& c);

 private:
  bool pass_on(node* x);
  void hear_end(node* x);
  void go_on() {
    if (node* x = take_held(); x && !pass_on(x)) hold(x);
  }
  void look_up();
  void relate(control what);
  void send_signals();
  void end_address(const exit_reason& why);

  cell_ptr here_;  ///< the actor itself, once it is known
};

/// False: not yet. Otherwise it has been dealt with.
bool own_proxy::pass_on(node* x) {
  if (x->type->kind == node_kind::notice) {
    hear_end(x);
    return true;
  }
  if (here_ && here_->state() == detail::cell_state::ended) {
    here_ = {};
    state_ = state::unknown;
  }
  const bool reach = is_reach(x);
  if (!here_) {
    if (!is_absent()) {
      look_up();
      return false;
    }
    if (reach) answer_reach(x, &absence_);
    else refuse(x, absence_);
    return true;
  }
  switch (x->type->kind) {
    case node_kind::request:
      if (reach) answer_reach(x, nullptr);
      else here_->ask(static_cast<request*>(x));
      break;
    case node_kind::credit: here_->ask(static_cast<request*>(x)); break;
    case node_kind::event: here_->send(x); break;
    default: detail::destroy(x); break;
  }
  return true;
}

/// The actor tells its end to this proxy, which passes it on under the address that is watched.
void own_proxy::hear_end(node* x) {
  if (x->type == &notice_node<ended>::type_record) {
    const ended& e = static_cast<notice_node<ended>*>(x)->value;
    tell_watchers(e.incarnation, e.reason, e.gone);
    if (e.gone) {
      watchers_.clear();
      here_ = {};
      state_ = state::unknown;
    }
  } else {
    tell_links(static_cast<notice_node<exit_signal>*>(x)->value.reason);
  }
  detail::destroy(x);
}

void own_proxy::look_up() {
  if (state_ == state::asked) return;
  state_ = state::asked;
  exchange_access::here(*at_->space)
      .find(at_->path,
            [self = cell_ptr{cell_}, number = at_->number.load()](const cell_ptr& x, bool sure) {
              const bool found = x && (number == 0 || x->number() == number);
              auto* n = new news{found ? news::about::resolved : news::about::unresolved};
              if (found) n->from = x;
              // Another one has the path, or nobody: the one that was meant has ended.
              const bool gone = !found && number != 0 && (x || sure);
              n->code = gone ? errc::gone : errc::stopped;
              n->text = gone ? "the address has ended" : "there is no such actor at the moment";
              tell(*self, n);
            });
}

/// One relation, of this proxy's, stands for those of all who have one by this address.
void own_proxy::relate(control what) {
  if (here_ && here_->tell(what, {}, cell_)) return;
  here_ = {};
  look_up();
}

void own_proxy::send_signals() {
  for (const signal& s : std::exchange(signals_, {})) {
    if (!s.linked) {
      s.from->signal_end(here_.get(), s.why, false);
      continue;
    }
    cell_->signal_end(here_.get(), s.why, true);
    // That has used up the link, which stands for all of them.
    if (!links_.empty()) relate(control::link);
    if (!here_) return;
  }
}

void own_proxy::control_from(control_node& c) {
  switch (c.what) {
    case control::watch: {
      const watcher w{c.from, c.incarnation};
      if (is_gone()) {
        tell_watcher(w, 0, reason(exit_reason::kind::noproc, absence_.why), true);
        break;
      }
      watchers_.push_back(w);
      if (watchers_.size() == 1 || !here_) relate(control::watch);
      break;
    }
    case control::unwatch:
      drop_watcher(c.from);
      if (here_ && watchers_.empty()) here_->tell(control::unwatch, {}, cell_);
      break;
    case control::link:
      if (is_gone()) {
        cell_->signal_end(c.from.get(), reason(exit_reason::kind::noproc, absence_.why), true);
        break;
      }
      links_.push_back(c.from);
      if (links_.size() == 1 || !here_) relate(control::link);
      break;
    case control::unlink:
      drop_link(c.from);
      if (here_ && links_.empty()) here_->tell(control::unlink, {}, cell_);
      break;
    case control::signal:
      if (c.flag) drop_link(c.from);
      if (is_absent() || !keep_signal(c)) break;
      if (here_) send_signals();
      else look_up();
      break;
    default: break;
  }
}

/// It meant one actor and no other, and that one has ended.
void own_proxy::end_address(const exit_reason& why) {
  lose(why, true);
  become_absent_for_good();
  go_on();
  cell_->stop(exit_reason::normal(), 0, true);
}

void own_proxy::hear(news& n) {
  switch (n.what_about) {
    case news::about::resolved:
      here_ = n.from;
      state_ = state::ready;
      if (!watchers_.empty()) relate(control::watch);
      if (here_ && !links_.empty()) relate(control::link);
      if (here_) send_signals();
      go_on();
      break;
    case news::about::unresolved:
      if (n.code == errc::gone) {
        end_address(reason(exit_reason::kind::noproc, n.text));
        break;
      }
      become_absent({n.code, dead_letter_reason::stopped, std::move(n.text)});
      go_on();
      break;
    case news::about::time:
      if (state_ == state::absent && wants_target() && !is_absent()) look_up();
      break;
    default: break;
  }
}

cell_ptr make_own_proxy(detail::core& home, std::shared_ptr<remote_address> at) {
  return make_stand_in<own_proxy>(home, std::move(at));
}

}  // namespace coppice::wire
