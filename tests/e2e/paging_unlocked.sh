#!/bin/bash
# Proves: page memory that may not be locked is served all the same, and the node's log says so.
# limit: 60
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need setpriv nbdcopy

limited() { # COMMAND...; as somebody who may lock 64 KiB
    if [ "$(id -u)" = 0 ]; then
        setpriv --bounding-set=-ipc_lock bash -c 'ulimit -l 64 && exec "$@"' _ "$@"
    else
        bash -c 'ulimit -l 64 && exec "$@"' _ "$@"
    fi
}

run_status "a lab that may not lock memory" 0 limited "$VIOS" lab up 2 --page-memory 16M
truncate -s 1M "$DIR/disk.raw"
run_status "an LPAR" 0 "$VIOS" lpar create web1 --memory 16M --disk "$DIR/disk.raw"
run_status "a device" 0 "$VIOS" paging create web1 --size 4M --policy single
is "says where it is" "$OUT" "paging web1 created: single, OK, on n2"
yes pattern | head -c 4M >"$DIR/pattern"
uri=$("$VIOS" paging show web1 --field uri --fmt ,)
ok "takes pages" nbdcopy "$DIR/pattern" "$uri"
ok "and gives them back" nbdcopy "$uri" "$DIR/back"
ok "the same" cmp -s "$DIR/pattern" "$DIR/back"
like "the log of the node that lends them tells" "$(cat "$DIR/lab/n2/daemon.log")" \
    "warning: io: page memory is not locked: cannot lock .*raise LimitMEMLOCK"
finish
