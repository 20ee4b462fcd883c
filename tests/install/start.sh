#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Does what docs/start.md says, in its order, and compares what is printed with what it shows.
# Usage: start.sh SOURCE_DIR PREFIX COMPILER FLAGS LINK-FLAGS
# PREFIX is where Coppice is installed; the flags are what it was built with, or empty.
#
# Each block of the page has a mark, a comment above it, that says what it is; one that nobody
# would check is refused.
#   ```sh                                 run, in one shell; what only looks is repeated until it
#                                         shows what it should: a reader is slower than a script
#   <!-- prints -->                       all that the block before has printed
#   <!-- first terminal -->               a command that runs there until
#   <!-- first terminal: Ctrl-C -->       which it has to survive with 0
#   <!-- first terminal prints -->        lines that it prints after what was last done, in any
#                                         order but the last one, which comes after the others
#   <!-- checked: packages -->            the same as in cmake/packages.txt
#   <!-- checked: installed -->           install.prefix does it; here it is only configured
#   <!-- from FILE -->                    layout.snippets compares it
#   ```diff                               applied
# Numbers, times, ids and the width of columns may differ; `...` is anything.
set -uo pipefail
export LC_ALL=C

if [ $# -ne 5 ]; then
  echo "usage: start.sh SOURCE_DIR PREFIX COMPILER FLAGS LINK-FLAGS" >&2
  exit 2
fi
source=$(cd "$1" && pwd) prefix=$(cd "$2" && pwd)
limit=100  # seconds that anything waited for may take
scratch=$(mktemp -d /tmp/start-XXXXXX) || exit 2
export HOME=$scratch/home XDG_RUNTIME_DIR=$scratch CXX=$3 CXXFLAGS=$4 LDFLAGS=$5
unset COPPICE_CONFIG
mkdir "$HOME" && ln -s "$prefix" "$HOME/.local" || exit 2
running='' log=$scratch/log out=$scratch/out
since=0  # lines of the log before what was last done
: >"$log"

# ended: the first terminal's program has, within the limit; its exit code.
ended() {
  local until=$((SECONDS + limit)) process=$running
  running=''
  while kill -0 "$process" 2>/dev/null && [ $SECONDS -lt $until ]; do sleep 0.05; done
  kill -s KILL "$process" 2>/dev/null && echo "it had to be killed"
  wait "$process"
}
finish() {
  [ -n "$running" ] && kill -s INT "$running" && ended
  cd / && rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT TERM

# fail WHY BLOCK FILE...: says so and ends.
fail() {
  printf 'FAILED  %s\n%s\n' "$1" "$2" | sed '2,$s/^/        /'
  for file in "${@:3}"; do
    echo "but there is:"
    tail -n 40 "$file" | sed 's/^/        /'
  done
  exit 1
}

# Ports of this run, in place of those of the page.
ports=()
for shown in 7101 7102 8101 8102; do
  until port=$((20000 + RANDOM % 10000)) && [[ " ${ports[*]} " != *"/$port/"* ]] &&
    ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  ports+=(-e "s/127\.0\.0\.1:$shown/127.0.0.1:$port/")
done

# alike: without what may differ.
alike() {
  sed -E -e 's/[0-9-]{10}T[0-9:.]+[+-][0-9:]+/TIME/; s/\b([0-9a-f]{32}|[0-9a-f]{8})\b/ID/g' \
    -e 's/[0-9]+ (min|h|d) [0-9]+ (s|min|h)\b/N s/g; s/[0-9]+(\.[0-9]+)?/N/g' \
    -e 's/ +/ /g; s/ $//' "$@"
}
# pattern LINE: what matches it.
pattern() {
  printf -v REPLY %q "$1"
  REPLY=${REPLY//.../*}
}
# shows BLOCK: all of $out is that.
shows() {
  local line all=''
  while IFS= read -r line; do
    pattern "$line"
    if [ "$line" = ... ]; then all+='*'; else all+=$REPLY$'\n'; fi
  done < <(alike <<<"$1")
  # shellcheck disable=SC2053 # it is a pattern
  [[ $(alike "$out")$'\n' == $all ]]
}
# said BLOCK: the first terminal has, since what was last done.
said() {
  local lines=() new=() line i first latest=0
  mapfile -t lines < <(alike <<<"$1")
  mapfile -t new < <(tail -n +$((since + 1)) "$log" | alike)
  for line in "${lines[@]:0:${#lines[@]}-1}"; do
    pattern "$line"
    first=''
    for i in "${!new[@]}"; do
      # shellcheck disable=SC2053
      [[ ${new[i]} == $REPLY ]] && first=$i && break
    done
    [ -n "$first" ] || return 1
    [ "$first" -gt $latest ] && latest=$first
  done
  pattern "${lines[-1]}"
  for line in "${new[@]:latest}"; do
    # shellcheck disable=SC2053
    [[ $line == $REPLY ]] && return 0
  done
  return 1
}
until_so() {  # until_so COMMAND...: waits until it succeeds. 1: not within the limit.
  local until=$((SECONDS + limit))
  until "$@"; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.1
  done
}

# Runs the block, up to the first command that fails.
command='' bad=''
block_runs() {
  trap 'bad=$BASH_COMMAND; trap - ERR; return' ERR
  eval "$command"
  trap - ERR
}
run() {
  bad=''
  block_runs >"$out" 2>&1 </dev/null
  [ -e "$HOME/starter/cluster.toml" ] && sed -i "${ports[@]}" "$HOME/starter/cluster.toml"
}
only_looks() { ! grep -qvE '^(coppice (status|tree)|curl)( |$)' <<<"$command"; }
looks_again() {
  run
  shows "$1"
}

# The packages of the build, and what this page needs besides.
wanted_packages() {
  sed -n '/^\[build\]/,/^$/{/^[^[]/p}' "$source/cmake/packages.txt"
  echo curl
}
packages() { tr -d '\\' <<<"$1" | tr -s ' \n' '\n' | sed '1,/^install$/d; /^-/d'; }

block() {  # block LANGUAGE MARK TEXT
  local text=${3%$'\n'}
  [ -z "$bad" ] || [ "$1:$2" = :prints ] || fail "this does not work: $bad" "$command" "$out"
  case "$1:$2" in
    sh:)
      command=$(sed "${ports[@]}" <<<"$text") since=$(wc -l <"$log")
      run
      [ -z "$bad" ] || only_looks || fail "this does not work: $bad" "$text" "$out"
      ;;
    :prints)
      shows "$text" || { only_looks && until_so looks_again "$text"; } ||
        fail "after: $command" "$text" "$out"
      bad=''  # it is shown
      ;;
    'sh:first terminal')
      [ -z "$running" ] || fail "the first terminal is busy" "$text"
      : >"$log"
      since=0
      (eval "exec $text") >"$log" 2>&1 </dev/null &
      running=$!
      ;;
    ':first terminal prints')
      until_so said "$text" || fail "the first terminal does not print:" "$text" "$log"
      ;;
    'sh:checked: packages')
      [ "$(packages "$text" | sort)" = "$(wanted_packages | sort)" ] ||
        fail "cmake/packages.txt has others:" "$text"
      ;;
    'sh:checked: installed')
      (cd "$source" && eval "${text%%$'\n'*} -B $scratch/coppice") >"$out" 2>&1 &&
        ! grep -q 'not used' "$out" || fail "this does not work:" "$text" "$out"
      ;;
    diff:)
      patch -p0 <<<"$text" >"$out" 2>&1 || fail "this does not apply:" "$text" "$out"
      ;;
    *:from\ *) ;;
    *) fail "nobody checks this block:" "$text" ;;
  esac
  echo "ok      ${1:-output}: ${text%%$'\n'*}"
}

cd "$source" || exit 2
blocks=0 mark='' inside='' language='' text=''
while IFS= read -r line <&3; do
  if [ -n "$inside" ]; then
    if [ "$line" = '```' ]; then
      blocks=$((blocks + 1))
      block "$language" "$mark" "$text"
      mark='' inside='' text=''
    else
      text+=$line$'\n'
    fi
  elif [[ $line == '```'* ]]; then
    inside=1 language=${line#'```'}
  elif [ "$line" = '<!-- first terminal: Ctrl-C -->' ]; then
    since=$(wc -l <"$log")
    kill -s INT "$running"
    ended || fail "Ctrl-C: exit code $?" "" "$log"
    echo "ok      Ctrl-C"
  elif [[ $line =~ ^'<!-- '(.*)' -->'$ ]]; then
    mark=${BASH_REMATCH[1]}
  fi
done 3<"$source/docs/start.md"
[ $blocks -gt 20 ] || fail "only $blocks blocks were found" ""
[ -z "$running" ] || fail "the first terminal still runs" ""
echo "all $blocks blocks are as the page says"
