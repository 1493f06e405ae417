# shellcheck shell=bash
# What the benchmarks share: one JSON line each, medians, a folder and processes that go at exit.
#
# A line is {"bench","ours","peer","theirs","ratio","better"}: ratio is ours / theirs, and `better`
# says whether a lower or a higher number is the better one; some benchmarks add to it. QUICK=1
# makes every benchmark shorter.

set -euo pipefail
BUILD=${BUILD:-build}
QUICK=${QUICK:-}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/vios-bench-XXXXXX")
PIDS=()
# shellcheck source=../processes.sh
. tests/processes.sh "$WORK"

DIR=$WORK/lab # of a lab, if a benchmark starts one: it is taken down at exit
MOUNTS=()     # likewise unmounted

bench_clean() {
    if [ -d "$DIR" ]; then
        "$BUILD/bin/vios" lab down --dir "$DIR" >/dev/null 2>&1 || true
    fi
    end_processes "${PIDS[@]}"
    local mount
    for mount in "${MOUNTS[@]}"; do
        umount -l "$mount"
    done
    rm -rf "$WORK"
}
trap bench_clean EXIT
trap 'exit 130' INT TERM

need() { # PROGRAM...
    local program
    for program in "$@"; do
        if ! command -v "$program" >/dev/null; then
            echo "$0: needs $program: run make deps-check" >&2
            exit 1
        fi
    done
}

# Reads numbers, a line each; prints the middle one.
median() {
    sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# Reads numbers, a line each; prints the lowest and the highest, as JSON.
spread() {
    sort -g | jq -cs '[first, last]'
}

report() { # BENCH OURS PEER THEIRS lower|higher [JSON-OBJECT]
    jq -cn --arg bench "$1" --argjson ours "$2" --arg peer "$3" --argjson theirs "$4" \
        --arg better "$5" --argjson more "${6:-null}" '
            {bench: $bench, ours: $ours, peer: $peer, theirs: $theirs,
            ratio: (if $theirs > 0 then ($ours / $theirs * 1000 | round / 1000) else null end),
            better: $better} + $more'
}

# Waits until a unix socket is there.
await_socket() { # PATH
    local tries
    for ((tries = 0; tries < 500; tries++)); do
        if [ -S "$1" ]; then
            return 0
        fi
        sleep 0.02
    done
    echo "$0: no socket $1" >&2
    return 1
}

# A command on the first node of the lab.
vios() {
    "$BUILD/bin/vios" --socket "$DIR/n1/run/vios.sock" "$@"
}

# Runs the command, and adds its time in ms to the file.
timed() { # FILE COMMAND...
    local begin end out=$1
    shift
    begin=$(date +%s%N)
    "$@" >/dev/null
    end=$(date +%s%N)
    echo $(((end - begin) / 1000000)) >>"$out"
}

# A file system that clones, at the folder. False: this user may make no loop mounts.
mount_xfs() { # FOLDER SIZE
    mkdir -p "$1"
    truncate -s "$2" "$WORK/xfs.img"
    mkfs.xfs -q -m reflink=1 "$WORK/xfs.img"
    if ! mount -o loop "$WORK/xfs.img" "$1" 2>/dev/null; then
        echo "$0: this user may make no loop mounts: linked clones are not measured" >&2
        return 1
    fi
    MOUNTS+=("$1")
}
