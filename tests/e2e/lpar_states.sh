#!/bin/bash
# Proves: a guest whose kernel panics is shown as panicked, one that hangs and no longer feeds its
# watchdog as that, each with its reason and still there to be looked at; a stop ends both.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq qemu-system-x86_64

GUEST=$ROOT/build/guest
test -f "$GUEST/initrd" || skip_all "no guest: run make guest"

field() { on n1 lpar show g --json | jq -r ".$1"; }
console() { on n1 lpar console g --dump 2>/dev/null; }

run_status "a lab" 0 "$VIOS" lab up 1 --page-memory 16M
run_status "a guest" 0 on n1 lpar create g --memory 96M --kernel "$GUEST/vmlinuz" \
    --initrd "$GUEST/initrd" --append "console=ttyS0 quiet"
while IFS='|' read -r -u 3 command state why; do
    run_status "it starts" 0 on n1 lpar start g
    ok "and boots" await "console | grep -q 'guest ready'" 60
    pid=$(field qemu_pid)
    mkfifo "$DIR/$command.keys"
    on n1 lpar console g <>"$DIR/$command.keys" >"$DIR/seen" 2>&1 &
    PIDS+=($!)
    echo "$command" >"$DIR/$command.keys"
    ok "$command: it is $state" await "[ \"\$(field state)\" = $state ]" 30
    is "and says why" "$(field why)" "$why"
    is "the list says so too" "$(on n1 lpar list --fmt : --field name,state)" "g:$state"
    is "its QEMU is still there" "$(field qemu_pid)" "$pid"
    run_status "a stop ends it" 0 on n1 lpar stop g --force
    is "for good" "$(field state)" stopped
    ok "and its QEMU" await "! kill -0 $pid" 20
done 3<<'STATES'
panic|panicked|the guest's kernel panicked
watchdog|watchdog|the guest's watchdog fired
STATES
finish
