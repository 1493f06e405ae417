#!/usr/bin/env bash
# First failure data capture in a lab of five nodes that share this machine: how long after the
# trigger the last of the nodes has begun to capture, and until the incident is whole, in ms, for
# `ffdc capture` and for an io that is killed with -9 (from the kill on); medians. Then how long a
# guest waits for a page while one capture follows the other without a pause, beside the same
# without any: p99 in us, in turns. All five nodes capture at once on the CPUs that the guest, its
# io and its mirror need too. Aims: under 1000, under 5000, at most 1.2 times.
#
# A node has begun when its first collector has: part.json in its bundle says when the last one was
# done, and how long each took. All nodes have one clock here.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq nbdcopy tar zstd

ROUNDS=${QUICK:+2}
ROUNDS=${ROUNDS:-7}
KILLED=${QUICK:+n2}
KILLED=${KILLED:-n2 n3 n4 n5} # once each: what happens again is counted, and not captured
SECONDS_EACH=${QUICK:+2}
SECONDS_EACH=${SECONDS_EACH:-4}
SIZE_MIB=64
NODES=5

# --- the lab, and a guest's pages ---

whole() {
    [ "$(vios cluster status --json | jq -c '[.state, (.nodes | length)]')" = "[\"OK\",$NODES]" ]
}

lab_up() {
    "$BUILD/bin/vios" lab up $NODES --dir "$DIR" >/dev/null
    until whole 2>/dev/null; do
        sleep 0.1
    done
}

make_pages() {
    truncate -s 1M "$WORK/disk"
    vios lpar create g --memory 64M --disk "$WORK/disk" >/dev/null
    vios paging create g --size ${SIZE_MIB}M >/dev/null
    URI=$(vios paging show g --json | jq -r .uri)
    EXPORT=$(sed 's|^nbd+unix:///||; s|?.*||; s|%2F|/|g' <<<"$URI")
    dd if=/dev/urandom of="$WORK/pattern" bs=1M count=$SIZE_MIB status=none
    nbdcopy "$WORK/pattern" "$URI"
}

# --- an incident ---

last() { vios ffdc list --json | jq -r '.[-1].correlator // "0"'; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

await_incident() { # CORRELATOR: there is a later one, and it is done
    until [ "$(last)" -gt "$1" ] &&
        [ "$(vios ffdc list --json | jq -r '.[-1].state')" = "done" ]; do
        sleep 0.05
    done
}

# Milliseconds from then until each node had begun to capture, the last of them, and until the
# manifest was complete.
times() { # CORRELATOR SINCE_MS: BEGUN WHOLE
    local folder=$DIR/repository/ffdc/$1 bundle begun=0 one
    for bundle in "$folder"/*/csnap_*.tar.zst; do
        one=$(tar --zstd -xOf "$bundle" part.json | jq '
            (.time | (.[:19] + "Z" | fromdate) * 1000 + (.[20:23] | tonumber))
            - ([.collectors[].took_ms] | add)')
        begun=$((one > begun ? one : begun))
    done
    echo "$((begun - $2)) $(($(stat -c %.3Y "$folder/manifest.json" | tr -d .) - $2))"
}

check_whole() { # CORRELATOR
    local parts
    parts=$(vios ffdc show "$1" --json | jq '[.nodes[] | select(.state == "ok")] | length')
    if [ "$parts" != $NODES ]; then
        echo "ffdc.sh: incident $1 has $parts parts: $(vios ffdc show "$1")" >&2
        exit 1
    fi
}

by_hand() {
    local since
    since=$(now_ms)
    vios ffdc capture >/dev/null
    check_whole "$(last)"
    times "$(last)" "$since" >>"$WORK/by_hand"
}

by_kill() { # NODE
    local since before
    before=$(last)
    since=$(now_ms)
    kill -9 "$("$BUILD/bin/vios" lab status --dir "$DIR" --json |
        jq ".[] | select(.name == \"$1\") | .io_pid")"
    await_incident "$before"
    check_whole "$(last)"
    times "$(last)" "$since" >>"$WORK/by_kill"
}

# --- a guest's pages meanwhile ---

page_p99() {
    "$BUILD/tests/tools/stall_client" "$DIR/n1/run/nbd.sock" "$EXPORT" "$SECONDS_EACH" |
        jq .p99_us
}

capture_on() { # until the file is there
    while [ ! -e "$WORK/enough" ]; do
        "$BUILD/tests/tools/rpc_call" "$DIR/n1/run/vios.sock" ffdc.capture '{}' >/dev/null
    done
}

page_p99_captured() {
    local capturing
    rm -f "$WORK/enough"
    capture_on &
    capturing=$!
    page_p99
    touch "$WORK/enough"
    wait "$capturing"
}

report_times() { # NAME FILE
    report "ffdc_$1_begun_ms" "$(cut -d ' ' -f 1 "$2" | median)" aim 1000 lower
    report "ffdc_$1_whole_ms" "$(cut -d ' ' -f 2 "$2" | median)" aim 5000 lower
}

lab_up
for node in $KILLED; do
    by_kill "$node"
done
until whole; do
    sleep 0.1
done
make_pages
for ((round = 0; round < ROUNDS; round++)); do
    by_hand
    page_p99 >>"$WORK/calm"
    page_p99_captured >>"$WORK/captured"
done
report_times capture "$WORK/by_hand"
report_times io_killed "$WORK/by_kill"
report ffdc_page_p99_us "$(median <"$WORK/captured")" undisturbed "$(median <"$WORK/calm")" lower
