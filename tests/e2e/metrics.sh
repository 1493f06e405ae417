#!/bin/bash
# Proves: `metrics` tells what the commands tell, as text that a strict reader of OpenMetrics takes;
# --file is written as a whole, also when no daemon answers, for then that is told.
# limit: 60
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 32M
on n1 pool create p1 >/dev/null
on n1 lu create disk --size 64M >/dev/null
on n1 lpar create web1 --memory 16M --disk disk >/dev/null
on n1 paging create web1 --size 16M >/dev/null

# What a node tells, a sample a line.
samples() { # NODE
    on "$1" metrics >"$DIR/$1.prom" && "$VIOS" "$ROOT/tests/lua/openmetrics.lua" "$DIR/$1.prom"
}
told() { samples "$1" | sed -n "s/^vios_$2 //p"; } # NODE NAME

run_status "it is OpenMetrics" 0 samples n1
like "the daemon is up" "$OUT" $'\nvios_up 1(\n|$)'
is "and the VIOS DB" "$(told n1 db_up)" 1
is "the state of the cluster" "$(told n1 'cluster_state{cluster="lab",state="OK"}')" 1
is "its epoch" "$(told n1 epoch)" "$(on n1 primary show --json | jq .epoch)"
is "its primary" "$(told n1 "primary{node=\"$(on n1 primary show --json | jq -r .node)\"}")" 1
is "its nodes" "$(told n1 'nodes{state="up"}')" 3
is "page memory" "$(told n1 'page_memory_size_bytes{node="n2"}' | jq '. / 1e6 | round')" 34
is "LPARs" "$(told n1 'lpars{state="stopped"}')" 1
is "the paging device" "$(told n1 'paging_state{lpar="web1",state="OK"}')" 1
is "its pages, on the node that hosts it" "$(told n1 'paging_in_pages_total{lpar="web1"}')" 0
run_status "another node" 0 samples n2
unlike "does not tell them" "$OUT" 'paging_in_pages_total'
like "but its state" "$OUT" 'paging_state\{lpar="web1",state="OK"\} 1'
is "what LUs may grow to" "$(told n1 'pool_promised_bytes{pool="p1"}' | jq '. / 1e6 | round')" 67
is "jobs that failed" "$(told n1 'jobs{state="failed"}')" 0
run_status "another node is asked" 0 on n1 metrics --on n2
unlike "and tells what it sees" "$OUT" 'paging_in_pages_total'

# --- into a file ---
cd "$DIR" || exit 1
run_status "into a file" 0 on n1 metrics --file vios.prom
is "nothing is printed" "$OUT$ERR" ""
run_status "which is whole" 0 "$VIOS" "$ROOT/tests/lua/openmetrics.lua" vios.prom
is "and has no other beside it" "$(echo vios.prom*)" vios.prom
run_status "no such folder" 1 on n1 metrics --file none/vios.prom
like "is told" "$ERR" 'none/vios\.prom'
run_status "wrong words" 2 on n1 metrics vios.prom
kill -9 "$(lab_pid n1 daemon_pid)"
run_status "no daemon" 0 on n1 metrics --file vios.prom
is "is told" "$("$VIOS" "$ROOT/tests/lua/openmetrics.lua" vios.prom)" "vios_up 0"
ok "the others tell that it is down" await '[ "$(told n2 "node_up{node=\"n1\"}")" = 0 ]' 30
finish
