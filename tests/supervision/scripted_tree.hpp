// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "reference_model.hpp"
#include "stage.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// The real tree of a test that compares one with the reference model: built from the model's
/// description, asked with the model's calls, and told in the model's words.
namespace stage {

using namespace coppice;
using reference::message;
using reference::outcome;
using reference::role;

/// A worker that takes how its start turns out from a script.
class scripted : public worker {
 public:
  explicit scripted(habit_ptr h) : worker(std::move(h)) {}
  explicit scripted(hire h) : worker(std::move(h.habits)) {}
  using coppice::actor_base::ignore;
};

/// Keeps what each supervisor reports, but for progress.
struct report_book : supervision_observer {
  void on_report(const supervisor_report& r) noexcept override {
    if (r.about == report_context::progress) return;
    all[r.supervisor()].push_back(std::string{coppice::name(r.about)} + ' ' + r.child() + '#' +
                                  std::to_string(r.incarnation) + ' ' +
                                  std::string{coppice::name(r.reason.what())});
  }
  std::map<std::string, std::vector<std::string>> all;
};

/// Built as the model's tree is; how the starts of its children turn out stands in scripts.
struct real_tree {
  explicit real_tree(std::uint64_t seed) : stage_(seed) {}

  habit_ptr habits(const reference::child& c, const std::string& path) {
    const auto h = stage_.habits(path + '#');
    h->at_start = [this, path](worker& w) {
      const outcome how = next(path);
      if (how == outcome::failure) throw std::runtime_error("scripted");
      if (how == outcome::decline) static_cast<scripted&>(w).ignore();
    };
    if (c.throws_at_stop) h->at_stop = [](worker&) { throw std::runtime_error("at stop"); };
    h->start_takes = c.start_takes;
    h->stop_takes = c.stop_takes;
    return h;
  }
  outcome next(const std::string& path) {
    auto& script = scripts[path];
    if (script.empty()) return outcome::success;
    const outcome how = script.front();
    script.pop_front();
    return how;
  }

  static child_spec spec_of(const reference::child& c) {
    return {.id = c.id, .restart = c.restart, .shutdown = c.shutdown, .significant = c.significant};
  }
  static supervisor_spec spec_of(const reference::rules& r) {
    supervisor_spec s = r.otp ? otp : supervisor_spec{};
    s.strategy = r.strategy;
    s.intensity = {r.restarts, r.period};
    s.auto_shutdown = r.auto_shutdown;
    return s;
  }
  children::builder builder_of(const reference::child& c, const std::string& path) {
    return [this, c, path](children& s) {
      stage_.log.add(path + " builds");
      const outcome how = next(path);
      if (how == outcome::failure) throw std::runtime_error("scripted");
      if (how == outcome::decline) return s.ignore();
      s.spec() = spec_of(c.own);
      for (const reference::child& each : c.children) {
        const std::string below = path + '/' + each.id;
        if (each.what == role::worker) s.add<scripted>(spec_of(each), habits(each, below));
        if (each.what == role::supervisor) s.supervise(spec_of(each), builder_of(each, below));
        if (each.what == role::dynamic)
          s.dynamic<scripted, hire>({.own = spec_of(each),
                                     .child = spec_of(each.children.front()),
                                     .supervisor = spec_of(each.own)});
      }
    };
  }

  void open(const reference::child& root) {
    tree =
        std::make_unique<supervised_tree>(run().system(), "shop", builder_of(root, "/shop"), &told);
    run().run_until_idle();
  }

  coppice::testing::executor& run() { return stage_.run; }
  void note_addresses(const supervisor_ref& of, const std::string& path) {
    addresses[path] = detail_ref::make<ref<>>(detail_ref::get(of));
  }
  template <class R>
  R at(const std::string& path) {
    return detail_ref::make<R>(detail_ref::get(addresses[path]));
  }

