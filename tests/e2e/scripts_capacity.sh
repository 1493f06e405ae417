#!/bin/bash
# Proves: scripts/capacity.lua tells what nodes and pools have and how many guests still fit, where
# none do, and what it does not know.
# limit: 60
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq

run_status "lab up" 0 "$VIOS" lab up 2 --page-memory 32M
capacity() { VIOS_SOCKET=$LAB/n1/run/vios.sock "$VIOS" "$ROOT/scripts/capacity.lua" "$@"; }
on n1 pool create p1 --overcommit 200 >/dev/null
on n1 lu create disk --size 64M >/dev/null

run_status "for people" 0 capacity --lpar-memory 1M
like "the nodes" "$OUT" $'\nn1 +up +0 .* 32M +32M +[0-9]+\nn2 +up '
like "the pools" "$OUT" $'\np1 +OK .* 64M '
like "what fits" "$OUT" '[0-9]+ more guests of 1M fit$'
run_status "without a size" 0 capacity
unlike "nothing is said to fit" "$OUT" 'fit|FITS'

run_status "for programs" 0 capacity --lpar-memory 16M --json
is "the memory that is free" "$(jq '.nodes[0] | .memory_bytes - .guest_memory_bytes - .lent_bytes
    == .free_bytes' <<<"$OUT")" true
is "what fits into it" \
    "$(jq '.nodes[0] | .fits == (.free_bytes / 16777216 | floor)' <<<"$OUT")" true
is "on all nodes" "$(jq '(.nodes | map(.fits) | add) == .fits' <<<"$OUT")" true
is "page memory" "$(jq '.nodes[1].page_free_bytes' <<<"$OUT")" 33554432
is "what LUs may still promise" "$(jq '.pools[0] |
    2 * .size_bytes - .promised_bytes == .unpromised_bytes' <<<"$OUT")" true
run_status "what is larger than each node" 0 capacity --lpar-memory 4P --json
is "fits nowhere" "$(jq .fits <<<"$OUT")" 0
run_status "fields of the nodes" 0 capacity --fmt : --field name,guests
is "a line each" "$OUT" $'n1:0\nn2:0'
run_status "those of the pools" 0 capacity --pools --fmt : --field name,lus
is "likewise" "$OUT" p1:1
run_status "no size" 2 capacity --lpar-memory 0
like "says so" "$ERR" '--lpar-memory: .*give a size'
run_status "wrong words" 2 capacity n1
run_status "--help" 0 capacity --help

run_status "n2 is drained" 0 on n1 node drain n2
ok "it takes no more guests" await \
    'capacity --lpar-memory 1M --json | jq -e ".nodes[1].fits == 0"' 30
kill -9 "$(lab_pid n2 daemon_pid)"
ok "n2 is down" await 'on n1 node show n2 --json | jq -e ".state == \"down\""' 30
run_status "what is not known" 0 capacity --lpar-memory 1M --json
is "is null" "$(jq -c '.nodes[1] | [.free_bytes, .fits]' <<<"$OUT")" '[null,null]'
finish
