#!/bin/bash
# Proves: a pattern written to a mirrored paging device is read back identical after kill -9 of one
# replica's whole node, and, after the refill on another node, of the other replica's node too.
# limit: 120
. "$(dirname "$0")/lib.sh"
need jq nbdcopy nbdinfo

LAB=$DIR/lab
SIZE_MIB=24
at_exit '"$VIOS" lab down --dir "$LAB" >/dev/null 2>&1'

on_n1() {
    "$VIOS" --socket "$LAB/n1/run/vios.sock" "$@"
}

shown() { # JQ-FILTER
    on_n1 paging show g --json | jq -r "$1"
}

replicas() {
    shown '[.replicas[] | select(.state == "current") | .node] | sort | .[]'
}

is_whole_without() { # NODE
    [ "$(shown ".state == \"OK\" and ([.replicas[] | select(.state == \"current\") | .node]
        | length == 2 and index(\"$1\") == null)")" = true ]
}

kill_node() { # NODE
    local pids
    mapfile -t pids < <("$VIOS" lab status --dir "$LAB" --json |
        jq --arg node "$1" '.[] | select(.name == $node) | .daemon_pid, .io_pid | select(. > 0)')
    kill -9 "${pids[@]}"
}

check_pattern() { # WHAT
    run nbdcopy "$URI" "$DIR/back"
    ok "$1" cmp "$DIR/pattern" "$DIR/back"
}

run_status "a lab of four" 0 "$VIOS" lab up 4 --dir "$LAB" --page-memory 64M
truncate -s 1M "$DIR/disk"
run_status "an LPAR" 0 on_n1 lpar create g --memory 64M --disk "$DIR/disk"
run_status "with a paging device" 0 on_n1 paging create g --size ${SIZE_MIB}M
URI=$(shown .uri)
is "of the size asked for" "$(nbdinfo --size "$URI")" $((SIZE_MIB << 20))
mapfile -t first < <(replicas)
is "on two nodes" "${#first[@]}" 2

dd if=/dev/urandom of="$DIR/pattern" bs=1M count=$((SIZE_MIB - 8)) status=none
truncate -s ${SIZE_MIB}M "$DIR/pattern" # the end stays zero
ok "a pattern is written" nbdcopy "$DIR/pattern" "$URI"
check_pattern "and read back identical"

kill_node "${first[0]}"
check_pattern "identical with ${first[0]} killed"
ok "refilled on another node" await 'is_whole_without "${first[0]}"' 60
mapfile -t second < <(replicas)
is "two replicas again" "${#second[@]}" 2
unlike "not on the killed one" "${second[*]}" "${first[0]}"

kill_node "${first[1]}"
check_pattern "identical with ${first[1]} killed too"
is "no read failed" "$(shown '.errors // 0')" 0
finish
