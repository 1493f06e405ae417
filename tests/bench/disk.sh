#!/usr/bin/env bash
# An LU through io, as guests have it (gated, O_DIRECT), against nbdkit's file plugin with
# cache=none on a file of the same file system: fio's NBD client, random 4 KiB reads and writes, one
# and 32 at a time, one connection over a unix socket, in turns. Aim: at least 1.2 times nbdkit.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need fio jq nbdkit nbdinfo

SIZE_MIB=256
ROUNDS=${QUICK:+1}
ROUNDS=${ROUNDS:-5}
RUN=$WORK/run
declare -A URI

control() { # JSON
    "$BUILD/tests/tools/io_control" "$RUN/io.sock" "$(tr -d '\n' <<<"$1")" >"$WORK/answer"
    if ! jq -e .ok "$WORK/answer" >/dev/null; then
        echo "disk.sh: io said: $(cat "$WORK/answer")" >&2
        exit 1
    fi
}

# The gate stays open for as long as this may take.
start_ours() {
    local until
    mkdir -m 700 "$RUN"
    "$BUILD/libexec/vios/io" --run-dir "$RUN" 2>"$WORK/io.log" &
    PIDS+=($!)
    await_socket "$RUN/io.sock"
    until=$(awk '{ printf "%d", ($1 + 3600) * 1000 }' /proc/uptime)
    control "{\"do\":\"serve\",\"until_stop\":$until,\"until_kill\":$((until + 1000))}"
    control '{"do":"listen","path":"nbd.sock","as":"local"}'
    control "{\"do\":\"export\",\"name\":\"lu/x/1\",\"lpar\":\"\",\"backend\":{\"kind\":\"file\",
        \"path\":\"$WORK/ours.raw\",\"direct\":true,\"gated\":true,\"read_only\":false}}"
    URI[ours]="nbd+unix:///lu%2Fx%2F1?socket=$RUN/nbd.sock"
}

start_nbdkit() {
    nbdkit -f -U "$WORK/nbdkit.sock" file "$WORK/nbdkit.raw" cache=none &
    PIDS+=($!)
    await_socket "$WORK/nbdkit.sock"
    URI[nbdkit]="nbd+unix:///?socket=$WORK/nbdkit.sock"
}

run_fio() { # SERVER read|write DEPTH: operations a second
    fio --name=b --ioengine=nbd --uri="${URI[$1]}" --rw="rand$2" --bs=4k --iodepth="$3" \
        --time_based --runtime=2 --size=${SIZE_MIB}M --randrepeat=0 --output-format=json \
        --output="$WORK/fio.json" >"$WORK/fio.log" 2>&1 || {
        echo "disk.sh: fio against $1 failed: $(cat "$WORK/fio.log")" >&2
        exit 1
    }
    jq ".jobs[0].$2.iops | round" "$WORK/fio.json"
}

for server in ours nbdkit; do
    dd if=/dev/urandom of="$WORK/$server.raw" bs=1M count=$SIZE_MIB conv=fsync status=none
done
start_ours
start_nbdkit
for ((round = 0; round < ROUNDS; round++)); do
    for mode in read:1 write:1 read:32 write:32; do
        for server in ours nbdkit; do
            run_fio "$server" "${mode%:*}" "${mode#*:}" >>"$WORK/$server.$mode"
        done
    done
done
for mode in read:1 write:1 read:32 write:32; do
    report "disk_${mode/:/_qd}_iops" "$(median <"$WORK/ours.$mode")" nbdkit \
        "$(median <"$WORK/nbdkit.$mode")" higher
done
