#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# upward_include.sh COMPILER HEADER DIRS-BELOW DIRS-ABOVE (lists separated by semicolons):
# HEADER must compile with the include directories above, and must not be found with those below.
set -u
compiler=$1 header=$2

compiles() {
  local flags=() dirs dir
  IFS=';' read -ra dirs <<<"$1"
  for dir in "${dirs[@]}"; do flags+=(-I "$dir"); done
  "$compiler" -std=c++20 -fsyntax-only "${flags[@]}" -x c++ - <<<"#include <$header>" 2>&1
}

if ! output=$(compiles "$4"); then
  echo "<$header> must compile where it belongs, or this test shows nothing:"
  echo "$output"
  exit 1
fi
if output=$(compiles "$3"); then
  echo "<$header> compiles from a floor below it."
  exit 1
fi
case $output in
  *"$header: No such file"* | *"'$header' file not found"*) ;;
  *) echo "<$header> is refused for another reason than not being found:"; echo "$output"; exit 1 ;;
esac
