#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# prefix.sh CMAKE BUILD PREFIX: installs BUILD into a fresh PREFIX and looks at what arrived.
set -eu
rm -rf "$3"
"$1" --install "$2" --prefix "$3" >/dev/null
test -f "$3/include/coppice/actors/result.hpp"
strays=$(find "$3/include" -type f ! -path "$3/include/coppice/*/*.hpp" -o -type l \
  -o -name '*_private.hpp' -o -path '*/actors/caf/*' ! -name interop.hpp)
if [ -n "$strays" ]; then
  printf 'installed, and should not be:\n%s\n' "$strays"
  exit 1
fi
