#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Leads 20,000 orders through the shop, one line in twenty crashing a worker, then once more with
# one child killed from outside for each strategy; then on a cluster of three nodes, undisturbed and
# with one of them killed, hung and cut off. Has the books checked each time, and exits with 0 only
# if they all balance.
# Usage: demo.sh BUILD_DIRECTORY [SEED]
set -u
if [ $# -lt 1 ] || [ ! -x "$1/examples/orders/orders" ]; then
  echo "usage: demo.sh BUILD_DIRECTORY [SEED] (with examples/orders/orders in it)" >&2
  exit 2
fi
programs=$(cd "$1/examples/orders" && pwd)
coppice=$(cd "$1/runtime" && pwd)/coppice
seed=${2:-7}
lines=20000
scratch=$(mktemp -d) || exit 1
folder=$scratch
. "$(dirname "$0")/scenes.sh"
trap 'stop_all; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

fail() {
  echo
  echo "DEMO FAILED: $1"
  for log in "$folder/log" "$folder/up.log"; do [ -s "$log" ] && tail -n 5 "$log" | cut -c 1-200; done
  exit 1
}

echo "Generating $lines orders from seed $seed:"
"$programs/orders_generate" --seed "$seed" --lines "$lines" --out "$folder/orders.jsonl" ||
  fail "the orders could not be generated"
head -n 3 "$folder/orders.jsonl" | cut -c 1-96
echo

echo "Running the shop; its tree before it stops:"
"$programs/orders" --input "$folder/orders.jsonl" --ledger "$folder/ledger.jsonl" \
  --log-file "$folder/log" --tree || fail "the shop exited with code $?"
echo

echo "Its log has $(wc -l <"$folder/log") records, the first of them:"
head -n 1 "$folder/log"
echo

check() {
  echo "Checking the ledger against what the seed says:"
  "$programs/orders_check" --seed "$seed" --lines "$lines" --ledger "$1" ||
    fail "the books do not balance"
  echo
}
check "$folder/ledger.jsonl"

echo "Once more, killing while orders run: a worker (one_for_one), the dispatcher (one_for_all),"
echo "the whole counter (rest_for_one), and the actor of an order in flight (dynamic):"
"$programs/orders" --input "$folder/orders.jsonl" --ledger "$folder/again.jsonl" \
  --log-file "$folder/log" \
  --crash "stages/payment,counter/dispatcher,counter,counter/under-way/*" ||
  fail "the shop exited with code $?"
echo
check "$folder/again.jsonl"
echo "Now on three nodes from one file, examples/orders/cluster.toml: alpha takes orders in and has"
echo "the ledger, beta is inventory and payment, gamma is shipping. 'coppice up' starts them, each a"
echo "process, and talks TLS between them. First undisturbed."
scene() {  # scene NAME
  "scene_$1" || fail "the scene '$1' has not ended well"
  checked || fail "the books do not balance"
  echo
}
scene undisturbed
echo "While orders run, beta is killed with SIGKILL; 'coppice up' starts it again. Its memory is"
echo "gone, the ledger is not: what was in its hands is asked for again, by the number of its line."
scene killed
echo "gamma is stopped with SIGSTOP until alpha gives the session up, and goes on: same process."
scene hung
echo "What passes between alpha and beta is swallowed. gamma hears beta all the while, and so alpha"
echo "waits longer before it calls beta unreachable. Then it is healed."
scene cut
echo "DEMO PASSED: $lines orders, each ended exactly once, through all of it."
