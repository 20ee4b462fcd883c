// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/actor.hpp>
#include <coppice/supervision/calls.hpp>
#include <coppice/supervision/decision.hpp>
#include <coppice/supervision/detail/id_index.hpp>
#include <coppice/supervision/report.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace coppice {

class children;
struct tree_change;

namespace detail {

struct feed_queue;

/// What all supervisors of one tree share.
struct supervision_scope {
  explicit supervision_scope(supervision_observer* observer) noexcept : watch(observer) {}

  void root_is_up();
  void root_has_ended(const exit_reason& why);

  /// Tells whoever follows the tree. Only while `followed`.
  void tell(tree_change change);

  supervision_observer* const watch;
  std::mutex guard;
  std::condition_variable changed;
  bool up = false;                   ///< the root has started once
  std::optional<exit_reason> ended;  ///< why the root has ended
  bool settled = false;              ///< the observer has been told so

  std::atomic<bool> followed{false};
  std::atomic<std::uint64_t> version{0};  ///< of the last change that was told
  std::mutex feed_guard;
  std::vector<std::weak_ptr<feed_queue>> feeds;
};

/// The number that an id is; zero: it is none.
std::uint64_t number_in(std::string_view id) noexcept;

/// The addresses of a supervisor's children. Outlives the supervisor's incarnations, so that a
/// restarted one finds them again.
struct address_book {
  using shared = std::shared_ptr<address_book>;
  struct entry {
    cell_ptr cell;
    shared below;  ///< of a supervisor
  };

  std::uint32_t hash(std::string_view id) const noexcept;
  std::uint32_t find(std::string_view id) const {
    return ids.find(hash(id), [&](std::uint32_t i) { return cells[i]->id() == id; });
  }
  cell* at(std::uint32_t index) const {
    return index < cells.size() ? cells[index].get() : nullptr;
  }
  void put(std::uint32_t index, entry e);
  /// A child of the previous incarnation, to be taken over; null if there was none of that id.
  entry* former(std::string_view id);
  /// All children become former ones.
  void turn_the_page();
  /// Ends the former ones that nobody has taken over.
  void end_former(const exit_reason& why);
  /// Nobody starts the child at `index` for now, nor what is below it: they refuse events.
  void hold(std::uint32_t index);
  /// Ends the address at `index` and all below it.
  void end(std::uint32_t index, const exit_reason& why);
  void end_all(const exit_reason& why);

  std::vector<cell_ptr> cells;  ///< by child_index; null: there is none
  std::unordered_map<std::uint32_t, shared> below;  ///< of those that are supervisors
  std::vector<bool> built;  ///< by child_index: added by the builder, not by a call
  /// Of the ids, by child_index, if it is dynamic: the ids lie in memory that has been long idle.
  std::vector<std::uint32_t> hashes;
  id_index ids;
  std::unordered_map<std::string, entry> formers;
  bool dynamic = false;  ///< its ids are numbers, given in turn
  std::uint64_t numbered = 0;  ///< the last one
};

/// A failed restart is tried again when what waits in the supervisor's mailbox has been handled.
struct retry_restart {
  using runtime_only = void;
  child_index child;
  std::uint32_t incarnation;
};

/// A long list of children is written in slices; this brings the next one.
struct list_on {
  using runtime_only = void;
};

/// A call that has been passed on to the decision.
struct open_call {
  struct outcome {
    cell* child;
    std::uint32_t incarnation;
    bool running;
  };
  request* waiting = nullptr;
  void (*succeed)(request& waiting, const outcome& how) = nullptr;
};

/// What a supervisor is told when it is made, besides what builds its children.
struct supervisor_place {
  std::shared_ptr<supervision_scope> scope;
  std::shared_ptr<address_book> book;
  bool root = false;
  std::shared_ptr<const dynamic_spec> dynamic{};  ///< null: its children are added by hand
};

/// A supervisor's own defaults: a deadline would kill it half-way through stopping its children,
/// and their deadlines bound its start.
child_spec as_supervisor(child_spec spec);

}  // namespace detail

