// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/caf/shell_private.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <coppice/actors/caf/interop.hpp>
#include <coppice/actors/detail/slab.hpp>

namespace coppice::detail {

namespace {

constexpr std::size_t block_size = CAF_CACHE_LINE_SIZE;
/// Events handled before a cell gives its worker back; a pair that plays ping-pong and their
/// mailboxes together stay under the scheduler's fairness limit of 256.
constexpr std::uint32_t events_per_slice = 64;
/// As many of others' events as a proxy passes on in its sender's time.
constexpr std::uint32_t events_within = 16;

constexpr std::size_t up(std::size_t n, std::size_t align) noexcept {
  return (n + align - 1) / align * align;
}

std::byte* base_of(const cell& x) noexcept {
  return reinterpret_cast<std::byte*>(&shell::of(x)) - block_size;
}

void destroy_cell(caf::abstract_actor* x) { static_cast<shell*>(x)->~shell(); }

void free_cell(caf::actor_control_block* block) {
  block->~actor_control_block();
  std::free(block);
}

void free_small_cell(caf::actor_control_block* block) {
  block->~actor_control_block();
  free_in_slab(block);
}

}  // namespace

std::size_t cell_layout::factory_at(const factory_type& f) noexcept {
  return up(block_size + sizeof(shell), f.align);
}
std::size_t cell_layout::object_at(const factory_type& f, const actor_type& t) noexcept {
  return up(factory_at(f) + f.size, t.align);
}
std::size_t cell_layout::id_at(const factory_type& f, const actor_type& t) noexcept {
  return object_at(f, t) + t.size;
}

cell_ptr cell_layout::make(core& home, caf::actor_system& caf_system, const actor_type& type,
                           factory_ref made_by, std::string_view id, const cell_options& options,
                           cell* parent, std::uint32_t index) {
  const factory_type& f = *made_by.type;
  const std::size_t align = std::max({f.align, type.align, alignof(std::max_align_t)});
  const std::size_t size = id_at(f, type) + id.size();
  const bool small = align == alignof(std::max_align_t) && size <= largest_slab_block;
  auto* base = static_cast<std::byte*>(small ? allocate_in_slab(size)
                                             : std::aligned_alloc(align, up(size, align)));
  if (!base) throw std::bad_alloc{};
  caf::node_id node = caf_system.node();
  ::new (base) caf::actor_control_block(caf_system.next_actor_id(), node, &caf_system,
                                        &destroy_cell, small ? &free_small_cell : &free_cell);
  caf::actor_config config;
  auto* x = ::new (base + block_size) shell(config, home, type, f, options, parent, index);
  f.move(made_by.object, base + factory_at(f));
  std::memcpy(base + id_at(f, type), id.data(), id.size());
  x->id_size_ = static_cast<std::uint8_t>(id.size());
  return cell_ptr{x};
}

void cell_layout::replace_factory(cell& x, void* factory) noexcept {
  std::byte* place = base_of(x) + factory_at(*x.factory_);
  x.factory_->destroy(place);
  x.factory_->move(factory, place);
}

shell::shell(caf::actor_config& config, core& home, const actor_type& type,
             const factory_type& made_by, const cell_options& options, cell* parent,
             std::uint32_t index)
    : monitorable_actor(config), cell(home, type, made_by, options, parent, index) {}

shell::~shell() {
  const factory_type& f = cell_layout::factory_of(*this);
  f.destroy(base_of(*this) + cell_layout::factory_at(f));
}

caf::resumable::resume_result shell::resume(caf::execution_unit*, std::size_t) {
  this_worker.job_owns_itself = true;
  this_worker.cell_ended = false;
  std::uint32_t handled = 0;
  const bool again = run(events_per_slice, handled);
  this_worker.handled = handled;
  return again ? resume_later : awaiting_message;
}

void shell::intrusive_ptr_add_ref_impl() {}

void shell::intrusive_ptr_release_impl() {}

void shell::clean_up(caf::error why) { cleanup(std::move(why), this_worker.unit); }

void shell::enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) {
  caf_bridge::of(home()).deliver(*this, std::move(message));
}

// ---- what a cell needs of CAF ---------------------------------------------------------------

/// Something has come into the user lane. What an actor on this thread sends to one elsewhere is
/// passed on by this very thread, whose caches it is in, and nobody need be woken. It leaves with
/// the sender's slice, hence not so for one with a thread to itself, which may stay in a handler.
void cell::schedule_for_event() noexcept {
  const cell* sender = this_worker.running;
  if (!type_->proxy || !sender || sender->type_->proxy || sender->own_thread_ ||
      this_worker.home != home_ || !this_worker.unit)
    return schedule();
  const cell_ptr alive{this};
  slice_mark* const marks = std::exchange(this_worker.mark, nullptr);  // a stall is the sender's
  const bool ended = this_worker.cell_ended;
  std::uint32_t handled = 0;
  const bool again = run(events_within, handled);
  this_worker.mark = marks;
  this_worker.cell_ended = ended;
  if (again) this_worker.unit->exec_later(&shell::of(*this));
  else if (this_worker.after && !this_worker.is_guest && home_->clock.asleep())
    home_->clock.rouse();  // to see if the slice does not end
}

void cell::schedule() noexcept {
  shell& self = shell::of(*this);
  if (own_thread_) home_->run_on_own_thread(*this);
  else if (this_worker.unit && this_worker.home == home_) [[likely]]
    this_worker.unit->exec_later(&self);
  else home_->scheduler->enqueue(&self);
}

void cell::cleanup_foreign(const exit_reason& why) noexcept {
  shell::of(*this).clean_up(to_caf(why));
}

/// Whichever of both comes second tells CAF, so that the end is told once, and with its reason if
/// CAF has had a handle before.
void cell::show_to_caf() noexcept {
  if (caf_marks_.fetch_or(caf_shown, std::memory_order_acq_rel) != caf_ended) return;
  shell::of(*this).clean_up(caf::exit_reason::unknown);
}

std::string_view cell::id() const noexcept {
  const auto* text =
      reinterpret_cast<const char*>(base_of(*this) + cell_layout::id_at(*factory_, *type_));
  return {text, id_size_};
}

std::uint64_t cell::number() const noexcept {
  return caf::actor_control_block::from(&shell::of(*this))->id();
}

const void* cell::factory() const noexcept {
  return base_of(*this) + cell_layout::factory_at(*factory_);
}

void* cell::object_place() const noexcept {
  return base_of(*this) + cell_layout::object_at(*factory_, *type_);
}

void release_last(cell* x) noexcept {
  if (inspection::under_way.load(std::memory_order_seq_cst)) {
    std::lock_guard wait_for_it{inspection::guard};
  }
  caf::intrusive_ptr_release(caf::actor_control_block::from(&shell::of(*x)));
}

}  // namespace coppice::detail
