#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The shop of examples/orders: its books balance, through crashes, signals and bad input.
# Usage: shop_test.sh DIRECTORY    where orders, orders_generate and orders_check are
set -u
export LC_ALL=C

if [ $# -ne 1 ] || [ ! -x "$1/orders" ] || [ ! -x "$1/orders_check" ]; then
  echo "usage: shop_test.sh DIRECTORY (with orders, orders_generate and orders_check in it)" >&2
  exit 2
fi
programs=$1
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
ledger=$scratch/ledger
output=$scratch/output
failures=0

# passed NAME STATUS: one line for the case; STATUS 0 means that it holds.
passed() {
  if [ "$2" -eq 0 ]; then
    echo "ok      $1"
  else
    echo "FAILED  $1"
    [ -s "$output" ] && sed -n '1,25s/^/        /p' "$output" | cut -c 1-200
    failures=$((failures + 1))
  fi
}

generate() { "$programs/orders_generate" --seed "$1" --lines "$2" --out "$3" || exit 2; }
shop() { timeout 100 "$programs/orders" --ledger "$ledger" --log-file "$scratch/log" "$@"; }
bare() { timeout 100 "$programs/orders" --log-file "$scratch/log" "$@"; }
balances() { "$programs/orders_check" --seed "$1" --lines "$2" --ledger "$ledger" >"$output" 2>&1; }

# ends NAME CODE SENTENCE COMMAND...: it exits with CODE and says SENTENCE, a whole line.
ends() {
  local name=$1 code=$2 sentence=$3 got
  shift 3
  rm -f "$ledger"
  "$@" >"$output" 2>&1 </dev/null
  got=$?
  [ "$got" -eq "$code" ] || echo "(exit code $got, expected $code)" >>"$output"
  [ "$got" -eq "$code" ] && { [ -z "$sentence" ] || grep -qxF -e "$sentence" "$output"; }
  passed "$name" $?
}

# --- balanced books
for seed in 1 7 18446744073709551615; do
  generate "$seed" 10000 "$scratch/in"
  rm -f "$ledger"
  shop --input "$scratch/in" >"$output" 2>&1 && balances "$seed" 10000
  passed "10,000 orders of seed $seed from a file end where they must" $?
  rm -f "$ledger"
  shop >"$output" 2>&1 <"$scratch/in" && balances "$seed" 10000
  passed "10,000 orders of seed $seed from standard input end where they must" $?
done

# --- the checker sees what is wrong with a real ledger (of the last seed)
cp "$ledger" "$scratch/real"
caught() {  # caught NAME SED-SCRIPT
  sed "$2" "$scratch/real" >"$ledger"
  ! balances "$seed" 10000 && grep -qF "do not balance: 1 difference" "$output"
  passed "$1 is caught by the checker" $?
}
some=$(grep -n '"shipped"' "$scratch/real" | sed -n '100s/:.*//p')
caught "an order lost from the shop's ledger" "${some}d"
caught "an order shipped twice" "${some}p"
caught "a false refusal" "${some}s/\"shipped\"/\"refused\",\"reason\":\"declined\"/"

# --- the tree
generate 7 2000 "$scratch/in"
ends "--tree shows the restarts and their causes" 0 "" shop --input "$scratch/in" --tree
grep -q 'shipping .*running .*restarts [1-9]' "$output" &&
  grep -q 'last: crashed: std::runtime_error: planted crash, shipping:' "$output"
passed "--tree has shipping's restarts and the last cause" $?
ends "--json runs" 0 "" shop --input "$scratch/in" --json
grep '^{"path":"/orders"' "$output" | grep -q '"path":"/orders/stages/shipping".*"restarts":[1-9]'
passed "--json has shipping's restarts" $?
grep -q '^orders: 2000 lines in all, .* shipped, .* refused, .* lost; [1-9][0-9]* restarts$' \
  "$output"
passed "the last line of progress counts all lines and the restarts" $?

# --- input
: >"$scratch/empty"
ends "empty input: an empty ledger" 0 "" shop --input "$scratch/empty"
[ -f "$ledger" ] && [ ! -s "$ledger" ]
passed "empty input leaves an empty ledger" $?

generate 7 1000 "$scratch/in"
rm -f "$ledger"
head -c -1 "$scratch/in" | shop >"$output" 2>&1 && balances 7 1000
passed "a last line without a newline is a line" $?

rm -f "$ledger"
(head -n 500 "$scratch/in"; sleep 1; tail -n +501 "$scratch/in") | shop >"$output" 2>&1 &&
  balances 7 1000
passed "input that pauses is waited for" $?

rm -f "$ledger"
head -c 10000000 /dev/urandom >"$scratch/garbage"
newlines=$(tr -dc '\n' <"$scratch/garbage" | wc -c)
[ "$(tail -c 1 "$scratch/garbage" | od -An -tx1 | tr -d ' ')" = 0a ] || newlines=$((newlines + 1))
shop <"$scratch/garbage" >"$output" 2>&1
code=$?
[ $code -eq 0 ] && [ "$(wc -l <"$ledger")" -eq "$newlines" ] &&
  [ "$(grep -c '"order":"","outcome":"refused","reason":"malformed"' "$ledger")" -eq "$newlines" ]
passed "10 MB of garbage are so many malformed lines" $?

# One line of 200 MB. When all of it has been written, the shop has read it but for what a pipe
# holds, and is asked how much memory it has had at most: less than it would take to keep the line,
# whatever a sanitizer adds.
rm -f "$ledger"
mkfifo "$scratch/line"
"$programs/orders" --ledger "$ledger" --log-file "$scratch/log" <"$scratch/line" \
  >"$output" 2>&1 &
shop_id=$!
exec 3>"$scratch/line"
head -c 200000000 /dev/zero >&3
most=$(awk '/^VmHWM:/ { print $2 }' "/proc/$shop_id/status")
exec 3>&-
wait "$shop_id" && echo "(at most $most kB)" >>"$output" && [ "$most" -lt 150000 ] &&
  [ "$(cat "$ledger")" = '{"line":1,"order":"","outcome":"refused","reason":"malformed"}' ]
passed "a line of 200 MB is one malformed line, in bounded memory" $?

# --- what cannot be read or written
ends "input that is not there" 1 \
  "orders: could not start: start_failed: the builder threw: cannot read /dev/null/in: Not a directory (at /orders#1)" \
  shop --input /dev/null/in
ends "input that is a folder" 1 "orders: cannot read $scratch: Is a directory" \
  shop --input "$scratch"
ends "a ledger whose folder is not there" 1 \
  "orders: could not start: start_failed: the builder threw: cannot write the ledger /dev/null/ledger: Not a directory (at /orders#1)" \
  bare --ledger /dev/null/ledger
ends "a ledger that is a device" 1 \
  "orders: could not start: start_failed: the builder threw: the ledger /dev/full is not a regular file: shipping could not read back what it has written (at /orders#1)" \
  bare --ledger /dev/full
echo '{"line":1,"order":"o-000001","outcome":"shipped"}' >"$scratch/old"
cp "$scratch/old" "$scratch/kept"
ends "a ledger of another run" 1 \
  "orders: could not start: start_failed: the builder threw: the ledger $scratch/old has records of another run in it: move it away or name another (at /orders#1)" \
  bare --ledger "$scratch/old"
cmp -s "$scratch/old" "$scratch/kept"
passed "a ledger of another run is left as it was" $?

# A limit on the size of files stands for a full disk: the record at its edge is cut short, too.
full() (
  trap '' XFSZ
  ulimit -f 16
  shop --input "$scratch/in"
)
ends "a disk that fills up in mid-run" 1 "" full
grep -q "^orders: cannot write the ledger $ledger: \(No space left on device\|File too large\)$" \
  "$output"
passed "a disk that fills up is told in one line" $?
[ "$(grep -c 'cannot write' "$output")" -eq 1 ] && [ "$(wc -c <"$ledger")" -eq 16384 ] &&
  [ "$(head -n -1 "$ledger" | grep -cv '^{"line":[0-9]*,"order":"[^"]*","outcome":"[^{]*"}$')" -eq 0 ]
passed "only the last record on a full disk is cut short" $?

# --- crashes from outside: each strategy at work, and books that balance all the same
generate 7 20000 "$scratch/in"
# crash NAME PATHS LINE...: the books balance, and these lines, without numbers, tell of the crashes.
crash() {
  local name=$1 paths=$2 code
  shift 2
  rm -f "$ledger"
  shop --input "$scratch/in" --crash "$paths" --crash-every 300 >"$scratch/told" 2>&1
  code=$?
  balances 7 20000 || code="$code, and the books do not balance"
  printf '%s\n' "$@" >"$scratch/expected"
  sed -n 's/^orders: crash //p' "$scratch/told" | sed 's/ [0-9]* #1 / N /; s/#[0-9]*/#/g' |
    diff "$scratch/expected" - >>"$output" || code="$code, and other lines"
  cat "$scratch/told" >>"$output"
  [ "$code" = 0 ]
  passed "$name" $?
}
again=", stopped and started with it"
crash "one_for_one: a worker that is killed comes back alone" stages/payment \
  "stages/payment (one_for_one): payment # -> #, killed" \
  "stages/payment (one_for_one): not touched: audit, shipping, inventory, intake"
for one in under-way reader dispatcher; do
  expected=()
  for each in under-way reader dispatcher; do
    how=$again
    [ "$each" = "$one" ] && how=", killed"
    expected+=("counter/$one (one_for_all): $each # -> #$how")
  done
  crash "one_for_all: with $one the whole counter begins afresh" "counter/$one" "${expected[@]}"
done
crash "rest_for_one: what stands behind is taken along, what stands before is not" counter \
  "counter (rest_for_one): counter # -> #, killed" \
  "counter (rest_for_one): progress # -> #$again" \
  "counter (rest_for_one): not touched: stages"
crash "rest_for_one: the first child takes all others along" stages \
  "stages (rest_for_one): stages # -> #, killed" \
  "stages (rest_for_one): counter # -> #$again" \
  "stages (rest_for_one): progress # -> #$again"

driver='counter/under-way/*'
told="$driver (simple_one_for_one): N killed; it does not come back"
crash "drivers that are killed with their orders in flight lose none" \
  "$driver,$driver,$driver,$driver,$driver,$driver" \
  "$told" "$told" "$told" "$told" "$told" "$told"
# Each may have been killed between its record and its own end, when nothing is left to be done.
for _ in 1 2 3 4 5; do
  again='^orders: lines without their drivers: [1-9].* [1-9][0-9]* are led again$'
  grep -q "$again" "$scratch/told" && break
  rm -f "$ledger"
  shop --input "$scratch/in" --crash "$driver,$driver,$driver,$driver" >"$scratch/told" 2>&1
done
grep -q "$again" "$scratch/told" && balances 7 20000
passed "the line of a driver that was killed is led again" $?

rm -f "$ledger"
reader=counter/reader
shop --input "$scratch/in" --crash "$reader,$reader,$reader,$reader,$reader" --crash-every 300 \
  >"$scratch/told" 2>&1 && balances 7 20000
passed "a counter that has used up its restarts is begun afresh, and the books balance" $?

for many in 1 500; do
  rm -f "$ledger"
  shop --input "$scratch/in" --in-flight $many --crash "$reader,$driver" --crash-every 300 \
    >"$scratch/told" 2>&1 && balances 7 20000
  passed "the books balance with $many in flight" $?
done

ends "a path to nobody" 2 "orders: --crash: there is no 'counter/nobody' in the tree, but there are:" \
  shop --input "$scratch/in" --crash stages/payment,counter/nobody
grep -qx '  counter/under-way/\*' "$output" && grep -qx '  stages/audit' "$output" && [ ! -s "$ledger" ]
passed "a path to nobody: told which there are, and no line is led" $?
ends "a crash that comes too late" 0 \
  "orders: crash stages/audit: not done, the orders had ended before" \
  shop --input "$scratch/in" --crash stages/audit --crash-every 1000000
ends "too many in flight" 2 \
  "orders: --in-flight: '501' is not a whole number from 1 to 500, written without sign or leading zeros" \
  shop --input "$scratch/in" --in-flight 501

# --- command line
ends "an option that does not exist" 2 \
  "orders: The following argument was not expected: --colour" shop --colour
ends "an option without its value" 2 "orders: --input: 1 required TEXT missing" shop --input
ends "a number that is none" 2 \
  "orders: --workers: '010' is not a whole number from 0 to 18446744073709551615, written without sign or leading zeros" \
  shop --workers 010
ends "--help" 0 "" shop --help
grep -qe '--ledger' "$output" && [ ! -e "$ledger" ]
passed "--help lists the options and touches no ledger" $?

# --- signals
# started INPUT: runs the shop in the background on INPUT and waits until it has written records.
started() {
  rm -f "$ledger"
  "$programs/orders" --ledger "$ledger" --log-file "$scratch/log" --input "$1" >"$output" 2>&1 &
  shop_id=$!
  for _ in $(seq 1000); do
    [ -f "$ledger" ] && [ "$(wc -l <"$ledger")" -gt 200 ] && return 0
    sleep 0.01
  done
  return 1
}
# whole_and_once: each line of the ledger is a record, and none is there twice.
whole_and_once() {
  [ -s "$ledger" ] && [ "$(tail -c 1 "$ledger" | od -An -tx1 | tr -d ' ')" = 0a ] &&
    [ "$(grep -cv '^{"line":[0-9]*,"order":"[^"]*","outcome":"[^{]*"}$' "$ledger")" -eq 0 ] &&
    [ "$(grep -o '^{"line":[0-9]*,' "$ledger" | sort | uniq -d | wc -l)" -eq 0 ]
}

generate 7 100000 "$scratch/long"
for signal in TERM INT; do
  started "$scratch/long" && kill -s $signal "$shop_id"
  wait "$shop_id"
  code=$?
  [ $code -eq 0 ] && whole_and_once && ended=$(wc -l <"$ledger") && [ "$ended" -lt 100000 ] &&
    balances 7 "$ended"
  passed "SIG$signal: exit code 0, and each line taken up so far has ended in its place" $?
done

started "$scratch/long" && kill -s KILL "$shop_id"
{ wait "$shop_id"; } 2>/dev/null
whole_and_once
passed "kill -9 leaves no torn and no doubled record" $?

# SIGTERM while nothing comes in.
rm -f "$ledger"
mkfifo "$scratch/pipe"
"$programs/orders" --ledger "$ledger" --log-file "$scratch/log" <"$scratch/pipe" \
  >"$output" 2>&1 &
shop_id=$!
exec 3>"$scratch/pipe"
head -n 300 "$scratch/in" >&3
for _ in $(seq 1000); do
  [ -f "$ledger" ] && [ "$(wc -l <"$ledger")" -eq 300 ] && break
  sleep 0.01
done
kill -s TERM "$shop_id"
wait "$shop_id"
code=$?
exec 3>&-
[ $code -eq 0 ] && balances 7 300
passed "SIGTERM while the input is silent: exit code 0, and all lines have ended" $?

echo
if [ "$failures" -eq 0 ]; then
  echo "all cases passed"
else
  echo "$failures cases failed"
  exit 1
fi
