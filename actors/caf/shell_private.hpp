// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <caf/monitorable_actor.hpp>
#include <caf/resumable.hpp>

#include <coppice/actors/detail/cell.hpp>
#include <coppice/actors/detail/core.hpp>

namespace coppice::detail {

/// A cell as CAF sees it: an actor that its schedulers resume, its handles refer to, and its
/// monitors and links observe. All our refs together hold one of CAF's references.
class shell final : public caf::monitorable_actor, public caf::resumable, public cell {
 public:
  shell(caf::actor_config& config, core& home, const actor_type& type, const factory_type& made_by,
        const cell_options& options, cell* parent, std::uint32_t index);
  ~shell() override;

  subtype_t subtype() const override { return scheduled_actor; }
  resume_result resume(caf::execution_unit* unit, std::size_t budget) override;
  void intrusive_ptr_add_ref_impl() override;
  void intrusive_ptr_release_impl() override;
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit* unit) override;
  void on_destroy() override {}
  const char* name() const override { return "coppice.cell"; }

  /// Tells CAF's monitors and links.
  void clean_up(caf::error why);
  static shell& of(const cell& x) noexcept {
    return const_cast<shell&>(static_cast<const shell&>(x));
  }
};

/// One allocation: control block, shell, factory, incarnation, id.
struct cell_layout {
  static const factory_type& factory_of(const cell& x) noexcept { return *x.factory_; }
  static std::size_t factory_at(const factory_type& f) noexcept;
  static std::size_t object_at(const factory_type& f, const actor_type& t) noexcept;
  static std::size_t id_at(const factory_type& f, const actor_type& t) noexcept;

  static cell_ptr make(core& home, caf::actor_system& caf_system, const actor_type& type,
                       factory_ref made_by, std::string_view id, const cell_options& options,
                       cell* parent, std::uint32_t index);
  /// Puts other constructor arguments in the place of the old ones; the cell must be down and
  /// of the same factory type.
  static void replace_factory(cell& x, void* factory) noexcept;
};

}  // namespace coppice::detail
