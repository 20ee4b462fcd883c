#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Leads 20,000 orders through the shop, one line in twenty crashing a worker, then once more with
# one child killed from outside for each strategy, and has the books checked both times. Exits with
# 0 only if they balance.
# Usage: demo.sh BUILD_DIRECTORY [SEED]
set -u
if [ $# -lt 1 ] || [ ! -x "$1/examples/orders/orders" ]; then
  echo "usage: demo.sh BUILD_DIRECTORY [SEED] (with examples/orders/orders in it)" >&2
  exit 2
fi
programs=$1/examples/orders
seed=${2:-7}
lines=20000
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

fail() {
  echo
  echo "DEMO FAILED: $1"
  [ -s "$folder/log" ] && tail -n 5 "$folder/log"
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
echo "DEMO PASSED: $lines orders, each ended exactly once, through all the crashes."
