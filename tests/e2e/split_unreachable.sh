#!/bin/bash
# Proves: guests survive a split in which the losers do not reach the VIOS DB. Their guests stop
# before their node's time is over, and start from their disks on the other side: every sector that
# was acknowledged is on the disk that the guest has now. The target of one dies under it, and it
# moves once more. After the merge nothing starts twice.
# needs: heavy
# limit: 300
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"
# shellcheck disable=SC2034 # for etcd.sh
ETCD_HOST=10.77.0.100
. "$(dirname "$0")/etcd.sh"
. "$(dirname "$0")/lu_guest.sh"
. "$(dirname "$0")/split_guests.sh"

need etcd curl qemu-system-x86_64 as ld python3
net_up 5 store
ETCD_IN=(ip netns exec "$NET-store")
etcd_start 1 || bail "etcd does not start"


cluster_up "etcd:$ETCD_ENDPOINTS" 5 --ttl 3s
guests_up n1 n4 n5

has_moved() { [ "$(move_of "$1")" = "moved $2 is lost from $2 with storage" ]; } # LPAR FROM

net_cut n1,n2,n3 n4,n5
net_cut n4,n5 store

for node in n4 n5; do
    ok "$node's guest runs on the other side" await "runs_on g-$node n1 n2 n3" 60
    like "its QEMU there stands still, or has ended" "$(process_state "${QEMU_PID[$node]}")" \
        '^[TZ]?$'
    is "every acknowledged sector is on its disk" "$(not_on_disk "g-$node")" ""
    ok "it went on from there" await "has_moved g-$node $node" 20
done
for node in n4 n5; do
    ok "g-$node writes there" await "goes_on g-$node" 30
done

# --- a second failure ---
SECOND=$(place_of g-n4)
SECOND=${SECOND#running }
KEEPER=$(printf '%s\n' n1 n2 n3 | grep -v "$SECOND" | head -n 1)
FIRST_QEMU=$(on "$SECOND" lpar show g-n4 --json | jq .qemu_pid)
kill -9 "${NODE_PID[$SECOND]}"
ON=$KEEPER
ok "its new node dies: it moves once more" await \
    "runs_on g-n4 $(printf '%s\n' n1 n2 n3 | grep -v "$SECOND" | paste -sd' ')" 60
like "the QEMU of before stands still, or has ended" "$(process_state "$FIRST_QEMU")" '^[TZ]?$'
ok "it writes there" await "goes_on g-n4" 30

# --- the merge ---
net_heal

node_start "$SECOND" --ttl 3s
ok "the cluster is whole" await "whole $KEEPER 5" 60
for node in n4 n5; do
    ok "$node's old guest has ended" await "is_gone $node" 30
    is "and it runs nothing" "$(qemus_of "$node")" 0
done
is "each runs once" "$(($(qemus_of n1) + $(qemus_of n2) + $(qemus_of n3)))" 3
for guest in g-n1 g-n4 g-n5; do
    like "$guest runs" "$(place_of "$guest")" '^running n[123]$'
done
finish
