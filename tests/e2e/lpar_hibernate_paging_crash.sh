#!/bin/bash
# Proves: whichever step of a hibernation or a restart the daemon is killed before or after, a guest
# with a paging device keeps its pages: it runs with all of them in one device, or they are in its
# file and in no memory.
# needs: heavy
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq nbdcopy qemu-system-x86_64 as ld
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 sequence 512
run_status "a paging device" 0 on n1 paging create web1 --size 4M
run_status "its guest runs" 0 on n1 lpar start web1

shown() { on n3 lpar show web1 --json | jq -r "$1"; }
settled() {
    jobs_are_over n3 &&
        shown 'select(.job == "" and (.state == "running" or .state == "hibernated")).state' |
        grep -q .
}
device() { on "$1" paging show web1 --json | jq -r "$2"; } # NODE JQ-FILTER
used() { # bytes of pages in the memory of all nodes
    local node
    for node in n1 n2 n3; do
        on n3 node show "$node" --json | jq .page_memory_used_bytes
    done | jq -s add
}
console() { on "$(shown .node)" lpar console web1 --dump | tr -d '\r'; }
goes_on() { [ "$(console | grep -c '^[0-9a-f]\{4\}$')" -ge 5 ]; }
has_pattern() {
    nbdcopy "$(device "$(shown .node)" .uri)" "$DIR/copy" && cmp "$DIR/pattern" "$DIR/copy"
}

crash() { # PLACE NODE COMMAND...
    local place=$1 node=$2
    shift 2
    echo "$place" >"$VIOS_CRASH_FILE"
    on "$node" "$@" >/dev/null 2>&1
    ok "$place: the daemon ended there" await '[ ! -e "$VIOS_CRASH_FILE" ]' 20
    run_status "it comes back" 0 "$VIOS" lab up 3 --page-memory 16M
    ok "the job comes to its end" await settled 40
    if [ "$(shown .state)" = hibernated ]; then
        ok "no page is left in memory" await '[ "$(used)" = 0 ]' 20
    fi
}
run_again() { # NODE: wherever it is, it runs in the end
    [ "$(shown .state)" = running ] || run_status "it is restarted" 0 on "$1" lpar restart web1
    ok "it goes on" await goes_on 30
    ok "with its pages" has_pattern
    ok "on two nodes" await '[ "$(device "$(shown .node)" .state)" = OK ]' 20
    ok "and nowhere else" await '[ "$(used)" = $((2 * PAGES * 4096)) ]' 20
    is "it did not boot again" "$(console | grep -c boot)" "$BOOTS"
}

PAGES=256
head -c $((PAGES * 4096)) /dev/urandom >"$DIR/pattern"
truncate -s 4M "$DIR/pattern"
ok "pages go out" nbdcopy "$DIR/pattern" "$(device n1 .uri)"
ok "it writes" await goes_on 30
for place in save:after commit:before commit:after; do
    HERE=$(shown .node)
    THERE=$([ "$HERE" = n1 ] && echo n2 || echo n1)
    crash "lpar.hibernate:$place" "$HERE" lpar hibernate web1
    BOOTS=0
    [ "$(shown .node)" != "$HERE" ] || BOOTS=$(console | grep -c boot)
    run_again "$THERE"
done
for place in prepare:after load:before load:after commit:before commit:after run:after \
    finish:before; do
    HERE=$(shown .node)
    THERE=$([ "$HERE" = n1 ] && echo n2 || echo n1)
    run_status "it is hibernated" 0 on "$HERE" lpar hibernate web1
    crash "lpar.restart:$place" "$THERE" lpar restart web1
    BOOTS=0
    run_again "$THERE"
done
finish
