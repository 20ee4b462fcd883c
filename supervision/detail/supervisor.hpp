// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/actor.hpp>
#include <coppice/supervision/children.hpp>
#include <coppice/supervision/decision.hpp>
#include <coppice/supervision/detail/id_index.hpp>
#include <coppice/supervision/report.hpp>
#include <coppice/supervision/tree.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace coppice {
namespace detail {

/// What all supervisors of one tree share.
struct supervision_scope {
  explicit supervision_scope(supervision_observer* observer) noexcept : watch(observer) {}

  void root_is_up();
  void root_has_ended(const exit_reason& why);

  supervision_observer* const watch;
  std::mutex guard;
  std::condition_variable changed;
  bool up = false;                   ///< the root has started once
  std::optional<exit_reason> ended;  ///< why the root has ended
  bool settled = false;              ///< the observer has been told so
};

/// The addresses of a supervisor's children. Outlives the supervisor's incarnations, so that a
/// restarted one finds them again.
struct address_book {
  struct slot {
    cell_ptr cell;
    std::shared_ptr<address_book> below;  ///< of a supervisor
  };

  std::string_view id_of(std::uint32_t index) const { return slots[index].cell->id(); }
  /// Nobody starts the child at `index` for now, nor what is below it: they refuse events.
  void hold(std::uint32_t index);
  /// Ends the address at `index` and all below it.
  void end(std::uint32_t index, const exit_reason& why);
  void end_all(const exit_reason& why);

  std::vector<slot> slots;  ///< by child_index
  id_index ids;
  std::vector<slot> former;  ///< of the previous incarnation, to be taken over by id
  id_index former_ids;
};

/// A failed restart is tried again when what waits in the supervisor's mailbox has been handled.
struct retry_restart {
  using runtime_only = void;
  child_index child;
  std::uint32_t incarnation;
};

/// What a supervisor tells of its children.
struct child_row {
  tree_node node;
  cell_ptr cell;  ///< of a supervisor: to ask on
};
struct child_rows {
  std::vector<child_row> rows;
  std::string kind;
};
struct list_children {
  using reply = child_rows;
};

}  // namespace detail

/// The supervisor actor: a decision, and what it takes to carry it out. Made by `children` only.
class supervisor : public actor<detail::list_children, detail::retry_restart> {
 public:
  supervisor(std::shared_ptr<detail::supervision_scope> scope,
             std::shared_ptr<detail::address_book> book, children::builder build, bool root);
  ~supervisor();

  task<> started();
  task<> stopping(const exit_reason& why);
  void child_report(detail::control_node& report);
  void killed();

  detail::child_rows on(const detail::list_children&);
  void on(const detail::retry_restart& r);

 private:
  /// A wait of unknown length that the shell itself ends: for the start of all children, or for
  /// the end of the last.
  struct gate : detail::waiting {
    auto make_awaiter() noexcept { return awaiter{this}; }
    struct awaiter {
      gate* awaited;
      bool await_ready() const noexcept { return awaited->complete; }
      template <class P>
      void await_suspend(std::coroutine_handle<P> h) const noexcept {
        awaited->suspend(h.promise());
      }
      void await_resume() const noexcept {}
    };
  };
  struct alarm : detail::waiting {
    supervisor* owner = nullptr;
  };
  struct deadline_entry {
    std::chrono::milliseconds at;
    child_index child;
    std::uint32_t incarnation;
    deadline_kind which;
    bool operator<(const deadline_entry& other) const noexcept { return at > other.at; }
  };

  std::chrono::milliseconds now() const noexcept;
  void build();
  void apply();
  void carry_out(action& a);
  void arm(const action& a);
  void watch_deadlines();
  void deadlines_passed();
  void report(const action& a) const;
  detail::cell& cell_of(child_index child) const { return *book_->slots[child].cell; }

  std::shared_ptr<detail::supervision_scope> scope_;
  std::shared_ptr<detail::address_book> book_;
  children::builder build_;
  bool root_;

  std::optional<decision> mind_;
  decision::actions actions_;
  std::optional<exit_reason> failed_start_;
  gate* open_when_up_ = nullptr;
  gate* open_when_down_ = nullptr;
  std::vector<deadline_entry> deadlines_;  ///< a heap; forgotten ones stay for a while
  alarm alarm_;
};

}  // namespace coppice
