#!/bin/bash
# Proves: when the store (three members of etcd) is away from everybody, the nodes go on by
# promises: no gate closes for three TTLs, and afterwards nobody was fenced. With one node down too
# there is no promise of it: the gates close, a guest that others could take over stops although
# its io is frozen, and still nobody acts. A store that is away from the primary alone makes another
# node primary.
# needs: heavy
# limit: 180
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/netns.sh"
# shellcheck disable=SC2034 # for etcd.sh
ETCD_HOST=10.77.0.100
. "$(dirname "$0")/etcd.sh"
. "$(dirname "$0")/lu_guest.sh"

need etcd curl qemu-system-x86_64 as ld
CONTROL=$BUILD/tests/tools/io_control
net_up 3 store
ETCD_IN=(ip netns exec "$NET-store")
etcd_start 3 || bail "etcd does not start"
cluster_up "etcd:$ETCD_ENDPOINTS" 3 --ttl 3s

gate() { "$CONTROL" "$DIR/$1/run/io.sock" '{"do":"statistics"}' | jq -r .gate.state; } # NODE
until_of() { "$CONTROL" "$DIR/$1/run/io.sock" '{"do":"statistics"}' | jq .gate.until_stop; }
gates_are() { # STATE NODE...
    local state=$1 node
    shift
    for node; do
        [ "$(gate "$node")" = "$state" ] || return 1
    done
}
fences() { on "$1" db get /fence/ --json | jq -c .; }

ok "the gates are open" gates_are open n1 n2 n3

# --- away from everybody ---
net_cut n1,n2,n3 store
BEFORE=$(until_of n1)
closed=
# three TTLs by the gate's own clock; each look at all three gates counts
while [ "$(until_of n1)" -lt $((BEFORE + 9000)) ]; do
    gates_are open n1 n2 n3 || { closed=1; break; }
done
is "no gate closed for three TTLs" "$closed" ""
for node in n1 n2 n3; do
    ok "$node says how" grep -q "guests go on by promises: on" "$DIR/$node.log"
done
net_heal
for node in n1 n2 n3; do
    ok "$node renews again" await "grep -q 'guests go on by promises: off' '$DIR/$node.log'" 30
done
ok "the cluster is whole" await 'whole n1 3' 30
is "nobody was fenced" "$(fences n1)" '[]'
ok "the primary may have changed, but is one" agreed n1,n2,n3 n1 n2 n3

# --- away from everybody, and one node down ---
DOWN=$(printf '%s\n' n1 n2 n3 | grep -v "$(primary_of n1)" | tail -n 1)
LIVE=$(printf '%s\n' n1 n2 n3 | grep -v "$DOWN" | paste -sd' ')
KEEPER=${LIVE%% *}
make_lu_disk
ok "a guest that others may take over" await "make_guest $KEEPER" 30
QEMU=$(qemu_pid_of "$KEEPER")
IO=$(io_pid "$KEEPER")
kill -9 "${NODE_PID[$DOWN]}"
kill -STOP "$IO"
net_cut n1,n2,n3 store
ok "it stops when the time is over, its io being frozen" \
    await "[ \"\$(process_state $QEMU)\" = T ]" 30
kill -CONT "$IO"
# shellcheck disable=SC2086
ok "the gates close" await "gates_are closed $LIVE" 30
net_heal
# shellcheck disable=SC2086
ok "and open again" await "gates_are open $LIVE" 30
ok "the guest goes on" await "[[ \"\$(process_state $QEMU)\" = [SR] ]]" 30
node_start "$DOWN" --ttl 3s
ok "the cluster is whole" await 'whole n1 3' 60
for node in $LIVE; do
    is "$node was not fenced" "$(incarnation_of n1 "$node")" 1
done

# --- away from the primary alone ---
PRIMARY=$(primary_of n1)
EPOCH=$(epoch_of n1)
REST=$(printf '%s\n' n1 n2 n3 | grep -v "$PRIMARY" | paste -sd,)
net_cut "$PRIMARY" store
# shellcheck disable=SC2086
ok "another is elected" await "agreed $REST ${REST//,/ }" 30
ok "of a higher epoch" [ "$(epoch_of "${REST%%,*}")" -gt "$EPOCH" ]
like "for that reason" "$(on "${REST%%,*}" primary history --json | jq -r '.[-1].reason')" \
    "^$PRIMARY (cannot reach the VIOS DB|does not renew)"
ok "its gate closes" await "gates_are closed $PRIMARY" 30
LIVE=${REST%%,*}
ok "it is fenced" await "on $LIVE db get /fence/$PRIMARY/\$(incarnation_of $LIVE $PRIMARY)" 30
net_heal
ok "it comes back" await 'whole n1 3' 60
finish
