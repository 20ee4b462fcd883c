#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# includes.sh ROOT: what our sources may include. Prints each offending line with the rule.
set -u
cd "$1" || exit 1
failed=0

# refuse RULE PATTERN FILES...: no line of FILES may match.
refuse() {
  local rule=$1 pattern=$2 found
  shift 2
  [ $# -gt 0 ] || return
  found=$(grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*$pattern" "$@") || return
  printf '%s\n%s\n\n' "$rule" "$found"
  failed=1
}

list() { find "$@" -name '*.hpp' -o -name '*.cpp' 2>/dev/null; }
mapfile -t all < <(list actors supervision runtime examples tests bench)
mapfile -t floors < <(list actors supervision runtime)
mapfile -t outside_caf < <(list actors supervision runtime examples | grep -v '^actors/caf/')
mapfile -t installed < <(printf '%s\n' "${floors[@]}" | grep '\.hpp$' |
  grep -v -e '_private\.hpp$' -e '^actors/caf/' | cat - <(ls actors/caf/interop.hpp 2>/dev/null))

refuse "An include never climbs: <coppice/...> is the same in the tree and installed." \
  '[<"][^>"]*\.\./' "${all[@]}"
refuse "The floors include their headers as <coppice/...>, not by a relative name." \
  '"' "${floors[@]}"
refuse "CAF is included under actors/caf only: that is the seam for another CAF." \
  '[<"]caf/' "${outside_caf[@]}"
refuse "Of CAF we use the core alone, never its network or its TLS." \
  '[<"]caf/(io|openssl)/' "${all[@]}"
refuse "An installed header includes neither a private one nor CAF's seam." \
  '[<"]coppice/([^>"]*_private\.hpp|actors/caf/)' "${installed[@]}"
exit $failed
