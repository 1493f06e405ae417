#!/bin/bash
# Proves: two daemons whose VIOS DB is an etcd of three members form a cluster, and go on when one
# member is killed with -9, and when it is back.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
# shellcheck source=etcd.sh
. "$(dirname "$0")/etcd.sh"
need etcd curl jq

at_exit end_strays

start_daemon() { # NODE
    mkdir -p "$DIR/$1"
    "$DAEMON" --node "$1" --port 0 --nbd-port 0 --store "etcd:$ETCD_ENDPOINTS?prefix=/vios/lab" \
        --run-dir "$DIR/$1/run" --state-dir "$DIR/$1/state" 2>>"$DIR/$1.log" >/dev/null &
    PIDS+=("$!")
    DAEMONS+=("$!")
    await "vios $1 config list" 20 || bail "$1 does not answer"
}

vios() { # NODE WORD...
    local node=$1
    shift
    "$VIOS" --socket "$DIR/$node/run/vios.sock" "$@"
}

states() { # NODE
    vios "$1" node list --json | jq -r 'map(.name + "=" + .state) | join(" ")'
}

DAEMONS=()
ok "three members start" etcd_start 3
start_daemon n1
start_daemon n2
run_status "there is no cluster yet" 4 vios n1 lpar list
run_status "n1 creates it" 0 vios n1 cluster create lab
run_status "n2 joins" 0 vios n2 node join "$(vios n1 node token)"
ok "n1 sees both" await "[ \"\$(states n1)\" = 'n1=up n2=up' ]" 20
run_status "n2 lists no guests" 0 vios n2 lpar list
run_status "the DB is whole" 0 vios n1 db check
run_status "a backup is made" 0 vios n1 db backup "$DIR/backup.db"

# The daemons use the first member.
kill -9 "${ETCD_PIDS[0]}"
run_status "n1 lists guests without a member" 0 vios n1 lpar list
run_status "and the other node" 0 vios n2 lpar list
ok "both are up" await "[ \"\$(states n2)\" = 'n1=up n2=up' ]" 20
run_status "a check names the member" 4 vios n1 db check
like "that is away" "$ERR" "${ETCD_ENDPOINTS%%,*}: this member of etcd does not answer"

ok "the member is back" etcd_restart 0
run_status "the DB is whole again" 0 vios n1 db check
ok "both are still up" await "[ \"\$(states n1)\" = 'n1=up n2=up' ]" 20
for pid in "${DAEMONS[@]}"; do
    kill -TERM "$pid"
    wait "$pid"
    is "a daemon ends cleanly" $? 0
done
finish
