#!/bin/bash
# Proves: the pages of a device on one node, or in a file of the node that runs the guest, go with a
# hibernation to another node and back, as those of a mirrored one do.
# limit: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq nbdcopy qemu-system-x86_64 as ld

run_status "lab up" 0 "$VIOS" lab up 2 --page-memory 16M
"$ROOT/tests/guest/make_boot_disk.sh" sequence "$DIR/disk.raw" 512
on n1 pool create p1 >/dev/null
head -c 1M /dev/urandom >"$DIR/pattern"
truncate -s 4M "$DIR/pattern"
uri() { on "$2" paging show "$1" --json | jq -r .uri; } # LPAR NODE

goes_along() { # LPAR FROM TO
    run_status "$1 is hibernated on $2" 0 on "$2" lpar hibernate "$1"
    run_status "$1 goes on on $3" 0 on "$3" lpar restart "$1"
    nbdcopy "$(uri "$1" "$3")" "$DIR/copy"
    ok "with its pages" cmp "$DIR/pattern" "$DIR/copy"
}
for policy in single disk; do
    on n1 lu create $policy --pool p1 --size 2M >/dev/null
    dd if="$DIR/disk.raw" of="$(on n1 lu show p1/$policy --json | jq -r .path)" conv=notrunc \
        status=none
    on n1 lpar create $policy --memory 16M --disk p1/$policy >/dev/null
done
run_status "a device on one node" 0 on n1 paging create single --size 4M --policy single
run_status "a device in a file" 0 on n1 paging create disk --size 4M --policy disk \
    --disk "$DIR/pages"
for policy in single disk; do
    run_status "$policy starts" 0 on n1 lpar start $policy
    ok "its pages go out" nbdcopy "$DIR/pattern" "$(uri $policy n1)"
    goes_along $policy n1 n2
    goes_along $policy n2 n1
done
is "one is on the node that is there" \
    "$(on n1 paging show single --json | jq -r '.replicas[0] | .node + " " + .state')" "n2 current"
is "no node has trouble with them" \
    "$(cat "$LAB"/n?/daemon.log | grep -c 'warning: paging: lpar .*: invalid')" 0
finish
