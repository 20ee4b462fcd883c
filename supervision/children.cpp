// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/children.hpp>

#include <algorithm>
#include <utility>

namespace coppice {

using std::chrono::milliseconds;

namespace detail {

// ---- addresses --------------------------------------------------------------------------------

void address_book::put(std::uint32_t index, slot s) {
  if (index >= slots.size()) slots.resize(index + 1);
  slots[index] = std::move(s);
  ids.insert(index, [this](std::uint32_t i) { return id_of(i); });
}

void address_book::hold(std::uint32_t index) {
  const slot& s = slots[index];
  if (!s.cell) return;
  if (s.below)
    for (std::uint32_t i = 0; i < s.below->slots.size(); ++i) s.below->hold(i);
  s.cell->tell(control::hold);
}

void address_book::end(std::uint32_t index, const exit_reason& why) {
  slot& s = slots[index];
  if (!s.cell) return;
  ids.erase(index, [this](std::uint32_t i) { return id_of(i); });
  if (s.below) s.below->end_all(why);
  if (s.cell->state() != cell_state::ended) s.cell->tell(control::end, why);
  s = {};
}

void address_book::end_all(const exit_reason& why) {
  for (slot& s : former) {
    if (!s.cell) continue;
    if (s.below) s.below->end_all(why);
    s.cell->tell(control::end, why);
  }
  former.clear();
  ids = {};
  for (std::size_t i = slots.size(); i-- > 0;) {
    slot& s = slots[i];
    if (!s.cell) continue;
    if (s.below) s.below->end_all(why);
    if (s.cell->state() != cell_state::ended) s.cell->tell(control::end, why);
  }
  slots.clear();
}

cell_ptr make_child(cell& parent, const actor_type& type, factory_ref made_by,
                    const child_spec& spec, std::string_view id, std::uint32_t index) {
  cell_options options;
  options.capacity = spec.capacity;
  options.policy = spec.overflow;
  options.reject_while_restarting = spec.reject_while_restarting;
  options.own_thread = spec.own_thread;
  options.ends_with_incarnation = spec.restart == restart::temporary;
  if (spec.shutdown.what() == shutdown::kind::within)
    options.shutdown_ms = static_cast<std::uint32_t>(spec.shutdown.deadline().count());
  return make_cell(parent.home(), type, made_by, id, options, &parent, index);
}

child_spec as_supervisor(child_spec spec) {
  spec.kind = child_kind::supervisor;
  if (spec.shutdown == child_spec{}.shutdown) spec.shutdown = infinity;
  if (spec.start_deadline == child_spec{}.start_deadline)
    spec.start_deadline = std::chrono::hours{24};
  return spec;
}

}  // namespace detail

// ---- the builder ------------------------------------------------------------------------------

children::children(std::shared_ptr<detail::supervision_scope> scope, detail::address_book& book,
                   detail::cell& parent)
    : scope_(std::move(scope)), book_(book), parent_(parent) {}

detail::cell* children::add_cell(const detail::actor_type& type, detail::factory_ref made_by,
                                 const child_spec& spec,
                                 const std::shared_ptr<detail::address_book>& below) {
  if (const auto valid = validate(spec); !valid) throw bad_result{valid.error()};
  if (book_.find(spec.id) != detail::id_index::none)
    throw bad_result{error{errc::invalid,
                           "two children have the id '" + spec.id +
                               "'; ids are unique among "
                               "siblings",
                           parent_.path()}};
  const auto index = static_cast<std::uint32_t>(book_.slots.size());
  const auto former_id = [this](std::uint32_t i) { return book_.former[i].cell->id(); };
  detail::address_book::slot slot;
  const std::uint32_t before = book_.former_ids.find(spec.id, former_id);
  if (before != detail::id_index::none) {
    detail::cell& x = *book_.former[before].cell;
    // A temporary child's address has ended with it.
    if (&x.type() == &type && &x.made_by() == made_by.type && !x.ends_with_incarnation()) {
      detail::replace_factory(x, made_by.object);
      book_.former_ids.erase(before, former_id);
      slot = std::exchange(book_.former[before], {});
    }
  }
  if (!slot.cell) slot.cell = detail::make_child(parent_, type, made_by, spec, spec.id, index);
  slot.below = below;
  detail::cell* made = slot.cell.get();
  book_.put(index, std::move(slot));
  specs_.push_back(spec);
  return made;
}

std::shared_ptr<detail::address_book> children::book_below(std::string_view id) const {
  const std::uint32_t before =
      book_.former_ids.find(id, [this](std::uint32_t i) { return book_.former[i].cell->id(); });
  auto fresh = std::make_shared<detail::address_book>();
  if (before == detail::id_index::none) return fresh;
  const auto& former = book_.former[before];
  // A temporary supervisor's address has ended with it, and so have those below.
  return former.below && !former.cell->ends_with_incarnation() ? former.below : fresh;
}

supervisor_ref children::supervise(child_spec spec, builder build) {
  using made_by = detail::factory<supervisor, detail::supervisor_place, builder>;
  const auto below = book_below(spec.id);
  made_by factory{{detail::supervisor_place{scope_, below, false, nullptr}, std::move(build)}};
  detail::cell* x =
      add_cell(detail::actor_type_of<supervisor>,
               {&detail::factory_type_of<supervisor, detail::supervisor_place, builder>, &factory},
               detail::as_supervisor(std::move(spec)), below);
  return detail_ref::make<supervisor_ref>(x);
}

supervisor_ref children::supervise(std::string_view id, builder build) {
  child_spec spec;
  spec.id = id;
  return supervise(std::move(spec), std::move(build));
}

detail::supervisor_place children::dynamic_place(const dynamic_spec& spec) const {
  if (const auto valid = validate(spec); !valid) throw bad_result{valid.error()};
  return {scope_, book_below(spec.own.id), false, std::make_shared<const dynamic_spec>(spec)};
}

children::builder children::dynamic_builder(const dynamic_spec& spec) {
  return [of = spec.supervisor](children& all) {
    all.spec() = of;
    all.spec().strategy = strategy::simple_one_for_one;
  };
}

detail::cell* children::add_dynamic(const detail::actor_type& type, detail::factory_ref made_by,
                                    const dynamic_spec& spec,
                                    const std::shared_ptr<detail::address_book>& below) {
  return add_cell(type, made_by, detail::as_supervisor(spec.own), below);
}

}  // namespace coppice
