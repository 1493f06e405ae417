# shellcheck shell=bash
# What the benchmarks share: one JSON line each, medians, a folder and processes that go at exit.
#
# A line is {"bench","ours","peer","theirs","ratio","better"}: ratio is ours / theirs, and `better`
# says whether a lower or a higher number is the better one. QUICK=1 makes every benchmark shorter.

set -euo pipefail
BUILD=${BUILD:-build}
QUICK=${QUICK:-}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/vios-bench-XXXXXX")
PIDS=()
# shellcheck source=../processes.sh
. tests/processes.sh "$WORK"

bench_clean() {
    end_processes "${PIDS[@]}"
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

report() { # BENCH OURS PEER THEIRS lower|higher
    jq -cn --arg bench "$1" --argjson ours "$2" --arg peer "$3" --argjson theirs "$4" \
        --arg better "$5" '{bench: $bench, ours: $ours, peer: $peer, theirs: $theirs,
            ratio: (if $theirs > 0 then ($ours / $theirs * 1000 | round / 1000) else null end),
            better: $better}'
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
