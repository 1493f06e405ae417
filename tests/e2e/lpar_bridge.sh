#!/bin/bash
# Proves: a network card on a bridge: the tap is made, is in the bridge, and goes with the guest;
# a missing bridge is named. In a network namespace of its own, so as root, or through a sudo that
# asks for no password.
# needs: heavy
# limit: 60
. "$(dirname "$0")/as_root.sh" -n
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq ip qemu-system-x86_64 as ld
[ -c /dev/net/tun ] || skip_all "there is no /dev/net/tun"

"$ROOT/tests/guest/make_boot_disk.sh" boot "$DIR/disk.raw" 1M
ip link set lo up
ip link add vbr0 type bridge
ip link set vbr0 up
export VIOS_SOCKET=$LAB/n1/run/vios.sock

taps() { ip -j link show master vbr0 | jq length; }

run_status "a lab" 0 "$VIOS" lab up 1 --page-memory 16M
run_status "create" 0 "$VIOS" lpar create g1 --memory 16M --disk "$DIR/disk.raw" --nic bridge:vbr0
run_status "start" 0 "$VIOS" lpar start g1
is "its tap is in the bridge" "$(taps)" 1
ok "and up" test "$(ip -j link show master vbr0 | jq -r '.[0].flags | index("UP") != null')" = true
run_status "stop" 0 "$VIOS" lpar stop g1 --force
is "the tap is gone" "$(taps)" 0
run_status "create for no bridge" 0 "$VIOS" lpar create g2 --memory 16M --disk "$DIR/disk.raw" \
    --nic bridge:nosuch0
run_status "it does not start" 1 "$VIOS" lpar start g2
like "and names the bridge" "$ERR" "nosuch0: there is no such interface"
is "nothing of it is left" "$("$VIOS" lpar show g2 --json | jq -r '.state + .node')" stopped
run_status "lab down" 0 "$VIOS" lab down
finish
