#!/usr/bin/env bash
# Page-in and page-out through fio's NBD client against a node's page memory, and against the memory
# back ends of nbdkit, nbd-server and qemu-nbd: 4 KiB pages, one at a time and 32 at a time, one
# connection over a unix socket. The servers take turns in short rounds of one run, since numbers of
# different runs on a shared machine do not compare. Aim: never slower than the slowest of them.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need fio jq nbdkit nbd-server qemu-nbd nbdinfo

SIZE_MIB=64
ROUNDS=${QUICK:+1}
ROUNDS=${ROUNDS:-5}
LPAR=00000000-0000-4000-8000-000000000001
declare -A URI

start_ours() {
    local run=$WORK/run
    mkdir -m 700 "$run"
    "$BUILD/libexec/vios/io" --run-dir "$run" --page-memory $((SIZE_MIB * 2))M 2>"$WORK/io.log" &
    PIDS+=($!)
    await_socket "$run/io.sock"
    control "$run" '{"do":"listen","path":"nbd.sock","as":"local"}'
    control "$run" "{\"do\":\"grant\",\"lpar\":\"$LPAR\",\"node\":\"n2\",\"generation\":1,
        \"regions\":[{\"index\":0,\"number\":1,\"size_bytes\":$((SIZE_MIB << 20))}]}"
    URI[ours]="nbd+unix:///page%2F$LPAR%2F0.1%2F1?socket=$run/nbd.sock"
}

control() { # RUN_DIR JSON
    "$BUILD/tests/tools/io_control" "$1/io.sock" "$(tr -d '\n' <<<"$2")" >"$WORK/answer"
    if ! jq -e .ok "$WORK/answer" >/dev/null; then
        echo "paging.sh: io said: $(cat "$WORK/answer")" >&2
        exit 1
    fi
}

start_peers() {
    local file=/dev/shm/vios-bench-$$
    nbdkit -f -U "$WORK/nbdkit.sock" memory ${SIZE_MIB}M &
    PIDS+=($!)
    URI[nbdkit]="nbd+unix:///?socket=$WORK/nbdkit.sock"
    mkdir "$file"
    # shellcheck disable=SC2064 # the folder's name now
    trap "rm -rf $file; bench_clean" EXIT
    truncate -s ${SIZE_MIB}M "$file/a" "$file/b"
    cat >"$WORK/nbd.conf" <<CONF
[generic]
unixsock = $WORK/server.sock
[x]
exportname = $file/a
CONF
    nbd-server -C "$WORK/nbd.conf" -p "$WORK/nbd.pid" >"$WORK/nbd-server.log" 2>&1
    URI[nbd-server]="nbd+unix:///x?socket=$WORK/server.sock"
    qemu-nbd -t -f raw -k "$WORK/qemu.sock" "$file/b" &
    PIDS+=($!)
    URI[qemu-nbd]="nbd+unix:///?socket=$WORK/qemu.sock"
    await_socket "$WORK/nbdkit.sock"
    await_socket "$WORK/server.sock"
    PIDS+=("$(cat "$WORK/nbd.pid")") # it puts itself into the background
    await_socket "$WORK/qemu.sock"
}

run_fio() { # SERVER read|write DEPTH SECONDS: operations a second
    fio --name=b --ioengine=nbd --uri="${URI[$1]}" --rw="rand$2" --bs=4k --iodepth="$3" \
        --time_based --runtime="$4" --size=${SIZE_MIB}M --randrepeat=0 --output-format=json \
        --output="$WORK/fio.json" >"$WORK/fio.log" 2>&1 || {
        echo "paging.sh: fio against $1 failed: $(cat "$WORK/fio.log")" >&2
        exit 1
    }
    jq ".jobs[0].$2.iops | round" "$WORK/fio.json"
}

fill() { # SERVER: pages that are there and are not zero
    fio --name=f --ioengine=nbd --uri="${URI[$1]}" --rw=write --bs=64k --iodepth=8 \
        --size=${SIZE_MIB}M >/dev/null
}

start_ours
start_peers
servers=(ours nbdkit nbd-server qemu-nbd)
for server in "${servers[@]}"; do
    fill "$server"
done
for ((round = 0; round < ROUNDS; round++)); do
    for mode in read:1 write:1 read:32 write:32; do
        for server in "${servers[@]}"; do
            run_fio "$server" "${mode%:*}" "${mode#*:}" 1 >>"$WORK/$server.$mode"
        done
    done
done
for mode in read:1 write:1 read:32 write:32; do
    ours=$(median <"$WORK/ours.$mode")
    for peer in "${servers[@]:1}"; do
        report "page_${mode/:/_qd}_iops" "$ours" "$peer" "$(median <"$WORK/$peer.$mode")" higher
    done
done
