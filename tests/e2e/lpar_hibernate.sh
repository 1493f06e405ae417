#!/bin/bash
# Proves: a guest is hibernated on one node and goes on on another where it was, its writes and its
# console without a gap; also when the node it ran on is dead, and when all nodes began anew. A file
# that is damaged, cut short, older, or removed is refused with the reason, and the guest stays
# hibernated, until it is started from its disks.
# limit: 240
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq python3 qemu-system-x86_64 as ld

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 sequence 512
run_status "it runs" 0 on n1 lpar start web1
state() { on n2 lpar show web1 --json | jq -r '.state + " " + .node'; }
written() { on "$1" lpar console web1 --dump 2>/dev/null | tr -d '\r' | grep -c '^[0-9a-f]\{4\}$'; }
writes() { [ "$(written "$1")" -ge "$2" ]; } # NODE COUNT
# Whether what the consoles said, one behind the other, has no gap; and how often it booted.
counts() {
    tr -d '\r' | python3 -c '
import re, sys
text = sys.stdin.read()
numbers = [int(n, 16) for n in re.findall(r"^([0-9a-f]{4})$", text, re.M)]
print(numbers == list(range(len(numbers))), text.count("boot"))'
}
ok "it writes" await "writes n1 20" 30

# --- to another node ---
on n1 lpar console web1 >"$DIR/console" 2>/dev/null &
PIDS+=($!)
ok "its console is watched" await "[ -s '$DIR/console' ]" 20
run_status "it is hibernated, from elsewhere" 0 on n2 lpar hibernate web1
like "in words" "$OUT" '^web1 hibernated'
is "nobody runs it" "$(state)" "hibernated "
is "it is listed" "$(on n3 hibernation list --json |
    jq -c '.[] | [.lpar, .content, .generation, .state, .node, .size_bytes > 10000]')" \
    '["web1","memory",1,"valid","n1",true]'
LU=$(on n1 hibernation show web1 --json | jq -r .lu)
ok "its file is there" test -s "$LAB/repository/hibernation/$LU"
run_status "every block is good" 0 on n2 hibernation verify web1
run_status "it is not started" 1 on n1 lpar start web1
like "but restarted" "$ERR" 'it is hibernated.*lpar restart web1'
run_status "nor removed" 1 on n1 lpar remove web1 --yes
run_status "nor hibernated again" 1 on n1 lpar hibernate web1
run_status "it goes on on n3" 0 on n1 lpar restart web1 --node n3
is "it runs there" "$(state)" "running n3"
is "in the next generation" "$(on n1 lpar show web1 --json | jq .generation)" 2
ok "it writes" await "writes n3 20" 30
is "where it was, and did not boot again" \
    "$(cat "$DIR/console" <(on n3 lpar console web1 --dump) | counts)" "True 1"
is "the file is gone" "$(ls -A "$LAB/repository/hibernation")" ""
is "and its record" "$(on n1 hibernation list --json)" "[]"
run_status "there is nothing to restart" 1 on n2 lpar restart web1
like "it says so" "$ERR" 'it runs on node "n3"'

# --- encrypted, its node dead, everybody anew ---
run_status "it is hibernated, encrypted" 0 on n3 lpar hibernate web1 --encrypt
LU=$(on n1 hibernation show web1 --json | jq -r .lu)
kill -9 "$(lab_pid n3 daemon_pid)" "$(lab_pid n3 io_pid)"
ok "its node is dead" await '[ "$(on n1 node list --json | jq -r ".[2].state")" = down ]' 40
run_status "it goes on from the file alone, on any node" 0 on n1 lpar restart web1 --node any
is "it runs" "$(state)" "running n1"
ok "it writes" await "writes n1 20" 30
is "it did not boot" "$(on n1 lpar console web1 --dump | grep -c boot)" 0

