#!/bin/bash
# Proves: a guest with a paging device is hibernated with its pages, which leave the memory of the
# nodes that held them; when these began anew since, it goes on on another node with every page as
# it was, mirrored again. A file whose pages are damaged is refused, a restart that fails leaves
# nothing, and a start from the disks begins with an empty device.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq nbdcopy qemu-system-x86_64 as ld

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 32M
make_web1 sequence 512
run_status "a paging device" 0 on n1 paging create web1 --size 12M
run_status "its guest runs" 0 on n1 lpar start web1

state() { on n3 lpar show web1 --json | jq -r '.state + " " + .node'; }
device() { on "$1" paging show web1 --json | jq -r "$2"; } # NODE JQ-FILTER
used() { # NODE: bytes of pages that it holds
    on n1 node show "$1" --json | jq .page_memory_used_bytes
}
written() { on "$1" lpar console web1 --dump 2>/dev/null | tr -d '\r' | grep -c '^[0-9a-f]\{4\}$'; }
writes() { [ "$(written "$1")" -ge 5 ]; } # NODE
file() { echo "$LAB/repository/hibernation/$(on n1 hibernation show web1 --json | jq -r .lu)"; }
damage() { # a bit in a block of pages, behind others
    local file at byte
    file=$(file)
    at=$(($(stat -c %s "$file") * 3 / 4))
    byte=$(od -An -tu1 -j $at -N 1 "$file")
    printf '%b' "\\x$(printf %x $((byte ^ 64)))" |
        dd of="$file" bs=1 seek=$at conv=notrunc status=none
}
has_pattern() { # NODE FILE
    nbdcopy "$(device "$1" .uri)" "$DIR/copy" && cmp "$2" "$DIR/copy"
}

# Pages at the start, in every other place, and at the very end.
head -c 2M /dev/urandom >"$DIR/pattern"
for _ in $(seq 64); do
    head -c 4096 /dev/urandom
    head -c 4096 /dev/zero
done >>"$DIR/pattern"
truncate -s $(((12 << 20) - 4096)) "$DIR/pattern"
head -c 4096 /dev/urandom >>"$DIR/pattern"
truncate -s 12M "$DIR/zeroes"

ok "pages go out" nbdcopy "$DIR/pattern" "$(device n1 .uri)"
ok "to two nodes" await '[ "$(used n2) $(used n3)" = "2363392 2363392" ]' 20
ok "it writes" await "writes n1" 30

# --- with its pages ---
run_status "it is hibernated" 0 on n2 lpar hibernate web1
is "nobody runs it" "$(state)" "hibernated "
is "its device is with it" "$(device n3 .state)" HIBERNATED
ok "its pages are in its file" \
    test "$(on n1 hibernation list --json | jq '.[0].size_bytes')" -gt 2363392
ok "and nowhere else" await '[ "$(used n2) $(used n3)" = "0 0" ]' 20
run_status "every block is good" 0 on n3 hibernation verify web1
run_status "its device is not removed" 1 on n1 paging remove web1 --yes
like "it says why" "$ERR" 'is hibernated'
for node in n2 n3; do
    kill -9 "$(lab_pid $node daemon_pid)" "$(lab_pid $node io_pid)"
done
run_status "those who had them begin anew" 0 "$VIOS" lab up 3 --page-memory 32M
run_status "it goes on on n2" 0 on n1 lpar restart web1 --node n2
is "it runs there" "$(state)" "running n2"
ok "every page is what it was" has_pattern n2 "$DIR/pattern"
holders() { device "$1" '[.replicas[] | .node + " " + .state] | sort | join(", ")'; }
ok "on the two other nodes" await '[ "$(holders n2)" = "n1 current, n3 current" ]' 20
ok "it writes" await "writes n2" 30
is "it did not boot" "$(on n2 lpar console web1 --dump | grep -c boot)" 0

# --- a restart that fails ---
run_status "it is hibernated again" 0 on n1 lpar hibernate web1
cp "$(file)" "$DIR/good"
damage
run_status "it does not go on with a page that is damaged" 1 on n1 lpar restart web1 --node n3
like "with the reason" "$ERR" 'hibernation of "web1": block [0-9]* of [0-9]* is damaged'
is "it is hibernated still" "$(state)" "hibernated "
ok "what was loaded is given back" await '[ "$(used n1) $(used n2) $(used n3)" = "0 0 0" ]' 20
cp "$DIR/good" "$(file)"

# --- a node is dead: its part stays away ---
kill -9 "$(lab_pid n1 daemon_pid)" "$(lab_pid n1 io_pid)"
ok "a node dies" await '[ "$(on n2 node show n1 --json | jq -r .state)" = down ]' 40
run_status "it goes on with the good file" 0 on n2 lpar restart web1
ok "every page is what it was" has_pattern n2 "$DIR/pattern"
like "on those who are there" "$(device n2 .state)" 'OK|DEGRADED'
run_status "the node comes back" 0 "$VIOS" lab up 3 --page-memory 32M
ok "its pages are mirrored" await '[ "$(device n2 .state)" = OK ]' 30
ok "and are what they were" has_pattern n2 "$DIR/pattern"

# --- without its memory ---
run_status "it is hibernated" 0 on n1 lpar hibernate web1
damage
run_status "a restart loads pages, and fails" 1 on n1 lpar restart web1
run_status "it starts from its disks in the same generation" 0 on n1 lpar start web1 --from-storage
ok "with an empty device" has_pattern n1 "$DIR/zeroes"
# --- a guest that went on in the next generation, as its hibernation's outcome was not known ---
put() { # KEY JQ-CHANGE
    "$BUILD/tests/tools/store_put" "sqlite:$LAB/db/vios.db" "$1" \
        "$(on n1 db get "$1" --json | jq -c ".[0].value | $2 | del(..|nulls)")"
}
GENERATION=$(on n1 lpar show web1 --json | jq .generation)
URI=$(device n1 .uri)
ok "pages go out" nbdcopy "$DIR/pattern" "$URI"
PLAN="{job: \"j-1\", node: \"n1\", generation: $((GENERATION + 1)), start: $GENERATION}"
put /paging/web1 ".plan = $PLAN"
put /lpar/web1 ".generation += 1"
ok "it keeps its device" await '[ "$(device n1 .state)" = OK ]' 10
is "under its name" "$(device n1 .uri)" "$URI"
put /paging/web1 ".generation += 1 | .plan = null"
is "also when that is settled" "$(device n1 .uri)" "$URI"
run_status "it is hibernated" 0 on n2 lpar hibernate web1
run_status "and goes on" 0 on n2 lpar restart web1
is "in a generation of its own" \
    "$(on n1 lpar show web1 --json | jq .generation)" $((GENERATION + 2))
ok "every page is what it was" has_pattern n2 "$DIR/pattern"

run_status "it is hibernated" 0 on n2 lpar hibernate web1
run_status "its memory is given up" 0 on n1 hibernation remove web1 --yes
run_status "its device is removed" 0 on "$(device n3 .node)" paging remove web1 --yes
finish
