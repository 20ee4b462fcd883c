#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Each row of docs/semantics.md names its test, `"case" (file)`, and the case is in that file; or
# it says what it waits for. Usage: semantics.sh SOURCE_DIR
cd "${1:?usage: semantics.sh SOURCE_DIR}" || exit 2
bad=0 rows=0 named=0
while IFS= read -r row; do
  rows=$((rows + 1))
  shown=${row%|*}
  shown=${shown##*| }
  if [[ $shown =~ wait ]]; then continue; fi
  found=0
  while IFS=$'\t' read -r name file; do
    found=1 named=$((named + 1))
    # A case's name may be broken into several literals: compare without breaks.
    if ! find tests -name "$file.cpp" -exec cat {} + | tr -d '\n' |
      sed 's/"  *"//g; s/(  *"/("/g' | grep -qF "(\"$name\""; then
      echo "no case \"$name\" in $file: $row"
      bad=1
    fi
  done < <(grep -oP '"[^"]+" \([a-z_]+_test\)' <<<"$shown" | sed -E 's/^"(.*)" \((.*)\)$/\1\t\2/')
  [ $found = 1 ] || { echo "names no test: $row"; bad=1; }
done < <(grep -E '^\| [A-E][0-9]+ \|' docs/semantics.md)
echo "$rows rows, $named tests named"
[ $rows -gt 60 ] || { echo "too few rows were found: the check looks at nothing"; bad=1; }
exit $bad
