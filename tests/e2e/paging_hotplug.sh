#!/bin/bash
# Proves: a paging device made for a running Linux guest is plugged in and swapped to, cannot be
# removed under it, and is there again, empty, when the guest starts anew.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64

GUEST=$ROOT/build/guest
test -f "$GUEST/initrd" || skip_all "no guest: run make guest"
run_status "three nodes come up" 0 "$VIOS" lab up 3 --page-memory 64M
run_status "a Linux guest without paging" 0 "$VIOS" lpar create g --memory 128M \
    --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" \
    --append "console=ttyS0 quiet vios.hog_mib=16 vios.hog_passes=1"

console_shows() { # REGEX
    "$VIOS" lpar console g --dump 2>/dev/null | tr -d '\r' | grep -qE "$1"
}
run_status "starts" 0 "$VIOS" lpar start g
ok "and is ready" await 'console_shows "guest ready"' 60
run_status "paging create on the running guest" 0 "$VIOS" paging create g --size 48M
ok "the guest swaps to it" await 'console_shows "^guest swap /dev/vd. 48 MiB"' 30
ok "and writes to it" await '[ "$("$VIOS" paging show g --json | jq .pages_out)" -gt 0 ]' 30

run_status "not removed under the guest" 6 "$VIOS" paging remove g --yes
like "which is told with the way out" "$ERR" 'is running on node n1.*lpar stop'
is "and still whole" "$("$VIOS" paging show g --json | jq -r .state)" OK

run_status "it stops" 0 "$VIOS" lpar stop g --force
run_status "it starts anew" 0 "$VIOS" lpar start g
ok "and swaps to its device from the boot on" await \
    'console_shows "^guest swap /dev/vd. 48 MiB"' 60
run_status "it stops again" 0 "$VIOS" lpar stop g --force
run_status "now it is removed" 0 "$VIOS" paging remove g --yes
finish
