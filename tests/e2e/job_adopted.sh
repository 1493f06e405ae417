#!/bin/bash
# Proves: a job whose node dies in the middle of it, and is fenced, is brought to its end by the
# primary; the node that comes back finds it done.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"

need jq
OPTIONS=(--ttl 3s --page-memory 32M)
# shellcheck disable=SC2034 # nodes.sh reads it
NODE_ENVIRONMENT[n3]=VIOS_CRASH_AT=paging.remove:delete:after
cluster_up "sqlite:$DIR/vios.db" 3 "${OPTIONS[@]}"
job() { on n1 job show "$JOB" --json | jq -r "$1"; } # FILTER

truncate -s 1M "$DIR/disk.raw"
run_status "an LPAR" 0 on n3 lpar create g --memory 16M --disk "$DIR/disk.raw"
[ "$(primary_of n1)" != n3 ] || on n3 primary resign --to n1 >/dev/null
ok "which sees the others" await 'whole n3 3' 20
run_status "with a paging device" 0 on n3 paging create g --size 4M
run_status "its node dies while it removes that" 4 on n3 paging remove g --yes ||
    bail "the job did not die"
wait "${NODE_PID[n3]}" 2>/dev/null
JOB=$(on n1 job list --json | jq -r '.[] | select(.kind == "paging.remove").id')
is "the job is the dead node's" "$(job '"\(.node) \(.state)"')" "n3 running"
ok "it is brought to its end" await '[ "$(job .state)" = "done" ]' 40
is "by the primary" "$(job .node)" "$(primary_of n1)"
is "after a fence" "$(on n1 db get /fence/n3/1 --json | jq -r '.[0].value.state')" free
is "the device is gone" "$(on n1 paging list --json)" "[]"
run_status "and nothing holds the LPAR" 0 on n1 lpar remove g --yes
unset 'NODE_ENVIRONMENT[n3]'
node_start n3 "${OPTIONS[@]}"
ok "the node comes back" await 'whole n1 3' 30
is "and finds it done" "$(on n3 job show "$JOB" --json | jq -r .state)" "done"
finish
