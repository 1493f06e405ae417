#!/usr/bin/env bash
# The longest time a guest waits for a page when its node's daemon, and then its node's io, is
# killed with -9: a client reads one page after the other from a mirrored paging device of a lab,
# and connects again when it must, as QEMU does. Aim: under 200 ms for the daemon, under 1000 ms for
# io; no error.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq nbdcopy

SIZE_MIB=64
SECONDS_EACH=${QUICK:+4}
SECONDS_EACH=${SECONDS_EACH:-8}

pid_of() { # daemon_pid|io_pid
    "$BUILD/bin/vios" lab status --dir "$DIR" --json | jq ".[0].$1"
}

client() { # SECONDS
    "$BUILD/tests/tools/stall_client" "$DIR/n1/run/nbd.sock" "$EXPORT" "$1"
}

# Runs the client, kills one process in the middle, and prints the longest wait in ms.
stall() { # daemon_pid|io_pid
    client "$SECONDS_EACH" >"$WORK/stall.json" &
    local reader=$!
    sleep "$((SECONDS_EACH / 4))"
    kill -9 "$(pid_of "$1")"
    wait "$reader" || {
        echo "stall.sh: a read failed: $(cat "$WORK/stall.json")" >&2
        exit 1
    }
    jq .longest_ms "$WORK/stall.json"
}

"$BUILD/bin/vios" lab up 3 --dir "$DIR" >/dev/null
truncate -s 1M "$WORK/disk"
vios lpar create g --memory 64M --disk "$WORK/disk" >/dev/null
vios paging create g --size ${SIZE_MIB}M >/dev/null
URI=$(vios paging show g --json | jq -r .uri)
EXPORT=$(sed 's|^nbd+unix:///||; s|?.*||; s|%2F|/|g' <<<"$URI")
dd if=/dev/urandom of="$WORK/pattern" bs=1M count=$SIZE_MIB status=none
nbdcopy "$WORK/pattern" "$URI"

report stall_undisturbed_ms "$(client 2 | jq .longest_ms)" aim 200 lower
report stall_daemon_killed_ms "$(stall daemon_pid)" aim 200 lower
"$BUILD/bin/vios" lab up --dir "$DIR" >/dev/null
report stall_io_killed_ms "$(stall io_pid)" aim 1000 lower
