#!/bin/bash
# Proves: a pattern put into a mirrored paging device by nbdcopy is read back identical after
# kill -9 of a replica's io, of a whole replica node, and, after the refill, of the other one too.
# needs: heavy
# limit: 150
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need nbdcopy nbdinfo jq

run_status "four nodes come up" 0 "$VIOS" lab up 4 --page-memory 64M
truncate -s 1M "$DIR/disk.raw"
run_status "an LPAR that does not run" 0 \
    "$VIOS" lpar create web1 --memory 16M --disk "$DIR/disk.raw"
run_status "a mirrored device" 0 "$VIOS" paging create web1 --size 32M

device() { # MEMBER-EXPRESSION
    "$VIOS" paging show web1 --json | jq -r "$1"
}
URI=$(device .uri)
is "it is whole" "$(device .state)" OK
is "two replicas, none on the host" \
    "$(device '[.replicas[].node] | index("n1") == null and length == 2')" true
is "nbdinfo sees its size" "$(nbdinfo --size "$URI")" $((32 << 20))

head -c 32M /dev/urandom >"$DIR/pattern"
ok "the pattern goes in" nbdcopy "$DIR/pattern" "$URI"
same() { # WHAT
    nbdcopy "$URI" "$DIR/copy" && cmp "$DIR/pattern" "$DIR/copy"
    tap_line $? "$1"
}
same "it comes back"

FIRST=$(device '.replicas[0].node')
SECOND=$(device '.replicas[1].node')
kill -9 "$(lab_pid "$FIRST" io_pid)"
same "identical after kill -9 of io on $FIRST"
ok "OK again, its memory having outlived it" await '[ "$(device .state)" = OK ]' 30
same "identical then"

kill -9 "$(lab_pid "$FIRST" daemon_pid)" "$(lab_pid "$FIRST" io_pid)"
same "identical after kill -9 of node $FIRST"
ok "the third node was filled" await \
    '[ "$(device .state)" = OK ] &&
        [ "$(device "[.replicas[].node] | index(\"$FIRST\")")" = null ]' 60
kill -9 "$(lab_pid "$SECOND" daemon_pid)" "$(lab_pid "$SECOND" io_pid)"
same "identical after kill -9 of node $SECOND too"
is "no page was bad" "$(device '.checksum_errors')" 0
finish
