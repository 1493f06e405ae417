#!/usr/bin/env bash
# How long five nodes are without a primary, in ms: from kill -9 of its daemon to another one that
# is committed and known to every live node, and from `primary resign --to` likewise; medians. On
# SQLite, and on three members of etcd, beside what an etcd of three needs to take a write again
# after kill -9 of its leader. Aim: under 1000 on SQLite, 1500 on etcd, 50 to resign.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
# shellcheck source=../e2e/etcd.sh
. tests/e2e/etcd.sh
need etcd curl jq

ROUNDS=${QUICK:+4}
ROUNDS=${ROUNDS:-20}
NODES=$WORK/nodes
declare -A PID_OF

end_nodes() {
    local pid
    end_processes "${PID_OF[@]}"
    for pid in $(pgrep -f -- "--run-dir $NODES/"); do
        kill -9 "$pid" 2>/dev/null || true
    done
}
trap 'end_nodes; bench_clean' EXIT

vios() { # NODE COMMAND...
    local node=$1
    shift
    "$BUILD/bin/vios" --socket "$NODES/$node/run/vios.sock" "$@"
}
socket() { echo "$NODES/$1/run/vios.sock"; } # NODE

node_start() { # NODE
    mkdir -p "$NODES/$1"
    "$BUILD/libexec/vios/daemon" --node "$1" --port 0 --nbd-port 0 --store "$STORE" \
        --run-dir "$NODES/$1/run" --state-dir "$NODES/$1/state" >>"$NODES/$1.log" 2>&1 &
    PID_OF[$1]=$!
    disown
    local tries
    for ((tries = 0; tries < 500; tries++)); do
        if vios "$1" config get node >/dev/null 2>&1; then
            return
        fi
        sleep 0.02
    done
    echo "$0: $1 does not answer" >&2
    exit 1
}

# Everybody up, hearing everybody, able by their records.
whole() { # NODE
    [ "$(vios "$1" db get /alive/ --json | jq 'map(select(.value.unfit == "")) | length')" = 5 ] &&
        [ "$(vios "$1" cluster matrix --json |
            jq 'map(select((.hears | length) == 4 and .state == "up")) | length')" = 5 ]
}

await_true() { # COMMAND...
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if "$@" 2>/dev/null; then
            return
        fi
        sleep 0.1
    done
    echo "$0: it does not become true: $*" >&2
    exit 1
}
await_whole() { await_true whole n1; }

# Nobody is seen as unable by the primary, which may look at the records a little later.
nobody_declined() { # PRIMARY
    [ "$(vios "$1" primary explain --json | jq '.declined | length')" = 0 ]
}

cluster_up() { # STORE
    local node
    STORE=$1
    for node in n1 n2 n3 n4 n5; do
        node_start "$node"
    done
    vios n1 cluster create bench >/dev/null
    for node in n2 n3 n4 n5; do
        vios "$node" node join "$(vios n1 node token --fmt : --field token)" >/dev/null
    done
    await_whole
}

cluster_down() {
    end_nodes
    rm -rf "$NODES"
}

others() { # NODE: the sockets of the others
    local node
    for node in n1 n2 n3 n4 n5; do
        if [ "$node" != "$1" ]; then
            socket "$node"
        fi
    done
}

measure_kill() {
    local primary
    primary=$(vios n1 primary show --json | jq -r .node)
    # shellcheck disable=SC2046
    "$BUILD/tests/tools/succession" kill "${PID_OF[$primary]}" $(others "$primary")
    node_start "$primary"
    await_whole
}

measure_resign() {
    local primary to
    primary=$(vios n1 primary show --json | jq -r .node)
    to=$(printf '%s\n' n1 n2 n3 n4 n5 | grep -v "$primary" | head -n 1)
    await_true nobody_declined "$primary"
    # shellcheck disable=SC2046
    "$BUILD/tests/tools/succession" resign "$to" "$(socket "$primary")" $(others "$primary")
}

# The median of its rounds in MEDIAN. In this shell: what a round starts again is known to the next.
repeat() { # FUNCTION
    local i
    for ((i = 0; i < ROUNDS; i++)); do
        "$1"
    done >"$WORK/rounds"
    MEDIAN=$(median <"$WORK/rounds")
}

put() { # URL: one write, within a second
    curl -sf -m 1 "$1/v3/kv/put" -d '{"key":"YQ==","value":"YQ=="}' >/dev/null 2>&1
}

# kill -9 of etcd's leader, until a write through another member is done.
measure_etcd() {
    local urls leader i from url
    IFS=, read -ra urls <<<"$ETCD_ENDPOINTS"
    for i in 0 1 2; do
        status=$(curl -sf "${urls[i]}/v3/maintenance/status" -d '{}')
        if [ "$(jq -r .leader <<<"$status")" = "$(jq -r .header.member_id <<<"$status")" ]; then
            leader=$i
        fi
    done
    from=$(date +%s%N)
    kill -9 "${ETCD_PIDS[$leader]}"
    while :; do
        for i in 0 1 2; do
            url=${urls[i]}
            if [ "$i" != "$leader" ] && put "$url"; then
                echo $((($(date +%s%N) - from) / 1000000))
                etcd_restart "$leader"
                return
            fi
        done
    done
}

etcd_start 3
repeat measure_etcd
ETCD_MS=$MEDIAN

for store in sqlite etcd; do
    case $store in
    sqlite) cluster_up "sqlite:$WORK/vios.db" ;;
    etcd) cluster_up "etcd:$ETCD_ENDPOINTS" ;;
    esac
    repeat measure_kill
    report election_${store}_ms "$MEDIAN" etcd "$ETCD_MS" lower
    repeat measure_resign
    report resign_${store}_ms "$MEDIAN" aim 50 lower
    cluster_down
done
