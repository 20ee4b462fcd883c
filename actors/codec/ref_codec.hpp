// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/codec/codec.hpp>
#include <coppice/actors/ref.hpp>

/// Refs inside events. Apart from codec.hpp, which knows no cells.
namespace coppice::detail {

/// Nil for a ref to nobody; otherwise what the port makes of it. Without a port nobody could find
/// the way back: then it is nil too.
template <class... Es>
struct wire<ref<Es...>, wire_kind::address> {
  static constexpr bool nullable = true;
  static std::byte* put(writer& w, std::byte* at, const ref<Es...>& x) {
    cell* const target = detail_ref::get(x);
    if (!target || !w.refs()) return w.nil(at);
    w.close(at);
    w.refs()->write(w, target);
    return w.open();
  }
  static bool get(reader& r, ref<Es...>& x) {
    x = {};
    if (r.next_is_nil()) return r.nil();
    if (!r.refs()) return r.fail("a ref came to where none can be found");
    const cell_ptr target = r.refs()->read(r);
    if (r.ok()) x = detail_ref::make<ref<Es...>>(target.get());
    return r.ok();
  }
  static void shape(std::string& out, const enclosing*) { out += 'r'; }
};

}  // namespace coppice::detail
