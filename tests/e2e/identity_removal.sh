#!/bin/bash
# Proves: a removal whose daemon is killed with -9 between its steps is finished by the next daemon:
# the node is out, and the ring key is another one that every node seals with.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"

need jq sqlite3
export VIOS_SOCKET=$LAB/n1/run/vios.sock
grep -q VIOS_CRASH_AT "$DAEMON" || skip_all "this build has no crash points"

ring() {
    sqlite3 "$LAB/db/vios.db" "select * from kv where key = '/secret/ring'" |
        grep -o '{.*}' | jq -c '[.seal, [.keys[].id]]'
}
sealed_with() { # KEY-ID: every node says so
    [ "$("$VIOS" db get /alive/ --json | jq -c '[.[].value.seal] | unique')" = "[$1]" ]
}

job_done() {
    "$VIOS" job list --json | jq -e 'any(.[]; .kind == "node.remove" and .state == "done")'
}

for place in record:before record:after ring:before ring:after; do
    VIOS_CRASH_AT=node.remove:$place "$VIOS" lab up 3 --page-memory 16M >/dev/null
    PID=$(lab_pid n1 daemon_pid)
    run_status "$place: the daemon is killed" 4 "$VIOS" node remove n3 --yes
    ok "$place: it is gone" await "[ ! -e /proc/$PID ]" 20
    "$DAEMON" --config "$LAB/n1/vios.conf" >>"$LAB/n1/daemon.log" 2>&1 &
    PIDS+=("$!")
    ok "$place: the key is another" await "[ \"\$(ring)\" = '[2,[2]]' ]" 40
    ok "$place: and in use" await "sealed_with 2" 20
    is "$place: the node is out" \
        "$("$VIOS" node list --json | jq -r 'map(.name) | join(" ")')" "n1 n2"
    ok "$place: the job is done" await 'job_done' 20
    "$VIOS" lab down >/dev/null
done
finish
