# SPDX-License-Identifier: BSD-3-Clause
# The shop on three nodes, and what may befall them: sourced by demo_cluster.sh and by the tests.
#
# Before: programs=FOLDER of orders, orders_generate, orders_check and orders_relay,
# coppice=FOLDER/coppice, scratch=an empty folder with a short absolute path, seed, lines.
# Each scene has a folder of its own in $scratch and leaves these in it: `up.log`, what the nodes
# said, and `ledger.jsonl`. It ends with 0 if the shop has ended well and in time; `checked` tells
# whether the books balance.

limit=${limit:-120}  # seconds that anything waited for may take
running=()           # what has been started and not been ended: process ids
feeder=              # who writes orders, if they do not come from a plain file

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "   $*"; }
now() { date +%H:%M:%S.%3N; }
# milliseconds HH:MM:SS.mmm: of the day.
milliseconds() { awk -F'[:.]' '{ print (($1 * 60 + $2) * 60 + $3) * 1000 + $4 }' <<<"$1"; }

# until_so COMMAND...: waits until it succeeds. 1: not within the limit.
until_so() {
  local until=$((SECONDS + limit))
  until "$@"; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.02
  done
}

# set_up NAME [paced]: orders, certificates, and the cluster file with sockets in the scene's folder in place
# of ports, so that several can run on one machine.
set_up() {
  folder=$scratch/$1
  mkdir -p "$folder" && cd "$folder" || return 1
  export XDG_RUNTIME_DIR=$folder
  [ -e "$scratch/orders.jsonl" ] ||
    "$programs/orders_generate" --seed "$seed" --lines "$lines" --out "$scratch/orders.jsonl" ||
    return 1
  if [ ! -e "$scratch/certificates" ]; then
    "$coppice" cert init "$scratch/certificates" --cluster orders >/dev/null &&
      "$coppice" cert issue "$scratch/certificates" alpha beta gamma >/dev/null || return 1
  fi
  ln -s "$scratch/certificates" . || return 1
  if [ "${2:-}" = paced ]; then feed; else ln -s "$scratch/orders.jsonl" . || return 1; fi
  sed -e '/^http/d' -e "s|\"127.0.0.1:7101\"|\"unix:$folder/alpha\"|" \
    -e "s|\"127.0.0.1:7102\"|\"unix:$folder/beta\"|" \
    -e "s|\"127.0.0.1:7103\"|\"unix:$folder/gamma\"|" "$here/cluster.toml" >cluster.toml
}

# feed: the orders come through a pipe, and the second half of them only after `go_on`, so that
# there are some to be led whatever happens and however fast the machine is.
feed() {
  mkfifo orders.jsonl || return 1
  (
    exec >orders.jsonl
    head -n $((lines / 2)) "$scratch/orders.jsonl"
    until [ -e go_on ]; do sleep 0.02; done
    tail -n +$((lines / 2 + 1)) "$scratch/orders.jsonl"
  ) &
  feeder=$!
}
go_on() { : >go_on; }

# bring_up FILE [OPTIONS]: starts the nodes of FILE. What they say is added to up.log.
bring_up() {
  PATH=$programs:$PATH "$coppice" up "$@" >>up.log 2>&1 &
  running+=($!)
}

# pid_of NODE: of its process.
pid_of() {
  local up child
  for up in "${running[@]}"; do
    for child in $(cat /proc/$up/task/$up/children 2>/dev/null); do
      tr '\0' '\n' <"/proc/$child/cmdline" 2>/dev/null | grep -qx "$1" && echo "$child" && return
    done
  done
  return 1
}

# written SHARE: the ledger has this many per cent of the lines.
written() { [ -e ledger.jsonl ] && [ "$(wc -l <ledger.jsonl)" -ge $((lines * $1 / 100)) ]; }

# seen NODE PEER OPINION TIME: NODE has had it of PEER since TIME; says when.
seen() {
  grep "^$1 *| orders: at .* node $2 is $3:" up.log | sed 's/.* orders: at \([0-9:.]*\) .*/\1/' |
    awk -v since="$4" '$0 >= since { print; found = 1; exit } END { exit !found }'
}

# witnessed NODE PEER OPINION TIME: waits for that, and tells how long it took.
witnessed() {
  until_so seen "$@" >/dev/null || { say "NOT SEEN: $1 says that $2 is $3"; return 1; }
  if_seen "$@"
}
# if_seen NODE PEER OPINION TIME: tells it, if it was so.
if_seen() {
  local at
  at=$(seen "$@") || return 0
  say "after $(($(milliseconds "$at") - $(milliseconds "$4"))) ms at $1: $(
    sed -n "s/^$1 *| orders: at $at \(node $2 is $3: .*\)/\1/p" up.log | tail -n 1
  )"
}

ended() { grep -q "^alpha *| has ended" up.log; }

