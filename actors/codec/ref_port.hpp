// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace coppice::detail {

class cell;
class cell_ptr;
class reader;
class writer;

/// How the refs inside events travel: whoever knows the session writes and reads them. Each ref is
/// one MessagePack value of the port's own making, never nil: that stands for a ref to nobody.
class ref_port {
 public:
  /// Appends one value that names `target`, which is never null.
  virtual void write(writer& to, cell* target) = 0;
  /// Takes that value. A null pointer is a ref to nobody; a value that makes no sense is
  /// `from.fail("...")`.
  virtual cell_ptr read(reader& from) = 0;

 protected:
  ~ref_port() = default;
};

}  // namespace coppice::detail
