#!/bin/bash
# Proves: a running guest with a mirrored paging device, under traffic that never stops, notices
# nothing when io is killed where it runs, io of a replica, its daemon, its daemon and io one
# after the other, or a whole replica; no page is lost, and the daemon finds the guest again. When
# both end together there, its device fails instead of reading as zeroes.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq nbdcopy qemu-io qemu-system-x86_64 as ld

"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M

run "$VIOS" lab up 4 --page-memory 64M
[ "$STATUS" = 0 ] || bail "four nodes come up: $ERR"
run_status "a guest" 0 "$VIOS" lpar create g1 --memory 16M --disk "$DIR/disk.raw"
run_status "runs" 0 "$VIOS" lpar start g1
run_status "with a mirrored device" 0 "$VIOS" paging create g1 --size 32M
device() { # FILTER
    "$VIOS" paging show g1 --json | jq -r "$1"
}
field() { # FILTER
    "$VIOS" lpar show g1 --json | jq -r "$1"
}
dots() { "$VIOS" lpar console g1 --dump | tr -cd . | wc -c; }
rounds() { wc -l <"$DIR/rounds"; }
goes_on() { # WHAT; verified I/O of the guest, and of the traffic
    local now
    now=$(dots)
    ok "$1: the guest does more I/O" await "[ \$(dots) -gt $now ]" 30
    now=$(rounds)
    ok "$1: so does the traffic" await "[ \$(rounds) -gt $((now + 1)) ]" 30
}
URI=$(device .uri)
QEMU=$(field .qemu_pid)

# --- the pages that must not be lost, in the upper half, and traffic in the lower ---
SOCKET=${URI##*socket=}
EXPORT=${URI#*:///}
EXPORT=${EXPORT%%\?*}
EXPORT=${EXPORT//%2F//}
IMAGE=driver=nbd,server.type=unix,server.path=$SOCKET,export=$EXPORT
IMAGE+=,reconnect-delay=60,open-timeout=60
{
    head -c 16M /dev/zero
    head -c 16M /dev/urandom
} >"$DIR/pattern"
ok "pages go in" nbdcopy "$DIR/pattern" "$URI"

# Each round writes 16 pages, waits a little, and reads them back: one connection, as a guest's.
traffic() {
    local round=0 i commands
    : >"$DIR/rounds"
    while [ ! -e "$DIR/enough" ]; do
        round=$((round + 1))
        commands=()
        for i in {0..15}; do
            commands+=(-c "write -P $(((i + round) % 255 + 1)) $((i * 65536)) 4k" -c "sleep 10")
        done
        for i in {0..15}; do
            commands+=(-c "read -P $(((i + round) % 255 + 1)) $((i * 65536)) 4k")
        done
        if ! qemu-io "${commands[@]}" --image-opts "$IMAGE" >"$DIR/qemu-io.out" 2>&1 ||
            [ "$(grep -c '4 KiB, 1 ops' "$DIR/qemu-io.out")" != 32 ] ||
            grep -qiE 'fail|error' "$DIR/qemu-io.out"; then
            cat "$DIR/qemu-io.out" >>"$DIR/wrong"
        fi
        echo "$round" >>"$DIR/rounds"
    done
}
: >"$DIR/rounds"
traffic &
TRAFFIC=$!
PIDS+=("$TRAFFIC")
goes_on "before"

# --- one after the other ---
kill -9 "$(lab_pid n1 io_pid)"
goes_on "io of the guest's node killed"
REPLICA=$(device '.replicas[0].node')
kill -9 "$(lab_pid "$REPLICA" io_pid)"
goes_on "io of a replica killed"
ok "it comes back with its pages" await '[ "$(device .state)" = OK ]' 30

kill -9 "$(lab_pid n1 daemon_pid)"
NOW=$(rounds)
ok "the daemon killed: the traffic goes on" await "[ \$(rounds) -gt $((NOW + 1)) ]" 30
run_status "it is started again" 0 "$VIOS" lab up
ok "it lists the guest running" await '[ "$(field .state)" = running ]' 20
is "with the same QEMU" "$(field .qemu_pid)" "$QEMU"
kill -9 "$(lab_pid n1 io_pid)"
goes_on "io killed under the new daemon"

kill -9 "$(lab_pid "$REPLICA" daemon_pid)" "$(lab_pid "$REPLICA" io_pid)"
goes_on "daemon and io of a replica killed"
ok "another node holds its pages" await '[ "$(device .state)" = OK ] &&
    [ "$(device "[.replicas[].node] | index(\"$REPLICA\")")" = null ]' 30
run_status "the replica's node is started again" 0 "$VIOS" lab up

# --- the end ---
touch "$DIR/enough"
wait "$TRAFFIC"
is "not one round of the traffic was wrong" "$(cat "$DIR/wrong" 2>/dev/null)" ""
ok "not one page was lost" cmp -i 16777216 "$DIR/pattern" <(nbdcopy "$URI" -)
is "no checksum was wrong" "$(device .checksum_errors)" 0
is "the guest runs" "$(field .state)" running
is "with the QEMU it began with" "$(field .qemu_pid)" "$QEMU"
unlike "and never saw a wrong sector" "$("$VIOS" lpar console g1 --dump)" "BAD"

# --- both at once on the guest's node: what nobody holds any more is not taken for zeroes ---
kill -9 "$(lab_pid n1 daemon_pid)" "$(lab_pid n1 io_pid)"
run_status "daemon and io of the guest's node are started again" 0 "$VIOS" lab up
ok "the log says that its pages are gone" await \
    'grep -q "pages cannot be found again" "$LAB/n1/daemon.log"' 30
is "the device is DOWN" "$(device .state)" DOWN
not_ok "nobody reads anything from it" nbdcopy "$URI" "$DIR/nothing"
is "its guest is there" "$(field .qemu_pid)" "$QEMU"
run_status "the guest is stopped" 0 "$VIOS" lpar stop g1 --force
run_status "and started" 0 "$VIOS" lpar start g1
is "with a device that is whole" "$(device .state)" OK
ok "and empty" cmp <(nbdcopy "$(device .uri)" -) <(head -c 32M /dev/zero)
finish
