#!/usr/bin/env bash
# How long the clients of a lost side stand still: five nodes on SQLite, 20 small guests on two of
# them, which are cut off. In ms from the cut until the last of the 20 is recorded as running on the
# other side, with its memory; and its parts: until the first move is written down, and from then
# on. Then the same when both nodes die at once, from the disks (on XFS, whose files are cloned).
# Aim for both: under TTL + 4 s, with a TTL of 5 s.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need qemu-system-x86_64 jq ip nft as ld mkfs.xfs

GUESTS=${QUICK:+6}
GUESTS=${GUESTS:-20}
AIM_MS=9000
VIOS=$BUILD/bin/vios
DAEMON=$BUILD/libexec/vios/daemon
DIR=$WORK
CLEANERS=()
# What netns.sh takes from the tests' lib.sh.
at_exit() { CLEANERS=("$1" "${CLEANERS[@]}"); }
skip_all() { echo "$0: $1: not measured" >&2 && exit 0; }
bail() { echo "$0: $1" >&2 && exit 1; }
await() { # SHELL-WORDS SECONDS
    local end=$((SECONDS + $2))
    until eval "$1" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}
# shellcheck disable=SC2317 # called at exit
clean_all() {
    local cleaner
    for cleaner in "${CLEANERS[@]}"; do
        eval "$cleaner" || true
    done
    bench_clean
}
trap clean_all EXIT
set +u # netns.sh
# shellcheck source=../e2e/netns.sh
. tests/e2e/netns.sh
guests_up() {
    local i node
    tests/guest/make_boot_disk.sh boot "$WORK/disk" 512
    on n1 pool create p1 >/dev/null
    for ((i = 1; i <= GUESTS; i++)); do
        node=n$((4 + i % 2))
        on n1 lu create "disk$i" --pool p1 --size 2M >/dev/null
        dd if="$WORK/disk" of="$(on n1 lu show "p1/disk$i" --json | jq -r .path)" conv=notrunc \
            status=none
        on n1 lpar create "g$i" --memory 16M --disk "p1/disk$i" >/dev/null
        on n1 lpar start "g$i" --node "$node" >/dev/null
    done
}

moves() { on n1 db get /migration/ --json 2>/dev/null; }
all_moved() { # since BEGIN
    [ "$(moves | jq --arg since "$SINCE" \
        'map(select(.value.state == "moved" and .value.began > $since)) | length')" = "$GUESTS" ]
}
begin() {
    BEGIN=$(date +%s%3N)
    SINCE=$(date -u -d "@$((BEGIN / 1000))" +%FT%TZ)
}
# ms since the epoch of "2026-...Z"
time_of() { date -d "$1" +%s%3N; }

# BEGIN is when it happened.
report_parts() { # NAME
    local decided last
    await all_moved 180 || bail "$1: not all guests move: $(moves | jq -c 'map(.value)')"
    decided=$(time_of "$(moves | jq -r 'map(.value.began) | min')")
    last=$(time_of "$(moves | jq -r 'map(.value.ended) | max')")
    report "split.$1.last_client.ms" $((last - BEGIN)) "aim" $AIM_MS lower
    report "split.$1.detected.ms" $((decided - BEGIN)) "all of it" $((last - BEGIN)) lower
    report "split.$1.moved.ms" $((last - decided)) "all of it" $((last - BEGIN)) lower
}

measure_split() {
    begin
    net_cut n1,n2,n3 n4,n5
    report_parts cut
    net_heal
    await 'whole n1 5' 120 || bail "the cluster does not become whole"
}

# All that a node runs ends at once: its daemon and io, and its guests.
node_dies() { # NODE
    local pid
    for pid in $(pgrep -f -- "--run-dir $WORK/$1/"); do
        kill -9 "$pid" 2>/dev/null || true
    done
    for pid in $(pgrep -f '^[^ ]*/qemu-system-'); do
        if [[ $(readlink "/proc/$pid/cwd") == "$WORK/$1"/* ]]; then
            kill -9 "$pid" 2>/dev/null || true
        fi
    done
}

measure_death() {
    local i
    for ((i = 1; i <= GUESTS; i++)); do
        on n1 lpar stop "g$i" --force >/dev/null
        on n1 lpar start "g$i" --node n$((4 + i % 2)) >/dev/null
    done
    begin
    node_dies n4
    node_dies n5
    report_parts death
}

net_up 5
mkdir -p "$WORK/repository/pools/p1"
mount_xfs "$WORK/repository/pools/p1" 400M || exit 0
cluster_up "sqlite:$WORK/vios.db" 5
guests_up
measure_split
measure_death
