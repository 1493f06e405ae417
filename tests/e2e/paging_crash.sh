#!/bin/bash
# Proves: a daemon killed before or after any step of paging.create and paging.remove leaves,
# once it is back, the device whole or not at all, and no page memory lost.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq

run "$VIOS" lab up 3 --page-memory 32M
if [ "$STATUS" != 0 ]; then
    bail "three nodes come up: $ERR"
fi
truncate -s 1M "$DIR/disk.raw"
run_status "an LPAR" 0 "$VIOS" lpar create web1 --memory 16M --disk "$DIR/disk.raw"

# Starts n1's daemon anew, told to die at $1; empty: without.
restart() {
    local pid
    pid=$(lab_pid n1 daemon_pid)
    if [ "$pid" != 0 ]; then
        kill -9 "$pid"
        await "! kill -0 $pid" 10
    fi
    VIOS_CRASH_AT=$1 "$VIOS" lab up --quiet >/dev/null
}
settled() {
    "$VIOS" job list --json | jq -e 'all(.[]; .state != "running" and .state != "undoing")'
}
granted() { # the page memory that n2 and n3 have granted, in regions
    local node total=0 count
    for node in n2 n3; do
        count=$(nbdinfo --list --json \
            "nbd+unix:///?socket=$LAB/$node/run/nbd.sock" 2>/dev/null |
            jq '[.exports[]? | select(."export-name" | startswith("page/"))] | length')
        total=$((total + ${count:-0}))
    done
    echo "$total"
}
crash() { # KIND:STEP:WHEN COMMAND...
    local where=$1
    shift
    restart "$where"
    run "$@"
    not_ok "$where: the daemon died" test "$STATUS" = 0
    restart ''
    ok "$where: its job is settled" await settled 40
}

for step in place record ready attach; do
    for when in before after; do
        crash "paging.create:$step:$when" "$VIOS" paging create web1 --size 16M
        if [ "$("$VIOS" paging list --json | jq length)" = 1 ]; then
            ok "$step:$when: whole" await \
                '[ "$("$VIOS" paging show web1 --json | jq -r .state)" = OK ]' 30
            run_status "$step:$when: and removable" 0 "$VIOS" paging remove web1 --yes
        fi
        ok "$step:$when: no memory is left granted" await '[ "$(granted)" = 0 ]' 20
    done
done
for step in delete drop; do
    for when in before after; do
        run_status "a device to remove" 0 "$VIOS" paging create web1 --size 16M
        crash "paging.remove:$step:$when" "$VIOS" paging remove web1 --yes
        is "$step:$when: it is gone" "$("$VIOS" paging list --json)" '[]'
        ok "$step:$when: no memory is left granted" await '[ "$(granted)" = 0 ]' 20
    done
done
finish
