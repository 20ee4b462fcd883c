// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/children.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

/// What a supervisor answers when it is asked, see calls.hpp.
namespace coppice {

namespace {

using std::chrono::milliseconds;

/// Rows of a list that are written in one slice: some 50 us.
constexpr std::size_t rows_a_slice = 256;
/// Lists that are being written at the same time.
constexpr std::size_t most_listings = 64;

std::string name_of(std::string_view id, const ref<>& child) {
  return child ? child.path() : std::string{id};
}

template <class E>
void succeed_done(detail::request& x, const detail::open_call::outcome&) {
  static_cast<detail::request_node<E>&>(x).succeed(done{});
}

template <class E>
void succeed_address(detail::request& x, const detail::open_call::outcome& how) {
  static_cast<detail::request_node<E>&>(x).succeed(
      child_address{std::string{how.child->id()}, how.incarnation, how.running,
                    detail_ref::make<ref<>>(how.child)});
}

}  // namespace

void child_address::check(const detail::actor_type* type) const {
  const detail::cell* x = detail_ref::get(address);
  if (x && (&x->type() == type || x->type().proxy)) return;  // its node checks each event
  throw bad_result{error{errc::invalid,
                         "the child is a " + std::string{x ? x->type().name : "nobody"} +
                             ", not a " + std::string{type->name},
                         address.path()}};
}

result<supervisor_ref> supervisor_at(const ref<>& address) {
  detail::cell* x = detail_ref::get(address);
  if (x && x->type().child_report) return detail_ref::make<supervisor_ref>(x);
  return error{errc::invalid, "there is no supervisor at this address", address.path()};
}

// ---- which child is meant -----------------------------------------------------------------------

child_index supervisor::find(std::string_view id, const ref<>& child) const {
  if (const detail::cell* x = detail_ref::get(child))
    return book_->at(x->index()) == x ? x->index() : no_child;
  const std::uint32_t at = book_->find(id);
  return at == detail::id_index::none ? no_child : at;
}

/// Whether a dynamic child that is not there was there once.
bool supervisor::was_ours(std::string_view id, const ref<>& child) const {
  if (!dynamic_) return false;
  if (const detail::cell* x = detail_ref::get(child)) return x->parent() == cell_;
  const std::uint64_t number = detail::number_in(id);
  return number > 0 && number <= book_->numbered;
}

error supervisor::refusal(errc code, std::string_view id) const {
  const std::string child = "child '" + std::string{id} + '\'';
  switch (code) {
    case errc::not_found: return error{code, "there is no " + child, path()};
    case errc::running: return error{code, child + " runs: terminate it first", path()};
    case errc::restarting:
      return error{code, child + " is being started, stopped or restarted: ask again", path()};
    case errc::already_present:
      return error{code, child + " is there and does not run: restart or delete it", path()};
    case errc::already_started: return error{code, child + " is there already and runs", path()};
    default:
      return error{code,
                   "a dynamic supervisor's children are started by the event it is asked with, and "
                   "go when they end",
                   path()};
  }
}

// ---- calls that the decision answers -----------------------------------------------------------

call_id supervisor::open(detail::open_call call) {
  if (!call.waiting) return no_call;
  if (free_calls_.empty()) {
    calls_.push_back(call);
    return static_cast<call_id>(calls_.size() - 1);
  }
  const call_id at = free_calls_.back();
  free_calls_.pop_back();
  calls_[at] = call;
  return at;
}

void supervisor::close(const action& a) {
  const detail::open_call call = std::exchange(calls_[a.call], {});
  free_calls_.push_back(a.call);
  if (a.code == errc{}) {
    detail::cell* child = a.child == no_child ? nullptr : &cell_of(a.child);
    call.succeed(*call.waiting, {child, child ? mind_->view(a.child).incarnation : 0, a.running});
    detail::answer(call.waiting);
  } else if (a.code == errc::failed) {
    detail::answer_failed(
        call.waiting, a.code,
        make_cause("the child could not be started: " + std::string{coppice::name(a.reason.what())},
                   cell_of(a.child).path(), a.incarnation, a.reason.why()));
  } else {
    detail::answer_failed(call.waiting, a.code, refusal(a.code, cell_of(a.child).id()).why());
  }
}

void supervisor::add_and_start(const child_spec& spec, detail::cell_ptr child,
                               std::shared_ptr<detail::address_book> below,
                               detail::open_call call) {
  const child_index at = mind_->add(spec);
  book_->put(at, {std::move(child), std::move(below)});
  mind_->start_added(at, open(call), actions_);
  apply();
}

void supervisor::start_numbered(const detail::actor_type& type, detail::factory_ref made_by,
                                detail::open_call call) {
  detail::cell_ptr child;
  try {
    if (mind_->size() >= dynamic_->most)
      throw bad_result{error{
          errc::limit,
          "it has " + std::to_string(dynamic_->most) + " children, and may not have more", path()}};
    char id[20];
    const char* end = std::to_chars(id, id + sizeof id, ++book_->numbered).ptr;
    child = detail::make_child(*cell_, type, made_by, dynamic_->child,
                               {id, static_cast<std::size_t>(end - id)}, mind_->next_index());
  } catch (const bad_result& e) {
    if (call.waiting) detail::answer_failed(call.waiting, e.error().code(), e.error().why());
    return;
  }
  add_and_start(dynamic_->child, std::move(child), nullptr, call);
}

void supervisor::on(detail::start_child_call call, reply_slot<child_address> slot) {
  if (dynamic_) return slot.answer(refusal(errc::simple_one_for_one, call.spec.id));
  if (call.maker.build) call.spec = detail::as_supervisor(std::move(call.spec));
  if (auto valid = validate(call.spec); !valid) return slot.answer(valid.error());
  if (auto valid = validate(call.spec, mind_->spec()); !valid) return slot.answer(valid.error());
  if (const child_index known = find(call.spec.id, {}); known != no_child) {
    const child_state s = mind_->state(known);
    const bool down = s == child_state::stopped || s == child_state::restarting;
    return slot.answer(refusal(down ? errc::already_present : errc::already_started, call.spec.id));
  }
  detail::cell_ptr child;
  std::shared_ptr<detail::address_book> below;
  try {
    if (call.maker.build) {
      using made_by = detail::factory<supervisor, detail::supervisor_place, builder>;
      below = std::make_shared<detail::address_book>();
      made_by factory{
          {detail::supervisor_place{scope_, below, false, nullptr}, std::move(call.maker.build)}};
      child = detail::make_child(
          *cell_, detail::actor_type_of<supervisor>,
          {&detail::factory_type_of<supervisor, detail::supervisor_place, builder>, &factory},
          call.spec, call.spec.id, mind_->next_index());
    } else {
      child = detail::make_child(*cell_, *call.maker.type, call.maker.made_by, call.spec,
                                 call.spec.id, mind_->next_index());
    }
  } catch (const bad_result& e) {
    return slot.answer(e.error());
  }
  add_and_start(call.spec, std::move(child), std::move(below),
                {detail_slot::take(slot), &succeed_address<detail::start_child_call>});
}

void supervisor::on(const terminate_child& call, reply_slot<done> slot) {
  const child_index at = find(call.id, call.child);
  if (at == no_child) {
    if (was_ours(call.id, call.child)) return slot.answer(done{});
    return slot.answer(refusal(errc::not_found, name_of(call.id, call.child)));
  }
  mind_->terminate_child(at, open({detail_slot::take(slot), &succeed_done<terminate_child>}),
                         actions_);
  apply();
}

void supervisor::on(const restart_child& call, reply_slot<child_address> slot) {
  if (dynamic_) return slot.answer(refusal(errc::simple_one_for_one, call.id));
  const child_index at = find(call.id, call.child);
  if (at == no_child) return slot.answer(refusal(errc::not_found, name_of(call.id, call.child)));
  mind_->restart_child(at, open({detail_slot::take(slot), &succeed_address<restart_child>}),
                       actions_);
  apply();
}

void supervisor::on(const delete_child& call, reply_slot<done> slot) {
  if (dynamic_) return slot.answer(refusal(errc::simple_one_for_one, call.id));
  const child_index at = find(call.id, call.child);
  if (at == no_child) return slot.answer(refusal(errc::not_found, name_of(call.id, call.child)));
  mind_->delete_child(at, open({detail_slot::take(slot), &succeed_done<delete_child>}), actions_);
  apply();
}

// ---- calls that only look ----------------------------------------------------------------------

child_info supervisor::info(child_index child) const {
  const child_view v = mind_->view(child);
  const detail::cell& x = cell_of(child);
  child_info row;
  row.id = x.id();
  row.kind = mind_->spec(child).kind;
  row.type = row.kind == child_kind::supervisor ? "supervisor" : x.type().name;
  row.state = v.state;
  row.incarnation = v.incarnation;
  row.restarts = v.restarts;
  if (v.last_reason) {
    row.last_reason = v.last_reason->text();
    row.last_ended = now() - v.last_at;
    row.last_up = v.last_up;
  }
  if (v.state == child_state::running) row.up = now() - v.started_at;
  row.waiting = x.depth();
  row.handled = x.handled();
  if (v.state == child_state::restarting) row.next_attempt = milliseconds{0};
  row.version = scope_->version.load(std::memory_order_acquire);
  row.address = detail_ref::make<ref<>>(book_->at(child));
  return row;
}

result<child_info> supervisor::on(const which_child& call) {
  const child_index at = find(call.id, call.child);
  if (at == no_child) return refusal(errc::not_found, name_of(call.id, call.child));
  return info(at);
}

child_counts supervisor::on(const count_children&) {
  const child_numbers n = mind_->count();
  return {n.specs, n.active, n.supervisors, n.workers};
}

result<child_spec> supervisor::on(const get_childspec& call) {
  const child_index at = find(call.id, call.child);
  if (at == no_child) {
    if (was_ours(call.id, call.child)) return dynamic_->child;
    return refusal(errc::not_found, name_of(call.id, call.child));
  }
  child_spec spec = mind_->spec(at);
  spec.id = cell_of(at).id();
  return spec;
}

void supervisor::on(which_children, reply_slot<child_list> slot) {
  // From the first row on, so that whoever follows the tree misses nothing after it.
  mind_->note_changes(scope_->followed.load(std::memory_order_relaxed));
  if (listings_.size() == most_listings)
    return slot.answer(error{
        errc::limit,
        "a supervisor writes at most " + std::to_string(most_listings) + " lists at the same time",
        path()});
  listing l{std::move(slot), {}, mind_->first()};
  l.list.children.reserve(mind_->size());
  if (write_slice(l)) return;
  listings_.push_back(std::move(l));
  if (listings_.size() == 1) post_list_on();
}

void supervisor::on(const detail::list_on&) {
  std::erase_if(listings_, [this](listing& l) { return write_slice(l); });
  if (!listings_.empty()) post_list_on();
}

void supervisor::post_list_on() {
  auto* n = new detail::notice_node<detail::list_on>({}, cell_->incarnation());
  if (cell_->push(n) != detail::lane::outcome::put) detail::destroy(n);
}

/// True: the list is complete, and answered.
bool supervisor::write_slice(listing& l) const {
  for (std::size_t i = 0; i < rows_a_slice && l.next != no_child; ++i) {
    l.list.children.push_back(info(l.next));
    l.next = mind_->next(l.next);
  }
  if (l.next != no_child) return false;
  l.list.strategy = mind_->spec().strategy;
  // OTP's lists begin with the newest child.
  l.list.newest_first = mind_->spec().serial;
  if (l.list.newest_first) std::reverse(l.list.children.begin(), l.list.children.end());
  for (restart_record& r : mind_->history())
    l.list.failures.push_back(
        {std::move(r.id), r.incarnation, r.reason.text(), now() - r.at, r.up});
  l.slot.answer(std::move(l.list));
  return true;
}

}  // namespace coppice
