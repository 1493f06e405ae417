#!/usr/bin/env bash
# What the keep-alives cost a node at 5, 17, 100 and 500 simulated nodes: bytes that it sends, and
# CPU of its agent without the listings. The peer is the cluster of 17, the largest full mesh.
# Aim: constant from there on, within 20 %.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq

"$BUILD/tests/sim/sim" --scale >"$WORK/scale"
at() { # NODES MEMBER
    jq -r --argjson nodes "$1" "select(.nodes == \$nodes) | .$2" "$WORK/scale"
}
for nodes in 5 17 100 500; do
    report "keepalive_bytes_s_$nodes" "$(at "$nodes" bytes_per_second)" 17_nodes \
        "$(at 17 bytes_per_second)" lower
    report "keepalive_cpu_us_s_$nodes" "$(at "$nodes" cpu_us_per_second)" 17_nodes \
        "$(at 17 cpu_us_per_second)" lower
done
