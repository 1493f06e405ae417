#!/bin/bash
# Proves: pages of a mirrored device go to other nodes by TLS over TCP, under their certificates,
# and come back identical after kill -9 of a replica's io, of the host's io, and of the daemons.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need nbdcopy jq

export VIOS_PAGES_BY_TCP=1 # as if each node were on a machine of its own
run_status "three nodes come up" 0 "$VIOS" lab up 3 --page-memory 64M
truncate -s 1M "$DIR/disk.raw"
run_status "an LPAR that does not run" 0 \
    "$VIOS" lpar create web1 --memory 16M --disk "$DIR/disk.raw"
run_status "a mirrored device" 0 "$VIOS" paging create web1 --size 32M
device() { "$VIOS" paging show web1 --json | jq -r "$1"; }
is "it is whole" "$(device .state)" OK

# The other end of a TCP connection to this port is there, as the kernel shows it.
connected() { # PORT
    grep -qE "^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ 0100007F:$(printf %04X "$1") 01 " /proc/net/tcp
}
port_of() { "$VIOS" db get "/alive/$1" --json | jq -r '.[0].value.nbd' | cut -d: -f3; }
for node in n2 n3; do
    ok "a connection to $node by TCP" connected "$(port_of "$node")"
done
head -c 32M /dev/urandom >"$DIR/pattern"
URI=$(device .uri)
ok "the pattern goes in" nbdcopy "$DIR/pattern" "$URI"
same() { # WHAT
    nbdcopy "$URI" "$DIR/copy" && cmp "$DIR/pattern" "$DIR/copy"
    tap_line $? "$1"
}
same "it comes back"
whole() { # WHAT
    ok "$1" await '[ "$(device .state)" = OK ]' 60
}
kill -9 "$(lab_pid n2 io_pid)"
same "identical after kill -9 of io on n2"
whole "OK again: the new io has its port and its certificate"
kill -9 "$(lab_pid n1 io_pid)"
whole "OK after kill -9 of the host's io"
same "identical then"
kill -9 "$(lab_pid n1 daemon_pid)" "$(lab_pid n3 daemon_pid)"
same "identical while two daemons are away"
run_status "they come back" 0 "$VIOS" lab up
whole "OK then"
same "identical then"
kill -9 "$(lab_pid n2 daemon_pid)" "$(lab_pid n2 io_pid)"
run_status "a node comes back with another port" 0 "$VIOS" lab up
whole "OK then, at that port"
same "identical then"
is "no page was bad" "$(device '.checksum_errors')" 0
finish
