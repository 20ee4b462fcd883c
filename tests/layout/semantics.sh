#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Each row of docs/semantics.md and docs/otp-statements.md names its test, `"case" (file)`, and the
# case is in that file; or it says what it waits for, or why it does not apply.
# Usage: semantics.sh SOURCE_DIR
cd "${1:?usage: semantics.sh SOURCE_DIR}" || exit 2
bad=0
# A case's name may be broken into several literals: compare without breaks.
declare -A flat
for path in tests/*/*_test.cpp; do
  name=${path##*/}
  flat[${name%.cpp}]+=$(tr -d '\n' <"$path" | sed 's/"  *"//g; s/(  *"/("/g')
done

# check PAGE ROWS LEAST: the rows that match ROWS, of which there are at least so many.
check() {
  local rows=0 named=0 row shown found name file
  while IFS= read -r row; do
    rows=$((rows + 1))
    shown=${row%|*}
    shown=${shown##*| }
    found=0
    while IFS=$'\t' read -r name file; do
      found=1 named=$((named + 1))
      if [[ ${flat[$file]} != *"(\"$name\""* ]]; then
        echo "$1: no case \"$name\" in $file: $row"
        bad=1
      fi
    done < <(grep -oP '"[^"]+" \([a-z_]+_test\)' <<<"$shown" | sed -E 's/^"(.*)" \((.*)\)$/\1\t\2/')
    [ $found = 1 ] || [[ $shown =~ ^(wait|waits)\ for\ |^does\ not\ apply:|wait\ for ]] ||
      { echo "$1: names no test: $row"; bad=1; }
  done < <(grep -E "$2" "$1")
  echo "$1: $rows rows, $named tests named"
  [ $rows -ge "$3" ] || { echo "$1: too few rows: the check looks at nothing"; bad=1; }
}
check docs/semantics.md '^\| [A-F][0-9]+ \|' 60
check docs/otp-statements.md '^\| [12](\.[0-9]+)?-[a-z] \|' 100
exit $bad
