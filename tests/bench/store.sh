#!/usr/bin/env bash
# Commits a second through the store on etcd, and how late its watch is, against plain libcurl on
# one kept connection to the same etcd: one member, and three. Aim: at least 0.9 times its
# commits, at most 1.1 times its latency.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
# shellcheck source=../e2e/etcd.sh
. tests/e2e/etcd.sh
need etcd curl jq

rounds=${QUICK:+5}
rounds=${rounds:-15}
for members in 1 3; do
    etcd_start "$members"
    "$BUILD/tests/tools/store_bench" "${ETCD_ENDPOINTS%%,*}" "$rounds" 400 >"$WORK/numbers"
    commits=$(head -n "$rounds" "$WORK/numbers")
    latency=$(tail -n "$rounds" "$WORK/numbers")
    report "store_commits_per_s_$members" "$(cut -d' ' -f1 <<<"$commits" | median)" libcurl \
        "$(cut -d' ' -f2 <<<"$commits" | median)" higher
    report "store_watch_latency_us_$members" "$(cut -d' ' -f1 <<<"$latency" | median)" libcurl \
        "$(cut -d' ' -f2 <<<"$latency" | median)" lower
    kill -9 "${ETCD_PIDS[@]}"
done
