#!/bin/bash
# Proves: scripts/health.lua has the exit status of a monitoring plugin, one line that says the
# worst, and the others behind it: a drained and a dead node, a paging device that lost a copy, a
# guest that died, a job that failed, a pool that is nearly full, a threshold that is raised, no
# daemon.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64 as ld

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 32M
health() { VIOS_SOCKET=$LAB/n1/run/vios.sock "$VIOS" "$ROOT/scripts/health.lua" "$@"; }
found() { # CHECK OBJECT: what is said of it
    health --json | jq -r --arg check "$1" --arg object "$2" \
        '.findings[] | select(.check == $check and .object == $object) | .state + " " + .text'
}

# --- all is well ---
run_status "all is well" 0 health
PRIMARY=$(on n1 primary show --json | jq -r .node)
is "in one line" "$OUT" \
    "OK: cluster lab: 3 of 3 nodes up, primary $PRIMARY, 0 of 0 LPARs running"
run_status "as JSON" 0 health --json
is "the same" "$(jq -c '[.state, .status, .findings]' <<<"$OUT")" '["OK",0,[]]'
run_status "--help" 0 health --help
like "says how it is used" "$OUT" 'health\.lua .*--pool-free PERCENT'

# --- what cannot be found out ---
run_status "wrong words" 3 health --pool-fre 3
like "are UNKNOWN" "$OUT" '^UNKNOWN: unknown option "--pool-fre": did you mean "--pool-free"'
run_status "no daemon" 2 health --socket "$DIR/none.sock"
like "is CRITICAL" "$OUT" '^CRITICAL: .*none\.sock: no daemon answers'

# --- pools and thresholds ---
make_web1 sequence 512
run_status "a pool with too little free" 1 health --pool-free 100
like "is a WARNING" "$OUT" '^WARNING: pool p1 has [0-9.]+% free$'
run_status "with far too little" 2 health --pool-critical 100
like "CRITICAL" "$OUT" '^CRITICAL: pool p1 has [0-9.]+% free$'
on n1 alert set pool-free 100% >/dev/null
ok "a threshold that is raised is found" await \
    '[[ "$(found alert pool-free)" == "WARNING threshold pool-free is raised of p1"* ]]' 30
on n1 alert unset pool-free >/dev/null
run_status "and unset is not" 0 health

# --- guests ---
on n1 paging create web1 --size 16M >/dev/null
run_status "a guest is started" 0 on n1 lpar start web1
run_status "it is well" 0 health
like "and counted" "$OUT" '1 of 1 LPARs running$'
kill -9 "$(on n1 lpar show web1 --json | jq .qemu_pid)"
ok "one whose QEMU died is found" await '[ -n "$(found lpar web1)" ]' 30
is "as such" "$(found lpar web1)" "CRITICAL LPAR web1 ended by itself: QEMU ended unexpectedly"
run_status "it is started again" 0 on n1 lpar start web1
run_status "and well" 0 health
run_status "a guest that is stopped" 0 on n1 lpar stop web1 --force
run_status "is well, too" 0 health
on n1 lpar create bad --memory 16M --kernel "$DIR/disk.raw" >/dev/null
run_status "a job fails" 1 on n1 lpar start bad
run_status "it is a WARNING" 1 health
like "with why" "$OUT" '^WARNING: job j-[0-9]+ \(lpar.start, lpar "bad"\) failed: .'
run_status "not one of long ago" 0 health --since 0

# --- nodes ---
run_status "n3 is drained" 0 on n1 node drain n3
ok "which is found" await '[ -n "$(found node n3)" ]' 30
like "as a WARNING" "$(found node n3)" '^WARNING node n3 is drained since 2'
run_status "n3 is restored" 0 on n1 node restore n3
ok "it is up" await 'health --since 0' 30
run_status "web1 runs" 0 on n1 lpar start web1
on n1 lpar create own --memory 16M --disk "$DIR/disk.raw" >/dev/null
run_status "a guest that cannot leave n3" 0 on n3 lpar start own
is "should run" "$(on n1 lpar show own --json | jq -r .wanted)" running
kill -9 "$(lab_pid n3 daemon_pid)" "$(lab_pid n3 io_pid)"
ok "n3 dies" await '[[ "$(found node n3)" == CRITICAL* ]]' 30
ok "the device that lost a copy" await '[ -n "$(found paging web1)" ]' 30
like "is a WARNING that says which" "$(found paging web1)" \
    '^WARNING paging of web1 is DEGRADED: n3 '
ok "so is the guest of n3" await '[ -n "$(found lpar own)" ]' 30
is "which should run" "$(found lpar own)" \
    'CRITICAL LPAR own should run, and is unknown: node "n3" is not up'
run_status "the worst counts" 2 health --since 0
like "and comes first, with how many more" "$OUT" \
    '^CRITICAL: node n3 is down since [^ ]+ \(and [0-9]+ more\)'
like "the others follow" "$OUT" $'\nWARNING: paging of web1 is DEGRADED'
finish