# --- every node anew ---
run_status "it is hibernated again" 0 on n1 lpar hibernate web1
LU=$(on n2 hibernation show web1 --json | jq -r .lu)
FILE=$LAB/repository/hibernation/$LU
for node in n1 n2; do
    kill -9 "$(lab_pid $node daemon_pid)" "$(lab_pid $node io_pid)"
done
run_status "all nodes come back" 0 "$VIOS" lab up 3 --page-memory 16M
is "it is hibernated still" "$(state)" "hibernated "

# --- files that are refused ---
cp "$FILE" "$DIR/good"
patch() { # OFFSET: the byte there becomes another one
    local byte
    cp "$DIR/good" "$FILE"
    byte=$(od -An -tu1 -j "$1" -N 1 "$FILE")
    printf '%b' "\\x$(printf %x $((byte ^ 64)))" |
        dd of="$FILE" bs=1 seek="$1" conv=notrunc status=none
}
refused() { # WHAT REASON
    run_status "$1 is refused" 1 on n2 lpar restart web1
    like "with the reason" "$ERR" "hibernation of \"web1\".*$2"
    run_status "and found by verify" 1 on n3 hibernation verify web1
    like "likewise" "$ERR" "hibernation of \"web1\".*$2"
    is "it is hibernated still" "$(state)" "hibernated "
}
SIZE=$(stat -c %s "$FILE")
patch 100
refused "a damaged header" "header"
patch $((SIZE / 2))
refused "a damaged block" "block [0-9]* of [0-9]* is damaged"
patch $((SIZE - 20))
refused "a damaged seal" "seal"
head -c $((SIZE - 3)) "$DIR/good" >"$FILE"
refused "one that was cut short" "cut short"
rm "$FILE"
run_status "none at all is refused" 1 on n2 lpar restart web1
like "with the reason" "$ERR" 'hibernation of "web1": cannot be opened'
cp "$DIR/good" "$FILE"
record() { # CHANGE; what is null is not shown
    on n1 db get /lpar/web1 --json | jq -c ".[0].value | .owner = null | .job = null $1"
}
put() { "$BUILD/tests/tools/store_put" "sqlite:$LAB/db/vios.db" /lpar/web1 "$1"; }
BEFORE=$(record "")
put "$(record ' | .spec.cpus = 2')"
run_status "other adapters than it had are refused" 7 on n2 lpar restart web1
like "with the reason" "$ERR" 'other adapters'
is "it is hibernated still" "$(state)" "hibernated "
put "$BEFORE"
run_status "the good one is not" 0 on n2 lpar restart web1
ok "it writes" await "writes n2 20" 30
is "it did not boot" "$(on n2 lpar console web1 --dump | grep -c boot)" 0
run_status "it is hibernated" 0 on n2 lpar hibernate web1
cp "$DIR/good" "$LAB/repository/hibernation/$(on n1 hibernation show web1 --json | jq -r .lu)"
run_status "an older memory is refused" 1 on n2 lpar restart web1
like "with the reason" "$ERR" 'generation'

# --- without its memory ---
run_status "it starts from its disks" 0 on n3 lpar start web1 --from-storage
is "it runs" "$(state)" "running n3"
is "no memory is kept" "$(on n1 hibernation list --json)" "[]"
is "nor its file" "$(ls -A "$LAB/repository/hibernation")" ""
ok "it booted" await 'on n3 lpar console web1 --dump | grep -q boot' 20
run_status "it is hibernated" 0 on n1 lpar hibernate web1
run_status "its memory is given up" 0 on n1 hibernation remove web1 --yes
is "it is stopped" "$(state)" "stopped "
run_status "it starts" 0 on n2 lpar start web1
run_status "it is stopped" 0 on n2 lpar stop web1 --force
run_status "a stopped one has nothing to keep" 1 on n1 lpar hibernate web1
like "it says so" "$ERR" "only a running guest"
run_status "it is removed" 0 on n1 lpar remove web1 --yes
finish
