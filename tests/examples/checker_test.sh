#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The generator and the checker of examples/orders: what the seed fixes, and that the checker
# catches every kind of difference.
# Usage: checker_test.sh DIRECTORY    where orders_generate and orders_check are
set -u
export LC_ALL=C

if [ $# -ne 1 ] || [ ! -x "$1/orders_generate" ] || [ ! -x "$1/orders_check" ]; then
  echo "usage: checker_test.sh DIRECTORY (with orders_generate and orders_check in it)" >&2
  exit 2
fi
generate=$1/orders_generate
check=$1/orders_check
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
failures=0

# passed NAME STATUS: one line for the case; STATUS 0 means that it holds.
passed() {
  if [ "$2" -eq 0 ]; then
    echo "ok      $1"
  else
    echo "FAILED  $1"
    [ -s "$scratch/output" ] && sed -n '1,25s/^/        /p' "$scratch/output"
    failures=$((failures + 1))
  fi
}

# expect NAME CODE SENTENCE COMMAND...: it exits with CODE and prints SENTENCE.
expect() {
  name=$1 code=$2 sentence=$3
  shift 3
  "$@" >"$scratch/output" 2>&1
  got=$?
  [ "$got" -eq "$code" ] || echo "(exit code $got, expected $code)" >>"$scratch/output"
  [ "$got" -eq "$code" ] && grep -qF -e "$sentence" "$scratch/output"
  passed "$name" $?
}

# caught NAME CODE DIFFERENCES SENTENCE: the checker finds so many in the ledger just changed.
caught() {
  expect "$1" "$2" "$4" "$check" --seed 7 --lines 1000 --ledger "$scratch/changed"
  grep -qF "do not balance: $3 difference" "$scratch/output"
  passed "$1: nothing else is reported" $?
}

# change SED-SCRIPT: makes the changed ledger from the perfect one.
change() { sed "$1" "$perfect" >"$scratch/changed"; }

perfect=$scratch/perfect
"$check" --seed 7 --lines 1000 --expected >"$perfect" || exit 1
# Lines with the ends the cases need; the first two shipped ones stand for all.
shipped=$(grep -n '"shipped"' "$perfect" | sed -n '1s/:.*//p')
other=$(grep -n '"shipped"' "$perfect" | sed -n '2s/:.*//p')
malformed=$(grep -n '"malformed"' "$perfect" | sed -n '1s/:.*//p')
id() { printf 'o-%06d' "$1"; }

# --- what balances
expect "a perfect ledger balances" 0 \
  "The books balance: 1000 lines, each recorded once and in its place." \
  "$check" --seed 7 --lines 1000 --ledger "$perfect"
sort -r "$perfect" >"$scratch/changed"
expect "a perfect ledger in another order balances" 0 "The books balance" \
  "$check" --seed 7 --lines 1000 --ledger "$scratch/changed"
expect "the ledger of another seed does not balance" 1 "The books do not balance" \
  "$check" --seed 8 --lines 1000 --ledger "$perfect"

# --- what does not
change "${shipped}d"
caught "a lost line is caught" 1 1 \
  "line $shipped (order $(id "$shipped")) is missing: it should be shipped, and the ledger has no"
change "${shipped}p"
caught "a duplicate is caught" 1 1 \
  "line $shipped (order $(id "$shipped")) is recorded more than once: in ledger line $shipped and"
change "${shipped}{p;s/\"shipped\"/\"refused\",\"reason\":\"declined\"/;}"
caught "a duplicate with another end is caught" 1 1 \
  "is recorded more than once: in ledger line $shipped and again in ledger line $((shipped + 1))"
change "${shipped}s/\"shipped\"/\"refused\",\"reason\":\"unknown_sku\"/"
caught "a false refusal is caught" 1 1 "line $shipped (order $(id "$shipped")) should be shipped,\
 but ledger line $shipped says refused (unknown_sku)"
change "${malformed}s/malformed/bad_quantity/"
caught "a wrong reason is caught" 1 1 \
  "line $malformed should be refused (malformed), but ledger line $malformed says refused (bad_q"
change "${malformed}s/\"order\":\"\"/\"order\":\"$(id "$malformed")\"/"
caught "an order id where none is known is caught" 1 1 \
  "line $malformed should name no order, but ledger line $malformed names \"$(id "$malformed")\""
change "${shipped}s/$(id "$shipped")/$(id "$other")/;${other}s/$(id "$other")/$(id "$shipped")/"
caught "two orders that changed places are caught" 1 2 "line $shipped should name order\
 $(id "$shipped"), but ledger line $shipped names \"$(id "$other")\""
change "\$s/\$/\\
{\"line\":1001,\"order\":\"o-001001\",\"outcome\":\"shipped\"}/"
caught "a foreign line number is caught" 1 1 \
  "ledger line 1001 records line 1001, but the input has only lines 1 to 1000"
change "\$s/\$/\\
{\"line\":0,\"order\":\"\",\"outcome\":\"shipped\"}/"
caught "line number zero is caught" 1 1 "ledger line 1001 records line 0, but the input has only"
{ cat "$perfect" && printf '{"line":10'; } >"$scratch/changed"
caught "a torn last line is caught" 1 1 \
  'the last line of the ledger, ledger line 1001, is torn (no newline at its end)'
printf %s "$(cat "$perfect")" >"$scratch/changed"
caught "a last line that only lacks its newline is torn too" 1 2 \
  'the last line of the ledger, ledger line 1000, is torn (no newline at its end)'
: >"$scratch/changed"
caught "an empty ledger lacks every line, and ten are told" 1 1000 "and 990 more"
[ "$(grep -c ' is missing: ' "$scratch/output")" -eq 10 ]
passed "ten differences are printed of a thousand" $?

# --- what is no record
garbage() {
  { cat "$perfect" && printf '%s\n' "$2"; } >"$scratch/changed"
  caught "$1" 2 1 "ledger line 1001 is not a record ($3"
}
garbage "a garbage line is caught" "@#! hello" "'{' is missing)"
garbage "an empty line is caught" "" "'{' is missing)"
garbage "half a record is caught" '{"line":17,"order":"o-0000' "a string is not closed"
garbage "a negative line number is caught" '{"line":-1,"order":"","outcome":"shipped"}' \
  '"line" is not a line number)'
garbage "a line number beyond 64 bits is caught" \
  '{"line":18446744073709551617,"order":"","outcome":"shipped"}' '"line" is not a line number)'
garbage "a missing field is caught" '{"line":17,"outcome":"shipped"}' \
  '"line", "order" or "outcome" is missing'
garbage "a field given twice is caught" '{"line":17,"line":18}' '"line" is given twice)'
garbage "an unknown field is caught" '{"line":17,"why":"because"}' 'it has an unknown field "why")'
garbage "an unknown end is caught" '{"line":17,"order":"","outcome":"eaten"}' \
  'outcome "eaten" without a reason is no known end)'
garbage "a reason for a shipped order is caught" \
  '{"line":17,"order":"","outcome":"shipped","reason":"declined"}' \
  'outcome "shipped" with reason "declined" is no known end)'
garbage "two records in one line are caught" \
  "$(sed -n "${shipped}p" "$perfect")$(sed -n "${other}p" "$perfect")" "something follows"
garbage "a huge line is caught" "{\"line\":$(head -c 100000 /dev/zero | tr '\0' 1)}" \
  '"line" is not a line number)'
{ cat "$perfect" && printf '\377\000\033[2J{\200\n'; } >"$scratch/changed"
caught "binary bytes are caught, and not passed on to the terminal" 2 1 "): \"???[2J{?\""

# --- what the seed fixes
"$generate" --seed 7 --lines 10000 >"$scratch/orders"
[ "$(wc -l <"$scratch/orders")" -eq 10000 ]
passed "as many lines are written as asked for" $?
"$generate" --seed 7 --lines 10000 --out "$scratch/again" &&
  cmp -s "$scratch/orders" "$scratch/again"
passed "the same seed gives the same bytes, in a file or on standard output" $?
[ "$(cksum <"$scratch/orders")" = "3278523843 2214990" ]
passed "seed 7 gives these bytes with every compiler" $?
"$generate" --seed 8 --lines 10000 >"$scratch/again"
! cmp -s "$scratch/orders" "$scratch/again"
passed "another seed gives other bytes" $?
head -n 1000 "$scratch/orders" >"$scratch/again"
"$generate" --seed 7 --lines 1000 | cmp -s - "$scratch/again"
passed "a longer run begins with the shorter one" $?
awk 'length($0) > 65536 { bad = 1 } END { exit bad }' "$scratch/orders"
passed "no line is longer than 65,536 bytes" $?

# --- that every kind is there
"$generate" --seed 7 --lines 10000 --kinds >"$scratch/kinds"
cp "$scratch/kinds" "$scratch/output"
awk '$1 < 5 { bad = 1 } END { exit bad || NR != 41 }' "$scratch/kinds"
passed "10,000 lines hold at least five of each of the 41 kinds" $?
missing=0
for stage in intake inventory payment shipping audit; do
  for when in before after; do
    [ "$(grep -c "\"plant\":\"$stage:$when\"" "$scratch/orders")" -ge 20 ] || missing=1
  done
done
passed "10,000 lines hold at least twenty plants of each stage, before and after" $missing
"$check" --seed 7 --lines 10000 --expected >"$scratch/changed"
expect "10,000 lines balance" 0 "The books balance: 10000 lines" \
  "$check" --seed 7 --lines 10000 --ledger "$scratch/changed"
awk '$1 ~ /^(shipped|refused|lost)$/ { rows++; if ($NF < 20) few = 1 }
  END { exit few || rows != 10 }' "$scratch/output"
passed "10,000 lines come to each end at least twenty times" $?

# --- bad command lines
expect "a missing seed is told" 2 "--seed is required" "$generate" --lines 10
expect "missing lines are told" 2 "--lines is required" "$generate" --seed 7
for seed in x -1 1.5 010 18446744073709551616; do
  expect "the seed $seed is told to be none" 2 "a seed is a decimal number" \
    "$generate" --seed "$seed" --lines 10
done
expect "no lines are told" 2 "--lines" "$generate" --seed 7 --lines 0
expect "too many lines are told" 2 "--lines" "$generate" --seed 7 --lines 10000001
expect "an unknown option is told" 2 "--sead" "$generate" --seed 7 --lines 1 --sead 8
expect "a file that cannot be made is told" 2 "cannot open $scratch/none/orders for writing" \
  "$generate" --seed 7 --lines 10 --out "$scratch/none/orders"
if [ -c /dev/full ]; then
  expect "a full disk is told" 2 "cannot write to /dev/full" \
    "$generate" --seed 7 --lines 10 --out /dev/full
fi
expect "the checker tells a missing seed" 2 "--seed is required" \
  "$check" --lines 10 --ledger "$perfect"
expect "the checker tells a missing ledger" 2 "--ledger is required" "$check" --seed 7 --lines 10
expect "the checker tells lines that are no number" 2 "--lines" \
  "$check" --seed 7 --lines ten --ledger "$perfect"
expect "the checker tells an unreadable ledger" 2 "cannot read the ledger $scratch/none" \
  "$check" --seed 7 --lines 10 --ledger "$scratch/none"
expect "the checker tells a ledger that is a directory" 2 "cannot read the ledger $scratch" \
  "$check" --seed 7 --lines 10 --ledger "$scratch"
expect "the generator explains itself" 0 "--seed" "$generate" --help
expect "the checker explains itself" 0 "--ledger" "$check" --help

if [ "$failures" -ne 0 ]; then
  echo "$failures failed"
  exit 1
fi
