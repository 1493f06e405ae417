#!/bin/bash
# Proves: three daemons on one VIOS DB see each other; one killed with -9 becomes suspect, then
# down, and comes back under the same incarnation; a second daemon under its name is refused.
# limit: 90
. "$(dirname "$0")/lib.sh"

CALL=$BUILD/tests/tools/rpc_call
need jq sqlite3

at_exit end_strays

declare -A PID_OF
start_daemon() { # NODE [STATE_DIR]
    mkdir -p "$DIR/$1"
    "$DAEMON" --node "$1" --store "sqlite:$DIR/vios.db" --run-dir "$DIR/$1/run" \
        --state-dir "${2:-$DIR/$1/state}" --ttl 3s --port 0 --nbd-port 0 \
        2>>"$DIR/$1.log" >/dev/null &
    PID_OF[$1]=$!
    PIDS+=("$!")
    await "'$CALL' '$DIR/$1/run/vios.sock' rpc.hello" 20 || bail "$1 does not answer"
}

call() { # NODE METHOD [JSON]
    local node=$1
    shift
    "$CALL" "$DIR/$node/run/vios.sock" "$@"
}

join() { # NODE
    call "$1" node.join "$(call n1 node.token | jq -c '{token}')" >/dev/null
}

states() { # NODE
    call "$1" node.list | jq -r 'map(.name + "=" + .state) | join(" ")'
}

# The record of a node's life, straight from the DB.
alive() { # NODE FIELD
    call n1 db.get "{\"key\":\"/alive/$1\"}" |
        jq -r ".. | objects | select(has(\"incarnation\")) | .$2" |
        head -n 1
}

for node in n1 n2 n3; do
    start_daemon "$node"
done
call n1 cluster.create '{"name":"lab"}' >/dev/null
is "n1 creates" $? 0
for node in n2 n3; do
    join "$node"
    is "$node joins" $? 0
done
like "joining twice is refused" "$(join n3 2>&1)" 'a member of cluster.*already'
for node in n1 n2 n3; do
    ok "$node sees all up" await "[ \"\$(states $node)\" = 'n1=up n2=up n3=up' ]" 20
done

# --- kill -9 and back at once: the same life goes on ---
before=$(alive n2 n)
incarnation=$(alive n2 incarnation)
is "the first incarnation" "$incarnation" 1
kill -9 "${PID_OF[n2]}"
start_daemon n2
ok "it renews again" await "[ \"\$(alive n2 n)\" -gt $before ]" 20
is "in the same incarnation" "$(alive n2 incarnation)" "$incarnation"
ok "n1 sees it up" await "[ \"\$(states n1)\" = 'n1=up n2=up n3=up' ]" 20

# --- kill -9 for good ---
kill -9 "${PID_OF[n3]}"
ok "n1 sees it suspect" await "[ \"\$(states n1)\" = 'n1=up n2=up n3=suspect' ]" 20
ok "n1 sees it down" await "[ \"\$(states n1)\" = 'n1=up n2=up n3=down' ]" 20
ok "n2 too" await "[ \"\$(states n2)\" = 'n1=up n2=up n3=down' ]" 20
is "the cluster is degraded" "$(call n1 cluster.status | jq -r .state)" DEGRADED

# --- another daemon under a living node's name ---
mkdir -m 700 "$DIR/x" "$DIR/x/state"
cp -p "$DIR/n2/state"/{node.key,node.crt,ca.crt} "$DIR/x/state"
run_status "is refused" 1 "$DAEMON" --node n2 --store "sqlite:$DIR/vios.db" \
    --run-dir "$DIR/x/run" --state-dir "$DIR/x/state" --ttl 3s --port 0
like "with the reason" "$ERR" "another daemon runs under the name"
is "and n2 is not disturbed" "$(states n2)" "n1=up n2=up n3=down"

# --- a dead one's name with a new state folder is a new life, once the old one is removed ---
start_daemon n3 "$DIR/n3/state-2"
like "it has no certificate" "$(cat "$DIR/n3.log")" 'node remove n3.*|this one has no certificate'
like "and cannot join under this name" "$(join n3 2>&1)" 'node remove n3.*has a node of this name'
call n1 node.remove '{"node":"n3"}' >/dev/null
is "the old one is removed" $? 0
join n3
is "the new one joins" $? 0
ok "n3 is back" await "[ \"\$(states n1)\" = 'n1=up n2=up n3=up' ]" 20
is "as the next incarnation" "$(alive n3 incarnation)" 2

for node in n1 n2 n3; do
    kill -TERM "${PID_OF[$node]}"
    wait "${PID_OF[$node]}"
    is "$node ends cleanly" $? 0
done
finish
