// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/children.hpp>

#include <charconv>
#include <utility>

namespace coppice {

using std::chrono::milliseconds;

namespace detail {

// ---- addresses --------------------------------------------------------------------------------

std::uint64_t number_in(std::string_view id) noexcept {
  std::uint64_t number = 0;
  const char* last = id.data() + id.size();
  const auto read = std::from_chars(id.data(), last, number);
  const bool whole = read.ec == std::errc{} && read.ptr == last && id.front() != '0';
  return whole ? number : 0;
}

std::uint32_t address_book::hash(std::string_view id) const noexcept {
  return dynamic ? static_cast<std::uint32_t>(number_in(id)) : id_index::hash_of(id);
}

void address_book::put(std::uint32_t index, entry e) {
  if (index >= cells.size()) cells.resize(index + 1);
  cells[index] = std::move(e.cell);
  const std::uint32_t hashed = hash(cells[index]->id());
  ids.insert(index, hashed);
  if (dynamic) {
    hashes.resize(cells.size());
    hashes[index] = hashed;
  }
  if (e.below) below[index] = std::move(e.below);
}

address_book::entry* address_book::former(std::string_view id) {
  if (formers.empty()) return nullptr;
  const auto found = formers.find(std::string{id});
  return found == formers.end() ? nullptr : &found->second;
}

void address_book::turn_the_page() {
  for (std::uint32_t i = 0; i < cells.size(); ++i) {
    if (!cells[i]) continue;
    std::string id{cells[i]->id()};
    const auto books = below.extract(i);
    formers[std::move(id)] = {std::move(cells[i]), books.empty() ? nullptr : books.mapped()};
  }
  cells.clear();
  hashes.clear();
  built.clear();
  ids = {};
}

void address_book::hold(std::uint32_t index) {
  cell* x = at(index);
  if (!x) return;
  if (const auto under = below.find(index); under != below.end())
    for (std::uint32_t i = 0; i < under->second->cells.size(); ++i) under->second->hold(i);
  x->tell(control::hold);
}

namespace {

void end_entry(const address_book::entry& e, const exit_reason& why) {
  if (e.below) e.below->end_all(why);
  if (e.cell->state() != cell_state::ended) e.cell->tell(control::end, why);
}

}  // namespace

void address_book::end(std::uint32_t index, const exit_reason& why) {
  if (!at(index)) return;
  ids.erase(index, dynamic ? hashes[index] : hash(cells[index]->id()));
  if (index < built.size()) built[index] = false;
  shared books;
  if (const auto under = below.find(index); under != below.end()) {
    books = std::move(under->second);
    below.erase(under);
  }
  end_entry({std::exchange(cells[index], {}), std::move(books)}, why);
}

void address_book::end_former(const exit_reason& why) {
  for (const auto& [id, each] : std::exchange(formers, {})) end_entry(each, why);
}

void address_book::end_all(const exit_reason& why) {
  end_former(why);
  ids = {};
  for (std::size_t i = cells.size(); i-- > 0;) {
    if (!cells[i]) continue;
    const auto books = below.extract(static_cast<std::uint32_t>(i));
    end_entry({std::move(cells[i]), books.empty() ? nullptr : books.mapped()}, why);
  }
  cells.clear();
  hashes.clear();
  built.clear();
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
  const auto index = static_cast<std::uint32_t>(book_.cells.size());
  detail::address_book::entry made;
  if (detail::address_book::entry* before = book_.former(spec.id)) {
    detail::cell& x = *before->cell;
    // A temporary child's address has ended with it.
    if (&x.type() == &type && &x.made_by() == made_by.type && !x.ends_with_incarnation()) {
      detail::replace_factory(x, made_by.object);
      made.cell = std::move(before->cell);
      book_.formers.erase(spec.id);
    }
  }
  if (!made.cell) made.cell = detail::make_child(parent_, type, made_by, spec, spec.id, index);
  made.below = below;
  detail::cell* x = made.cell.get();
  book_.put(index, std::move(made));
  book_.built.push_back(true);
  specs_.push_back(spec);
  return x;
}

std::shared_ptr<detail::address_book> children::book_below(std::string_view id) const {
  auto fresh = std::make_shared<detail::address_book>();
  const auto* before = book_.former(id);
  // A temporary supervisor's address has ended with it, and so have those below.
  if (!before || !before->below || before->cell->ends_with_incarnation()) return fresh;
  return before->below;
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