# led_to_the_end: waits until all orders have ended, and stops the cluster.
led_to_the_end() {
  local up well=0
  until_so ended || { say "NOT ENDED within $limit s"; well=1; }
  grep -q "^alpha *| has ended as it was asked to" up.log || well=1
  stop_all
  sed -n 's/^alpha *| orders: \(in all asked.*\)/   \1/p; s/^alpha *| orders: \(.* lines in all.*\)/   \1/p' up.log
  sed -n 's/^beta *| orders: \([0-9].*\)/   beta: \1/p' up.log
  return $well
}

# stop_all: ends what is running, by number.
stop_all() {
  local process until=$((SECONDS + 60))
  for process in "${running[@]}"; do kill -s INT "$process" 2>/dev/null; done
  for process in "${running[@]}"; do
    while kill -0 "$process" 2>/dev/null && [ $SECONDS -lt $until ]; do sleep 0.05; done
    kill -s KILL "$process" 2>/dev/null && sleep 0.2  # its children end with it
    wait "$process" 2>/dev/null
  done
  running=()
  [ -n "$feeder" ] && kill -s TERM "$feeder" 2>/dev/null
  feeder=
}

# checked: the verdict of the checker.
checked() {
  "$programs/orders_check" --seed "$seed" --lines "$lines" --ledger ledger.jsonl >checked.txt 2>&1
  local code=$?
  sed -n '/^The books/,$s/^/   /p' checked.txt
  return $code
}

scene_undisturbed() {
  set_up undisturbed || return 1
  bring_up cluster.toml
  led_to_the_end
}

scene_killed() {
  local at process
  set_up killed paced || return 1
  bring_up cluster.toml
  process=$(until_so pid_of beta) && until_so written 20 || { say "NOT under way"; stop_all; return 1; }
  at=$(now)
  kill -s KILL "$process"
  go_on
  say "at $at beta, process $process, is killed; $(wc -l <ledger.jsonl) orders have ended"
  witnessed alpha beta unreachable "$at" && witnessed alpha beta up "$at" || { stop_all; return 1; }
  led_to_the_end
}

# scene_hung [NODE]: gamma, if none is named.
scene_hung() {
  local at process who=${1:-gamma}
  set_up "hung-$who" paced || return 1
  bring_up cluster.toml
  process=$(until_so pid_of "$who") && until_so written 20 || { say "NOT under way"; stop_all; return 1; }
  at=$(now)
  kill -s STOP "$process"
  go_on
  say "at $at $who, process $process, is stopped; $(wc -l <ledger.jsonl) orders have ended"
  until_so seen alpha "$who" unreachable "$at" >/dev/null
  if_seen alpha "$who" suspect "$at"
  witnessed alpha "$who" unreachable "$at" &&
    until_so session_over "$who"
  local well=$?
  [ $well -eq 0 ] &&
    say "after $(($(milliseconds "$(now)") - $(milliseconds "$at"))) ms alpha has given up the session with $who"
  at=$(now)
  kill -s CONT "$process"
  say "at $at $who goes on; $(wc -l <ledger.jsonl) orders have ended"
  [ $well -eq 0 ] && witnessed alpha "$who" up "$at" || { stop_all; return 1; }
  [ "$(pid_of "$who")" = "$process" ] && say "$who is still process $process"
  led_to_the_end
}
session_over() { grep -q "^alpha .* the session with node $1 has ended" up.log; }

scene_cut() {
  local at relay node
  set_up cut paced || return 1
  # alpha and beta reach each other over the relay; a third node sees neither of them cut.
  sed "s|\"unix:$folder/beta\"|\"unix:$folder/to-beta\"|" cluster.toml >alpha.toml
  sed "s|\"unix:$folder/alpha\"|\"unix:$folder/to-alpha\"|" cluster.toml >beta.toml
  cp cluster.toml gamma.toml
  "$programs/orders_relay" to-beta beta to-alpha alpha 2>>up.log &
  relay=$!
  for node in alpha beta gamma; do bring_up $node.toml --node $node; done
  running+=("$relay")
  until_so written 20 || { say "NOT under way"; stop_all; return 1; }
  at=$(now)
  kill -s USR1 "$relay"
  go_on
  say "at $at what passes between alpha and beta is cut; $(wc -l <ledger.jsonl) orders have ended"
  until_so seen alpha beta unreachable "$at" >/dev/null
  if_seen alpha beta suspect "$at"
  witnessed alpha beta unreachable "$at" &&
    witnessed beta alpha unreachable "$at" && until_so session_over beta
  local well=$?
  [ $well -eq 0 ] &&
    say "after $(($(milliseconds "$(now)") - $(milliseconds "$at"))) ms alpha has given up the session with beta"
  at=$(now)
  kill -s USR2 "$relay"
  say "at $at it is healed; $(wc -l <ledger.jsonl) orders have ended"
  [ $well -eq 0 ] && witnessed alpha beta up "$at" && witnessed beta alpha up "$at" ||
    { stop_all; return 1; }
  led_to_the_end
}
