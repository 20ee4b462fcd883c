// SPDX-License-Identifier: BSD-3-Clause
// Boost.JSON as source, so that no library is needed at link time. Nothing else may stand here: a
// program with Boost.JSON of its own has these symbols already, and then the linker leaves this
// file out.
#include <boost/json/src.hpp>