/// The supervisor actor: a decision, and what it takes to carry it out. Made by `children` only.
class supervisor
    : public actor<detail::start_child_call, terminate_child, restart_child, delete_child,
                   interleaved<which_children>, interleaved<which_child>,
                   interleaved<count_children>, interleaved<get_childspec>, detail::retry_restart,
                   detail::child_ended, interleaved<detail::list_on>> {
 public:
  using builder = std::function<void(children&)>;

  supervisor(detail::supervisor_place where, builder build);
  ~supervisor();

  task<> started();
  task<> stopping(const exit_reason& why);
  void child_report(detail::control_node& report);
  void killed();

  void on(detail::start_child_call call, reply_slot<child_address> slot);
  void on(const terminate_child& call, reply_slot<done> slot);
  void on(const restart_child& call, reply_slot<child_address> slot);
  void on(const delete_child& call, reply_slot<done> slot);
  void on(which_children call, reply_slot<child_list> slot);
  result<child_info> on(const which_child& call);
  child_counts on(const count_children& call);
  result<child_spec> on(const get_childspec& call);
  void on(const detail::retry_restart& r);
  void on(const detail::child_ended& e);
  void on(const detail::list_on& l);

 protected:
  /// Starts a dynamic child under the next number.
  void start_numbered(const detail::actor_type& type, detail::factory_ref made_by,
                      detail::open_call call);

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
  struct listing {
    reply_slot<child_list> slot;
    child_list list;
    child_index next;
  };

  std::chrono::milliseconds now() const noexcept;
  void build();
  void end_added(const exit_reason& why);
  void apply();
  void carry_out(action& a);
  void arm(const action& a);
  void watch_deadlines();
  void deadlines_passed();
  void report(const action& a) const;
  void tell_changes();
  void tell_top(child_state state) const;
  void tell_removed(child_index child);
  detail::cell& cell_of(child_index child) const { return *book_->cells[child]; }

  void add_and_start(const child_spec& spec, detail::cell_ptr child,
                     std::shared_ptr<detail::address_book> below, detail::open_call call);
  child_index find(std::string_view id, const ref<>& child) const;
  bool was_ours(std::string_view id, const ref<>& child) const;
  error refusal(errc code, std::string_view id) const;
  call_id open(detail::open_call call);
  void close(const action& a);
  child_info info(child_index child) const;
  void post_list_on();
  bool write_slice(listing& l) const;

  std::shared_ptr<detail::supervision_scope> scope_;
  std::shared_ptr<detail::address_book> book_;
  builder build_;
  const std::shared_ptr<const dynamic_spec> dynamic_;  ///< null: an ordinary supervisor
  bool root_;
  bool told_all_ = false;  ///< to those who follow the tree: each child once, if need be

  std::optional<decision> mind_;
  decision::actions actions_;
  std::optional<exit_reason> failed_start_;
  exit_reason why_;  ///< why this incarnation ends
  gate* open_when_up_ = nullptr;
  gate* open_when_down_ = nullptr;
  std::vector<deadline_entry> deadlines_;  ///< a heap; forgotten ones stay for a while
  alarm alarm_;
  std::vector<detail::open_call> calls_;  ///< by call_id
  std::vector<call_id> free_calls_;
  std::vector<listing> listings_;
};

namespace detail {

/// Makes the cell of a child: what its spec asks for of it.
cell_ptr make_child(cell& parent, const actor_type& type, factory_ref made_by,
                    const child_spec& spec, std::string_view id, std::uint32_t index);

/// A dynamic supervisor: knows its children's class, and the event each is made of.
template <class T, class E, class... As>
class dynamic_supervisor : public supervisor {
  static_assert(request_event<E>,
                "coppice: the event that starts a dynamic child names as its reply a ref to it: "
                "`using reply = coppice::ref<...>;`");
  static_assert(std::is_convertible_v<typename T::address, reply_of<E>>,
                "coppice: the reply of the event that starts a dynamic child is a ref that the "
                "child's own converts to");

 public:
  template <template <class...> class List>
  using events =
      List<E, start_child_call, terminate_child, restart_child, delete_child,
           interleaved<which_children>, interleaved<which_child>, interleaved<count_children>,
           interleaved<get_childspec>, retry_restart, child_ended, interleaved<list_on>>;

  dynamic_supervisor(supervisor_place where, builder build, std::tuple<As...> fixed)
      : supervisor(std::move(where), std::move(build)), fixed_(std::move(fixed)) {}

  using supervisor::on;
  void on(E event, reply_slot<reply_of<E>> slot) {
    using made_by = factory<T, As..., E>;
    made_by factory{std::tuple_cat(fixed_, std::tuple<E>{std::move(event)})};
    start_numbered(actor_type_of<T>, {&factory_type_of<T, As..., E>, &factory},
                   {detail_slot::take(slot), &succeed});
  }

 private:
  static void succeed(request& x, const open_call::outcome& how) {
    static_cast<request_node<E>&>(x).succeed(
        how.running ? reply_of<E>{detail_ref::make<typename T::address>(how.child)}
                    : reply_of<E>{});
  }

  std::tuple<As...> fixed_;
};

}  // namespace detail
}  // namespace coppice
