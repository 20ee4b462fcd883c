#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# coroutine_rules.sh accepts each allowed form and refuses each other one.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/actors"
failed=0

check() {
  local expected=$1 line=$2
  printf '%s\n' "$line" >"$root/actors/planted.cpp"
  "$here/coroutine_rules.sh" "$root" >/dev/null
  [ $? = "$expected" ] && return
  printf 'expected %s: %s\n' "$expected" "$line"
  failed=1
}

check 0 '  co_await x;'
check 0 '  auto y = co_await x;'
check 0 '  const auto y = co_await x;'
check 0 '  std::optional<int> y = co_await x;'
check 0 '  y = co_await x;'
check 0 '  sum += co_await x;'
check 0 '  if (auto y = co_await x; y && y->left > 0) {'
check 0 '  // switch (co_await x) is wrong'
check 0 '  say("co_await f(x)");'
check 1 '  switch (co_await x) {'
check 1 '  co_await ask(to, reserve{sku, 1}, 1s);'
check 1 '  auto y = co_await ask(to, e, 1s);'
check 1 '  reserve r{sku, co_await x};'
check 1 '  f(co_await x);'
check 1 '  if (co_await x) {'
check 1 '  while (co_await x) {'
check 1 '  auto y = (co_await x).value();'
check 1 '  co_return co_await x;'
check 1 '  auto y = co_await x + co_await z;'
exit $failed
