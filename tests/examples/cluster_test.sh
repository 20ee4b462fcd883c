#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The shop on three nodes: whatever befalls one of them, each order ends once, and it is told.
# Usage: cluster_test.sh DIRECTORY    where orders, orders_generate, orders_check, orders_relay are
set -u
export LC_ALL=C

if [ $# -ne 1 ] || [ ! -x "$1/orders_relay" ]; then
  echo "usage: cluster_test.sh DIRECTORY (with orders and orders_relay in it)" >&2
  exit 2
fi
programs=$(cd "$1" && pwd)
coppice=$(cd "$1/../../runtime" && pwd)/coppice
scratch=$(mktemp -d /tmp/shop-XXXXXX) || exit 2
seed=11 lines=4000 limit=100
. "$(dirname "$0")/../../examples/orders/scenes.sh"
trap 'stop_all; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
failures=0

# passed NAME STATUS: one line for the case; STATUS 0 means that it holds.
passed() {
  if [ "$2" -eq 0 ]; then
    echo "ok      $1"
  else
    echo "FAILED  $1"
    sed 's/^/        /' "$scratch/told"
    grep -v 'planted crash' up.log | tail -n 40 | cut -c 1-200 | sed 's/^/        /'
    failures=$((failures + 1))
  fi
}

# scene NAME [ARGUMENT]: plays it.
scene() { "scene_$1" "${@:2}" >"$scratch/told" 2>&1; }
told() { grep -qE -e "$1" "$scratch/told"; }
logged() { grep -qE -e "$1" up.log; }
# once: each line of the input is in the ledger, and none twice.
once() {
  [ "$(wc -l <ledger.jsonl)" -eq "$lines" ] &&
    [ "$(grep -o '^{"line":[0-9]*,' ledger.jsonl | sort | uniq -d | wc -l)" -eq 0 ]
}
# sound: no node has crashed, complained of memory or been denied anything.
sound() { ! logged 'Sanitizer: |runtime error|assertion|Assertion|denied'; }

scene undisturbed
passed "on three nodes the shop ends by itself" $?
checked && once && sound
passed "on three nodes each order ends once and in its place" $?

scene killed
passed "the shop outlives its stock node, which is started again" $?
checked && once && sound
passed "the stock node killed: each order ends once and in its place" $?
told '[1-9][0-9]* (disconnected|unreachable)' && told 'dead letters: '
passed "the stock node killed: what was asked in vain is counted, and so are dead letters" $?
logged '^beta *\| .*signal|^beta *\| .*SIGKILL|^beta *\| .*killed'
passed "the stock node killed: up says so" $?

for who in gamma beta; do
  scene hung $who
  passed "the shop outlives that $who hangs, and $who goes on without a restart" $?
  checked && once && sound
  passed "$who hung: each order ends once and in its place" $?
  told "$who is still process" && told '[1-9][0-9]* disconnected'
  passed "$who hung: it is the same process, and what was in its hands was told as disconnected" $?
done

scene cut
passed "the shop outlives a cut between intake and stock" $?
checked && once && sound
passed "a cut: each order ends once and in its place" $?
told '[1-9][0-9]* disconnected'
passed "a cut: what was under way was told as disconnected" $?

# --- a config that does not do
set_up wrong >/dev/null
ends() {  # ends NAME SENTENCE SED-SCRIPT NODE
  sed -e "$3" cluster.toml >wrong.toml
  timeout 60 "$programs/orders" --config wrong.toml --node "$4" --input "$scratch/orders.jsonl" \
    >up.log 2>&1 </dev/null
  [ $? -eq 1 ] && cp up.log "$scratch/told" && told "$2"
  passed "$1" $?
}
ends "a role that nobody has is told at the start" "no node of the cluster has the role 'stock'" \
  's/"stock"/"stocks"/' alpha
ends "a node without a part in the shop is told so" \
  "node beta has none of the roles intake, stock and shipping" 's/"stock"/"stocks"/' beta

echo
if [ "$failures" -eq 0 ]; then
  echo "all cases passed"
else
  echo "$failures cases failed"
  exit 1
fi
