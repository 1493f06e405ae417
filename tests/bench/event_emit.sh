#!/usr/bin/env bash
# Events a second that become durable and visible through one daemon: event.emit calls of 512 bytes,
# many at once as of many callers, and one at a time. Beside it, on the same file system and in
# turns, what a program does by hand: a file for each event, synced with its folder, which is the
# floor; and a file for 128 events, which is what our batches could reach if calls, the VIOS DB's
# commit and the audit cost nothing. Aim: never slower than a file for each event. The audit of
# each call is a commit of its own, and most of what an event costs.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq

ROUNDS=${QUICK:+1}
ROUNDS=${ROUNDS:-5}
EVENTS=${QUICK:+1000}
EVENTS=${EVENTS:-3000}
IN_FLIGHT=96
SIZE=512
SOCKET=$WORK/n1/run/vios.sock

# io is detached, and a daemon would start another one.
end_node() {
    local pid
    end_processes "${PIDS[@]}"
    for pid in $(pgrep -f -- "--run-dir $WORK/n1/run"); do
        end_processes "$pid"
    done
}
trap 'end_node; bench_clean' EXIT

node_start() {
    mkdir -p "$WORK/n1" "$WORK/repository"
    "$BUILD/libexec/vios/daemon" --node n1 --port 0 --nbd-port 0 --store "sqlite:$WORK/vios.db" \
        --run-dir "$WORK/n1/run" --state-dir "$WORK/n1/state" \
        --repository "$WORK/repository" >"$WORK/n1.log" 2>&1 &
    PIDS+=($!)
    await_socket "$SOCKET"
    "$BUILD/bin/vios" --socket "$SOCKET" cluster create lab >/dev/null
}

calls() { # EVENTS IN_FLIGHT: events a second
    "$BUILD/tests/tools/event_emit" calls "$SOCKET" "$1" "$2" $SIZE >"$WORK/emitted"
    if ! jq -e '.published == .events' "$WORK/emitted" >/dev/null; then
        echo "event_emit.sh: not all were published: $(cat "$WORK/emitted")" >&2
        exit 1
    fi
    jq .events_per_s "$WORK/emitted"
}

files() { # EVENTS BATCH: likewise
    local folder
    folder=$(mktemp -d "$WORK/files-XXXXXX")
    "$BUILD/tests/tools/event_emit" files "$folder" "$1" "$2" $SIZE | jq .events_per_s
    rm -rf "$folder"
}

node_start
until "$BUILD/bin/vios" --socket "$SOCKET" event emit test begin x --json 2>/dev/null |
    jq -e .seq >/dev/null; do
    sleep 0.05
done
for ((round = 0; round < ROUNDS; round++)); do
    calls "$EVENTS" $IN_FLIGHT >>"$WORK/ours"
    files "$EVENTS" 128 >>"$WORK/batches"
    files $((EVENTS / 5)) 1 >>"$WORK/each"
    calls $((EVENTS / 10)) 1 >>"$WORK/alone"
done
ours=$(median <"$WORK/ours")
each=$(median <"$WORK/each")
report event_emit_per_s "$ours" file_for_each "$each" higher
report event_emit_per_s "$ours" file_for_128 "$(median <"$WORK/batches")" higher
report event_emit_alone_per_s "$(median <"$WORK/alone")" file_for_each "$each" higher
