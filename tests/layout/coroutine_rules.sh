#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# coroutine_rules.sh ROOT: in all our sources a `co_await` stands alone, because g++ 12 gets the
# rest wrong (docs/coroutines.md): `co_await x;`, `auto y = co_await x;`, also in the initialiser
# of an `if`. The file that shows what compilers get wrong is the one exception.
set -u
cd "$1" || exit 1

# Comments and string literals may say what code may not.
bare() {
  sed -E -e 's,"([^"\\]|\\.)*","",g' -e 's,//.*$,,' "$1"
}

alone='^([[:space:]]*(try[[:space:]]*\{)?[[:space:]]*'
alone+='(if[[:space:]]*\()?'                                # if (auto y = co_await x; y)
alone+='(((const[[:space:]]+)?[A-Za-z_][A-Za-z0-9_:<>]*[&[:space:]]+)?'  # a type, perhaps
alone+='[A-Za-z_][A-Za-z0-9_.]*[[:space:]]*[-+]?=[[:space:]]*)?'          # and what takes the value
alone+='co_await[[:space:]]+[A-Za-z_][A-Za-z0-9_]*;)'

failed=0
while IFS= read -r file; do
  found=$(bare "$file" | grep -nE '\bco_await\b' | grep -vE "^[0-9]+:${alone#^}")
  [ -n "$found" ] || continue
  sed "s,^,$file:," <<<"$found"
  failed=1
done < <(find actors supervision runtime examples tests bench \
  \( -name '*.hpp' -o -name '*.cpp' \) 2>/dev/null |
  grep -vE '^tests/(actors/coroutine_constructs_test|compile_fail/cases)\.cpp$')
[ $failed = 0 ] ||
  printf '\nA co_await stands alone and names what it waits for; see docs/coroutines.md.\n'
exit $failed
