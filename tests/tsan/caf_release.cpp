// SPDX-License-Identifier: BSD-3-Clause
#include <caf/abstract_actor.hpp>
#include <caf/actor_control_block.hpp>

// Linked into programs built with ThreadSanitizer, and only there.
//
// The last release of an actor happens after every other use of it: CAF's reference count says so,
// but the two functions that release live in CAF's library, which is not instrumented. Without
// them ThreadSanitizer sees a destructor race with every earlier use. Both are exported, so the
// definitions below, instrumented and exported by the program, replace the library's own for the
// library as well. They do what CAF 0.17 does.
namespace caf {

void intrusive_ptr_release_weak(actor_control_block* x) {
  if (x->weak_refs.fetch_sub(1, std::memory_order_acq_rel) == 1) x->block_dtor(x);
}

void intrusive_ptr_release(actor_control_block* x) {
  if (x->strong_refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    x->data_dtor(x->get());
    intrusive_ptr_release_weak(x);
  }
}

}  // namespace caf
