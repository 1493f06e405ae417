#!/bin/bash
# Proves: a guest is not tied to a node that dies while it restarts it. It stays hibernated, with
# its pages: another node restarts it, and when the dead one comes back what it had begun goes.
# needs: heavy
# limit: 150
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq nbdcopy qemu-system-x86_64 as ld
export VIOS_CRASH_FILE=$DIR/crash

run_status "lab up" 0 "$VIOS" lab up 3 --page-memory 16M
make_web1 sequence 512
run_status "a paging device" 0 on n1 paging create web1 --size 4M
run_status "its guest runs" 0 on n1 lpar start web1

shown() { on n3 lpar show web1 --json | jq -r "$1"; }
state() { shown '.state + " " + .node'; }
qemus() { pgrep -fc -- "^[^ ]*qemu-system-x86_64 -name web1 .*$(shown .uuid)"; }
used() { # bytes of pages in the memory of all nodes
    local node
    for node in n1 n2 n3; do
        on n3 node show "$node" --json | jq .page_memory_used_bytes
    done | jq -s add
}
has_pattern() { # NODE
    nbdcopy "$(on "$1" paging show web1 --json | jq -r .uri)" "$DIR/copy" &&
        cmp "$DIR/pattern" "$DIR/copy"
}
PAGES=256
head -c $((PAGES * 4096)) /dev/urandom >"$DIR/pattern"
truncate -s 4M "$DIR/pattern"
ok "pages go out" nbdcopy "$DIR/pattern" "$(on n1 paging show web1 --json | jq -r .uri)"
run_status "it is hibernated" 0 on n1 lpar hibernate web1

IO_PID=$(lab_pid n2 io_pid)
echo lpar.restart:load:after >"$VIOS_CRASH_FILE"
on n2 lpar restart web1 >/dev/null 2>&1
kill -9 "$IO_PID"
ok "a node dies as it has loaded it" test ! -e "$VIOS_CRASH_FILE"
ok "its time is over" \
    await '[ "$(on n3 db get /fence/n2/1 --json | jq -r ".[0].value.state")" = free ]' 40
is "it is hibernated still" "$(state)" "hibernated "
run_status "another node restarts it" 0 on n3 lpar restart web1
ok "with its pages" has_pattern n3
run_status "the dead one comes back" 0 "$VIOS" lab up 3 --page-memory 16M
ok "and ends what it had begun" await '[ "$(qemus)" = 1 ]' 20
is "it runs" "$(state)" "running n3"
ok "its pages are mirrored" await '[ "$(used)" = $((2 * PAGES * 4096)) ]' 30
ok "and are what they were" has_pattern n3
finish
