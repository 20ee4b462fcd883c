#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Shows that includes.sh lets a clean tree pass and refuses each kind of wrong include.
set -u
check=$(dirname "$(realpath "$0")")/includes.sh
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/actors/{caf,detail} "$root"/supervision "$root"/runtime/node "$root"/tests
failed=0

plant() {  # plant FILE LINE: into a tree that is clean otherwise
  echo '#include <caf/actor.hpp>' >"$root/actors/caf/cell.cpp"
  echo '#include <coppice/actors/ref.hpp>' >"$root/supervision/children.hpp"
  [ $# -eq 0 ] || echo "$2" >"$root/$1"
  output=$("$check" "$root")
  local refused=$?
  [ $# -eq 0 ] || rm "${root:?}/$1"
  return $refused
}

refused() {
  if plant "$1" "$2" || [[ $output != *"$1"* ]]; then
    echo "not refused in $1: $2"
    failed=1
  fi
}

plant || { echo "a clean tree is refused: $output"; failed=1; }
refused actors/ref.hpp '#include <coppice/actors/../supervision/children.hpp>'
refused tests/a.cpp '#include "../actors/ref.hpp"'
refused actors/ref.cpp '#include "ref.hpp"'
refused actors/ref.hpp '#include <caf/actor.hpp>'
refused runtime/node/node.cpp '  #  include "caf/all.hpp"'
refused actors/caf/cell.hpp '#include <caf/io/middleman.hpp>'
refused tests/a.cpp '#include <caf/openssl/all.hpp>'
refused actors/detail/lane.hpp '#include <coppice/actors/detail/word_private.hpp>'
refused actors/ref.hpp '#include <coppice/actors/caf/interop.hpp>'
refused actors/caf/interop.hpp '#include <coppice/actors/caf/cell.hpp>'
exit $failed