  /// As the model writes it; keeps the addresses. A child that runs answers itself, under the same
  /// number; one that does not refuses.
  void show(const supervisor_ref& of, const std::string& path, std::string& into) {
    for (const child_info& c : stage_.rows(of)) {
      const std::string below = path + '/' + c.id;
      const bool supervises = c.kind == child_kind::supervisor;
      addresses[below] = c.address;
      into += reference::row(below, coppice::name(c.state), c.incarnation, c.restarts, supervises);
      const auto told_by = supervises ? "" : asked(at<address>(below), c);
      into += told_by + '\n';
      if (supervises && c.state == child_state::running)
        show(at<supervisor_ref>(below), below, into);
    }
  }
  std::string asked(const address& of, const child_info& c) {
    const auto told_by = run().ask(of, question{}, 1ms);
    if (told_by) {
      const bool right = c.state == child_state::running && told_by->incarnation == c.incarnation;
      return right ? "" : " but #" + std::to_string(told_by->incarnation) + " runs";
    }
    const bool right = c.state == child_state::stopped && told_by.error().code() == errc::stopped;
    return right ? "" : " but answers " + std::string{coppice::name(told_by.error().code())};
  }
  std::string states() {
    std::string text;
    addresses.clear();
    note_addresses(tree->root(), "/shop");
    if (tree->up() && !tree->ended()) show(tree->root(), "/shop", text);
    return text;
  }

  std::vector<std::string> take_lines() {
    auto all = stage_.log.lines();
    stage_.log.take();
    return all;
  }
  int alive() const { return stage_.alive; }

  report_book told;
  std::map<std::string, std::deque<outcome>> scripts;
  std::map<std::string, ref<>> addresses;

 private:
  world stage_;

 public:
  std::unique_ptr<supervised_tree> tree;
};

inline std::string text(const error& e) { return std::string{coppice::name(e.code())}; }
inline std::string text(const result<child_address>& r) {
  if (!r) return text(r.error());
  return (r->running ? "runs#" : "declined#") + std::to_string(r->incarnation);
}
inline std::string text(const result<done>& r) { return r ? "done" : text(r.error()); }
inline std::string text(const result<address>& r) {
  return !r ? text(r.error()) : *r ? "runs" : "declined";
}
inline std::string text(const result<child_counts>& r) {
  return r ? reference::counts(r->specs, r->active, r->supervisors, r->workers) : text(r.error());
}
inline std::string text(const result<child_spec>& r) {
  if (!r) return text(r.error());
  return reference::spec_text(r->id, r->restart, r->significant, r->shutdown,
                              r->kind == child_kind::supervisor);
}
inline std::string text(const result<child_info>& r, const std::string& parent) {
  if (!r) return text(r.error());
  return reference::row(parent + '/' + r->id, coppice::name(r->state), r->incarnation, r->restarts,
                        r->kind == child_kind::supervisor);
}

/// A call on its way: gives its answer once that is there.
using pending = std::function<std::string()>;

template <class E, class R>
pending begin(real_tree& t, const R& to, E event) {
  auto asked = std::make_shared<coppice::testing::executor::question<E>>(
      t.run().begin_ask(to, std::move(event), 24h));
  return [asked] { return asked->answered() ? text(asked->take()) : std::string{"no answer"}; };
}

/// By id or, if it is known, by the address.
template <class E>
E about(real_tree& t, const std::string& path, const message& m, bool by_address) {
  const auto known = t.addresses.find(path + '/' + m.id);
  if (by_address && known != t.addresses.end()) return E{.child = known->second};
  return E{.id = m.id};
}

inline pending begin(real_tree& t, const std::string& path, const message& m,
                     const std::string& added, bool by_address) {
  using kind = message::kind;
  const auto to = t.at<supervisor_ref>(path);
  switch (m.what) {
    case kind::start_child: {
      const std::string below = path + '/' + m.spec.id;
      if (m.spec.what == role::supervisor)
        return begin(t, to,
                     start_supervisor(real_tree::spec_of(m.spec), t.builder_of(m.spec, below)));
      return begin(t, to,
                   start_child<scripted>(real_tree::spec_of(m.spec), t.habits(m.spec, below)));
    }
    case kind::start_dynamic:
      return begin(t, t.at<dynamic_ref<hire>>(path), hire{t.habits(m.spec, added)});
    case kind::terminate_child: return begin(t, to, about<terminate_child>(t, path, m, by_address));
    case kind::restart_child: return begin(t, to, about<restart_child>(t, path, m, by_address));
    case kind::delete_child: return begin(t, to, about<delete_child>(t, path, m, by_address));
    case kind::get_childspec: return begin(t, to, about<get_childspec>(t, path, m, by_address));
    case kind::count_children: return begin(t, to, count_children{});
    default: {
      using asked_for = coppice::testing::executor::question<which_child>;
      auto asked = std::make_shared<asked_for>(
          t.run().begin_ask(to, about<which_child>(t, path, m, by_address), 24h));
      return [asked, path] {
        return asked->answered() ? text(asked->take(), path) : std::string{"no answer"};
      };
    }
  }
}

}  // namespace stage
