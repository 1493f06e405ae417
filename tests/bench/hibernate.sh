#!/usr/bin/env bash
# How long a guest takes to be hibernated, and to run again on another node, in ms; beside QEMU's
# own `migrate` of the same guest through `zstd -1` (save: aim at most 1) and to a raw file
# (restore: aim at most 1.2, though ours verifies every block). Guests of 128 MiB with 16 MiB used
# and of 1 GiB with 900 MiB used, of text and of noise. Ours are whole commands. Then how long a
# small guest that is hibernated takes from the command to the first sector that it has read on the
# other node: aim under 400 ms.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
# shellcheck source=fill_guest.sh
. tests/bench/fill_guest.sh
need qemu-system-x86_64 zstd python3 jq as ld

ROUNDS=${QUICK:+1}
ROUNDS=${ROUNDS:-3}

# A guest: the medians of both, and the peers'.
measure() { # MEMORY_MIB FILL_MIB CONTENT
    local i name="$1MiB.$3" target=n2
    make_disk "$3" "$2"
    guest_up "$1"
    : >"$WORK/save" && : >"$WORK/restore"
    for ((i = 0; i < ROUNDS; i++)); do
        timed "$WORK/save" vios lpar hibernate g
        timed "$WORK/restore" vios lpar restart g --node "$target"
        target=$([ "$target" = n2 ] && echo n1 || echo n2)
    done
    guest_down
    : >"$WORK/zstd" && : >"$WORK/raw"
    for ((i = 0; i < ROUNDS; i++)); do
        python3 tests/bench/qemu_migrate.py "$1" "$WORK/disk" zstd "$WORK/state" >>"$WORK/zstd"
        python3 tests/bench/qemu_migrate.py "$1" "$WORK/disk" raw "$WORK/state" >>"$WORK/raw"
    done
    report "hibernate.save.$name.ms" "$(median <"$WORK/save")" "exec:zstd -1" \
        "$(cut -d' ' -f1 "$WORK/zstd" | median)" lower
    report "hibernate.restore.$name.ms" "$(median <"$WORK/restore")" "raw" \
        "$(cut -d' ' -f2 "$WORK/raw" | median)" lower
}

# From the command to the guest's first "." behind it.
measure_first_io() {
    local i begin
    make_disk text 9
    guest_up 16
    : >"$WORK/first"
    for ((i = 0; i < ROUNDS; i++)); do
        for target in n2 n1; do
            vios lpar hibernate g >/dev/null
            begin=$(date +%s%N)
            vios lpar restart g --node "$target" >/dev/null
            until vios lpar console g --dump 2>/dev/null | grep -q '\.'; do :; done
            echo $((($(date +%s%N) - begin) / 1000000)) >>"$WORK/first"
        done
    done
    guest_down
    report "hibernate.restart_to_first_io.ms" "$(median <"$WORK/first")" "aim" 400 lower
}

make_content
"$BUILD/bin/vios" lab up 2 --dir "$DIR" --page-memory 16M >/dev/null
vios pool create p1 >/dev/null
measure_first_io
for content in text noise; do
    measure 128 16 $content
    measure 1024 900 $content
done
