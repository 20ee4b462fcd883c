#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Each C++ block in README.md and docs/ that follows a line `<!-- from FILE -->` must stand in
# that file, line by line, one after another. Usage: snippets.sh SOURCE_DIR
cd "${1:?usage: snippets.sh SOURCE_DIR}" || exit 2
bad=0 seen=0
check() {  # check DOCUMENT FILE SNIPPET
  seen=$((seen + 1))
  if ! [ -f "$2" ]; then
    echo "$1: names $2, which is not there"
    bad=1
  elif [[ $(<"$2")$'\n' != *"$3"* ]]; then
    echo "$1: a block does not stand in $2 as it is:"
    head -n 3 <<<"$3"
    bad=1
  fi
}
for document in README.md $(find docs -name '*.md'); do
  from='' inside=0 snippet=''
  while IFS= read -r line; do
    if [ $inside = 1 ]; then
      if [ "$line" = '```' ]; then
        check "$document" "$from" "$snippet"
        from='' inside=0 snippet=''
      else
        snippet+=$line$'\n'
      fi
    elif [[ $line =~ ^'<!-- from '(.*)' -->'$ ]]; then
      from=${BASH_REMATCH[1]}
    elif [ -n "$from" ] && [[ $line == '```'* ]]; then
      inside=1
    fi
  done <"$document"
done
echo "$seen snippets looked at"
[ $seen -gt 0 ] || { echo "no snippet was found: the check looks at nothing"; bad=1; }
exit $bad
