#!/bin/bash
# Proves: db restore is the way from SQLite to etcd, and out of an etcd that lost its quorum with
# its data, to a new one; a cluster that lives in an etcd is not replaced; a restore into an etcd
# that is killed at any step leaves one that daemons refuse, until it is repeated; no number goes
# backwards.
# limit: 240
. "$(dirname "$0")/lib.sh"
# shellcheck source=etcd.sh
. "$(dirname "$0")/etcd.sh"
need etcd curl jq

at_exit end_strays

vios() { # NODE WORD...
    local node=$1
    shift
    "$VIOS" --socket "$DIR/$node/run/vios.sock" "$@"
}
configure() { # NODE STORE
    mkdir -p "$DIR/$1/run"
    printf '%s\n' "node = $1" "store = $2" "run_dir = $DIR/$1/run" "state_dir = $DIR/$1/state" \
        "ttl = 3s" "port = 0" >"$DIR/$1/vios.conf"
}
declare -A PID_OF
launch() { # NODE
    "$DAEMON" --config "$DIR/$1/vios.conf" 2>>"$DIR/$1.log" >/dev/null &
    PID_OF[$1]=$!
    PIDS+=("$!")
}
start() { # NODE...
    local node
    for node in "$@"; do
        launch "$node"
        await "vios $node config list" 30 ||
            bail "$node does not answer: $(tail -3 "$DIR/$node.log")"
    done
}
end() { # NODE...
    local node
    for node in "$@"; do
        kill -9 "${PID_OF[$node]}"
        wait "${PID_OF[$node]}" 2>/dev/null
    done
}
# Starts the command, which takes its time, and goes on; `outcome` waits for it, and is what it was.
declare -A BESIDE
beside() { # NAME COMMAND...
    local name=$1
    shift
    "$@" >"$DIR/$name.out" 2>"$DIR/$name.err" </dev/null &
    BESIDE[$name]=$!
    PIDS+=("$!")
}
outcome() { # NAME
    local status
    wait "${BESIDE[$1]}"
    status=$?
    cat "$DIR/$1.out"
    cat "$DIR/$1.err" >&2
    return "$status"
}
field() { # KEY FILTER
    vios n1 db get "$1" --json | jq -r ".[0].value | $2"
}
numbers() {
    echo "epoch=$(field /primary .epoch)"
    echo "restores=$(field /cluster '.restores // 0')"
    echo "generation=$(field /lpar/g1 .generation)"
    echo "n1=$(field /alive/n1 .incarnation)"
    echo "n3=$(field /alive/n3 .incarnation)"
}
all_grew() { # BEFORE NOW
    join -t = <(sort <<<"$1") <(sort <<<"$2") |
        awk -F = '{ n++ } $3 <= $2 { print "# " $1 ": " $2 " -> " $3; bad = 1 }
            END { exit bad || n != 5 }'
}
all_up() {
    [ "$(vios "$1" node list --json | jq -r 'map(.name + "=" + .state) | join(" ")')" = \
        "n1=up n2=up n3=up" ]
}

for node in n1 n2 n3; do
    configure "$node" "sqlite:$DIR/vios.db"
done
start n1 n2 n3
run_status "a cluster on SQLite" 0 vios n1 cluster create lab
for node in n2 n3; do
    run_status "$node joins" 0 vios "$node" node join "$(vios n1 node token --json | jq -r .token)"
done
truncate -s 1M "$DIR/disk.raw"
run_status "a guest's record" 0 vios n1 lpar create g1 --memory 16M --disk "$DIR/disk.raw"
ok "all are up" await "all_up n1" 30
before=$(numbers)
run_status "a backup" 0 vios n1 db backup "$DIR/sqlite.db"

# --- from SQLite to etcd ---
ok "three members of etcd" etcd_start 3
FIRST="etcd:$ETCD_ENDPOINTS?prefix=/vios/lab"
first_pids=("${ETCD_PIDS[@]}")
end n1
run_status "the old cluster still lives" 6 vios n1 db restore "$DIR/sqlite.db" --to "$FIRST" --yes
like "which is told" "$ERR" "vios.db: process [0-9]+ has it open"
end n2 n3
run_status "it moves" 0 vios n1 db restore "$DIR/sqlite.db" --to "$FIRST" --yes --json
ok "the old file is renamed" ls "$DIR"/vios.db.replaced-*
run_status "what to do next is" 1 vios n1 db check
like "not to use it again" "$ERR" "there is no such file"
for node in n1 n2 n3; do
    configure "$node" "$FIRST"
done
start n1 n2 n3
ok "all are up" await "all_up n1" 30
ok "and have a primary" await '[ "$(vios n1 primary show --json | jq -r .state)" = committed ]' 30
after=$(numbers)
ok "every number went up" all_grew "$before" "$after"
run_status "the guest is known" 0 vios n3 lpar show g1
before=$after

# --- a cluster that lives in an etcd ---
run_status "a backup of it" 0 vios n1 db backup "$DIR/etcd.db"
end n1
run_status "is not restored over it" 6 vios n1 db restore "$DIR/etcd.db" --yes
like "while nodes live" "$ERR" "a cluster lives there: /alive/n[23] was just written: end the "

# --- the quorum is lost, with its data ---
end n2
kill -9 "${first_pids[0]}" "${first_pids[1]}"
rm -rf "$ETCD_FOLDER/m0" "$ETCD_FOLDER/m1"
configure lost "$FIRST"
beside check vios lost db check
FOLDER=$DIR
DIR=$FOLDER/second etcd_start 1
SECOND="etcd:$ETCD_ENDPOINTS?prefix=/vios/lab"
beside dry_run vios lost db restore "$DIR/etcd.db" --dry-run \
    --to "etcd:$ETCD_ENDPOINTS?prefix=/vios/dry"

for node in n1 n2; do
    configure "$node" "$SECOND"
done
refused() { # a daemon does not start on it
    : >"$DIR/n1.log"
    launch n1
    wait "${PID_OF[n1]}"
    grep -q 'restore of it did not end: restore a backup: vios db restore' "$DIR/n1.log"
}
if [ "${VARIANT:-test}" != release ]; then
    for step in begun batch put deleted; do
        run env VIOS_CRASH_AT="db.restore:$step" "$VIOS" --socket "$DIR/n1/run/vios.sock" \
            db restore "$DIR/etcd.db" --yes
        is "killed: $step" "$STATUS" 1
        ok "$step: a daemon refuses it" refused
    done
    run_status "a check" 1 vios n1 db check
    like "says so" "$ERR" "it was being restored, and that did not end"
fi
run_status "it is restored" 0 vios n1 db restore "$DIR/etcd.db" --yes
start n1 n2
ok "n1 is up" await '[[ $(vios n1 node list --json | jq -r ".[0].state") = up ]]' 30
run_status "nothing can be had of the old one" 4 outcome check
run_status "a dry run" 0 outcome dry_run
like "says that the old one is away" "$OUT" "now: +$(cut -d'?' -f1 <<<"$FIRST").*, unreachable"
like "and what that means" "$OUT" "what is lost cannot be told"

# --- one that was cut off all the time ---
ok "n3 still runs" kill -0 "${PID_OF[n3]}"
end n3
configure n3 "$SECOND"
start n3
ok "it rejoins" await "all_up n1" 30
ok "there is a primary" await '[ "$(vios n1 primary show --json | jq -r .state)" = committed ]' 30
like "fenced" "$(cat "$DIR/n3.log")" "incarnation [0-9]+ of this node was fenced"
after=$(numbers)
ok "every number went up" all_grew "$before" "$after"
run_status "the DB is whole" 0 vios n2 db check
finish
