#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh COMPILER INCLUDE-DIRECTORY...: each mistake of cases.cpp is refused, and our sentence is
# the first error; case 0 compiles. With another compiler at hand (clang++), that one too.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cases=$here/cases.cpp
compilers=("$1")
shift
include=()
for directory in "$@"; do
  IFS=';' read -ra parts <<<"$directory"
  for part in "${parts[@]}"; do include+=(-I "$part"); done
done
for other in clang++-14 clang++; do
  command -v "$other" >/dev/null || continue
  [[ $("$other" --version | head -1) == "$("${compilers[0]}" --version | head -1)" ]] ||
    compilers+=("$other")
  break
done

failed=0
complain() {
  printf '%s\n' "$1"
  sed -n '1,12p' <<<"$2"
  echo
  failed=1
}

# compile COMPILER CASE: what it says, in English
compile() {
  LC_ALL=C "$1" -std=c++20 -fsyntax-only -Wall -Wextra "-DCASE=$2" "${include[@]}" "$cases" 2>&1
}

last=$(grep -cE '^#(if|elif) CASE ==' "$cases")
for compiler in "${compilers[@]}"; do
  if ! said=$(compile "$compiler" 0) || [ -n "$said" ]; then
    complain "$compiler: the positive control does not compile without a word" "$said"
  fi
  for ((i = 1; i <= last; ++i)); do
    expected=$(grep -A1 -E "^#(if|elif) CASE == $i\$" "$cases" | sed -n 's,^// expect: ,,p')
    if [ -z "$expected" ]; then
      complain "case $i expects no sentence" ""
    elif said=$(compile "$compiler" "$i"); then
      complain "$compiler: case $i compiles; expected: $expected" "$said"
    elif first=$(grep -m1 'error: ' <<<"$said") && [[ $first != *"coppice: "*"$expected"* ]]; then
      complain "$compiler: case $i: the first error is not ours; expected: $expected" \
        "$(grep 'error: ' <<<"$said")"
    fi
  done
done
[ $failed = 0 ] && echo "$last mistakes explained by ${compilers[*]}"
exit $failed
