#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# planted_race.sh PROGRAM: succeeds if ThreadSanitizer reports a data race in PROGRAM, and it names
# no place outside the file that plants it as the first frame of a report.
output=$("$1" 2>&1)
printf '%s\n' "$output" | grep 'SUMMARY: ThreadSanitizer' || true
case $output in
  *'WARNING: ThreadSanitizer: data race'*) ;;
  *)
    printf '%s\n' "$output" | tail -n 20
    echo "ThreadSanitizer did not report the planted race, so its silence elsewhere proves nothing."
    exit 1
    ;;
esac
if printf '%s\n' "$output" | grep 'SUMMARY: ThreadSanitizer' | grep -qv planted_race; then
  echo "ThreadSanitizer reported more than the planted race."
  exit 1
fi
