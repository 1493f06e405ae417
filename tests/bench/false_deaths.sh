#!/usr/bin/env bash
# False deaths: five nodes while every core is kept busy by two other processes, for ten minutes.
# Counted are nodes that any node took for suspect, down or fenced, and elections after the first.
# Aim: none.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq

DURATION=${QUICK:+60}
DURATION=${DURATION:-600}
DIR=$WORK/lab

lab_clean() {
    "$BUILD/bin/vios" lab down --dir "$DIR" >/dev/null 2>&1 || true
    bench_clean
}
trap lab_clean EXIT

vios() {
    "$BUILD/bin/vios" --socket "$DIR/n1/run/vios.sock" "$@"
}

"$BUILD/bin/vios" lab up 5 --dir "$DIR" >/dev/null
until [ "$(vios primary explain --json | jq '.declined | length')" = 0 ]; do
    sleep 0.1
done
for node in n1 n2 n3 n4 n5; do
    wc -l <"$DIR/$node/daemon.log" >"$WORK/$node.before"
done
epoch=$(vios primary show --json | jq .epoch)
for ((i = 0; i < 2 * $(nproc); i++)); do
    (while :; do :; done) &
    PIDS+=("$!")
done
sleep "$DURATION"

deaths=0
for node in n1 n2 n3 n4 n5; do
    seen=$(tail -n +"$(($(cat "$WORK/$node.before") + 1))" "$DIR/$node/daemon.log" |
        grep -cE 'node n[0-9]+ is (suspect|down)|is fenced' || true)
    deaths=$((deaths + seen))
done
elections=$(($(vios primary show --json | jq .epoch) - epoch))
report "false_deaths_in_${DURATION}_s" "$deaths" aim 0 lower
report "false_elections_in_${DURATION}_s" "$elections" aim 0 lower
